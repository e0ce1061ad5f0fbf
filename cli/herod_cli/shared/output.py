"""Output formats: tables and records for people, JSON for scripts, a box for secrets that are shown once.

Only the `print_*` functions do I/O. Control, format and direction characters in data never reach a terminal: they are
printed as escapes.
"""

import json
import re
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from herod_cli.shared.standard_streams import drop_output

__all__ = [
    "Column",
    "box",
    "clean",
    "fit",
    "flow",
    "plural",
    "print_error",
    "print_json",
    "print_lines",
    "print_notice",
    "print_record",
    "print_sentence",
    "print_table",
    "record",
    "show",
    "table",
    "to_json",
    "width",
    "wrap",
]

NARROWEST: Final = 20
DEFAULT_WIDTH: Final = 80
GAP: Final = 2
SMALLEST_COLUMN: Final = 4
SMALLEST_YIELDING: Final = 10  # yielding columns shrink alone down to this

# Controls, formats (bidi overrides among them), surrogates, private use, unassigned, line and paragraph separators.
_UNSAFE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


@dataclass(frozen=True, slots=True)
class Column:
    """A table's column.

    Attributes:
        key: the field of an item it shows.
        is_whole: never truncated, for values that people copy.
        yields: truncated before other columns, for values that do not identify an item.
    """

    title: str
    key: str
    is_whole: bool = False
    yields: bool = False


def clean(text: str) -> str:
    """Escape every character of `text` that a terminal might interpret."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(character) if _is_unsafe(character) else character for character in text)


def _is_unsafe(character: str) -> bool:
    return unicodedata.category(character) in _UNSAFE


def _escape(character: str) -> str:
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def width(text: str) -> int:
    """Return the number of terminal columns that clean `text` takes."""
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def fit(text: str, columns: int) -> str:
    """Truncate clean `text` to at most `columns`, with `…` at the end."""
    if width(text) <= columns:
        return text
    return _head(text, columns - 1) + "…"


def _head(text: str, columns: int) -> str:
    """Return the longest prefix that fits, with the combining marks of its last character."""
    used = 0
    for index, character in enumerate(text):
        used += _columns(character)
        if used > columns:
            return text[:index]
    return text


def wrap(text: str, columns: int) -> list[str]:
    """Wrap clean `text` to at most `columns`, at spaces where possible."""
    lines: list[str] = []
    rest = text
    while width(rest) > columns:
        head = _head(rest, columns) or rest[0]
        space = head.rfind(" ")
        if rest[len(head)] != " " and space > 0:
            head = head[:space]
        lines.append(head.rstrip())
        rest = rest[len(head) :].lstrip()
    return [*lines, rest] if rest or not lines else lines


def flow(text: str, columns: int, *, indent: int = 2) -> list[str]:
    """Wrap clean `text` to about `columns`, with later lines indented.

    Words and text in backticks are never broken, even if longer than a line: people copy them.
    """
    whole = re.sub("`[^`]*`", lambda match: match[0].replace(" ", "\0"), text)
    words = [word.replace("\0", " ") for word in whole[len(whole) - len(whole.lstrip(" ")) :].split(" ")]
    lines = [" " * (len(text) - len(text.lstrip(" "))) + words[0]]
    for word in words[1:]:
        if width(lines[-1]) + 1 + width(word) <= columns:
            lines[-1] += " " + word
        else:
            lines.append(" " * indent + word)
    return lines


def plural(number: int, noun: str) -> str:
    """A number of things, such as `1 key` or `2 keys`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def show(value: object) -> str:
    """Format a field of an answer for people, escaped."""
    match value:
        case None | "":
            return "-"
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return ", ".join(show(item) for item in value) or "-"
        case dict():
            return ", ".join(f"{clean(str(name))} {show(item)}" for name, item in value.items()) or "-"
        case _:
            return clean(str(value))


def table(columns: Sequence[Column], items: Iterable[Mapping[str, Any]], *, available: int) -> list[str]:
    """Return the lines of a table, titles first, each at most `available` columns where possible.

    Columns without `is_whole` are narrowed, the widest first. If that is not enough, each item becomes a record.
    """
    items = list(items)
    rows = [[show(item.get(column.key)) for column in columns] for item in items]
    widths = [max([width(column.title), *(width(row[index]) for row in rows)]) for index, column in enumerate(columns)]
    excess = sum(widths) + GAP * (len(columns) - 1) - available
    yielding = [index for index, column in enumerate(columns) if column.yields]
    flexible = [index for index, column in enumerate(columns) if not column.is_whole]
    excess = _narrow(widths, yielding, excess, SMALLEST_YIELDING)
    excess = _narrow(widths, flexible, excess, SMALLEST_COLUMN)
    if excess > 0:
        records = [
            ["", *record({column.title.lower(): item.get(column.key) for column in columns}, available=available)]
            for item in items
        ]
        return [line for lines in records for line in lines][1:]
    titles = [column.title for column in columns]
    return [_line(row, widths) for row in (titles, *rows)]


