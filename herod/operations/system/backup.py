"""A backup of the whole store, for admins."""

import msgspec

from herod.pipeline.operation_definition import Context, GivesNothing, NoParams, NoTarget, command
from herod.store.store_interface import ByteStream, Store, Writer
from herod_client.core.scope_graph import ADMIN

__all__ = ["backup"]


class Granted(msgspec.Struct, frozen=True):
    """A placeholder for the operation table: the answer is the file itself."""


async def _stream(store: Store) -> ByteStream:
    return await store.backup()


@command(
    "backup",
    credential=True,  # a copy of them all, which lasts: no app takes it
    gives=GivesNothing("only who has the daemon's secret can open it"),
    needs=ADMIN,
    target=NoTarget("reads everything and changes nothing"),
    example={},
    http=("GET /api/v1/backup",),
    streamed=_stream,
    surfaces=frozenset(),
    always_audited=True,
)
def backup(tx: Writer, context: Context, params: NoParams) -> Granted:
    """Create a backup of the whole store, encrypted with the daemon's secret, while the daemon runs."""
    return Granted()
