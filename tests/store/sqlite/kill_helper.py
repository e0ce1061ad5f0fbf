"""Runs stores that are to be killed. For each path on its input it forks a process that opens a store there.

The child prints `pid N`, then `open`, then the id of each acknowledged write until it is killed; then the parent
prints `dead`. Forking saves a second of imports, which makes many rounds cheap.
"""

import itertools
import os
import sys
from functools import partial
from pathlib import Path

import trio

from herod.audit_event import AuditEvent
from herod.records import ApiKey
from herod.store.sqlite.sqlite_store import open_sqlite
from herod.store.store_interface import Writer

WRITERS = 8
SECRET = "a secret for tests that is long enough"


def main() -> None:
    """Handle paths until the input ends."""
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            trio.run(write_until_killed, Path(line.strip()))
        os.waitpid(pid, 0)
        say("dead")


async def write_until_killed(path: Path) -> None:
    """Write with eight tasks, as fast as they can."""
    say(f"pid {os.getpid()}")
    async with open_sqlite(path, SECRET, now=1) as store:
        say(f"open {store.cursor.rev}")

        async def write(task: int) -> None:
            for number in itertools.count():
                await store.write(partial(add, task=f"{os.getpid()}-{task}", number=number))
                say(f"ok {os.getpid()}-{task}-{number}")

        async with trio.open_nursery() as nursery:
            for task in range(WRITERS):
                nursery.start_soon(write, task)


def add(tx: Writer, *, task: str, number: int) -> None:
    """Put a key and audit it; every third time, delete the previous one."""
    id_ = f"{task}-{number}"
    tx.put(
        ApiKey(
            id=id_,
            created_at=1,
            name=id_,
            owner="ada",
            creator="ada",
            secret_hash=b"hash",
            scope=("read",),
            networks=("*",),
        )
    )
    if number % 3 == 2:
        tx.delete(ApiKey, f"{task}-{number - 1}")
    tx.audit(
        AuditEvent(at=1, actor="ada", method="jwt", source="uid:1", operation="keys.create", outcome="ok", target=id_)
    )


def say(line: str) -> None:
    """Print one line atomically."""
    os.write(1, f"{line}\n".encode())


if __name__ == "__main__":
    main()
