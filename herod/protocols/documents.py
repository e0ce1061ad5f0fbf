"""What herod says of itself at fixed addresses: OpenAPI and OpenRPC, made when they are first asked for.

A reload may change the scopes they name, so each is kept for one graph of scopes only. Nothing here needs a credential,
and nothing here says more than the code that everybody may read.
"""

from collections.abc import Callable, Mapping
from typing import Final

from herod.operations.realm import Realm
from herod.operations.registry import Operation
from herod.protocols.answers import encode
from herod.protocols.metadata import JWKS_PATH, RESOURCE_PATH, SERVER_PATH
from herod.protocols.openapi import JSON, failure, openapi_document
from herod.protocols.openrpc import openrpc_document
from herod.protocols.schemas import Schema

__all__ = ["OPENAPI_PATH", "OPENRPC_PATH", "Documents"]

OPENAPI_PATH: Final = "/openapi.json"
OPENRPC_PATH: Final = "/rpc/discover"


class Documents:
    """The documents of one realm."""

    def __init__(self, operations: Mapping[str, Operation], realm: Realm) -> None:
        self._operations = operations
        self._realm = realm
        self._kept: dict[str, tuple[int, bytes]] = {}

    def openapi(self) -> bytes:
        """The OpenAPI 3.1 document."""
        return self._get("openapi", lambda: openapi_document(self._operations.values(), self._realm, FURTHER))

    def openrpc(self) -> bytes:
        """The OpenRPC 1.3.2 document."""
        return self._get("openrpc", lambda: openrpc_document(self._operations.values(), self._realm))

    def _get(self, name: str, make: Callable[[], Schema]) -> bytes:
        generation = self._realm.graph.generation
        kept = self._kept.get(name)
        if kept is None or kept[0] != generation:
            kept = self._kept[name] = (generation, encode(make()))
        return kept[1]


def _document(name: str, summary: str) -> Schema:
    """The path item of a public document."""
    answer = {"description": "The document.", "content": {JSON: {"schema": {"type": "object"}}}}
    return {
        "get": {
            "operationId": name,
            "summary": summary,
            "tags": ["documents"],
            "security": [],
            "responses": {"200": answer, **{str(status): failure(status) for status in (400, 403, 421)}},
        }
    }


def _calls(name: str, summary: str, statuses: tuple[int, ...]) -> Schema:
    """The path item of a door that takes JSON-RPC messages."""
    message = {"oneOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}}]}
    return {
        "post": {
            "operationId": name,
            "summary": summary,
            "tags": ["documents"],
            "requestBody": {"required": True, "content": {JSON: {"schema": message}}},
            "responses": {
                "200": {"description": "Answers, errors too.", "content": {JSON: {"schema": message}}},
                **{str(status): failure(status) for status in statuses},
            },
        }
    }


RPC_ITEM: Final = _calls("rpc", "JSON-RPC 2.0: see `/rpc/discover` for its methods.", (403, 413, 421))
RPC_ITEM["post"]["responses"]["204"] = {"description": "There were only notifications."}

# path → path item of what is no operation
FURTHER: Final[Mapping[str, Schema]] = {
    OPENAPI_PATH: _document("openapi", "This document."),
    OPENRPC_PATH: _document("openrpc", "The OpenRPC document of the JSON-RPC methods."),
    "/rpc": RPC_ITEM,
    "/mcp": _calls("mcp", "The Model Context Protocol, for agents.", (400, 401, 403, 404, 413, 421)),
    SERVER_PATH: _document("server_metadata", "Where and how to get tokens (RFC 8414)."),
    RESOURCE_PATH: _document("resource_metadata", "What herod takes as a credential (RFC 9728)."),
    f"{RESOURCE_PATH}/mcp": _document("mcp_metadata", "What `/mcp` takes as a credential (RFC 9728)."),
    JWKS_PATH: _document("jwks", "The public keys that verify tokens now (RFC 7517, RFC 8037)."),
}
