"""`herod login --device`: a code that a person enters in a browser elsewhere (RFC 8628).

The user code is shown on this terminal alone; whoever enters it still has to sign in and say yes. Must never show the
device code: with that, the tokens are fetched.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from herod_cli.exit_codes import FailureError
from herod_cli.shared.output import clean, print_notice
from herod_cli.sign_in.lasting_sign_ins import CLIENT_ID, check_address, issuer_of, metadata_of, sign_in_from
from herod_cli.sign_in.saved_sign_ins import SignIn

if TYPE_CHECKING:
    from herod_cli.invocation_context import Invocation
    from herod_client import Client

__all__ = ["sign_in_by_device"]

GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
# RFC 8628, sections 3.2 and 3.5.
DEFAULT_INTERVAL_SECONDS: Final = 5
SLOWER_SECONDS: Final = 5
PENDING: Final = "authorization_pending"
SLOW_DOWN: Final = "slow_down"
DECLINED: Final = "access_denied"
OVER: Final = "expired_token"
ANSWERS: Final = (PENDING, SLOW_DOWN, DECLINED, OVER)
# Whatever the daemon answers, the wait ends.
LONGEST_SECONDS: Final = 1800


@dataclass(frozen=True, slots=True)
class _Codes:
    device_code: str = field(repr=False)
    user_code: str
    page: str
    complete: str | None
    seconds: int
    interval: int


def sign_in_by_device(invocation: "Invocation", *, scope: tuple[str, ...]) -> SignIn:
    """Show a code, and wait until a person has entered it in a browser and allowed this command.

    Args:
        invocation: of the command.
        scope: what to ask for; empty for all that the person can give, which in this way is never `admin`.

    Raises:
        FailureError: they declined, or did not enter it in time.
    """
    from herod_client import Anonymous

    check_address(invocation)
    with invocation.make_client(Anonymous()) as client:
        metadata = metadata_of(invocation, client)
        issuer = issuer_of(invocation, metadata)
        if "device_authorization_endpoint" not in metadata:
            raise FailureError(
                "This herod has no sign-in by a code.", hint="`herod login --email ADDRESS` needs no browser"
            )
        form = {"client_id": CLIENT_ID, "resource": issuer, **({"scope": " ".join(scope)} if scope else {})}
        codes = _read(invocation, invocation.check_object(client.post_form("/device_authorization", form)))
        _show(codes)
        answer = _wait(invocation, client, codes)
    return sign_in_from(invocation, answer, issuer=issuer, method="device")


def _read(invocation: "Invocation", answer: Mapping[str, Any]) -> _Codes:
    from herod_client import BadAnswer

    match answer:
        case {
            "device_code": str(device_code),
            "user_code": str(user_code),
            "verification_uri": str(page),
            "expires_in": int(seconds),
        }:
            complete, interval = answer.get("verification_uri_complete"), answer.get("interval")
            return _Codes(
                device_code=device_code,
                user_code=user_code,
                page=page,
                complete=complete if isinstance(complete, str) else None,
                seconds=min(seconds, LONGEST_SECONDS),
                interval=interval if isinstance(interval, int) and interval > 0 else DEFAULT_INTERVAL_SECONDS,
            )
        case _:
            raise BadAnswer(
                f"The daemon at {invocation.address()} answered without a code.",
                hint="`herod doctor` compares versions",
            )


def _show(codes: _Codes) -> None:
    print_notice("Open this page in a browser, sign in, and enter the code:")
    print_notice(f"  page: {clean(codes.page)}")
    print_notice(f"  code: {clean(codes.user_code)}")
    if codes.complete is not None:
        print_notice(f"With the code filled in: {clean(codes.complete)}")
    if (port := _loopback_port(codes.page)) is not None:
        print_notice(
            "The page is on this machine. To open it in a browser on another one, forward its port first:"
            f" `ssh -L {port}:localhost:{port} HOST`"
        )
    print_notice(f"Waiting for you, at most {max(codes.seconds // 60, 1)} minutes.")


def _loopback_port(page: str) -> int | None:
    try:
        parts = urlsplit(page)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    return (port or 80) if host in {"localhost", "127.0.0.1", "::1"} else None


def _wait(invocation: "Invocation", client: "Client", codes: _Codes) -> dict[str, Any]:
    """Ask for the tokens until the person has decided (RFC 8628, section 3.5)."""
    from herod_client import Refused

    interval, end = codes.interval, time.monotonic() + codes.seconds
    form = {"grant_type": GRANT, "client_id": CLIENT_ID, "device_code": codes.device_code}
    while time.monotonic() < end:
        time.sleep(interval)
        try:
            return invocation.check_object(client.post_form("/token", form))
        except Refused as error:
            if error.code == DECLINED:
                raise FailureError("The code was declined, so you are not signed in.") from error
            if error.code == OVER:
                break
            if error.code not in (PENDING, SLOW_DOWN):
                raise
            interval += SLOWER_SECONDS if error.code == SLOW_DOWN else 0
    raise FailureError(
        "Nobody entered the code in time, so you are not signed in.", hint="run `herod login --device` again"
    )
