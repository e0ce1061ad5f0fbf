"""Brings a store of an older format up to date, in one transaction, when it is opened.

    1 → 2   resources keep a hash of their ownership secret instead of the secret

Records keep their revisions, so followers of the change feed notice nothing. An older herod refuses a newer format.
"""

import logging
from typing import Any, Final

import apsw
import msgspec

from herod.credentials.keyring import Keyring
from herod.credentials.ownership_secrets import hash_ownership_secret
from herod.records import Resource
from herod.store.sqlite.sealed_rows import SELECT_ROWS, RowCodec
from herod_client.core.errors import Unavailable

__all__ = ["NEWEST", "migrate"]

logger = logging.getLogger("herod.store")

NEWEST: Final = 2
ROWS_AT_ONCE: Final = 500
_RESOURCES: Final = f"{SELECT_ROWS} WHERE kind = 'resource' AND id > ? ORDER BY id LIMIT ?"
_REPLACE: Final = "UPDATE records SET lookup = ?, owner = ?, sealed = ? WHERE kind = 'resource' AND id = ?"


def migrate(connection: apsw.Connection, keyring: Keyring) -> None:
    """Bring the store to the newest format, if it is not of that already.

    Raises:
        apsw.Error: the disk or the file fails; nothing was changed.
    """
    if connection.pragma("user_version") == NEWEST:
        return
    connection.pragma("secure_delete", "on")  # no remnants of what is replaced
    connection.execute("BEGIN IMMEDIATE").fetchall()
    try:
        count = _hash_ownership_secrets(connection, keyring)
        connection.pragma("user_version", NEWEST)
        connection.execute("COMMIT").fetchall()
    except BaseException:
        connection.execute("ROLLBACK").fetchall()
        raise
    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    connection.pragma("secure_delete", "off")
    logger.info("the store has format %d now; resources whose secret was replaced by a hash: %d", NEWEST, count)


def _hash_ownership_secrets(connection: apsw.Connection, keyring: Keyring) -> int:
    codec, count, last = RowCodec(keyring), 0, ""
    while rows := _rows(connection, last):
        for row in rows:
            last = row[0]
            try:
                resource = codec.open(Resource, row)
            except Unavailable:  # logged; it stays as it is, and is never served
                continue
            secret = hash_ownership_secret(keyring, resource.claimant, resource.secret)
            _, lookup, owner, *_, sealed = codec.seal(msgspec.structs.replace(resource, secret=secret), row[5])
            connection.execute(_REPLACE, (lookup, owner, sealed, last)).fetchall()
            count += 1
    return count


def _rows(connection: apsw.Connection, last: str) -> list[Any]:
    return connection.execute(_RESOURCES, (last, ROWS_AT_ONCE)).fetchall()
