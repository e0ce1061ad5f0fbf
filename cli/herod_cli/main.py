"""`herod`: the root command. Finds the command, runs it, and turns the outcome into an exit code.

Imports a command only when it is used, and never the daemon or the client.
"""

import errno
import io
import sys
from collections.abc import Sequence
from typing import Final

import click

from herod_cli.click_base_classes import LazyGroup
from herod_cli.exit_codes import INTERRUPTED, OK, REFUSED, report
from herod_cli.invocation_context import Invocation
from herod_cli.shared.output import print_error
from herod_cli.shared.standard_streams import drop_output, replace_closed_streams

__all__ = ["herod", "main"]

# Each module has an object with the command's name (and a trailing underscore if that is a Python keyword).
PLACES: Final = {
    "serve": ("herod_cli.commands.serve", "Run the daemon."),
    "status": ("herod_cli.commands.status", "Show the daemon's status, and who is signed in."),
    "attention": ("herod_cli.commands.attention", "List what needs an admin's attention."),
    "doctor": ("herod_cli.doctor.doctor", "Find problems and how to fix them."),
    "login": ("herod_cli.commands.login", "Sign in, in a browser, by a code, or with a password."),
    "logout": ("herod_cli.commands.login", "Sign out and remove what was saved."),
    "whoami": ("herod_cli.commands.login", "Show who you are to the daemon."),
    "user": ("herod_cli.commands.user", "Accounts: add, change, delete."),
    "key": ("herod_cli.commands.key", "API keys: create, verify, rotate, disable, delete."),
    "token": ("herod_cli.commands.token", "Access tokens: issue, validate, inspect, revoke."),
    "app": ("herod_cli.commands.app", "Apps that people sign in to with herod."),
    "approval": ("herod_cli.commands.approval", "What your apps ask you to allow."),
    "peer": ("herod_cli.commands.peer", "Local users and groups that need no key."),
    "resource": ("herod_cli.commands.resource", "Resources that services keep for tenants, opened by a secret."),
    "audit": ("herod_cli.commands.audit", "The audit log: what was done, tried and refused, and by whom."),
    "legacy": ("herod_cli.commands.legacy", "Secrets from older systems, and the keys that replace them."),
    "explain": ("herod_cli.commands.explain", "Explain an authorization decision."),
    "backup": (
        "herod_cli.commands.backup",
        "Back up the whole store to FILE while the daemon runs.",
    ),
    "restore": ("herod_cli.offline.restore", "Replace the store with a backup."),
    "export": ("herod_cli.offline.export_import", "Write all accounts, keys and apps to FILE, encrypted."),
    "import": ("herod_cli.offline.export_import", "Import accounts, keys and apps from another herod, or Hero Auth."),
    "secret": ("herod_cli.offline.secret", "The daemon's own secret."),
    "ui": ("herod_cli.ui.ui", "Open the dashboard in a browser, signed in as you."),
    "smoke": ("herod_cli.commands.smoke", "Run 24 checks against a live daemon."),
    "completion": ("herod_cli.commands.completion", "Print a shell completion script."),
}

# Errors of an output that accepts no more data.
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's
    if value and not ctx.resilient_parsing:
        from herod_cli.shared.cli_version import cli_version  # 20 ms that other commands do not pay

        click.echo(f"herod {cli_version()}")
        ctx.exit()


@click.command(
    cls=LazyGroup,
    name="herod",
    places=PLACES,
    examples=[
        "herod serve",
        "herod status",
        "herod user add ada@example.org --scope write",
        "herod key create backup --scope read --expires 90d",
        "herod user list --output json",
    ],
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version and exit.",
)
def herod() -> None:
    """Ask the local auth daemon: who is this, and may they?

    On the local Unix socket the daemon's owner needs no key. Exit codes: 0 ok, 1 refused or failed, 2 usage, 3 not
    reachable, 4 not authenticated.
    """


def main(args: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    replace_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a character that the encoding lacks must not fail the command
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(None if args is None else list(args))
        sys.stdout.flush()
    except BrokenPipeError:  # the reader closed the pipe, as `head` does: end silently
        drop_output(sys.stdout)
        return REFUSED
    except OSError as error:
        if error.errno not in {*FULL, errno.EBADF}:
            raise
        drop_output(sys.stdout)
        hint = "free space where it is written" if error.errno in FULL else "> /dev/null if you do not need it"
        print_error(f"The output could not be written: {error.strerror}.", hint)
        return REFUSED
    return code


def _run(args: list[str] | None) -> int:
    invocation = Invocation()
    try:
        code = herod.main(args, prog_name="herod", standalone_mode=False, obj=invocation)
    except (click.Abort, KeyboardInterrupt):
        print_error("Interrupted.")
        return INTERRUPTED
    except SystemExit as error:  # click exits this way on a broken pipe and after shell completion
        return error.code if isinstance(error.code, int) else OK
    except BrokenPipeError:
        raise
    except Exception as error:
        ended = report(error, who=invocation.who, asked=invocation.asked)
        if ended is None:
            raise
        return ended
    return code if isinstance(code, int) else OK
