"""Saves a sign-in, and signs out: what is saved here and what is valid at the daemon begin and end together.

Must never leave a sign-in valid of which nothing is saved, unless the daemon cannot be told; then it says so.
"""

import os
from typing import TYPE_CHECKING, Final

from herod_cli.exit_codes import FailureError
from herod_cli.shared.output import print_notice
from herod_cli.sign_in.saved_sign_ins import SavedSignIns, SignIn, changing, credentials_path

if TYPE_CHECKING:
    from herod_cli.invocation_context import Invocation

__all__ = ["check_room", "keep", "sign_out"]

IT_GOES_ON: Final = (
    "  hint: it ends by itself 30 days after its last use; end it before in the dashboard under Connected apps, or with"
    " `herod app disconnect herod-cli`"
)
SOON_OVER: Final = "  hint: its token ends by itself within the hour"


def check_room() -> None:
    """Check that a sign-in can be saved, before anybody types a password.

    Raises:
        RuntimeFailure, FailureError: as `changing`.
    """
    with changing(credentials_path(os.environ)):
        pass


def keep(invocation: "Invocation", found: SignIn) -> None:
    """Save a sign-in, and end the lasting one that it replaces; one that cannot be saved is ended itself.

    Raises:
        FailureError: it cannot be saved.
    """
    address = str(invocation.address())
    try:
        with changing(credentials_path(os.environ)) as saved:
            former = saved.lasting(address)
            saved.keep(address, found)
            is_replaced = saved.lasting(address) != former
    except FailureError:
        _end(invocation, found)
        raise
    if former is not None and is_replaced:
        _end(invocation, former)


def sign_out(invocation: "Invocation") -> None:
    """End all sign-ins at this address at the daemon, and remove them.

    Raises:
        FailureError: there are none, or they cannot be removed; they are ended all the same.
    """
    address, path = str(invocation.address()), credentials_path(os.environ)
    saved: SavedSignIns = SavedSignIns(path)
    if address not in saved.addresses:
        others = ", ".join(saved.addresses)
        raise FailureError(
            f"You are not signed in to {address}.",
            hint=f"you are signed in to {others}: give one as --url" if others else None,
        )
    is_told = False
    try:
        with changing(path, room=0) as change:  # under the lock: a command that is renewing it finishes first
            _end_all(invocation, change)
            is_told = True
            change.forget(address)
    except FailureError:
        if not is_told:
            _end_all(invocation, saved)
        raise


def _end_all(invocation: "Invocation", saved: SavedSignIns) -> None:
    address = str(invocation.address())
    for found in (saved.by_password(address), saved.lasting(address)):
        if found is not None:
            _end(invocation, found)


def _end(invocation: "Invocation", found: SignIn) -> None:
    """End a sign-in at the daemon, or warn that it goes on."""
    from herod_cli.sign_in.lasting_sign_ins import end_family
    from herod_client import Anonymous, Bearer, ClientError, NotAuthenticated

    try:
        if found.refresh_token is None:
            with invocation.make_client(Bearer(found.access_token)) as client:
                client.call("token.revoke", {"token": found.access_token})
        else:
            with invocation.make_client(Anonymous()) as client:
                end_family(client, found)
    except NotAuthenticated:
        return  # it was no longer valid
    except ClientError as error:
        print_notice(f"herod: warning: the daemon did not end the sign-in of {found.name}: {error.message}")
        print_notice(SOON_OVER if found.refresh_token is None else IT_GOES_ON)
