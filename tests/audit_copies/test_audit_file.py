"""The audit file on its own: which files herod writes to, and what is left of an interrupted line."""

import fcntl
import json
import logging
import os
import resource
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from herod.audit_copies.audit_file import AuditFile, open_audit_file
from herod_client.core.errors import RuntimeFailure


def line(seq: int) -> bytes:
    """A line of the file."""
    entry = {
        "seq": seq, "at": "2030-01-31T12:00:00Z", "actor": "a", "method": "m", "source": "s", "operation": "o",
        "outcome": "ok", "reason": None, "target": None, "count": 1, "by_admin": False, "mac": "5f" * 32,
    }  # fmt: skip
    return json.dumps(entry).encode() + b"\n"


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """Let files of this process grow up to a size only."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def test_created_private(tmp_path: Path) -> None:
    """A new file is 0600, whatever the umask."""
    before = os.umask(0)
    try:
        file = open_audit_file(tmp_path / "audit.jsonl")
    finally:
        os.umask(before)
    assert file.append([line(1), line(2)]) == (2, None)
    assert stat.S_IMODE((tmp_path / "audit.jsonl").stat().st_mode) == 0o600
    assert (tmp_path / "audit.jsonl").read_bytes() == line(1) + line(2)


def test_own_file_is_closed_to_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An existing file of this user that others can read becomes 0600, and the log says so."""
    path = tmp_path / "audit.jsonl"
    path.write_bytes(line(1))
    path.chmod(0o644)
    open_audit_file(path).append([line(2)])
    assert (stat.S_IMODE(path.stat().st_mode), path.read_bytes()) == (0o600, line(1) + line(2))
    assert "was accessible to other users" in caplog.text


@pytest.mark.parametrize("kind", ["link", "dangling link", "hard link", "FIFO", "folder", "device"])
def test_other_things_are_refused(tmp_path: Path, kind: str) -> None:
    """A link, a hard link or anything but a regular file is refused at startup, and stays as it was."""
    path, victim = tmp_path / "audit.jsonl", tmp_path / "victim"
    victim.write_text("content\n")
    victim.chmod(0o644)
    match kind:
        case "link":
            path.symlink_to(victim)
        case "dangling link":
            path.symlink_to(tmp_path / "new")
        case "hard link":
            path.hardlink_to(victim)
        case "FIFO":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case _:
            path = Path("/dev/null")
    with pytest.raises(RuntimeFailure, match=r"symbolic link|hard link|not a regular file"):
        open_audit_file(path)
    assert (victim.read_text(), stat.S_IMODE(victim.stat().st_mode)) == ("content\n", 0o644)
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can create a file of another user")
def test_file_of_another_user(tmp_path: Path) -> None:
    """A file of another user is refused before its mode or content is changed."""
    path = tmp_path / "audit.jsonl"
    path.write_bytes(line(1))
    path.chmod(0o666)
    os.chown(path, 4321, 4321)
    with pytest.raises(RuntimeFailure, match="belongs to"):
        open_audit_file(path)
    assert (stat.S_IMODE(path.stat().st_mode), path.read_bytes()) == (0o666, line(1))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root must not follow the paths of other users")
def test_folder_of_another_user_as_root(tmp_path: Path) -> None:
    """As root, a path through a folder that another user owns is refused."""
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", 4321, 4321)
    with pytest.raises(RuntimeFailure, match="root does not follow"):
        open_audit_file(tmp_path / "theirs" / "audit.jsonl")
    assert not list((tmp_path / "theirs").iterdir())


def test_missing_folder(tmp_path: Path) -> None:
    """A folder that does not exist is a mistake in the settings: herod does not start."""
    with pytest.raises(RuntimeFailure, match="create its folder"):
        open_audit_file(tmp_path / "missing" / "audit.jsonl")


def test_two_writers(tmp_path: Path) -> None:
    """Two daemons cannot write to one file."""
    first = open_audit_file(tmp_path / "audit.jsonl")
    with pytest.raises(RuntimeFailure, match="another process writes"):
        open_audit_file(tmp_path / "audit.jsonl")
    first.close()
    open_audit_file(tmp_path / "audit.jsonl").close()


