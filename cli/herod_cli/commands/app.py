"""`herod app …`: the OAuth apps that people sign in to."""

import shlex
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

import click

from herod_cli.click_base_classes import HerodGroup, WholeNumber
from herod_cli.commands.connected_apps import connected, disconnect
from herod_cli.commands.user import networks_option, save_option, yes_option
from herod_cli.invocation_context import Invocation, pass_invocation
from herod_cli.shared.account_reference import join_scope, place_for, show_secret
from herod_cli.shared.output import Column, print_lines, print_notice, print_record
from herod_cli.shared.secret_files import confirm

__all__ = ["app"]

FC = TypeVar("FC", bound=Callable[..., Any] | click.Command)

COLUMNS: Final = (
    Column("CLIENT_ID", "client_id", is_whole=True),
    Column("NAME", "name"),
    Column("TYPE", "type", is_whole=True),
    Column("SCOPE", "scope", yields=True),
    Column("STATE", "state", is_whole=True),
)
CODE_GRANTS: Final = ("authorization_code", "refresh_token")
DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
METADATA: Final = "/.well-known/oauth-authorization-server"
DISCOVERY: Final = "/.well-known/openid-configuration"
# What the settings of an app ask for, in the order in which most of them do.
ENDPOINTS: Final = (
    "issuer", "authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "end_session_endpoint",
)  # fmt: skip
DEVICE_ENDPOINT: Final = "device_authorization_endpoint"

redirect_option = click.option(
    "--redirect",
    "redirects",
    multiple=True,
    metavar="URI",
    help="Where people return to from herod, as the app's documentation names it; repeatable.",
)
post_logout_option = click.option(
    "--post-logout",
    "post_logouts",
    multiple=True,
    metavar="URI",
    help="Where the app may send a browser after signing out; repeatable.",
)
pkce_option = click.option(
    "--pkce",
    type=click.Choice(["required", "optional", "off"]),
    help="For a confidential app that cannot do PKCE: optional if it sends a nonce instead, off if it does neither.",
)
algorithm_option = click.option(
    "--algorithm",
    type=click.Choice(["RS256", "ES256", "EdDSA"]),
    help="Signs its id_tokens. Every library reads RS256, the default.",
)


def _switch(name: str, help_: str) -> Callable[[FC], FC]:
    """An option that is on, off, or left as it is."""
    return click.option(f"--{name}/--no-{name}", name.replace("-", "_"), default=None, help=help_)


remember_option = _switch("remember-consent", "Ask people only once for the same. Default: where that is safe.")
unconfirmed_option = _switch("admit-unconfirmed", "Admit accounts that registered themselves, before an admin's yes.")
email_option = _switch("send-unconfirmed-email", "Tell it emails that nobody confirmed, as such.")
expand_option = _switch("expand-scope", "Name every included scope in its tokens for other services.")
device_option = _switch("device", "Let people sign in with a code that the app shows (RFC 8628).")


@click.group(
    cls=HerodGroup,
    examples=[
        "herod app add Grafana --redirect https://grafana.example/login/generic_oauth",
        "herod app list",
        "herod app delete Grafana",
        "herod app connected",
    ],
)
def app() -> None:
    """Apps that people sign in to with herod.

    They are clients of OAuth and OpenID Connect. APP is an app's client_id or its name. Registering and changing apps
    needs scope admin; which apps act for yourself, you see and end with `connected` and `disconnect`.
    """


