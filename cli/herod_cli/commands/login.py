"""`herod login`, `logout` and `whoami`: signs in and out, and shows who you are to the daemon.

Passwords are read from the terminal or a file, never from the command line.
"""

import os

import click

from herod_cli.click_base_classes import HerodCommand
from herod_cli.exit_codes import FailureError
from herod_cli.invocation_context import Invocation, pass_invocation
from herod_cli.shared.output import print_notice
from herod_cli.shared.saved_tokens import SavedTokens, credentials_path
from herod_cli.shared.secret_files import ask_password, has_terminal, read_password

__all__ = ["login", "logout", "whoami"]


@click.command(
    cls=HerodCommand,
    examples=[
        "herod login",
        "herod login ada@example.org",
        "herod login ada@example.org --password-file -  # from standard input",
    ],
)
@click.argument("email", required=False)
@click.option("--password-file", metavar="FILE", help="Read the password from FILE, or from standard input for -.")
@pass_invocation
def login(invocation: Invocation, email: str | None, password_file: str | None) -> None:
    """Sign in with email and password.

    Saves the access token in $XDG_CONFIG_HOME/herod/credentials.json (0600) for this daemon's address. It is
    used there when no key or token is given.
    """
    from herod_client import Anonymous  # keeps `--help` fast

    address = str(invocation.address())
    sign_ins = SavedTokens(credentials_path(os.environ))
    sign_ins.check_path()
    if email is None:
        if not has_terminal():
            raise click.UsageError("There is no terminal to prompt for your email: give it as `login EMAIL`.")
        email = click.prompt("Email", err=True)
    if password_file is not None:
        password = read_password(password_file)
    else:
        password = ask_password("Password", twice=False, option="--password-file ")
    with invocation.make_client(Anonymous()) as client:
        answer = invocation.check_object(client.post("/login", {"email": email, "password": password}))
    if not isinstance(answer.get("access_token"), str):
        raise FailureError("The daemon answered without a token.", hint="`herod doctor` compares versions")
    sign_in = {name: answer.get(name) for name in ("access_token", "client_id", "scope")}
    sign_ins.keep(address, {**sign_in, "email": email})
    invocation.done(
        {"url": address, "email": email, **{name: sign_in[name] for name in ("client_id", "scope")}},
        f"Signed in to {address} as {email}, scope {answer.get('scope')}, for {answer.get('expires_in')} s.",
    )


@click.command(cls=HerodCommand, examples=["herod logout", "herod logout --url http://127.0.0.1:3350"])
@pass_invocation
def logout(invocation: Invocation) -> None:
    """Sign out and remove the saved token.

    Revokes the token saved for this daemon's address. If the daemon cannot be reached, the token is removed anyway and
    stays valid until it expires.
    """
    from herod_client import Bearer, ClientError, NotAuthenticated  # keeps `--help` fast

    address = str(invocation.address())
    sign_ins = SavedTokens(credentials_path(os.environ))
    token = sign_ins.token(address)
    if token is None:
        others = ", ".join(sign_ins.addresses)
        raise FailureError(
            f"You are not signed in to {address}.",
            hint=f"you are signed in to {others}: give one as --url" if others else None,
        )
    try:
        with invocation.make_client(Bearer(token)) as client:
            client.call("token.revoke", {"token": token})
    except NotAuthenticated:
        pass  # it was no longer valid
    except ClientError as error:
        print_notice(f"herod: warning: the token was not revoked and stays valid until it expires: {error.message}")
    sign_ins.forget(address)
    invocation.done({"url": address, "signed_out": True}, f"Signed out of {address}.")


@click.command(cls=HerodCommand, examples=["herod whoami", "herod whoami --peer", "herod whoami --key @key.txt"])
@pass_invocation
def whoami(invocation: Invocation) -> None:
    """Show who you are to the daemon.

    Shows the principal of the presented credential, with the scope and networks it holds now.
    """
    invocation.show(invocation.call("whoami"))
