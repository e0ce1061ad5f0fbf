"""The OpenAPI 3.1 document: every route with its parameters and answers, derived from the operation table."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from herod.identity.runtime_state import Runtime
from herod.pipeline.operation_definition import Operation, Route
from herod.protocols.documents.common_schemas import COMMON, SCHEMAS
from herod.protocols.documents.error_responses import (
    JSON,
    failure_responses,
    failures,
)
from herod.protocols.documents.example_values import example_value
from herod.protocols.documents.json_schemas import (
    Names,
    Schema,
    components,
    field_schemas,
    item_schema,
    known_names,
    object_schema,
    required_fields,
    result_schema,
    without_null,
)
from herod.protocols.documents.security_schemes import needs_text, requirement, security_schemes
from herod.protocols.documents.shared_routes import joined
from herod.protocols.error_formats import is_form_route
from herod.protocols.responses import is_enveloped
from herod.protocols.rest import IN_QUERY, STREAM_TYPE

__all__ = ["openapi_document"]

FORM: Final = "application/x-www-form-urlencoded"
ABOUT: Final = """\
Herod answers "who is this, and may they?" for the services of a machine.

**Credentials.** A token, an API key or a legacy secret goes into `Authorization: Bearer …`; a client id and secret into
`Authorization: Basic …`; a local process on the Unix socket sends `Authorization: Peer`. One request presents one
credential. Get a token with `POST /login` (a person) or `POST /token` (a program), a key with `POST /api/v1/keys`.

**Formats.** Plain routes answer flat. `/api/v1` and `/api/auth` answer in an envelope of `data` and `meta`; lists have
`meta.next_cursor`, which is the `cursor` of the next page. A page may hold fewer items than `limit` and not be the
last. Times are RFC 3339 in UTC; a `scope` is names separated by spaces. Bodies are JSON, at most 64 KiB; `/token`,
`/introspect` and `/revoke` take forms, as OAuth does.

**Errors** carry a stable `code`, a `message` that says what to do, and sometimes a `hint`, the command that helps. On
every path, a method that it does not take is a 405, and a method or transfer coding that herod does not know is a 501.

