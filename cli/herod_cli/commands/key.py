"""`herod key …`: API keys."""

from datetime import UTC, datetime
from typing import Any, Final

import click

from herod_cli.click_base_classes import HerodGroup, WholeNumber
from herod_cli.commands.user import networks_option, save_option, yes_option
from herod_cli.invocation_context import Invocation, pass_invocation
from herod_cli.shared.account_reference import join_scope, place_for, show_secret
from herod_cli.shared.credential_verdict import verdict_callback
from herod_cli.shared.output import Column
from herod_cli.shared.secret_files import confirm
from herod_cli.shared.times import END, parse_duration, parse_end, utc_now

__all__ = ["key"]

COLUMNS: Final = (
    Column("ID", "id", is_whole=True),
    Column("NAME", "name"),
    Column("KIND", "kind", is_whole=True),
    Column("SCOPE", "scope", yields=True),
    Column("STATE", "state", is_whole=True),
    Column("EXPIRES", "expires", is_whole=True),
    Column("LAST USED", "used", is_whole=True),
)
MAX_OVERLAP: Final = 7 * 86_400  # seconds


@click.group(
    cls=HerodGroup,
    examples=["herod key create backup --scope read", "herod key list", "herod key delete 0kZ3vXq81LmT"],
)
def key() -> None:
    """API keys: create, verify, rotate, disable, delete.

    A user key is limited to its owner's grants; a service key has its own and needs scope admin to create. ID is a
    key's id, or its name if no other key that you can see has it.
    """


@key.command(
    examples=[
        "herod key create backup --scope read --expires 90d",
        "herod key create ci --kind service --scope registrar --save ci.key",
        "herod key create laptop --owner ada@example.org --expires 2030-01-31",
    ]
)
@click.argument("name")
@click.option("--scope", multiple=True, metavar="SCOPE", help="Scope; repeatable. Default: read.")
@networks_option
@click.option("--expires", metavar="WHEN", help=f"{END} Default: never.")
@click.option(
    "--kind",
    type=click.Choice(["user", "service"]),
    help="Default: user for an account, service for a local admin or a service.",
)
@click.option("--owner", metavar="WHO", help="The key's owner, by email, client_id or unique name (admins).")
@save_option
@pass_invocation
def create(
    invocation: Invocation,
    name: str,
    scope: tuple[str, ...],
    networks: tuple[str, ...],
    expires: str | None,
    kind: str | None,
    owner: str | None,
    save: str | None,
) -> None:
    """Create an API key within your own scope; it is shown once."""
    expires_at = parse_end(expires, now=utc_now()) if expires is not None else None
    with place_for(save) as place:
        answer = invocation.call(
            "keys.create",
            name=name,
            scope=join_scope(scope),
            networks=list(networks) or None,
            expires_at=expires_at,
            kind=kind,
            owner=owner,
        )
        show_secret(invocation, answer, "key", place=place)


@key.command(
    "list",
    examples=[
        "herod key list --newest --limit 10",
        "herod key list --owner ada@example.org --state unused",
        "herod key list --expiring --state on --output json",
    ],
)
@click.option("--owner", metavar="WHO", help="Only keys of WHO, by email, client_id or unique name (admins).")
@click.option("--kind", type=click.Choice(["user", "service"]), help="Only keys of this kind.")
@click.option(
    "--state",
    type=click.Choice(["on", "off", "expired", "unused"]),
    help="Only keys in this state; unused means for 90 days.",
)
@click.option("--name", metavar="NAME", help="Only keys with exactly this name.")
@click.option("--newest", is_flag=True, help="Newest first.")
@click.option("--expiring", is_flag=True, help="Only keys that expire, soonest first (admins).")
@click.option("--limit", type=WholeNumber(1), metavar="N", help="Stop after N.")
@pass_invocation
def list_(
    invocation: Invocation,
    owner: str | None,
    kind: str | None,
    state: str | None,
    name: str | None,
    *,
    newest: bool,
    expiring: bool,
    limit: int | None,
) -> None:
    """List keys, oldest first: your own, or all keys for admins."""
    if newest and expiring:
        raise click.UsageError("--newest and --expiring are mutually exclusive: give one of them.")
    items = invocation.items(
        "keys.list",
        limit=limit,
        owner=owner,
        kind=kind,
        state=state,
        name=name,
        order="newest" if newest else "expires" if expiring else None,
    )
    if not invocation.is_json:
        now = datetime.now(UTC)
        items = [_row(item, now) for item in items]
    is_filtered = any(one is not None for one in (owner, kind, state, name)) or expiring
    empty = (
        "No key matches: `herod key list` without options lists all that you may see."
        if is_filtered
        else "There are no keys: `herod key create NAME` creates one."
    )
    invocation.show_items(items, COLUMNS, empty=empty)


@key.command(examples=["herod key show 0kZ3vXq81LmT", "herod key show 0kZ3vXq81LmT --output json"])
@click.argument("key_id", metavar="ID")
@pass_invocation
def show(invocation: Invocation, key_id: str) -> None:
    """Show a key without its secret.

    ID is the 12 characters after herod_u_ or herod_s_, or the key's name, if it is the only one that you see with it.
    """
    invocation.show(invocation.call("keys.get", id=key_id))


