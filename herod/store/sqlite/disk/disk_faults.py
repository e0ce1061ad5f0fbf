"""Classifies disk and file errors, and tracks what the store can still do.

If the disk is full or the file locked, that write is refused and the next may succeed: the store counts as read-only
until it is known to take changes again. After any other error of the disk or the file it is unknown what was written
(after a failed fsync the kernel forgets what it could not write), so nothing more is written until a restart has read
the file again. Reading continues as long as it works.
"""

import errno
import logging
from enum import Enum
from typing import Final

import apsw

from herod.store.store_interface import Health, NotWritten

__all__ = ["Condition", "Fault", "describe", "extended_code", "fault_of", "is_sql_fault"]

logger = logging.getLogger("herod.store")

_NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_AFTER_A_RESTART: Final = "check the disk, then restart herod"
# These are errors of the statement or the caller, not of the disk.
_OURS: Final = (
    apsw.BindingsError,
    apsw.ConnectionClosedError,
    apsw.ConstraintError,
    apsw.MismatchError,
    apsw.MisuseError,
    apsw.RangeError,
    apsw.TooBigError,
)


class Fault(Enum):
    """The kind of failure. After all but `BROKEN`, nothing was written, and the next write may succeed.

    Attributes:
        reason: its name in the audit log.
        cause: what has happened, as the beginning of a sentence.
        remedy: what to do.
    """

    FULL = "disk_full", "the store's disk is full", "free some space"
    LIMITED = "file_limit", "the store's file may not become larger", "raise herod's file size limit (LimitFSIZE=)"
    LOCKED = "locked", "another program has locked the store's file", "close that program"
    BROKEN = "read_only", "the store is read-only after a disk error", _AFTER_A_RESTART

    def __init__(self, reason: str, cause: str, remedy: str) -> None:
        self.reason = reason
        self.cause = cause
        self.remedy = remedy

    def refusal(self) -> NotWritten:
        """The error for a write that was refused."""
        return NotWritten(_sentence(self.cause), self.remedy, reason=self.reason)


def _sentence(clause: str) -> str:
    return f"{clause[0].upper()}{clause[1:]}"


def extended_code(error: BaseException) -> int:
    """SQLite's extended result code; 0 if the error has none."""
    code = getattr(error, "extendedresult", 0)
    return code if isinstance(code, int) else 0


def is_sql_fault(error: apsw.Error) -> bool:
    """Whether the error ends the transaction; otherwise only the statement fails."""
    return not isinstance(error, _OURS)


def fault_of(error: apsw.Error, system_errno: int = 0) -> Fault:
    """Classify an error; `system_errno` is the connection's."""
    if isinstance(error, apsw.FullError):
        return Fault.FULL
    # With a quota, and for the shared-memory file, a full disk is reported as an I/O error.
    if isinstance(error, apsw.IOError) and (
        system_errno in _NO_SPACE or extended_code(error) == apsw.SQLITE_IOERR_SHMSIZE
    ):
        return Fault.FULL
    if isinstance(error, apsw.IOError) and system_errno == errno.EFBIG:
        return Fault.LIMITED
    if isinstance(error, apsw.BusyError | apsw.LockedError):
        return Fault.LOCKED
    return Fault.BROKEN


def describe(error: BaseException) -> str:
    """An error as text for the operator; with paths, so not for strangers."""
    code = extended_code(error)
    name = (apsw.mapping_extended_result_codes.get(code) or apsw.mapping_result_codes.get(code)) if code else None
    text = str(error) or type(error).__name__
    return f"{text} ({name})" if name else text


def _describe_to_all(error: BaseException) -> str:
    """An error as text for anyone: without the path in it."""
    if isinstance(error, apsw.Error):
        return describe(error)
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__


class Condition:
    """What the store can still do. A fault lasts until a restart; a refusal ends when a write succeeds."""

    __slots__ = ("_health", "_refused", "_why")

    def __init__(self) -> None:
        self._health = Health.OK
        self._why: str | None = None
        self._refused: Fault | None = None

    @property
    def health(self) -> tuple[Health, str | None]:
        """As `Store.health`."""
        if self._health is Health.OK and (fault := self._refused) is not None:
            return Health.READ_ONLY, f"{fault.cause}; {fault.remedy}, and herod writes again by itself"
        return self._health, None if self._why is None else f"{self._why}; {_AFTER_A_RESTART}"

    @property
    def is_writable(self) -> bool:
        """Whether writing may still be tried."""
        return self._health is Health.OK

    @property
    def is_refusing(self) -> bool:
        """Whether the last writes were refused, and the next may succeed."""
        return self._refused is not None and self._health is Health.OK

    def refuse(self, fault: Fault, error: BaseException) -> None:
        """Count the store as read-only until `accept`."""
        if self._refused is not fault:
            logger.error("the store is read-only until it can be written again: %s: %s", fault.cause, describe(error))
        self._refused = fault

    def accept(self) -> None:
        """Note that the store takes changes again."""
        if self._refused is not None:
            logger.info("the store is written again")
        self._refused = None

    def stop_writing(self, error: BaseException) -> None:
        """Stop writing after a write with an unknown outcome."""
        if self._health is Health.OK:
            self._set(Health.READ_ONLY, "writing to the store failed", error)

    def stop_reading(self, error: BaseException) -> None:
        """Record that reading failed; cached records may still be served."""
        if self._health is not Health.FAILING:
            self._set(Health.FAILING, "reading the store failed", error)

    def refusal(self, *, is_unknown: bool = False) -> NotWritten:
        """The error for a write that is not tried, or with `is_unknown` for one whose outcome a restart will show."""
        broken = Fault.BROKEN
        cause = f"{_sentence(broken.cause)} ({self._why})"
        return NotWritten(cause, broken.remedy, is_unknown=is_unknown, reason=broken.reason)

    def _set(self, health: Health, what: str, error: BaseException) -> None:
        self._why = f"{what}: {_describe_to_all(error)}"
        self._health = health
        logger.critical("the store is %s until herod is restarted: %s: %s", health.value, what, describe(error))
