"""Password rules and password hashes."""

import hashlib
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herod.credentials.passwords import (
    DECOY_PHC,
    MAX_CHARS,
    MIN_CHARS,
    OWASP_2024,
    MalformedHash,
    check_hash,
    check_password,
    hash_password,
    needs_rehash,
    verify_password,
    wrap_hero_auth_hash,
)
from herod_client.core.errors import InvalidRequest

PASSWORD = "correct horse battery"
PHC = hash_password(PASSWORD)
HERO_AUTH_HEX = hashlib.sha256(b"short").hexdigest()
HERO_AUTH_PHC = wrap_hero_auth_hash(HERO_AUTH_HEX)

DECOMPOSED = "e\N{COMBINING ACUTE ACCENT}"
LIGATURE = "\N{LATIN SMALL LIGATURE FFI}"  # three characters in NFKC


class TestCheck:
    """The password rules."""

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param("a" * 12, id="shortest"),
            pytest.param("a" * 128, id="longest"),
            pytest.param(" " * 12, id="spaces count"),
            pytest.param("пароль пароль", id="another script"),
            pytest.param("🔑" * 12, id="beyond the basic plane"),
            pytest.param("👩\N{ZERO WIDTH JOINER}💻" * 4, id="joined emoji"),
            pytest.param(DECOMPOSED * 128, id="128 after normalisation"),
            pytest.param(LIGATURE * 4, id="12 after normalisation"),
        ],
    )
    def test_allowed(self, text: str) -> None:
        """Length is counted in characters of the normal form, and every script is allowed."""
        check_password(text)

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            pytest.param("", "too short", id="empty"),
            pytest.param("a" * 11, "too short", id="one short"),
            pytest.param(DECOMPOSED * 11, "too short", id="11 after normalisation"),
            pytest.param("a" * 129, "too long", id="one long"),
            pytest.param(LIGATURE * 43, "too long", id="129 after normalisation"),
            pytest.param("a" * 65536, "too long", id="a whole body"),
            pytest.param("\N{COMBINING ACUTE ACCENT}\N{COMBINING CEDILLA}" * 30000, "too long", id="marks"),
            pytest.param("a" * 12 + "\n", "control", id="newline"),
            pytest.param("a" * 12 + "\0", "control", id="NUL"),
            pytest.param("a" * 12 + "\x7f", "control", id="delete"),
            pytest.param("a" * 12 + "\ud800", "control", id="lone surrogate"),
            pytest.param("a" * 12 + "\uffff", "unassigned", id="no character"),
        ],
    )
    def test_refused(self, text: str, says: str) -> None:
        """A refused password gets an error that says what to change and does not repeat it."""
        with pytest.raises(InvalidRequest, match=says) as caught:
            check_password(text)
        assert "aaaa" not in caught.value.message

    @given(text=st.text(max_size=200))
    def test_never_another_error(self, text: str) -> None:
        """Every text is accepted or refused without any other error."""
        try:
            check_password(text)
        except InvalidRequest:
            return
        assert MIN_CHARS <= len(unicodedata.normalize("NFKC", text)) <= MAX_CHARS


class TestHash:
    """The password hash."""

    def test_preset_is_owasp(self) -> None:
        """The cost is OWASP's 19 MiB, two passes, one lane, and is in the hash."""
        assert (OWASP_2024.memory_kib, OWASP_2024.passes, OWASP_2024.lanes) == (19456, 2, 1)
        assert re.fullmatch(r"\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}", PHC)

    def test_right_and_wrong(self) -> None:
        """The right password verifies, and similar ones do not."""
        assert verify_password(PASSWORD, PHC)
        for wrong in ("", PASSWORD[:-1], PASSWORD + " ", PASSWORD.upper(), PASSWORD + "\0"):
            assert not verify_password(wrong, PHC)

    def test_salted(self) -> None:
        """Hashing the same password twice gives different hashes."""
        assert hash_password(PASSWORD) != PHC

    def test_nothing_is_truncated(self) -> None:
        """The last of 128 characters is significant."""
        phc = hash_password("a" * 127 + "b")
        assert verify_password("a" * 127 + "b", phc)
        assert not verify_password("a" * 128, phc)

    def test_keyboards_agree(self) -> None:
        """Composed and decomposed, full-width and plain forms are the same password."""
        assert verify_password(f"caf{DECOMPOSED} password", hash_password("caf\u00e9 password"))
        assert verify_password("\uff50\uff41ssword password", hash_password("password password"))

    def test_a_long_text_is_taken_as_it_is(self) -> None:
        """A text far over the limit is neither normalized, which would take quadratic time, nor truncated."""
        phc = hash_password("\u00e9" * 2000)
        assert verify_password("\u00e9" * 2000, phc)
        assert not verify_password(DECOMPOSED * 2000, phc)

    @pytest.mark.parametrize("text", ["\ud800" * 12, "x" * 65536, "\N{COMBINING ACUTE ACCENT}" * 65536])
    def test_odd_text_is_a_mismatch(self, text: str) -> None:
        """Any presented text that does not match is a mismatch, not an error."""
        assert not verify_password(text, PHC)

    def test_decoy(self) -> None:
        """The decoy hash costs as much as a real one, and never verifies."""
        assert DECOY_PHC.startswith(PHC[: len(OWASP_2024.prefix)])
        assert len(DECOY_PHC) == len(PHC)
        assert not needs_rehash(DECOY_PHC)
        assert not verify_password(PASSWORD, DECOY_PHC)

    @pytest.mark.parametrize(
        "phc",
        [
            pytest.param("", id="empty"),
            pytest.param("plain text", id="no hash"),
            pytest.param(PHC[:-30], id="truncated"),
            pytest.param(PHC + "\n", id="newline"),
            pytest.param(PHC.replace("argon2id", "argon2i"), id="another function"),
            pytest.param(PHC.replace("v=19", "v=16"), id="another version"),
            pytest.param(PHC.replace("m=19456", "m=99999999"), id="too much memory"),
            pytest.param(PHC.replace("m=19456", "m=1"), id="too little memory"),
            pytest.param(PHC.replace("p=1", "p=0"), id="no lanes"),
            pytest.param("hero_auth:" + HERO_AUTH_HEX, id="carried over without Argon2id"),
        ],
    )
    def test_damaged(self, phc: str) -> None:
        """A damaged hash is an internal error, not a wrong password."""
        with pytest.raises(MalformedHash):
            verify_password(PASSWORD, phc)

    @pytest.mark.parametrize(
        ("phc", "needs"),
        [
            pytest.param(PHC, False, id="as it should be"),
            pytest.param(PHC.replace("m=19456", "m=9216"), True, id="less memory"),
            pytest.param(PHC.replace("t=2", "t=3"), True, id="more passes"),
            pytest.param(HERO_AUTH_PHC, True, id="carried over"),
        ],
    )
    def test_needs_rehash(self, phc: str, needs: bool) -> None:
        """A hash with another cost, or imported, is replaced at the next sign-in."""
        assert needs_rehash(phc) is needs


