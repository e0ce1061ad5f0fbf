"""Durable creation of keys: keys per second for 1, 16 and 64 callers, and keys per commit.

Run it alone: `python bench/durable_writes.py [seconds] [rounds]`. In process: the pipeline, the real store on this disk
with `synchronous=FULL`, an audit row and a new key each; interleaved rounds, medians.
"""

import statistics
import sys
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import Final

import trio

from herod.identity.config import Config
from herod.identity.credential_types import PeerClaim
from herod.identity.legacy_secrets import LegacySecrets
from herod.identity.runtime_state import Runtime
from herod.operations.operation_table import OPERATIONS
from herod.pipeline.pipeline import Pipeline
from herod.scopes.principal import Peer, Source
from herod.store.sqlite.sqlite_store import SqliteStore, open_sqlite
from herod_client.core.scope_graph import ScopeGraph
from herod_client.core.signing_keys import SigningKeys, hs256_key

WRITERS: Final = (1, 16, 64)
SECRET: Final = "a secret for benchmarks, long enough for anyone"  # noqa: S105 - made up
ADMIN: Final = Source(peer=Peer(uid=1, gid=1), cookie="cookie")
CREATE: Final = OPERATIONS["keys.create"]


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


async def write(pipeline: Pipeline, names: "count[int]", until: float) -> None:
    """Create keys, one after the other."""
    while time.perf_counter() < until:
        params = CREATE.params(name=f"key {next(names)}", kind="service")
        await pipeline.call(CREATE, params, PeerClaim("cookie"), ADMIN)


async def run(store: SqliteStore, writers: int, seconds: float, names: "count[int]") -> tuple[float, float]:
    """Return keys per second, and keys per commit."""
    pipeline = Pipeline(store, runtime_of(store), clock=lambda: int(time.time()))
    before, started = store.stats, time.perf_counter()
    async with trio.open_nursery() as nursery:
        for _ in range(writers):
            nursery.start_soon(write, pipeline, names, started + seconds)
    took, after = time.perf_counter() - started, store.stats
    writes = after.writes - before.writes
    return writes / took, writes / (after.commits - before.commits)


async def main() -> None:
    """Measure and print the table."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    seen: dict[int, list[tuple[float, float]]] = {writers: [] for writers in WRITERS}
    names = count()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        async with open_sqlite(Path(folder) / "herod.db", SECRET, now=int(time.time())) as store:
            for _ in range(rounds):
                for writers in WRITERS:
                    seen[writers].append(await run(store, writers, seconds, names))
    print(f"{'writers':>8} {'keys/s':>8} {'min':>8} {'max':>8} {'keys/commit':>12}")
    for writers, found in seen.items():
        rates = [rate for rate, _ in found]
        shared = statistics.median(share for _, share in found)
        print(f"{writers:8} {statistics.median(rates):8,.0f} {min(rates):8,.0f} {max(rates):8,.0f} {shared:12.1f}")


if __name__ == "__main__":
    trio.run(main)
