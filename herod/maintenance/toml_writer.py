"""Writing TOML: just as much of it as accounts and keys need, for Python's library only reads it.

The result is text in memory. It must never be written to a file as it is.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

__all__ = ["Value", "write_toml"]

Value = str | bool | int | datetime | Sequence[str]

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+\Z")
# TOML 1.0: basic strings may hold any character but these.
_ESCAPED: Final = re.compile(r'["\\\x00-\x1f\x7f]')


def write_toml(head: Mapping[str, Value], tables: Mapping[str, Sequence[Mapping[str, Value]]]) -> str:
    """A TOML document: the head's values, then each array of tables.

    Raises:
        ValueError: a text holds a lone surrogate, or a time has no zone.
    """
    parts = [_pairs(head)]
    for name, rows in tables.items():
        parts += [f"[[{_key(name)}]]\n{_pairs(row)}" for row in rows]
    return "\n".join(parts)


def _pairs(table: Mapping[str, Value]) -> str:
    return "".join(f"{_key(name)} = {_value(value)}\n" for name, value in table.items())


def _key(name: str) -> str:
    return name if _BARE.match(name) else _string(name)


def _value(value: Value) -> str:
    match value:
        case str():
            return _string(value)
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case datetime():
            if value.tzinfo is None:
                raise ValueError("a time without a zone is no moment")
            return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        case _:
            return f"[{', '.join(_string(item) for item in value)}]"


def _string(text: str) -> str:
    text.encode()  # a lone surrogate is no text
    return f'"{_ESCAPED.sub(_escape, text)}"'


def _escape(found: re.Match[str]) -> str:
    character = found.group()
    return f"\\{character}" if character in '"\\' else f"\\u{ord(character):04X}"
