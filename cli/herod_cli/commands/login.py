"""`herod login`, `logout` and `whoami`: signs in and out, and shows who you are to the daemon.

Passwords and codes are read from the terminal or a file, never from the command line.
"""

from typing import TYPE_CHECKING

import click

from herod_cli.click_base_classes import HerodCommand
from herod_cli.invocation_context import Invocation, pass_invocation
from herod_cli.shared.secret_files import has_terminal

if TYPE_CHECKING:
    from herod_cli.sign_in.saved_sign_ins import SignIn

__all__ = ["login", "logout", "whoami"]


@click.command(
    cls=HerodCommand,
    examples=[
        "herod login",
        "herod login --device  # without a browser on this machine",
        "herod login --scope read",
        "herod login --email ada@example.org",
        "herod login --email ada@example.org --password-file -  # from standard input",
        "herod login --email ada@example.org --otp-file code.txt",
    ],
)
@click.argument("address", metavar="[EMAIL]", required=False)
@click.option("--device", is_flag=True, help="Show a code to enter in a browser on any device.")
@click.option("--email", metavar="EMAIL", help="Sign in with this email's password, for an hour. Also as argument.")
@click.option("--password-file", metavar="FILE", help="Read the password from FILE, or from standard input for -.")
@click.option("--otp-file", metavar="FILE", help="Read the second factor's code from FILE, or standard input for -.")
@click.option("--scope", multiple=True, metavar="SCOPE", help="Ask for this only; repeatable. By browser or code.")
@click.option("--print", "prints", is_flag=True, help="Open no browser: print the address for one on this machine.")
@pass_invocation
def login(
    invocation: Invocation,
    address: str | None,
    *,
    device: bool,
    email: str | None,
    password_file: str | None,
    otp_file: str | None,
    scope: tuple[str, ...],
    prints: bool,
) -> None:
    """Sign in, in a browser, by a code, or with a password.

    A browser opens, where you sign in and allow this command. You stay signed in while you use it every 30 days, at
    most 90 days. Keys, accounts and other lasting things are managed for an hour after --email, or in the dashboard.

    What is needed is saved in $XDG_CONFIG_HOME/herod/credentials.json (0600) for this daemon's address. It is used
    there when no key or token is given.
    """
    if email is not None and address is not None:
        raise click.UsageError("Give the email once: as --email, or as argument.")
    email = email or address
    by_password = email is not None or password_file is not None or otp_file is not None
    if by_password and (device or prints or scope):
        raise click.UsageError("--device, --print and --scope are for signing in without a password: leave them out.")
    if device and prints:
        raise click.UsageError("--device and --print are mutually exclusive: give one of them.")
    from herod_cli.sign_in.saving import check_room, keep  # keeps `--help` fast, here and below

    invocation.address()
    check_room()
    if by_password:
        from herod_cli.sign_in.password_sign_in import sign_in_by_password

        found = sign_in_by_password(invocation, _email(email), password_file=password_file, otp_file=otp_file)
    elif device:
        from herod_cli.sign_in.device_sign_in import sign_in_by_device

        found = sign_in_by_device(invocation, scope=scope)
    else:
        from herod_cli.sign_in.browser_sign_in import sign_in_by_browser

        found = sign_in_by_browser(invocation, scope=scope, prints=prints)
    keep(invocation, found)
    _report(invocation, found)


def _email(email: str | None) -> str:
    if email is not None:
        return email
    if not has_terminal():
        raise click.UsageError("There is no terminal to prompt for your email: give it as --email EMAIL.")
    return str(click.prompt("Email", err=True))


def _report(invocation: Invocation, found: "SignIn") -> None:
    address = str(invocation.address())
    told = {"url": address, "client_id": found.client_id, "scope": found.scope, "method": found.method}
    invocation.done(
        {**told, ("email" if found.method == "password" else "name"): found.name},
        f"Signed in to {address} as {found.name}, scope {found.scope}, {_until(found)}.",
    )


def _until(found: "SignIn") -> str:
    """How long a new sign-in lasts, for people."""
    from herod_cli.sign_in.described_sign_in import show_time

    if found.refresh_token is None:
        return "until the token ends" if found.expires_at is None else f"until {show_time(found.expires_at)}"
    return "for as long as you use it every 30 days, at most 90"


@click.command(cls=HerodCommand, examples=["herod logout", "herod logout --url http://127.0.0.1:3350"])
@pass_invocation
def logout(invocation: Invocation) -> None:
    """Sign out and remove what was saved.

    Ends the sign-in at this daemon's address, with its tokens. If the daemon cannot be reached, what was saved is
    removed anyway, and the sign-in stays valid until it ends by itself.
    """
    from herod_cli.sign_in.saving import sign_out  # keeps `--help` fast, here and below

    sign_out(invocation)
    address = str(invocation.address())
    invocation.done({"url": address, "signed_out": True}, f"Signed out of {address}.")


@click.command(cls=HerodCommand, examples=["herod whoami", "herod whoami --peer", "herod whoami --key @key.txt"])
@pass_invocation
def whoami(invocation: Invocation) -> None:
    """Show who you are to the daemon.

    Shows the principal of the presented credential, with the scope and networks it holds now; for a sign-in of `herod
    login`, also how you signed in and until when.
    """
    from herod_cli.sign_in.described_sign_in import describe_sign_in, sign_in_sentence

    answer = invocation.call("whoami")
    found = describe_sign_in(invocation)
    if found is None:
        invocation.show(answer)
    elif invocation.is_json:
        invocation.show({**answer, "sign_in": found})
    else:
        invocation.show({**answer, "signed_in": sign_in_sentence(found)})
