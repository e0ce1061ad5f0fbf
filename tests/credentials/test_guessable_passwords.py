"""New passwords that are easy to guess are refused."""

import sys
from types import FrameType

import pytest

from herod.credentials.guessable_passwords import require_unguessable
from herod.credentials.passwords import MAX_CHARS, MIN_CHARS
from herod_client.core.errors import InvalidRequest

MAX_EVENTS = 150_000  # calls and returns
ADA = ("ada.lovelace@analytical.example", "Ada Lovelace")


@pytest.mark.parametrize(
    "password",
    [
        *("password1234", "passwordpassword", "p@ssw0rd1234", "letmein123456", "iloveyou1234", "123456789012"),
        *("qwertyuiop12", "1q2w3e4r5t6y", "a" * MIN_CHARS, "a" * MAX_CHARS, "abc" * 6, "herodherod12"),
        *("lovelacelovelace", "analytical12", "ada.lovelace@analytical.example", "Lovelace12345"),
        "ｐａｓｓｗｏｒｄ１２３４",
    ],
)
def test_guessed_early(password: str) -> None:
    """Common passwords, patterns, repetitions and the account's own words are refused."""
    with pytest.raises(InvalidRequest) as refused:
        require_unguessable(password, *ADA)
    assert refused.value.reason == "weak_password"


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "x8#kq0Lm2!zW",
        "пароль из трёх слов",
        "staple " * 3 + "tr0ub4dor",
        "ü" * 3 + "kx0vq!mzpw",
        "4@8({[<369|!10$5+72%" * 3,
        "correct horse battery 4@({[<691!|7$5+",
    ],
)
def test_hard_to_guess(password: str) -> None:
    """Passwords of several words or of random letters are accepted."""
    require_unguessable(password, *ADA, None)


def test_the_common_ones() -> None:
    """Every one of the 3000 most common passwords that are long enough is refused (OWASP ASVS 5.0, 6.2.4)."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    common = [word for word in FREQUENCY_LISTS["passwords"] if len(word) >= MIN_CHARS][:3000]
    assert common
    for password in common:
        with pytest.raises(InvalidRequest):
            require_unguessable(password)


@pytest.mark.parametrize(
    "password",
    [
        *("4@8({[<369|!10$5+72%" * 6, "|{${!([519+<64@7" * 8, "1234567890" * 12, "1|!7" * 32, "aab" * 42),
        *("4@8({[<3" * 16, "1.1.2001/2-3-1999 4_5_1988" * 4, "p@$$w0rd" * 16, "\ufdfa" * MAX_CHARS),
    ],
)
def test_bounded_work(password: str) -> None:
    """No password takes much longer than others: there are hundreds of ways to read symbols as letters."""
    require_unguessable("correct horse battery")  # the lists are loaded
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        require_unguessable(password, *ADA)
    except InvalidRequest:
        pass
    finally:
        sys.setprofile(None)
    assert calls < MAX_EVENTS
