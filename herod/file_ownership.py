"""Finds which users can change where a path leads, and lets root act as that user.

Root must not follow a path that another user can change: a symbolic link, a hard link or a renamed folder turns a
write to a store into a write to any file of the machine. A daemon that runs as root refuses such a path. A command that
runs as root becomes that user for its work, so that the kernel refuses what the user may not do, and no check has to
win a race.

Only root needs this: through a redirected path, any other user can only reach files that they may access anyway.
"""

import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from herod.path_walk import MOST_LINKS, name_user
from herod_client.core.errors import RuntimeFailure

__all__ = ["PathTrace", "acting_as_owner", "name_user", "require_own_path", "starting_uid", "trace_path"]

ROOT: Final = 0
NOBODY: Final = 65534


@dataclass(frozen=True, slots=True)
class Step:
    """A folder that a path leads through, or a symbolic link that it follows, with its status.

    Attributes:
        is_last: this is the last component of the path: a link in place of the file itself.
        has_list: an access list may let more users write.
    """

    path: Path
    uid: int
    gid: int
    mode: int
    is_last: bool
    has_list: bool

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return stat.S_ISLNK(self.mode)

    @property
    def is_sticky(self) -> bool:
        """Whether only the owner of an entry may rename or remove it."""
        return bool(self.mode & stat.S_ISVTX)

    @property
    def is_open_to_all(self) -> bool:
        """Whether every user can write to the folder."""
        return not self.is_link and bool(self.mode & stat.S_IWOTH)

    @property
    def is_shared(self) -> bool:
        """Whether users other than the owner and root's group can write to the folder."""
        is_group = bool(self.mode & stat.S_IWGRP) and (self.gid != ROOT or self.has_list)
        return not self.is_link and (is_group or self.is_open_to_all)


@dataclass(frozen=True, slots=True)
class PathTrace:
    """Where a path leads, and the folders and links that decide it.

    Attributes:
        target: the path with symbolic links resolved.
        steps: the existing folders and links, in the order in which they are passed.
    """

    target: Path
    steps: tuple[Step, ...]

    @property
    def owners(self) -> dict[int, Step]:
        """Each user but root who owns a step, with the last step that they own."""
        return {step.uid: step for step in self.steps if step.uid != ROOT}

    @property
    def folder(self) -> Step:
        """The last folder that exists: it contains the file, or will contain the file's folder."""
        return next(step for step in reversed(self.steps) if not step.is_link)


def trace_path(path: Path) -> PathTrace:
    """Resolve a path as the kernel would, recording every folder and link; its end need not exist.

    Raises:
        RuntimeFailure: the path has a loop of symbolic links.
    """
    pending = [*reversed(path.absolute().parts[1:])]
    here = Path("/")
    steps = [_look(here)]
    links = 0
    while pending:
        name = pending.pop()
        try:
            step = _look(here.parent if name == ".." else here / name, is_last=not pending)
            aim = step.path.readlink() if step.is_link else None
        except OSError:  # missing, or not visible to this user: take the rest as written
            here = here.joinpath(name, *reversed(pending))
            break
        if aim is None:
            here = step.path
            steps += [step] if stat.S_ISDIR(step.mode) else []
            continue
        steps.append(step)
        links += 1
        if links > MOST_LINKS:
            raise RuntimeFailure(
                f"{path} has a loop of symbolic links: remove the link {step.path}, or choose another path"
            )
        here = Path("/") if aim.is_absolute() else here
        pending += reversed(aim.parts[1:] if aim.is_absolute() else aim.parts)
    return PathTrace(here, tuple(steps))


