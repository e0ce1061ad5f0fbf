"""The OpenRPC 1.3.2 document: every JSON-RPC method with its parameters, result, errors and an example."""

from collections.abc import Iterable
from typing import Any, Final

from herod.identity.runtime_state import Runtime
from herod.pipeline.operation_definition import Operation, Surface
from herod.protocols.documents.example_values import example_value
from herod.protocols.documents.json_schemas import (
    Names,
    Schema,
    components,
    field_schemas,
    known_names,
    required_fields,
    result_schema,
)
from herod.protocols.error_codes import CODES, INTERNAL
from herod.scopes.decisions import Access

__all__ = ["DISCOVER", "openrpc_document"]

DISCOVER: Final = "rpc.discover"
FORMATS: Final = frozenset({"date-time", "email", "uri"})
# Of this document, in short. A reference to the specification's own schema would lead to another host.
DOCUMENT: Final[Schema] = {
    "title": "OpenRpcDocument",
    "type": "object",
    "properties": {
        "openrpc": {"type": "string"},
        "info": {"type": "object", "additionalProperties": True},
        "servers": {"type": "array", "items": {"type": "object", "additionalProperties": True}},
        "methods": {"type": "array", "items": {"type": "object", "additionalProperties": True}},
        "components": {"type": "object", "additionalProperties": True},
    },
    "required": ["openrpc", "info", "methods"],
}


def openrpc_document(operations: Iterable[Operation], runtime: Runtime) -> Schema:
    """The document for one runtime."""
    table = list(operations)
    names = known_names(table, runtime)
    offered = [operation for operation in table if Surface.RPC in operation.surfaces]
    return {
        "openrpc": "1.3.2",
        "info": {
            "title": "Herod API",
            "version": runtime.config.version,
            "description": "Who is this, and may they? Credentials go into the HTTP headers, as for REST.",
            "contact": {"name": "The herod developers"},
            "license": {"name": "MIT"},
        },
        "servers": [{"name": "herod", "url": f"{runtime.config.public_url}/rpc"}],
        "methods": [*(_method(operation, names) for operation in offered), _discover()],
        "components": {"schemas": components(offered), "errors": _errors()},
    }


def _method(operation: Operation, names: Names) -> Schema:
    first, _, rest = operation.summary.partition("\n\n")
    required = required_fields(operation)
    fields = field_schemas(operation, names)
    ordered = sorted(fields, key=lambda name: name not in required)
    # OpenRPC wants the required ones first: where herod's order is another, that order is not promised.
    is_by_name = operation.is_by_name or ordered != list(fields)
    method: Schema = {
        "name": operation.name,
        "summary": first,
        "tags": [{"name": _needs(operation)}],
        "x-credential": operation.credential,
        "paramStructure": "by-name" if is_by_name else "either",
        "params": [_descriptor(name, fields[name], is_required=name in required) for name in ordered],
        "result": {"name": "result", "schema": result_schema(operation)},
        "errors": [{"$ref": f"#/components/errors/{name}"} for name in _errors()],
        "examples": [
            {
                "name": operation.name,
                "params": [{"name": name, "value": value} for name, value in operation.example.items()],
                "result": {"name": "result", "value": example_value(operation.result)},
            }
        ],
    }
    return {**method, "description": rest} if rest else method


def _descriptor(name: str, schema: Schema, *, is_required: bool) -> Schema:
    described = {"description": schema["description"]} if "description" in schema else {}
    rest = {key: value for key, value in schema.items() if key != "description"}
    return {"name": name, **described, "required": is_required, "schema": _with_known_formats(rest)}


def _with_known_formats(schema: Schema) -> Schema:
    """The schema without formats that some validators refuse, instead of ignoring what they do not know."""
    kept = {key: value for key, value in schema.items() if key != "format" or value in FORMATS}
    if "anyOf" in kept:
        kept["anyOf"] = [_with_known_formats(choice) for choice in kept["anyOf"]]
    return kept


def _discover() -> dict[str, Any]:
    return {
        "name": DISCOVER,
        "summary": "Return this document.",
        "params": [],
        "result": {"name": "result", "schema": DOCUMENT},
    }


def _errors() -> Schema:
    """The errors by name, of those with the same code the first."""
    kinds = {row.rpc: kind for kind, row in reversed(list(CODES.items()))}
    known = {
        kind.__name__: {"code": code, "message": (kind.__doc__ or kind.__name__).partition("\n")[0]}
        for code, kind in reversed(list(kinds.items()))
    }
    return {**known, "Internal": {"code": INTERNAL.rpc, "message": "An internal error; see herod's log."}}


def _needs(operation: Operation) -> str:
    if operation.person is not None:
        return "a person's session"
    if isinstance(operation.needs, str):
        return f"needs {operation.needs}"
    return "public" if operation.needs is Access.PUBLIC else "any credential"
