"""Exit codes, and how expected failures are printed: one line, its hints, an exit code. Nothing else is caught."""

from typing import Final

import click

from herod_cli.shared.output import print_error
from herod_client.core.errors import StartupError

__all__ = [
    "INTERRUPTED",
    "NOT_AUTHENTICATED",
    "NOT_REACHABLE",
    "OK",
    "REFUSED",
    "USAGE",
    "FailureError",
    "report",
]

OK: Final = 0
REFUSED: Final = 1
USAGE: Final = 2
NOT_REACHABLE: Final = 3
NOT_AUTHENTICATED: Final = 4
INTERRUPTED: Final = 130  # 128 + SIGINT, as in shells

# Hints for errors that the daemon sent without one: (capability of the operation, error code) → hint.
HINTS: Final = {
    ("users", "not_found"): "`herod user list` lists the accounts, for admins",
    ("users", "conflict"): "`herod user list` lists the accounts, for admins",
    ("keys", "not_found"): "`herod key list` lists the keys that you may see",
    ("keys", "conflict"): "`herod key list` lists the keys that you may see",
    ("peers", "not_found"): "`herod peer list` lists the rules",
    ("legacy", "not_found"): "`herod legacy status` lists the ids",
    ("resources", "not_found"): "check the sid and the secret, and use the key that it was claimed with",
}


class FailureError(Exception):
    """A command failed for a reason on the client's side."""

    def __init__(self, message: str, *, hint: str | None = None, exit_code: int = REFUSED) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_code = exit_code


def report(error: Exception, *, who: str | None = None, asked: str | None = None) -> int | None:
    """Print an expected failure and return its exit code; None when `error` is not one.

    Args:
        error: the exception.
        who: a hint about the presented credential, printed when it is refused.
        asked: the operation that was called.
    """
    match error:
        case click.exceptions.NoArgsIsHelpError():
            click.echo(error.format_message(), err=True)
            return USAGE
        case click.UsageError():
            path = error.ctx.command_path if error.ctx is not None else "herod"
            print_error(_sentence(error.format_message()), f"see `{path} --help`")
            return USAGE
        case click.ClickException():
            print_error(_sentence(error.format_message()))
            return REFUSED
        case FailureError():
            print_error(error.message, error.hint)
            return error.exit_code
        case StartupError():
            print_error(_with_stop(str(error)))
            return error.exit_code
        case _:
            return _report_client(error, who, asked or "")


def _report_client(error: Exception, who: str | None, asked: str) -> int | None:
    # Imported here: commands that never contact a daemon do not pay for the client.
    from herod_client.client_errors import (
        BadAnswer,
        ClientError,
        InvalidInput,
        NotAuthenticated,
        Refused,
        Unreachable,
        Untrusted,
    )

    if not isinstance(error, ClientError):
        return None
    hints: list[str | None] = [error.hint]
    match error:
        case NotAuthenticated():
            # The hint about the credential may contain the daemon's hint.
            hints = [who] if who and error.hint and error.hint in who else [error.hint, who]
            code = NOT_AUTHENTICATED
        case Refused():
            hints = [error.hint or HINTS.get((asked.partition(".")[0], error.code))]
            code = REFUSED
        case Unreachable() | Untrusted() | BadAnswer():
            code = NOT_REACHABLE
        case InvalidInput():
            code = USAGE
        case _:
            code = REFUSED
    print_error(error.message, *dict.fromkeys(hints))
    return code


def _with_stop(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _sentence(text: str) -> str:
    return " ".join(text.split())
