"""A second daemon is refused while the first continues; a killed one leaves nothing that stops the next."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.requests_under_fault import Known, check_reads, know, start_in_vain
from support.real_daemon import Daemon, running


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """The first daemon."""
    with running(tmp_path_factory.mktemp("first")) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def known(daemon: Daemon) -> Known:
    """Credentials known to the first daemon."""
    return know(daemon)


def files_of(daemon: Daemon) -> dict[str, tuple[int, int]]:
    """The identity of its socket, cookie and store files."""
    names = [daemon.socket, daemon.socket.with_name("herod.sock.cookie"), daemon.folder / "store" / "herod.db"]
    return {one.name: (one.stat().st_ino, one.stat().st_mode) for one in names}


@pytest.mark.parametrize("held", ["socket", "store", "port", "all"])
def test_refused(daemon: Daemon, known: Known, tmp_path: Path, held: str) -> None:
    """The refusal names what is in use and a way out, and nothing of the first daemon is changed."""
    before, cookie = files_of(daemon), daemon.cookie
    store = f"sqlite:{daemon.folder}/store/herod.db"
    arguments, words = {
        "socket": (
            ("--bind", f"unix:{daemon.socket}", "--store", "memory:"),
            (str(daemon.socket), "stop it or choose"),
        ),
        "store": (
            ("--bind", f"unix:{tmp_path}/h.sock", "--store", store),
            (f"in use by the herod with process id {daemon.process.pid}", "stop that process first"),
        ),
        "port": (
            ("--bind", f"127.0.0.1:{daemon.port}", "--store", "memory:"),
            (f"127.0.0.1:{daemon.port} is in use", "or choose another port with --port or --bind"),
        ),
        "all": (
            ("--bind", f"unix:{daemon.socket}", "--bind", f"127.0.0.1:{daemon.port}", "--store", store),
            ("another herod is listening", str(daemon.socket)),
        ),
    }[held]
    message = start_in_vain(tmp_path, *arguments)
    for word in words:
        assert word in message
    assert files_of(daemon) == before
    assert daemon.cookie == cookie
    check_reads(daemon, known)


def test_what_a_killed_one_leaves(tmp_path: Path) -> None:
    """Socket, cookie, locks and log of a killed daemon are replaced by the next one, repeatedly."""
    with running(tmp_path) as daemon:
        known = know(daemon)
        first, cookie = daemon.socket.stat().st_ino, daemon.cookie
        daemon.stop(9)
        assert daemon.socket.exists()
        assert (tmp_path / "store" / "herod.db-wal").stat().st_size > 0
    with running(tmp_path) as again:
        check_reads(again, known)
        assert (again.socket.stat().st_ino, again.cookie) != (first, cookie)
        assert (tmp_path / "store" / "herod.db.lock").read_text().splitlines()[0] == str(again.process.pid)
        assert again.stop() == 0
    assert not again.socket.exists()
    assert not os.path.lexists(tmp_path / "herod.sock.cookie")
