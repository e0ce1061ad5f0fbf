"""A store, a backup and sessions of the previous version open, and everything in them keeps working.

`herod.db` and `backup.bin` were written by the version before keys had epochs and audit rows recorded admins;
`known.json` has the secrets that open them, which are made up.
"""

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from herod.identity.credential_types import Basic, Bearer, SessionCookie
from herod.maintenance.export_accounts import export_accounts
from herod.maintenance.restore import restore
from herod.maintenance.rotate_hero_secret import rotate_secret
from herod.operations.operation_table import OPERATIONS
from herod.pipeline.pipeline import Pipeline
from herod.protocols.host_and_origin_guard import Guard
from herod.protocols.router import Router
from herod.records import Resource
from herod.store.sqlite.sqlite_store import open_sqlite
from herod_client.core.errors import ExpiredToken, RevokedToken, Unauthenticated
from herod_client.core.signing_keys import SigningKeys, hs256_key
from support.herod_in_memory import LOCAL_ADMIN, NOW, SECRET, TCP, Harness, open_harness
from support.stopped_store import settings

HERE = Path(__file__).parent
KNOWN: dict[str, Any] = json.loads((HERE / "known.json").read_text())
OWNER_SECRET = "tenant"
NEW = "another secret of forty characters, so"


@asynccontextmanager
async def over(path: Path) -> AsyncIterator[Harness]:
    """A harness over a store's file."""
    async with open_harness() as fresh, open_sqlite(path, SECRET, now=NOW) as store:
        runtime = replace(fresh.runtime, keyring=store.keyring, signing=SigningKeys(hs256_key(SECRET)))
        pipeline = Pipeline(store, runtime, clock=fresh.clock)
        yield Harness(store, runtime, pipeline, Router(pipeline, OPERATIONS, Guard()), fresh.clock)  # type: ignore[arg-type]  # as good as one in memory


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A copy of the store."""
    return Path(shutil.copy(HERE / "herod.db", tmp_path / "herod.db"))


async def test_a_store(path: Path) -> None:
    """Accounts, keys, tokens, resources and the audit log are unchanged, and revocations still apply."""
    async with over(path) as harness:
        ada = Basic(KNOWN["client_id"], KNOWN["client_secret"])
        assert (await harness.call("whoami", ada, TCP)).scope == "write"
        for name in ("key", "service", "rotated", "rotated_to", "token"):
            assert (await harness.call("token.validate", None, TCP, token=KNOWN[name])).valid, name
        with pytest.raises(RevokedToken):
            await harness.call("whoami", Bearer(KNOWN["revoked"]), TCP)
        owned = {"sid": KNOWN["sid"], "secret": OWNER_SECRET}
        assert (await harness.call("resources.check", Bearer(KNOWN["service"]), TCP, **owned)).allowed
        assert all(OWNER_SECRET not in one.secret for one in harness.store.list(Resource).items)
        assert (await harness.admin("peers.list")).items[0].id == KNOWN["rule"]
        assert len((await harness.admin("users.get", client_id=KNOWN["fat"])).networks) == 100
        verdict = await harness.call("audit.verify", LOCAL_ADMIN)
        assert (verdict.valid, verdict.reason) == (True, None)


@pytest.mark.parametrize("is_compromised", [False, True])
async def test_a_store_whose_secret_is_changed(path: Path, is_compromised: bool) -> None:
    """Resources open with their secrets after the store's secret was rotated, once and again."""
    rotate_secret(settings(path, SECRET), NEW, is_compromised=is_compromised)
    rotate_secret(settings(path, NEW), SECRET, is_compromised=is_compromised)
    async with over(path) as harness:
        owned = {"sid": KNOWN["sid"], "secret": OWNER_SECRET}
        assert (await harness.call("resources.check", Bearer(KNOWN["service"]), TCP, **owned)).allowed


async def test_sessions(path: Path) -> None:
    """Sessions stay valid, and those of a key end with its next rotation."""
    async with over(path) as harness:
        for cookie in KNOWN["sessions"].values():
            assert (await harness.call("whoami", SessionCookie(cookie), TCP)).method == "session"
        await harness.user(scope="admin")  # so that the last admin can be disabled
        await harness.admin("keys.rotate", id=KNOWN["key"].split("_")[2])
        await harness.admin("keys.disable", id=KNOWN["service"].split("_")[2])
        await harness.admin("keys.enable", id=KNOWN["service"].split("_")[2])
        for name in ("key", "service"):
            with pytest.raises(Unauthenticated):
                await harness.call("whoami", SessionCookie(KNOWN["sessions"][name]), TCP)
        assert (await harness.call("whoami", SessionCookie(KNOWN["sessions"]["account"]), TCP)).scope == "write"


async def test_a_backup(path: Path, tmp_path: Path) -> None:
    """The backup is restored over its changed store and into an empty place; sessions and tokens end."""
    async with over(path) as harness:
        await harness.user(scope="admin")  # so that the last admin can be deleted
        await harness.admin("keys.delete", id=KNOWN["service"].split("_")[2])
    done = restore(settings(path, SECRET), HERE / "backup.bin", now=NOW)
    assert ("key", KNOWN["service"].split("_")[2]) in done.restored.deleted
    empty = tmp_path / "new" / "herod.db"
    assert restore(settings(empty, SECRET), HERE / "backup.bin", now=NOW).keys == 3
    for place, is_there in ((path, False), (empty, True)):
        async with over(place) as harness:
            assert (await harness.call("token.validate", None, TCP, token=KNOWN["service"])).valid is is_there
            assert (await harness.call("token.validate", None, TCP, token=KNOWN["key"])).valid
            if is_there:
                owned = {"sid": KNOWN["sid"], "secret": OWNER_SECRET}
                assert (await harness.call("resources.check", Bearer(KNOWN["service"]), TCP, **owned)).allowed
            assert not (await harness.call("token.validate", None, TCP, token=KNOWN["token"])).valid
            with pytest.raises(ExpiredToken):
                await harness.call("whoami", SessionCookie(KNOWN["sessions"]["account"]), TCP)


def test_an_export(path: Path) -> None:
    """Its accounts and keys can be exported."""
    done = export_accounts(settings(path, SECRET), now=NOW)
    assert (done.accounts, done.keys) == (2, 3)
