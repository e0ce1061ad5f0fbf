"""New passwords that are easy to guess are refused."""

import pytest

from herod.credentials.guessable_passwords import require_unguessable
from herod.credentials.passwords import MAX_CHARS, MIN_CHARS
from herod_client.core.errors import InvalidRequest

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
