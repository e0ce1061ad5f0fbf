"""HERO_SECRET changes under a store: reported, refused, nothing changed; the former secret opens it again."""

import signal
from pathlib import Path
from typing import Any

import pytest

from faults.requests_under_fault import add_account, check_reads, is_valid, know, start_in_vain, wait_for
from support.real_daemon import SECRET, running
from support.stopped_store import contents

OTHER = "quite another secret, as long as a secret has to be"


@pytest.mark.parametrize("name", ["HERO_SECRET", "HEROD_STORE_SECRET"])
def test_another_secret(tmp_path: Path, name: str) -> None:
    """Another secret exits with 2 and a line with the ways out, without changing a byte; the right one still works."""
    right: dict[str, Any] = {
        "HERO_SECRET": SECRET,
        "HEROD_STORE_SECRET": "what opens the store in its place, long enough",
    }
    with running(tmp_path, **right) as daemon:
        known = know(daemon)
    before = contents(tmp_path / "store")
    binds = ("--bind", f"unix:{tmp_path}/x.sock", "--store", f"sqlite:{tmp_path}/store/herod.db")
    wrong: dict[str, Any] = (
        {**right, "HEROD_STORE_SECRET": OTHER} if name == "HEROD_STORE_SECRET" else {"HERO_SECRET": OTHER}
    )
    message = start_in_vain(tmp_path, *binds, code=2, **wrong)
    assert "made with another secret: give that HERO_SECRET (or HEROD_STORE_SECRET, if one was set)" in message
    assert "herod secret rotate" in message
    assert OTHER not in message
    assert contents(tmp_path / "store") == before
    with running(tmp_path, **right) as again:
        check_reads(again, known)


def test_the_file_changes_while_it_runs(tmp_path: Path) -> None:
    """SIGHUP reports that a changed secret needs a restart, and the daemon keeps signing; then the start is refused."""
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n")
    file.chmod(0o600)
    given: dict[str, Any] = {"HERO_SECRET": "", "HERO_SECRET_FILE": str(file)}
    with running(tmp_path, **given) as daemon:
        known = know(daemon)
        file.write_text(OTHER + "\n")
        daemon.process.send_signal(signal.SIGHUP)
        log = wait_for(daemon, "need a restart")
        assert "SIGHUP: these settings have changed and need a restart: HERO_SECRET" in log
        assert "herod secret rotate" in log
        assert OTHER not in log
        check_reads(daemon, known)
        assert add_account(daemon, "bob")[0] == 201
    binds = ("--bind", f"unix:{tmp_path}/x.sock", "--store", f"sqlite:{tmp_path}/store/herod.db")
    assert "another secret" in start_in_vain(tmp_path, *binds, code=2, **given)
    file.write_text(SECRET + "\n")
    with running(tmp_path, **given) as again:
        assert is_valid(again, known.token)
