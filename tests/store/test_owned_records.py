"""A record is deleted with everything that belongs to it, and nothing else, however much that is."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from herod.records import (
    RECORD_TYPES,
    Account,
    ApiKey,
    App,
    AuthorizationCode,
    Delegation,
    Deletion,
    DeviceCode,
    Record,
    Resource,
    Revocation,
    Session,
    SessionEpoch,
    TokenFamily,
)
from herod.store.memory_store import MemoryStore
from herod.store.owned_records import (
    DELETED_AT_ONCE,
    OWNED,
    delete_app,
    delete_owned,
    delete_with_owned,
    finish_deletions,
    finish_deletions_in,
    owned_by,
)
from herod.store.store_interface import Writer
from store.samples import SECRET, account, app, code, delegation, device_code, family, key, revocation, session

# A resource belongs to its claimant. The owner of an account only says whether it registered itself.
STAY = {Account, Resource}


def filling(keys: int) -> "list[Record]":
    """Two accounts with that many keys and a session each, and a service key that one of them created."""
    found: list[Record] = [key("service", name="service", owner=None, creator="ada")]
    for owner in ("ada", "eve"):
        found += [account(owner), session(f"{owner}-session", subject=owner)]
        found += [key(f"{owner}-{number:03}", name=f"{number}", owner=owner) for number in range(keys)]
    return found


async def fill(store: MemoryStore, keys: int) -> None:
    """Fill a store."""

    def put(tx: Writer) -> None:
        for record in filling(keys):
            tx.put(record)

    await store.write(put)


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    """An empty store."""
    async with MemoryStore(SECRET) as store:
        yield store


async def test_all_of_one_owner(store: MemoryStore) -> None:
    """All records of an owner are found, over more than a page, each once, and none of others."""
    await fill(store, 250)
    assert [one.id for one in owned_by(store, ApiKey, "ada")] == [f"ada-{number:03}" for number in range(250)]


async def test_deleted_with_their_owner(store: MemoryStore) -> None:
    """Keys and sessions are deleted with their account, if few at once; others' records and its service keys stay."""
    await fill(store, 20)
    gone = await store.write(lambda tx: delete_with_owned(tx, account("ada"), now=1))
    assert {kind: ids for kind, ids in gone.items() if ids} == {
        ApiKey: [f"ada-{number:03}" for number in range(20)],
        Session: ["ada-session"],
    }
    assert store.get(Account, "ada") is None
    assert (store.count(ApiKey), store.count(Session), store.count(Account)) == (21, 1, 1)
    assert store.count(Deletion) == 0


