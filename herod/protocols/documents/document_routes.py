"""The OpenAPI and OpenRPC documents at fixed paths, generated at the first request.

A reload may change the scopes they name, and an address that is opened or lost the URL, so each is kept only for these.
They need no credential, and contain nothing beyond the public code.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import trio

from herod.identity.runtime_state import Runtime
from herod.pipeline.operation_definition import Operation
from herod.protocols.documents.authorize_route import AUTHORIZE_ITEM
from herod.protocols.documents.common_schemas import SCHEMAS
from herod.protocols.documents.error_responses import JSON, failure
from herod.protocols.documents.json_schemas import Schema
from herod.protocols.documents.oauth_metadata import JWKS_PATH, OPENID_PATH, RESOURCE_PATH, SERVER_PATH
from herod.protocols.documents.openapi import openapi_document
from herod.protocols.documents.openrpc import openrpc_document
from herod.protocols.documents.security_schemes import SCHEMES
from herod.protocols.documents.server_metadata import AUTHORIZE_PATH
from herod.protocols.jsonrpc import MAX_BATCH
from herod.protocols.responses import encode

__all__ = ["OPENAPI_PATH", "OPENRPC_PATH", "DocumentRoutes"]

OPENAPI_PATH: Final = "/openapi.json"
OPENRPC_PATH: Final = "/rpc/discover"


class DocumentRoutes:
    """The documents of one runtime. Each is one `bytes` object that any number of answers can share.

    Generating one takes some 50 ms, so it is done in a thread, once for all concurrent requests.
    """

    def __init__(self, operations: Mapping[str, Operation], runtime: Runtime) -> None:
        self._operations = operations
        self._runtime = runtime
        self._kept: dict[str, tuple[tuple[int, str], bytes]] = {}
        self._making = trio.Lock()
        self._discovered = (b"", b"")  # the OpenRPC document, and the end of an answer that contains it

    async def openapi(self) -> bytes:
        """The OpenAPI 3.1 document."""
        return await self._get("openapi", lambda: openapi_document(self._operations.values(), self._runtime, FURTHER))

    async def openrpc(self) -> bytes:
        """The OpenRPC 1.3.2 document."""
        return await self._get("openrpc", lambda: openrpc_document(self._operations.values(), self._runtime))

    async def openrpc_result(self) -> bytes:
        """The OpenRPC document as the end of the answer to `rpc.discover`."""
        document = await self.openrpc()
        if self._discovered[0] is not document:
            self._discovered = (document, b'"result":%b}' % document)
        return self._discovered[1]

    async def _get(self, name: str, make: Callable[[], Schema]) -> bytes:
        if not self._is_kept(name):
            async with self._making:
                if not self._is_kept(name):
                    state = self._state
                    document = await trio.to_thread.run_sync(lambda: encode(make()))
                    self._kept[name] = (state, document)
        return self._kept[name][1]

    def _is_kept(self, name: str) -> bool:
        return name in self._kept and self._kept[name][0] == self._state

    @property
    def _state(self) -> tuple[int, str]:
        config = self._runtime.config
        return config.graph.generation, config.public_url


def _document(name: str, summary: str, *, is_for_all_pages: bool = False) -> Schema:
    """The path item of a public document; pages of every origin may read it, or only herod's own and the listed."""
    refusals = (400, 413, 421) if is_for_all_pages else (400, 403, 413, 421)
    answer = {
        "description": "The document.",
        "content": {JSON: {"schema": {"type": "object", "additionalProperties": True}}},
    }
    return {
        "get": {
            "operationId": name,
            "summary": summary,
            "description": "Needs no credential.",
            "tags": ["documents"],
            "security": [],
            "responses": {"200": answer, **{str(status): failure(status) for status in refusals}},
        }
    }


_for_all_pages: Final = partial(_document, is_for_all_pages=True)


