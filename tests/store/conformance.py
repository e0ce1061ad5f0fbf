"""Conformance of every store in records and writes; `conformance_feed.py` covers the rest.

A store's own test provides the fixture `store` and inherits both classes.
"""

from collections.abc import Callable
from typing import Protocol

import msgspec
import pytest
import trio

from herod.credentials.keyring import Purpose
from herod.records import Account, ApiKey, PeerRule, Record, Resource, Session, resource_owner
from herod.store.sqlite.sealed_rows import sealed_bytes
from herod.store.store_interface import MAX_READ_BYTES, Changes, Health, Order, Reader, Store, Writer
from herod_client.core.errors import Conflict, InvalidRequest
from store.samples import account, event, key, resource, rule, session

DAY = 86_400


class Kept(Store, Protocol):
    """A store that keeps three tombstones."""


def putting(*records: Record) -> Callable[[Writer], None]:
    """A function for `write` that puts all these records."""

    def put(tx: Writer) -> None:
        for record in records:
            tx.put(record)

    return put


class Refused(Exception):
    """An error raised by a function."""


def failing(*records: Record) -> Callable[[Writer], None]:
    """A function for `write` that puts all these records, appends an audit event, and then fails."""

    def put(tx: Writer) -> None:
        putting(*records)(tx)
        tx.audit(event())
        raise Refused

    return put


