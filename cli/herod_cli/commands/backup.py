"""`herod backup`: saves the daemon's whole store, encrypted, to a file."""

from datetime import UTC, datetime
from pathlib import Path

import click

from herod_cli.click_base_classes import HerodCommand
from herod_cli.invocation_context import Invocation, pass_invocation
from herod_cli.shared.atomic_file import whole_file

__all__ = ["backup"]


@click.command(
    cls=HerodCommand,
    examples=["herod backup", "herod backup /srv/backups/monday.backup", "herod backup --key @admin.key --timeout 300"],
)
@click.argument("file", required=False)
@pass_invocation
def backup(invocation: Invocation, file: str | None) -> None:
    """Back up the whole store to FILE while the daemon runs.

    For admins. Without FILE, writes herod-TIME.backup in the current directory. The file (0600) is encrypted with the
    daemon's secret: keep a copy of the secret elsewhere. An existing file is never overwritten.
    """
    path = Path(file) if file is not None else Path(f"herod-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.backup")
    with whole_file(path) as target:
        invocation.client().download("/api/v1/backup", target.write)
        size = target.tell()
    invocation.done(
        {"saved_to": str(path), "bytes": size},
        f"The backup is in {path} (0600, {size} bytes). It opens with the daemon's secret: keep that elsewhere.",
    )
