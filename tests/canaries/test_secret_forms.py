"""The search for leaked secrets finds planted ones in every encoding, and nothing else."""

import base64
import random

import pytest

from canaries.secret_forms import forms, search

SECRET = b"a canary: +/ and \xc3\xa9"


@pytest.mark.parametrize("form", sorted(forms(SECRET)))
def test_a_planted_leak_is_found(form: str) -> None:
    """Each form is found in the middle of other bytes."""
    content = random.Random(1).randbytes(5000) + forms(SECRET)[form] + bytes(10)  # noqa: S311 - noise
    assert form in {leak.form for leak in search({"it": SECRET}, {"file": content})}


@pytest.mark.parametrize("before", range(4))
@pytest.mark.parametrize("after", range(4))
def test_base64_at_any_offset(before: int, after: int) -> None:
    """A secret is found when encoded together with its surroundings, as in a Basic header or a token."""
    content = base64.b64encode(b"x" * before + SECRET + b"y" * after)
    assert list(search({"it": SECRET}, {"header": content}))


def test_nothing_is_found_where_nothing_is() -> None:
    """Noise contains no secret; a short secret is refused rather than found everywhere."""
    noise = random.Random(2).randbytes(1_000_000)  # noqa: S311 - noise
    assert not list(search({"it": SECRET}, {"file": noise, "empty": b""}))
    with pytest.raises(AssertionError):
        list(search({"it": b"short"}, {"file": noise}))
