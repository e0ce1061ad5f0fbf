"""The OpenAPI 3.1 document: every route, what it takes and every way it answers, made from the operation table."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from herod import errors
from herod.errors import HerodError
from herod.operations.realm import Realm
from herod.operations.registry import Operation, Route
from herod.protocols.answers import is_enveloped
from herod.protocols.codes import CODES, INTERNAL
from herod.protocols.rest import IN_QUERY, STREAM_TYPE
from herod.protocols.samples import sample
from herod.protocols.schemas import Schema, components, field_schemas, required_fields, result_schema
from herod.protocols.security_schemes import requirement, security_schemes
from herod.scopes.decisions import Access

__all__ = ["openapi_document"]

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
# What can meet any request, whatever it asks for.
ALWAYS: Final[tuple[type[HerodError], ...]] = (
    errors.InvalidRequest,
    errors.Unauthenticated,
    errors.PermissionDenied,
    errors.TooLarge,
    errors.RateLimited,
    errors.Unavailable,
)
MEANINGS: Final[Mapping[int, str]] = {
    400: "The request cannot be read, or says something that cannot be done.",
    401: "No credential, or one that is no good.",
    403: "The credential does not reach so far, or a foreign origin asks.",
    404: "It is not there, or not yours to see.",
    409: "It stands against what is there.",
    413: "The request is too large.",
    421: "The Host is not one of herod's.",
    429: "Too many tries: wait as `Retry-After` says.",
    500: "A fault in herod; its log has it.",
    503: "The store cannot do this now; `/health` says why.",
}
ERROR: Final[Schema] = {
    "title": "Error",
    "type": "object",
    "properties": {
        "code": {"type": "string", "description": "stable; for programs"},
        "message": {"type": "string", "description": "what happened and what to do; for people"},
        "hint": {"type": "string", "description": "the command that would mend it"},
    },
    "required": ["code", "message"],
}
META: Final[Schema] = {
    "title": "Meta",
    "type": "object",
    "properties": {
        "api_version": {"type": "string"},
        "server_version": {"type": "string"},
        "next_cursor": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    },
    "required": ["api_version", "server_version"],
}
OAUTH_ERROR: Final[Schema] = {
    "title": "OAuthError",
    "description": "RFC 6749, section 5.2.",
    "type": "object",
    "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
    "required": ["error", "error_description"],
}
CLIENT_FIELDS: Final[Schema] = {
    "client_id": {"type": "string", "description": "in place of the Authorization header"},
    "client_secret": {"type": "string", "format": "password", "description": "in place of the Authorization header"},
}


def openapi_document(operations: Iterable[Operation], realm: Realm, further: Mapping[str, Schema]) -> Schema:
    """The document for one realm.

    Args:
        operations: the table.
        realm: gives the scopes, the version and the public address.
        further: path → path item of what is no operation.
    """
    offered = [operation for operation in operations if operation.routes]
    paths: dict[str, Schema] = {}
    for operation in offered:
        for number, route in enumerate(operation.routes):
            item = paths.setdefault(route.path, {})
            item[route.method.lower()] = _operation_object(operation, route, number)
    paths.update(further)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "herod",
            "version": realm.version,
            "summary": "Who is this, and may they? Local authentication and authorization.",
            "description": "Plain routes answer flat; `/api/v1` answers in an envelope of `data` and `meta`.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": realm.public_url}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": {**components(offered), "Error": ERROR, "Meta": META, "OAuthError": OAUTH_ERROR},
            "securitySchemes": security_schemes(realm),
        },
        "tags": [{"name": tag} for tag in sorted({_tag(operation) for operation in offered})],
    }


def _operation_object(operation: Operation, route: Route, number: int) -> Schema:
    first, _, rest = operation.summary.partition("\n\n")
    described: Schema = {
        "operationId": operation.name if number == 0 else f"{operation.name}.{number + 1}",
        "summary": first,
        "tags": [_tag(operation)],
        "security": requirement(operation),
        "responses": {**_success(operation, route), **_failures(operation, route)},
    }
    if rest:
        described["description"] = rest
    fields = dict(field_schemas(operation))
    required = required_fields(operation)
    in_path = [part[1:-1] for part in route.path.split("/") if part.startswith("{")]
    headers = {name: operation.headers[name] for name in fields if name in operation.headers}
    parameters = [_parameter(name, "path", fields.pop(name), example=operation.example) for name in in_path]
    if route.method in IN_QUERY:
        parameters += [
            _parameter(
                headers.get(name, name), "header" if name in headers else "query", schema, required=name in required
            )
            for name, schema in fields.items()
        ]
    else:
        parameters += [_parameter(header, "header", fields[name]) for name, header in headers.items()]
        if fields:
            described["requestBody"] = _body(operation, route, fields, required)
    if parameters:
        described["parameters"] = parameters
    return described


def _parameter(
    name: str,
    place: str,
    schema: Schema,
    *,
    required: bool = True,
    example: Mapping[str, Any] | None = None,
) -> Schema:
    parameter: Schema = {"name": name, "in": place, "schema": _without_null(schema)}
    if place == "path" or (required and place == "query"):
        parameter["required"] = True
    if example is not None and name in example:
        parameter["example"] = example[name]
    return parameter


def _without_null(schema: Schema) -> Schema:
    """A query or header either stands there or does not."""
    choices = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) != 1:
        return schema
    kept = {key: value for key, value in schema.items() if key not in {"anyOf", "default"}}
    return {**choices[0], **kept, **({} if schema.get("default") is None else {"default": schema["default"]})}


def _body(operation: Operation, route: Route, fields: Mapping[str, Schema], required: frozenset[str]) -> Schema:
    is_form = is_oauth(operation, route)
    must = sorted(required & fields.keys())
    schema: Schema = {"type": "object", "properties": {**(CLIENT_FIELDS if is_form else {}), **fields}}
    if must:
        schema["required"] = must
    if not is_form:
        schema["additionalProperties"] = False
    example = {name: value for name, value in operation.example.items() if name in fields}
    media = {"schema": schema, **({"example": example} if example else {})}
    return {"required": bool(must), "content": {FORM if is_form else JSON: media}}


def _success(operation: Operation, route: Route) -> Schema:
    status = "201" if operation.creates else "200"
    if operation.streamed is not None:
        return {status: {"description": "The file.", "content": {STREAM_TYPE: {}}}}
    if operation.media_type is not None:
        return {status: {"description": "A text.", "content": {operation.media_type: {"schema": {"type": "string"}}}}}
    schema, example = result_schema(operation), sample(operation.result)
    if is_enveloped(route.path):
        is_page = isinstance(example, dict) and set(example) == {"items", "next_cursor"}
        data = {"type": "array", "items": _item_of(operation)} if is_page else schema
        meta = {"api_version": "1", "server_version": "1.0.0", **({"next_cursor": None} if is_page else {})}
        schema = {
            "type": "object",
            "properties": {"data": data, "meta": {"$ref": "#/components/schemas/Meta"}},
            "required": ["data", "meta"],
        }
        example = {"data": example["items"] if is_page else example, "meta": meta}
    answer = {"description": "Done.", "content": {JSON: {"schema": schema, "example": example}}}
    return {status: answer} if operation.status is None else {status: answer, "503": {**answer, "description": "Not."}}


def _item_of(operation: Operation) -> Schema:
    ((schema,), _) = msgspec.json.schema_components(
        operation.result.__args__, ref_template="#/components/schemas/{name}"
    )
    return schema


def _failures(operation: Operation, route: Route) -> Schema:
    kinds = {kind for kind in ALWAYS if kind is not errors.Unauthenticated or operation.needs is not Access.PUBLIC}
    kinds.update(operation.failures)
    if "{" in route.path:
        kinds.add(errors.NotFound)
    if operation.is_command:
        kinds.add(errors.Conflict)
    statuses = {str(CODES[kind].http) for kind in kinds} | {"421", str(INTERNAL.http)}
    if operation.status is not None:
        statuses.discard("503")
    name = "OAuthError" if is_oauth(operation, route) else "Error"
    return {status: failure(int(status), name, has_envelope=is_enveloped(route.path)) for status in sorted(statuses)}


def failure(status: int, name: str = "Error", *, has_envelope: bool = False) -> Schema:
    """One answer that is an error, in the form of its route."""
    schema: Schema = {"$ref": f"#/components/schemas/{name}"}
    if name == "Error":
        schema = {"type": "object", "properties": {"error": schema}, "required": ["error"]}
        if has_envelope and status != 421:
            schema["properties"]["meta"] = {"$ref": "#/components/schemas/Meta"}
    answer: Schema = {"description": MEANINGS[status], "content": {JSON: {"schema": schema}}}
    header = {401: "WWW-Authenticate", 429: "Retry-After"}.get(status)
    if header is not None:
        answer["headers"] = {header: {"schema": {"type": "string"}}}
    return answer


def is_oauth(operation: Operation, route: Route) -> bool:
    """Whether a route takes a form and answers errors as OAuth does."""
    return operation.form and not route.path.startswith("/api/")


def _tag(operation: Operation) -> str:
    return operation.name.partition(".")[0] if "." in operation.name else "system"
