"""Querying and trimming the audit log: the same in every store, with the chain intact."""

from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from herod.credentials.keyring import Keyring
from herod.store.audit_chain import ChainEnd, ChainRow, encode_event, link, trim, walk
from herod.store.audit_filter import AuditFilter
from herod.store.memory_store import MemoryStore
from herod.store.sqlite.sqlite_store import open_sqlite
from herod.store.store_interface import Store, Writer
from herod_client.core.errors import Unavailable
from store.samples import SECRET, event

KEYRING = Keyring(bytes(32))
ALL = AuditFilter()


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """Each kind of store, empty."""
    opened = MemoryStore(SECRET) if request.param == "memory" else open_sqlite(tmp_path / "h.db", SECRET, now=1)
    async with opened as store:
        yield store


def auditing(*numbers: int, **changes: Any) -> Callable[[Writer], None]:
    """A function for `write` that appends events with these times."""

    def work(tx: Writer) -> None:
        for number in numbers:
            tx.audit(event(number, **changes))

    return work


def trimming(**how: int) -> Callable[[Writer], int]:
    """A function for `write` that trims the log."""
    given = {"before": 0, "through": 0, "limit": 1000, **how}
    return lambda tx: tx.trim_audit(**given)


async def seqs(store: Store, wanted: AuditFilter = ALL, **more: int) -> list[int]:
    """The sequence numbers of the rows found."""
    return [row.seq for row in await store.find_audit(wanted, **more)]


FILTERS: dict[str, tuple[AuditFilter, list[int]]] = {
    "everything": (ALL, [4, 3, 2, 1]),
    "actor": (AuditFilter(actor="bob"), [2]),
    "operation": (AuditFilter(operation="keys.create"), [3, 2, 1]),
    "group": (AuditFilter(operation="users.*"), [4]),
    "any operation": (AuditFilter(operation="*"), [4, 3, 2, 1]),
    "a star is no other wildcard": (AuditFilter(operation="keys%*"), []),
    "outcome": (AuditFilter(outcome="denied"), [3]),
    "reason": (AuditFilter(reason="expired"), [3]),
    "source": (AuditFilter(source="127.0.0.1"), [4]),
    "target": (AuditFilter(target='it\'s "quoted"'), [4]),
    "since": (AuditFilter(since=3), [4, 3]),
    "until": (AuditFilter(until=3), [2, 1]),
    "all together": (AuditFilter(actor="ada", operation="keys.*", since=1, until=2), [1]),
    "no text of SQL": (AuditFilter(actor="' OR 1 --"), []),
    "a lone surrogate": (AuditFilter(actor="\ud800"), []),
}


@pytest.mark.parametrize(("wanted", "found"), FILTERS.values(), ids=FILTERS)
async def test_filters(store: Store, wanted: AuditFilter, found: list[int]) -> None:
    """Each filter selects matching rows, newest first, and several filters combine with AND."""
    await store.write(auditing(1))
    await store.write(auditing(2, actor="bob"))
    await store.write(auditing(3, outcome="denied", reason="expired"))
    await store.write(auditing(4, operation="users.add", source="127.0.0.1", target='it\'s "quoted"'))
    assert await seqs(store, wanted) == found


async def test_pages(store: Store) -> None:
    """Older rows come before a row, newer ones after it, in ascending order."""
    await store.write(auditing(*range(1, 11)))
    assert await seqs(store, limit=3) == [10, 9, 8]
    assert await seqs(store, before=8, limit=3) == [7, 6, 5]
    assert await seqs(store, before=1) == []
    assert await seqs(store, after=0, limit=3) == [1, 2, 3]
    assert await seqs(store, after=8) == [9, 10]
    assert await seqs(store, after=10) == []


async def test_trim_by_number(store: Store) -> None:
    """The oldest rows are removed, at most `limit` at a time; the rest verifies and new rows continue it."""
    await store.write(auditing(*range(1, 11)))
    assert await store.write(trimming(through=6, limit=4)) == 4
    assert await store.write(trimming(through=6, limit=4)) == 2
    assert await store.write(trimming(through=6, limit=4)) == 0
    assert await seqs(store, after=0) == [7, 8, 9, 10]
    assert [row.seq for row in store.audit_rows()] == [7, 8, 9, 10]
    assert [row.seq for row in store.audit_rows(after=8, limit=1)] == [9]
    await store.write(auditing(11))
    verdict = await store.verify_audit()
    assert verdict.valid
    assert verdict.rows == 5
    assert store.audit_head == (11, verdict.head)


async def test_trim_by_age(store: Store) -> None:
    """Rows are removed up to the first that is young enough, even if a later one is older."""
    await store.write(auditing(1, 2, 5, 3, 6))
    assert await store.write(trimming(before=5)) == 2
    assert await seqs(store, after=0) == [3, 4, 5]
    assert (await store.verify_audit()).valid


async def test_trim_of_everything(store: Store) -> None:
    """A chain trimmed to nothing can be continued."""
    await store.write(auditing(1, 2, 3))
    head = (await store.verify_audit()).head
    assert await store.write(trimming(before=10)) == 3
    verdict = await store.verify_audit(expect=bytes.fromhex(head))
    assert verdict.valid
    assert (verdict.rows, verdict.head) == (0, head)
    await store.write(auditing(4))
    assert (await store.verify_audit()).valid
    assert await seqs(store) == [4]