def require_own_path(path: Path, what: str, *, may_share: bool = False) -> PathTrace:
    """Resolve a path; as root, refuse one that another user can change.

    Args:
        path: the path of a file, which need not exist.
        what: the file's name in messages: "the store".
        may_share: other users may have their own files in its folder.

    Raises:
        RuntimeFailure: this is root, and another user can change where the path leads; or it has a loop of links.
    """
    route = trace_path(path)
    if os.geteuid() != ROOT:
        return route
    if owners := route.owners:
        uid, step = next(iter(owners.items()))
        raise RuntimeFailure(
            f"{what} {path} is reached through {step.path}, which belongs to {name_user(uid)}, and root does not "
            f"follow a path that another user can change: run herod as {name_user(uid)}, or choose a path that belongs "
            "to root"
        )
    for step in route.steps:
        is_own_folder = step == route.folder
        if step.is_shared and not step.is_sticky and not (may_share and is_own_folder and not step.is_open_to_all):
            raise RuntimeFailure(_shared(path, what, step))
    if not may_share and route.folder.is_shared and route.folder.path == route.target.parent:
        raise RuntimeFailure(_shared(path, what, route.folder))
    return route


@contextmanager
def acting_as_owner(path: Path, what: str) -> Iterator[None]:
    """As root, become the user who can change where a path leads, for the length of the block; else do nothing.

    The whole process becomes that user, and opens, creates and removes only what that user may. Open files that only
    root may read before the block.

    Args:
        path: the path of a file, which need not exist.
        what: the file's name in messages: "the store".

    Raises:
        RuntimeFailure: several users can change it, or this root may not become the one; or it has a loop of links.
    """
    route = trace_path(path)
    owners = route.owners
    if os.geteuid() != ROOT or not owners:
        yield
        return
    if len(owners) > 1:
        names = " and ".join(f"{name_user(uid)} ({step.path})" for uid, step in owners.items())
        raise RuntimeFailure(
            f"{what} {path} is reached through folders of {names}, so its owner is not clear: "
            "run this command as the daemon's user"
        )
    for step in route.steps:
        if step.is_open_to_all and not step.is_sticky:
            raise RuntimeFailure(_shared(path, what, step))
    ((uid, step),) = owners.items()
    with _acting_as(uid, *_groups(uid, step.gid)):
        yield


def starting_uid() -> int:
    """The uid that started this process, even while it acts as another user."""
    return os.getresuid()[2]


@contextmanager
def _acting_as(uid: int, gid: int, groups: list[int]) -> Iterator[None]:
    """Become another user; the saved ids stay root's, so that the process can return."""
    uids, gids, before = os.getresuid(), os.getresgid(), os.getgroups()
    try:
        try:
            os.setgroups(groups)
            os.setresgid(gid, gid, gids[1])
            os.setresuid(uid, uid, uids[1])  # the real uid too: access(2) checks it
        except OSError as error:
            raise RuntimeFailure(
                f"this root may not become {name_user(uid)} ({error.strerror}): run this command as that user"
            ) from None
        yield
    finally:
        os.setresuid(*uids)
        os.setresgid(*gids)
        with suppress(OSError):  # as when they could not be changed in the first place
            os.setgroups(before)


def _groups(uid: int, folder_gid: int) -> tuple[int, list[int]]:
    """A user's primary group and all groups; for an unknown uid, the folder's group, but never root's."""
    try:
        user = pwd.getpwuid(uid)
    except KeyError:
        gid = folder_gid if folder_gid != ROOT else NOBODY
        return gid, [gid]
    return user.pw_gid, os.getgrouplist(user.pw_name, user.pw_gid)


def _look(path: Path, *, is_last: bool = False) -> Step:
    found = path.lstat()
    return Step(path, found.st_uid, found.st_gid, found.st_mode, is_last, _has_list(path, found.st_mode))


def _has_list(folder: Path, mode: int) -> bool:
    """Whether a folder's group bits represent an access list, acl(5)."""
    if not stat.S_ISDIR(mode) or not mode & stat.S_IWGRP:
        return False
    try:
        return bool(os.getxattr(folder, "system.posix_acl_access", follow_symlinks=False))
    except OSError:
        return False


def _shared(path: Path, what: str, step: Step) -> str:
    who, letter = ("every user", "o") if step.is_open_to_all else (f"group {step.gid}", "g")
    return (
        f"{what} {path} is reached through {step.path}, where {who} can create files and links, and root does not "
        f"follow a path that another user can change: chmod {letter}-w {step.path}, or choose a folder that belongs to "
        "root"
    )