@app.command(
    examples=[
        "herod app add Grafana --redirect https://grafana.example/login/generic_oauth",
        "herod app add Gitea --redirect https://git.example/cb --pkce off",
        "herod app add notes --redirect http://localhost:5000/cb --save notes.secret",
        "herod app add mobile --public --redirect org.example.notes:/callback",
    ]
)
@click.argument("name")
@redirect_option
@click.option("--public", is_flag=True, help="A program on people's machines, which cannot keep a secret.")
@click.option("--scope", multiple=True, metavar="SCOPE", help="The most that people may give it; default: read.")
@networks_option
@pkce_option
@algorithm_option
@post_logout_option
@device_option
@remember_option
@unconfirmed_option
@email_option
@expand_option
@save_option
@pass_invocation
def add(
    invocation: Invocation, /, name: str, *, public: bool, scope: tuple[str, ...], save: str | None, **options: Any
) -> None:
    """Register an app; its client secret is shown once.

    A redirect URI must be the app's, character by character; only the port of http://localhost, 127.0.0.1 and [::1] is
    ignored. People are asked before the app gets anything, and never get more than they hold themselves.
    """
    device = options.pop("device")
    grants = (*CODE_GRANTS, DEVICE_GRANT) if options["redirects"] else (DEVICE_GRANT, CODE_GRANTS[1])
    if not options["redirects"] and not device:
        raise click.UsageError("Give --redirect URI, to which people return from herod, or --device for a terminal.")
    if public and save is not None:
        raise click.UsageError("--public and --save are mutually exclusive: a public app has no secret.")
    with place_for(save) as place:
        answer = invocation.call(
            "apps.add",
            name=name,
            type="public" if public else None,
            scope=join_scope(scope),
            grants=list(grants) if device else None,
            **_given(options),
        )
        if answer.get("client_secret") is None:
            _show(invocation, answer)
        else:
            shown = answer if invocation.is_json else _in_short(answer)
            show_secret(invocation, shown, "client_secret", place=place)
    _show_endpoints(invocation, answer)


@app.command("list", examples=["herod app list", "herod app list --output json"])
@click.option("--limit", type=WholeNumber(1), metavar="N", help="Stop after N.")
@pass_invocation
def list_(invocation: Invocation, limit: int | None) -> None:
    """List apps: those that are built in, then the oldest."""
    items = invocation.items("apps.list", limit=limit)
    if not invocation.is_json:
        items = [{**item, "state": _state(item)} for item in items]
    invocation.show_items(items, COLUMNS, empty="There are no apps: `herod app add NAME --redirect URI` adds one.")


@app.command(examples=["herod app show Grafana", "herod app show CLIENT_ID --output json"])
@click.argument("name", metavar="APP")
@pass_invocation
def show(invocation: Invocation, name: str) -> None:
    """Show an app without its secret, and what to enter in its settings."""
    answer = invocation.call("apps.get", client_id=name)
    _show(invocation, answer)
    if not answer.get("built_in"):
        _show_endpoints(invocation, answer)


@app.command(
    examples=[
        "herod app edit Grafana --redirect https://new.example/cb",
        "herod app edit Grafana --scope read --no-remember-consent",
        "herod app edit Gitea --pkce off",
    ]
)
@click.argument("app_name", metavar="APP")
@click.option("--name", metavar="TEXT", help="What people are asked to sign in to.")
@redirect_option
@click.option("--scope", multiple=True, metavar="SCOPE", help="The most that people may give it; repeatable.")
@networks_option
@pkce_option
@algorithm_option
@post_logout_option
@click.option("--no-post-logout", is_flag=True, help="Remove its post-logout URIs.")
@device_option
@remember_option
@unconfirmed_option
@email_option
@expand_option
@pass_invocation
def edit(invocation: Invocation, /, app_name: str, *, name: str | None, scope: tuple[str, ...], **options: Any) -> None:
    """Change an app. What is given replaces what was there.

    With a narrower scope, what people gave it before is narrowed too, at its next use.
    """
    device, clears = options.pop("device"), options.pop("no_post_logout")
    if clears and options["post_logouts"]:
        raise click.UsageError("--post-logout and --no-post-logout are mutually exclusive: give one of them.")
    changes = {"name": name, "scope": join_scope(scope), **_given(options)}
    if clears:
        changes["post_logout_uris"] = []
    if device is not None or options["redirects"]:
        before = invocation.call("apps.get", client_id=app_name).get("grants")
        changes["grants"] = _grants(before, has_redirects=bool(options["redirects"]), has_codes=device)
    if all(value is None for value in changes.values()):
        raise click.UsageError("Nothing to change: give what is to be different.")
    _show(invocation, invocation.call("apps.update", client_id=app_name, **changes))


@app.command("rotate-secret", examples=["herod app rotate-secret Grafana --save grafana.secret"])
@click.argument("name", metavar="APP")
@save_option
@yes_option
@pass_invocation
def rotate_secret(invocation: Invocation, name: str, save: str | None, *, yes: bool) -> None:
    """Give an app a new client secret, which is shown once. The old one is refused at once."""
    confirm(f"Give {name} a new client secret? Nobody can sign in to it until it has the new one.", yes=yes)
    with place_for(save) as place:
        answer = invocation.call("apps.rotate_secret", client_id=name)
        show_secret(invocation, answer if invocation.is_json else _in_short(answer), "client_secret", place=place)


