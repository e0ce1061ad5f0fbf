"""The format of refresh tokens: derived, never stored, and told apart from everything else."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herod.credentials.apps.refresh_tokens import (
    MAX_NUMBER,
    RefreshToken,
    derive_refresh_token,
    is_derived,
    looks_like_refresh_token,
    parse_refresh_token,
)
from herod.credentials.keyring import Keyring, new_root
from herod_client.core.errors import BadCredentials
from herod_client.core.key_format import looks_like_key, with_checksum

RING = Keyring(bytes(32))
FAMILY = "Ab3dEf6hIj9l"


def derive(number: int = 0, epoch: int = 1, family: str = FAMILY) -> str:
    """A token of the family."""
    return derive_refresh_token(RING, family=family, number=number, epoch=epoch)


@given(st.integers(0, MAX_NUMBER), st.integers(0, 2**40))
def test_what_was_derived_is_read_and_recognized(number: int, epoch: int) -> None:
    """Every token reads back as its family and number, and only its own epoch recognizes it."""
    text = derive(number, epoch)
    token = parse_refresh_token(text)
    assert (token.family, token.number) == (FAMILY, number)
    assert is_derived(RING, token, epoch=epoch)
    assert not is_derived(RING, token, epoch=epoch + 1)


def test_the_form_suits_scanners() -> None:
    """A fixed length, one alphabet and a prefix of its own, which no key has."""
    text = derive()
    assert re.fullmatch(r"herod_r_[0-9A-Za-z]{12}_[0-9A-Za-z]{53}", text)
    assert looks_like_refresh_token(text)
    assert not looks_like_key(text)


def test_the_same_is_derived_again() -> None:
    """Nothing is random: the same family, number and epoch give the same token, and any other one differs."""
    assert derive() == derive()
    others = {derive(1), derive(epoch=2), derive(family="Ab3dEf6hIj9m")}
    others.add(derive_refresh_token(Keyring(new_root()), family=FAMILY, number=0, epoch=1))
    assert len(others | {derive()}) == 5


def test_another_number_is_not_recognized() -> None:
    """Nobody makes a later token out of an earlier one."""
    token = parse_refresh_token(derive(3))
    assert not is_derived(RING, RefreshToken(token.family, 4, token.mac), epoch=1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "herod_r_",
        derive()[:-1],
        derive() + "0",
        derive() + "\n",
        derive()[:-1] + ("0" if derive()[-1] != "0" else "1"),
        derive().replace("herod_r_", "herod_u_"),
        derive().replace("A", "Ä"),
        with_checksum(derive()[:-7]),
    ],
)
def test_mistyped_ones_are_refused(text: str) -> None:
    """An incomplete or changed text is refused before anything is looked up."""
    with pytest.raises(BadCredentials, match="not a refresh token"):
        parse_refresh_token(text)


def test_no_secret_in_a_repr() -> None:
    """The MAC is in no representation."""
    token = parse_refresh_token(derive())
    assert token.mac not in repr(token)