async def test_trim_that_fails(store: Store) -> None:
    """Rows removed by a failed function are restored."""
    await store.write(auditing(1, 2, 3))

    def fail(tx: Writer) -> None:
        assert tx.trim_audit(before=10, through=0, limit=10) == 3
        tx.audit(event(4))
        raise LookupError

    with pytest.raises(LookupError):
        await store.write(fail)
    assert await seqs(store) == [3, 2, 1]
    assert (await store.verify_audit()).valid


async def test_expected_head(store: Store) -> None:
    """Any former head is recognized until its row is removed; then the answer names the possible causes."""
    await store.write(auditing(1, 2))
    noted = bytes.fromhex((await store.verify_audit()).head)
    await store.write(auditing(3, 4))
    assert (await store.verify_audit(expect=noted)).valid
    assert (await store.verify_audit(expect=bytes(32))).valid  # the head of the empty log
    never = await store.verify_audit(expect=b"x" * 32)
    assert not never.valid
    assert never.first_bad is None
    assert "truncated" in (never.reason or "")
    assert "retention" not in (never.reason or "")
    await store.write(trimming(through=2))
    assert (await store.verify_audit(expect=noted)).valid  # the anchor keeps it
    await store.write(trimming(through=3))
    gone = await store.verify_audit(expect=noted)
    assert not gone.valid
    assert "rows 1 to 3, which retention has removed" in (gone.reason or "")


@given(
    times=st.lists(st.integers(0, 9), max_size=12),
    before=st.integers(0, 10),
    through=st.integers(0, 12),
    bad=st.none() | st.integers(0, 11),
)
def test_trim_never_breaks_the_chain_nor_hides_a_break(
    times: list[int], before: int, through: int, bad: int | None
) -> None:
    """Trimming leaves the verdict unchanged, and never removes an edited row or any row after it."""
    rows: list[ChainRow] = []
    head = ChainEnd()
    for time in times:
        json = encode_event(event(time))
        head = link(KEYRING, head, json)
        rows.append((head.seq, json, head.mac))
    if bad is not None and bad < len(rows):
        rows[bad] = (rows[bad][0], encode_event(event(99)), rows[bad][2])
    was = walk(KEYRING, rows, anchor=ChainEnd(), head=head)
    anchor, stopped = trim(KEYRING, rows, anchor=ChainEnd(), head=head, before=before, through=through)
    now = walk(KEYRING, rows[anchor.seq :], anchor=anchor, head=head)
    assert (now.valid, now.first_bad) == (was.valid, was.first_bad)
    assert stopped in (None, was.first_bad)
    if was.valid:
        gone, kept = times[: anchor.seq], times[anchor.seq :]
        assert not kept or (kept[0] >= before and anchor.seq >= through)
        assert all(time < before or seq <= through for seq, time in enumerate(gone, 1))


@pytest.mark.parametrize("before", [5, 100])
async def test_a_shortened_log_is_opened_again(tmp_path: Path, before: int, caplog: pytest.LogCaptureFixture) -> None:
    """A log shortened by retention, even to nothing, is opened without complaint."""
    path = tmp_path / "h.db"
    async with open_sqlite(path, SECRET, now=1) as store:
        await store.write(auditing(*range(1, 11)))
        assert await store.write(trimming(before=before)) == min(before - 1, 10)
        head = store.audit_head
    async with open_sqlite(path, SECRET, now=1) as store:
        assert store.audit_head == head
        assert (await store.verify_audit(expect=bytes.fromhex(head[1]))).valid
        await store.write(auditing(11))
        assert (await seqs(store))[0] == 11
        assert (await store.verify_audit()).valid
    assert "does not match its sealed head" not in caplog.text


async def test_retention_stops_at_a_changed_row(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Trimming stops before an edited row, which is kept as evidence, and the log reports it."""
    path = tmp_path / "h.db"
    async with open_sqlite(path, SECRET, now=1) as store:
        await store.write(auditing(*range(1, 11)))
        with closing(apsw.Connection(str(path))) as other:
            other.execute("UPDATE audit SET json = 'x' WHERE seq = 4")
        assert await store.write(trimming(before=100)) == 3
        assert await store.write(trimming(before=100)) == 0
        verdict = await store.verify_audit()
        assert (verdict.valid, verdict.first_bad) == (False, 4)
        with pytest.raises(Unavailable, match="herod audit verify"):
            await store.find_audit(ALL)
    assert "audit row 4 was changed" in caplog.text


@pytest.mark.parametrize("by_admin", [False, True])
def test_rows_from_the_future_do_not_stay_for_ever(by_admin: bool) -> None:
    """A row written while the clock was ahead is as old as the one after it, by age and by number of rows."""
    times = (10, 20, 10**9, 10**9, 30, 40, 10**9, 50)
    rows: list[ChainRow] = []
    head = ChainEnd()
    for seq, at in enumerate(times, start=1):
        json = encode_event(event(seq, at=at, by_admin=by_admin and at == 10**9))
        head = link(KEYRING, head, json)
        rows.append((seq, json, head.mac))

    def kept_after(before: int, through: int = 0, *, now: int = 60) -> int:
        anchor, stopped = trim(
            KEYRING, rows, anchor=ChainEnd(), head=head, before=before, through=through, latest=now
        )  # fmt: skip
        assert stopped is None
        return anchor.seq

    assert kept_after(20) == 1
    assert kept_after(30) == 2  # the two that follow are at least as young as the fifth
    assert kept_after(31) == 5
    assert kept_after(41) == 6
    assert kept_after(51) == 8
    assert kept_after(0, 4) == (2 if by_admin else 4)
    assert kept_after(30, 5) == (2 if by_admin else 5)
    assert kept_after(30, 5, now=10**9) == (2 if by_admin else 5)  # the clock is still ahead
