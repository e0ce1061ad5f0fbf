"""`herod login` in a browser: the authorization code flow of a program on a person's machine (RFC 6749, 7636, 8252).

The address that the browser opens says nothing about the sign-in, since every user of the machine can read it: it leads
this user's browser on to herod, and only that brings the answer (`loopback_listener.py`). The code that comes back is
worthless without the verifier, which stays in this process. Must never send the code or the verifier anywhere but to
the daemon at the command's own address.
"""

import base64
import hashlib
import os
import secrets
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from herod_cli.exit_codes import FailureError
from herod_cli.shared.browsers import browsers, open_address, own_uids
from herod_cli.shared.output import clean, print_notice
from herod_cli.sign_in.lasting_sign_ins import CLIENT_ID, check_address, issuer_of, metadata_of, sign_in_from
from herod_cli.sign_in.loopback_listener import Callback, LoopbackListener
from herod_cli.sign_in.saved_sign_ins import SignIn

if TYPE_CHECKING:
    from herod_cli.invocation_context import Invocation

__all__ = ["sign_in_by_browser"]

# As long as herod keeps the request of an app at /authorize.
SIGN_IN_SECONDS: Final = 600


def sign_in_by_browser(invocation: "Invocation", *, scope: tuple[str, ...], prints: bool) -> SignIn:
    """Have a person sign in and allow this command, in a browser on this machine.

    Args:
        invocation: of the command.
        scope: what to ask for; empty for all that the person can give.
        prints: open no browser, and print the address only.

    Raises:
        FailureError: there is no browser, or the person did not sign in.
    """
    from herod_client import Anonymous, ClientError

    check_address(invocation)
    if not prints and not browsers(os.environ):
        raise FailureError(
            "There is no browser here: neither BROWSER nor DISPLAY is set.",
            hint="`herod login --device` shows a code for a browser on any device; `herod login --print` the address"
            " for a browser on this machine; `herod login --email ADDRESS` asks for your password",
        )
    with invocation.make_client(Anonymous()) as client, LoopbackListener(own_uids(os.environ)) as listener:
        metadata = metadata_of(invocation, client)
        issuer = issuer_of(invocation, metadata)
        state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
        request = {
            "response_type": "code",
            "client_id": CLIENT_ID,
            "redirect_uri": listener.redirect_uri,
            "state": state,
            "code_challenge": _challenge(verifier),
            "code_challenge_method": "S256",
            "resource": issuer,
            **({"scope": " ".join(scope)} if scope else {}),
        }
        listener.leads_to = f"{_endpoint(metadata)}?{urlencode(request)}"
        _lead(listener, prints=prints)
        client.close()  # the daemon would close a connection that is idle for so long
        callback = listener.wait(state, time.monotonic() + SIGN_IN_SECONDS)
        if callback is None:
            raise FailureError(
                f"Nobody signed in within {SIGN_IN_SECONDS // 60} minutes.", hint="run `herod login` again"
            )
        try:
            code = _code(callback.parameters, issuer)
            form = {
                "grant_type": "authorization_code",
                "client_id": CLIENT_ID,
                "code": code,
                "redirect_uri": listener.redirect_uri,
                "code_verifier": verifier,
                "resource": issuer,
            }
            answer = invocation.check_object(client.post_form("/token", form))
            found = sign_in_from(invocation, answer, issuer=issuer, method="browser")
        except (ClientError, FailureError):
            callback.answer("Not signed in", "The terminal says why. You can close this tab.")
            raise
        _answer(callback, found)
        return found


def _challenge(verifier: str) -> str:
    """RFC 7636, section 4.2."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def _endpoint(metadata: Mapping[str, Any]) -> str:
    endpoint = metadata.get("authorization_endpoint")
    is_url = isinstance(endpoint, str) and endpoint.startswith(("http://", "https://")) and "?" not in endpoint
    if isinstance(endpoint, str) and is_url and endpoint.isascii() and endpoint.isprintable():  # it is put in a header
        return endpoint
    raise FailureError(
        "This herod signs nobody in by browser: it has no address there that is its own alone.",
        hint="`herod doctor` says why; `herod login --email ADDRESS` needs no browser",
    )


def _lead(listener: LoopbackListener, *, prints: bool) -> None:
    if not prints and open_address(listener.start_uri, os.environ):
        print_notice(
            "Your browser opens: sign in there and allow the herod command. If it does not open, open this address in a"
            " browser on this machine:"
        )
    else:
        if not prints:
            print_notice("herod: no browser could be opened.")
        print_notice("Open this address in a browser on this machine, sign in and allow the herod command:")
    print_notice(clean(listener.leads_to))


def _code(parameters: Mapping[str, str], issuer: str) -> str:
    """The code that the browser brought.

    Raises:
        FailureError: the person declined, or the answer is another server's (RFC 9207, section 2.4).
    """
    if parameters.get("iss") != issuer:
        raise FailureError(
            f"The browser's answer is not from {issuer}: it was dropped, and nothing was sent.",
            hint="run `herod login` again, and use the page that it opens",
        )
    if parameters.get("error") == "access_denied":
        raise FailureError("You did not allow it, so you are not signed in.")
    if "error" in parameters:
        told = parameters.get("error_description") or parameters["error"]
        raise FailureError(f"The sign-in failed: {told:.300}")
    code = parameters.get("code", "")
    if not code:
        raise FailureError("The browser's answer has no code.", hint="run `herod login` again")
    return code


def _answer(callback: Callback, found: SignIn) -> None:
    callback.answer("Signed in", f"The herod command is signed in as {found.name}. You can close this tab.")
