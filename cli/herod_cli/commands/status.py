"""`herod status`: shows the daemon's health, version and counts."""

from typing import Any, Final

import click

from herod_cli.click_base_classes import HerodCommand
from herod_cli.exit_codes import OK, REFUSED, FailureError
from herod_cli.invocation_context import Invocation, pass_invocation
from herod_cli.shared.output import print_notice

__all__ = ["status"]

# Left out for people: the counts have lines of their own, and `version` is the same.
NOT_SHOWN: Final = frozenset({"stats", "server_version"})


@click.command(
    cls=HerodCommand,
    examples=["herod status", "herod status --url http://127.0.0.1:3350", "herod status --output json"],
)
@pass_invocation
def status(invocation: Invocation) -> int:
    """Show the daemon's status, and who is signed in.

    Health and version need no credential, counts need scope read. Exit code 0 if the daemon is healthy, 1 if not, 3
    if it cannot be reached.
    """
    from herod_cli.sign_in.described_sign_in import describe_sign_in, sign_in_sentence  # keeps `--help` fast
    from herod_client import Anonymous

    may_count = _has_credential(invocation)
    with invocation.make_client(Anonymous()) as client:
        health = invocation.check_object(client.get("/health", allow=(503,)))
        version = invocation.check_object(client.get("/api/version"))
    answer: dict[str, Any] = {"url": str(client.address), **health, **version}
    counts = _counts(invocation) if may_count else None
    sign_in = describe_sign_in(invocation) if may_count else None
    if counts is not None:
        answer["stats"] = counts
    if invocation.is_json:
        invocation.show(answer if sign_in is None else {**answer, "sign_in": sign_in})
    else:
        shown = {name: value for name, value in answer.items() if name not in NOT_SHOWN}
        if counts is not None:
            shown |= {**counts, "uptime": _duration(counts.get("uptime"))}
        if sign_in is not None:
            shown["signed_in"] = sign_in_sentence(sign_in)
        invocation.show(shown)
    if answer.get("status") != "ok":
        print_notice("  hint: read the daemon's log, which says what failed and what to do")
        return REFUSED
    return OK


def _has_credential(invocation: Invocation) -> bool:
    """Whether there is a credential to present: a sign-in may have ended, or the daemon not be able to renew it."""
    from herod_client import Refused

    try:
        invocation.client()
    except (FailureError, Refused) as error:
        print_notice(f"herod: {error.message}")
        return False
    return True


def _counts(invocation: Invocation) -> dict[str, Any] | None:
    from herod_client import Refused  # loaded by the client already

    try:
        return invocation.call("stats")
    except (FailureError, Refused):
        return None  # counts need a scope; health is enough


def _duration(seconds: object) -> object:
    if not isinstance(seconds, int | float) or seconds < 0:
        return seconds
    minutes, left = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (left, "s")]
    return " ".join(f"{count} {unit}" for count, unit in parts if count)[:40] or "0 s"
