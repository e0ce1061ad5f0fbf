"""Passkeys' answers, against the specification's own vectors and an authenticator in software."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fido2 import cbor
from fido2.webauthn import AuthenticatorData
from hypothesis import given
from hypothesis import strategies as st

from herod.credentials.factors.passkeys import (
    ALGORITHMS,
    Assertion,
    EnrolledPasskey,
    RelyingParty,
    passkey_id,
    read_assertion,
    read_registration,
    verify_assertion,
    verify_registration,
)
from herod.credentials.keyring import Keyring
from herod_client.core.errors import BadCredentials
from support.soft_authenticator import BE, BS, UP, UV, SoftAuthenticator, b64

VECTORS: dict[str, Any] = json.loads(Path(__file__).with_name("webauthn_vectors.json").read_text(encoding="utf-8"))
EXAMPLE = RelyingParty("example.org", "https://example.org")
HEROD = RelyingParty("localhost", "http://localhost:3350")
CHALLENGE = b64(bytes(40))


def from_hex(text: str) -> str:
    """A vector's hex as browsers send it."""
    return b64(bytes.fromhex(text))


def registered(name: str) -> EnrolledPasskey:
    """The passkey of a vector's registration."""
    vector = VECTORS[name]["registration"]
    answer, data = read_registration(from_hex(vector["client_data"]), from_hex(vector["attestation"]))
    assert answer.challenge.hex() == vector["challenge"]
    return verify_registration(EXAMPLE, answer, data)


def enrolled(device: SoftAuthenticator, *, party: RelyingParty = HEROD, **more: Any) -> EnrolledPasskey:
    """A software passkey, registered."""
    fields = device.enrol(CHALLENGE, **more)
    return verify_registration(party, *read_registration(fields["client_data"], fields["attestation"]))


def asserted(device: SoftAuthenticator, **more: Any) -> Assertion:
    """A software passkey's answer."""
    fields = device.sign_in(CHALLENGE, **more)
    return read_assertion(
        fields["credential"],
        fields["client_data"],
        fields["authenticator_data"],
        fields["signature"],
        fields["user_handle"],
    )


def signed_in(device: SoftAuthenticator, known: EnrolledPasskey, **more: Any) -> int:
    """The counter after a sign-in with a known passkey."""
    return verify_assertion(
        HEROD,
        asserted(device, **more),
        public_key=known.public_key,
        counter=known.counter,
        is_synced=known.is_synced,
    ).counter


def reason(refused: pytest.ExceptionInfo[BadCredentials]) -> str:
    """Why, as the audit log has it."""
    return refused.value.reason


class TestVectors:
    """Web Authentication Level 3, section 16."""

    def test_good(self) -> None:
        """A registration with user verification, and an assertion with it, are accepted."""
        known = registered("packed.ES256")
        assert known.credential.hex() == VECTORS["packed.ES256"]["credential_id"]
        assert (known.is_synced, known.is_backed_up, known.counter) == (True, False, 0)
        vector = VECTORS["packed.ES256"]["authentication"]
        assertion = read_assertion(
            b64(known.credential),
            from_hex(vector["client_data"]),
            from_hex(vector["authenticator_data"]),
            from_hex(vector["signature"]),
            b64(b"handle"),
        )
        assert assertion.answer.challenge.hex() == vector["challenge"]
        state = verify_assertion(EXAMPLE, assertion, public_key=known.public_key, counter=0, is_synced=True)
        assert (state.counter, state.is_backed_up) == (0, False)

    @pytest.mark.parametrize(
        ("name", "why"),
        [
            ("none.ES256", "not_verified"),
            ("none.ES256.crossOrigin", "cross_origin"),
            ("none.ES256.topOrigin", "cross_origin"),
        ],
    )
    def test_refused(self, name: str, why: str) -> None:
        """Without user verification, or inside another page, the specification's examples are refused."""
        with pytest.raises(BadCredentials) as refused:
            registered(name)
        assert reason(refused) == why


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_algorithm(algorithm: int) -> None:
    """Each algorithm that is offered enrols and signs in; a signature of another key does not."""
    device = SoftAuthenticator(algorithm=algorithm)
    known = enrolled(device)
    assert signed_in(device, known) == 0
    with pytest.raises(BadCredentials) as refused:
        signed_in(SoftAuthenticator(algorithm=algorithm, credential=device.credential), known)
    assert reason(refused) == "passkey_signature"


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost:3351",
        "http://localhost",
        "https://localhost:3350",
        "http://localhost:3350/",
        "http://LOCALHOST:3350",
        "http://127.0.0.1:3350",
        "http://app.localhost:3350",
        "null",
        "",
    ],
)
@pytest.mark.parametrize("act", [enrolled, lambda device: signed_in(device, enrolled(SoftAuthenticator()))])
def test_other_origins(origin: str, act: Callable[[SoftAuthenticator], object]) -> None:
    """The origin is herod's byte for byte, with its port: another page may have RP ID localhost as well."""
    with pytest.raises(BadCredentials, match="http://localhost:3350") as refused:
        act(SoftAuthenticator(origin=origin))
    assert reason(refused) == "origin"


