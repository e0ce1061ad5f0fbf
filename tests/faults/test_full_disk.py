"""A full disk: changes are refused with a reason, reads are served, and free space is all that is needed."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.requests_under_fault import (
    add_account,
    check_reads,
    check_refused,
    check_revocation_holds,
    is_valid,
    know,
    message_of,
    names,
    token_of,
)
from faults.small_disks import Disk, small_disk
from support.real_daemon import COMMAND, SECRET, Daemon, environment, herod, running

ROOM_FOR_INDEX = 40 * 1024  # the size of -shm, and only a page or two of a log
BIG = "x" * 100


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """An empty small disk."""
    (tmp_path / "disk").mkdir()
    with small_disk(tmp_path / "disk") as disk:
        yield disk


@pytest.fixture
def daemon(disk: Disk, tmp_path: Path) -> Iterator[Daemon]:
    """A daemon with its store on the small disk."""
    store = f"sqlite:{disk.inside}/herod.db"
    with running(tmp_path / "d", "--store", store, command=(*disk.command, *COMMAND)) as daemon:
        yield daemon


def run(disk: Disk, folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run an offline command on that store."""
    env = {**environment(folder), "HERO_SECRET": SECRET, "HEROD_STORE": f"sqlite:{disk.inside}/herod.db", **more}
    return herod(*arguments, env=env, prefix=disk.command)


def fill_up(daemon: Daemon, disk: Disk) -> list[str]:
    """Fill the disk and write until refused; return the accounts acknowledged meanwhile."""
    disk.fill()
    acknowledged: list[str] = []
    for number in range(200):  # SQLite uses free space in its own files first
        status, body = add_account(daemon, f"{number} {BIG}")
        if status != 201:
            check_refused(status, body, "disk is full", "nothing was changed", "free some space and try again")
            return acknowledged
        acknowledged.append(f"{number} {BIG}")
    raise AssertionError("the disk does not become full")


def test_full_while_running(daemon: Daemon, disk: Disk) -> None:
    """Changes get a 503, reads are served, revocations apply in memory; with free space writing resumes."""
    known = know(daemon)
    acknowledged = fill_up(daemon, disk)
    check_reads(daemon, known)
    assert daemon.curl("/health")[1]["status"] == "ok"
    assert daemon.curl("/health")[0] == 200
    refused = daemon.herod("user", "add", "--name", "bob", "--peer")
    assert "disk is full" in message_of(refused, 1)
    check_revocation_holds(daemon, known)
    disk.empty()
    status, body = add_account(daemon, "after")
    assert status == 201, body
    assert {"after", *acknowledged} <= names(daemon)
    assert not is_valid(daemon, known.token)
    assert "the store's disk is full" in daemon.log.read_text()
    assert daemon.stop() == 0


def test_revoked_while_full_can_be_revoked_for_good(daemon: Daemon, disk: Disk, tmp_path: Path) -> None:
    """A revocation repeated with free space survives a kill, and nothing acknowledged is lost."""
    known = know(daemon)
    acknowledged = fill_up(daemon, disk)
    check_revocation_holds(daemon, known)
    disk.empty()
    status, _, _ = daemon.curl("/revoke", "-H", f"Authorization: Peer {daemon.cookie}", "-d", f"token={known.token}")
    assert status == 200
    daemon.stop(9)
    store = f"sqlite:{disk.inside}/herod.db"
    with running(tmp_path / "d", "--store", store, command=(*disk.command, *COMMAND)) as again:
        assert not is_valid(again, known.token)
        assert is_valid(again, token_of(again, known.client_id, known.client_secret))
        assert set(acknowledged) <= names(again)


def test_start_on_a_full_disk(disk: Disk, tmp_path: Path) -> None:
    """Without a store the start fails with one line, and leaves nothing that stops the next start."""
    disk.fill()
    done = run(disk, tmp_path, "serve", "--bind", f"unix:{tmp_path}/h.sock")
    message = message_of(done, 1)
    assert str(disk.inside) in message
    assert "full" in message or "No space left" in message
    assert "free some space" in message
    disk.empty()
    store = f"sqlite:{disk.inside}/herod.db"
    with running(tmp_path / "d", "--store", store, command=(*disk.command, *COMMAND)) as daemon:
        assert daemon.curl("/health")[0] == 200


def test_start_with_a_full_store(daemon: Daemon, disk: Disk, tmp_path: Path) -> None:
    """A start whose SQLite files or first write do not fit fails with one line."""
    known = know(daemon)
    daemon.stop()
    for leave, more in ((0, ()), (ROOM_FOR_INDEX, ("--signing", "EdDSA"))):
        disk.fill(leave=leave)
        message = message_of(run(disk, tmp_path, "serve", "--bind", f"unix:{tmp_path}/h.sock", *more), 1)
        assert "full" in message
        assert "free some space" in message
        disk.empty()
    store = f"sqlite:{disk.inside}/herod.db"
    with running(tmp_path / "d", "--store", store, command=(*disk.command, *COMMAND)) as again:
        check_reads(again, known)


def test_commands_on_a_full_disk(daemon: Daemon, disk: Disk, tmp_path: Path) -> None:
    """A backup, a restore and a change of the secret are refused with a reason and change nothing."""
    known = know(daemon)
    backup = tmp_path / "b.herod"
    assert daemon.herod("backup", str(backup), "--peer").returncode == 0
    acknowledged = fill_up(daemon, disk)
    again = daemon.herod("backup", str(tmp_path / "c.herod"), "--peer")
    assert "free some space" in message_of(again, 1)
    assert not (tmp_path / "c.herod").exists()
    check_reads(daemon, known)
    assert daemon.stop(9) != 0
    new = tmp_path / "new"
    new.write_text("another secret, long enough for a daemon, really\n")
    new.chmod(0o600)
    for arguments in (
        ("restore", str(backup)),
        ("secret", "rotate", "--new-secret-file", str(new), "--compromised"),
    ):
        disk.fill()
        message = message_of(run(disk, tmp_path, *arguments), 1)
        assert any(word in message for word in ("room", "full")), message
    disk.empty()
    store = f"sqlite:{disk.inside}/herod.db"
    with running(tmp_path / "d", "--store", store, command=(*disk.command, *COMMAND)) as started:
        check_reads(started, known)
        assert set(acknowledged) <= names(started)