async def test_delegations_end_with_their_app(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those to a deleted app are deleted step by step, with what they own; those to others stay."""
    monkeypatch.setattr("herod.store.owned_records.DELETED_AT_ONCE", 10)

    def put(tx: Writer) -> None:
        tx.put(app("gone"))
        tx.put(app("stays"))
        for number in range(35):
            tx.put(delegation(f"d{number:02}", app="gone" if number % 3 else "stays", created_at=number))
            tx.put(revocation(f"jti{number}", delegation=f"d{number:02}"))

    await store.write(put)
    assert await store.write(lambda tx: delete_app(tx, app("gone"), now=1))
    assert store.get(App, "gone") is None
    assert store.count(Delegation) == 35
    await finish_deletions(store)
    assert {one.app for one in store.scan(Delegation)} == {"stays"}
    assert store.count(Delegation) == store.count(Revocation) == 12
    assert store.count(Deletion) == 0


async def test_device_codes_end_with_their_app_or_delegation(store: MemoryStore) -> None:
    """They belong to the app that waits, and to what a person granted once they have; others' stay."""

    def put(tx: Writer) -> None:
        tx.put(account("ada"))
        tx.put(app("gone"))
        tx.put(delegation("granted", account="ada", app="gone"))
        tx.put(device_code("waits", app="gone"))
        tx.put(device_code("allowed", app="gone"))
        tx.put(device_code("stays", app="other"))
        tx.put(msgspec.structs.replace(device_code("allowed", app="gone"), delegation="granted", state="allowed"))

    await store.write(put)
    assert store.count_owned(DeviceCode, "gone", limit=9) == store.count_owned(DeviceCode, "granted", limit=9) == 1
    await store.write(lambda tx: delete_app(tx, app("gone"), now=1))
    assert sorted(one.id for one in store.scan(DeviceCode)) == ["allowed", "stays"]
    await finish_deletions(store)
    assert [one.id for one in store.scan(DeviceCode)] == ["stays"]
    await store.write(put)
    await store.write(lambda tx: delete_with_owned(tx, account("ada"), now=1))
    await finish_deletions(store)
    assert sorted(one.id for one in store.scan(DeviceCode)) == ["stays", "waits"]


async def test_an_app_without_delegations_leaves_no_work(store: MemoryStore) -> None:
    """Nothing is left to be done when nobody had connected the app."""
    await store.write(lambda tx: tx.put(app("gone")))
    await store.write(lambda tx: delete_app(tx, app("gone"), now=1))
    assert store.count(Deletion) == 0


async def test_an_app_that_exists_again_keeps_its_delegations(store: MemoryStore) -> None:
    """After a restore of the app, an unfinished deletion deletes nothing."""
    await store.write(lambda tx: tx.put(app("back")))
    await store.write(lambda tx: tx.put(delegation("d", app="back")))
    await store.write(lambda tx: delete_app(tx, app("back"), now=1))
    await store.write(lambda tx: tx.put(app("back")))
    await finish_deletions(store)
    assert (store.count(Delegation), store.count(Deletion)) == (1, 0)


async def test_many_are_deleted_step_by_step(store: MemoryStore) -> None:
    """No write deletes more than a step; the account is gone after the first, and after the last everything it owned.

    Others' records stay.
    """
    await fill(store, 2 * DELETED_AT_ONCE + 50)
    await store.write(lambda tx: tx.put(SessionEpoch(id="ada", created_at=1, epoch=1)))
    before = store.count(ApiKey)
    gone = await store.write(lambda tx: delete_with_owned(tx, account("ada"), now=1))
    assert store.get(Account, "ada") is None
    assert len(gone[ApiKey]) == before - store.count(ApiKey) == DELETED_AT_ONCE
    assert store.count(Deletion) == 1
    writes = store.stats.writes
    await finish_deletions(store)
    assert store.stats.writes - writes == 2
    assert not list(owned_by(store, ApiKey, "ada"))
    assert not list(owned_by(store, Session, "ada"))
    assert len(list(owned_by(store, ApiKey, "eve"))) == 2 * DELETED_AT_ONCE + 50
    assert (store.count(Session), store.count(Deletion), store.count(SessionEpoch)) == (1, 0, 0)


async def test_in_one_transaction(store: MemoryStore) -> None:
    """An offline command finishes what is left at once."""
    await fill(store, DELETED_AT_ONCE + 50)

    def delete(tx: Writer) -> None:
        delete_with_owned(tx, account("ada"), now=1)
        delete_with_owned(tx, account("eve"), now=2)
        finish_deletions_in(tx)

    await store.write(delete)
    assert (store.count(ApiKey), store.count(Session), store.count(Deletion)) == (1, 0, 0)


async def test_a_record_that_exists_again_keeps_what_it_owns(store: MemoryStore) -> None:
    """A deletion that was left over never deletes the keys of an account that a restore brought back."""
    await fill(store, 5)
    await store.write(lambda tx: tx.put(Deletion(id="ada", created_at=1, of=Account.kind)))
    await finish_deletions(store)
    assert (store.count(ApiKey), store.count(Deletion)) == (11, 0)


async def test_what_owns_nothing(store: MemoryStore) -> None:
    """Deleting a key deletes nothing else."""
    await fill(store, 5)
    assert await store.write(lambda tx: delete_with_owned(tx, key("service", owner=None), now=1)) == {}
    assert store.count(ApiKey) == 10


async def test_one_kind(store: MemoryStore) -> None:
    """Records of one kind can be deleted, up to a number, oldest first, and their owner stays."""
    await fill(store, 5)
    assert await store.write(lambda tx: delete_owned(tx, Session, "ada")) == ["ada-session"]
    assert await store.write(lambda tx: delete_owned(tx, ApiKey, "ada", limit=2)) == ["ada-000", "ada-001"]
    assert store.get(Account, "ada") is not None


async def test_what_belongs_to_what_belongs_to_it(store: MemoryStore) -> None:
    """A delegation goes with its account, and its codes, tokens and their revocations with it; others' stay."""

    def put(tx: Writer) -> None:
        for owner in ("ada", "eve"):
            tx.put(account(owner))
            tx.put(delegation(f"{owner}-app", account=owner))
            tx.put(revocation(f"{owner}-own", subject=owner))
            tx.put(code(f"{owner}-code", delegation=f"{owner}-app"))
            tx.put(family(f"{owner}-family", delegation=f"{owner}-app"))
            for number in range(DELETED_AT_ONCE + 1):
                tx.put(revocation(f"{owner}-{number}", subject=owner, delegation=f"{owner}-app"))

    await store.write(put)
    await store.write(lambda tx: delete_with_owned(tx, account("ada"), now=1))
    assert store.get(Delegation, "ada-app") is not None  # refused without its account, and deleted last
    await finish_deletions(store)
    assert [one.id for one in store.scan(Delegation)] == ["eve-app"]
    assert store.count(Revocation) == DELETED_AT_ONCE + 3
    assert not list(owned_by(store, Revocation, "ada-app"))
    assert [one.id for one in store.scan(AuthorizationCode)] == ["eve-code"]
    assert [one.id for one in store.scan(TokenFamily)] == ["eve-family"]


@pytest.mark.parametrize("record_type", RECORD_TYPES)
def test_no_kind_is_forgotten(record_type: type[Record]) -> None:
    """Every record type with an owner is deleted with what it belongs to, or listed here as an exception."""
    if record_type.owner_id is not Record.owner_id:
        owned = [one for types in OWNED.values() for one in types]
        assert (record_type in owned) != (record_type in STAY)
