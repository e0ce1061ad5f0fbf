"""A herod over a file, in which requests race: the loop, the writer thread and its commits are the real ones."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import trio

from herod.identity.credential_types import Presented
from herod.operations.operation_table import OPERATIONS
from herod.pipeline.pipeline import Pipeline
from herod.pipeline.process.process_state import ProcessState
from herod.protocols.host_and_origin_guard import Guard
from herod.protocols.router import Router
from herod.records import Account, ApiKey
from herod.scopes.principal import Source
from herod.settings import QuotaSettings
from herod.store.sqlite.sqlite_store import open_sqlite
from herod_client.core.errors import HerodError
from herod_client.core.signing_keys import SigningKeys, hs256_key
from support.herod_in_memory import NOW, SECRET, Harness, User, open_harness

__all__ = ["Scene", "open_scene", "won"]


@dataclass
class Scene:
    """One store, many rounds.

    Attributes:
        asked: how many requests were sent while something ended.
    """

    harness: Harness
    draw: random.Random
    numbers: "count[int]" = field(default_factory=count)
    asked: int = 0

    @property
    def number(self) -> int:
        """A number that was not used before."""
        return next(self.numbers)

    def source(self) -> Source:
        """An address that was not used before, so that no limit of another round applies."""
        number = self.number
        return Source(address=f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}")

    async def admin(self) -> User:
        """A new admin."""
        return await self.harness.user("admin", email=f"admin{self.number}@example.org")

    async def only_admins(self, *kept: str) -> None:
        """Delete every other admin."""
        for record in self._principals():
            if record.id in kept or "admin" not in record.scope or (isinstance(record, ApiKey) and record.owner):
                continue
            name, key = ("users.delete", "client_id") if isinstance(record, Account) else ("keys.delete", "id")
            await self.harness.admin(name, **{key: record.id})

    def admins(self) -> set[str]:
        """The enabled admins."""
        return {
            record.id
            for record in self._principals()
            if "admin" in record.scope and record.enabled and not (isinstance(record, ApiKey) and record.owner)
        }

    def _principals(self) -> list[Account | ApiKey]:
        return [*self.harness.store.scan(Account), *self.harness.store.scan(ApiKey)]

    async def wait(self) -> None:
        """Let others go first, or not."""
        for _ in range(self.draw.choice((0, 0, 1, 2, 5, 20))):
            await trio.lowlevel.checkpoint()
        if self.draw.random() < 0.2:
            await trio.sleep(self.draw.random() / 500)

    async def at_once(self, calls: Sequence[Callable[[], Awaitable[Any]]]) -> list[Any]:
        """Run all at once, in random order; return each result, or the error."""
        results: list[Any] = [None] * len(calls)

        async def run(place: int) -> None:
            await self.wait()
            try:
                results[place] = await calls[place]()
            except HerodError as error:
                results[place] = error

        order = list(range(len(calls)))
        self.draw.shuffle(order)
        async with trio.open_nursery() as nursery:
            for place in order:
                nursery.start_soon(run, place)
        return results

    def calling(
        self, name: str, presented: Presented | None = None, source: Source | None = None, /, **params: Any
    ) -> Callable[[], Awaitable[Any]]:
        """A call for later."""
        return lambda: self.harness.call(name, presented, source or self.source(), **params)


@asynccontextmanager
async def open_scene(path: Path, draw: random.Random, **quotas: int) -> AsyncIterator[Scene]:
    """Open a store at the path."""
    async with open_harness() as fresh, open_sqlite(path, SECRET, now=NOW) as store:
        limits = QuotaSettings(**{"issued_per_minute": 1_000_000, **quotas})
        config = replace(fresh.runtime.config, quotas=limits)
        runtime = replace(fresh.runtime, config=config, keyring=store.keyring, signing=SigningKeys(hs256_key(SECRET)))
        pipeline = Pipeline(store, runtime, clock=fresh.clock, process=ProcessState(operations=OPERATIONS))
        router = Router(pipeline, OPERATIONS, Guard())
        harness = Harness(store, runtime, pipeline, router, fresh.clock)  # type: ignore[arg-type]  # another store
        yield Scene(harness, draw)


def won(results: Sequence[Any]) -> list[Any]:
    """The results without the errors."""
    return [one for one in results if not isinstance(one, HerodError)]