class TestHeroAuth:
    """Password hashes imported from Hero Auth."""

    def test_verifies(self) -> None:
        """The old password verifies, and the old hash does not."""
        assert verify_password("short", HERO_AUTH_PHC)
        assert not verify_password("shorT", HERO_AUTH_PHC)
        assert not verify_password(HERO_AUTH_HEX, HERO_AUTH_PHC)
        assert not verify_password("\ud800", HERO_AUTH_PHC)

    def test_the_old_hash_is_not_kept(self) -> None:
        """The stored form does not contain the fast hash."""
        assert HERO_AUTH_HEX not in HERO_AUTH_PHC

    def test_bytes_as_typed(self) -> None:
        """Imported hashes are checked without normalization, as Hero Auth computed them."""
        phc = wrap_hero_auth_hash(hashlib.sha256(DECOMPOSED.encode()).hexdigest().upper())
        assert verify_password(DECOMPOSED, phc)
        assert not verify_password("\u00e9", phc)

    @pytest.mark.parametrize(
        "text", ["", "0" * 63, "0" * 65, "g" * 64, "0" * 64 + "\n", "\N{ARABIC-INDIC DIGIT ZERO}" * 64]
    )
    def test_only_sha256(self, text: str) -> None:
        """Only a hexadecimal SHA-256 is accepted."""
        with pytest.raises(InvalidRequest, match="64 hexadecimal digits"):
            wrap_hero_auth_hash(text)


SALT_AND_TAG = f"{'A' * 22}${'A' * 43}"


@pytest.mark.parametrize(
    "phc",
    [
        hash_password("correct horse battery"),
        wrap_hero_auth_hash("ab" * 32),
        f"$argon2id$v=19$m=65536,t=3,p=4${SALT_AND_TAG}",
        f"$argon2id$v=19$m=8,t=1,p=1${SALT_AND_TAG}",
    ],
    ids=["own", "carried over", "dearer", "cheaper"],  # the first two are salted anew in each process
)
def test_hashes_that_may_be_taken_over(phc: str) -> None:
    """Herod's hashes and those with recommended costs can be imported, and are checked without an error."""
    check_hash(phc)
    assert not verify_password("something else", phc)


@pytest.mark.parametrize(
    "phc",
    [
        "", "ab" * 32, "hero_auth:" + "ab" * 32, f"$argon2i$v=19$m=65536,t=3,p=4${SALT_AND_TAG}",
        f"$argon2id$v=19$m=4194304,t=2,p=1${SALT_AND_TAG}",  # 4 GiB
        f"$argon2id$v=19$m=19456,t=500,p=1${SALT_AND_TAG}",
        f"$argon2id$v=19$m=19456,t=2,p=99${SALT_AND_TAG}",
        f"$argon2id$v=19$m=8,t=2,p=4${SALT_AND_TAG}",  # RFC 9106: at least 8 KiB per lane
        f"$argon2id$v=19$m=19456,t=2,p=1${'A' * 21}${'A' * 43}",  # not a valid Base64 length
        f"$argon2id$v=19$m=19456,t=2,p=1${'A' * 21}B${'A' * 43}",  # non-canonical trailing bits
    ],
)  # fmt: skip
def test_hashes_that_may_not(phc: str) -> None:
    """Hashes in another format, or with a cost that would block the daemon, are refused."""
    with pytest.raises(InvalidRequest):
        check_hash(phc)
