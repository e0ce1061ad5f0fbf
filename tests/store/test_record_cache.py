"""The cache of records: bounded, and consistent under concurrent writes."""

import tracemalloc
from pathlib import Path

import msgspec
import pytest
import trio

from herod.records import Account, Record, Session
from herod.store.record_cache import ABSENT, CACHED_BYTES, RecordCache, record_bytes
from herod.store.sqlite.sqlite_store import open_sqlite
from herod.store.store_interface import Writer
from store.conformance import putting
from store.samples import SECRET, account, guess, resource, session


def test_remembers_records_and_absences() -> None:
    """Existing, absent and unknown records are three different results."""
    cache = RecordCache(10)
    cache.keep(("account", "ada"), account())
    cache.keep(("account", "bob"), None)
    assert cache.get(("account", "ada")) == account()
    assert cache.get(("account", "bob")) is ABSENT
    assert cache.get(("key", "ada")) is None
    for id_ in ("ada", "bob"):
        cache.forget(("account", id_))
        assert cache.get(("account", id_)) is None


def test_is_bounded() -> None:
    """The cache never exceeds its size, for records and for absences."""
    cache = RecordCache(10)
    for number in range(1000):
        cache.keep(("account", f"id{number}"), account())
        cache.keep(("account", f"no{number}"), None)
        assert len(cache) <= 20


def test_is_bounded_in_bytes() -> None:
    """Records with many networks, from an earlier version, stay within the cache's bytes.

    1,200 keys with 11,000 networks, each used once, took 960 MB of memory; now the cache holds 32 MiB of them.
    """
    fat = tuple(f"n{number}" for number in range(11_000))
    cache = RecordCache(16_384)
    ids = [f"id{number}" for number in range(1200)]
    for id_ in ids:
        cache.keep(("account", id_), account(id_, networks=fat))
    found = [record for id_ in ids if isinstance(record := cache.get(("account", id_)), Account)]
    assert found
    assert sum(record_bytes(record) for record in found) <= CACHED_BYTES


@pytest.mark.parametrize(
    "record",
    [
        account(email="ada@example.org", password="phc", networks=tuple(f"{n:02}{'n' * 62}" for n in range(64))),
        account(name="\N{PILE OF POO}" * 128),
        resource(secret="s" * 1024, attributes=b"x" * 16_384),
        guess(),
    ],
    ids=["networks", "name", "resource", "count"],
)
def test_what_a_record_takes(record: Record) -> None:
    """The counted size of a record is at least what Python allocates to decode it."""
    data = msgspec.msgpack.encode(record)
    decode = msgspec.msgpack.Decoder(type(record)).decode
    kept = [decode(data)]  # allocated only once
    tracemalloc.start()
    try:
        kept += [decode(data) for _ in range(100)]
        allocated, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(kept) == 101
    assert allocated / 100 <= record_bytes(record)


def test_keeps_what_is_used() -> None:
    """A record in use is kept while others come and go, and lookups of unknown ids evict no record."""
    cache = RecordCache(10)
    cache.keep(("account", "ada"), account())
    for number in range(1000):
        cache.keep(("account", f"no{number}"), None)
        if number % 3 == 0:
            cache.keep(("account", f"id{number}"), account())
        assert cache.get(("account", "ada")) is not None


def test_forgets_in_both_halves() -> None:
    """Forgetting removes a record from either half."""
    for others in range(12):
        cache = RecordCache(10)
        cache.keep(("account", "ada"), account())
        for number in range(others):
            cache.keep(("account", f"id{number}"), account())
        cache.keep(("account", "ada"), account(name="again"))
        cache.forget(("account", "ada"))
        assert cache.get(("account", "ada")) is None


def test_long_ids_are_not_kept() -> None:
    """Long ids, which anyone can send, are not cached."""
    cache = RecordCache(10)
    cache.keep(("account", "x" * 129), None)
    assert len(cache) == 0


@pytest.mark.parametrize("size", [1, 4, 1000])
async def test_never_stale_after_acknowledgement(tmp_path: Path, size: int) -> None:
    """During commits a reader sees at least what was acknowledged, and at most what was attempted."""
    ids = [f"id{number}" for number in range(8)]
    acknowledged = dict.fromkeys(ids, 0)
    tried = dict.fromkeys(ids, 0)
    reads = 0

    def check(id_: str) -> None:
        nonlocal reads
        reads += 1
        floor = acknowledged[id_]
        found = store.get(Account, id_)
        assert found is not None
        assert floor <= found.epoch <= tried[id_]

    async def write(id_: str) -> None:
        for epoch in range(1, 60):
            tried[id_] = epoch
            await store.write(putting(account(id_, epoch=epoch)))
            acknowledged[id_] = epoch
            check(id_)

    async def read(done: trio.Event) -> None:
        while not done.is_set():
            for id_ in ids:
                check(id_)
            await trio.lowlevel.checkpoint()

    async with open_sqlite(tmp_path / "herod.db", SECRET, now=1, cached_records=size) as store:
        await store.write(putting(*(account(id_, epoch=0) for id_ in ids)))
        done = trio.Event()
        async with trio.open_nursery() as readers:
            readers.start_soon(read, done)
            async with trio.open_nursery() as writers:
                for id_ in ids:
                    writers.start_soon(write, id_)
            done.set()
        assert {id_: store.get(Account, id_) for id_ in ids} == {id_: account(id_, epoch=59) for id_ in ids}
    assert reads > 8 * 59


async def test_absence_is_exact_too(tmp_path: Path) -> None:
    """A cached absence ends when its record is created, and a record is absent after its deletion."""
    async with open_sqlite(tmp_path / "herod.db", SECRET, now=1) as store:
        for number in range(20):
            id_ = f"id{number}"
            assert store.get(Account, id_) is None
            await store.write(putting(account(id_)))
            assert store.get(Account, id_) is not None
            await store.write(lambda tx, id_=id_: tx.delete(Account, id_))  # type: ignore[misc]
            assert store.get(Account, id_) is None


async def test_failed_write_shows_nothing(tmp_path: Path) -> None:
    """Records written by a function that fails never reach the cache."""
    async with open_sqlite(tmp_path / "herod.db", SECRET, now=1) as store:
        await store.write(putting(account()))

        def work(tx: Writer) -> None:
            ada = tx.get(Account, "ada")
            assert ada is not None
            tx.put(msgspec.structs.replace(ada, enabled=False))
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await store.write(work)
        assert store.get(Account, "ada") == account()


async def test_purge_reaches_it(tmp_path: Path) -> None:
    """Records purged by the store are removed from the cache too."""
    async with open_sqlite(tmp_path / "herod.db", SECRET, now=1) as store:
        await store.write(putting(session()))
        assert store.get(Session, "session1") is not None
        await store.purge_expired(10**9)
        assert store.get(Session, "session1") is None


async def test_open_scan_does_not_make_reading_stale(tmp_path: Path) -> None:
    """An unfinished scan does not pin the reader to an old snapshot."""
    async with open_sqlite(tmp_path / "herod.db", SECRET, now=1, cached_records=1) as store:
        await store.write(putting(*(account(f"id{number}") for number in range(10))))
        scan = store.scan(Account)
        next(scan)
        await store.write(putting(account("id9", name="new")))
        found = store.get(Account, "id9")
        assert found is not None
        assert found.name == "new"
