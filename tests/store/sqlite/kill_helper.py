"""Runs stores that are to be killed. For each path on its input it forks a process that opens the store there.

That one says `pid N`, then `open`, then the id of each write that was acknowledged, until it is killed; then `dead` is
said for it. Forking saves the second that importing takes, and so makes many rounds cheap.
"""

import itertools
import os
import sys
from functools import partial
from pathlib import Path

import trio

from herod.records import ApiKey, AuditEvent
from herod.store.sqlite.sqlite_store import open_sqlite
from herod.store.store_interface import Writer

WRITERS = 8
SECRET = "a secret for tests that is long enough"


def main() -> None:
    """Serve paths until the input ends."""
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            trio.run(write_until_killed, Path(line.strip()))
        os.waitpid(pid, 0)
        say("dead")


async def write_until_killed(path: Path) -> None:
    """Eight writers, as fast as they can."""
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
    """Put a key and audit it; every third time, delete the one before."""
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
    """One line, in one piece."""
    os.write(1, f"{line}\n".encode())


if __name__ == "__main__":
    main()
