"""kill -9 at random moments under eight writers: acknowledged writes are kept, and the store opens.

HEROD_KILL_ROUNDS rounds (50), from HEROD_SEED.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from herod.records import ApiKey
from herod.store.sqlite.sqlite_store import SqliteStore, open_sqlite
from store.samples import SECRET
from support.soak_rounds import chance as new_chance
from support.soak_rounds import count, seed

ROUNDS = count("KILL_ROUNDS")
SEED = seed()
ROUNDS_A_STORE = 10


class Helper:
    """Starts store processes and kills them."""

    def __init__(self, asking: IO[str], answers: IO[str]) -> None:
        self._asking = asking
        self._answers = answers

    def run(self, path: Path, *, kill_after: int) -> list[str]:
        """Open a store in another process and kill it after so many lines of output; return the acknowledged ids."""
        self._asking.write(f"{path}\n")
        self._asking.flush()
        pid = int(self._read().removeprefix("pid "))
        said = [self._read() for _ in range(kill_after)]
        os.kill(pid, signal.SIGKILL)
        while said[-1:] != ["dead"]:
            said.append(self._read())
        return [line.removeprefix("ok ") for line in said if line.startswith("ok ")]

    def _read(self) -> str:
        line = self._answers.readline()
        assert line, "the helper has ended"
        return line.rstrip("\n")


@pytest.fixture
def helper() -> Iterator[Helper]:
    """Start the helper process."""
    command = [sys.executable, str(Path(__file__).with_name("kill_helper.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Helper(process.stdin, process.stdout)


async def test_kill(tmp_path: Path, helper: Helper) -> None:
    """No acknowledged write is lost, every store opens, and the audit chain is intact, in every round."""
    chance = new_chance("kill")
    acknowledged: list[str] = []
    written = 0
    for number in range(ROUNDS):
        if number % ROUNDS_A_STORE == 0:
            acknowledged, written = [], 0
        path = tmp_path / f"{number // ROUNDS_A_STORE}" / "herod.db"
        # Every tenth store is killed while being opened or created.
        kill_after = 0 if chance.random() < 0.1 else chance.randrange(1, 400)
        acknowledged += helper.run(path, kill_after=kill_after)
        async with open_sqlite(path, SECRET, now=1) as store:
            await check(store, acknowledged, at_least=written, round_name=f"round {number} of seed {SEED}")
            written = len(audited(store))


async def check(store: SqliteStore, acknowledged: list[str], *, at_least: int, round_name: str) -> None:
    """Compare the records with the acknowledged ids. The third write of each three deletes the second's key."""
    lost = set(acknowledged) - audited(store)
    assert not lost, f"{round_name}: {len(lost)} acknowledged writes lost"
    keys = {one.id for one in store.scan(ApiKey)}
    assert len(keys) == store.count(ApiKey), round_name
    for id_ in acknowledged:
        task, number = id_.rsplit("-", 1)
        if int(number) % 3 != 1:
            assert id_ in keys, round_name
        if int(number) % 3 == 2:
            assert f"{task}-{int(number) - 1}" not in keys, round_name
    verdict = await store.verify_audit()
    assert verdict.valid, f"{round_name}: {verdict.reason}"
    assert verdict.rows >= max(at_least, len(acknowledged)), round_name


def audited(store: SqliteStore) -> set[str | None]:
    """The targets of all audit rows."""
    targets: set[str | None] = set()
    seq = 0
    while rows := store.audit_rows(after=seq):
        targets |= {row.event.target for row in rows}
        seq = rows[-1].seq
    return targets
