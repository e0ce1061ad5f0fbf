"""`herod explain`: explains an authorization decision, and what would change it."""

import click

from herod_cli.click_base_classes import HerodCommand
from herod_cli.exit_codes import OK, REFUSED
from herod_cli.invocation_context import Invocation, pass_invocation
from herod_cli.shared.output import print_lines, show

__all__ = ["explain"]


@click.command(
    cls=HerodCommand,
    examples=[
        "herod explain --operation users.list",
        "herod explain --principal ada@example.org --scope write --network lab",
        "herod explain --principal uid:1000 --scope admin --output json",
    ],
)
@click.option("--principal", metavar="ID", help="Client_id, email, key id, unique name, uid:N or gid:N. Default: you.")
@click.option("--operation", metavar="NAME", help="Ask about this operation, such as users.list.")
@click.option("--scope", metavar="SCOPE", help="Ask about this scope.")
@click.option("--network", metavar="NAME", help="On this network.")
@pass_invocation
def explain(
    invocation: Invocation,
    principal: str | None,
    operation: str | None,
    scope: str | None,
    network: str | None,
) -> int:
    """Explain an authorization decision.

    Prints the decision, the reason and the command that would fix it. Exit code 0 when allowed, 1 when not. Asking
    about others needs scope admin.
    """
    if operation is not None and scope is not None:
        raise click.UsageError("Ask about --operation or --scope, not both.")
    if operation is scope is network is None:
        raise click.UsageError("Give --operation, --scope or --network.")
    answer = invocation.call("access.explain", principal=principal, operation=operation, scope=scope, network=network)
    is_allowed = answer.get("allowed") is True
    if invocation.is_json:
        invocation.show(answer)
    elif is_allowed:
        print_lines(["allowed"])
    else:
        reason = show(answer.get("reason")).replace("_", " ")
        missing = f": {show(answer['missing'])}" if answer.get("missing") else ""
        print_lines([f"denied: {reason}{missing}"])
        if answer.get("hint"):
            print_lines([f"  fix: {show(answer['hint'])}"])
    return OK if is_allowed else REFUSED
