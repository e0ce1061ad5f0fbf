"""Sign-ins that last: made of the tokens that herod issues to its app `herod-cli`, and renewed when those end.

The tokens go to the daemon at the address that the command talks to, never to one that an answer names. Parallel
commands renew one once: the first holds the lock, and the others find what it got.
"""

import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from herod_cli.exit_codes import NOT_AUTHENTICATED, FailureError
from herod_cli.shared.output import print_notice
from herod_cli.sign_in.saved_sign_ins import Method, SignIn, changing, credentials_path

if TYPE_CHECKING:
    from herod_cli.invocation_context import Invocation
    from herod_client import Client

__all__ = [
    "CLIENT_ID",
    "check_address",
    "end_family",
    "end_of",
    "issuer_of",
    "metadata_of",
    "renew",
    "sign_in_from",
]

CLIENT_ID: Final = "herod-cli"
"""The built-in app of this command (`herod/identity/apps/registered_apps.py`)."""
METADATA_PATH: Final = "/.well-known/oauth-authorization-server"
# How the client reports a refused grant (RFC 6749, section 5.2).
INVALID_GRANT: Final = "invalid_grant"


def check_address(invocation: "Invocation") -> None:
    """Refuse an address to which a refresh token would be sent unencrypted, before anybody is asked for anything.

    Raises:
        InvalidInput: it is one.
    """
    from herod_client import InvalidInput, TcpAddress

    address = invocation.address()
    if isinstance(address, TcpAddress) and not address.secure and not invocation.is_insecure_http():
        raise InvalidInput(
            f"A sign-in would be sent unencrypted to {address}, where anybody may listen in herod's place.",
            hint="use herod's Unix socket or https://; to sign in anyway: --insecure-http or HEROD_INSECURE_HTTP=1",
        )


def metadata_of(invocation: "Invocation", client: "Client") -> dict[str, Any]:
    """What the daemon says of itself as an authorization server (RFC 8414)."""
    return invocation.check_object(client.get(METADATA_PATH))


def issuer_of(invocation: "Invocation", metadata: Mapping[str, Any]) -> str:
    """The issuer in the metadata.

    Raises:
        BadAnswer: there is none.
    """
    issuer = metadata.get("issuer")
    if isinstance(issuer, str) and issuer.startswith(("http://", "https://")):
        return issuer
    raise _bad_answer(invocation)


def sign_in_from(invocation: "Invocation", answer: Mapping[str, Any], *, issuer: str, method: Method) -> SignIn:
    """The sign-in that the daemon's answer at `/token` begins, with the account that it is of.

    Raises:
        BadAnswer: it holds no tokens.
        ClientError: the daemon does not say whose they are; they are ended, as nothing is saved of them.
    """
    from herod_client import Anonymous, Bearer, ClientError

    made = _with_tokens(invocation, SignIn(access_token="", method=method, issuer=issuer), answer)
    try:
        with invocation.make_client(Bearer(made.access_token)) as client:
            who = invocation.check_object(client.call("whoami"))
    except ClientError:
        with contextlib.suppress(ClientError), invocation.make_client(Anonymous()) as client:
            end_family(client, made)
        raise
    return _changed(
        made, client_id=str(who.get("sub") or ""), name=str(who.get("name") or ""), signed_in_at=int(time.time())
    )


def end_of(invocation: "Invocation", client: "Client", sign_in: SignIn) -> int | None:
    """When a sign-in ends unless it is used before, in Unix seconds; None if it has ended already."""
    answer = invocation.check_object(
        client.post_form("/introspect", {"client_id": CLIENT_ID, "token": sign_in.refresh_token or ""})
    )
    end = answer.get("exp")
    return end if answer.get("active") is True and isinstance(end, int) else None


def end_family(client: "Client", sign_in: SignIn) -> None:
    """End a sign-in at the daemon, with its whole family of tokens (RFC 7009); one that has ended already is fine."""
    client.post_form(
        "/revoke",
        {"client_id": CLIENT_ID, "token": sign_in.refresh_token or "", "token_type_hint": "refresh_token"},
    )


def renew(invocation: "Invocation", sign_in: SignIn) -> SignIn:
    """Renew the sign-in at this address, unless another command has just done so.

    Raises:
        FailureError: it has ended, and was removed; or the new one could not be saved, and nothing was sent.
    """
    from herod_client import Anonymous, Refused

    address = str(invocation.address())
    with changing(credentials_path(os.environ)) as saved:
        current = saved.lasting(address)
        if current is None:
            raise _ended(f"You have been signed out of {address} meanwhile.")
        if current.access_token != sign_in.access_token and current.is_live(time.time()):
            return current
        with invocation.make_client(Anonymous()) as client:
            _check_issuer(invocation, client, current)
            try:
                answer = client.post_form(
                    "/token",
                    {
                        "grant_type": "refresh_token",
                        "client_id": CLIENT_ID,
                        "refresh_token": current.refresh_token or "",
                    },
                )
            except Refused as error:
                if error.code != INVALID_GRANT:
                    raise
                saved.forget_lasting(address)
                raise _ended(f"Your sign-in at {address} has ended.") from error
        renewed = _with_tokens(invocation, current, invocation.check_object(answer))
        try:
            saved.keep(address, renewed)
        except FailureError as error:
            print_notice(f"herod: warning: your renewed sign-in was not saved, so sign in again soon: {error.message}")
        return renewed


def _check_issuer(invocation: "Invocation", client: "Client", sign_in: SignIn) -> None:
    issuer = issuer_of(invocation, metadata_of(invocation, client))
    if issuer != sign_in.issuer:
        raise FailureError(
            f"You signed in to {sign_in.issuer}, and the daemon at {invocation.address()} is {issuer} now, so nothing"
            " was sent to it.",
            hint="`herod login` signs in there",
            exit_code=NOT_AUTHENTICATED,
        )


def _ended(message: str) -> FailureError:
    return FailureError(message, hint="sign in again: `herod login`", exit_code=NOT_AUTHENTICATED)


def _with_tokens(invocation: "Invocation", sign_in: SignIn, answer: Mapping[str, Any]) -> SignIn:
    match answer:
        case {
            "access_token": str(access),
            "refresh_token": str(refresh),
            "expires_in": int(seconds),
            "scope": str(scope),
        }:
            return _changed(
                sign_in,
                access_token=access,
                refresh_token=refresh,
                expires_at=int(time.time()) + seconds,
                scope=scope,
            )
        case _:
            raise _bad_answer(invocation)


def _changed(sign_in: SignIn, **changes: Any) -> SignIn:
    return replace(sign_in, **changes)


def _bad_answer(invocation: "Invocation") -> Exception:
    from herod_client import BadAnswer

    return BadAnswer(
        f"The daemon at {invocation.address()} answered without tokens.", hint="`herod doctor` compares versions"
    )
