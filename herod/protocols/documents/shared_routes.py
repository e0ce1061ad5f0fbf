"""One OpenAPI operation for several of herod's that share a route: the grants of `/token` (RFC 6749, section 4).

Its form has the parameters of all of them; `if` and `then` say which ones each grant type needs. Generators make one
usable type of that, and of alternatives in a form none.
"""

from collections.abc import Mapping
from typing import Any, Final

from herod.protocols.documents.json_schemas import Schema

__all__ = ["joined"]

GRANT_TYPE: Final = "grant_type"


def joined(first: Schema, second: Schema) -> Schema:
    """Two operation objects of one route as one, with the id and the example of the first.

    Args:
        first: of one operation, or already of several.
        second: of one operation.
    """
    answers = {**second["responses"], **first["responses"]}
    security = [*first["security"], *(one for one in second["security"] if one not in first["security"])]
    return {
        **first,
        "description": f"{first['description']}\n\n{second['summary']} {second['description']}",
        "security": security,
        "requestBody": _joined_bodies(first["requestBody"], second["requestBody"]),
        "responses": dict(sorted(answers.items())),
    }


def _joined_bodies(first: Schema, second: Schema) -> Schema:
    ((kind, one),) = first["content"].items()
    other = second["content"][kind]
    return {"required": True, "content": {kind: {**one, "schema": _joined_forms(one["schema"], other["schema"])}}}


def _joined_forms(first: Schema, second: Schema) -> Schema:
    grants = (*_grants(first), *_grants(second))
    properties: dict[str, Any] = {**second["properties"], **first["properties"]}
    grant: Schema = {key: value for key, value in properties[GRANT_TYPE].items() if key != "default"}
    properties[GRANT_TYPE] = {**grant, "enum": list(grants)}
    conditions: Schema = {}
    for schema in (second, first):
        conditions = _conditions(schema, conditions)
    kept = {key: value for key, value in first.items() if key not in {"if", "then", "else"}}
    return {**kept, "properties": properties, "required": [GRANT_TYPE], **conditions}


def _grants(schema: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(schema["properties"][GRANT_TYPE]["enum"])


def _conditions(schema: Schema, otherwise: Schema) -> Schema:
    """What a form's grant types need; `otherwise` is for those that they do not name."""
    if "if" in schema:  # of several already
        rest = schema.get("else")
        return {
            "if": schema["if"],
            "then": schema["then"],
            "else": otherwise if rest is None else _conditions(rest, otherwise),
        }
    needed = sorted({*schema.get("required", ()), GRANT_TYPE})
    (grant,) = _grants(schema)
    own: Schema = {"if": {"properties": {GRANT_TYPE: {"const": grant}}}, "then": {"required": needed}}
    return {**own, "else": otherwise} if otherwise else own