@pytest.mark.parametrize(
    "more", [{"crossOrigin": True}, {"topOrigin": "http://localhost:1"}, {"crossOrigin": None}, {"crossOrigin": 0}]
)
def test_inside_another_page(more: dict[str, Any]) -> None:
    """Whatever says that the page was framed by another origin's is refused, at enrolment and at sign-in."""
    device = SoftAuthenticator()
    known = enrolled(device)
    for act in (lambda: enrolled(device, **more), lambda: signed_in(device, known, **more)):
        with pytest.raises(BadCredentials) as refused:
            act()
        assert reason(refused) == "cross_origin"


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (UP, "not_verified"),
        (UV, "not_verified"),
        (0, "not_verified"),
        (UP | UV | BS, "unreadable_passkey"),
    ],
)
def test_flags(flags: int, why: str) -> None:
    """The person must be present and verified; what is not backup-eligible cannot be backed up."""
    device = SoftAuthenticator()
    known = enrolled(device)
    device.flags = flags
    for act in (lambda: enrolled(device), lambda: signed_in(device, known)):
        with pytest.raises(BadCredentials) as refused:
            act()
        assert reason(refused) == why


def test_backup_flags() -> None:
    """Eligibility never changes; the state may."""
    device = SoftAuthenticator(flags=UP | UV | BE)
    known = enrolled(device)
    assert (known.is_synced, known.is_backed_up) == (True, False)
    device.flags = UP | UV | BE | BS
    state = verify_assertion(HEROD, asserted(device), public_key=known.public_key, counter=0, is_synced=True)
    assert state.is_backed_up
    device.flags = UP | UV
    with pytest.raises(BadCredentials) as refused:
        signed_in(device, known)
    assert reason(refused) == "passkey_changed"


def test_counter() -> None:
    """A counter advances; one that stays, goes back, or stops counting is a copy's. Not counting at all is fine."""
    device = SoftAuthenticator(counter=5)
    known = enrolled(device)
    assert known.counter == 6
    known = replace(known, counter=signed_in(device, known))
    assert known.counter == 7
    for at in (6, 5, 1):
        device.counter = at
        with pytest.raises(BadCredentials) as refused:
            signed_in(device, known)
        assert reason(refused) == "passkey_copied"
    device.counter = 0
    with pytest.raises(BadCredentials) as refused:
        signed_in(device, known)
    assert reason(refused) == "passkey_copied"
    device.counter = 7
    assert signed_in(device, known) == 8


def test_other_relying_party() -> None:
    """A passkey for another host is refused."""
    device = SoftAuthenticator()
    known = enrolled(device)
    device.rp_id = "example.org"
    for act in (lambda: enrolled(device), lambda: signed_in(device, known)):
        with pytest.raises(BadCredentials) as refused:
            act()
        assert reason(refused) == "relying_party"


def test_types_are_not_exchanged() -> None:
    """A registration is no assertion, and the reverse."""
    device = SoftAuthenticator()
    known = enrolled(device)
    with pytest.raises(BadCredentials):
        signed_in(device, known, said_type="webauthn.create")
    with pytest.raises(BadCredentials):
        enrolled(device, said_type="webauthn.get")


