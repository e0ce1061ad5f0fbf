"""Normal forms: one spelling for each name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herod.pipeline.parameters.text_normalization import parse_end, parse_name
from herod_client.core.errors import InvalidRequest


@given(st.text())
def test_normal_form_is_a_fixed_point(text: str) -> None:
    """Normalizing twice changes nothing."""
    try:
        once = parse_name(text)
    except InvalidRequest:
        return
    assert parse_name(once) == once


@pytest.mark.parametrize(
    ("text", "name"),
    [("Ada", "Ada"), ("  Ada   L. ", "Ada L."), ("Zoe\u0308", "Zoë"), ("名前", "名前"), ("x" * 128, "x" * 128)],
)
def test_names(text: str, name: str) -> None:
    """Names are NFC with single spaces."""
    assert parse_name(text) == name


INVISIBLE = (
    0x34F,
    0x115F,
    0x1160,
    0x17B4,
    0x17B5,
    0x180B,
    0x180F,
    0x2800,
    0x3164,
    0xFE00,
    0xFE0F,
    0xFFA0,
    0xE0100,
    0xE01EF,
)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "x" * 129, "a\nb", "a\x1b[31m", "a\u202eb", "a\u200bb", "\ud800", "\u0308", "\u0308 \u0301"),
        *("Herod", "local-admin", "ANONYMOUS", "ｌocal admin", "local‑admin", "Local_Admin", "lócal admin", "he rod"),
        *(f"local admin{chr(code)}" for code in INVISIBLE),
        *(chr(code) for code in INVISIBLE),
    ],
)
def test_no_names(text: str) -> None:
    """Names that are empty, too long, invisible or reserved are refused."""
    with pytest.raises(InvalidRequest):
        parse_name(text)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2030-01-01T00:00:00Z", 1893456000),
        ("2030-01-01", 1893456000 + 86_399),
        ("9999-12-31T23:59:59Z", 253402300799),
        ("9999-12-31", 253402300799),
    ],
)
def test_an_end_is_to_come(text: str, at: int) -> None:
    """An end is a future time, or the last second of a day that has not passed."""
    assert parse_end(text, at - 1) == at
    with pytest.raises(InvalidRequest, match="in the past"):
        parse_end(text, at)


def test_an_end_can_be_written() -> None:
    """An end in the year 10000, in UTC, could not be written in RFC 3339."""
    with pytest.raises(InvalidRequest, match="beyond the year 9999"):
        parse_end("9999-12-31T23:59:59-01:00", 0)


def test_what_is_far_too_long_is_not_normalised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too long a text is refused before normalization, because a long run of combining marks takes quadratic time."""

    def normalize(_form: str, text: str) -> str:
        assert len(text) <= 1024
        return text

    monkeypatch.setattr("herod.pipeline.parameters.text_normalization.unicodedata.normalize", normalize)
    for marks in (1024, 30_000):
        with pytest.raises(InvalidRequest):
            parse_name("a" + "\u0301\u0323" * marks + "@example.org")