@app.command(examples=["herod app disable Grafana"])
@click.argument("name", metavar="APP")
@pass_invocation
def disable(invocation: Invocation, name: str) -> None:
    """Disable an app: nobody can sign in to it, and its secret and tokens are refused."""
    answer = invocation.call("apps.disable", client_id=name)
    invocation.done(answer, f"The app {name} is disabled; to undo: `herod app enable {shlex.quote(name)}`.")


@app.command(examples=["herod app enable Grafana"])
@click.argument("name", metavar="APP")
@pass_invocation
def enable(invocation: Invocation, name: str) -> None:
    """Enable an app again. What people gave it before is valid again."""
    invocation.done(invocation.call("apps.enable", client_id=name), f"The app {name} is enabled.")


@app.command(examples=["herod app delete Grafana", "herod app delete CLIENT_ID --yes"])
@click.argument("name", metavar="APP")
@yes_option
@pass_invocation
def delete(invocation: Invocation, name: str, *, yes: bool) -> None:
    """Delete an app; what people gave it ends at once."""
    confirm(f"Delete the app {name}? Its tokens end, and nobody can sign in to it any more.", yes=yes)
    invocation.done(invocation.call("apps.delete", client_id=name), f"The app {name} is deleted.")


app.add_command(connected)
app.add_command(disconnect)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """The parameters of the options that were given; the others are None."""
    return {
        "redirect_uris": list(options["redirects"]) or None,
        "post_logout_uris": list(options["post_logouts"]) or None,
        "networks": list(options["networks"]) or None,
        "pkce": options["pkce"],
        "id_token_algorithm": options["algorithm"],
        "remember_consent": options["remember_consent"],
        "admit_unconfirmed": options["admit_unconfirmed"],
        "send_unconfirmed_email": options["send_unconfirmed_email"],
        "expand_scope": options["expand_scope"],
    }


def _grants(before: object, *, has_redirects: bool, has_codes: bool | None) -> list[str] | None:
    """The grants of a changed app, which needs one for codes to use a redirect URI; None if they stay.

    Args:
        before: its grants as the daemon told them.
        has_redirects: whether it is given redirect URIs.
        has_codes: whether it may show codes from now on; None if that stays as it is.
    """
    known = [str(one) for one in before] if isinstance(before, list) else list(CODE_GRANTS)
    after = [CODE_GRANTS[0], *known] if has_redirects and CODE_GRANTS[0] not in known else known
    if has_codes is None:
        return after if after != known else None
    others = [one for one in after if one != DEVICE_GRANT]
    return [*others, DEVICE_GRANT] if has_codes else others


def _state(item: dict[str, Any]) -> str:
    if item.get("built_in"):
        return "built in"
    return "on" if item.get("enabled") else "off"


def _in_short(answer: dict[str, Any]) -> dict[str, Any]:
    """What is worth seeing beside a new secret; the rest is what `herod app show` is for."""
    names = ("client_id", "name", "redirect_uris", "scope", "client_secret", "warning")
    return {name: answer[name] for name in names if name in answer}


def _show(invocation: Invocation, answer: dict[str, Any]) -> None:
    """An app, for people without what does not apply to it."""
    warning = answer.get("warning")
    if not invocation.is_json:
        hidden = {"warning", "client_secret", *(name for name in ("creator", "created_at") if not answer.get(name))}
        answer = {name: value for name, value in answer.items() if name not in hidden}
    invocation.show(answer)
    if warning is not None and not invocation.is_json:
        print_notice(f"herod: warning: {warning}")


def _show_endpoints(invocation: Invocation, answer: dict[str, Any]) -> None:
    """Say to people what the settings of this app ask for, as far as the daemon offers it."""
    from herod_client import ClientError

    if invocation.is_json:
        return
    wanted = (*ENDPOINTS, DEVICE_ENDPOINT) if DEVICE_GRANT in answer.get("grants", ()) else ENDPOINTS
    known = "the client_id" if answer.get("type") == "public" else "the client_id and the secret"
    with suppress(ClientError):
        found = invocation.client().get(METADATA)
        if isinstance(found, dict) and (endpoints := {name: found[name] for name in wanted if name in found}):
            print_lines(["", f"To enter in the app's settings, with {known}:"])
            print_record({"discovery": f"{found.get('issuer')}{DISCOVERY}", **endpoints})
