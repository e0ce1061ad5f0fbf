"""Challenges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herod.credentials.factors.challenges import (
    CHALLENGE_SECONDS,
    ChallengeFor,
    challenge_end,
    challenge_id,
    is_challenge,
    new_challenge,
    new_user_handle,
)
from herod.credentials.keyring import Keyring

RING = Keyring(bytes(32))
NOW = 1_800_000_000
GOOD = new_challenge(RING, ChallengeFor.ENROL, "generation", "session", now=NOW)


def test_for_five_minutes() -> None:
    """A challenge is good from when it was made until it ends, and not before."""
    assert challenge_end(GOOD) == NOW + CHALLENGE_SECONDS
    for now, is_good in [(NOW, True), (NOW + 299, True), (NOW + 300, False), (NOW - 1, False), (0, False)]:
        assert is_challenge(RING, GOOD, ChallengeFor.ENROL, "generation", "session", now=now) is is_good
    assert is_challenge(RING, GOOD, ChallengeFor.ENROL, "generation", "session", now=NOW - 60, skew=60)


@pytest.mark.parametrize(
    ("purpose", "bound"),
    [
        (ChallengeFor.SIGN_IN, ("generation", "session")),
        (ChallengeFor.ENROL, ("generation", "another session")),
        (ChallengeFor.ENROL, ("another", "session")),
        (ChallengeFor.ENROL, ("generationsession",)),
        (ChallengeFor.ENROL, ("generation", "session", "")),
        (ChallengeFor.ENROL, ()),
    ],
)
def test_for_one_thing(purpose: ChallengeFor, bound: tuple[str, ...]) -> None:
    """It is good for its own purpose and session alone."""
    assert not is_challenge(RING, GOOD, purpose, *bound, now=NOW)


def test_of_another_herod() -> None:
    """One with another root made it."""
    assert not is_challenge(Keyring(b"\1" * 32), GOOD, ChallengeFor.ENROL, "generation", "session", now=NOW)


@given(st.integers(0, len(GOOD) * 8 - 1))
def test_each_bit(bit: int) -> None:
    """No bit of it can be changed."""
    changed = bytearray(GOOD)
    changed[bit // 8] ^= 1 << bit % 8
    assert not is_challenge(RING, bytes(changed), ChallengeFor.ENROL, "generation", "session", now=NOW)


@pytest.mark.parametrize("wrong", [b"", GOOD[:-1], GOOD + b"\0", GOOD[:24]], ids=["none", "less", "more", "body"])
def test_other_lengths(wrong: bytes) -> None:
    """A challenge has one length."""
    assert not is_challenge(RING, wrong, ChallengeFor.ENROL, "generation", "session", now=NOW)


def test_ids() -> None:
    """No two challenges are equal, and each has an id that does not show it."""
    other = new_challenge(RING, ChallengeFor.ENROL, "generation", "session", now=NOW)
    assert other != GOOD
    assert challenge_id(RING, GOOD) == challenge_id(RING, GOOD) != challenge_id(RING, other)


def test_user_handles() -> None:
    """A user handle has 64 bytes, the same for one challenge and others for each other one."""
    other = new_challenge(RING, ChallengeFor.ENROL, "generation", "session", now=NOW)
    assert new_user_handle(RING, GOOD) == new_user_handle(RING, GOOD) != new_user_handle(RING, other)
    assert len(new_user_handle(RING, GOOD)) == 64
    assert new_user_handle(RING, GOOD) != new_user_handle(Keyring(b"\1" * 32), GOOD)
