"""`herod token …`: access tokens."""

import sys
from typing import Final

import click

from herod_cli.click_base_classes import HerodGroup
from herod_cli.commands.user import save_option
from herod_cli.exit_codes import FailureError
from herod_cli.invocation_context import Invocation, pass_invocation
from herod_cli.shared.account_reference import place_for
from herod_cli.shared.credential_verdict import resource_option, show_verdict, verdict_callback
from herod_cli.shared.output import clean, print_lines, print_notice
from herod_cli.shared.secret_files import ask_password, read_secret

__all__ = ["token"]

# The reasons of `token.validate` for text that this daemon cannot have revoked.
FOREIGN: Final = frozenset({"invalid", "malformed", "signature", "audience"})


@click.group(
    cls=HerodGroup,
    examples=[
        "herod token issue --scope read",
        "herod token validate @token.txt --scope write",
        "herod token revoke @token.txt",
    ],
)
def token() -> None:
    """Access tokens: issue, validate, inspect, revoke."""


@token.command(
    examples=[
        "herod token issue",
        "herod token issue --client-id CLIENT_ID --secret @worker.secret --scope read",
        "herod token issue --resource https://jobs.example.org",
        "herod token issue --save token.txt",
    ]
)
@click.option("--client-id", metavar="ID", help="The account's client_id. Without it your uid is presented.")
@click.option("--secret", metavar="@FILE|-", help="The account's client secret; prompted for if omitted.")
@click.option("--scope", multiple=True, metavar="SCOPE", help="Scope; repeatable. Default: the account's own.")
@click.option("--resource", metavar="URI", help="The token's audience: the one service it is for.")
@save_option
@pass_invocation
def issue(
    invocation: Invocation,
    client_id: str | None,
    secret: str | None,
    scope: tuple[str, ...],
    resource: str | None,
    save: str | None,
) -> None:
    """Get an access token for a client secret, or for your uid.

    Only the token is printed to standard output. Keys and tokens cannot be exchanged for tokens.
    """
    from herod_client import Basic, PeerIdentity, UnixAddress  # keeps `--help` fast

    identity: Basic | PeerIdentity
    if client_id is not None:
        text = (
            read_secret(secret, "secret", option="--secret")
            if secret is not None
            else ask_password("Client secret", twice=False, option="--secret @")
        )
        identity = Basic(client_id, text)
        invocation.who = "check the client_id and its secret; `herod user rotate-secret` creates a new one"
    elif secret is not None:
        raise click.UsageError("--secret needs --client-id.")
    elif not isinstance(invocation.address(), UnixAddress):
        raise click.UsageError("Over TCP, give --client-id and --secret @FILE.")
    else:
        identity = PeerIdentity()
    form = {"grant_type": "client_credentials"}
    if scope:
        form["scope"] = " ".join(scope)
    if resource is not None:
        form["resource"] = resource
    with place_for(save) as place, invocation.make_client(identity) as client:
        answer = invocation.check_object(client.post_form("/token", form))
        issued = answer.get("access_token")
        if not isinstance(issued, str):
            raise FailureError("The daemon answered without a token.", hint="`herod doctor` compares versions")
        rest = f"scope {answer.get('scope')}, for {answer.get('expires_in')} s"
        if place is not None and place.write(issued):
            others = {name: value for name, value in answer.items() if name != "access_token"}
            invocation.done({**others, "saved_to": place.path}, f"The token is in {place.path} (0600): {rest}.")
        elif invocation.is_json:
            invocation.show(answer)
        else:
            print_lines([clean(issued)])
            if sys.stderr.isatty():
                print_notice(rest)


token.command(
    "validate",
    examples=[
        "herod token validate @token.txt",
        "herod token validate - --scope write < token.txt",
        "herod token issue | herod token validate - --output json",
        "herod token validate @token.txt --resource https://jobs.example.org",
    ],
    help="Check whether a token (or key) is valid: exit code 0 if it is, 1 if not.",
)(verdict_callback("token"))


@token.command(
    examples=[
        "herod token inspect @token.txt",
        "herod token issue --resource https://jobs.example.org | herod token inspect -",
    ]
)
@click.argument("text", metavar="TOKEN|@FILE|-")
@resource_option
@pass_invocation
def inspect(invocation: Invocation, text: str, resource: str | None) -> int:
    """Show the subject and grants of a token (or key): exit code 0 if it is active, 1 if not.

    A token for one resource is active to its holder, to admins, and to who names that with --resource.
    """
    answer = invocation.call("token.introspect", token=read_secret(text, "token"), resource=resource)
    return show_verdict(invocation, answer, is_good=answer.get("active") is True)


@token.command(examples=["herod token revoke @token.txt", "herod token revoke - < token.txt"])
@click.argument("text", metavar="TOKEN|@FILE|-")
@pass_invocation
def revoke(invocation: Invocation, text: str) -> None:
    """Revoke an access token: your own, or any as an admin.

    Text that is not a token of this daemon is an error, so that a partly copied token is not taken for revoked.
    """
    content = read_secret(text, "token")
    answer = invocation.call("token.revoke", token=content)
    # RFC 7009: the daemon also reports success for tokens that were never valid.
    verdict = invocation.call("token.validate", token=content)
    if verdict.get("valid") is True or verdict.get("reason") in FOREIGN:
        raise FailureError(
            "This is not an access token of this daemon: nothing was revoked.",
            hint="copy the whole token again; to end a key, use `herod key delete ID`",
        )
    invocation.done(answer, "The token is revoked.")
