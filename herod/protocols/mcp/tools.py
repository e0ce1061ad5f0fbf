"""The operations that agents see as tools, with schemas derived from their Structs, and accurate hints.

Contains no text written by users: names and descriptions come only from the code, so that nobody can instruct an agent
through them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from herod.pipeline.operation_definition import Operation, Tool
from herod.protocols.responses import encode
from herod.scopes.decisions import Access

__all__ = ["McpTool", "make_tools"]

Schema = dict[str, Any]

# For a result that is not an object: `structuredContent` must be one (MCP 2025-11-25, "Output Schema").
WRAPPED: Final = "result"
ONCE: Final = (
    "The answer contains a secret that is shown only once: "
    "give it to the person who asked for it, and put it nowhere else."
)


@dataclass(frozen=True, slots=True)
class McpTool:
    """One tool.

    Attributes:
        listing: the tool as `tools/list` shows it, as JSON.
        is_wrapped: its result is not an object, so it is wrapped in one.
    """

    name: str
    operation: Operation
    listing: msgspec.Raw
    is_wrapped: bool

    def encode(self, result: Any) -> bytes:
        """Encode a result according to the tool's output schema."""
        return encode({WRAPPED: result} if self.is_wrapped else result)


def make_tools(operations: Iterable[Operation]) -> Mapping[str, McpTool]:
    """The tools by name, in the table's order.

    Raises:
        TypeError: two operations use the same name, or one would ask agents for a credential.
    """
    tools: dict[str, McpTool] = {}
    for operation in operations:
        if operation.tool is None:
            continue
        if operation.credential_field is not None:
            raise TypeError(f"{operation.name} takes a credential among its parameters: it cannot be a tool")
        if operation.tool.name in tools:
            raise TypeError(f"duplicate tool name: {operation.tool.name}")
        tools[operation.tool.name] = _tool(operation, operation.tool)
    return tools


def _tool(operation: Operation, offer: Tool) -> McpTool:
    takes, _ = _object_schema(operation.params)
    if not takes["properties"]:
        del takes["description"]
    gives, is_wrapped = _object_schema(operation.result)
    listing = {
        "name": offer.name,
        "title": offer.name.replace("_", " ").capitalize(),
        "description": _description(operation, gives),
        "inputSchema": takes,
        "outputSchema": gives,
        "annotations": _annotations(operation, offer),
    }
    return McpTool(offer.name, operation, msgspec.Raw(encode(listing)), is_wrapped)


def _annotations(operation: Operation, offer: Tool) -> dict[str, bool]:
    """Hints for the person who is asked to approve a call. Every tool acts only on herod's own store."""
    if not operation.is_command:
        return {"readOnlyHint": True, "openWorldHint": False}
    return {
        "readOnlyHint": False,
        "destructiveHint": offer.destructive,
        "idempotentHint": offer.idempotent,
        "openWorldHint": False,
    }


def _description(operation: Operation, gives: Schema) -> str:
    said = [operation.summary]
    if not isinstance(operation.needs, Access):
        said.append(f"Needs scope {operation.needs}.")
    if any(part.get("format") == "password" for part in gives["properties"].values()):
        said.append(ONCE)
    return "\n\n".join(said)


def _object_schema(type_: Any) -> tuple[Schema, bool]:
    """A type's JSON Schema with an object at its root, and whether the type had to be wrapped into one."""
    ((root,), named) = msgspec.json.schema_components([type_], ref_template="#/$defs/{name}")
    name = root.get("$ref", "").rpartition("/")[2]
    is_wrapped = named.get(name, {}).get("type") != "object"
    schema = {"type": "object", "properties": {WRAPPED: root}, "required": [WRAPPED]} if is_wrapped else named.pop(name)
    schema.pop("title", None)  # the Struct's name in the code
    if named:
        schema["$defs"] = named
    return schema, is_wrapped
