"""The documents' schemas are of a kind that generators and linters take, and each says the same as herod."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from support.herod_in_memory import Harness, bearer, open_harness

PATHS = ["/openapi.json", "/rpc/discover"]
# What may take a type's place. A schema without any of them is made into `any`.
TYPED = {"type", "$ref", "anyOf", "oneOf"}
CLIENT = "5a5e7f52-5a3f-4a5e-9d0e-4a9f1f3c2b11"


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    """A harness."""
    async with open_harness() as harness:
        yield harness


def schemas(part: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every schema of a document, with its place."""
    if isinstance(part, dict):
        for name, value in part.items():
            here = f"{place}/{name}"
            if name == "schema":
                yield from nested(value, here)
            elif here == "/components/schemas":
                for title, schema in value.items():
                    yield from nested(schema, f"{here}/{title}")
            elif name not in {"example", "examples"}:
                yield from schemas(value, here)
    elif isinstance(part, list):
        for number, value in enumerate(part):
            yield from schemas(value, f"{place}/{number}")


def nested(schema: Any, place: str) -> Iterator[tuple[str, Any]]:
    """A schema and those within it; what follows `not` is never made into a type."""
    yield place, schema
    for name, value in schema.get("properties", {}).items():
        yield from nested(value, f"{place}/{name}")
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), dict):
            yield from nested(schema[word], f"{place}/{word}")
    for word in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for number, value in enumerate(schema.get(word, ())):
            yield from nested(value, f"{place}/{word}/{number}")


def references(part: Any) -> Iterator[str]:
    """Every reference in a document."""
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


@pytest.mark.parametrize("path", PATHS)
async def test_schemas_are_typed(harness: Harness, path: str) -> None:
    """Arrays and objects say what they hold, and only what can be any value has no type."""
    found = list(schemas((await harness.request("GET", path)).json))
    assert len(found) > 300
    for place, schema in found:
        assert schema.get("type") != "array" or "items" in schema, place
        assert schema.get("type") != "object" or {"properties", "additionalProperties"} & schema.keys(), place
        assert isinstance(schema.get("type", ""), str) or not {"array", "object"} & set(schema["type"]), place
        is_any = place.endswith(("/RpcResult/result", "/params/anyOf/1/items"))
        assert is_any or not TYPED.isdisjoint(schema), place
        assert set(schema.get("required", ())) <= schema.get("properties", {}).keys(), place


@pytest.mark.parametrize("path", PATHS)
async def test_references_stay_in_the_document(harness: Harness, path: str) -> None:
    """Tools need nothing but the document: each reference leads to a part of it, never to another host."""
    document = (await harness.request("GET", path)).json
    found = set(references(document))
    assert len(found) > 20
    for reference in found:
        start, *names = reference.split("/")
        assert start == "#"
        part = document
        for name in names:
            part = part[name]


async def test_errors_share_their_schemas(harness: Harness) -> None:
    """Error responses refer to named schemas: a generator would make a class of each one that is written in place."""
    document = (await harness.request("GET", "/openapi.json")).json
    for response in document["components"]["responses"].values():
        for content in response["content"].values():
            choices = content["schema"].get("anyOf", [content["schema"]])
            assert all(set(choice) == {"$ref"} for choice in choices)


async def test_only_oauth_names_scopes(harness: Harness) -> None:
    """Tools know scopes of OAuth's scheme alone; the description has the scope for all of them."""
    document = (await harness.request("GET", "/openapi.json")).json
    for path, item in document["paths"].items():
        for described in item.values():
            for requirement in described["security"]:
                for scheme, scopes in requirement.items():
                    assert not scopes or scheme == "oauth2", path
                    assert all(f"`{scope}`" in described["description"] for scope in scopes), path
            assert described["description"]


@pytest.mark.parametrize(
    ("path", "body", "is_valid"),
    [
        ("/users/delete", {"client_id": CLIENT}, True),
        ("/users/delete", {"email": "x@example.org"}, True),
        ("/users/delete", {"email": "x@example.org", "client_id": None}, True),
        ("/users/delete", {"email": "x@example.org", "client_id": CLIENT}, False),
        ("/users/delete", {"client_id": None}, False),
        ("/users/delete", {}, False),
        ("/users/scope", {"client_id": CLIENT, "scope": "read"}, True),
        ("/users/scope", {"client_id": CLIENT}, False),
        ("/users/scope", {"scope": "read"}, False),
        ("/users/scope", {"client_id": CLIENT, "email": "x@example.org", "scope": "read"}, False),
        ("/api/v1/peers", {"uid": 1000, "scope": "read"}, True),
        ("/api/v1/peers", {"gid": 1000, "scope": "read", "uid": None, "user": None, "group": None}, True),
        ("/api/v1/peers", {"uid": 1000, "gid": 1000, "scope": "read"}, False),
        ("/api/v1/peers", {"uid": None, "scope": "read"}, False),
        ("/api/v1/peers", {"uid": 1000, "scope": "read", "more": 1}, False),
        ("/api/v1/explain", {"scope": "read"}, True),
        ("/api/v1/explain", {"scope": "read", "operation": None}, True),
        ("/api/v1/explain", {"scope": "read", "operation": "stats"}, False),
        ("/api/v1/sessions/end-all", {"client_id": CLIENT}, True),
        ("/api/v1/sessions/end-all", {"client_id": CLIENT, "email": "x@example.org"}, False),
        ("/api/v1/sessions/end-all", {"client_id": CLIENT, "everyone": True}, False),
        ("/api/v1/sessions/end-all", {"email": "x@example.org", "everyone": True}, False),
    ],
)
async def test_which_parameters_go_together(harness: Harness, path: str, body: Any, *, is_valid: bool) -> None:
    """Of parameters that exclude each other, the schema takes what herod takes, and refuses what it refuses."""
    document = (await harness.request("GET", "/openapi.json")).json
    schema = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert Draft202012Validator(schema).is_valid(body) is is_valid
    answer = await harness.request("POST", path, json=body, headers=bearer(await harness.service_key("admin")))
    assert (answer.status != 400) is is_valid, answer.json