PAGE: Final[Schema] = {
    "operationId": "dashboard",
    "summary": "Show the dashboard, for browsers.",
    "description": "Without a session, the page asks to sign in.",
    "tags": ["documents"],
    "security": [{}, {"session": []}],
    "responses": {
        "200": {
            "description": "The page, or the sign-in page.",
            "content": {"text/html; charset=utf-8": {"schema": {"type": "string"}}},
        },
        **{str(status): failure(status) for status in (400, 403, 413, 421, 500)},
        "503": {
            "description": "Too many pages are requested at once, or this one took too long.",
            "content": {"text/plain; charset=utf-8": {"schema": {"type": "string"}}},
        },
    },
}
ANSWER: Final = {"$ref": f"{SCHEMAS}RpcAnswer"}
MESSAGE: Final = {"$ref": f"{SCHEMAS}RpcRequest"}
BATCH: Final = {"type": "array", "items": MESSAGE, "minItems": 1, "maxItems": MAX_BATCH}
PING: Final = {"jsonrpc": "2.0", "id": 1, "method": "health"}
PONG: Final = {"jsonrpc": "2.0", "id": 1, "result": {"status": "ok", "service": "herod", "version": "1.0.0"}}


def _rpc(name: str) -> Schema:
    """The path item of an endpoint for JSON-RPC messages, single or batched."""
    return {
        "post": {
            "operationId": name,
            "summary": "Call methods by JSON-RPC 2.0.",
            "description": "`/rpc/discover` lists the methods. Errors are in the answer, with status 200; each item"
            " of a batch is authorized separately. Whether a credential is needed depends on the method. Bodies of type"
            " `application/json-rpc` or `application/jsonrequest` are taken too.",
            "tags": ["documents"],
            "security": [{}, *({scheme: []} for scheme in SCHEMES.values())],
            "requestBody": {
                "required": True,
                "content": {JSON: {"schema": {"anyOf": [MESSAGE, BATCH]}, "example": PING}},
            },
            "responses": {
                "200": {
                    "description": "The answer, or one for each request of a batch.",
                    "content": {
                        JSON: {"schema": {"anyOf": [ANSWER, {"type": "array", "items": ANSWER}]}, "example": PONG}
                    },
                },
                "204": {"description": "There were only notifications."},
                **{str(status): failure(status, "RpcError") for status in (400, 403, 413, 415, 421)},
            },
        }
    }


MCP_ITEM: Final[Schema] = {
    "post": {
        "operationId": "mcp",
        "summary": "Send one message of the Model Context Protocol.",
        "description": "For agents: its tools are some of these operations. Any credential but the local admin's.",
        "tags": ["documents"],
        "security": [{scheme: []} for scheme in SCHEMES.values()],
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": MESSAGE, "example": {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}}},
        },
        "responses": {
            "200": {
                "description": "The answer.",
                "content": {JSON: {"schema": ANSWER, "example": {"jsonrpc": "2.0", "id": 1, "result": {"tools": []}}}},
            },
            "202": {"description": "A notification was accepted."},
            **{
                str(status): failure(status, "RpcError")
                for status in (400, 401, 403, 404, 413, 415, 421, 429, 500, 503)
            },
        },
    }
}

# path → path item of what is not an operation
FURTHER: Final[Mapping[str, Schema]] = {
    OPENAPI_PATH: _document("openapi", "This document."),
    OPENRPC_PATH: _document("openrpc", "The OpenRPC document of the JSON-RPC methods."),
    "/": {"get": PAGE, **_rpc("rpc_at_root")},
    "/rpc": _rpc("rpc"),
    "/mcp": MCP_ITEM,
    AUTHORIZE_PATH: AUTHORIZE_ITEM,
    SERVER_PATH: _for_all_pages("server_metadata", "Where and how to get tokens (RFC 8414)."),
    OPENID_PATH: _for_all_pages("openid_metadata", "The same, where OpenID Connect clients look (Discovery 1.0)."),
    RESOURCE_PATH: _for_all_pages("resource_metadata", "What herod accepts as a credential (RFC 9728)."),
    f"{RESOURCE_PATH}/mcp": _for_all_pages("mcp_metadata", "What `/mcp` accepts as a credential (RFC 9728)."),
    JWKS_PATH: _for_all_pages("jwks", "The public keys that verify tokens now (RFC 7517, RFC 8037)."),
}