The same operations are JSON-RPC methods at `/rpc` (`/rpc/discover` lists them) and, some of them, tools at `/mcp`.
"""
# tag → what its operations are about
TAGS: Final[Mapping[str, str]] = {
    "access": "Explanations of authorization decisions.",
    "audit": "What was done and what was refused, and verification that the log is intact.",
    "delegations": "Connected apps: what people let apps do in their name.",
    "approvals": "What apps asked for and a person must approve first.",
    "documents": "Documents that describe herod, and the endpoints of other protocols.",
    "factors": "Second factors: passkeys, authenticator apps and recovery codes, mostly changed by their person.",
    "keys": "API keys: a user key has at most its owner's grants; a service key has its own.",
    "legacy": "Secrets of older systems, and their replacement.",
    "session": "Browser sessions of the dashboard.",
    "openid": "OpenID Connect: who signed in to an app.",
    "apps": "OAuth apps that an admin registered, for people to sign in to.",
    "oauth": "Apps that ask people for access.",
    "peers": "What local users and groups may do on the Unix socket without any other credential.",
    "resources": "What services keep for their tenants, opened by a secret that the tenant chooses.",
    "sign-in": "For people: a token for an email and a password.",
    "system": "The daemon's health, counts and versions, and your identity.",
    "token": "Access tokens: issue, validate, revoke and follow them.",
    "users": "Accounts, and their passwords and client secrets.",
}
SIGN_IN: Final = frozenset({"login", "register"})
SECOND_FACTORS: Final = frozenset({"passkeys", "recovery", "totp"})
CLIENT_FIELDS: Final[Schema] = {
    "client_id": {"type": "string", "description": "instead of the Authorization header"},
    "client_secret": {"type": "string", "format": "password", "description": "instead of the Authorization header"},
}


def openapi_document(operations: Iterable[Operation], runtime: Runtime, further: Mapping[str, Schema]) -> Schema:
    """The document for one runtime.

    Args:
        operations: the operation table.
        runtime: has the scopes, the version and the public URL.
        further: path → path item of what is not an operation.
    """
    table = list(operations)
    offered = [operation for operation in table if operation.routes]
    names = known_names(table, runtime)
    paths: dict[str, Schema] = {}
    for operation in offered:
        for number, route in enumerate(operation.routes):
            item = paths.setdefault(route.path, {})
            method = route.method.lower()
            described = _operation_object(operation, route, number, names)
            item[method] = joined(item[method], described) if method in item else described
    paths.update(further)
    responses = _used(paths, "responses", failure_responses())
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Herod API",
            "version": runtime.config.version,
            "summary": "Who is this, and may they? Local authentication and authorization.",
            "description": ABOUT,
            "contact": {"name": "The herod developers"},
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": runtime.config.public_url}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": _used([paths, responses], "schemas", {**components(offered), **COMMON}),
            "responses": responses,
            "securitySchemes": security_schemes(runtime),
        },
        "tags": [{"name": tag, "description": meaning} for tag, meaning in TAGS.items()],
    }


def _used(parts: Any, kind: str, known: Mapping[str, Schema]) -> Schema:
    """The known components that are referenced."""
    found: dict[str, Schema] = {}
    waiting: list[Any] = [parts]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            place, _, name = str(part.get("$ref", "")).rpartition("/")
            if place.endswith(f"/{kind}") and name not in found:
                found[name] = known[name]
                waiting.append(known[name])
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
    return dict(sorted(found.items()))


def _operation_object(operation: Operation, route: Route, number: int, names: Names) -> Schema:
    first, _, rest = operation.summary.partition("\n\n")
    about = [rest, needs_text(operation)]
    described: Schema = {
        "operationId": operation.name if number == 0 else f"{operation.name}.{number + 1}",
        "summary": first,
        "description": "\n\n".join(part for part in about if part),
        "tags": [_tag(operation)],
        "x-credential": operation.credential,
        "security": requirement(operation),
        "responses": {**_success(operation, route), **failures(operation, route)},
    }
    fields = dict(field_schemas(operation, names))
    required = required_fields(operation)
    in_path = [part[1:-1] for part in route.path.split("/") if part.startswith("{")]
    headers = {name: operation.headers[name] for name in fields if name in operation.headers}
    example = operation.example
    parameters = [_parameter(name, "path", fields.pop(name), example, name) for name in in_path]
    if not set(in_path).isdisjoint(operation.params.exactly_one):  # leave out alternatives to the path's parameter
        fields = {name: schema for name, schema in fields.items() if name not in operation.params.exactly_one}
    if route.method in IN_QUERY:
        for name, schema in fields.items():
            place, called = ("header", headers[name]) if name in headers else ("query", name)
            parameters.append(_parameter(called, place, schema, example, name, required=name in required))
    else:
        # It may be in the body or the header; the example shows the body.
        parameters += [_parameter(header, "header", fields[name], {}, name) for name, header in headers.items()]
        if fields:
            described["requestBody"] = _body(operation, route, fields, required - headers.keys())
    if parameters:
        described["parameters"] = parameters
    return described


def _parameter(
    called: str,
    place: str,
    schema: Schema,
    example: Mapping[str, Any],
    name: str,
    *,
    required: bool = True,
) -> Schema:
    schema = dict(without_null(schema))
    parameter: Schema = {"name": called, "in": place}
    if "description" in schema:
        parameter["description"] = schema.pop("description")
    parameter["schema"] = schema
    if place == "path" or (required and place == "query"):
        parameter["required"] = True
    if name in example:
        parameter["example"] = example[name]
    return parameter


def _body(operation: Operation, route: Route, fields: Mapping[str, Schema], required: frozenset[str]) -> Schema:
    is_form = is_form_route(operation, route.path)
    if is_form:
        fields = {name: without_null(part) for name, part in {**CLIENT_FIELDS, **fields}.items()}
        fields = {name: part if name in required else _or_empty(part) for name, part in fields.items()}
    schema = object_schema(operation.params, fields, required & fields.keys())
    if is_form or operation.members:  # more are ignored (RFC 6749, section 3.2; RFC 7591, section 2)
        del schema["additionalProperties"]
    if is_form:
        schema["dependentRequired"] = {"client_secret": ["client_id"]}
    example = {name: value for name, value in operation.example.items() if name in fields}
    media = {"schema": schema, **({"example": example} if example else {})}
    return {"required": "required" in schema or "anyOf" in schema, "content": {FORM if is_form else JSON: media}}


def _or_empty(schema: Schema) -> Schema:
    """The schema of a form's optional parameter: without a value it counts as omitted (RFC 6749, section 3.2)."""
    if "pattern" not in schema:
        return schema
    kept = {key: value for key, value in schema.items() if key != "format"}  # no format has the empty text
    return {**kept, "pattern": f"^$|{schema['pattern']}"}


def _success(operation: Operation, route: Route) -> Schema:
    status = "201" if operation.creates else "200"
    if operation.streamed is not None:
        return {
            status: {
                "description": "The file.",
                "content": {STREAM_TYPE: {"schema": {"type": "string", "format": "binary"}}},
            }
        }
    if operation.media_type is not None:
        return {status: {"description": "A text.", "content": {operation.media_type: {"schema": {"type": "string"}}}}}
    schema, example = result_schema(operation), example_value(operation.result)
    if is_enveloped(route.path):
        is_page = isinstance(example, dict) and set(example) == {"items", "next_cursor"}
        data = {"type": "array", "items": item_schema(operation)} if is_page else schema
        meta = {"api_version": "1", "server_version": "1.0.0", **({"next_cursor": None} if is_page else {})}
        schema = {
            "type": "object",
            "properties": {"data": data, "meta": {"$ref": f"{SCHEMAS}Meta"}},
            "required": ["data", "meta"],
        }
        example = {"data": example["items"] if is_page else example, "meta": meta}
    answer = {"description": "Done.", "content": {JSON: {"schema": schema, "example": example}}}
    return {status: answer} if operation.status is None else {status: answer, "503": {**answer, "description": "Not."}}


def _tag(operation: Operation) -> str:
    if operation.name in SIGN_IN:
        return "sign-in"
    group, dot, _ = operation.name.partition(".")
    return "factors" if group in SECOND_FACTORS else group if dot else "system"
