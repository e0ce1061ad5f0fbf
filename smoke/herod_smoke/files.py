"""The files that the checks read and write: keys, cookies, certificates and the report.

Must never wait for a pipe that nobody writes to, and never write through a link.
"""

import errno
import os
import secrets
import select
import stat
from pathlib import Path
from typing import Final

__all__ = ["load", "save"]

MAX_BYTES: Final = 1024 * 1024
PIPE_SECONDS: Final = 5
_READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_ENTER: Final = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


def load(path: Path, *, follow: bool = True) -> str:
    """Read a small text file, or a pipe whose writer sends something within seconds.

    Args:
        path: the file.
        follow: it may be a symbolic link.

    Raises:
        OSError: it cannot be read, or is too long.
        ValueError: it is not UTF-8, or the path is invalid.
    """
    descriptor = os.open(path, _READ | (0 if follow else os.O_NOFOLLOW))
    try:
        content = b""
        while select.select([descriptor], [], [], PIPE_SECONDS)[0]:
            piece = os.read(descriptor, MAX_BYTES)
            content += piece
            if not piece:
                return _decode(content)
            if len(content) > MAX_BYTES:
                raise OSError(errno.EFBIG, f"it is over {MAX_BYTES} bytes")
        raise TimeoutError(errno.ETIMEDOUT, f"nothing came from it for {PIPE_SECONDS} s")
    finally:
        os.close(descriptor)


def _decode(content: bytes) -> str:
    """UTF-8, without a byte order mark."""
    even, odd = any(content[0:64:2]), any(content[1:64:2])
    # Without a mark, ASCII in UTF-16 has a NUL in every other byte.
    if content[:2] in (b"\xff\xfe", b"\xfe\xff") or (len(content) >= 4 and even != odd):
        raise ValueError("it is UTF-16: save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8: save it as UTF-8") from None


def save(path: Path, content: bytes) -> None:
    """Write a file whole, replacing a regular file of that name.

    Raises:
        OSError: it cannot be written, or something else has that name; or this is root, and a link is on the path.
    """
    folder = _open_folder(path.parent)
    try:
        _require_regular(path.name, folder)
        temporary = f".{path.name}.{secrets.token_hex(4)}.new"
        descriptor = os.open(temporary, _CREATE, 0o644, dir_fd=folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            os.rename(temporary, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            os.unlink(temporary, dir_fd=folder)
            raise
    finally:
        os.close(folder)


def _open_folder(path: Path) -> int:
    """Open a folder; as root, without following links, which another user could lead to root's folders."""
    if os.geteuid() != 0:
        return os.open(path, _ENTER)
    here = os.open("/", _ENTER)
    for name in path.absolute().parts[1:]:
        try:
            inner = os.open(name, _ENTER | os.O_NOFOLLOW, dir_fd=here)
        except NotADirectoryError:
            raise OSError(errno.ELOOP, f"{name} on its path is a link, which root does not follow") from None
        finally:
            os.close(here)
        here = inner
    return here


def _require_regular(name: str, folder: int) -> None:
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EEXIST, "there is something else of that name")
