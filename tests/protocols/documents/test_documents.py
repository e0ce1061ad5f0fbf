"""The OpenAPI and OpenRPC documents: valid, complete, and consistent with herod's answers."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openapi_spec_validator
import pytest
import trio
import trio.lowlevel
from jsonschema import Draft7Validator, Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7, DRAFT202012

from herod.operations.operation_table import OPERATIONS
from herod.pipeline.operation_definition import Operation, Surface
from herod.protocols.cross_origin import CrossOrigin
from herod.protocols.documents.example_values import example_value
from herod.protocols.documents.json_schemas import components, result_schema
from herod.protocols.error_codes import REQUEST_CODES
from herod.protocols.host_and_origin_guard import PageKind
from support.herod_in_memory import Harness, open_harness

MODULES = Path(__file__).parents[2] / "npm" / "node_modules"
OPENRPC_SCHEMA = MODULES / "@open-rpc" / "spec" / "dist" / "1_3" / "schema.json"
JSON_SCHEMA = MODULES / "@json-schema-tools" / "meta-schema" / "schema.json"
RPC = [operation for operation in OPERATIONS.values() if Surface.RPC in operation.surfaces]
NAMES = [operation.name for operation in RPC]


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    """A harness."""
    async with open_harness() as harness:
        yield harness


async def document(harness: Harness, path: str) -> Any:
    """Fetch a document anonymously."""
    answer = await harness.request("GET", path)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    return answer.json


async def test_openapi_is_valid(harness: Harness) -> None:
    """A third-party validator accepts the OpenAPI document."""
    openapi_spec_validator.validate(await document(harness, "/openapi.json"))


async def test_openapi_names_every_route(harness: Harness) -> None:
    """The OpenAPI document contains each route of the table, each with a unique id."""
    paths = (await document(harness, "/openapi.json"))["paths"]
    routes = [(route.method.lower(), route.path) for one in OPERATIONS.values() for route in one.routes]
    assert all(method in paths[path] for method, path in routes)
    ids = [described["operationId"] for item in paths.values() for described in item.values()]
    assert len(ids) == len(set(ids))


async def test_openapi_says_what_any_request_can_get(harness: Harness) -> None:
    """The errors of the request itself are described, with each operation or for all paths at once."""
    found = await document(harness, "/openapi.json")
    for path, item in found["paths"].items():
        for method, described in item.items():
            is_refused = CrossOrigin().check(PageKind.FOREIGN, method.upper(), path) is not None
            everywhere = {"400", "413", "421", *(["403"] if is_refused else [])}
            assert everywhere <= described["responses"].keys(), path
    ways = found["paths"]["/validate"]["post"]["responses"]
    for row in REQUEST_CODES.values():
        assert str(row.http) in ways or f"is a {row.http}" in found["info"]["description"]


async def test_openapi_says_who_may(harness: Harness) -> None:
    """A route lists the schemes it accepts and the scope it needs; a public route has none."""
    paths = (await document(harness, "/openapi.json"))["paths"]
    assert paths["/validate"]["post"]["security"] == []
    assert {"oauth2": ["admin"]} in paths["/api/v1/users"]["get"]["security"]
    schemes = {name for one in paths["/api/v1/keys"]["post"]["security"] for name in one}
    assert schemes == {"oauth2", "service_api_key", "client_secret", "session", "legacy_secret", "peer"}
    assert {name for one in paths["/token"]["post"]["security"] for name in one} == {"client_secret", "peer"}


@pytest.mark.skipif(
    not MODULES.exists(), reason="the meta-schema is missing: apt install npm, then `make test` fetches it"
)
async def test_openrpc_passes_its_meta_schema(harness: Harness) -> None:
    """The OpenRPC document is valid by the meta schema of its specification."""
    registry: Registry[Any] = Registry()
    for address in ("https://meta.json-schema.tools", "https://meta.json-schema.tools/"):
        schema = Resource.from_contents(json.loads(JSON_SCHEMA.read_text()), DRAFT7)
        registry = registry.with_resource(address, schema)
    validator = Draft7Validator(json.loads(OPENRPC_SCHEMA.read_text()), registry=registry)
    found = await document(harness, "/rpc/discover")
    assert list(validator.iter_errors(found)) == []
    assert list(validator.iter_errors({**found, "methods": [{"name": 1}]})) != []


async def test_openrpc_names_every_method(harness: Harness) -> None:
    """The OpenRPC document has each method once, and `rpc.discover` returns the same document as the URL."""
    found = await document(harness, "/rpc/discover")
    assert [method["name"] for method in found["methods"]] == [*NAMES, "rpc.discover"]
    called = await harness.request("POST", "/rpc", json={"jsonrpc": "2.0", "id": 1, "method": "rpc.discover"})
    assert called.json["result"] == found


@pytest.mark.parametrize("path", ["/openapi.json", "/rpc/discover"])
async def test_a_document_is_made_once_and_beside_other_work(harness: Harness, path: str) -> None:
    """Concurrent first requests share one copy of a document, and building it does not block other tasks."""
    copies: list[bytes] = []
    turns = 0

    async def ask() -> None:
        copies.append((await harness.request("GET", path)).response.shared)

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(ask)
        while len(copies) < 3:
            await trio.lowlevel.checkpoint()
            turns += not copies
    assert turns > 3
    assert copies[0] is copies[1] is copies[2]


async def test_a_reload_shows_in_the_documents(harness: Harness) -> None:
    """A scope added by a reload is in the document."""
    from herod_client.core.scope_graph import ScopeGraph  # needed only here

    await document(harness, "/openapi.json")
    graph = ScopeGraph({"jobs:run": ["user"]}, generation=harness.runtime.config.graph.generation + 1)
    harness.configure(graph=graph)
    found = await document(harness, "/openapi.json")
    scopes = found["components"]["securitySchemes"]["oauth2"]["flows"]["clientCredentials"]["scopes"]
    assert scopes["jobs:run"] == "includes user, read"


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=list(OPERATIONS))
def test_samples_are_what_the_schema_says(operation: Operation) -> None:
    """The sample result of an operation matches its schema."""
    schemas = {"$id": "urn:herod", "components": {"schemas": components([operation])}}
    registry: Registry[Any] = Registry().with_resource("urn:herod", Resource.from_contents(schemas, DRAFT202012))
    reference = {"$ref": f"urn:herod{result_schema(operation).get('$ref', '')}"}
    schema = reference if "$ref" in result_schema(operation) else result_schema(operation)
    if "$ref" not in result_schema(operation):
        schema = {**schema, "components": schemas["components"]}
    Draft202012Validator(schema, registry=registry).validate(example_value(operation.result))


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=list(OPERATIONS))
def test_examples_fit_their_parameters(operation: Operation) -> None:
    """The example of an operation matches its parameters."""
    import msgspec  # needed only here

    msgspec.convert(operation.example, operation.params)


async def test_what_needs_a_person_says_so(harness: Harness) -> None:
    """An operation for a person's session alone says that, and how old their sign-in may be, in both documents."""
    rest = await document(harness, "/openapi.json")
    said = {
        one["operationId"]: one["description"]
        for path in rest["paths"].values()
        for one in path.values()
        if isinstance(one, dict) and "operationId" in one
    }
    tags = {method["name"]: method.get("tags") for method in (await document(harness, "/rpc/discover"))["methods"]}
    persons = {name for name, operation in OPERATIONS.items() if operation.person is not None}
    assert {"approvals.decide", "totp.enable", "passkeys.list"} <= persons & set(said)
    for name, text in said.items():
        assert ("Needs a person's session" in text) is (name.partition(".2")[0] in persons), name
    assert "at most 5 minutes ago" in said["approvals.decide"]
    assert "ago" not in said["passkeys.list"]
    for name in persons & set(tags):
        assert tags[name] == [{"name": "a person's session"}]