def test_full_disk_tells_how_far_it_got(tmp_path: Path) -> None:
    """On a full disk, the number of complete lines is returned, and the next attempt leaves no half line."""
    path = tmp_path / "audit.jsonl"
    file = open_audit_file(path)
    lines = [line(seq) for seq in range(1, 9)]
    room = sum(map(len, lines[:3])) + 10
    with disk_of(room):
        count, error = file.append(lines)
    assert (count, type(error)) == (3, OSError)
    assert path.stat().st_size == room
    assert file.append(lines[count:]) == (5, None)
    assert path.read_bytes() == b"".join(lines)


def test_a_killed_daemons_half_line_is_removed(tmp_path: Path) -> None:
    """Half a line at the end, or zeros after the machine's crash, are removed before the first new line."""
    for tail in (line(2)[:20], bytes(5000), b"\xff" * 200_000):
        path = tmp_path / "audit.jsonl"
        path.write_bytes(line(1) + tail)
        file = open_audit_file(path)
        assert [entry.seq for entry in file.rows_before(file.size)[1]] in ([1], [])
        assert file.append([line(2)]) == (1, None)
        assert path.read_bytes() == line(1) + line(2)
        file.close()


def test_only_growing_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file can only grow (chattr +a), half a line is ended, and the row is written again."""
    path = tmp_path / "audit.jsonl"
    path.write_bytes(line(1) + line(2)[:20])

    def refuse(_descriptor: int, _size: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    file = open_audit_file(path)
    monkeypatch.setattr(os, "ftruncate", refuse)
    assert file.append([line(2)]) == (1, None)
    assert path.read_bytes() == line(1) + line(2)[:20] + b"\n" + line(2)


def test_rows_are_read_backwards(tmp_path: Path) -> None:
    """Reading backwards finds every row once, page by page, and skips what is no row."""
    path = tmp_path / "audit.jsonl"
    path.write_bytes(b"".join(line(seq) + (b"no row\n" if seq % 100 == 0 else b"") for seq in range(1, 2001)))
    file = open_audit_file(path)
    end, found = file.size, list[int]()
    while end > 0:
        end, entries = file.rows_before(end)
        found = [entry.seq for entry in entries] + found
    assert found == list(range(1, 2001))


def test_removed_file_is_created_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """If the file is removed while herod has it open, the next row is in a new one, and the log says so."""
    path = tmp_path / "audit.jsonl"
    file = open_audit_file(path)
    file.append([line(1)])
    path.unlink()
    assert file.append([line(2)]) == (1, None)
    assert path.read_bytes() == line(2)
    assert "was removed" in caplog.text


def test_replaced_by_a_link(tmp_path: Path) -> None:
    """A link that took the file's place is not followed when the file is opened again."""
    path, victim = tmp_path / "audit.jsonl", tmp_path / "victim"
    file = open_audit_file(path)
    file.append([line(1)])
    victim.write_text("")
    path.unlink()
    path.symlink_to(victim)
    count, error = file.append([line(2)])
    assert (count, victim.read_text()) == (0, "")
    assert "symbolic link" in str(error)
    assert not file.is_open


def test_disk_that_fails_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """If only the disk is at fault, herod starts without an open file, and says so."""

    def fail(_file: AuditFile) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(AuditFile, "reopen", fail)
    with caplog.at_level(logging.ERROR):
        file = open_audit_file(tmp_path / "audit.jsonl")
    assert not file.is_open
    assert "No space left on device" in caplog.text
    with suppress(OSError), pytest.raises(RuntimeError):
        file.append([line(1)])


def test_lock_ends_with_the_file(tmp_path: Path) -> None:
    """Opening again, as after SIGHUP without a rotation, is not refused by herod's own lock."""
    path = tmp_path / "audit.jsonl"
    file = open_audit_file(path)
    file.reopen()
    file.reopen()
    with path.open("rb") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize("content", [b"SQLite format 3\0", b"#!/bin/sh\nexit", b"root:x:0:0", b"{}\n"])
def test_other_content(tmp_path: Path, content: bytes) -> None:
    """A file that is not an audit file is refused before its mode changes or its last line is removed."""
    path = tmp_path / "other"
    path.write_bytes(content)
    path.chmod(0o755)
    with pytest.raises(RuntimeFailure, match=f"{path} is not an audit file, and was not changed"):
        open_audit_file(path)
    assert (stat.S_IMODE(path.stat().st_mode), path.read_bytes()) == (0o755, content)