class StoreConformance:
    """Reading and writing."""

    async def test_what_was_put_is_there(self, store: Store) -> None:
        """A record is read back equal, by its own type only, and an unknown id gives None."""
        ada = account(email="ada@example.org", password="phc", expires_at=7, epoch=3)
        await store.write(putting(ada))
        assert store.get(Account, "ada") == ada
        assert store.get(ApiKey, "ada") is None
        assert store.get(Account, "nobody") is None

    async def test_put_replaces(self, store: Store) -> None:
        """A record replaces another of the same kind and id."""
        await store.write(putting(account()))
        assert store.get(Account, "ada") == account()
        renamed = account(name="Countess", created_at=101)
        await store.write(putting(renamed))
        assert store.get(Account, "ada") == renamed
        assert list(store.scan(Account)) == [renamed]
        assert store.count(Account) == 1

    async def test_result_is_the_functions(self, store: Store) -> None:
        """`write` returns what its function returned."""
        assert await store.write(lambda tx: tx.count(Account)) == 0

    async def test_writer_reads_its_own_writes(self, store: Store) -> None:
        """Inside a write, every read method sees what was just written."""

        def work(tx: Writer) -> None:
            tx.put(account(email="a@b.c"))
            tx.put(key())
            assert tx.get(Account, "ada") == account(email="a@b.c")
            assert tx.find(Account, "email", "a@b.c") == [account(email="a@b.c")]
            assert tx.list(ApiKey, owner="ada").items == [key()]
            assert list(tx.scan(ApiKey)) == [key()]
            assert tx.count(ApiKey) == 1
            assert tx.usage("key1") is None
            assert tx.delete(ApiKey, "key1")
            assert tx.get(ApiKey, "key1") is None
            assert tx.count(ApiKey) == 0

        await store.write(work)

    async def test_failed_function_leaves_nothing(self, store: Store) -> None:
        """A function's error is raised, and none of its writes are kept: records, feed, counts, audit."""
        await store.write(putting(account(), key()))
        before = store.cursor

        def work(tx: Writer) -> None:
            tx.delete(ApiKey, "key1")
            failing(account(name="changed"), account("bob"), key("key2"))(tx)

        with pytest.raises(Refused):
            await store.write(work)
        assert store.get(Account, "ada") == account()
        assert store.get(Account, "bob") is None
        assert list(store.scan(ApiKey)) == [key()]
        assert store.find(ApiKey, "name", "ada", "name of key2") == []
        assert store.count(Account) == 1
        assert store.cursor == before
        assert store.changes(before) == Changes(cursor=before)
        assert store.audit_rows() == []

    async def test_failure_is_its_own(self, store: Store) -> None:
        """A failing function does not affect others in the same batch."""
        failures = 0

        async def write(number: int) -> None:
            nonlocal failures
            try:
                await store.write((failing if number % 3 == 0 else putting)(account(f"id{number}")))
            except Refused:
                failures += 1

        async with trio.open_nursery() as nursery:
            for number in range(30):
                nursery.start_soon(write, number)
        assert failures == 10
        assert {one.id for one in store.scan(Account)} == {f"id{n}" for n in range(30) if n % 3}
        assert store.count(Account) == 20

    async def test_find_by_lookup(self, store: Store) -> None:
        """A record is found by its exact lookup words only, and only while it has them."""
        await store.write(putting(account(email="a@b.c"), account("bob", email="bob@b.c"), key()))
        assert store.find(Account, "email", "a@b.c") == [account(email="a@b.c")]
        assert store.find(Account, "email", "A@b.c") == store.find(Account, "email") == []
        assert store.find(Account, "emaila@b.c") == store.find(Account, "ema", "ila@b.c") == []
        assert store.find(Account, "email", "\ud800") == []
        assert store.find(ApiKey, "name", "ada", "name of key1") == [key()]
        await store.write(putting(account(email="new@b.c")))
        assert store.find(Account, "email", "a@b.c") == []
        assert store.find(Account, "email", "new@b.c") == [account(email="new@b.c")]
        await store.write(lambda tx: tx.delete(Account, "ada"))
        assert store.find(Account, "email", "new@b.c") == []

    async def test_find_by_any_of_many_lookups(self, store: Store) -> None:
        """Records are found by any of many words, oldest first, as they are after the last write."""
        words = [f"gid:{number}" for number in range(256)]
        assert store.find_any(PeerRule, "peer", words) == store.find_any(PeerRule, "peer", []) == []
        await store.write(putting(rule("a", "gid:200"), rule("b", "gid:7"), rule("c", "gid:256"), rule("d", "uid:7")))
        assert store.find_any(PeerRule, "peer", words) == [rule("a", "gid:200"), rule("b", "gid:7")]
        assert store.find_any(PeerRule, "email", words) == store.find_any(PeerRule, "peer", ["\ud800"]) == []
        await store.write(lambda tx: tx.delete(PeerRule, "a"))
        assert store.find_any(PeerRule, "peer", words) == [rule("b", "gid:7")]
        changed = msgspec.structs.replace(rule("b", "gid:7"), scope=("write",))
        await store.write(putting(changed))
        assert store.find_any(PeerRule, "peer", words) == [changed]
        assert await store.write(lambda tx: tx.find_any(PeerRule, "peer", words)) == [changed]
        await store.write(putting(account(email="a@b.c")))
        assert store.find_any(Account, "email", ["x", "a@b.c"]) == [account(email="a@b.c")]

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            (account("a", email="a@b.c"), account("b", email="a@b.c")),
            (key("a", name="one"), key("b", name="one")),
            (rule("a"), rule("b")),
        ],
    )
    async def test_unique_lookups(self, store: Store, first: Record, second: Record) -> None:
        """A second record with the lookup of a unique kind is a Conflict, until the first one is deleted."""
        await store.write(putting(first))
        await store.write(putting(first))
        with pytest.raises(Conflict, match="already"):
            await store.write(putting(second))
        await store.write(lambda tx: tx.delete(type(first), first.id))
        await store.write(putting(second))
        assert store.get(type(second), "b") == second

    async def test_conflict_may_be_handled(self, store: Store) -> None:
        """A function that catches a Conflict continues, and its other writes are kept."""
        await store.write(putting(account(email="a@b.c")))

        def work(tx: Writer) -> None:
            tx.put(account("carol"))
            with pytest.raises(Conflict):
                tx.put(account("bob", email="a@b.c"))
            tx.put(account("bob", email="b@b.c"))

        await store.write(work)
        assert {one.id for one in store.scan(Account)} == {"ada", "bob", "carol"}
        assert store.count(Account) == 3

    async def test_no_lookup_is_not_shared(self, store: Store) -> None:
        """Records without a lookup do not conflict with each other."""
        await store.write(putting(account("a"), account("b")))
        assert store.count(Account) == 2

    async def test_delete(self, store: Store) -> None:
        """Deleting returns whether there was a record."""
        await store.write(putting(account()))
        assert store.get(Account, "ada") == account()
        assert await store.write(lambda tx: tx.delete(Account, "ada")) is True
        assert store.get(Account, "ada") is None
        assert store.count(Account) == 0
        assert await store.write(lambda tx: tx.delete(Account, "ada")) is False
        assert await store.write(lambda tx: tx.delete(Account, "\ud800")) is False

    async def test_strange_ids_are_absent(self, store: Store) -> None:
        """Ids of any content that do not exist are not found and cause no error."""
        for id_ in ("", "\0", "\ud800", "x" * 10_000, "' OR 1=1 --"):
            assert store.get(Account, id_) is None
            assert store.get(Account, id_) is None

    async def test_list_pages(self, store: Store) -> None:
        """Pages contain all records by (created_at, id), each once, for any page size."""
        records = [key(f"id{n:02}", created_at=100 + n // 3) for n in range(17)]
        await store.write(putting(*reversed(records)))
        for limit in (1, 2, 16, 17, 18, 200, 5000):
            seen: list[ApiKey] = []
            cursor = None
            while True:
                page = store.list(ApiKey, cursor=cursor, limit=limit)
                assert len(page.items) <= limit
                seen += page.items
                cursor = page.next_cursor
                if cursor is None:
                    break
                assert len(page.items) == limit
            assert seen == records

    async def test_list_newest_first(self, store: Store) -> None:
        """Newest first gives the reverse order, also for one owner, and newer records do not appear between pages."""
        records = [key(f"id{n:02}", owner="ada" if n % 2 else None, created_at=100 + n // 3) for n in range(17)]
        await store.write(putting(*records))
        for owner, expected in ((None, records[::-1]), ("ada", records[1::2][::-1])):
            for limit in (1, 3, 8, 200):
                page = store.list(ApiKey, owner=owner, order=Order.NEWEST, limit=limit)
                seen = list(page.items)
                while page.next_cursor is not None:
                    page = store.list(ApiKey, owner=owner, order=Order.NEWEST, cursor=page.next_cursor, limit=limit)
                    seen += page.items
                assert seen == expected
        first = store.list(ApiKey, order=Order.NEWEST, limit=2)
        await store.write(putting(key("new", created_at=200)))
        assert store.list(ApiKey, order=Order.NEWEST, limit=1).items[0].id == "new"
        assert store.list(ApiKey, order=Order.NEWEST, cursor=first.next_cursor, limit=1).items == [records[14]]

    async def test_list_by_expiry(self, store: Store) -> None:
        """Expiring records are listed by expiry and id, and others are left out."""
        ends = (None, 900, 300, 300, 2**40, -5)
        records = [key(f"id{n}", created_at=n, expires_at=at) for n, at in enumerate(ends)]
        await store.write(putting(*records))
        for limit in (1, 2, 5, 200):
            page = store.list(ApiKey, order=Order.EXPIRES, limit=limit)
            seen = list(page.items)
            while page.next_cursor is not None:
                page = store.list(ApiKey, order=Order.EXPIRES, cursor=page.next_cursor, limit=limit)
                seen += page.items
            assert [one.id for one in seen] == ["id5", "id2", "id3", "id1", "id4"]
        with pytest.raises(ValueError, match="no index"):
            store.list(ApiKey, owner="ada", order=Order.EXPIRES)

    async def test_list_goes_on_over_changes(self, store: Store) -> None:
        """A cursor stays valid when its record is deleted and others are added before it."""
        await store.write(putting(*(key(f"id{n}", created_at=n) for n in range(1, 6))))
        first = store.list(ApiKey, limit=2)
        await store.write(lambda tx: tx.delete(ApiKey, "id2"))
        await store.write(putting(key("id0", created_at=0)))
        rest = store.list(ApiKey, cursor=first.next_cursor)
        assert [one.id for one in rest.items] == ["id3", "id4", "id5"]

    async def test_list_of_an_owner(self, store: Store) -> None:
        """With an owner, only that owner's records are listed, also in pages."""
        await store.write(
            putting(
                *(key(f"id{n}", owner="ada" if n % 2 else "bob", created_at=n) for n in range(6)), key("s", owner=None)
            )
        )
        page = store.list(ApiKey, owner="ada", limit=2)
        assert [one.id for one in page.items] == ["id1", "id3"]
        assert [one.id for one in store.list(ApiKey, owner="ada", cursor=page.next_cursor).items] == ["id5"]
        assert store.list(ApiKey, owner="carol").items == []
        assert len(store.list(ApiKey).items) == 7

    async def test_list_of_a_hidden_owner(self, store: Store) -> None:
        """If the store keeps an HMAC in place of an owner, records are still listed by the owner's plain id."""
        mine = [resource(f"sid{n}", created_at=n) for n in range(3)]
        others = [resource("a", secret="another's"), resource("b", claimant="storage"), resource("c", type="disk")]
        await store.write(putting(*mine, *others))
        page = store.list(Resource, owner=resource_owner("vm", "compute", "a tenant's own"), limit=2)
        assert page.items == mine[:2]
        rest = store.list(Resource, owner=mine[0].owner_id, cursor=page.next_cursor)
        assert (rest.items, rest.next_cursor) == (mine[2:], None)
        assert store.list(Resource, owner=resource_owner("vm", "compute", "")).items == []
        assert store.find(Resource, "sid", "sid1", "compute", "a tenant's own") == [mine[1]]
        assert store.find(Resource, "sid", "sid1", "compute", "another's") == []

    @pytest.mark.parametrize(
        ("order", "owner"),
        [
            (Order.OLDEST, None),
            (Order.OLDEST, "ada"),
            (Order.NEWEST, None),
            (Order.NEWEST, "ada"),
            (Order.EXPIRES, None),
        ],
    )
    async def test_list_is_bounded_in_bytes(self, store: Store, order: Order, owner: str | None) -> None:
        """A page of large records ends early, continues by its cursor, and contains at least one."""
        fat = tuple(f"network-{number}" for number in range(2000))
        records = [key(f"id{n:02}", created_at=n, expires_at=n, networks=fat) for n in range(20)]
        records.append(key("id20", created_at=20, expires_at=20, networks=fat * 10))
        records.append(key("id21", created_at=21, expires_at=21))
        await store.write(putting(*records))
        seen: list[ApiKey] = []
        pages = 0
        cursor = None
        while pages == 0 or cursor is not None:
            page = store.list(ApiKey, owner=owner, order=order, cursor=cursor)
            assert page.items
            assert sum(sealed_bytes(one) for one in page.items[:-1]) < MAX_READ_BYTES
            seen += page.items
            pages += 1
            cursor = page.next_cursor
        assert seen == (records[::-1] if order is Order.NEWEST else records)
        assert pages > 3

    async def test_list_has_limits(self, store: Store) -> None:
        """A page has 1 to 200 records."""
        await store.write(putting(*(account(f"id{n:03}") for n in range(201))))
        assert len(store.list(Account).items) == len(store.list(Account, limit=10**30).items) == 200
        assert len(store.list(Account, limit=0).items) == len(store.list(Account, limit=-5).items) == 1
        assert len(list(store.scan(Account))) == 201

    @pytest.mark.parametrize(
        "cursor",
        ["", "x", "MTAw", "MTAwLg==", "MTAwLmE\n", "é", "LmE", "MTAwLmE=", "OTk5OTk5OTk5OTk5OTk5OTk5OTkuYQ", "A" * 999],
    )
    async def test_foreign_cursors(self, store: Store, cursor: str) -> None:
        """A cursor that no list issued is refused."""
        with pytest.raises(InvalidRequest, match="cursor"):
            store.list(Account, cursor=cursor)

    async def test_scan_is_of_its_kind(self, store: Store) -> None:
        """A scan yields every record of a kind and may be abandoned early."""
        many = [session(f"id{n:04}") for n in range(1201)]
        await store.write(putting(account(), *many))
        assert sorted(store.scan(Session), key=lambda one: one.id) == many
        assert next(store.scan(Session)) in many
        assert list(store.scan(ApiKey)) == []

    async def test_scan_while_deleting(self, store: Store) -> None:
        """A scan inside a write may delete the records it yields."""
        await store.write(putting(*(session(f"id{n:04}") for n in range(1201))))

        def work(tx: Writer) -> int:
            return sum(tx.delete(Session, one.id) for one in tx.scan(Session))

        assert await store.write(work) == 1201
        assert store.count(Session) == 0

    async def test_health_and_stats(self, store: Store) -> None:
        """A working store reports health OK and counts its writes."""
        assert store.health == (Health.OK, None)
        before = store.stats.writes
        await store.write(putting(account()))
        assert store.stats.writes == before + 1
        assert store.stats.commits >= 1

    async def test_keyring(self, store: Store) -> None:
        """Other code can derive keys from the store's root."""
        assert len(store.keyring.key(Purpose.SESSIONS)) == 32

    async def test_cancelled_before(self, store: Store) -> None:
        """A cancelled task writes nothing."""
        with trio.CancelScope() as scope:
            scope.cancel()
            await store.write(putting(account()))
        assert scope.cancelled_caught
        assert store.get(Account, "ada") is None

    async def test_many_writers(self, store: Store) -> None:
        """Concurrent read-modify-write functions lose no update."""
        await store.write(putting(account(epoch=0)))

        def increase(tx: Writer) -> None:
            ada = tx.get(Account, "ada")
            assert ada is not None
            tx.put(msgspec.structs.replace(ada, epoch=ada.epoch + 1))

        async def work(times: int) -> None:
            for _ in range(times):
                before = store.get(Account, "ada")
                await store.write(increase)
                after = store.get(Account, "ada")
                assert before is not None
                assert after is not None
                assert after.epoch > before.epoch

        async with trio.open_nursery() as nursery:
            for _ in range(16):
                nursery.start_soon(work, 10)
        ada = store.get(Account, "ada")
        assert ada is not None
        assert ada.epoch == 160

    async def test_survey(self, store: Store) -> None:
        """A survey reads a consistent state in a long-running function, and raises its error."""
        await store.write(putting(account(), key(), key("key2", name="other")))
        found = await store.survey(
            lambda reader: (sorted(one.id for one in reader.scan(ApiKey)), reader.count(Account))
        )
        assert found == (["key1", "key2"], 1)

        def fail(_: Reader) -> None:
            raise Refused

        with pytest.raises(Refused):
            await store.survey(fail)
        assert await store.survey(lambda reader: reader.get(Account, "ada")) == account()

    async def test_rules_are_found_by_subject(self, store: Store) -> None:
        """A peer rule is found by its uid or gid."""
        await store.write(putting(rule(), rule("rule2", "gid:5")))
        assert store.find(PeerRule, "peer", "gid:5") == [rule("rule2", "gid:5")]
