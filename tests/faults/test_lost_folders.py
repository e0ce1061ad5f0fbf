"""Lost access to the store's folder: reported, and open files are still served."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from faults.requests_under_fault import add_account, check_reads, know, message_of, names
from faults.small_disks import small_disk
from support.real_daemon import COMMAND, SECRET, environment, herod, others_have_python, running

UID = 4711
OTHER = ("setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups")


@contextmanager
def folder_of_the_other() -> Iterator[Path]:
    """A folder that belongs to the daemon's user, and that others can enter."""
    with tempfile.TemporaryDirectory(prefix="herod-test-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        if os.geteuid() == 0:
            os.chown(folder, UID, UID)
        yield folder


@pytest.mark.skipif(os.getuid() == 0 and not others_have_python(), reason="takes a Python that other users may read")
def test_permissions_lost() -> None:
    """A running daemon continues with its open files; a start is refused and names the user who needs access."""
    command = (*OTHER, *COMMAND) if os.geteuid() == 0 else COMMAND
    with folder_of_the_other() as folder:
        store = folder / "store"
        given: dict[str, Any] = {"PYTHONDONTWRITEBYTECODE": "1"}
        if os.geteuid() == 0:
            given |= {name: "" for name in os.environ if name.startswith("COVERAGE_")}
        with running(folder, command=command, **given) as daemon:
            known = know(daemon)
            store.chmod(0)
            check_reads(daemon, known)
            assert add_account(daemon, "bob")[0] == 201
            assert daemon.curl("/health")[0] == 200
            whose = f"--server-uid={UID if os.geteuid() == 0 else os.geteuid()}"
            assert "could not be copied" in message_of(daemon.herod("backup", str(folder / "b"), "--peer", whose), 1)
            daemon.stop()
        env = {**environment(folder), "HERO_SECRET": SECRET, **given}
        prefix = OTHER if os.geteuid() == 0 else ()
        url = f"sqlite:{store}/herod.db"
        done = herod("serve", "--bind", f"unix:{folder}/x.sock", "--store", url, env=env, prefix=prefix)
        message = message_of(done, 1)
        assert "Permission denied" in message
        assert f"let uid {UID if prefix else os.geteuid()} write to {store}" in message
        store.chmod(0o700)
        with running(folder, command=command, **given) as again:
            check_reads(again, known)
            assert "bob" in names(again)


def remount(command: tuple[str, ...], folder: Path, mode: str) -> bool:
    """Remount the file system read-only or writable; return whether that worked."""
    done = subprocess.run(
        [*command, "mount", "-o", f"remount,{mode}", str(folder)], capture_output=True, check=False, timeout=20
    )
    return done.returncode == 0


def test_read_only_file_system(tmp_path: Path) -> None:
    """A start on a read-only file system reports it, and nothing is lost; open files prevent such a remount."""
    (tmp_path / "disk").mkdir()
    with small_disk(tmp_path / "disk") as disk:
        if not disk.command:
            pytest.skip("needs the right to mount")
        store = ("--store", f"sqlite:{disk.inside}/herod.db")
        with running(tmp_path / "d", *store, command=(*disk.command, *COMMAND)) as daemon:
            known = know(daemon)
        assert remount(disk.command, disk.inside, "ro")
        env = {**environment(tmp_path), "HERO_SECRET": SECRET}
        done = herod("serve", "--bind", f"unix:{tmp_path}/x.sock", *store, env=env, prefix=disk.command)
        message = message_of(done, 1)
        assert "Read-only file system" in message
        assert f"write to {disk.inside}" in message
        assert remount(disk.command, disk.inside, "rw")
        with running(tmp_path / "d", *store, command=(*disk.command, *COMMAND)) as again:
            check_reads(again, known)
