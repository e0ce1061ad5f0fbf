"""Opens a path one component at a time, so that no other user can redirect root while it does.

The kernel resolves a path in one call, and whoever owns a folder or a link on it can lead root to any file of the
machine, also between a check and the use. Here root holds a descriptor of every folder it passes, follows links
itself, and refuses to be led by one user to a file of another.

Only root needs this: through a redirected path, any other user can only reach files that they may access anyway.
"""

import errno
import os
import pwd
import stat
from contextlib import ExitStack
from pathlib import Path
from typing import Final

__all__ = ["MOST_LINKS", "name_user", "open_file", "open_folder"]

ROOT: Final = 0
MOST_LINKS: Final = 40  # the kernel's limit, path_resolution(7)
_READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_LOOK: Final = os.O_PATH | os.O_CLOEXEC
_ENTER: Final = _LOOK | os.O_DIRECTORY


def open_folder(path: Path) -> int:
    """Open a folder, to create files in it by `dir_fd`, whatever happens to its path meanwhile.

    Raises:
        OSError: it is missing or not a folder; or this is root, and another user led it to a folder that is not theirs.
    """
    if os.geteuid() != ROOT:
        return os.open(path, _ENTER)
    return _Walk(path).open(_ENTER)


def open_file(path: Path) -> int:
    """Open a file for reading, without waiting for a writer or a device.

    Raises:
        OSError: it cannot be read; or this is root, and another user led it to a file that is not theirs.
    """
    if os.geteuid() != ROOT:
        return os.open(path, _READ)
    return _Walk(path).open(_READ)


def name_user(uid: int) -> str:
    """A user for a message: the name if the machine knows it, else the uid."""
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"uid {uid}"


class _Walk:
    """One walk along a path, as root."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._links = 0
        self._owners: dict[int, str] = {}  # each user but root who owns a folder or link that was passed → its name
        self._is_led = False  # by a link of another user

    def open(self, flags: int) -> int:
        """Open the end of the path and return its descriptor."""
        pending = [*reversed(self._path.absolute().parts[1:])]
        with ExitStack() as held:
            here = self._enter("/", None, held)
            name = "."
            while pending:
                name = pending.pop()
                aim = self._link(name, here)
                if aim is None and not pending and name != "..":
                    break
                if aim is None:
                    here = self._enter(name, here, held)
                else:
                    here = self._enter("/", None, held) if aim.is_absolute() else here
                    pending += reversed(aim.parts[1:] if aim.is_absolute() else aim.parts)
                name = "."  # the folder itself, if this was the end
            return self._open_end(name, here, flags)

    def _enter(self, name: str, folder: int | None, held: ExitStack) -> int:
        """Open the next folder, and remember its owner."""
        inner = os.open(name, _ENTER | (0 if folder is None else self._no_follow(folder)), dir_fd=folder)
        held.callback(os.close, inner)
        self._pass(os.fstat(inner).st_uid, name)
        return inner

    def _link(self, name: str, folder: int) -> Path | None:
        """Where a link leads; None if this is no link, or one of /proc, which only the kernel can follow."""
        descriptor = os.open(name, _LOOK | os.O_NOFOLLOW, dir_fd=folder)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISLNK(found.st_mode) or not self._no_follow(folder):
                return None
            self._links += 1
            if self._links > MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            self._pass(found.st_uid, name)
            self._is_led = self._is_led or found.st_uid != ROOT
            return Path(os.readlink("", dir_fd=descriptor))
        finally:
            os.close(descriptor)

    def _pass(self, uid: int, name: str) -> None:
        if uid == ROOT:
            return
        self._owners[uid] = name
        if len(self._owners) > 1:
            who = " and ".join(f"{name_user(one)} ({step})" for one, step in self._owners.items())
            raise PermissionError(errno.EPERM, f"its path can be changed by {who}, and root does not follow it")

    def _open_end(self, name: str, folder: int, flags: int) -> int:
        """Open the last component, once its type and owner are known to be harmless."""
        descriptor = os.open(name, _LOOK | self._no_follow(folder), dir_fd=folder)
        try:
            found = os.fstat(descriptor)
            self._check(found, os.fstat(folder))
            if flags & os.O_PATH == os.O_PATH and not stat.S_ISDIR(found.st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            opened = os.open(name, flags | self._no_follow(folder), dir_fd=folder)
        finally:
            os.close(descriptor)
        again = os.fstat(opened)
        if (again.st_dev, again.st_ino) != (found.st_dev, found.st_ino):
            os.close(opened)
            raise PermissionError(errno.EPERM, "it was replaced while it was opened")
        return opened

    def _check(self, found: os.stat_result, folder: os.stat_result) -> None:
        """Refuse what another user may have put here, but does not own."""
        is_file = not stat.S_ISDIR(found.st_mode)
        is_shared = folder.st_uid != ROOT or bool(folder.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
        if is_file and found.st_uid == ROOT and found.st_nlink > 1 and is_shared:
            raise PermissionError(errno.EPERM, "it has another name as well: a hard link, perhaps of another user")
        for uid, step in self._owners.items():
            if found.st_uid != uid and (self._is_led or found.st_uid != ROOT):
                raise PermissionError(
                    errno.EPERM,
                    f"{name_user(uid)}, who owns {step} on its path, led to a file of {name_user(found.st_uid)}, "
                    "and root does not follow a path that another user can change",
                )

    @staticmethod
    def _no_follow(folder: int) -> int:
        """The flag against following links, except in /proc: the links there are the kernel's own."""
        return 0 if os.fstat(folder).st_dev == _proc_device() else os.O_NOFOLLOW


def _proc_device() -> int:
    try:
        return Path("/proc/self").lstat().st_dev
    except OSError:
        return -1