key.command(
    "verify",
    examples=[
        "herod key verify @backup.key",
        "herod key verify - --scope write < backup.key",
        "herod key verify @backup.key --network lab --output json",
    ],
    help="Check whether a key is valid: exit code 0 if it is, 1 if not.",
)(verdict_callback("key"))


@key.command(
    examples=[
        "herod key rotate 0kZ3vXq81LmT --save runner.key",
        "herod key rotate 0kZ3vXq81LmT --overlap 10m --save runner.key",
        "herod key rotate 0kZ3vXq81LmT --expires 90d --save runner.key",
    ]
)
@click.argument("key_id", metavar="ID")
@click.option(
    "--overlap", metavar="TIME", help="How long the old secret still works: 30s, 10m, at most 7d. Default 0s."
)
@click.option("--expires", metavar="WHEN", help=f"{END} Default: as before.")
@save_option
@pass_invocation
def rotate(invocation: Invocation, key_id: str, overlap: str | None, expires: str | None, save: str | None) -> None:
    """Give a key a new secret, which is shown once. One that has expired needs --expires.

    Without --overlap the old secret is refused at once. With it, `herod key show` shows who still uses the old one.
    """
    seconds = parse_duration(overlap, option="--overlap") if overlap is not None else 0
    if seconds > MAX_OVERLAP:
        raise click.BadParameter(f"{overlap} is too long: the maximum is 7d.", param_hint="'--overlap'")
    given: dict[str, Any] = {"id": key_id, "overlap": seconds}
    if expires is not None:
        given["expires_at"] = parse_end(expires, now=utc_now())
    with place_for(save) as place:
        answer = invocation.check_object(invocation.client().call("keys.rotate", given))
        show_secret(invocation, answer, "key", place=place)


@key.command(examples=["herod key disable 0kZ3vXq81LmT"])
@click.argument("key_id", metavar="ID")
@pass_invocation
def disable(invocation: Invocation, key_id: str) -> None:
    """Disable a key: it is refused from its next use on."""
    answer = invocation.call("keys.disable", id=key_id)
    invocation.done(answer, f"The key {key_id} is disabled; to undo: `herod key enable {key_id}`.")


@key.command(examples=["herod key enable 0kZ3vXq81LmT"])
@click.argument("key_id", metavar="ID")
@pass_invocation
def enable(invocation: Invocation, key_id: str) -> None:
    """Enable a key again."""
    invocation.done(invocation.call("keys.enable", id=key_id), f"The key {key_id} is enabled.")


@key.command(
    examples=[
        'herod key edit 0kZ3vXq81LmT --name "nightly backup"',
        "herod key edit 0kZ3vXq81LmT --expires 90d",
        "herod key edit 0kZ3vXq81LmT --scope read --network lab",
    ]
)
@click.argument("key_id", metavar="ID")
@click.option("--name", metavar="TEXT", help="Display name.")
@click.option("--scope", multiple=True, metavar="SCOPE", help="New scope, within the current one; repeatable.")
@networks_option
@click.option("--expires", metavar="WHEN", help=END)
@pass_invocation
def edit(
    invocation: Invocation,
    key_id: str,
    name: str | None,
    scope: tuple[str, ...],
    networks: tuple[str, ...],
    expires: str | None,
) -> None:
    """Rename a key, change its expiry, or narrow its scope or networks.

    Scopes and networks given replace all former ones; a key never gets more than it has.
    """
    if name is None and not scope and not networks and expires is None:
        raise click.UsageError("Nothing to change: give --name, --scope, --network or --expires.")
    changes: dict[str, Any] = {"name": name, "scope": join_scope(scope), "networks": list(networks) or None}
    changes = {field: value for field, value in changes.items() if value is not None}
    if expires is not None:
        changes["expires_at"] = parse_end(expires, now=utc_now())
    invocation.show(invocation.check_object(invocation.client().call("keys.update", {"id": key_id, **changes})))


@key.command(examples=["herod key delete 0kZ3vXq81LmT", "herod key delete 0kZ3vXq81LmT --yes"])
@click.argument("key_id", metavar="ID")
@yes_option
@pass_invocation
def delete(invocation: Invocation, key_id: str, *, yes: bool) -> None:
    """Delete a key; tokens and sessions made with it end too."""
    confirm(f"Delete the key {key_id}?", yes=yes)
    invocation.done(invocation.call("keys.delete", id=key_id), f"The key {key_id} is deleted.")


def _row(item: dict[str, Any], now: datetime) -> dict[str, Any]:
    expires, used = item.get("expires_at"), item.get("last_used_at")
    return {
        **item,
        "state": "off" if not item.get("enabled") else "expired" if _is_past(expires, now) else "on",
        "expires": str(expires)[:10] if expires else "never",
        "used": str(used)[:10] if used else "never",
    }


def _is_past(at: object, now: datetime) -> bool:
    try:
        return isinstance(at, str) and datetime.fromisoformat(at) <= now
    except ValueError:  # a daemon of another version: show its value unjudged
        return False
