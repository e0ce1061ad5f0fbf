"""`herod user …`: accounts."""

from typing import Any, Final

import click

from herod_cli.click_base_classes import HerodGroup, WholeNumber
from herod_cli.invocation_context import Invocation, pass_invocation
from herod_cli.shared.account_reference import account, join_scope, place_for, show_secret
from herod_cli.shared.output import Column, print_lines
from herod_cli.shared.secret_files import ask_password, confirm, read_password

__all__ = ["user"]

COLUMNS: Final = (
    Column("CLIENT_ID", "client_id", is_whole=True),
    Column("EMAIL OR NAME", "who"),
    Column("SCOPE", "scope", yields=True),
    Column("STATE", "state", is_whole=True),
)

PASSKEYS: Final = (
    Column("PASSKEY", "name"),
    Column("KIND", "kind", yields=True),
    Column("CREATED", "created", is_whole=True),
    Column("LAST USED", "used", is_whole=True),
)

networks_option = click.option(
    "--network", "networks", multiple=True, metavar="NAME", help='Network; repeatable, "*" for all.'
)
save_option = click.option(
    "--save", metavar="FILE", help="Write the secret to a new FILE (0600) instead of showing it."
)
yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask for confirmation.")


@click.group(
    cls=HerodGroup,
    examples=["herod user add ada@example.org --scope write", "herod user list", "herod user delete ada@example.org"],
)
def user() -> None:
    """Accounts: add, change, delete.

    WHO is an email, a client_id or a unique name. Most commands need scope admin.
    """


@user.command(
    examples=[
        "herod user add ada@example.org --name Ada --scope write",
        "herod user add --name worker --scope read --save worker.secret",
        "herod user add ada@example.org --password",
    ]
)
@click.argument("email", required=False)
@click.option("--email", "email_option", metavar="EMAIL", help="The same as the argument.")
@click.option("--name", metavar="TEXT", help="Display name.")
@click.option("--scope", multiple=True, metavar="SCOPE", help="Scope; repeatable. Default: read.")
@networks_option
@click.option("--password", "asks_password", is_flag=True, help="Prompt for a password to sign in with.")
@click.option("--password-file", metavar="FILE", help="Read the password from FILE, or standard input for -.")
@save_option
@pass_invocation
def add(
    invocation: Invocation,
    email: str | None,
    email_option: str | None,
    name: str | None,
    scope: tuple[str, ...],
    networks: tuple[str, ...],
    *,
    asks_password: bool,
    password_file: str | None,
    save: str | None,
) -> None:
    """Add an account; its client secret is shown once.

    A person needs an EMAIL to sign in with, a program a --name to be recognized by.
    """
    if email is not None and email_option is not None and email != email_option:
        raise click.UsageError("EMAIL and --email differ: give one of them.")
    email = email_option if email is None else email
    if email is None and name is None:
        raise click.UsageError("Give the EMAIL of a person, or --name TEXT for a program.")
    if asks_password and password_file is not None:
        raise click.UsageError("--password and --password-file are mutually exclusive: give one of them.")
    password = None
    if password_file is not None:
        password = read_password(password_file)
    elif asks_password:
        password = ask_password("Password", twice=True, option="--password-file ")
    with place_for(save) as place:
        answer = invocation.call(
            "users.add",
            email=email,
            name=name,
            password=password,
            scope=join_scope(scope),
            networks=list(networks) or None,
        )
        show_secret(invocation, answer, "client_secret", place=place)


@user.command(
    "list", examples=["herod user list", "herod user list --newest --limit 10", "herod user list --output json"]
)
@click.option("--newest", is_flag=True, help="Newest first.")
@click.option("--limit", type=WholeNumber(1), metavar="N", help="Stop after N.")
@pass_invocation
def list_(invocation: Invocation, *, newest: bool, limit: int | None) -> None:
    """List accounts, oldest first."""
    items = invocation.items("users.list", limit=limit, order="newest" if newest else None)
    if not invocation.is_json:
        items = [
            {
                **item,
                "who": item.get("email") or item.get("name"),
                "state": _state(item),
            }
            for item in items
        ]
    invocation.show_items(items, COLUMNS, empty="There are no accounts yet: `herod user add EMAIL` creates one.")


@user.command(examples=["herod user show ada@example.org", "herod user show CLIENT_ID --output json"])
@click.argument("who")
@pass_invocation
def show(invocation: Invocation, who: str) -> None:
    """Show an account. WHO is an email, a client_id or a unique name."""
    invocation.show(invocation.call("users.get", **account(who)))


