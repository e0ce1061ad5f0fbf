"""Times the dashboard's page of keys with 100,000 stored keys, compared with 100.

Run it alone: `python bench/dashboard_keys.py [keys] [rounds]`. In process: the router, Hypercorn, Quart and the real
store on this disk, without sockets; alternating rounds, medians. A page shows 50 keys.
"""

import logging
import re
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import trio

from herod.dashboard.csrf import TICKET, cut
from herod.dashboard.quart_app import make_app
from herod.identity.config import Config
from herod.identity.credential_types import PeerClaim
from herod.identity.legacy_secrets import LegacySecrets
from herod.identity.runtime_state import Runtime
from herod.operations.operation_table import OPERATIONS
from herod.pipeline.pipeline import Pipeline
from herod.protocols.host_and_origin_guard import Guard
from herod.protocols.http import Request
from herod.protocols.router import Router
from herod.records import ApiKey
from herod.scopes.principal import Peer, Source
from herod.server.dashboard_requests import PageRequests
from herod.store.sqlite.sqlite_store import SqliteStore, open_sqlite
from herod.store.store_interface import Writer
from herod_client.core.key_format import new_key_id
from herod_client.core.scope_graph import ScopeGraph
from herod_client.core.signing_keys import SigningKeys, hs256_key

FEW: Final = 100
BATCH: Final = 2000
SECRET: Final = "a secret for benchmarks, long enough for anyone"  # noqa: S105 - made up
LOCAL: Final = Source(peer=Peer(uid=1, gid=1), cookie="cookie")
BROWSER: Final = Source(address="127.0.0.1")


def runtime_of(store: SqliteStore) -> Runtime:
    """Build the runtime state that a daemon would have."""
    return Runtime(
        config=Config(
            version="bench",
            graph=ScopeGraph(),
            issuer="hero_auth",
            public_url="http://localhost",
            token_ttl=3600,
            registration="closed",
            legacy=LegacySecrets(store.keyring, ()),
            daemon_uid=1,
        ),
        keyring=store.keyring,
        signing=SigningKeys(hs256_key(SECRET)),
        boot_epoch=1,
        started_at=0,
    )


def batches(keys: int, now: int) -> Iterator[list[ApiKey]]:
    """Yield service keys, created a second apart; half of them expire, and the others are disabled."""
    for start in range(0, keys, BATCH):
        yield [
            ApiKey(
                id=new_key_id(),
                created_at=now - keys + number,
                expires_at=now + number if number % 2 else None,
                name=f"service {number}",
                owner=None,
                creator="bench",
                secret_hash=bytes(32),
                scope=("read",),
                networks=("*",),
                enabled=number % 2 != 0,
            )
            for number in range(start, min(keys, start + BATCH))
        ]


class Desk:
    """A session signed in to the dashboard of one store."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._pipeline = Pipeline(store, runtime_of(store), clock=lambda: int(time.time()))
        pages = PageRequests(partial(make_app, self._pipeline, OPERATIONS))
        self._doors = Router(self._pipeline, OPERATIONS, Guard(), pages)
        self._headers: dict[str, str] = {}
        self._ticket = ""

    async def fill(self, keys: int) -> None:
        """Store keys, and sign in."""

        def put(batch: list[ApiKey], tx: Writer) -> None:
            for key in batch:
                tx.put(key)

        for batch in batches(keys, int(time.time())):
            await self._store.write(partial(put, batch))
        operation = OPERATIONS["session.create"]
        opened = await self._pipeline.call(operation, operation.params(), PeerClaim("cookie"), LOCAL)
        half, self._ticket = cut(opened.cookie)
        self._headers = {"host": "localhost", "cookie": f"herod_session={half}", "sec-fetch-site": "same-origin"}

    async def page(self, query: str) -> tuple[str, float]:
        """Get a page of the list, and the milliseconds it took."""
        request = Request("GET", "/ui/keys", f"{query}&{TICKET}={self._ticket}", self._headers, b"", BROWSER)
        started = time.perf_counter()
        answer = await self._doors(request)
        took = time.perf_counter() - started
        if answer.status != 200:
            raise SystemExit(f"the page answered {answer.status}")
        return answer.body.decode(), took * 1000

    async def queries(self) -> dict[str, str]:
        """Return the queries to measure, by name."""
        first, _ = await self.page("order=newest")
        found = re.search(r"[?&;](cursor=[^&\"]+)[^\"]*\">Next page", first)
        if found is None:
            raise SystemExit("there is no next page")
        return {
            "first page": "order=newest",
            "next page": f"order=newest&{found[1]}",
            "soonest to expire": "order=expires",
            "one owner's": "kind=service",
            "those that are off": "state=off",
            "one by its name": "name=service+7",
        }


@asynccontextmanager
async def desk(folder: Path, keys: int) -> AsyncIterator[Desk]:
    """Open a store of that many keys, with a signed-in session."""
    async with open_sqlite(folder / f"{keys}.db", SECRET, now=int(time.time())) as store:
        made = Desk(store)
        await made.fill(keys)
        yield made


async def main() -> None:
    """Measure and print the table."""
    logging.disable(logging.ERROR)
    many = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 40
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        async with desk(Path(folder), FEW) as small, desk(Path(folder), many) as large:
            queries = await small.queries(), await large.queries()
            print(f"{'page of keys, ms':>20} {FEW:>10,} {many:>10,} {'ratio':>7}")
            for what in queries[0]:
                seen: tuple[list[float], list[float]] = ([], [])
                for _ in range(rounds):
                    for at, one, taken in zip((small, large), queries, seen, strict=True):
                        taken.append((await at.page(one[what]))[1])
                few, lots = (statistics.median(taken) for taken in seen)
                print(f"{what:>20} {few:10.2f} {lots:10.2f} {lots / few:7.2f}")


if __name__ == "__main__":
    trio.run(main)
