"""A failing disk: the kernel answers EIO to syncs and writes from the N-th on, also while herod starts."""

import shutil
import subprocess
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

from faults.requests_under_fault import (
    Known,
    add_account,
    check_reads,
    check_refused,
    check_revocation_holds,
    know,
    names,
    start_in_vain,
)
from support.real_daemon import COMMAND, Daemon, running

SYNC = "fsync,fdatasync"
WRITE = "pwrite64,write"


def can_trace() -> bool:
    """Whether strace can inject faults here."""
    command = ["strace", "-f", "-o", "/dev/null", "-e", "inject=fsync:error=EIO", "true"]
    return (
        shutil.which("strace") is not None and subprocess.run(command, capture_output=True, check=False).returncode == 0
    )


def soak(calls: str, when: int) -> ParameterSet:
    """A row of `make soak` alone: like its neighbour, at another moment."""
    return pytest.param(calls, when, marks=pytest.mark.soak)


pytestmark = pytest.mark.skipif(not can_trace(), reason="takes strace, and the right to trace")


def failing(calls: str, when: int, folder: Path) -> tuple[str, ...]:
    """A command prefix that makes these calls on the store's files fail, in each thread from its N-th on."""
    paths = [f"{folder}/store/herod.db{suffix}" for suffix in ("", "-wal")]
    only = [part for path in paths for part in ("-P", path)]
    inject = f"inject={calls}:error=EIO:when={when}+"
    # -D: the daemon, not the tracer, is the child that a test ends.
    return ("strace", "-D", "-f", "-qq", "-o", "/dev/null", *only, "-e", f"trace={calls}", "-e", inject)


def write_until_refused(daemon: Daemon) -> list[str]:
    """Write until refused; return the accounts acknowledged before."""
    acknowledged: list[str] = []
    for number in range(200):
        status, body = add_account(daemon, f"user {number}")
        if status != 201:
            check_refused(status, body, "is read-only after a disk error", "check the disk, then restart")
            return acknowledged
        acknowledged.append(f"user {number}")
    raise AssertionError("the disk does not fail")


def known_in(folder: Path) -> Known:
    """A store with known credentials."""
    with running(folder) as daemon:
        return know(daemon)


@pytest.mark.parametrize(("calls", "when"), [(SYNC, 3), soak(SYNC, 8), (WRITE, 40), soak(WRITE, 45)])
def test_failing_while_running(tmp_path: Path, calls: str, when: int) -> None:
    """The store becomes read-only with a reason, reads are served, and a restart finds every acknowledged change."""
    known = known_in(tmp_path)
    with running(tmp_path, command=(*failing(calls, when, tmp_path), *COMMAND)) as daemon:
        acknowledged = write_until_refused(daemon)
        status, health, _ = daemon.curl("/health")
        assert (status, health["status"]) == (503, "read-only")
        assert "writing to the store failed" in health["reason"]
        assert "SQLITE_IOERR" in health["reason"]
        status, body = add_account(daemon, "one more")
        check_refused(status, body, "is read-only after a disk error")
        check_reads(daemon, known)
        check_revocation_holds(daemon, known)
        status_line = daemon.herod("status", "--peer")
        assert status_line.returncode == 1
        assert "read-only" in status_line.stdout + status_line.stderr
        assert daemon.stop() == 0
    with running(tmp_path) as again:
        assert set(acknowledged) <= names(again)
        assert add_account(again, "after")[0] == 201


@pytest.mark.parametrize("calls", [SYNC, WRITE], ids=["sync", "write"])
def test_failing_from_the_start(tmp_path: Path, calls: str) -> None:
    """An existing store is opened and served; the first change is refused, and nothing is lost."""
    known = known_in(tmp_path)
    with running(tmp_path, command=(*failing(calls, 1, tmp_path), *COMMAND)) as daemon:
        assert write_until_refused(daemon) == []
        check_reads(daemon, known)
        assert daemon.curl("/health")[0] == 503
    with running(tmp_path) as again:
        check_reads(again, known)


@pytest.mark.parametrize(("calls", "when"), [(SYNC, 1), soak(SYNC, 2), soak(WRITE, 1), (WRITE, 5)])
def test_a_new_store_on_a_broken_disk(tmp_path: Path, calls: str, when: int) -> None:
    """Wherever its creation fails, one line names the disk, and the next start creates the store."""
    message = start_in_vain(
        tmp_path,
        "--bind", f"unix:{tmp_path}/h.sock", "--store", f"sqlite:{tmp_path}/store/herod.db",
        command=failing(calls, when, tmp_path),
    )  # fmt: skip
    assert "cannot be read or written (disk I/O error (SQLITE_IOERR" in message
    assert "check its disk" in message
    with running(tmp_path) as daemon:
        assert add_account(daemon, "ada")[0] == 201
