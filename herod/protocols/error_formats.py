"""The format of an error that comes before a handler does: it is that of the path's protocol.

The guard, the router and the server, which may know no more of a request than its first line, all ask here.
"""

from collections.abc import Iterable
from typing import Final

from herod.pipeline.operation_definition import Operation
from herod.protocols.error_codes import row_of
from herod.protocols.http import Response
from herod.protocols.jsonrpc_messages import NULL, herod_error
from herod.protocols.responses import (
    ErrorWriter,
    envelope_error,
    error_headers,
    is_enveloped,
    oauth_error,
    plain_error,
)
from herod_client.core.errors import HerodError

__all__ = ["MCP_PATH", "RPC_PATH", "ErrorFormats", "is_form_route", "is_oauth_route", "without_final_slash"]

RPC_PATH: Final = "/rpc"
MCP_PATH: Final = "/mcp"


def without_final_slash(path: str) -> str:
    """The path that `path` means: a final slash changes nothing, except that `/` is a path of its own."""
    return path[:-1] if path.endswith("/") and not path.endswith("//") and path != "/" else path


def is_oauth_route(operation: Operation, path: str) -> bool:
    """Whether the operation answers in OAuth's format at this path."""
    return (operation.form or operation.members) and not path.startswith("/api/")


def is_form_route(operation: Operation, path: str) -> bool:
    """Whether the operation takes a form at this path, and answers in OAuth's format."""
    return operation.form and not path.startswith("/api/")


class ErrorFormats:
    """Chooses the format of an error by the request's method and path.

    Args:
        operations: the operation table.
        version: herod's, for the envelope.
    """

    def __init__(self, operations: Iterable[Operation], version: str) -> None:
        self._oauth = frozenset(
            route.path for one in operations for route in one.routes if is_oauth_route(one, route.path)
        )
        self._in_envelope = envelope_error(version)

    def write(self, error: HerodError, method: str, path: str) -> Response:
        """The response to a request for this path."""
        return self._writer(method, without_final_slash(path))(error)

    def _writer(self, method: str, path: str) -> ErrorWriter:
        if path in self._oauth:
            return oauth_error
        if path == RPC_PATH or (path == "/" and method == "POST"):
            return _rpc_error
        if path == MCP_PATH:
            return _mcp_error
        return self._in_envelope if is_enveloped(path) else plain_error


def _rpc_error(error: HerodError) -> Response:
    return Response(row_of(error).rpc_http, herod_error(error, NULL), error_headers(error))


def _mcp_error(error: HerodError) -> Response:
    return Response(row_of(error).http, herod_error(error, NULL), error_headers(error))
