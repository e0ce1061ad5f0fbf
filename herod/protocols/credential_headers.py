"""The credential in a request's headers: one, or none, or an error."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import unquote_plus

from herod.identity.credential_types import (
    ApiKeyHeader,
    Audience,
    Basic,
    Bearer,
    PeerClaim,
    Presented,
    SecretHeader,
    SessionCookie,
    Unreadable,
)
from herod.pipeline.operation_definition import Operation
from herod.protocols.http import TWO_CREDENTIALS
from herod.scopes.decisions import Access
from herod_client.core.errors import InvalidRequest

__all__ = ["SESSION_COOKIE", "SESSION_COOKIE_TLS", "header_text", "operation_credential", "request_credential"]

SESSION_COOKIE: Final = "herod_session"
SESSION_COOKIE_TLS: Final = "__Host-herod_session"
# Headers that only relays and browsers send; with one of them, the peer's uid does not identify the caller.
RELAY_HEADERS: Final = frozenset({"forwarded", "via", "origin", "referer"})
RELAY_PREFIX: Final = "x-forwarded-"


def operation_credential(operation: Operation, headers: Mapping[str, str]) -> Presented | None:
    """The credential that the request presents for an operation; None if the operation takes no notice of any.

    An operation for everybody that answers questions about others' credentials gets the one that can be read, if any:
    a service key has a limit of its own there.

    Raises:
        InvalidRequest: as `request_credential`, unless the operation is for everybody.
    """
    if operation.needs is not Access.PUBLIC:
        presented = request_credential(headers)
        if operation.openid and isinstance(presented, Bearer):
            presented = replace(presented, audience=Audience.APP)
        return presented
    if operation.verifies is None:
        return None
    try:
        return request_credential(headers)
    except InvalidRequest:
        return None


def request_credential(headers: Mapping[str, str], *, may_be_local_admin: bool = True) -> Presented | None:
    """The credential that the request presents.

    Args:
        headers: lower-case name → value.
        may_be_local_admin: whether this endpoint admits the local admin; only `/mcp` does not.

    Raises:
        InvalidRequest: two different credentials.
    """
    found: list[Presented] = []
    authorization = headers.get("authorization")
    if authorization is not None:
        found.append(_authorization(authorization, headers, may_be_local_admin=may_be_local_admin))
    if "x-api-key" in headers:
        found.append(ApiKeyHeader(headers["x-api-key"]))
    if "x-herod-secret" in headers:
        found.append(SecretHeader(header_text(headers["x-herod-secret"])))
    if "cookie" in headers:
        found.extend(_cookies(headers["cookie"], may_be_admin=may_be_local_admin))
    if len(found) > 1 and len({getattr(presented, "text", presented) for presented in found}) > 1:
        raise InvalidRequest("The request presents two different credentials: send one.", reason=TWO_CREDENTIALS)
    return found[0] if found else None


def _authorization(value: str, headers: Mapping[str, str], *, may_be_local_admin: bool) -> Presented:
    scheme, _, rest = value.partition(" ")
    rest = rest.strip()
    match scheme.lower():
        case "bearer" if rest:
            return Bearer(header_text(rest), Audience.HEROD if may_be_local_admin else Audience.MCP)
        case "bearer":
            return Unreadable("Bearer")
        case "basic":
            return _basic(rest)
        case "peer":
            is_relayed = any(name in RELAY_HEADERS or name.startswith(RELAY_PREFIX) for name in headers)
            return PeerClaim(rest or None, is_relayed=is_relayed, may_be_admin=may_be_local_admin)
        case _:
            return Unreadable(None)


def header_text(value: str) -> str:
    """Convert a header's value, read as Latin-1 (RFC 9110, section 5.5), to UTF-8, in which people type secrets."""
    if value.isascii():
        return value
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value


def _basic(encoded: str) -> Basic | Unreadable:
    """RFC 7617, with the form-encoding inside that RFC 6749, section 2.3.1 requires."""
    try:
        client_id, colon, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        colon = ""
    return Basic(unquote_plus(client_id), unquote_plus(secret)) if colon else Unreadable("Basic")


def _cookies(header: str, *, may_be_admin: bool) -> list[SessionCookie]:
    found = []
    for part in header.split(";"):
        name, _, value = part.strip().partition("=")
        if name in (SESSION_COOKIE, SESSION_COOKIE_TLS):
            found.append(SessionCookie(value, may_be_admin))
    return found
