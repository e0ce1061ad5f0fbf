"""What may be sent over plain `http://`: no long-lived secret, unless the caller says so.

Beyond loopback the network can read it. On loopback another local user's process may listen where herod should, for
instance since a crash freed the port; unlike on a Unix socket, nothing shows whose it is. Pure; sends nothing.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from herod_client.addresses import Address, TcpAddress
from herod_client.client_errors import InvalidInput
from herod_client.credentials import Basic, Bearer, Identity

__all__ = ["SECRET_NAMES", "check_identity", "check_parameters"]

# Parameters of operations and forms that hold a credential.
SECRET_NAMES: Final = frozenset({
    "admin_key", "assertion", "client_secret", "code", "code_verifier", "current", "device_code", "former", "key",
    "otp", "password", "refresh_token", "secret", "token",
})  # fmt: skip


def check_identity(identity: Identity | None, address: Address, *, insecure_http: bool) -> None:
    """Refuse an API key, a legacy secret or a client secret over plain HTTP; access tokens end soon, and may be sent.

    Raises:
        InvalidInput: nothing was sent; the hint says how.
    """
    if insecure_http or not _is_clear(address):
        return
    match identity:
        case Bearer(credential) if not _is_access_token(credential):
            raise _refusal("An API key or legacy secret", address)
        case Basic():
            raise _refusal("A client secret", address)
        case _:
            return


def check_parameters(params: Mapping[str, Any], path: str, address: Address, *, insecure_http: bool) -> None:
    """Refuse passwords, keys and other secrets as parameters, in a body or a query, over plain HTTP.

    Raises:
        InvalidInput: nothing was sent; the hint says how.
    """
    if insecure_http or not _is_clear(address):
        return
    for name, value in (*params.items(), *parse_qsl(path.partition("?")[2])):
        if name in SECRET_NAMES and value is not None and not (isinstance(value, str) and _is_access_token(value)):
            raise _refusal(f"A secret ({name})", address)


def _is_clear(address: Address) -> bool:
    return isinstance(address, TcpAddress) and not address.secure


def _is_access_token(text: str) -> bool:
    """Whether it looks like a JWT in compact form (RFC 7515, section 7.1), whose header begins with `{"`."""
    return text.startswith("eyJ") and text.count(".") == 2


def _refusal(what: str, address: Address) -> InvalidInput:
    return InvalidInput(
        f"{what} would be sent unencrypted to {address}, where anybody may listen in herod's place: nothing was sent.",
        hint="use herod's Unix socket, https:// or an access token; to send it anyway: --insecure-http or"
        " HEROD_INSECURE_HTTP=1 (in a program: insecure_http=True)",
    )
