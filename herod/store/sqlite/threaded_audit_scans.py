"""Scans the whole audit log in a thread, with a separate connection, one scan at a time.

A million rows take seconds, during which the event loop keeps serving. Must never use the event loop's connection.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import apsw
import msgspec
import trio

from herod.credentials.keyring import Keyring
from herod.credentials.sealing import SealBroken
from herod.store.audit_chain import decode_event, walk
from herod.store.audit_filter import AuditFilter
from herod.store.sqlite.disk.open_database import load_head
from herod.store.sqlite.read_only_connection import read_only_connection
from herod.store.sqlite.sealed_rows import logger
from herod.store.store_interface import AuditRow, AuditVerdict
from herod_client.core.errors import HerodError, Unavailable

__all__ = ["SCANS_AT_ONCE", "AuditScans"]

T = TypeVar("T")

SCANS_AT_ONCE: Final = 1  # others wait: scans may not take all processors

_ALL: Final = "SELECT seq, json, mac FROM audit ORDER BY seq"
_FIND: Final = "SELECT seq, json, mac FROM audit WHERE seq > ? AND seq < ?"
_MAX_SEQ: Final = 2**63 - 1


class AuditScans:
    """Scans the audit log of one file.

    Args:
        path: the database file.
        keyring: has the audit key.
        failed: maps an error of SQLite to the exception to raise.
    """

    def __init__(self, path: Path, keyring: Keyring, failed: Callable[[apsw.Error], HerodError]) -> None:
        self._path = path
        self._keyring = keyring
        self._failed = failed
        self._limiter = trio.CapacityLimiter(SCANS_AT_ONCE)

    async def find(self, wanted: AuditFilter, *, after: int | None, before: int | None, limit: int) -> list[AuditRow]:
        """As `Store.find_audit`.

        Raises:
            Unavailable: a row is no longer an audit event, or the store cannot be read.
        """
        conditions, values = wanted.sql()
        ends = (after or 0, _MAX_SEQ if before is None else before)
        sql = f"{_FIND}{conditions} ORDER BY seq {'DESC' if after is None else 'ASC'} LIMIT ?"

        def find(connection: apsw.Connection) -> list[AuditRow]:
            try:
                rows: Any = connection.execute(sql, (*ends, *values, limit)).fetchall()
                return [AuditRow(seq, decode_event(json), mac.hex()) for seq, json, mac in rows]
            except UnicodeEncodeError:  # a lone surrogate: no row has one
                return []
            except (apsw.SQLError, msgspec.DecodeError) as error:  # including SQLite's "malformed JSON"
                logger.error("an audit row was changed outside herod or by the disk")
                raise Unavailable(
                    "The audit log was changed outside herod and cannot be read completely: "
                    "`herod audit verify` shows the first bad row.",
                    reason="damaged",
                ) from error

        return await self._run(find)

    async def verify(self, *, expect: bytes | None) -> AuditVerdict:
        """As `Store.verify_audit`.

        Raises:
            Unavailable: the store cannot be read.
        """

        def verify(connection: apsw.Connection) -> AuditVerdict:
            connection.execute("BEGIN").fetchall()  # head and rows of one snapshot
            try:
                head = load_head(connection, self._keyring)
                return walk(self._keyring, connection.execute(_ALL), anchor=head.anchor, head=head.audit, expect=expect)
            except (SealBroken, msgspec.DecodeError):
                reason = "the sealed head was changed: restore a backup"
                return AuditVerdict(valid=False, rows=0, head="", reason=reason)

        return await self._run(verify)

    async def _run(self, function: Callable[[apsw.Connection], T]) -> T:
        return await trio.to_thread.run_sync(self._with_connection, function, limiter=self._limiter)

    def _with_connection(self, function: Callable[[apsw.Connection], T]) -> T:
        with read_only_connection(self._path, self._failed) as connection:
            return function(connection)
