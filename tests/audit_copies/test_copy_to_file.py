"""Each committed row reaches the audit file once and in order: after rotation, crash, restore, and a failing disk."""

import json
import logging
import os
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from herod.audit_copies import copy_to_file
from herod.audit_copies.audit_file import open_audit_file
from herod.audit_copies.copy_to_file import AuditFileCopy
from herod.audit_event import AuditEvent
from herod.operations.audit import AuditRetention, audit_entry, enforce_retention
from herod.store.memory_store import MemoryStore
from herod.store.sqlite.sqlite_store import open_sqlite
from herod.store.store_interface import Store, Writer
from support.herod_in_memory import NOW, SECRET

Opened = Callable[[], Any]


def audit_event(number: int) -> AuditEvent:
    """An event that no other number has."""
    return AuditEvent(
        at=NOW + number,
        actor=f"actor-{number}",
        method="jwt",
        source="uid:7",
        operation="keys.create",
        outcome="ok",
        target=f"key-{number}",
    )


async def write(store: Store, *numbers: int) -> None:
    """Write rows, each in a commit of its own."""
    for number in numbers:
        await store.write(lambda tx, number=number: tx.audit(audit_event(number)))  # type: ignore[misc]


def expected(store: Store) -> list[Any]:
    """All rows of the store, as lines."""
    found: list[Any] = []
    after = 0
    while rows := store.audit_rows(after=after):
        found += [json.loads(msgspec.json.encode(audit_entry(row))) for row in rows]
        after = rows[-1].seq
    return found


def lines(path: Path) -> list[Any]:
    """The rows of the file; every line is whole."""
    text = path.read_text()
    assert text.endswith("\n") or not text
    return [json.loads(line) for line in text.splitlines()]


def append(path: Path, data: bytes) -> None:
    """Append to the file."""
    with path.open("ab") as file:
        file.write(data)


def rotated_path(path: Path, number: int) -> Path:
    """The name of a rotated file."""
    return path.with_name(f"{path.name}.{number}")


def rename(path: Path, number: int) -> None:
    """Rename the file, as logrotate does."""
    path.rename(rotated_path(path, number))


def make_folder(path: Path) -> None:
    """Put a folder where the file should be."""
    path.mkdir()


def remove_folder(path: Path) -> None:
    """Remove it."""
    path.rmdir()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a thread."""
    while not condition():  # noqa: ASYNC110 - the file system sends no event
        await trio.sleep(0.001)


@asynccontextmanager
async def copying(store: Store, path: Path) -> AsyncIterator[AuditFileCopy]:
    """Copy to the file for the length of the block, and let it catch up at its end."""
    file = open_audit_file(path)
    copy = AuditFileCopy(store, file)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(copy.run)
        yield copy
        with trio.fail_after(10):
            await copy.caught_up()
        nursery.cancel_scope.cancel()
    file.close()


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MemoryStore]:
    """Each kind of store."""
    made: Any = MemoryStore(SECRET) if request.param == "memory" else open_sqlite(tmp_path / "db", SECRET, now=NOW)
    async with made as opened:
        yield opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file will be."""
    return tmp_path / "audit.jsonl"


async def test_rows_follow_as_they_are_written(store: Store, path: Path) -> None:
    """Earlier rows, then each new one, are lines with every field and the HMAC; nothing is left waiting."""
    await write(store, *range(5))
    async with copying(store, path) as copy:
        await copy.caught_up()
        assert lines(path) == expected(store)
        await write(store, *range(5, 10))
        await copy.caught_up()
        assert lines(path) == expected(store)
        assert (copy.state.waiting, copy.state.problem) == (0, None)
    assert lines(path)[9]["mac"] == store.audit_head[1]


async def test_many_rows_of_many_writers(store: Store, path: Path) -> None:
    """With many rows at once, more than a page, the file has all of them in the order of the chain."""

    def many(tx: Writer) -> None:
        for number in range(450):
            tx.audit(audit_event(number))

    async with copying(store, path), trio.open_nursery() as writers:
        for base in range(10):
            writers.start_soon(write, store, *range(1000 * base, 1000 * base + 20))
        writers.start_soon(store.write, many)
    assert lines(path) == expected(store)


async def test_rolled_back_rows_never_appear(store: Store, path: Path) -> None:
    """A row whose transaction fails is not in the file."""

    def fail(tx: Writer) -> None:
        tx.audit(audit_event(1))
        raise ZeroDivisionError

    async with copying(store, path):
        with pytest.raises(ZeroDivisionError):
            await store.write(fail)
        await write(store, 2)
    assert [row["actor"] for row in lines(path)] == ["actor-2"]


