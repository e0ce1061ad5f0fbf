"""`herod app connected` and `herod app disconnect`: the apps that act for an account."""

from typing import Any, Final

import click

from herod_cli.click_base_classes import HerodCommand, WholeNumber
from herod_cli.commands.user import yes_option
from herod_cli.invocation_context import Invocation, pass_invocation
from herod_cli.shared.output import Column
from herod_cli.shared.secret_files import confirm

__all__ = ["connected", "disconnect"]

_APP: Final = (Column("APP", "app_name"), Column("SCOPE", "scope", yields=True))
_LAST: Final = (Column("LAST USED", "used", is_whole=True), Column("ID", "id", is_whole=True))
OWN: Final = (*_APP, Column("RESOURCE", "resource", yields=True), *_LAST)
OF_SEVERAL: Final = (*_APP, Column("ACCOUNT", "account", is_whole=True), *_LAST)


@click.command(
    cls=HerodCommand,
    examples=[
        "herod app connected",
        "herod app connected --account ada@example.org",
        "herod app connected --output json",
    ],
)
@click.option("--account", metavar="WHO", help="Only those of WHO, by email, client_id or unique name (admins).")
@click.option("--limit", type=WholeNumber(1), metavar="N", help="Stop after N.")
@pass_invocation
def connected(invocation: Invocation, account: str | None, limit: int | None) -> None:
    """List the apps that act for you, newest first; those of everybody for admins.

    An app's name is what it said of itself when it was connected: anybody can choose that of another one. RESOURCE is
    the only service that it may call.
    """
    items = invocation.items("delegations.list", limit=limit, account=account)
    if not invocation.is_json:
        items = [_row(item) for item in items]
    columns = OF_SEVERAL if len({item.get("account") for item in items}) > 1 else OWN
    invocation.show_items(items, columns, empty="No app is connected.")


@click.command(
    cls=HerodCommand,
    examples=['herod app disconnect "Claude Code"', "herod app disconnect 5a5e7f52-5a3f-4a5e-9d0e-4a9f1f3c2b11 --yes"],
)
@click.argument("app_id", metavar="ID")
@yes_option
@pass_invocation
def disconnect(invocation: Invocation, app_id: str, *, yes: bool) -> None:
    """Take back an app's access. Its tokens end at once; it must ask again.

    ID is as `herod app connected` shows it, or the app's name, if you have connected only one of that name.
    """
    confirm(f"Disconnect {app_id}? Its tokens end now, and it must ask you again.", yes=yes)
    invocation.done(invocation.call("delegations.revoke", id=app_id), f"{app_id} is disconnected.")


def _row(item: dict[str, Any]) -> dict[str, Any]:
    used = item.get("last_used_at")
    return {
        **item,
        "resource": item.get("resource") or "who you are",
        "used": str(used)[:10] if used else "never",
    }
