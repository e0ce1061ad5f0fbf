"""A daemon that is killed while it deletes a large account's records continues after the restart."""

import signal
import time
from pathlib import Path

import trio

from herod.records import ApiKey, Deletion
from herod.store.owned_records import DELETED_AT_ONCE
from herod.store.sqlite.sqlite_store import open_sqlite
from herod.store.store_interface import Writer
from store.samples import key
from support.real_daemon import SECRET, running

KEYS = 20 * DELETED_AT_ONCE


def fill(path: Path, owner: str) -> None:
    """Give an account that many keys, without a daemon."""

    def put(tx: Writer) -> None:
        for number in range(KEYS):
            tx.put(key(f"key-{number:05}", name=f"{number}", owner=owner))

    async def write() -> None:
        async with open_sqlite(path, SECRET, now=int(time.time())) as store:
            await store.write(put)

    trio.run(write)


def left(path: Path) -> tuple[int, int]:
    """How many keys and unfinished deletions a store has."""
    store = open_sqlite(path, SECRET, now=int(time.time()))
    try:
        return store.count(ApiKey), store.count(Deletion)
    finally:
        store.close()


def test_killed_while_it_deletes(tmp_path: Path) -> None:
    """Nothing of the account works after the answer, nor after the restart, which deletes what was left."""
    path = tmp_path / "store" / "herod.db"
    with running(tmp_path) as daemon:
        admin = ("-H", f"Authorization: Peer {daemon.cookie}")
        added = daemon.rpc("users.add", {"email": "ada@example.org"}, *admin)["result"]
        basic = ("-u", f"{added['client_id']}:{added['client_secret']}")
        made = daemon.curl("/api/v1/keys", "--json", '{"name": "mine"}', *basic)[1]["data"]
    fill(path, added["client_id"])
    with running(tmp_path) as daemon:
        admin = ("-H", f"Authorization: Peer {daemon.cookie}")
        gone = daemon.rpc("users.delete", {"client_id": added["client_id"]}, *admin)["result"]
        assert (len(gone["keys"]), gone["more_keys"]) == (DELETED_AT_ONCE, KEYS + 1 - DELETED_AT_ONCE)
        daemon.stop(signal.SIGKILL)
    keys, _ = left(path)
    assert keys < KEYS + 1
    with running(tmp_path) as daemon:
        assert daemon.curl("/api/v1/whoami", "-H", f"X-API-Key: {made['key']}")[0] == 401
        admin = ("-H", f"Authorization: Peer {daemon.cookie}")
        end = time.monotonic() + 30
        while daemon.rpc("stats", {}, *admin)["result"]["keys"]:
            assert time.monotonic() < end, daemon.log.read_text()
            time.sleep(0.02)
        again = daemon.rpc("users.add", {"email": "ada@example.org"}, *admin)["result"]
        assert daemon.rpc("keys.list", {"owner": again["client_id"]}, *admin)["result"]["items"] == []
    assert left(path) == (0, 0)
