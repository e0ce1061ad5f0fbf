"""A record is deleted with everything that belongs to it, and nothing else."""

from collections.abc import AsyncIterator

import pytest

from herod.records import RECORD_TYPES, Account, ApiKey, Record, Resource, Revocation, Session
from herod.store.memory_store import MemoryStore
from herod.store.owned_records import OWNED, delete_owned, delete_with_owned, owned_by
from herod.store.store_interface import Writer
from store.samples import SECRET, account, key, session

# A resource belongs to its claimant. A revocation must outlive its token's account, and expires by itself.
STAY = {Resource, Revocation}


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    """Two accounts with 250 keys and a session each, and a service key that one of them created."""
    async with MemoryStore(SECRET) as store:

        def fill(tx: Writer) -> None:
            for owner in ("ada", "eve"):
                tx.put(account(owner))
                tx.put(session(f"{owner}-session", subject=owner))
                for number in range(250):
                    tx.put(key(f"{owner}-{number:03}", name=f"{number}", owner=owner))
            tx.put(key("service", name="service", owner=None, creator="ada"))

        await store.write(fill)
        yield store


async def test_all_of_one_owner(store: MemoryStore) -> None:
    """All records of an owner are found, over more than a page, each once, and none of others."""
    assert [one.id for one in owned_by(store, ApiKey, "ada")] == [f"ada-{number:03}" for number in range(250)]


async def test_deleted_with_their_owner(store: MemoryStore) -> None:
    """Keys and sessions are deleted with their account; others' records and its service keys stay."""
    gone = await store.write(lambda tx: delete_with_owned(tx, account("ada")))
    assert gone == {ApiKey: [f"ada-{number:03}" for number in range(250)], Session: ["ada-session"]}
    assert store.get(Account, "ada") is None
    assert (store.count(ApiKey), store.count(Session), store.count(Account)) == (251, 1, 1)


async def test_what_owns_nothing(store: MemoryStore) -> None:
    """Deleting a key deletes nothing else."""
    assert await store.write(lambda tx: delete_with_owned(tx, key("service", owner=None))) == {}
    assert store.count(ApiKey) == 500


async def test_one_kind(store: MemoryStore) -> None:
    """Records of one kind can be deleted, and their owner stays."""
    assert await store.write(lambda tx: delete_owned(tx, Session, "ada")) == ["ada-session"]
    assert store.get(Account, "ada") is not None
    assert store.count(ApiKey) == 501


@pytest.mark.parametrize("record_type", RECORD_TYPES)
def test_no_kind_is_forgotten(record_type: type[Record]) -> None:
    """Every record type with an owner is deleted with its account, or listed here as an exception."""
    if record_type.owner_id is not Record.owner_id:
        assert (record_type in OWNED[Account]) != (record_type in STAY)
