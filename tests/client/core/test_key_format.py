"""The format of keys, secrets and ids, from one table."""

import re
import uuid
from binascii import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herod_client.core import key_format
from herod_client.core.errors import BadCredentials
from herod_client.core.key_format import (
    KeyKind,
    ParsedKey,
    client_secret_of,
    has_checksum,
    looks_like_client_secret,
    looks_like_key,
    new_client_secret,
    new_id,
    new_key,
    new_key_id,
    new_opaque,
    parse_key,
)

ID = "0Az9bcDEfgHI"
SECRET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg"

# text ↔ its parts, tested in both directions
KEYS = [
    ("herod_u_0Az9bcDEfgHI_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg1PAam7", ParsedKey(KeyKind.USER, ID, SECRET)),
    ("herod_s_0Az9bcDEfgHI_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg0kiVtk", ParsedKey(KeyKind.SERVICE, ID, SECRET)),
    # a checksum with leading zeros
    (
        "herod_u_000000000000_000000000000000000000000000000000000000002r00V3bF",
        ParsedKey(KeyKind.USER, "0" * 12, "000000000000000000000000000000000000000002r"),
    ),
]
USER_KEY = KEYS[0][0]

MALFORMED = [
    pytest.param("", id="empty"),
    pytest.param("herod_u_", id="prefix alone"),
    pytest.param("herod_x" + USER_KEY[7:], id="unknown kind"),
    pytest.param("HEROD_U" + USER_KEY[7:], id="prefix in capitals"),
    pytest.param("herod_c" + USER_KEY[7:], id="kind of a client secret"),
    pytest.param(USER_KEY[:-1], id="one short"),
    pytest.param(USER_KEY + "0", id="one long"),
    pytest.param(USER_KEY + "\n", id="newline after"),
    pytest.param(" " + USER_KEY, id="space before"),
    pytest.param(USER_KEY.replace("A", "-"), id="foreign character"),
    pytest.param(USER_KEY.replace("0", "\N{ARABIC-INDIC DIGIT ZERO}"), id="digits of another script"),
    pytest.param(USER_KEY.replace("_", "-"), id="dashes"),
    pytest.param(USER_KEY[:20] + USER_KEY[21:], id="no separator"),
    pytest.param(USER_KEY[:30] + "\ud800" + USER_KEY[31:], id="lone surrogate"),
]


class TestKey:
    """API keys."""

    @pytest.mark.parametrize(("text", "parsed"), KEYS)
    def test_read(self, text: str, parsed: ParsedKey) -> None:
        """A valid key parses to its parts."""
        assert parse_key(text) == parsed

    @pytest.mark.parametrize(("text", "parsed"), KEYS)
    def test_written(self, monkeypatch: pytest.MonkeyPatch, text: str, parsed: ParsedKey) -> None:
        """The parts are formatted as that key."""
        monkeypatch.setattr(key_format, "new_opaque", lambda: parsed.secret)
        assert new_key(parsed.kind, parsed.id) == text

    @pytest.mark.parametrize("text", MALFORMED)
    def test_malformed(self, text: str) -> None:
        """A malformed key is refused before any lookup."""
        with pytest.raises(BadCredentials) as caught:
            parse_key(text)
        assert caught.value.reason == "malformed"
        assert not has_checksum(text)

    @given(kind=st.sampled_from(KeyKind))
    def test_round_trip(self, kind: KeyKind) -> None:
        """A new key has the documented format, parses to its parts and looks like a key."""
        key_id = new_key_id()
        text = new_key(kind, key_id)
        assert re.fullmatch(r"herod_[us]_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}", text)
        parsed = parse_key(text)
        assert (parsed.kind, parsed.id) == (kind, key_id)
        assert parsed.secret == text[21:64]
        assert looks_like_key(text)
        assert has_checksum(text)

    @given(position=st.integers(8, 69), char=st.sampled_from(key_format.ALPHABET))
    def test_a_typing_error_is_found(self, position: int, char: str) -> None:
        """A changed character is always detected: CRC-32 finds every burst error of up to 32 bits."""
        if position == 20 or USER_KEY[position] == char:
            return
        with pytest.raises(BadCredentials) as caught:
            parse_key(USER_KEY[:position] + char + USER_KEY[position + 1 :])
        assert caught.value.reason == "checksum"

    def test_kinds_are_checked_too(self) -> None:
        """Changing the kind letter does not turn a user key into a service key."""
        with pytest.raises(BadCredentials) as caught:
            parse_key("herod_s" + USER_KEY[7:])
        assert caught.value.reason == "checksum"

    @given(text=st.text())
    def test_never_another_error(self, text: str) -> None:
        """Any text is parsed as a key or refused, without another error."""
        with pytest.raises(BadCredentials):
            parse_key(text)

    def test_errors_say_nothing_of_the_key(self) -> None:
        """A refusal contains no character of the secret."""
        with pytest.raises(BadCredentials) as caught:
            parse_key(USER_KEY[:-1])
        assert SECRET[:10] not in f"{caught.value} {caught.value.message} {caught.value.hint}"

    @pytest.mark.parametrize("key_id", ["", "short", "0" * 13, "0" * 11 + "_", "0" * 12 + "\n"])
    def test_only_for_key_ids(self, key_id: str) -> None:
        """An invalid key id is a programming error."""
        with pytest.raises(ValueError, match="not a key id"):
            new_key(KeyKind.USER, key_id)

    def test_repr_keeps_the_secret(self) -> None:
        """The `repr` of a parsed key shows no secret."""
        assert SECRET not in repr(parse_key(USER_KEY))


