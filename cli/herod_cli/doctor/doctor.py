"""`herod doctor`: checks the daemon, its files and its install, and says how to fix each problem.

Read-only: it changes nothing, and shows no secret.
"""

from typing import Final

import click

from herod_cli.click_base_classes import HerodCommand
from herod_cli.doctor.findings import Finding, Result
from herod_cli.exit_codes import OK, REFUSED
from herod_cli.invocation_context import Invocation, pass_invocation
from herod_cli.shared.output import clean, flow, print_json, print_lines, terminal_width, wrap

__all__ = ["doctor"]

INDENT: Final = 6


@click.command(
    cls=HerodCommand,
    examples=["herod doctor", "herod doctor --url unix:/run/herod/herod.sock", "herod doctor --output json"],
)
@pass_invocation
def doctor(invocation: Invocation) -> int:
    """Find problems and how to fix them.

    Checks the socket and its cookie, as whom the daemon runs, its health, who you are to it, versions, who may read
    secrets, saved tokens and the store, and the service that `make install` installed. Exit code 1 if any check fails.
    """
    from herod_cli.doctor.daemon_checks import check_daemon  # keeps `--help` fast
    from herod_cli.doctor.file_checks import check_files
    from herod_cli.doctor.install_checks import check_install

    findings = [*check_daemon(invocation), *check_files(), *check_install()]
    failed = any(finding.result is Result.FAIL for finding in findings)
    if invocation.is_json:
        print_json({"ok": not failed, "checks": [finding.as_json() for finding in findings]})
    else:
        for finding in findings:
            print_lines(_lines(finding))
    return REFUSED if failed else OK


def _lines(finding: Finding) -> list[str]:
    columns = terminal_width() - INDENT
    lines = wrap(clean(finding.text), columns)
    shown = [f"{finding.result if not index else '':<{INDENT}}{line}" for index, line in enumerate(lines)]
    if finding.fix:
        shown += [" " * INDENT + line for line in flow(clean(f"fix: {finding.fix}"), columns, indent=0)]
    return shown
