"""Validation of a credential, shared by `token validate` and `key verify`."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import click

from herod_cli.exit_codes import OK, REFUSED
from herod_cli.invocation_context import Invocation, pass_invocation
from herod_cli.shared.output import print_lines, print_notice, show
from herod_cli.shared.secret_files import read_secret

__all__ = ["resource_option", "show_verdict", "verdict_callback"]


# Reason → what it means and what to do, where the word does not say it.
MEANINGS: Final = {
    "invalid": "nobody holds such a key or secret: check it for typing errors, or whether it was deleted",
    "scope": "the credential itself is valid, but does not have the required scope",
    "network": "the credential itself is valid, but does not reach the required network",
    "owner_disabled": "the account that the key belongs to is disabled: `herod user enable ID`",
    "clock": "it was issued in the future: compare the clocks of the machines, for example with `timedatectl`",
    "audience": "it is for one resource: name that with --resource; or it is from another herod",
}


resource_option = click.option(
    "--resource", metavar="URI", help="Take a token that is for this resource, or for what lies below it."
)


def verdict_callback(what: str) -> Callable[..., int]:
    """Build the callback of a command that validates a credential, with its argument and options.

    Args:
        what: `key` or `token`, as help and messages name it.
    """

    @click.argument("text", metavar=f"{what.upper()}|@FILE|-")
    @click.option("--scope", metavar="SCOPE", help="Also require this scope.")
    @click.option("--network", metavar="NAME", help="Also require this network.")
    @resource_option
    @pass_invocation
    def ask(invocation: Invocation, text: str, scope: str | None, network: str | None, resource: str | None) -> int:
        credential = read_secret(text, what)
        answer = invocation.call("token.validate", token=credential, scope=scope, network=network, resource=resource)
        is_good = answer.get("valid") is True
        code = show_verdict(invocation, answer, is_good=is_good)
        meaning = None if is_good else MEANINGS.get(show(answer.get("reason")))
        if meaning is not None and not invocation.is_json:
            print_notice(f"  hint: {meaning}", indent=8)
        return code

    return ask


def show_verdict(invocation: Invocation, answer: Mapping[str, Any], *, is_good: bool) -> int:
    """Print the verdict, with readable times, and return the exit code."""
    if invocation.is_json:
        invocation.show(answer)
    elif is_good:
        invocation.show({**answer, **{name: _time(answer[name]) for name in ("exp", "iat") if name in answer}})
    else:
        reason = show(answer.get("reason", "invalid"))
        print_lines(["not valid" if reason == "invalid" else f"not valid: {reason}"])
    return OK if is_good else REFUSED


def _time(seconds: object) -> object:
    if not isinstance(seconds, int):
        return seconds
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return seconds
