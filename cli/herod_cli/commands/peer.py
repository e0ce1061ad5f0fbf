"""`herod peer …`: what local users and groups may do on the Unix socket without a key."""

from typing import Any, Final

import click

from herod_cli.click_base_classes import HerodGroup, WholeNumber
from herod_cli.commands.user import networks_option
from herod_cli.invocation_context import Invocation, pass_invocation
from herod_cli.shared.account_reference import join_scope
from herod_cli.shared.output import Column
from herod_cli.shared.whole_numbers import MAX_UID

__all__ = ["peer"]

COLUMNS: Final = (
    Column("ID", "id", is_whole=True),
    Column("WHO", "who", is_whole=True),
    Column("SCOPE", "scope"),
    Column("NETWORKS", "networks", yields=True),
)


@click.group(
    cls=HerodGroup,
    examples=["herod peer allow --user ada --scope write", "herod peer list", "herod peer remove ID"],
)
def peer() -> None:
    """Local users and groups that need no key.

    Never allow a proxy's uid: everyone who reaches the proxy would have its access.
    """


@peer.command(
    examples=[
        "herod peer allow --uid 1000 --scope write",
        "herod peer allow --user ada --scope write",
        "herod peer allow --group builders --scope registrar --network lab",
    ]
)
@click.option("--uid", type=WholeNumber(0, MAX_UID), metavar="N", help="A user by number.")
@click.option("--user", "user_name", metavar="NAME", help="A user by name.")
@click.option("--gid", type=WholeNumber(0, MAX_UID), metavar="N", help="A group by number.")
@click.option("--group", metavar="NAME", help="A group by name.")
@click.option("--scope", multiple=True, required=True, metavar="SCOPE", help="Scope; repeatable.")
@networks_option
@pass_invocation
def allow(
    invocation: Invocation,
    uid: int | None,
    user_name: str | None,
    gid: int | None,
    group: str | None,
    scope: tuple[str, ...],
    networks: tuple[str, ...],
) -> None:
    """Allow a local user or group; a second rule for the same one replaces the first.

    A user's rule takes precedence over group rules; rules of several groups apply side by side and are not merged.
    """
    named = {"uid": uid, "user": user_name, "gid": gid, "group": group}
    if sum(value is not None for value in named.values()) != 1:
        raise click.UsageError("Give exactly one of --uid, --user, --gid and --group.")
    invocation.show(invocation.call("peers.allow", **named, scope=join_scope(scope), networks=list(networks) or None))


@peer.command("list", examples=["herod peer list", "herod peer list --output json"])
@click.option("--limit", type=WholeNumber(1), metavar="N", help="Stop after N.")
@pass_invocation
def list_(invocation: Invocation, limit: int | None) -> None:
    """List the rules, oldest first."""
    items = invocation.items("peers.list", limit=limit)
    if not invocation.is_json:
        items = [{**item, "who": _who(item)} for item in items]
    invocation.show_items(items, COLUMNS, empty="No rules: `herod peer allow --user NAME --scope SCOPE` adds one.")


@peer.command(examples=["herod peer remove ID", "herod peer remove uid:1000"])
@click.argument("rule_id", metavar="ID")
@pass_invocation
def remove(invocation: Invocation, rule_id: str) -> None:
    """Remove a rule; tokens made under it stop working.

    `herod peer list` shows the ID; uid:N and gid:N name a rule, too.
    """
    invocation.done(invocation.call("peers.remove", id=rule_id), f"The rule {rule_id} is removed.")


def _who(item: dict[str, Any]) -> str:
    return next((f"{name} {item[name]}" for name in ("uid", "gid") if item.get(name) is not None), "-")
