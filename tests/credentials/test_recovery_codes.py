"""Recovery codes."""

import pytest

from herod.credentials.factors.recovery_codes import new_recovery_code, normal_recovery_code


def test_new() -> None:
    """A code is random, in four groups of four."""
    code = new_recovery_code()
    assert code != new_recovery_code()
    assert [len(group) for group in code.split("-")] == [4, 4, 4, 4]
    assert normal_recovery_code(code) == code


@pytest.mark.parametrize(
    "typed",
    [
        "01ab-cdef-ghjk-mn01",
        "01ABCDEFGHJKMN01",
        " oiab cdef ghjk mnoL ",
        "0-1-a-b-c-d-e-f-g-h-j-k-m-n-0-1",
    ],
)
def test_spellings(typed: str) -> None:
    """However a code is typed, it is one code."""
    assert normal_recovery_code(typed) == "01ab-cdef-ghjk-mn01"


@pytest.mark.parametrize("typed", ["", "123456", "01ab-cdef-ghjk-mn0", "01ab-cdef-ghjk-mn01x", "01ab-cdef-ghjk-mnu1"])
def test_no_code(typed: str) -> None:
    """What cannot be one is none."""
    assert normal_recovery_code(typed) is None
