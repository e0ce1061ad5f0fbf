"""Envelopes open only with the key and associated data they were sealed with."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herod.credentials.sealing import SealBroken, pack_fields, seal, unseal

KEY = bytes(range(32))
OTHER_KEY = bytes(32)
PLAINTEXT = b"what is kept"
ASSOCIATED = b"where it stands"

# Changing the format would break every stored row.
KNOWN_ENVELOPE = bytes.fromhex("0100000000000000000000000079d4d4aa9545f09d63cdd9411f2126495ade02bda04ebce07b578bff")

fields = st.lists(st.binary(max_size=20), max_size=5)


@given(plaintext=st.binary(max_size=400), associated=st.binary(max_size=80), key=st.binary(min_size=32, max_size=32))
def test_opens_where_it_was_sealed(plaintext: bytes, associated: bytes, key: bytes) -> None:
    """An envelope opens with the same key and associated data."""
    assert unseal(key, seal(key, plaintext, associated), associated) == plaintext


def test_known_envelope() -> None:
    """The format has not changed since the first version."""
    assert unseal(KEY, KNOWN_ENVELOPE, ASSOCIATED) == PLAINTEXT


def test_nonce_is_fresh() -> None:
    """Sealing the same plaintext twice gives different envelopes."""
    assert len({seal(KEY, PLAINTEXT, ASSOCIATED) for _ in range(50)}) == 50


@given(data=st.data())
def test_a_flipped_bit_breaks_it(data: st.DataObject) -> None:
    """A change to any byte of an envelope is detected, including the version."""
    sealed = bytearray(seal(KEY, PLAINTEXT, ASSOCIATED))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(SealBroken):
        unseal(KEY, bytes(sealed), ASSOCIATED)


@pytest.mark.parametrize(
    ("key", "sealed", "associated"),
    [
        pytest.param(OTHER_KEY, KNOWN_ENVELOPE, ASSOCIATED, id="another key"),
        pytest.param(KEY, KNOWN_ENVELOPE, b"elsewhere", id="another place"),
        pytest.param(KEY, KNOWN_ENVELOPE, b"", id="no place"),
        pytest.param(KEY, b"", ASSOCIATED, id="empty"),
        pytest.param(KEY, KNOWN_ENVELOPE[:28], ASSOCIATED, id="shorter than any"),
        pytest.param(KEY, KNOWN_ENVELOPE[:-1], ASSOCIATED, id="truncated"),
        pytest.param(KEY, KNOWN_ENVELOPE + b"\0", ASSOCIATED, id="longer"),
        pytest.param(KEY, b"\x02" + KNOWN_ENVELOPE[1:], ASSOCIATED, id="unknown version"),
    ],
)
def test_broken_seals_look_alike(key: bytes, sealed: bytes, associated: bytes) -> None:
    """All failures to open give the same error."""
    with pytest.raises(SealBroken, match=r"^the envelope does not open$"):
        unseal(key, sealed, associated)


@pytest.mark.parametrize("length", [0, 16, 24, 31, 33])
def test_only_256_bit_keys(length: int) -> None:
    """A key of another AES size is a programming error, not another cipher."""
    with pytest.raises(ValueError, match="32 bytes"):
        seal(bytes(length), PLAINTEXT, ASSOCIATED)
    with pytest.raises(ValueError, match="32 bytes"):
        unseal(bytes(length), KNOWN_ENVELOPE, ASSOCIATED)


@given(first=fields, second=fields)
def test_packing_is_unambiguous(first: list[bytes], second: list[bytes]) -> None:
    """Two lists of fields pack alike only if they are equal."""
    assert (pack_fields(*first) == pack_fields(*second)) == (first == second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((b"ab", b"c"), (b"a", b"bc")),
        ((b"", b"a"), (b"a", b"")),
        ((b"a",), (b"a", b"")),
        ((), (b"",)),
        ((b"\0\0\0\1a",), (b"a",)),
    ],
)
def test_packing_keeps_near_misses_apart(first: tuple[bytes, ...], second: tuple[bytes, ...]) -> None:
    """Moving a field boundary changes the packed bytes."""
    assert pack_fields(*first) != pack_fields(*second)


def test_packing_is_what_it_was() -> None:
    """Packing has not changed, because stored MACs and envelopes depend on it."""
    assert pack_fields(b"ab", b"") == b"\0\0\0\2ab\0\0\0\0"
