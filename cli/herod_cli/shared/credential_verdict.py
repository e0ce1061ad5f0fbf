"""The question "is this credential good?", asked and shown alike for tokens and keys."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import click

from herod_cli.exit_codes import OK, REFUSED
from herod_cli.invocation_context import Invocation, pass_invocation
from herod_cli.shared.output import print_lines, print_notice, show
from herod_cli.shared.secret_files import read_secret

__all__ = ["show_verdict", "verdict_callback"]


def verdict_callback(what: str) -> Callable[..., int]:
    """The body of a command, with its argument and options: it asks whether a credential is good now.

    Args:
        what: `key` or `token`, as the command's help and its messages call it.
    """

    @click.argument("text", metavar=f"{what.upper()}|@FILE|-")
    @click.option("--scope", metavar="SCOPE", help="Demand this scope too.")
    @click.option("--network", metavar="NAME", help="Demand this network too.")
    @pass_invocation
    def ask(invocation: Invocation, text: str, scope: str | None, network: str | None) -> int:
        credential = read_secret(text, what)
        answer = invocation.call("token.validate", token=credential, scope=scope, network=network)
        is_good = answer.get("valid") is True
        code = show_verdict(invocation, answer, is_good=is_good)
        if not is_good and answer.get("reason") == "invalid" and not invocation.is_json:
            print_notice(
                "  hint: herod does not tell why of keys and secrets; `herod key show ID` shows a key's state",
                indent=8,
            )
        return code

    return ask


def show_verdict(invocation: Invocation, answer: Mapping[str, Any], *, is_good: bool) -> int:
    """Print it, times as people read them; the exit code."""
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
