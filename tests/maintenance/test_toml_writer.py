"""Writing TOML: what was written is read back."""

import tomllib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herod.maintenance.toml_writer import write_toml

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
times = st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(UTC)).map(lambda at: at.replace(microsecond=0))  # noqa: DTZ001 - hypothesis wants it naive
integers = st.integers(-(2**63), 2**63 - 1)
tables = st.dictionaries(
    texts, st.one_of(texts, st.booleans(), integers, times, st.lists(texts, max_size=3)), max_size=4
)


@given(head=tables, rows=st.dictionaries(texts, st.lists(tables, min_size=1, max_size=2), max_size=2))
def test_round_trip(head: dict[str, Any], rows: dict[str, list[dict[str, Any]]]) -> None:
    """Any texts, numbers, times and lists, in any tables."""
    head = {name: value for name, value in head.items() if name not in rows}
    assert tomllib.loads(write_toml(head, rows)) == {**head, **rows}


@pytest.mark.parametrize("code", [*range(0x20), *range(0x7F, 0xA0), 0x22, 0x5C, 0x2028, 0xFEFF, 0xFFFF, 0x10FFFF])
def test_odd_characters(code: int) -> None:
    """Each alone, as a name and as a value."""
    assert tomllib.loads(write_toml({chr(code): chr(code)}, {})) == {chr(code): chr(code)}


def test_what_is_not_written() -> None:
    """A lone surrogate is no text, a time without a zone no moment."""
    with pytest.raises(ValueError, match="surrogates"):
        write_toml({"a": "\ud800"}, {})
    with pytest.raises(ValueError, match="zone"):
        write_toml({"a": datetime(2026, 1, 1)}, {})  # noqa: DTZ001 - what is refused
