"""Account parameters, and output of secrets that are shown once: shared by several commands."""

import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from herod_cli.invocation_context import Invocation
from herod_cli.shared.output import box, print_lines, print_notice, record, terminal_width
from herod_cli.shared.secret_files import SavedSecret

__all__ = ["account", "join_scope", "place_for", "show_secret"]


def account(who: str) -> dict[str, str]:
    """Return the parameter that names an account: an email has an `@`; a client_id and most names do not."""
    return {"email": who} if "@" in who else {"client_id": who}


def join_scope(scope: tuple[str, ...]) -> str | None:
    """Join repeated options into the one scope string that the API takes; None without any."""
    return " ".join(scope) if scope else None


def place_for(path: str | None) -> AbstractContextManager[SavedSecret | None]:
    """Create the file of `--save` before the secret is created; None without the option."""
    return nullcontext(None) if path is None else SavedSecret(path)


def show_secret(invocation: Invocation, answer: Mapping[str, Any], secret: str, *, place: SavedSecret | None) -> None:
    """Output a secret that is shown once: to its file, or else as JSON, in a box, or plain.

    Args:
        invocation: its output format applies.
        answer: the whole answer.
        secret: the name of the field that is secret.
        place: the file of `--save`.
    """
    warning = None if invocation.is_json else answer.get("warning")
    answer = answer if warning is None else {name: value for name, value in answer.items() if name != "warning"}
    others = {name: value for name, value in answer.items() if name != secret}
    if place is not None and place.write(str(answer.get(secret, ""))):
        if invocation.is_json:
            invocation.show({**others, "saved_to": place.path})
        else:
            invocation.show(others)
            print_notice(f"The {secret} is in {place.path} (0600) and nowhere else.")
    elif invocation.is_json:
        invocation.show(answer)
    elif sys.stdout.isatty():
        lines = record(others, available=terminal_width() - 4)
        print_lines(box([*lines, "", f"{secret}:", str(answer.get(secret)), "", "Save it now: it is not shown again."]))
    else:
        invocation.show(answer)
    if warning is not None:
        print_notice(f"herod: warning: {warning}")