@user.command(examples=["herod user scope ada@example.org read", "herod user scope CLIENT_ID write registrar"])
@click.argument("who")
@click.argument("scope", nargs=-1, required=True)
@pass_invocation
def scope(invocation: Invocation, who: str, scope: tuple[str, ...]) -> None:
    """Replace an account's scope.

    WHO is an email, a client_id or a unique name. Its keys, sessions and tokens are narrowed on their next use.
    """
    invocation.show(invocation.call("users.scope", **account(who), scope=join_scope(scope)))


@user.command(
    examples=[
        'herod user edit ada@example.org --name "Ada L."',
        "herod user edit CLIENT_ID --network lab --network office",
        "herod user edit CLIENT_ID --network '*'",
        "herod user edit eve@example.org --confirmed",
    ]
)
@click.argument("who")
@click.option("--name", metavar="TEXT", help="Display name.")
@networks_option
@click.option(
    "--confirmed/--unconfirmed",
    "confirmed",
    default=None,
    help="Say that an account that registered itself is who it says it is, or take that back.",
)
@pass_invocation
def edit(
    invocation: Invocation, who: str, name: str | None, networks: tuple[str, ...], *, confirmed: bool | None
) -> None:
    """Change an account's name or networks, or confirm it. WHO is an email, a client_id or a unique name.

    The networks given replace all former ones. An account that you add is confirmed; one that registered itself is
    not, until an admin says so: apps do not get its email as verified, and most do not admit it.
    """
    if name is None and not networks and confirmed is None:
        raise click.UsageError("Nothing to change: give --name, --network, --confirmed or --unconfirmed.")
    changes = {"name": name, "networks": list(networks) or None, "confirmed": confirmed}
    invocation.show(invocation.call("users.update", **account(who), **changes))


@user.command(
    examples=[
        "herod user passwd  # your own",
        "herod user passwd ada@example.org",
        "herod user passwd ada@example.org --password-file new.txt",
    ]
)
@click.argument("who", required=False)
@click.option("--password-file", metavar="FILE", help="Read the new password from FILE, or - for standard input.")
@click.option("--current-file", metavar="FILE", help="Read your current password from FILE.")
@pass_invocation
def passwd(invocation: Invocation, who: str | None, password_file: str | None, current_file: str | None) -> None:
    """Set a password, your own or WHO's.

    Your own needs the current password; another's needs scope admin. All tokens and sessions of the account end.
    """
    current = read_password(current_file) if current_file is not None else None
    if who is None:
        target = _own_account(invocation)
        if current is None:
            current = ask_password("Current password", twice=False, option="--current-file ")
    else:
        target = account(who)
    if password_file is not None:
        password = read_password(password_file)
    else:
        password = ask_password("New password", twice=True, option="--password-file ")
    answer = invocation.call("users.password", **target, password=password, current=current)
    invocation.done(answer, f"The password of {who or 'your account'} is set. Sign in again: its tokens have ended.")


@user.command(
    "rotate-secret",
    examples=["herod user rotate-secret CLIENT_ID", "herod user rotate-secret CLIENT_ID --save new.secret"],
)
@click.argument("who", required=False)
@save_option
@yes_option
@pass_invocation
def rotate_secret(invocation: Invocation, who: str | None, save: str | None, *, yes: bool) -> None:
    """Give an account a new client secret: your own, or WHO's.

    The old secret and the account's tokens stop working at once.
    """
    target = _own_account(invocation) if who is None else account(who)
    if who is None:
        confirm("Give your own account a new client secret? The old one and your tokens stop working.", yes=yes)
    with place_for(save) as place:
        answer = invocation.call("users.rotate_secret", **target)
        show_secret(invocation, answer, "client_secret", place=place)


@user.command(
    "sign-out",
    examples=[
        "herod user sign-out  # your own browsers",
        "herod user sign-out ada@example.org",
        "herod user sign-out --everyone",
    ],
)
@click.argument("who", required=False)
@click.option("--everyone", is_flag=True, help="All browsers of everyone; needs scope owner.")
@yes_option
@pass_invocation
def sign_out(invocation: Invocation, who: str | None, *, everyone: bool, yes: bool) -> None:
    """Sign out all browsers: your own, or WHO's.

    WHO is an email, a client_id or a unique name. Tokens and keys stay valid.
    """
    if who is not None and everyone:
        raise click.UsageError("WHO and --everyone are mutually exclusive: give one of them.")
    if everyone:
        confirm("Sign out every browser of everyone?", yes=yes)
        answer = invocation.call("session.end_all", everyone=True)
    else:
        answer = invocation.call("session.end_all", **({} if who is None else account(who)))
    whose = "everyone" if everyone else who or "you"
    invocation.done(answer, f"All browsers of {whose} are signed out.")


