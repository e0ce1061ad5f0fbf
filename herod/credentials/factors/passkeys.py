"""Passkeys: what a browser's authenticator says, verified as WebAuthn 3 demands. Pure: no store, no clock.

The relying party is herod's public URL. Its id is the URL's host, which every port of that host shares: another user of
this machine may serve a page on another port of `localhost`, and have a passkey of herod's answer there. So the origin
must be herod's own, byte for byte, with its port; and nothing is accepted from a page inside another origin's.

Attestation is neither asked for nor looked at: which make an authenticator is of does not matter here.
"""

import base64
import binascii
import hashlib
import hmac
import json
import struct
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from fido2 import cbor
from fido2.cose import ES256, RS256, CoseKey, EdDSA
from fido2.webauthn import AttestationObject, AuthenticatorData

from herod.credentials.keyring import Keyring
from herod.credentials.secret_hashes import hash_secret
from herod_client.core.errors import BadCredentials

__all__ = [
    "ALGORITHMS",
    "Answer",
    "Assertion",
    "EnrolledPasskey",
    "PasskeyState",
    "RelyingParty",
    "passkey_id",
    "read_assertion",
    "read_registration",
    "verify_assertion",
    "verify_registration",
]

# COSE numbers, the best first. Every authenticator has one of them.
ALGORITHMS: Final = (EdDSA.ALGORITHM, ES256.ALGORITHM, RS256.ALGORITHM)
MAX_CREDENTIAL_BYTES: Final = 1023  # WebAuthn 3, section 4, "credential id"
MAX_KEY_BYTES: Final = 600  # an RSA key of 4096 bits has 526
# Decoded, each part of what a browser sends. Parsing takes time by the square of it: 1 ms for these.
MAX_PART_BYTES: Final = 4096
ID_BYTES: Final = 16
# What parsers of hostile bytes raise.
_UNREADABLE: Final = (
    ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, RecursionError, struct.error,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """Whom a passkey is for.

    Attributes:
        id: a host name.
        origin: `scheme://host[:port]`, as browsers write it.
    """

    id: str
    origin: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the browser says about the page that asked, and the challenge that was signed (section 5.8.1).

    Attributes:
        raw: its bytes: the authenticator signed their hash.
    """

    raw: bytes = field(repr=False)
    type: str
    challenge: bytes = field(repr=False)
    origin: str
    is_framed: bool


@dataclass(frozen=True, slots=True)
class Assertion:
    """A passkey's answer at sign-in, not yet verified (section 5.2.2)."""

    credential: bytes
    user_handle: bytes = field(repr=False)
    answer: Answer
    data: AuthenticatorData = field(repr=False)
    signature: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class EnrolledPasskey:
    """A new passkey: the fields are those of the record `Passkey`."""

    credential: bytes
    public_key: bytes = field(repr=False)
    counter: int
    is_synced: bool
    is_backed_up: bool


@dataclass(frozen=True, slots=True)
class PasskeyState:
    """What changes with each use."""

    counter: int
    is_backed_up: bool


def passkey_id(keyring: Keyring, credential: bytes) -> str:
    """The id of the record of a passkey, by its credential id."""
    return hash_secret(keyring, "passkey", "", credential.hex())[:ID_BYTES].hex()


def read_registration(client_data: str, attestation: str) -> tuple[Answer, AuthenticatorData]:
    """What a browser sends after it has made a passkey; both texts are base64url.

    Raises:
        BadCredentials: it cannot be read.
    """
    try:
        return _answer(_bytes(client_data)), AttestationObject(_bytes(attestation)).auth_data
    except _UNREADABLE:
        raise _unreadable() from None


def read_assertion(credential: str, client_data: str, data: str, signature: str, user_handle: str) -> Assertion:
    """What a browser sends after a passkey has answered; all texts are base64url.

    Raises:
        BadCredentials: it cannot be read.
    """
    try:
        return Assertion(
            credential=_bytes(credential),
            user_handle=_bytes(user_handle),
            answer=_answer(_bytes(client_data)),
            data=AuthenticatorData(_bytes(data)),
            signature=_bytes(signature),
        )
    except _UNREADABLE:
        raise _unreadable() from None


def verify_registration(party: RelyingParty, answer: Answer, data: AuthenticatorData) -> EnrolledPasskey:
    """The new passkey (WebAuthn 3, section 7.1). The caller has verified the challenge.

    Raises:
        BadCredentials: it is for another page, nobody was verified, or it is of a kind that herod does not support.
    """
    _check_page(party, answer, "webauthn.create")
    _check_person(party, data)
    made = data.credential_data
    if made is None or not 0 < len(made.credential_id) <= MAX_CREDENTIAL_BYTES:
        raise _unreadable()
    return EnrolledPasskey(
        credential=made.credential_id,
        public_key=_packed_key(made.public_key),
        counter=data.counter,
        is_synced=data.is_backup_eligible(),
        is_backed_up=data.is_backed_up(),
    )


def verify_assertion(
    party: RelyingParty, assertion: Assertion, *, public_key: bytes, counter: int, is_synced: bool
) -> PasskeyState:
    """The passkey's state after this use (WebAuthn 3, section 7.2). The caller has verified challenge and user handle.

    Args:
        party: herod.
        assertion: the answer.
        public_key: the passkey's.
        counter: its last one.
        is_synced: as when it was enrolled.

    Raises:
        BadCredentials: it is for another page, nobody was verified, or the signature is wrong; or the counter did not
            advance (reason `passkey_copied`).
    """
    _check_page(party, assertion.answer, "webauthn.get")
    _check_person(party, assertion.data)
    if assertion.data.is_backup_eligible() is not is_synced:  # step 18: it never changes
        raise BadCredentials("This passkey is not the one that was enrolled.", reason="passkey_changed")
    signed = bytes(assertion.data) + hashlib.sha256(assertion.answer.raw).digest()
    try:
        CoseKey.parse(_cose(public_key)).verify(signed, assertion.signature)
    except (InvalidSignature, UnsupportedAlgorithm, *_UNREADABLE):
        raise BadCredentials("This passkey's signature is wrong.", reason="passkey_signature") from None
    if (assertion.data.counter or counter) and assertion.data.counter <= counter:  # step 22
        raise BadCredentials(
            "This passkey's counter went back, so there may be a copy of it: sign in otherwise, delete it, and enrol "
            "it again.",
            reason="passkey_copied",
        )
    return PasskeyState(assertion.data.counter, assertion.data.is_backed_up())


def _check_page(party: RelyingParty, answer: Answer, type: str) -> None:
    if answer.type != type:
        raise _unreadable()
    if answer.origin != party.origin:
        raise BadCredentials(f"A passkey answers on herod's own page alone: open {party.origin}.", reason="origin")
    if answer.is_framed:
        raise BadCredentials(
            f"A passkey does not answer inside another page: open {party.origin} by itself.", reason="cross_origin"
        )


def _check_person(party: RelyingParty, data: AuthenticatorData) -> None:
    if not hmac.compare_digest(data.rp_id_hash, hashlib.sha256(party.id.encode()).digest()):
        raise BadCredentials("This passkey is for another site.", reason="relying_party")
    if not data.is_user_present() or not data.is_user_verified():
        raise BadCredentials(
            "The passkey did not verify who you are: set a PIN, a fingerprint or a screen lock, and try again.",
            reason="not_verified",
        )
    if data.is_backed_up() and not data.is_backup_eligible():
        raise _unreadable()


def _packed_key(key: CoseKey) -> bytes:
    """A new passkey's public key, in CBOR."""
    packed = cbor.encode(dict(key))
    if key.ALGORITHM not in ALGORITHMS or len(packed) > MAX_KEY_BYTES:
        raise BadCredentials("This passkey uses an algorithm that herod does not support.", reason="passkey_algorithm")
    try:
        key.verify(b"", b"")  # it must be a key that can verify something
    except InvalidSignature:
        return packed
    except (UnsupportedAlgorithm, *_UNREADABLE):
        pass
    raise _unreadable()


def _answer(raw: bytes) -> Answer:
    said: dict[str, Any] = json.loads(raw.decode())
    type_, challenge, origin = said["type"], said["challenge"], said["origin"]
    if not all(isinstance(text, str) for text in (type_, challenge, origin)):
        raise ValueError
    # Section 5.8.1: `topOrigin` is there only if `crossOrigin` is true.
    is_framed = said.get("crossOrigin", False) is not False or "topOrigin" in said
    return Answer(raw, type_, _bytes(challenge), origin, is_framed)


def _cose(key: bytes) -> dict[int, Any]:
    found = cbor.decode(key)
    if not isinstance(found, dict):
        raise TypeError
    return found


def _bytes(text: str) -> bytes:
    """Base64url without padding (RFC 4648, section 5), of at most `MAX_PART_BYTES`."""
    if not text.isascii() or "=" in text or len(text) > MAX_PART_BYTES * 4 // 3 + 2:
        raise ValueError
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError from error


def _unreadable() -> BadCredentials:
    return BadCredentials("The browser's answer cannot be read: try again.", reason="unreadable_passkey")
