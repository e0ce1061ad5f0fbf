"""Restoring passkeys, authenticator apps and recovery codes: nothing used or deleted since works again."""

from pathlib import Path
from typing import Any

from herod.maintenance.restore import restore
from herod.records import Account, Passkey, Record, RecoveryCodes, TotpFactor, UsedChallenge
from store.samples import account
from support.stopped_store import NOW, opened, put, save, settings

HANDLE = bytes(range(64))


def passkey(id: str, **changes: Any) -> Passkey:
    """A passkey of Ada."""
    fields = {"id": id, "created_at": 5, "account": "ada", "name": id, "credential": id.encode(), "public_key": b"key"}
    return Passkey(**{**fields, **changes})


def totp(id: str = "ada", *, secret: bytes = b"secret", used_step: int = 0) -> TotpFactor:
    """An authenticator app."""
    return TotpFactor(id=id, created_at=5, secret=secret, used_step=used_step)


def codes(*hashes: bytes, created_at: int = 5) -> RecoveryCodes:
    """Ada's recovery codes."""
    return RecoveryCodes(id="ada", created_at=created_at, hashes=hashes)


async def kept(path: Path, *types: type[Record]) -> list[Record]:
    """What a store holds of these types."""
    async with opened(path) as store:
        return sorted((one for kind in types for one in store.scan(kind)), key=lambda one: (one.kind, one.id))


async def restored(path: Path, before: list[Record], after: list[Record], gone: list[Record]) -> None:
    """A store that had a backup, then changes and deletions, then was restored."""
    async with opened(path) as store:
        await put(store, account("ada"), *before)
        await save(store, path.with_name("b"))
        await store.write(lambda tx: [tx.delete(type(one), one.id) for one in gone])
        await put(store, *after)
    restore(settings(path), path.with_name("b"), now=NOW)


async def test_the_newest_are_kept(tmp_path: Path) -> None:
    """What was enrolled, used, replaced and deleted since stays so; challenges end."""
    path = tmp_path / "herod.db"
    before: list[Record] = [
        passkey("gone"),
        passkey("used", counter=3),
        totp(secret=b"old", used_step=7),
        codes(b"one", b"two"),
        UsedChallenge(id="c", created_at=NOW, expires_at=NOW + 300),
    ]
    after: list[Record] = [
        account("ada", user_handle=HANDLE),
        passkey("used", counter=9, name="renamed"),
        passkey("new"),
        totp(secret=b"new", used_step=6),
        codes(b"two"),
    ]
    await restored(path, before, after, [passkey("gone")])
    assert await kept(path, Passkey, TotpFactor, RecoveryCodes, UsedChallenge) == [
        passkey("new"),
        passkey("used", counter=9, name="renamed"),
        codes(b"two"),
        totp(secret=b"new", used_step=7),
    ]
    (ada,) = await kept(path, Account)
    assert isinstance(ada, Account)
    assert ada.user_handle == HANDLE


async def test_a_factor_that_was_turned_off_stays_off(tmp_path: Path) -> None:
    """Who disabled their app, or lost all factors to an admin, is not asked for them again."""
    path = tmp_path / "herod.db"
    before: list[Record] = [totp(), codes(b"one"), passkey("p")]
    await restored(path, before, [], before)
    assert await kept(path, Passkey, TotpFactor, RecoveryCodes) == []


async def test_those_of_a_deleted_account_go(tmp_path: Path) -> None:
    """No factor outlives its account."""
    path = tmp_path / "herod.db"
    before: list[Record] = [account("eve"), totp("eve"), passkey("p", account="eve")]
    await restored(path, before, [totp("eve", used_step=9)], [account("eve")])
    assert await kept(path, Passkey, TotpFactor) == []


async def test_an_older_backup_that_was_restored_first(tmp_path: Path) -> None:
    """Of a store that has not continued since the backup, only what was used is taken over."""
    path, elsewhere = tmp_path / "herod.db", tmp_path / "new" / "herod.db"
    async with opened(path) as store:
        await put(store, account("ada"), passkey("p", counter=2), codes(b"one", b"two"))
        await save(store, tmp_path / "first")
        await put(store, passkey("p", counter=5), passkey("q"), totp(used_step=3))
        await save(store, tmp_path / "second")
    restore(settings(elsewhere), tmp_path / "first", now=NOW)
    async with opened(elsewhere) as store:
        await put(store, passkey("p", counter=8), codes(b"two"), passkey("mistaken"))
    restore(settings(elsewhere), tmp_path / "second", now=NOW)
    assert await kept(elsewhere, Passkey, TotpFactor, RecoveryCodes) == [
        passkey("p", counter=8),
        passkey("q"),
        codes(b"two"),
        totp(used_step=3),
    ]


async def test_new_codes_replace_all_former_ones(tmp_path: Path) -> None:
    """Codes of another time are other codes: the newest hold."""
    path = tmp_path / "herod.db"
    await restored(path, [codes(b"one", b"two")], [codes(b"three", created_at=9)], [])
    assert await kept(path, RecoveryCodes) == [codes(b"three", created_at=9)]
