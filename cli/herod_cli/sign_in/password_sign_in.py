"""`herod login --email`: with a password and, if the account has a second factor, one of its codes.

Both are read from the terminal or from files, never from the command line. It gives a plain access token, which ends
within the hour and cannot be renewed.
"""

import time
from typing import TYPE_CHECKING, Any, Final

import click

from herod_cli.exit_codes import FailureError
from herod_cli.shared.secret_files import ask_password, has_terminal, read_password
from herod_cli.sign_in.saved_sign_ins import SignIn

if TYPE_CHECKING:
    from herod_cli.invocation_context import Invocation
    from herod_client import Client

__all__ = ["sign_in_by_password"]

NEEDS_CODE: Final = "second_factor_needed"
CODE_PROMPT: Final = "Code of your authenticator app, or a recovery code"


def sign_in_by_password(
    invocation: "Invocation", email: str, *, password_file: str | None, otp_file: str | None
) -> SignIn:
    """Sign in with email and password; `-` as a file is standard input.

    Raises:
        UsageError: there is no terminal to prompt on, and no file.
        FailureError: the daemon answered without a token.
    """
    from herod_client import Anonymous  # keeps `--help` fast

    if (password_file, otp_file) == ("-", "-"):
        raise click.UsageError("Only one of --password-file and --otp-file can be standard input.")
    if password_file is not None:
        password = read_password(password_file)
    else:
        password = ask_password("Password", twice=False, option="--password-file ")
    sent = {"email": email, "password": password}
    if otp_file is not None:
        sent["otp"] = read_password(otp_file)
    with invocation.make_client(Anonymous()) as client:
        answer = invocation.check_object(_ask(client, sent))
    if not isinstance(answer.get("access_token"), str):
        raise FailureError("The daemon answered without a token.", hint="`herod doctor` compares versions")
    now, seconds = int(time.time()), answer.get("expires_in")
    return SignIn(
        access_token=answer["access_token"],
        expires_at=now + seconds if isinstance(seconds, int) else None,
        client_id=str(answer.get("client_id") or ""),
        name=email,
        scope=str(answer.get("scope") or ""),
        signed_in_at=now,
    )


def _ask(client: "Client", sent: dict[str, str]) -> Any:
    from herod_client import Refused

    try:
        return client.post("/login", sent)
    except Refused as error:
        if error.code != NEEDS_CODE or "otp" in sent:
            raise
    if not has_terminal():
        raise click.UsageError(
            "This account has a second factor: give a code of its authenticator app, or a recovery code, with"
            " --otp-file FILE. With a passkey, use `herod login`, which opens a browser."
        )
    code = ask_password(CODE_PROMPT, twice=False, option="--otp-file ")
    return client.post("/login", {**sent, "otp": code})
