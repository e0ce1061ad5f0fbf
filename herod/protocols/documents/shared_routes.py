"""One OpenAPI operation for several of herod's that share a route: the grants of `/token` (RFC 6749, section 4).

Its form has the parameters of all of them, with an example for each; the description says which ones each grant type
needs. Generators make one usable type of that, and of alternatives in a form none.
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
    security = [*first["security"], *(one for one in second["security"] if one not in first["security"])]
    (media,) = second["requestBody"]["content"].values()
    about = f"{second['summary']} {second['description']} {_needs(media['schema'])}"
    return {
        **first,
        "description": f"{first['description']}\n\n{about}",
        "security": security,
        "requestBody": _joined_bodies(first["requestBody"], second["requestBody"]),
        "responses": _joined_answers(first, second),
    }


def _joined_bodies(first: Schema, second: Schema) -> Schema:
    ((kind, one),) = first["content"].items()
    other = second["content"][kind]
    media = {
        "schema": _joined_forms(one["schema"], other["schema"]),
        "examples": {
            **_examples(one, _grants(one["schema"])[0]),
            **_examples(other, _grants(other["schema"])[0]),
        },
    }
    return {"required": True, "content": {kind: media}}


def _joined_answers(first: Schema, second: Schema) -> Schema:
    """The answers of both, by status; where both have one, its schema is that of either."""
    ours, theirs = first["responses"], second["responses"]
    answers = {**theirs, **ours}
    for status in ours.keys() & theirs.keys():
        if "content" not in ours[status]:
            continue  # a reference to one error that all routes share
        ((kind, one),) = ours[status]["content"].items()
        other = theirs[status]["content"][kind]
        choices = [*one["schema"].get("anyOf", (one["schema"],)), *other["schema"].get("anyOf", (other["schema"],))]
        kept = [choice for at, choice in enumerate(choices) if choice not in choices[:at]]
        schema = kept[0] if len(kept) == 1 else {"anyOf": kept}
        examples = {**_examples(one, _grant(first)), **_examples(other, _grant(second))}
        answers[status] = {**ours[status], "content": {kind: {"schema": schema, "examples": examples}}}
    return dict(sorted(answers.items()))


def _examples(media: Schema, grant: str) -> Schema:
    """The examples of a form or an answer by their grant type; a single one is of `grant`."""
    return dict(media["examples"]) if "examples" in media else {grant: {"value": media["example"]}}


def _grant(described: Schema) -> str:
    """The first grant type of an operation object."""
    (media,) = described["requestBody"]["content"].values()
    return _grants(media["schema"])[0]


def _joined_forms(first: Schema, second: Schema) -> Schema:
    grants = (*_grants(first), *_grants(second))
    properties: dict[str, Any] = {**second["properties"], **first["properties"]}
    grant: Schema = {key: value for key, value in properties[GRANT_TYPE].items() if key != "default"}
    properties[GRANT_TYPE] = {**grant, "enum": list(grants)}
    return {**first, "properties": properties, "required": [GRANT_TYPE]}


def _grants(schema: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(schema["properties"][GRANT_TYPE]["enum"])


def _needs(schema: Schema) -> str:
    """What the form of one grant type must have, as a sentence."""
    (grant,) = _grants(schema)
    needed = [f"`{name}`" for name in schema.get("required", ()) if name != GRANT_TYPE]
    return (
        f"`{GRANT_TYPE}={grant}` needs {' and '.join(needed)}." if needed else f"`{GRANT_TYPE}={grant}` needs no more."
    )