@user.command(examples=["herod user factors", "herod user factors ada@example.org", "herod user factors --output json"])
@click.argument("who", required=False)
@pass_invocation
def factors(invocation: Invocation, who: str | None) -> None:
    """Show an account's passkeys, authenticator app and recovery codes.

    WHO is an email, a client_id or a unique name; without it, your own. You set them up on your account page in the
    dashboard.
    """
    answer = invocation.call("factors.get", **(_own_account(invocation) if who is None else account(who)))
    if invocation.is_json:
        invocation.show(answer)
        return
    passkeys = [
        {
            **one,
            "kind": "synced" if one.get("synced") else "one device",
            "created": str(one.get("created_at"))[:10],
            "used": str(one["last_used_at"])[:10] if one.get("last_used_at") else "never",
        }
        for one in answer.get("passkeys") or []
    ]
    since, codes = answer.get("totp_since"), answer.get("recovery_codes")
    facts = {
        "second_factor": "required" if answer.get("required") else "not required",
        "passkeys": len(passkeys),
        "authenticator_app": f"since {str(since)[:10]}" if since else "none",
        "recovery_codes": f"{codes} left" if codes else "none",
    }
    invocation.show(facts)
    if passkeys:
        print_lines([""])
        invocation.show_items(passkeys, PASSKEYS, empty="")


@user.command("reset-factors", examples=["herod user reset-factors ada@example.org --yes"])
@click.argument("who")
@yes_option
@pass_invocation
def reset_factors(invocation: Invocation, who: str, *, yes: bool) -> None:
    """Remove an account's passkeys, app and recovery codes, because they are lost.

    WHO is an email, a client_id or a unique name. Its browsers are signed out, and its password signs in again.
    """
    confirm(f"Remove all second factors of {who}?", yes=yes)
    invocation.done(invocation.call("factors.reset", **account(who)), f"The second factors of {who} are removed.")


@user.command(examples=["herod user enable ada@example.org"])
@click.argument("who")
@pass_invocation
def enable(invocation: Invocation, who: str) -> None:
    """Enable an account again. WHO is an email, a client_id or a unique name."""
    invocation.done(invocation.call("users.enable", **account(who)), f"{who} is enabled.")


@user.command(examples=["herod user disable ada@example.org"])
@click.argument("who")
@pass_invocation
def disable(invocation: Invocation, who: str) -> None:
    """Disable an account. WHO is an email, a client_id or a unique name.

    Its tokens and sessions end; its API keys are refused until it is enabled again.
    """
    invocation.done(invocation.call("users.disable", **account(who)), f"{who} is disabled.")


@user.command(examples=["herod user delete ada@example.org", "herod user delete CLIENT_ID --yes"])
@click.argument("who")
@yes_option
@pass_invocation
def delete(invocation: Invocation, who: str, *, yes: bool) -> None:
    """Delete an account with its keys; its tokens end at once. WHO is an email, a client_id or a unique name."""
    confirm(f"Delete {who} with all its keys, tokens and sessions?", yes=yes)
    answer = invocation.call("users.delete", **account(who))
    keys, left, rules = answer.get("keys"), answer.get("service_keys"), answer.get("peer_rules")
    sentence = f"{who} is deleted"
    more = answer.get("more_keys")
    count = (len(keys) if isinstance(keys, list) else 0) + (more if isinstance(more, int) else 0)
    sentence += f", with {count} of its keys." if count else "."
    made = [
        f"{what} {', '.join(map(str, ids))}"
        for what, ids in (("service keys", left), ("peer rules", rules))
        if isinstance(ids, list) and ids
    ]
    if made:
        sentence = f"{sentence[:-1]}; still valid: {', '.join(made)}."
    invocation.done(answer, sentence)


def _state(item: dict[str, Any]) -> str:
    if not item.get("enabled"):
        return "off"
    return "unconfirmed" if item.get("confirmed") is False else "on"


def _own_account(invocation: Invocation) -> dict[str, str]:
    """Return the caller's own account."""
    who = invocation.call("whoami")
    if who.get("kind") != "account":
        raise click.UsageError(f"{who.get('name') or who.get('sub')} is not an account: give one as WHO.")
    return {"client_id": str(who.get("sub"))}
