"""The schemas in the OpenAPI document that no operation defines: errors, the envelope's `meta`, JSON-RPC messages."""

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["COMMON", "SCHEMAS"]

Schema = dict[str, Any]

SCHEMAS: Final = "#/components/schemas/"

ERROR: Final[Schema] = {
    "title": "Error",
    "type": "object",
    "properties": {
        "code": {"type": "string", "description": "stable; for programs"},
        "message": {"type": "string", "description": "what happened and what to do; for people"},
        "hint": {"type": "string", "description": "the command that fixes it"},
    },
    "required": ["code", "message"],
    "additionalProperties": False,
}
META: Final[Schema] = {
    "title": "Meta",
    "type": "object",
    "properties": {
        "api_version": {"type": "string"},
        "server_version": {"type": "string"},
        "next_cursor": {
            "anyOf": [{"type": "string"}, {"type": "null"}],
            "description": "for lists: the `cursor` of the next page, null after the last",
        },
    },
    "required": ["api_version", "server_version"],
    "additionalProperties": False,
}
OAUTH_ERROR: Final[Schema] = {
    "title": "OAuthError",
    "description": "RFC 6749, section 5.2.",
    "type": "object",
    "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
    "required": ["error", "error_description"],
    "additionalProperties": False,
}
ERROR_ANSWER: Final[Schema] = {
    "title": "ErrorAnswer",
    "type": "object",
    "properties": {"error": {"$ref": f"{SCHEMAS}Error"}},
    "required": ["error"],
}
API_ERROR_ANSWER: Final[Schema] = {
    "title": "ApiErrorAnswer",
    "type": "object",
    "properties": {"error": {"$ref": f"{SCHEMAS}Error"}, "meta": {"$ref": f"{SCHEMAS}Meta"}},
    "required": ["error"],
}
RPC_MESSAGE: Final[Mapping[str, Schema]] = {
    "jsonrpc": {"type": "string", "const": "2.0"},
    "id": {"type": ["string", "number", "null"]},
}
RPC_REQUEST: Final[Schema] = {
    "title": "RpcRequest",
    "description": "JSON-RPC 2.0, section 4. One without `id` is a notification, which gets no answer.",
    "type": "object",
    "properties": {
        **RPC_MESSAGE,
        "method": {"type": "string"},
        "params": {
            "anyOf": [
                {"type": "object", "additionalProperties": True},
                {"type": "array", "items": {}},
                {"type": "null"},
            ]
        },
    },
    "required": ["jsonrpc", "method"],
}
RPC_RESULT: Final[Schema] = {
    "title": "RpcResult",
    "description": "JSON-RPC 2.0, section 5: the method was run.",
    "type": "object",
    "properties": {**RPC_MESSAGE, "result": {"description": "what the method returns: `/rpc/discover` describes it"}},
    "required": ["jsonrpc", "id", "result"],
}
RPC_ERROR: Final[Schema] = {
    "title": "RpcError",
    "description": "JSON-RPC 2.0, section 5.1: the request was refused.",
    "type": "object",
    "properties": {
        **RPC_MESSAGE,
        "error": {
            "type": "object",
            "properties": {
                "code": {"type": "integer"},
                "message": {"type": "string"},
                "data": {
                    "type": "object",
                    "description": "`code` and `hint`, as other routes have them",
                    "additionalProperties": True,
                },
            },
            "required": ["code", "message"],
        },
    },
    "required": ["jsonrpc", "id", "error"],
}
RPC_ANSWER: Final[Schema] = {
    "title": "RpcAnswer",
    "oneOf": [{"$ref": f"{SCHEMAS}RpcResult"}, {"$ref": f"{SCHEMAS}RpcError"}],
}
# name → schema
COMMON: Final[Mapping[str, Schema]] = {
    schema["title"]: schema
    for schema in (
        ERROR,
        META,
        OAUTH_ERROR,
        ERROR_ANSWER,
        API_ERROR_ANSWER,
        RPC_REQUEST,
        RPC_RESULT,
        RPC_ERROR,
        RPC_ANSWER,
    )
}
