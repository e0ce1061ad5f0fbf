"""`herod legacy …`: secrets from older systems, who still uses them, and the keys that replace them."""

from typing import Any, Final

import click

from herod_cli.click_base_classes import HerodGroup
from herod_cli.commands.user import save_option
from herod_cli.invocation_context import Invocation, pass_invocation
from herod_cli.shared.account_reference import place_for, show_secret
from herod_cli.shared.output import Column, print_notice
from herod_cli.shared.times import END, parse_end, utc_now

__all__ = ["legacy"]

COLUMNS: Final = (
    Column("ID", "id", is_whole=True),
    Column("SCOPE", "scope"),
    Column("USES", "uses", is_whole=True),
    Column("LAST USED", "used", is_whole=True),
    Column("FROM", "last_used_from"),
    Column("REPLACED BY", "promoted_to", is_whole=True),
)


@click.group(cls=HerodGroup, examples=["herod legacy status", "herod legacy promote legacy-admin-1f0c9a52"])
def legacy() -> None:
    """Secrets from older systems, and the keys that replace them.

    They are set by --admin-secret, --user-secret and --register-secret, and listed by ids that do not reveal them.
    Create a key to replace one, give it to the programs that still use the secret, and remove the secret from the
    settings when its count of uses no longer grows.
    """


@legacy.command(examples=["herod legacy status", "herod legacy status --output json"])
@pass_invocation
def status(invocation: Invocation) -> None:
    """List the legacy secrets by id: how often each was used, when last and from where."""
    items = invocation.items("legacy.status", limit=None)
    if not invocation.is_json:
        items = [{**item, "used": _day(item.get("last_used_at"))} for item in items]
    invocation.show_items(items, COLUMNS, empty="There are no legacy secrets in the settings: nothing to replace.")


@legacy.command(
    examples=[
        "herod legacy promote legacy-admin-1f0c9a52",
        "herod legacy promote legacy-user-1f0c9a52 --name boss --save boss.key",
        "herod legacy promote legacy-registrar-1f0c9a52 --expires 90d",
    ]
)
@click.argument("secret_id", metavar="ID")
@click.option("--name", metavar="NAME", help="The key's name. Default: the ID.")
@click.option("--expires", metavar="WHEN", help=f"{END} Default: never.")
@save_option
@pass_invocation
def promote(invocation: Invocation, secret_id: str, name: str | None, expires: str | None, save: str | None) -> None:
    """Create the service key that replaces a legacy secret, with the same scope; it is shown once.

    The secret keeps working until it is removed from the settings.
    """
    expires_at = parse_end(expires, now=utc_now()) if expires is not None else None
    with place_for(save) as place:
        answer = invocation.call("legacy.promote", id=secret_id, name=name, expires_at=expires_at)
        show_secret(invocation, answer, "key", place=place)
    if not invocation.is_json:
        print_notice(f"The secret {secret_id} still works. {_way_out(answer)}")


def _way_out(answer: dict[str, Any]) -> str:
    setting = str(answer.get("setting", "admin_secret"))
    flag, variable = "--" + setting.replace("_", "-"), "HEROD_" + setting.upper()
    return (
        f"When `herod legacy status` counts no more uses of it, remove it from {setting} in the settings file"
        f" (or {variable}, or {flag}), then restart herod or send it SIGHUP."
    )


def _day(at: object) -> str | None:
    return str(at)[:10] if at else None
