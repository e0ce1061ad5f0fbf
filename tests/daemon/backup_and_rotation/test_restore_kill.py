"""A killed restore leaves the old store or the new one, never none and never a mixture."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from herod.maintenance.restore import restore
from herod.records import Account
from store.samples import account
from support.stopped_store import OLD, contents, opened, put, save, settings

MOST_STEPS = 200


async def accounts(path: Path) -> list[str]:
    """The accounts in a store, all of which must be readable."""
    async with opened(path, OLD) as store:
        assert (await store.verify_audit()).valid
        return sorted(one.id for one in store.scan(Account))


@contextmanager
def helper() -> Iterator[Callable[[Path, Path, int], str]]:
    """Restore a file into a store for so many steps; `killed`, or `ended` if it needed fewer."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
    command = [sys.executable, str(Path(__file__).with_name("restore_helper.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as process:
        asking, answers = process.stdin, process.stdout
        assert asking is not None
        assert answers is not None

        def run(store: Path, file: Path, steps: int) -> str:
            asking.write(json.dumps([str(store), str(file), steps]) + "\n")
            asking.flush()
            return answers.readline().strip()

        yield run


async def test_killed_before_each_step(tmp_path: Path) -> None:
    """After a kill before any step, the next restore completes."""
    base = tmp_path / "base"
    base.mkdir()
    async with opened(base / "herod.db") as store:
        await put(store, account("old"))
        file = await save(store, tmp_path / "b")
        await put(store, account("new", email="new@example.org"))
    found: list[list[str]] = []
    with helper() as run:
        for steps in range(MOST_STEPS):
            path = tmp_path / str(steps) / "herod.db"
            shutil.copytree(base, path.parent)
            ended = run(path, file, steps)
            assert ended in {"killed", "ended"}
            found.append(await accounts(path))
            assert not [name for name in contents(path.parent) if name.endswith(".part")]
            restore(settings(path), file)
            assert await accounts(path) == ["old"]
            if ended == "ended":
                break
    assert ended == "ended"
    assert found == sorted(found, key=len, reverse=True)  # first the old one, then the new one
    assert [found[0], found[-1]] == [["new", "old"], ["old"]]
