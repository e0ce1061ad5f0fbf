"""Codes of authenticator apps, against RFC 6238's test vectors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herod.credentials.factors.totp import STEP_SECONDS, new_totp_secret, totp_address, totp_secret_text, totp_step

SECRET = b"12345678901234567890"
# RFC 6238, appendix B, SHA-1: Unix seconds → the last six of eight digits
VECTORS = {
    59: "287082",
    1111111109: "081804",
    1111111111: "050471",
    1234567890: "005924",
    2000000000: "279037",
    20000000000: "353130",
}


@pytest.mark.parametrize(("now", "code"), VECTORS.items())
def test_vectors(now: int, code: str) -> None:
    """Each code is right at its time, for a step before and after it, and no further."""
    step = now // STEP_SECONDS
    assert totp_step(SECRET, code, now=now, after=-1) == step
    for beside in (-1, 1):
        assert totp_step(SECRET, code, now=now + beside * STEP_SECONDS, after=-1) == step
    for beside in (-2, 2):
        if now + beside * STEP_SECONDS >= 0:
            assert totp_step(SECRET, code, now=now + beside * STEP_SECONDS, after=-1) is None


@pytest.mark.parametrize(("now", "code"), VECTORS.items())
def test_once(now: int, code: str) -> None:
    """A code, and those of earlier steps, are refused once it was accepted."""
    step = now // STEP_SECONDS
    assert totp_step(SECRET, code, now=now, after=step) is None
    assert totp_step(SECRET, code, now=now, after=step + 1) is None
    assert totp_step(SECRET, code, now=now, after=step - 1) == step


@given(st.text(max_size=12))
def test_noise(code: str) -> None:
    """Nothing that is typed raises, and hardly anything is right."""
    step = totp_step(SECRET, code, now=1234567890, after=-1)
    assert step is None or (code.isascii() and len(code) == 6)


def test_near_the_epoch() -> None:
    """A clock at zero has no step before it."""
    assert totp_step(SECRET, "755224", now=0, after=-1) == 0


def test_secrets() -> None:
    """Secrets are random, and typed in groups of four letters."""
    assert new_totp_secret() != new_totp_secret()
    assert totp_secret_text(SECRET) == "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ"


def test_address() -> None:
    """The address that apps scan names the account, its issuer, and how codes are made."""
    address = totp_address(SECRET, account="ada lovelace@example.org", issuer="herod (localhost)")
    assert address.startswith("otpauth://totp/herod%20%28localhost%29:ada%20lovelace%40example.org?")
    for part in (
        "secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
        "issuer=herod%20%28localhost%29",
        "algorithm=SHA1",
        "digits=6",
        "period=30",
    ):
        assert part in address
