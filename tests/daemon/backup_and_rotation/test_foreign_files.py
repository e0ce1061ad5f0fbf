"""A daemon started on a file or in a folder of another user: one line, and nothing is changed."""

import os
import stat
from pathlib import Path

import pytest

from support.real_daemon import SECRET, environment, herod

OWNER = 4321

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")


@pytest.fixture
def theirs(open_folder: Path, tmp_path: Path) -> Path:
    """A folder of another user."""
    folder = open_folder / tmp_path.name
    folder.mkdir()
    os.chown(folder, OWNER, OWNER)
    return folder


def refused(tmp_path: Path, *options: str) -> str:
    """The line with which the daemon exits."""
    env = environment(tmp_path, HERO_SECRET=SECRET)
    done = herod("serve", "--bind", f"unix:{tmp_path}/s", "--log-format", "text", *options, env=env)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("herod: ")]
    assert "Traceback" not in done.stderr
    return line


def test_any_file(tmp_path: Path) -> None:
    """A program in place of the store keeps its bytes and its mode, which herod used to change to 0600."""
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o4755)
    line = refused(tmp_path, "--store", f"sqlite:{program}")
    assert f"{program} is not a herod store" in line
    assert (program.read_text(), stat.S_IMODE(program.stat().st_mode)) == ("#!/bin/sh\n", 0o4755)


@needs_root
@pytest.mark.parametrize("name", ["herod.db", "new/herod.db"])
def test_root_in_a_folder_of_another_user(theirs: Path, tmp_path: Path, name: str) -> None:
    """Root names the other user, and creates nothing in that user's folder."""
    line = refused(tmp_path, "--store", f"sqlite:{theirs}/{name}")
    assert f"{theirs}, which belongs to uid {OWNER}, and root does not follow a path" in line
    assert "run herod as uid 4321" in line
    assert list(theirs.iterdir()) == []


@needs_root
def test_root_leaves_no_key_in_a_folder_of_another_user(theirs: Path, tmp_path: Path) -> None:
    """The bootstrap key of a memory store is not written to another user's folder by root."""
    socket = f"unix:{theirs}/s"
    line = refused(tmp_path, "--store", "memory:", "--bootstrap-admin-key", "first", "--bind", socket)
    assert f"{theirs}, which belongs to uid {OWNER}" in line
    assert list(theirs.iterdir()) == []