def test_what_was_signed() -> None:
    """One bit less in what was signed, or in the signature, is refused."""
    device = SoftAuthenticator()
    known = enrolled(device)
    good = asserted(device)
    bad = [
        replace(good, signature=good.signature[:-1] + bytes([good.signature[-1] ^ 1])),
        replace(good, signature=b""),
        replace(good, answer=replace(good.answer, raw=good.answer.raw + b" ")),
    ]
    for assertion in bad:
        with pytest.raises(BadCredentials) as refused:
            verify_assertion(HEROD, assertion, public_key=known.public_key, counter=0, is_synced=False)
        assert reason(refused) == "passkey_signature"


@pytest.mark.parametrize("algorithm", [-35, -37, -9, 5])
def test_algorithms_that_were_not_offered(algorithm: int) -> None:
    """A key says an algorithm that herod offers, or is refused."""
    device = SoftAuthenticator(said_algorithm=algorithm)
    with pytest.raises(BadCredentials) as refused:
        enrolled(device)
    assert reason(refused) == "passkey_algorithm"


def test_a_broken_key() -> None:
    """A key of another algorithm than it says, which could verify nothing, is not enrolled."""
    with pytest.raises(BadCredentials) as refused:
        enrolled(SoftAuthenticator(said_algorithm=-257))
    assert reason(refused) == "unreadable_passkey"


@given(st.binary(max_size=200), st.binary(max_size=200), st.text(max_size=40))
def test_noise(first: bytes, second: bytes, third: str) -> None:
    """Whatever is sent is refused in words, and nothing else is raised."""
    device = SoftAuthenticator()
    good = device.sign_in(CHALLENGE)
    for fields in ((b64(first), b64(second)), (third, third), (good["client_data"], b64(second))):
        with pytest.raises(BadCredentials):
            read_registration(*fields)
    for texts in (
        (b64(first), b64(second), b64(first), b64(second), b64(first)),
        (third, third, third, third, third),
        (good["credential"], good["client_data"], b64(second), good["signature"], good["user_handle"]),
    ):
        try:
            read_assertion(*texts)
        except BadCredentials:
            continue


@pytest.mark.parametrize("raw", [b"[" * 4000, b'{"a":' * 800, b"\x81" * 3000, b"\x9f" * 3000, b"\xff" * 3000])
def test_deep_nesting(raw: bytes) -> None:
    """Deeply nested answers are unreadable, not errors."""
    with pytest.raises(BadCredentials):
        read_registration(b64(raw), b64(raw))
    with pytest.raises(BadCredentials):
        read_registration(SoftAuthenticator().enrol(CHALLENGE)["client_data"], b64(raw))


def test_texts_that_are_none() -> None:
    """A type, challenge or origin that is no text is unreadable."""
    good = SoftAuthenticator().enrol(CHALLENGE)
    with pytest.raises(BadCredentials) as refused:
        read_registration(b64(b'{"type":1,"challenge":"YQ","origin":"x"}'), good["attestation"])
    assert reason(refused) == "unreadable_passkey"


def test_a_registration_without_a_key() -> None:
    """What holds no key is not enrolled."""
    device = SoftAuthenticator()
    answer, data = read_registration(*device.enrol(CHALLENGE).values())
    without = AuthenticatorData(bytes(data)[:32] + bytes([UP | UV]) + bytes(4))
    with pytest.raises(BadCredentials) as refused:
        verify_registration(HEROD, answer, without)
    assert reason(refused) == "unreadable_passkey"


def test_a_stored_key_of_another_form() -> None:
    """A stored key that is no map verifies nothing."""
    device = SoftAuthenticator()
    known = replace(enrolled(device), public_key=cbor.encode([1, 2]))
    with pytest.raises(BadCredentials):
        signed_in(device, known)


def test_too_long() -> None:
    """A part over its limit is not parsed."""
    with pytest.raises(BadCredentials) as refused:
        read_assertion(b64(bytes(5000)), "", "", "", "")
    assert reason(refused) == "unreadable_passkey"


def test_ids() -> None:
    """A passkey's id is of its credential id, under this store's key, and does not show it."""
    ring = Keyring(bytes(32))
    assert passkey_id(ring, b"one") == passkey_id(ring, b"one") != passkey_id(ring, b"two")
    assert passkey_id(ring, b"one") != passkey_id(Keyring(b"\1" * 32), b"one")
    assert len(passkey_id(ring, b"one")) == 32
