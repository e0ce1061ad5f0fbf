"""The audit file: one JSON line for each audit row, appended in the order of the chain.

Every method blocks, so they are called in a thread, one at a time. Only a regular file of this user with one name is
written to. Must never follow a link, nor change the mode or content of any other file: one that begins otherwise is
refused first.
"""

import errno
import fcntl
import logging
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from herod.file_ownership import name_user, require_own_path
from herod.operations.audit import AuditEntry
from herod.private_files import PRIVATE_MODE
from herod_client.core.errors import RuntimeFailure

__all__ = ["AuditFile", "open_audit_file"]

logger = logging.getLogger("herod.audit_file")

_OPEN: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_BEGINNING: Final = b'{"seq":'  # of each line, by the order of the fields of `AuditEntry`
# With these the disk is at fault, not the setting: herod starts, and tries again.
DISK_FAULTS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ESTALE})
READ_BYTES: Final = 64 * 1024  # read at a time, backwards; a line has less than 1 KiB


_decode: Final = msgspec.json.Decoder(AuditEntry).decode


def open_audit_file(path: Path) -> "AuditFile":
    """Open or create the audit file at startup. If the disk fails, the result is not open, and `reopen` tries again.

    Raises:
        RuntimeFailure: herod may not write to a file there, or another process does.
    """
    file = AuditFile(path)
    try:
        file.reopen()
    except OSError as error:
        if error.errno not in DISK_FAULTS:
            raise RuntimeFailure(
                f"the audit file {path} cannot be opened ({error.strerror}): create its folder for "
                f"{name_user(os.geteuid())}, or choose another file"
            ) from None
        logger.error(  # noqa: TRY400 - the message says it all
            "the audit file %s cannot be opened (%s): its rows wait in the store", path, error.strerror
        )
    return file


class AuditFile:
    """The file at a path, whichever that is when it is opened.

    Args:
        path: where it is, or will be created.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        self._is_torn = False

    def reopen(self) -> None:
        """Close the file and open the one that has the path now, or create it; an unfinished last line is removed.

        Raises:
            RuntimeFailure: it is not a regular file of this user with one name, has other content, or another process
                writes to it.
            OSError: it cannot be opened.
        """
        self.close()
        require_own_path(self.path, "the audit file", may_share=True)
        try:
            descriptor = os.open(self.path, _OPEN, PRIVATE_MODE)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise RuntimeFailure(
                    f"the audit file {self.path} is a symbolic link, which herod does not follow: name the file itself"
                ) from None
            if error.errno in (errno.EISDIR, errno.ENXIO):
                raise _not_regular(self.path) from None
            raise
        try:
            self._check(descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise RuntimeFailure(
                f"another process writes to the audit file {self.path}: each herod needs a file of its own"
            ) from None
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        self._is_torn = True  # a killed daemon, or the machine's crash, may have left half a line

    def close(self) -> None:
        """Close the file; does nothing if it is not open."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def append(self, lines: Sequence[bytes]) -> tuple[int, OSError | RuntimeFailure | None]:
        """Append lines to the open file.

        Returns:
            How many lines are in the file as a whole, and the error that prevented the others.
        """
        data, written = b"".join(lines), 0
        try:
            if os.fstat(self._opened).st_nlink == 0:
                logger.warning("the audit file %s was removed: it is created again", self.path)
                self.reopen()
            if self._is_torn:
                self._end_line()
            while written < len(data):
                written += os.write(self._opened, data[written:])
        except (OSError, RuntimeFailure) as error:
            self._is_torn = True
            return data[:written].count(b"\n"), error
        return len(lines), None

    @property
    def is_open(self) -> bool:
        """Whether there is an open file."""
        return self._descriptor is not None

    @property
    def size(self) -> int:
        """The length of the open file in bytes."""
        return os.fstat(self._opened).st_size

    def rows_before(self, end: int) -> tuple[int, list[AuditEntry]]:
        """The rows of some lines that end at an offset, in the file's order, and the offset where those lines begin.

        Lines that are not rows are left out.
        """
        start = max(0, end - READ_BYTES)
        data = os.pread(self._opened, end - start, start)
        if start > 0:
            cut = data.find(b"\n") + 1  # 0 if there is no line in all of it
            start, data = start + cut, data[cut:]
        found = []
        for line in data.split(b"\n"):
            with suppress(msgspec.MsgspecError, UnicodeDecodeError):
                found.append(_decode(line))
        return start, found

    @property
    def _opened(self) -> int:
        if self._descriptor is None:
            raise RuntimeError("the audit file is not open")
        return self._descriptor

    def _check(self, descriptor: int) -> None:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise _not_regular(self.path)
        me = os.geteuid()
        if found.st_uid != me:
            raise RuntimeFailure(
                f"the audit file {self.path} belongs to {name_user(found.st_uid)}, but this herod runs as "
                f"{name_user(me)}: change its owner to {name_user(me)}, or choose another file"
            )
        if found.st_nlink > 1:
            raise RuntimeFailure(
                f"the audit file {self.path} has another name as well (a hard link): remove the wrong name, or choose "
                "another file"
            )
        if not _BEGINNING.startswith(os.pread(descriptor, len(_BEGINNING), 0)):
            raise RuntimeFailure(f"{self.path} is not an audit file, and was not changed: choose another file")
        mode = stat.S_IMODE(found.st_mode)
        if mode & ~PRIVATE_MODE:
            os.fchmod(descriptor, PRIVATE_MODE)
            logger.warning("%s was accessible to other users (mode %04o): its mode is now 0600", self.path, mode)

    def _end_line(self) -> None:
        """Remove an unfinished last line; where a file only grows (chattr +a), end it, so that no line continues it."""
        descriptor = self._opened
        end = size = os.fstat(descriptor).st_size
        is_whole = False
        while end > 0 and not is_whole:
            start = max(0, end - READ_BYTES)
            place = os.pread(descriptor, end - start, start).rfind(b"\n")
            is_whole, end = place >= 0, start + place + 1 if place >= 0 else start
        if end < size:
            try:
                os.ftruncate(descriptor, end)
            except PermissionError:
                os.write(descriptor, b"\n")
        self._is_torn = False


def _not_regular(path: Path) -> RuntimeFailure:
    return RuntimeFailure(f"the audit file {path} is not a regular file: move it away, or choose another file")
