"""The file with the code for the first admin: written by a real daemon, private, renewed, and removed after use."""

import os
import re
import stat
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio.testing

from herod.first_admin_code_file import FILE_NAME, RENEWED_SECONDS, FirstAdminCodeFile
from support.herod_in_memory import Harness, open_harness
from support.real_daemon import Daemon, running

ADMIN = {"email": "ada@example.org", "scope": "admin"}


def until(condition: Callable[[], bool]) -> None:
    """Wait for another process."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def create(daemon: Daemon, code: str) -> int:
    """Send the form; return the status."""
    form = f"code={code}&email=ada%40example.org&password=correct+horse+battery&again=correct+horse+battery"
    return daemon.curl("/ui/first-run", "-d", form, "-H", f"Origin: {daemon.url}", tcp=True)[0]


def test_the_first_run(tmp_path: Path) -> None:
    """The log names the file without the code; the code creates an admin once, and later starts write no file."""
    path = tmp_path / "d" / "store" / FILE_NAME
    with running(tmp_path / "d") as daemon:
        until(path.exists)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        code = path.read_text().strip()
        assert re.fullmatch("[0-9A-Za-z]{43}", code)
        assert code not in daemon.logged(str(path))
        assert b"Create the first admin" in daemon.curl("/", tcp=True)[1]
        assert create(daemon, code[::-1]) == 401
        assert create(daemon, code) == 303
        until(lambda: not path.exists())
        assert b"Create the first admin" not in daemon.curl("/", tcp=True)[1]
        assert create(daemon, code) in (401, 409)
        assert code not in daemon.log.read_text()
    with running(tmp_path / "d"):
        assert not path.exists()


def test_the_other_way_removes_it(tmp_path: Path) -> None:
    """An admin created on the command line or at startup removes the code."""
    path = tmp_path / "d" / "store" / FILE_NAME
    with running(tmp_path / "d") as daemon:
        until(path.exists)
        code = path.read_text().strip()
        assert "result" in daemon.rpc("users.add", ADMIN, "-H", f"Authorization: Peer {daemon.cookie}")
        until(lambda: not path.exists())
        assert create(daemon, code) == 409
    assert not path.exists()


def keeping(harness: Harness, folder: Path) -> FirstAdminCodeFile:
    """The object that maintains the code file, as in the daemon."""
    return FirstAdminCodeFile(
        folder,
        store=harness.store,
        runtime=harness.runtime,
        admins=harness.pipeline.process.admins,
        clock=harness.clock,
    )


async def test_it_is_renewed(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """The code is renewed before it expires, and one just read stays valid."""
    async with open_harness() as harness, trio.open_nursery() as nursery:
        nursery.start_soon(keeping(harness, tmp_path).keep)
        await trio.testing.wait_all_tasks_blocked()
        first = (tmp_path / FILE_NAME).read_text().strip()
        harness.clock.now += RENEWED_SECONDS
        await trio.sleep(RENEWED_SECONDS + 1)
        second = (tmp_path / FILE_NAME).read_text().strip()
        assert second != first
        for code in (first, second):
            assert harness.runtime.first_codes.look(code, now=harness.clock.now)
        nursery.cancel_scope.cancel()
    assert not (tmp_path / FILE_NAME).exists()


async def test_what_stands_in_its_place(tmp_path: Path) -> None:
    """A link at the path is replaced, not followed, and an old file's mode is not kept."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("precious")
    for name in (FILE_NAME, f"{FILE_NAME}.new"):
        (tmp_path / name).symlink_to(elsewhere)
    async with open_harness() as harness:
        assert keeping(harness, tmp_path).settle()
    assert elsewhere.read_text() == "precious"
    assert not (tmp_path / FILE_NAME).is_symlink()
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600


async def test_a_folder_that_takes_no_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """If the file cannot be written, the daemon runs and logs the alternative."""
    async with open_harness() as harness:
        assert keeping(harness, tmp_path / "missing").settle()
    assert "herod user add EMAIL" in caplog.text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
async def test_a_folder_of_another_user(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Root writes no file to another user's folder, where it could be moved anywhere; the daemon runs."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    os.chown(folder, 4321, 4321)
    async with open_harness() as harness:
        assert keeping(harness, folder).settle()
    assert f"{folder}, which belongs to uid 4321" in caplog.text
    assert list(folder.iterdir()) == []


async def test_no_admin_any_more(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """When the last admin expires, the next change creates the file again."""
    async with open_harness() as harness, trio.open_nursery() as nursery:
        soon = harness.clock.now + 60
        await harness.service_key("admin", "soon over", expires_at=datetime.fromtimestamp(soon, UTC))
        nursery.start_soon(keeping(harness, tmp_path).keep)
        await trio.testing.wait_all_tasks_blocked()
        assert not (tmp_path / FILE_NAME).exists()
        harness.clock.now = soon
        await harness.user(scope="read")
        await trio.sleep(2)
        assert (tmp_path / FILE_NAME).exists()
        nursery.cancel_scope.cancel()
