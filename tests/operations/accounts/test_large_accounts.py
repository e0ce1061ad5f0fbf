"""An account with many records is gone at once, and its records are deleted step by step.

The attack: deleting an account with 20,000 keys blocked all writes for half a second.
"""

from pathlib import Path

import pytest

from herod.identity.credential_types import Bearer
from herod.records import Account, ApiKey, Deletion, Session
from herod.store.owned_records import DELETED_AT_ONCE, delete_with_owned, finish_deletions, owned_by
from herod.store.sqlite.sqlite_store import open_sqlite
from herod.store.store_interface import Writer
from herod_client.core.errors import NotFound, Unauthenticated
from store.samples import account
from store.samples import key as sample_key
from support.herod_in_memory import PASSWORD, SECRET, Harness, User


async def fill_with_keys(harness: Harness, owner: str, number: int) -> None:
    """Give an account keys without asking, as an earlier version could."""

    def fill(tx: Writer) -> None:
        for one in range(number):
            tx.put(sample_key(f"{owner[:6]}{one:06}", name=f"k{one}", owner=owner))

    await harness.store.write(fill)


async def test_a_large_account_is_gone_at_once(harness: Harness) -> None:
    """Nothing of a deleted account works or is shown after the answer, before the rest of its records is deleted."""
    ada = await harness.user(email="ada@example.org", password=PASSWORD)
    cookie, token = await ada.session(), await ada.token()
    await fill_with_keys(harness, ada.client_id, 2 * DELETED_AT_ONCE)
    text = await _late_key(harness, ada)
    gone = await harness.admin("users.delete", client_id=ada.client_id)
    assert (len(gone.keys), gone.more_keys) == (DELETED_AT_ONCE, DELETED_AT_ONCE + 1)
    for presented in (cookie, Bearer(token), Bearer(text), ada.basic):
        with pytest.raises(Unauthenticated):
            await harness.call("whoami", presented)
    left = list(owned_by(harness.store, ApiKey, ada.client_id))
    assert len(left) == DELETED_AT_ONCE + 1
    for name in ("keys.get", "keys.rotate", "keys.enable", "keys.delete", "keys.update"):
        with pytest.raises(NotFound):
            await harness.admin(name, id=left[0].id)
    assert (await harness.admin("keys.list", owner=ada.client_id)).items == []
    again = await harness.user(email="ada@example.org", password=PASSWORD)  # never the former
    assert again.client_id != ada.client_id
    assert (await harness.call("keys.list", again.basic)).items == []
    await finish_deletions(harness.store)
    assert (harness.store.count(ApiKey), harness.store.count(Session), harness.store.count(Deletion)) == (0, 0, 0)


async def _late_key(harness: Harness, user: User) -> str:
    """The newest key of an account that has too many."""
    harness.clock.now += 1
    issued = await harness.admin("keys.create", name="late", owner=user.client_id)
    text: str = issued.key
    return text


async def test_a_deletion_survives_a_restart(tmp_path: Path) -> None:
    """What was left when the daemon ended is deleted at the next start."""
    path = tmp_path / "herod.db"

    def fill(tx: Writer) -> None:
        tx.put(account("ada"))
        for number in range(3 * DELETED_AT_ONCE):
            tx.put(sample_key(f"ada-{number:03}", name=f"{number}", owner="ada"))

    async with open_sqlite(path, SECRET, now=1) as store:
        await store.write(fill)
        await store.write(lambda tx: delete_with_owned(tx, account("ada"), now=2))
    async with open_sqlite(path, SECRET, now=3) as store:
        assert (store.count(ApiKey), store.get(Account, "ada")) == (2 * DELETED_AT_ONCE, None)
        await finish_deletions(store)
        assert (store.count(ApiKey), store.count(Deletion)) == (0, 0)
