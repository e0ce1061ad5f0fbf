"""What goes in and comes out of each operation, as JSON Schema: made from its Structs, for OpenAPI, OpenRPC and MCP.

Never says more than the code holds: a schema is what msgspec decodes and encodes.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from herod.operations.registry import Operation

__all__ = ["Schema", "components", "field_schemas", "required_fields", "result_schema"]

Schema = dict[str, Any]

REFERENCE: Final = "#/components/schemas/{name}"


def components(operations: Iterable[Operation]) -> dict[str, Schema]:
    """Every named type that an operation takes or gives, by its name."""
    types = [one for operation in operations for one in (operation.params, operation.result)]
    return msgspec.json.schema_components(types, ref_template=REFERENCE)[1]


def result_schema(operation: Operation) -> Schema:
    """What an operation gives, by reference to `components`."""
    ((schema,), _) = msgspec.json.schema_components([operation.result], ref_template=REFERENCE)
    return schema


def field_schemas(operation: Operation) -> Mapping[str, Schema]:
    """What an operation takes: parameter → schema, in the order by position."""
    (_, found) = msgspec.json.schema_components([operation.params], ref_template=REFERENCE)
    properties: Mapping[str, Schema] = found[operation.params.__name__].get("properties", {})
    return {name: properties[name] for name in operation.params.__struct_fields__}


def required_fields(operation: Operation) -> frozenset[str]:
    """The parameters that have no default."""
    return frozenset(field.name for field in msgspec.structs.fields(operation.params) if field.required)
