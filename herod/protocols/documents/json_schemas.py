"""JSON Schemas of each operation's parameters and result, derived from its Structs, for OpenAPI and OpenRPC.

Schemas come only from the code: what msgspec decodes and encodes, and the limits and formats in
`pipeline/parameters/parameter_types.py`.
"""

import re
import typing
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, Final

import msgspec

from herod.identity.runtime_state import Runtime
from herod.pipeline.operation_definition import Operation, Params
from herod.pipeline.parameters.parameter_types import ENUMERATED
from herod_client.core.scope_graph import ALIASES, MAX_SCOPES

__all__ = [
    "Names",
    "Schema",
    "components",
    "field_schemas",
    "item_schema",
    "known_names",
    "object_schema",
    "required_fields",
    "result_schema",
    "without_null",
]

Schema = dict[str, Any]
# What a field enumerates → the existing names.
Names = Mapping[str, Sequence[str]]

PREFIX: Final = "#/components/schemas/"
REFERENCE: Final = PREFIX + "{name}"
# msgspec's name for a page of a type; and the suffix of the names of views.
PAGE: Final = re.compile(r"Page_(?P<item>\w+)_")
VIEW: Final = "View"


def known_names(operations: Iterable[Operation], runtime: Runtime) -> Names:
    """The names that `field_schemas` fills in for fields that accept only certain names."""
    scopes = runtime.config.graph.scopes
    known = (*scopes, *(alias for alias in ALIASES if alias not in scopes))
    return {
        "scope": known,
        "scopes": known,
        "operations": [operation.name for operation in operations],
    }


def components(operations: Iterable[Operation]) -> dict[str, Schema]:
    """Every named type in the operations' results, by its name."""
    types = [operation.result for operation in operations]
    found = msgspec.json.schema_components(types, ref_template=REFERENCE)[1]
    return {_clean(name): _renamed({**schema, "title": _clean(name)}) for name, schema in sorted(found.items())}


def result_schema(operation: Operation) -> Schema:
    """The schema of an operation's result, by reference to `components`."""
    return _schema(operation.result)


def item_schema(operation: Operation) -> Schema:
    """The schema of the items of an operation's page."""
    return _schema(typing.get_args(operation.result)[0])


def field_schemas(operation: Operation, names: Names) -> Mapping[str, Schema]:
    """An operation's parameters: name → schema, in the order by position."""
    (_, found) = msgspec.json.schema_components([operation.params], ref_template=REFERENCE)
    properties: Mapping[str, Schema] = found[operation.params.__name__].get("properties", {})
    schemas = {name: _lifted(_renamed(properties[name])) for name in operation.params.__struct_fields__}
    for name, kind in _enumerated(operation.params).items():
        _set(schemas[name], {"enum": sorted(names[kind])} if kind == "operations" else _scopes(names[kind], kind))
    return schemas


def required_fields(operation: Operation) -> frozenset[str]:
    """The parameters without a default."""
    return frozenset(field.name for field in msgspec.structs.fields(operation.params) if field.required)


def object_schema(params: type[Params], fields: Mapping[str, Schema], required: Collection[str]) -> Schema:
    """The schema of some parameters together, with the constraints between them. Null counts as omitted.

    If exactly one of several is needed, each choice is an object of its own: generators make no usable type of
    constraints beside properties.
    """
    among = [name for name in params.exactly_one if name in fields]
    if len(among) < 2:
        return {**_object(fields, required), **_at_most_one([name for name in params.at_most_one if name in fields])}
    absent = {name: {"type": "null"} for name in among}
    return {
        "anyOf": [
            {
                "title": f"By {name}",
                **_object({**fields, **absent, name: without_null(fields[name])}, {*required, name}),
            }
            for name in among
        ]
    }


def without_null(schema: Schema) -> Schema:
    """The schema of a query parameter or header, which may be omitted but is never null."""
    offered = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
    if len(offered) != 1:
        return schema
    kept = {key: value for key, value in schema.items() if key not in {"anyOf", "default"}}
    return {**offered[0], **kept, **({} if schema.get("default") is None else {"default": schema["default"]})}


def _object(fields: Mapping[str, Schema], required: Collection[str]) -> Schema:
    schema: Schema = {"type": "object", "properties": dict(fields), "additionalProperties": False}
    return {**schema, "required": sorted(required)} if required else schema


def _at_most_one(names: Sequence[str]) -> Schema:
    pairs = [
        {"required": list(pair), "properties": {name: {"not": {"type": "null"}} for name in pair}}
        for pair in combinations(names, 2)
    ]
    return {"not": pairs[0] if len(pairs) == 1 else {"anyOf": pairs}} if pairs else {}


def _schema(kind: Any) -> Schema:
    ((schema,), _) = msgspec.json.schema_components([kind], ref_template=REFERENCE)
    renamed: Schema = _renamed(schema)
    return renamed


def _lifted(schema: Schema) -> Schema:
    """Move the description of a nullable value to the top, where readers and tools look for it."""
    for choice in schema.get("anyOf", ()):
        if "description" in choice:
            schema = {"description": choice.pop("description"), **schema}
    return schema


def _renamed(value: Any) -> Any:
    """A part of a schema with the documents' names, and with what generators want to be told."""
    if isinstance(value, list):
        return [_renamed(one) for one in value]
    if not isinstance(value, dict):
        return value
    told: Schema = {}
    if "enum" in value and "type" not in value:
        told["type"] = "string"  # only texts are enumerated
    if value.get("type") == "object" and "properties" not in value:
        told["additionalProperties"] = True  # else they make the type of an empty object
    renamed = {
        key: PREFIX + _clean(one.removeprefix(PREFIX)) if key == "$ref" else _renamed(one) for key, one in value.items()
    }
    return told | renamed


def _clean(name: str) -> str:
    page = PAGE.fullmatch(name)
    return f"{_clean(page['item'])}Page" if page else name.removesuffix(VIEW)


def _enumerated(params: type[Params]) -> Mapping[str, str]:
    """Parameter → what it names, for parameters that accept known names."""
    found = {}
    for name, hint in typing.get_type_hints(params, include_extras=True).items():
        for part in (hint, *typing.get_args(hint)):
            for meta in getattr(part, "__metadata__", ()):
                kind = (meta.extra or {}).get(ENUMERATED) if isinstance(meta, msgspec.Meta) else None
                if kind is not None:
                    found[name] = kind
    return found


def _set(schema: Schema, facts: Schema) -> None:
    """Add facts about a schema's text, whether it is nullable or not."""
    for part in (schema, *schema.get("anyOf", ())):
        if part.get("type") == "string":
            part.update(facts)


def _scopes(names: Sequence[str], kind: str) -> Schema:
    """One name, or several separated by white space, in any order, as many as a scope may have.

    No enumeration: a reload changes the names, and generators make the same identifier of `admin` and `Admin`.
    """
    name = f"({'|'.join(re.escape(name) for name in names)})"
    return {"pattern": f"^{name}$" if kind == "scope" else rf"^\s*{name}(\s+{name}){{0,{MAX_SCOPES - 1}}}\s*$"}
