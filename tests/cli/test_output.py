"""Tables, records and JSON: they fit, line up, and are safe for terminals."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herod_cli.shared.output import Column, box, clean, fit, flow, record, show, table, to_json, width, wrap

COLUMNS = (Column("ID", "id", is_whole=True), Column("NAME", "name"), Column("SCOPE", "scope"))
HOSTILE = "\x1b[2Jgone\x07\r\n\x9b31m\N{RIGHT-TO-LEFT OVERRIDE}evil\N{ZERO WIDTH SPACE}\x7f\N{LINE SEPARATOR}\U000e0001"


def _is_safe(text: str) -> bool:
    return all(unicodedata.category(character)[0] != "C" and character not in "\u2028\u2029" for character in text)


def test_control_characters_are_shown_not_obeyed() -> None:
    """Terminal controls, direction overrides and invisible characters in a name are escaped."""
    assert _is_safe(clean(HOSTILE))
    assert clean(HOSTILE).startswith("\\x1b[2Jgone\\x07\\x0d\\x0a\\x9b31m\\u202eevil\\u200b\\x7f\\u2028\\U000e0001")


@given(st.text(st.characters()))
def test_nothing_unsafe_survives(text: str) -> None:
    """Any text is safe on a terminal, also as JSON, which still parses to the same text."""
    assert _is_safe(clean(text))
    if not any(0xD800 <= ord(character) < 0xE000 for character in text):
        assert _is_safe(to_json(text))
        assert json.loads(to_json(text)) == text


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=200), max_size=5), st.integers(60, 120))
def test_a_table_fits(names: list[str], available: int) -> None:
    """No line is wider than the terminal, and columns line up, whatever they contain."""
    items = [{"id": "5a5e7f52-5a3f-4a5e-9d0e-4a9f1f3c2b11", "name": name, "scope": name} for name in names]
    for line in table(COLUMNS, items, available=available):
        assert width(line) <= available
        assert _is_safe(line)


def test_wide_characters_line_up() -> None:
    """A wide character counts as two columns, a combining mark as none."""
    items = [
        {"id": "1", "name": "\N{CJK UNIFIED IDEOGRAPH-6F22}\N{CJK UNIFIED IDEOGRAPH-5B57}", "scope": "a"},
        {"id": "2", "name": "e\N{COMBINING ACUTE ACCENT}te\N{COMBINING ACUTE ACCENT}", "scope": "b"},
        {"id": "3", "name": "abcd", "scope": "c"},
    ]
    lines = table(COLUMNS, items, available=80)
    assert {width(line) for line in lines[1:]} == {width("1   abcd  a")}
    assert {width(line[: line.rindex(" ")]) for line in lines[1:]} == {9}


def test_what_is_copied_stays_whole() -> None:
    """An id is never truncated; neighboring columns shrink, visibly."""
    identity = "5a5e7f52-5a3f-4a5e-9d0e-4a9f1f3c2b11"
    [_, line] = table(COLUMNS, [{"id": identity, "name": "n" * 100, "scope": "s" * 100}], available=80)
    assert identity in line
    assert line.count("…") == 2
    assert width(line) == 80


@pytest.mark.parametrize(
    ("text", "columns", "cut"),
    [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("\u6f22\u5b57", 3, "\u6f22…"), ("\u6f22\u5b57", 2, "…")],
)
def test_fit(text: str, columns: int, cut: str) -> None:
    """A text is truncated between characters."""
    assert fit(text, columns) == cut


@given(st.text("ab \u6f22", max_size=200), st.integers(2, 30))
def test_wrapping_loses_nothing_but_spaces(text: str, columns: int) -> None:
    """Wrapped lines fit and lose nothing but spaces."""
    lines = wrap(text, columns)
    assert all(width(line) <= columns for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_record() -> None:
    """A record names each value; sentences are wrapped, keys never."""
    lines = record({"name": "word " * 30, "key": "k" * 100}, available=80)
    assert all(width(line) <= 80 for line in lines[:-1])
    assert lines[-1] == "key   " + "k" * 100


def test_box() -> None:
    """The frame fits the widest line."""
    assert {width(line) for line in box(["a", "\u6f22\u6f22", ""])} == {8}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        ("", "-"),
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        ([], "-"),
        (["a", "b\n"], "a, b\\x0a"),
        ({"a": {"b": None}}, "a b -"),
    ],
)
def test_show(value: object, shown: str) -> None:
    """Each kind of value has one format."""
    assert show(value) == shown


def test_scopes_give_way_before_names() -> None:
    """The columns that identify items are truncated last."""
    columns = (Column("ID", "id", is_whole=True), Column("NAME", "name"), Column("SCOPE", "scope", yields=True))
    item = {"id": "1" * 12, "name": "n" * 40, "scope": "s" * 40}
    [_, line] = table(columns, [item], available=70)
    assert line.split() == ["1" * 12, "n" * 40, "s" * 13 + "…"]
    [_, line] = table(columns, [item], available=40)
    assert line.split() == ["1" * 12, "n" * 13 + "…", "s" * 9 + "…"]


def test_what_fits_in_no_columns_is_a_record() -> None:
    """A very narrow terminal shows each item as a record."""
    items = [{"id": "1" * 36, "name": "Ada", "scope": "read"}, {"id": "2" * 36, "name": "Bob", "scope": "write"}]
    assert table(COLUMNS, items, available=40) == [
        f"id     {'1' * 36}", "name   Ada", "scope  read", "",
        f"id     {'2' * 36}", "name   Bob", "scope  write",
    ]  # fmt: skip


def test_a_message_flows() -> None:
    """Lines break between words with later ones indented, and a command is not broken."""
    text = "  hint: start it with `herod serve --port 4000`, or say where it is"
    assert flow(text, 30, indent=8) == [
        "  hint: start it with",
        "        `herod serve --port 4000`,",
        "        or say where it is",
    ]
    assert flow("short", 30) == ["short"]
    assert flow("", 30) == [""]


def test_fields_of_a_field() -> None:
    """Nested fields are named as in scripts."""
    assert record({"id": "a", "former": {"until": "x y", "from": None}, "none": {}}, available=80) == [
        "id            a",
        "former.until  x y",
        "former.from   -",
        "none          -",
    ]
