"""Audit rows as lines of herod's own log."""

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from herod.audit_copies import AuditCopies
from herod.audit_event import AuditEvent
from herod.server.logs import LogWriter, set_up_logging
from support.herod_in_memory import NOW, Harness


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    """Restore the root logger."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers[:]:
        if isinstance(handler, LogWriter):
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


async def test_each_row_is_a_line(harness: Harness, tmp_path: Path) -> None:
    """With the level `warning` too, each row after the start is a JSON line with the same fields and the row's time."""
    await harness.user()
    descriptor = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT, 0o600)
    writer = set_up_logging("json", "warning", descriptor=descriptor)
    copies = AuditCopies(harness.store, file=None, has_room=writer.has_room)
    start = harness.store.audit_head[0]

    def many(tx: object) -> None:
        for number in range(1000):
            tx.audit(AuditEvent(at=NOW, actor=f"a{number}", method="jwt", source="s", operation="o", outcome="ok"))  # type: ignore[attr-defined]

    async with trio.open_nursery() as nursery:
        nursery.start_soon(copies.run)
        await harness.store.write(many)
        await harness.user()
        nursery.cancel_scope.cancel()
    await copies.finish()
    assert copies.file_state() is None
    writer.close()
    os.close(descriptor)
    logged = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line["seq"] for line in logged] == list(range(start + 1, start + 1002))
    last = harness.store.audit_rows(after=start + 1000)[0]
    assert logged[-1] == {
        "at": "2027-01-15T08:00:00.000Z", "level": "info", "event": "audit", "method": last.event.method,
        "source": last.event.source, "reason": None, "operation": "users.add", "count": 1, "seq": last.seq,
        "actor": "local-admin", "outcome": "ok", "target": last.event.target, "by_admin": True, "mac": last.mac,
    }  # fmt: skip


async def test_a_full_log_loses_no_row(harness: Harness) -> None:
    """While the log's reader is slow, rows wait in the store instead of being dropped."""
    room = False
    seen: list[int] = []
    handler = logging.Handler()
    handler.emit = lambda record: seen.append(record.__dict__.get("seq", 0))  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    copies = AuditCopies(harness.store, file=None, has_room=lambda _lines: room)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(copies.run)
            await harness.user()
            await trio.sleep(0.15)
            assert seen == []
            room = True
            with trio.fail_after(10):
                while not seen:  # noqa: ASYNC110 - a log handler sends no event
                    await trio.sleep(0.01)
            nursery.cancel_scope.cancel()
    finally:
        logging.getLogger().removeHandler(handler)
    assert seen == [harness.store.audit_head[0]]
