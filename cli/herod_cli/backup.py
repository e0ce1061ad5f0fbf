"""`herod backup`: the daemon's whole store, encrypted, into a file."""

import contextlib
import os
from datetime import UTC, datetime
from pathlib import Path

import click

from herod_cli.commands import HerodCommand
from herod_cli.failures import FailureError
from herod_cli.files import create_private, exists_already, give_name
from herod_cli.invocation import Invocation, pass_invocation

__all__ = ["backup"]


@click.command(
    cls=HerodCommand,
    examples=["herod backup", "herod backup /srv/backups/monday.backup", "herod backup --key @admin.key --timeout 300"],
)
@click.argument("file", required=False)
@pass_invocation
def backup(invocation: Invocation, file: str | None) -> None:
    """Write a backup of the whole store to FILE, while the daemon goes on working.

    For admins. Without FILE it gets a name with the time, in this folder. The file (0600) is encrypted and opens with
    the secret that the daemon runs with; keep that one elsewhere. An existing file is never overwritten.
    """
    path = Path(file) if file is not None else Path(f"herod-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.backup")
    if os.path.lexists(path):
        raise exists_already(path)
    client = invocation.client()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    descriptor = create_private(str(temporary))
    try:
        with os.fdopen(descriptor, "wb") as target:
            client.download("/api/v1/backup", target.write)
            target.flush()
            os.fsync(target.fileno())
            size = target.tell()
        give_name(temporary, path)
    except OSError as error:
        raise FailureError(
            f"{path} cannot be written: {error.strerror or error}.", hint="check the folder, and the room on its disk"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    invocation.done(
        {"saved_to": str(path), "bytes": size},
        f"The backup is {path} (0600, {size} bytes). It opens with the daemon's secret: keep that one elsewhere.",
    )