class TestClientSecret:
    """Client secrets."""

    def test_form(self) -> None:
        """A client secret is prefix, 43 characters and their checksum."""
        secret = new_client_secret()
        assert re.fullmatch(r"herod_c_[0-9A-Za-z]{49}", secret)
        assert looks_like_client_secret(secret)
        assert not looks_like_key(secret)
        assert has_checksum(secret)

    def test_derived(self) -> None:
        """A derived secret has the form of a random one, and needs 256 bits."""
        assert client_secret_of(bytes(32)) == "herod_c_" + "0" * 43 + "4YRWUa"
        assert has_checksum(client_secret_of(b"\xff" * 32))
        for length in (0, 31, 33):
            with pytest.raises(ValueError, match="32 bytes"):
                client_secret_of(bytes(length))

    def test_checksum(self) -> None:
        """A changed last character fails the checksum."""
        secret = new_client_secret()
        assert not has_checksum(secret[:-1] + ("0" if secret[-1] != "0" else "1"))


@pytest.mark.parametrize(
    ("text", "key", "client_secret"),
    [
        ("herod_u_", True, False),
        ("herod_s_mistyped", True, False),
        ("herod_c_mistyped", False, True),
        ("herod_x_", False, False),
        ("HEROD_U_", False, False),
        (" herod_u_", False, False),
        ("", False, False),
        ("eyJhbGciOiJIUzI1NiJ9.e30.x", False, False),
    ],
)
def test_looks(text: str, key: bool, client_secret: bool) -> None:
    """The prefix identifies the intended kind of credential, however malformed the rest."""
    assert looks_like_key(text) is key
    assert looks_like_client_secret(text) is client_secret


def test_random_values() -> None:
    """Ids and opaque values have their format and do not repeat."""
    key_ids = {new_key_id() for _ in range(200)}
    opaque = {new_opaque() for _ in range(200)}
    ids = {new_id() for _ in range(200)}
    assert len(key_ids) == len(opaque) == len(ids) == 200
    assert all(re.fullmatch(r"[0-9A-Za-z]{12}", value) for value in key_ids)
    assert all(re.fullmatch(r"[0-9A-Za-z]{43}", value) for value in opaque)
    parsed = [uuid.UUID(value) for value in ids]
    assert all(value.version == 4 and value.variant == uuid.RFC_4122 for value in parsed)
    assert {str(value) for value in parsed} == ids


@given(number=st.integers(0, 2**256 - 1))
def test_base62(number: int) -> None:
    """43 characters hold any 256-bit number."""
    text = key_format.base62(number, key_format.SECRET_CHARS)
    value = 0
    for char in text:
        value = value * 62 + key_format.ALPHABET.index(char)
    assert value == number


def test_checksum_is_crc32() -> None:
    """The checksum is CRC-32 (zlib, PNG) of everything before it, so that common tools can compute it."""
    value = 0
    for char in USER_KEY[-6:]:
        value = value * 62 + key_format.ALPHABET.index(char)
    assert value == crc32(USER_KEY[:-6].encode())
