"""Files that a running daemon has open are removed or replaced: it notices and reports it.

It acknowledges nothing more that a restart would not find.
"""

import json
import shutil
from pathlib import Path

import pytest

from faults.requests_under_fault import (
    Known,
    add_account,
    check_reads,
    check_refused,
    check_revocation_holds,
    know,
    names,
)
from support.real_daemon import Daemon, running


def check_noticed(daemon: Daemon, known: Known, file: str) -> None:
    """Check that it is read-only with the reason, and serves reads."""
    status, health, _ = daemon.curl("/health")
    assert (status, health["status"]) == (503, "read-only")
    assert "a file of the store was removed or replaced while herod had it open" in health["reason"]
    check_refused(
        *add_account(daemon, "late"), "is read-only after a disk error", "removed or replaced", "restart herod"
    )
    assert file not in json.dumps(health)  # strangers may ask
    daemon.logged(file)
    check_reads(daemon, known)
    check_revocation_holds(daemon, known)


@pytest.mark.parametrize("suffix", ["", "-wal"])
def test_removed(tmp_path: Path, suffix: str) -> None:
    """With database or log removed, it serves from its open files, and stops without an error."""
    with running(tmp_path) as daemon:
        known = know(daemon)
        file = tmp_path / "store" / f"herod.db{suffix}"
        file.unlink()
        check_noticed(daemon, known, f"herod.db{suffix}")
        assert daemon.stop() == 0
        assert "Traceback" not in daemon.log.read_text()


def test_noticed_by_the_write_itself(tmp_path: Path) -> None:
    """A write notices it without a health check."""
    with running(tmp_path) as daemon:
        (tmp_path / "store" / "herod.db").unlink()
        check_refused(*add_account(daemon, "ada"), "a file of the store was removed or replaced")


def test_replaced(tmp_path: Path) -> None:
    """A replacement store is never written to, and once the original is back, all of its data is there."""
    with running(tmp_path / "old") as old:
        assert add_account(old, "of last week")[0] == 201
        old.stop(9)
    with running(tmp_path / "d") as daemon:
        known = know(daemon)
        store, aside = tmp_path / "d" / "store", tmp_path / "aside"
        store.rename(aside)
        shutil.copytree(tmp_path / "old" / "store", store)
        before = {one.name: one.read_bytes() for one in store.iterdir()}
        check_noticed(daemon, known, "herod.db")
        assert daemon.stop() == 0
        assert {one.name: one.read_bytes() for one in store.iterdir()} == before
    shutil.rmtree(store)
    aside.rename(store)
    with running(tmp_path / "d") as again:
        check_reads(again, known)
        assert names(again) == {"ada"}


def test_socket_removed(tmp_path: Path) -> None:
    """Without its socket TCP and connected clients continue; a restart creates it again, and other files are kept."""
    with running(tmp_path) as daemon:
        daemon.socket.unlink()
        assert daemon.curl("/health", tcp=True)[0] == 200
        daemon.socket.write_text("somebody else's")
        assert daemon.stop() == 0
        assert daemon.socket.read_text() == "somebody else's"
    daemon.socket.unlink()
    with running(tmp_path) as again:
        assert again.curl("/health")[0] == 200
