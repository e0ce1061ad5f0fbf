"""Says of the sign-in that a command presented how it was made, and until when it lasts."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from herod_cli.invocation_context import Invocation

__all__ = ["describe_sign_in", "show_time", "sign_in_sentence"]

WAYS: Final = {"password": "with a password", "browser": "in a browser", "device": "by a code"}


def describe_sign_in(invocation: "Invocation") -> dict[str, Any] | None:
    """The saved sign-in that was presented, with its end as the daemon says; None if another credential was."""
    found = invocation.sign_in
    if found is None:
        return None
    end = found.expires_at
    if found.refresh_token is not None:
        from herod_cli.sign_in.lasting_sign_ins import end_of
        from herod_client import Anonymous, ClientError

        try:
            with invocation.make_client(Anonymous()) as client:
                end = end_of(invocation, client, found)
        except ClientError:
            end = None
    return {
        "name": found.name,
        "method": found.method,
        "signed_in_at": None if found.signed_in_at is None else show_time(found.signed_in_at),
        "expires_at": None if end is None else show_time(end),
        "renews": found.refresh_token is not None,
    }


def sign_in_sentence(found: dict[str, Any]) -> str:
    """The same for people."""
    since = f" on {found['signed_in_at']}" if found["signed_in_at"] else ""
    until = f", until {found['expires_at']}" if found["expires_at"] else ""
    unless = " unless used again" if until and found["renews"] else ""
    return f"as {found['name']}, {WAYS[found['method']]}{since}{until}{unless}"


def show_time(seconds: int) -> str:
    """Unix seconds in RFC 3339."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
