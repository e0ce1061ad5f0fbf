"""What agents see of the table: each operation that has a tool, with schemas made from its Structs and honest hints.

Says nothing that users wrote: names and descriptions come from the code alone, so nobody can speak to an agent by them.
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

# Where a result is no object of its own: `structuredContent` must be one (MCP 2025-11-25, "Output Schema").
WRAPPED: Final = "result"
ONCE: Final = (
    "The answer holds a secret that is shown this once: "
    "give it to the person who asked for it, and put it nowhere else."
)


@dataclass(frozen=True, slots=True)
class McpTool:
    """One tool.

    Attributes:
        listing: the tool as `tools/list` shows it, as JSON.
        is_wrapped: its result is no object, and stands in one.
    """

    name: str
    operation: Operation
    listing: msgspec.Raw
    is_wrapped: bool

    def encode(self, result: Any) -> bytes:
        """A result as the tool's output schema has it."""
        return encode({WRAPPED: result} if self.is_wrapped else result)


def make_tools(operations: Iterable[Operation]) -> Mapping[str, McpTool]:
    """The tools by name, in the table's order.

    Raises:
        TypeError: two operations offer the same name, or one would have agents asked for a credential.
    """
    tools: dict[str, McpTool] = {}
    for operation in operations:
        if operation.tool is None:
            continue
        if operation.credential_field is not None:
            raise TypeError(f"{operation.name} takes a credential among its parameters: it cannot be a tool")
        if operation.tool.name in tools:
            raise TypeError(f"two tools are called {operation.tool.name}")
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
    """Hints for the one who is asked whether a call may go ahead. Every tool acts on herod's own store alone."""
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
