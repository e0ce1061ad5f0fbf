"""Every example of the documents is sent for real, and answered as documented."""

import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from herod.operations.operation_table import OPERATIONS
from herod.pipeline.operation_definition import Operation, Route, Surface
from herod.records import Account, ApiKey, PeerRule, Revocation, Session, SigningKeyRecord
from protocols.documents.prepared_examples import Prepared, prepare
from support.herod_in_memory import Harness, open_harness

ROUTES = [
    pytest.param(operation, route, id=f"{route.method} {route.path}")
    for operation in OPERATIONS.values()
    for route in operation.routes
    if operation.streamed
    is None  # a memory store has no backup: tests/daemon/backup_and_rotation/test_backup.py covers it with a real one
]
METHODS = [pytest.param(one, id=one.name) for one in OPERATIONS.values() if Surface.RPC in one.surfaces]


def validate(document: Any, schema: Any, value: Any) -> None:
    """Validate a value against a schema of a document."""
    registry: Registry[Any] = Registry().with_resource(
        "urn:document", Resource.from_contents({"$id": "urn:document", **document}, DRAFT202012)
    )
    text = json.dumps(schema).replace('"#/components', '"urn:document#/components')
    Draft202012Validator(json.loads(text), registry=registry).validate(value)


def missing(shown: Any, real: Any, path: str = "$") -> list[str]:
    """The paths where only one side has a name; empty and null values match anything."""
    if isinstance(shown, dict) and isinstance(real, dict) and shown:
        found = [f"{path}.{name}" for name in shown.keys() ^ real.keys()]
        return found + [
            one for name in shown.keys() & real.keys() for one in missing(shown[name], real[name], f"{path}.{name}")
        ]
    if isinstance(shown, list) and isinstance(real, list) and shown and real:
        return missing(shown[0], real[0], f"{path}[]")
    return []


async def ask(harness: Harness, described: Any, operation: Operation, route: Route, prepared: Prepared) -> Any:
    """Send the example of an OpenAPI operation."""
    path, query, headers = route.path, {}, dict(prepared.headers)
    for parameter in described.get("parameters", ()):
        if "example" not in parameter:
            continue
        name, value = parameter["name"], prepared.fill(parameter["example"])
        match parameter["in"]:
            case "path":
                path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
            case "query":
                query[name] = value
            case "header":
                headers[name.lower()] = value
    assert "{" not in path
    content = described.get("requestBody", {}).get("content", {})
    target = f"{path}?{urlencode(query)}" if query else path
    for media, body in content.items():
        example = prepared.fill(body.get("example", {}))
        if "examples" in body:  # of operations that share the route
            example = prepared.fill(body["examples"][operation.grant_type]["value"])
        if media == "application/json":
            return await harness.request(route.method, target, json=example, headers=headers)
        return await harness.request(route.method, target, form=urlencode(example), headers=headers)
    return await harness.request(route.method, target, headers=headers)


def credentials(harness: Harness) -> dict[str, dict[str, object]]:
    """Every credential, and whoever holds one, that the store has."""
    kinds = (Account, ApiKey, PeerRule, Revocation, Session, SigningKeyRecord)
    return {kind.kind: dict(harness.store.state.of(kind.kind)) for kind in kinds}


@pytest.mark.parametrize(("operation", "route"), ROUTES)
async def test_openapi_examples(operation: Operation, route: Route) -> None:
    """Status, media type and schema are as documented, and the sample answer has the same names as the real one."""
    async with open_harness() as harness:
        prepared = await prepare(harness, operation)
        document = (await harness.request("GET", "/openapi.json")).json
        described = document["paths"][route.path][route.method.lower()]
        before = credentials(harness)
        answer = await ask(harness, described, operation, route, prepared)
        assert operation.credential or credentials(harness) == before
        assert described["x-credential"] == operation.credential
        status = min(described["responses"])
        assert answer.status == int(status), answer.response.body
        media, content = next(iter(described["responses"][status]["content"].items()))
        assert answer.headers["content-type"] == media
        if media != "application/json":
            return
        validate(document, content["schema"], answer.json)
        shared = content.get("examples")
        example = content["example"] if shared is None else shared[operation.grant_type]["value"]
        validate(document, content["schema"], example)
        assert missing(example, answer.json) == []


def positions(method: Any, given: dict[str, Any]) -> list[Any]:
    """An example's values in the order of the parameters, with defaults for omitted ones."""
    names = [param["name"] for param in method["params"]]
    last = max((names.index(name) for name in given), default=-1)
    return [given.get(param["name"], param["schema"].get("default")) for param in method["params"][: last + 1]]


@pytest.mark.parametrize("way", ["by name", "by position"])
@pytest.mark.parametrize("operation", METHODS)
async def test_openrpc_examples(operation: Operation, way: str) -> None:
    """By name and by position, the result matches its schema, and the sample has the same names."""
    async with open_harness() as harness:
        prepared = await prepare(harness, operation)
        document = (await harness.request("GET", "/rpc/discover")).json
        method = next(one for one in document["methods"] if one["name"] == operation.name)
        (example,) = method["examples"]
        given = {param["name"]: prepared.fill(param["value"]) for param in example["params"]}
        is_refused = way == "by position" and method["paramStructure"] == "by-name"
        params = given if way == "by name" else positions(method, given)
        answer = await harness.rpc(operation.name, params, headers=prepared.headers)
        if is_refused:  # read as other parameters; a credential among them is judged first
            assert answer["error"]["code"] in {-32602, 4001}
            return
        assert "result" in answer, answer
        validate(document, method["result"]["schema"], answer["result"])
        assert missing(example["result"]["value"], answer["result"]) == []


@pytest.mark.parametrize("path", ["/openapi.json", "/rpc/discover"])
async def test_documents_are_the_same_twice(path: str) -> None:
    """Two daemons produce byte-identical documents."""
    found = []
    for _ in range(2):
        async with open_harness() as harness:
            found.append((await harness.request("GET", path)).response.shared)
    assert found[0] == found[1] != b""


async def test_every_operation_says_what_it_is_for(harness: Harness) -> None:
    """Each operation has a one-sentence summary and a described tag, and no schema leaks a name from the code."""
    document = (await harness.request("GET", "/openapi.json")).json
    tags = {tag["name"] for tag in document["tags"] if tag["description"]}
    used = set()
    for item in document["paths"].values():
        for described in item.values():
            assert described["summary"].endswith(".")
            assert "\n" not in described["summary"]
            used |= set(described["tags"])
            for parameter in described.get("parameters", ()):
                assert parameter.get("description"), (described["operationId"], parameter["name"])
    assert used == tags
    assert all(name.isalnum() for name in document["components"]["schemas"])
    text = json.dumps(document)
    assert all(f'"#/components/schemas/{name}"' in text for name in document["components"]["schemas"])
