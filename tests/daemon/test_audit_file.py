"""The audit file of a real daemon: rotation while writing, kill -9, a full disk, and a start that is refused."""

import json
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from faults.small_disks import small_disk
from support.real_daemon import COMMAND, Daemon, herod, running

WAIT_SECONDS = 60


def until(condition: Callable[[], bool]) -> None:
    """Wait for the daemon."""
    end = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def admin(daemon: Daemon, method: str, **params: Any) -> Any:
    """Make one call as local admin."""
    answer = daemon.rpc(method, params, "-H", f"Authorization: Peer {daemon.cookie}")
    assert "result" in answer, answer
    return answer["result"]


def add(daemon: Daemon, count: int) -> None:
    """Add accounts, each of which is a row."""
    for _ in range(count):
        admin(daemon, "users.add")


def rows(daemon: Daemon) -> list[Any]:
    """All rows of the store."""
    found: list[Any] = []
    while page := admin(daemon, "audit.list", after=found[-1]["seq"] if found else 0)["items"]:
        found += page
    return found


def lines(*paths: Path) -> list[Any]:
    """The rows of some files."""
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def test_rotation_and_kill(tmp_path: Path) -> None:
    """Rotated while clients write, killed and started again: the files together have each row once, in order."""
    path = tmp_path / "audit.jsonl"
    with running(tmp_path / "d", "--audit-file", str(path)) as daemon:
        with ThreadPoolExecutor(3) as clients:
            for _ in range(3):
                clients.submit(add, daemon, 10)
            for number in range(1, 4):
                time.sleep(0.1)
                path.rename(tmp_path / f"audit.{number}")
                daemon.process.send_signal(signal.SIGHUP)
                until(path.exists)
        daemon.stop(signal.SIGKILL)
    with running(tmp_path / "d", "--audit-file", str(path), "--audit-log") as daemon:
        add(daemon, 1)
        expected = rows(daemon)
        rotated = [tmp_path / f"audit.{number}" for number in range(1, 4)]
        until(lambda: lines(*rotated, path) == expected)
        assert admin(daemon, "stats")["audit_file"] == "ok"
        assert "Audit rows reach the audit file." in daemon.herod("doctor").stdout
        against = [part for file in (path, *rotated) for part in ("--against", str(file))]
        assert daemon.herod("audit", "verify", *against).returncode == 0
        changed = path.read_text().replace("local-admin", "somebody")
        (tmp_path / "changed").write_text(changed)
        ended = daemon.herod("audit", "verify", "--against", str(tmp_path / "changed"))
        assert (ended.returncode, "differ in actor" in ended.stderr) == (1, True)
        daemon.stop()
    logged = [json.loads(line) for line in daemon.log.read_text().splitlines() if '"event": "audit"' in line]
    assert logged[-1]["seq"] == lines(path)[-1]["seq"]
    assert logged[-1]["mac"] == lines(path)[-1]["mac"]


def test_last_rows_are_copied_when_it_stops(tmp_path: Path) -> None:
    """Rows that are written only at shutdown, such as counted denials, are in the file too."""
    path = tmp_path / "audit.jsonl"
    with running(tmp_path / "d", "--audit-file", str(path)) as daemon:
        for _ in range(5):
            assert "error" in daemon.rpc("users.list", {}, "-H", "Authorization: Bearer x")
        daemon.stop()
    assert [row["operation"] for row in lines(path)].count("users.list") > 0
    assert sum(row["count"] for row in lines(path) if row["outcome"] == "denied") == 5


def test_full_disk(tmp_path: Path) -> None:
    """With the file's disk full, changes succeed and the problem is reported; with space again, all rows follow."""
    (tmp_path / "disk").mkdir()
    with small_disk(tmp_path / "disk") as disk:
        command = (*disk.command, *COMMAND)
        file = disk.inside / "audit.jsonl"
        with running(tmp_path / "d", "--audit-file", str(file), command=command) as daemon:
            add(daemon, 1)
            disk.fill()
            add(daemon, 20)
            until(lambda: admin(daemon, "stats")["audit_file"] == "failing")
            add(daemon, 5)
            assert admin(daemon, "stats")["audit_waiting"] > 0
            assert "have not reached the audit file" in daemon.herod("doctor").stdout
            disk.empty()
            until(lambda: admin(daemon, "stats")["audit_waiting"] == 0)
            assert lines(disk.outside / "audit.jsonl") == rows(daemon)
            assert daemon.log.read_text().count("the audit file is not written") == 1


@pytest.mark.parametrize("kind", ["link", "folder", "missing"])
def test_start_is_refused(tmp_path: Path, kind: str) -> None:
    """With a path that herod may not write to, it does not start, and says what to do in one line."""
    path, victim = tmp_path / "audit.jsonl", tmp_path / "victim"
    victim.write_text("kept")
    if kind == "link":
        path.symlink_to(victim)
    elif kind == "folder":
        path.mkdir()
    else:
        path = tmp_path / "missing" / "audit.jsonl"
    env = {**os.environ, "HERO_SECRET": "s" * 40, "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    ended = herod("serve", "--store", "memory:", "--port", "0", "--audit-file", str(path), env=env)
    assert (ended.returncode, ended.stderr.count("Traceback")) == (1, 0)
    assert "the audit file" in ended.stderr
    assert victim.read_text() == "kept"