def _narrow(widths: list[int], indexes: Sequence[int], excess: int, smallest: int) -> int:
    """Narrow these columns by `excess`, the widest first, down to `smallest`; return what remains of it."""
    while excess > 0:
        widest = max(indexes, key=lambda index: widths[index], default=None)
        if widest is None or widths[widest] <= smallest:
            break
        widths[widest] -= 1
        excess -= 1
    return excess


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    fitted = [fit(cell, columns) for cell, columns in zip(cells, widths, strict=True)]
    return (" " * GAP).join(pad(cell, columns) for cell, columns in zip(fitted, widths, strict=True)).rstrip()


def pad(text: str, columns: int) -> str:
    """Pad `text` with spaces to `columns`."""
    return text + " " * (columns - width(text))


def record(fields: Mapping[str, Any], *, available: int) -> list[str]:
    """Return the lines of one item, a name and a value each; long values are wrapped at spaces.

    Nested fields are named by their path, such as `former.works_until`.
    """
    fields = dict(_flat(fields))
    names = [clean(name) for name in fields]
    indent = max((width(name) for name in names), default=0) + GAP
    lines = []
    for name, value in zip(names, fields.values(), strict=True):
        text = show(value)
        # A value without spaces is an id, key or token: people copy it, so it is never broken.
        broken = wrap(text, max(available - indent, 20)) if " " in text else [text]
        lines += [pad(name if not index else "", indent) + part for index, part in enumerate(broken)]
    return lines


def _flat(fields: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    for name, value in fields.items():
        if isinstance(value, dict) and value:
            yield from ((f"{name}.{inner}", item) for inner, item in value.items())
        else:
            yield name, value


def box(lines: Sequence[str]) -> list[str]:
    """Draw a frame around `lines`."""
    inner = max(width(line) for line in lines)
    return [
        f"┌{'─' * (inner + 2)}┐",
        *(f"│ {pad(line, inner)} │" for line in lines),
        f"└{'─' * (inner + 2)}┘",
    ]


_MAYBE_UNSAFE: Final = re.compile(r"[^\n\x20-\x7e]")


def to_json(value: object, *, indent: int = 2) -> str:
    """Encode `value` as readable JSON, with unsafe characters as JSON escapes.

    Args:
        value: anything that msgspec can encode.
        indent: spaces per level; negative for one line.
    """
    import msgspec  # 25 ms that `--help` does not pay

    try:
        text = msgspec.json.format(msgspec.json.encode(value), indent=indent).decode()
    except UnicodeEncodeError:  # the name of a file that is not UTF-8
        text = json.dumps(value, indent=max(indent, 0) or None)
    # Outside of strings JSON is ASCII only, so every match is inside a string.
    return _MAYBE_UNSAFE.sub(lambda match: _json_escape(match[0]), text)


def _json_escape(character: str) -> str:
    if not _is_unsafe(character):
        return character
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[index : index + 4]}" for index in range(0, len(units), 4))


def terminal_width() -> int:
    """Return the output width: COLUMNS, the terminal's width, or 80."""
    return max(shutil.get_terminal_size((DEFAULT_WIDTH, 24)).columns, NARROWEST)


def print_lines(lines: Iterable[str]) -> None:
    """Print lines that are already clean."""
    for line in lines:
        sys.stdout.write(line + "\n")


def print_table(columns: Sequence[Column], items: Sequence[Mapping[str, Any]], *, empty: str) -> None:
    """Print a table; without items, print `empty` to stderr."""
    if items:
        print_lines(table(columns, items, available=terminal_width()))
    else:
        print_notice(empty)


def print_record(fields: Mapping[str, Any]) -> None:
    """Print the fields of one item."""
    print_lines(record(fields, available=terminal_width()))


def print_json(value: object) -> None:
    """Print JSON."""
    print_lines([to_json(value)])


def print_sentence(text: str) -> None:
    """Print a sentence, wrapped on a terminal."""
    print_lines(flow(clean(text), terminal_width()) if sys.stdout.isatty() else [clean(text)])


def print_notice(text: str, *, indent: int = 2) -> None:
    """Print a message for people to stderr, since scripts read stdout; a full disk there changes no exit code."""
    sys.stdout.flush()
    lines = flow(clean(text), terminal_width(), indent=indent) if sys.stderr.isatty() else [clean(text)]
    try:
        sys.stderr.write("".join(line + "\n" for line in lines))
        sys.stderr.flush()
    except OSError:
        drop_output(sys.stderr)


def print_error(message: str, *hints: str | None) -> None:
    """Print an error message, and each hint on its own line."""
    print_notice(f"herod: {message}")
    for hint in hints:
        if hint:
            print_notice(f"  hint: {hint}", indent=len("  hint: "))