async def test_what_a_crash_left_out_is_caught_up(store: Store, path: Path) -> None:
    """Rows that were committed after the last copied one are appended at the next start, and none twice."""
    async with copying(store, path):
        await write(store, *range(5))
    await write(store, *range(5, 9))
    append(path, b'{"seq":6,"at"')  # killed while writing
    async with copying(store, path):
        await write(store, 9)
    assert lines(path) == expected(store)
    async with copying(store, path):
        pass
    assert lines(path) == expected(store)


async def test_rotation(store: Store, path: Path) -> None:
    """Renamed and reopened between and during writes, the files together have each row once."""
    async with copying(store, path) as copy, trio.open_nursery() as nursery:
        for base in range(5):
            nursery.start_soon(write, store, *range(100 * base, 100 * base + 10))
        for number in range(1, 6):
            await trio.sleep(0.01)
            rename(path, number)
            await write(store, 1000 + number)  # into either file
            copy.reopen()
            with trio.fail_after(10):
                await until(path.exists)
    rotated = [line for number in range(1, 6) for line in lines(rotated_path(path, number))]
    assert rotated + lines(path) == expected(store)
    assert len(rotated) >= 5


async def test_truncated_in_place(store: Store, path: Path) -> None:
    """After logrotate's copytruncate, the file continues with the next row."""
    async with copying(store, path) as copy:
        await write(store, *range(3))
        await copy.caught_up()
        os.truncate(path, 0)
        await write(store, 3)
    assert [row["seq"] for row in lines(path)] == [4]


async def test_failing_file(
    store: Store, path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that cannot be written is logged once, reported, and retried; then all rows follow. Writes go on."""
    monkeypatch.setattr(copy_to_file, "RETRY_SECONDS", 0.01)
    caplog.set_level(logging.INFO)
    async with copying(store, path) as copy:
        await write(store, 0)
        await copy.caught_up()
        rename(path, 1)
        make_folder(path)
        copy.reopen()
        with trio.fail_after(10):
            await until(lambda: copy.state.problem is not None)
        await write(store, *range(1, 4))
        await trio.sleep(0.1)
        assert (copy.state.waiting, "not a regular file" in str(copy.state.problem)) == (3, True)
        assert [record.levelname for record in caplog.records].count("ERROR") == 1
        remove_folder(path)
        with trio.fail_after(10):
            await until(lambda: copy.state.problem is None)
    assert lines(rotated_path(path, 1)) + lines(path) == expected(store)
    assert "is written again" in caplog.text


async def test_slow_disk_holds_nobody_up(store: Store, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the file's disk hangs, rows are written to the store as usual, and follow later."""
    hold = threading.Event()
    real = os.write

    def hang(descriptor: int, data: bytes) -> int:
        if data.startswith(b'{"seq"'):
            hold.wait(30)
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", hang)
    async with copying(store, path) as copy:
        with trio.fail_after(10):
            await write(store, *range(200))
        assert copy.state.waiting > 100
        hold.set()
    assert lines(path) == expected(store)


async def test_another_log(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """If the file ends with rows that the store does not have, as after a restore, the store's own rows follow."""
    async with MemoryStore(SECRET) as first:
        async with copying(first, path):
            await write(first, *range(700))
        async with MemoryStore(SECRET) as second:
            await write(second, *range(600), *range(5000, 5003))
            async with copying(second, path):
                pass
            assert lines(path) == [*expected(first), *expected(second)[600:]]
    assert "ends with row 700" in caplog.text
    assert "rows after row 600 follow" in caplog.text


async def test_retention_is_no_difference(store: Store, path: Path) -> None:
    """Rows that retention removed are not expected: the file continues where it ended."""
    async with copying(store, path):
        await write(store, *range(10))
    before = lines(path)
    await enforce_retention(store, AuditRetention(days=1, rows=1000), now=NOW + 3 * 86_400)
    async with copying(store, path):
        pass
    assert lines(path) == [*before, *expected(store)]
    assert lines(path)[-1]["operation"] == "audit.trim"


async def test_damaged_row_does_not_end_the_copy(tmp_path: Path, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A row that was made unreadable in the store is reported and left out; the rows after it follow."""
    async with open_sqlite(tmp_path / "db", SECRET, now=NOW) as store:
        await write(store, *range(5))
    with closing(sqlite3.connect(tmp_path / "db")) as connection, connection:
        connection.execute("UPDATE audit SET json = 'x' WHERE seq = 3")
    async with open_sqlite(tmp_path / "db", SECRET, now=NOW) as store, copying(store, path):
        await write(store, 5)
    assert [row["seq"] for row in lines(path)] == [1, 2, 4, 5, 6]
    assert "audit row 3 is damaged" in caplog.text
