"""`herod approval`: what your apps ask you to allow. It never decides: a person does, in a browser."""

from typing import Final

import click

from herod_cli.click_base_classes import HerodGroup, WholeNumber
from herod_cli.invocation_context import Invocation, pass_invocation
from herod_cli.shared.output import Column

__all__ = ["approval"]

COLUMNS: Final = (
    Column("APP", "app_name"),
    Column("OPERATION", "operation"),
    Column("TARGET", "target_name", yields=True),
    Column("STATE", "state", is_whole=True),
    Column("ENDS", "expires_at", is_whole=True),
    Column("ID", "id", is_whole=True),
)


@click.group(cls=HerodGroup, examples=["herod approval list"])
def approval() -> None:
    """What your apps ask you to allow."""


@approval.command("list", examples=["herod approval list", "herod approval list --output json"])
@click.option("--limit", type=WholeNumber(1), metavar="N", help="Stop after N.")
@pass_invocation
def list_approvals(invocation: Invocation, limit: int | None) -> None:
    """List the calls of your apps that wait for you, oldest first.

    You decide on the dashboard's page Approvals: a program must not, and so no command does.
    """
    invocation.show_items(invocation.items("approvals.list", limit=limit), COLUMNS, empty="No app waits for you.")
