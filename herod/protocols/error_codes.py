"""The table of error codes in HTTP, JSON-RPC and OAuth. Only this file knows status numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from herod_client.core import errors
from herod_client.core.errors import HerodError

__all__ = [
    "CODES",
    "HEADER_MISMATCH",
    "INTERNAL",
    "INVALID_PARAMS",
    "INVALID_REQUEST",
    "METHOD_NOT_FOUND",
    "PARSE_ERROR",
    "REQUEST_CODES",
    "UNSUPPORTED_VERSION",
    "URL_ELICITATION_REQUIRED",
    "Row",
    "mcp_status",
    "row_of",
    "row_of_kind",
]


@dataclass(frozen=True, slots=True)
class Row:
    """One error in three protocols: HTTP status, JSON-RPC error code, OAuth error (RFC 6749, section 5.2).

    Attributes:
        rpc_http: the HTTP status under which a JSON-RPC endpoint answers it before it has read any call.
    """

    http: int
    rpc: int
    oauth: str
    rpc_http: int = 200


# An error has the row of its nearest ancestor class in this table.
CODES: Final[Mapping[type[HerodError], Row]] = {
    errors.InvalidRequest: Row(400, -32602, "invalid_request"),
    errors.InvalidGrant: Row(400, -32602, "invalid_grant"),
    errors.AuthorizationPending: Row(400, -32602, "authorization_pending"),
    errors.SlowDown: Row(400, -32602, "slow_down"),
    errors.AccessDenied: Row(400, -32602, "access_denied"),
    errors.ExpiredDeviceCode: Row(400, -32602, "expired_token"),
    errors.InvalidScope: Row(400, -32602, "invalid_scope"),
    errors.InvalidTarget: Row(400, -32602, "invalid_target"),
    errors.InvalidRedirectUri: Row(400, -32602, "invalid_redirect_uri"),
    errors.InvalidClientMetadata: Row(400, -32602, "invalid_client_metadata"),
    errors.UnsupportedGrantType: Row(400, -32602, "unsupported_grant_type"),
    errors.UnsupportedTokenType: Row(400, -32602, "unsupported_token_type"),
    errors.TooLarge: Row(413, -32600, "invalid_request", rpc_http=413),
    errors.Unauthenticated: Row(401, 4001, "invalid_client"),
    errors.PermissionDenied: Row(403, 4003, "unauthorized_client"),
    errors.NotFound: Row(404, 4004, "invalid_request"),
    errors.Conflict: Row(409, 4009, "invalid_request"),
    errors.RateLimited: Row(429, 4029, "invalid_request"),
    errors.Unavailable: Row(503, 5003, "temporarily_unavailable"),
}
INTERNAL: Final = Row(500, -32603, "server_error")
# Errors of the request itself, which it gets on every path, before any operation is called.
REQUEST_CODES: Final[Mapping[type[HerodError], Row]] = {
    errors.MalformedRequest: Row(400, -32600, "invalid_request", rpc_http=400),
    errors.ForeignOrigin: Row(403, -32600, "invalid_request", rpc_http=403),
    errors.MethodNotAllowed: Row(405, -32600, "invalid_request", rpc_http=405),
    errors.UnsupportedEncoding: Row(415, -32600, "invalid_request", rpc_http=415),
    errors.Misdirected: Row(421, -32600, "invalid_request", rpc_http=421),
    errors.InternalError: INTERNAL,
    errors.NotImplementedHere: Row(501, -32600, "invalid_request", rpc_http=501),
}
_ROWS: Final = {**CODES, **REQUEST_CODES}

# JSON-RPC 2.0, section 5.1
PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
# MCP 2026-07-28, "Error Codes"
HEADER_MISMATCH: Final = -32020
UNSUPPORTED_VERSION: Final = -32022
# MCP 2025-11-25, "URL Elicitation Required Error"
URL_ELICITATION_REQUIRED: Final = -32042


def row_of(error: HerodError) -> Row:
    """The error's row."""
    return row_of_kind(type(error))


def row_of_kind(kind: type[HerodError]) -> Row:
    """The row of a class of errors."""
    for ancestor in kind.__mro__:
        row = _ROWS.get(ancestor)
        if row is not None:
            return row
    return INTERNAL


def mcp_status(code: int) -> int:
    """The HTTP status with which MCP 2026-07-28 answers one of the protocol's own errors ("Streamable HTTP")."""
    return 404 if code == METHOD_NOT_FOUND else 400
