"""Conformance of every store in the change feed, purging, usage and audit log.

A store's own test provides the fixtures `store` and `kept`, and inherits this class and that of `conformance.py`.
"""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from herod.records import Account, ApiKey, GuessCount, Revocation, Session
from herod.store.sqlite.sealed_rows import sealed_bytes
from herod.store.store_interface import MAX_READ_BYTES, Changes, Cursor, Store, Usage, Writer, former_use
from store.conformance import DAY, Kept, Refused, failing, putting
from store.samples import account, event, guess, key, revocation, session


class FeedConformance:
    """The change feed, purging of expired records, usage and the audit log."""

    async def test_changes(self, store: Store) -> None:
        """The feed has the changes since a cursor, each record in its latest state, and each deletion."""
        start = store.cursor
        assert store.changes(start) == Changes(cursor=start)
        await store.write(putting(account(), key("a"), key("b")))
        await store.write(putting(account(name="again")))
        await store.write(lambda tx: tx.delete(ApiKey, "b"))
        changes = store.changes(start)
        assert changes == Changes(cursor=store.cursor, put=(key("a"), account(name="again")), deleted=(("key", "b"),))
        assert store.changes(changes.cursor) == Changes(cursor=store.cursor)

    async def test_news(self, store: Store) -> None:
        """A commit with changes for the feed notifies waiting callers, and other commits do not."""
        woken: list[str] = []

        async def wait() -> None:
            await store.change_notifier.wait()
            woken.append("news")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await wait_all_tasks_blocked()
            await store.write(lambda tx: tx.audit(event()))
            await store.write(lambda tx: tx.get(Account, "ada"))
            assert len(store.change_notifier) == 1
            await store.write(putting(account()))
        assert woken == ["news"]
        assert not len(store.change_notifier)

    async def test_news_of_some_kinds(self, store: Store) -> None:
        """A caller that waits for some kinds of record is not woken for others, or for a deletion of others."""
        woken: list[str] = []

        async def wait() -> None:
            await store.change_notifier.wait(frozenset({"account", "peer"}))
            woken.append("news")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await wait_all_tasks_blocked()
            await store.write(putting(key(), session(), revocation()))
            await store.write(lambda tx: tx.delete(ApiKey, "key1"))
            await wait_all_tasks_blocked()
            assert woken == []
            await store.write(putting(account()))
        assert woken == ["news"]

    async def test_changes_of_some_kinds(self, store: Store) -> None:
        """The feed of some kinds passes over the others, and its cursor passes them too."""
        start = store.cursor
        await store.write(putting(key("a"), account(), key("b"), guess(), session()))
        await store.write(lambda tx: tx.delete(ApiKey, "b"))
        wanted = frozenset({"account"})
        assert store.changes(start, kinds=wanted) == Changes(cursor=store.cursor, put=(account(),))
        part = store.changes(start, limit=1, kinds=wanted)
        assert (part.put, part.has_more, part.cursor.rev) == ((), True, start.rev + 1)
        await store.write(lambda tx: tx.delete(Account, "ada"))
        assert store.changes(start, kinds=wanted).deleted == (("account", "ada"),)

    async def test_changes_in_pieces(self, store: Store) -> None:
        """With a limit the feed comes in parts, ordered by revision, and complete."""
        cursor = store.cursor
        await store.write(putting(*(account(f"id{n}") for n in range(7))))
        await store.write(lambda tx: [tx.delete(Account, "id0"), tx.delete(Account, "id3")])
        put: list[str] = []
        deleted: list[str] = []
        for _ in range(7):
            changes = store.changes(cursor, limit=1)
            assert len(changes.put) + len(changes.deleted) == 1
            assert changes.cursor.rev > cursor.rev
            cursor = changes.cursor
            put += [one.id for one in changes.put]
            deleted += [id_ for _, id_ in changes.deleted]
        assert (put, deleted) == (["id1", "id2", "id4", "id5", "id6"], ["id0", "id3"])
        assert cursor == store.cursor

    async def test_changes_are_bounded_in_bytes(self, store: Store) -> None:
        """Large records are split into parts without a limit, and each part but the last has `has_more`."""
        cursor = store.cursor
        fat = tuple(f"network-{number}" for number in range(2000))
        await store.write(putting(*(account(f"id{n:02}", networks=fat) for n in range(20))))
        await store.write(lambda tx: tx.delete(Account, "id00"))
        found: list[str] = []
        pieces: list[bool] = []
        while not pieces or pieces[-1]:
            changes = store.changes(cursor)
            assert sum(sealed_bytes(record) for record in changes.put[:-1]) < MAX_READ_BYTES
            found += [record.id for record in changes.put] + [id_ for _, id_ in changes.deleted]
            pieces.append(changes.has_more)
            cursor = changes.cursor
        assert found == [*(f"id{n:02}" for n in range(1, 20)), "id00"]
        assert len(pieces) > 3
        assert cursor == store.cursor
        assert not store.changes(cursor).has_more

    async def test_changes_of_a_limit_say_whether_there_are_more(self, store: Store) -> None:
        """A part that ends with the last change has no `has_more`, whatever the limit."""
        cursor = store.cursor
        await store.write(putting(*(account(f"id{n}") for n in range(4))))
        assert [store.changes(cursor, limit=limit).has_more for limit in (1, 3, 4, 5)] == [True, True, False, False]

    async def test_put_after_delete_is_no_delete(self, store: Store) -> None:
        """A record that was created again is not reported as deleted, also after a failed write."""
        start = store.cursor
        await store.write(putting(account()))
        await store.write(lambda tx: tx.delete(Account, "ada"))
        with pytest.raises(Refused):
            await store.write(failing(account()))
        assert store.changes(start).deleted == (("account", "ada"),)
        await store.write(putting(account()))
        assert store.changes(start) == Changes(cursor=store.cursor, put=(account(),))

    async def test_what_was_deleted(self, store: Store) -> None:
        """A deletion is known by kind and id, in a transaction too, until the record is created again."""
        assert not store.was_deleted(Account, "ada")
        await store.write(putting(account()))
        assert not store.was_deleted(Account, "ada")
        await store.write(lambda tx: tx.delete(Account, "ada"))
        assert store.was_deleted(Account, "ada")
        assert await store.write(lambda tx: tx.was_deleted(Account, "ada"))
        assert not store.was_deleted(ApiKey, "ada")
        assert not store.was_deleted(Account, "\ud800")
        await store.write(putting(account()))
        assert not store.was_deleted(Account, "ada")

    async def test_foreign_feed_cursors(self, store: Store) -> None:
        """A cursor of another generation, or from the future, gets a reset."""
        await store.write(putting(account()))
        for cursor in (Cursor("other", 0), Cursor(store.cursor.generation, 2), Cursor(store.cursor.generation, -1)):
            assert store.changes(cursor) == Changes(cursor=store.cursor, is_reset=True)

    async def test_tombstone_floor(self, kept: Kept) -> None:
        """A cursor from before the oldest kept tombstone gets a reset rather than missing deletions."""
        cursors = [kept.cursor]
        await kept.write(putting(*(account(f"id{n}") for n in range(5))))
        for number in range(5):
            cursors.append(kept.cursor)
            await kept.write(lambda tx, id_=f"id{number}": tx.delete(Account, id_))  # type: ignore[misc]
        assert not kept.changes(cursors[0]).is_reset
        await kept.purge_expired(0)
        assert [kept.changes(cursor).is_reset for cursor in cursors] == [True, True, True, False, False, False]
        assert kept.changes(cursors[3]).deleted == (("account", "id2"), ("account", "id3"), ("account", "id4"))
        await kept.purge_expired(0)
        assert not kept.changes(cursors[3]).is_reset

    async def test_purge(self, store: Store) -> None:
        """Sessions and revocations are purged a day after their expiry, through the feed; other records are kept."""
        keys = [key(expires_at=100)]
        await store.write(putting(session("old"), session("new", expires_at=201), session("endless", expires_at=None)))
        await store.write(putting(revocation("old"), revocation("new", expires_at=201), *keys))
        before = store.cursor
        assert await store.purge_expired(199 + DAY) == 0
        assert await store.purge_expired(200 + DAY) == 2
        assert {one.id for one in store.scan(Session)} == {"new", "endless"}
        assert store.get(Revocation, "ada/old") is None
        assert store.get(Revocation, "ada/new") is not None
        assert list(store.scan(ApiKey)) == keys
        assert set(store.changes(before).deleted) == {("session", "old"), ("revocation", "ada/old")}

    async def test_the_feed_leaves_counts_out(self, store: Store) -> None:
        """Guess counts appear in the feed neither as changes nor as tombstones, and a failed write restores them."""
        before = store.cursor
        await store.write(putting(guess("one"), account("ada"), guess("two", expires_at=300)))
        assert [record.id for record in store.changes(before).put] == ["ada"]
        with pytest.raises(Refused):
            await store.write(lambda tx: (tx.delete(GuessCount, "one"), failing()(tx)))
        assert store.get(GuessCount, "one") == guess("one")
        between = store.cursor
        assert await store.purge_expired(199) == 0
        assert await store.purge_expired(200) == 1
        assert await store.write(lambda tx: tx.delete(GuessCount, "two"))
        assert store.count(GuessCount) == 0
        changes = store.changes(between)
        assert (changes.is_reset, changes.put, changes.deleted) == (False, (), ())

    async def test_purge_of_many(self, store: Store) -> None:
        """A purge of more than one transaction's records needs one call."""
        await store.write(putting(*(session(f"id{n}") for n in range(2300))))
        assert await store.purge_expired(10**9) == 2300
        assert store.count(Session) == 0

    async def test_usage(self, store: Store) -> None:
        """A use is visible at once, replaces the former, is removed with its key, and is not in the feed."""
        await store.write(putting(key()))
        before = store.cursor
        assert store.usage("key1") is None
        store.note_use("key1", Usage(1, "uid:1"))
        store.note_use("key1", Usage(2, "uid:2"))
        assert store.usage("key1") == Usage(2, "uid:2")
        await store.flush_usage()
        assert store.usage("key1") == Usage(2, "uid:2")
        assert await store.write(lambda tx: tx.usage("key1")) == Usage(2, "uid:2")
        store.note_use("key1", Usage(3, "uid:3"))
        await store.flush_usage()
        store.note_use(former_use("key1"), Usage(1, "uid:1"))
        await store.flush_usage()
        assert store.usage("key1") == Usage(3, "uid:3")
        assert store.cursor == before
        with pytest.raises(Refused):
            await store.write(lambda tx: [tx.delete(ApiKey, "key1"), failing()(tx)])
        assert (store.usage("key1"), store.usage(former_use("key1"))) == (Usage(3, "uid:3"), Usage(1, "uid:1"))
        await store.write(lambda tx: tx.delete(ApiKey, "key1"))
        assert store.usage("key1") is store.usage(former_use("key1")) is None

    async def test_usage_goes_with_a_write(self, store: Store) -> None:
        """Uses are written with the next write, many of them over several writes."""
        for number in range(1200):
            store.note_use(f"id{number}", Usage(number, "uid:1"))
        for _ in range(4):
            await store.write(putting(account()))
        assert await store.write(lambda tx: tx.usage("id1199")) == Usage(1199, "uid:1")

    async def test_audit(self, store: Store) -> None:
        """Events are listed in order with their sequence numbers, and the chain verifies."""
        empty = await store.verify_audit()
        assert empty.valid
        assert (empty.rows, empty.head) == (0, "00" * 32)
        events = [event(n, reason=None if n % 2 else "missing_scope", target=f"t{n}", count=n) for n in range(1, 8)]
        for one in events:
            await store.write(lambda tx, one=one: tx.audit(one))  # type: ignore[misc]
        rows = store.audit_rows()
        assert [row.event for row in rows] == events
        assert [row.seq for row in rows] == list(range(1, 8))
        assert [row.seq for row in store.audit_rows(after=2, limit=3)] == [3, 4, 5]
        assert store.audit_rows(after=7) == []
        verdict = await store.verify_audit()
        assert verdict.valid
        assert (verdict.rows, verdict.head, verdict.first_bad) == (7, rows[-1].mac, None)

    async def test_audit_with_failures(self, store: Store) -> None:
        """Audit events of failed functions leave no gap in the chain."""

        async def write(number: int) -> None:
            def work(tx: Writer) -> None:
                tx.audit(event(number))
                if number % 2:
                    raise Refused

            try:
                await store.write(work)
            except Refused:
                assert number % 2

        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(write, number)
        assert sorted(row.event.at for row in store.audit_rows()) == list(range(0, 20, 2))
        assert (await store.verify_audit()).valid

    async def test_cursor_moves_with_changes_only(self, store: Store) -> None:
        """Each put and each delete is one revision; reading and auditing are none."""
        start = store.cursor
        await store.write(lambda tx: tx.audit(event()))
        await store.write(lambda tx: tx.get(Account, "ada"))
        assert store.cursor == start
        await store.write(putting(account(), account(name="again")))
        await store.write(lambda tx: tx.delete(Account, "ada"))
        assert store.cursor == Cursor(start.generation, start.rev + 3)
