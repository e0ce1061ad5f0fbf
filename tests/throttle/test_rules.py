"""The arithmetic of counts: the duration of locks and delays, and what is one source."""

import pytest

from herod.throttle.rules import (
    ACCOUNT,
    DELAYS,
    PAIR,
    REGISTRATION,
    LimitRule,
    Marks,
    add,
    delay,
    seconds_locked,
    take_back,
)
from support.herod_in_memory import NOW
from support.wrong_guesses import WINDOW

TEN: Marks = tuple((NOW + second, 1) for second in range(10))


@pytest.mark.parametrize(
    ("law", "marks", "now", "seconds"),
    [
        (PAIR, (), NOW, 0),
        (PAIR, TEN[:9], NOW + 9, 0),
        (PAIR, TEN, NOW + 9, 291),
        (PAIR, TEN, NOW + 299, 1),
        (PAIR, TEN, NOW + 300, 0),
        (PAIR, (*TEN, (NOW + 10, 1)), NOW + 10, 291),
        (PAIR, ((NOW, 10),), NOW, 300),
        (PAIR, ((NOW, 1), (NOW + 7, 9)), NOW + 7, 293),
        (PAIR, ((NOW + 3600, 10),), NOW, 0),
        (PAIR, ((NOW + 100, 10),), NOW, 300),
        (ACCOUNT, ((NOW, 1000),), NOW, 0),
        (REGISTRATION, ((NOW, 20),), NOW + 3599, 1),
    ],
)
def test_how_long_a_lock_lasts(law: LimitRule, marks: Marks, now: int, seconds: int) -> None:
    """A lock lasts until fewer than the limit are in the window; a clock that was an hour ahead does not extend it."""
    assert seconds_locked(law, marks, now) == seconds


@pytest.mark.parametrize(
    ("tries", "seconds"), [(0, 0), (19, 0), (20, 0.5), (39, 0.5), (40, 1), (80, 2), (160, 5), (10**6, 5)]
)
def test_how_long_a_delay_is(tries: int, seconds: float) -> None:
    """A delay grows to five seconds at most, under delaying rules only."""
    assert delay(ACCOUNT, ((NOW, tries),), NOW) == seconds
    assert delay(PAIR, ((NOW, tries),), NOW) == 0
    assert max(seconds for _, seconds in DELAYS) <= 5


def test_what_is_taken_back_is_gone() -> None:
    """Removing an attempt removes one of that time at any resolution, and drops expired ones."""
    assert add(PAIR, add(PAIR, (), NOW), NOW) == ((NOW, 2),)
    assert take_back(PAIR, ((NOW, 2), (NOW + 1, 1)), NOW) == ((NOW, 1), (NOW + 1, 1))
    assert take_back(PAIR, ((NOW, 1),), NOW) == ()
    assert take_back(PAIR, ((NOW, 1),), NOW + 1) == ((NOW, 1),)
    assert add(PAIR, ((NOW, 3),), NOW + WINDOW) == ((NOW + WINDOW, 1),)
    minute = NOW - NOW % 60
    assert add(ACCOUNT, add(ACCOUNT, (), minute), minute + 29) == ((minute, 2),)
    assert take_back(ACCOUNT, ((minute, 2),), minute + 29) == ((minute, 1),)
