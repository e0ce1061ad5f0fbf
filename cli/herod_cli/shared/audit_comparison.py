"""Compares copies of the audit log, line by line, with the rows of the store.

Files may be as long as they like: one line and one page of rows are in memory at a time. Must never change a file.
"""

import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from herod.input_files import open_input
from herod.input_text import decode_text, is_text, parse_json
from herod_cli.exit_codes import FailureError
from herod_client.core.errors import SettingsError

__all__ = ["Comparison", "Difference", "FetchRows", "compare"]

MAX_LINE_BYTES: Final = 64 * 1024
GZIP: Final = b"\x1f\x8b"
FIELDS: Final = (
    "seq", "at", "actor", "method", "source", "operation", "outcome", "reason", "target", "count", "by_admin", "mac",
)  # fmt: skip

Row = dict[str, Any]
# The rows after a `seq`, oldest first: as many as a page has, none at the end of the log.
FetchRows = Callable[[int], list[Row]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first difference.

    Attributes:
        kind: `changed`, `not_in_store`, `not_in_copy` or `unreadable`.
        file: the file of the copy, and `line` the number of its line.
        seq: the row; None if the line is unreadable.
        message: what differs, for people.
    """

    kind: str
    file: str
    line: int
    seq: int | None
    message: str


@dataclass(slots=True, kw_only=True)
class Comparison:
    """What was compared.

    Attributes:
        lines: lines of all files.
        equal: lines that are equal to the store's row.
        removed: lines whose row retention has removed from the store.
        first: the lowest row of the copy, and `last` the highest.
        cut: files whose last line is not whole.
        difference: the first difference; what follows it was not compared.
    """

    lines: int = 0
    equal: int = 0
    removed: int = 0
    first: int | None = None
    last: int = 0
    cut: tuple[str, ...] = ()
    difference: Difference | None = None


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of a copy; `row` is None if it is no row."""

    file: str
    number: int
    text: bytes
    row: Row | None
    is_cut: bool


def compare(paths: Iterable[Path], fetch: FetchRows, *, removed: int, rekeyed: int) -> Comparison:
    """Compare files, in the order of their first rows, up to the first difference.

    Args:
        paths: the files, plain or compressed with gzip.
        fetch: reads the store's rows.
        removed: the last row that retention has removed from the store.
        rekeyed: the row since which the store has its present keys: earlier rows had other HMACs, so only their
            content is compared.

    Raises:
        FailureError: a file cannot be read.
    """
    found, rows = Comparison(), _StoreRows(fetch)
    for line in _in_order(paths):
        if line.is_cut:
            found.cut = (*found.cut, line.file)
            continue
        found.lines += 1
        found.difference = _judge(line, found, rows, removed=removed, rekeyed=rekeyed)
        if found.difference is not None:
            break
    return found


def _judge(line: _Line, found: Comparison, rows: "_StoreRows", *, removed: int, rekeyed: int) -> Difference | None:
    """Compare one line, and count it."""
    row = line.row
    if row is None:
        return _difference(line, "unreadable", f"line {line.number} of {line.file} is not an audit row")
    seq: int = row["seq"]
    expected = max(found.last, removed) + 1 if found.first is not None else seq
    found.first = seq if found.first is None else min(found.first, seq)
    found.last = max(found.last, seq)
    if seq > expected and rows.find(expected) is not None:
        span = f"row {expected} is" if seq == expected + 1 else f"rows {expected} to {seq - 1} are"
        message = f"{span} in the store and not in the copy: {line.file} continues with row {seq} in line {line.number}"
        return _difference(line, "not_in_copy", message)
    if seq <= removed:
        found.removed += 1
        return None
    held = rows.find(seq)
    if held is None:
        return _difference(
            line,
            "not_in_store",
            f"row {seq} ({line.file}, line {line.number}) is not in the store: its log was truncated or replaced, or a "
            "backup was restored",
        )
    names = [name for name in FIELDS if row.get(name) != held.get(name) and (name != "mac" or seq > rekeyed)]
    if names:
        message = f"row {seq} ({line.file}, line {line.number}) and the store's row {seq} differ in {', '.join(names)}"
        return _difference(line, "changed", message)
    found.equal += 1
    return None


def _difference(line: _Line, kind: str, message: str) -> Difference:
    seq = None if line.row is None else line.row["seq"]
    return Difference(kind=kind, file=line.file, line=line.number, seq=seq, message=message)


class _StoreRows:
    """The store's rows, of which one page is kept."""

    def __init__(self, fetch: FetchRows) -> None:
        self._fetch = fetch
        self._page: dict[int, Row] = {}
        self._after = self._last = 0

    def find(self, seq: int) -> Row | None:
        """The row of that number; None if there is none."""
        if not self._after < seq <= self._last:
            items = self._fetch(seq - 1)
            self._page = {item["seq"]: item for item in items}
            self._after, self._last = seq - 1, max(self._page, default=0)
        return self._page.get(seq)


def _in_order(paths: Iterable[Path]) -> Iterator[_Line]:
    """All lines, of the file with the lowest first row first."""
    files: list[tuple[int, int, Iterator[_Line]]] = []
    for index, path in enumerate(paths):
        lines = _lines(path)
        head = [line for line in (next(lines, None),) if line is not None]
        seq = next((line.row["seq"] for line in head if line.row is not None), 0)
        files.append((seq, index, _chain(head, lines)))
    for _, _, rest in sorted(files, key=lambda file: file[:2]):
        yield from rest


def _chain(head: list[_Line], rest: Iterator[_Line]) -> Iterator[_Line]:
    yield from head
    yield from rest


def _lines(path: Path) -> Iterator[_Line]:
    """The lines of a file. Half a line that the next one repeats in full is left out: its writer was interrupted."""
    file, number, before = str(path), 0, None
    try:
        with open_input(path) as plain:
            packed = plain.peek(len(GZIP)).startswith(GZIP)  # type: ignore[attr-defined]  # it is buffered
            source = cast("BinaryIO", gzip.GzipFile(fileobj=plain)) if packed else plain
            while text := source.readline(MAX_LINE_BYTES):
                number += 1
                if number == 1:
                    text = _check_encoding(text, file)
                if before is not None and not (before.text.strip() and text.startswith(before.text.rstrip(b"\n"))):
                    yield before
                row = _parse(text)
                line = _Line(file, number, text, row, is_cut=row is None and _is_cut(text))
                before = line if row is None and len(text) < MAX_LINE_BYTES else None
                if before is None:
                    yield line
    except (OSError, ValueError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or error
        raise FailureError(f"{path} cannot be read: {why}.", hint="give a file of herod's --audit-file") from error
    if before is not None:
        yield before


def _check_encoding(text: bytes, file: str) -> bytes:
    """The first line without a byte order mark.

    Raises:
        FailureError: it is not UTF-8.
    """
    try:
        return decode_text(text, file).encode()
    except SettingsError as error:
        if is_text(text):  # in another encoding
            raise FailureError(str(error)) from None
        return text


def _is_cut(text: bytes) -> bool:
    """Whether the file ends before the line does."""
    return not text.endswith(b"\n") and len(text) < MAX_LINE_BYTES


def _parse(text: bytes) -> Row | None:
    """The row of a line; None if it is no row. Lines of herod's own log (`--audit-log`) have one too."""
    try:
        row = parse_json(text.decode(), "the line")
    except (UnicodeDecodeError, SettingsError):
        return None
    if not isinstance(row, dict) or type(row.get("seq")) is not int or not 0 < row["seq"] < 2**63:
        return None
    if row.get("event") == "audit" and isinstance(row.get("at"), str):
        row["at"] = row["at"].replace(".000Z", "Z")
    return row
