"""Linters from npm find nothing in the OpenAPI document, by their rules as shipped."""

import json
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import pytest

from herod_client.core.scope_graph import ScopeGraph
from support.herod_in_memory import open_harness
from support.npm_tools import needs_npm, npm_tool

pytestmark = needs_npm

ROOT: Final = Path(__file__).parents[3]
HEROD: Final = "herod.json"
FAULTY: Final = "faulty.json"


@pytest.fixture
async def documents(tmp_path: Path) -> list[str]:
    """The names of two documents in the folder: herod's, and a small one with faults of each kind."""
    async with open_harness() as harness:
        harness.configure(graph=ScopeGraph({"jobs:run": ["user"], "reports:read": []}, generation=9))
        document = (await harness.request("GET", "/openapi.json")).json
    (tmp_path / HEROD).write_text(json.dumps(document))
    health = document["paths"]["/health"]
    health["get"]["responses"] = {
        "200": {"description": "", "content": {"application/json": {"schema": {"type": "array"}}}},
        "400": {"$ref": "#/components/responses/Nowhere"},
    }
    (tmp_path / FAULTY).write_text(json.dumps({**document, "paths": {"/health": health}, "components": {}}))
    return [HEROD, FAULTY]


async def test_spectral(tmp_path: Path, documents: list[str]) -> None:
    """Spectral's rules for OpenAPI report nothing, down to hints."""
    rules = ROOT / ".spectral.yaml"
    done = npm_tool("spectral", "lint", "--ruleset", rules, "--format", "json", *documents, folder=tmp_path)
    found = json.loads(done.stdout)
    assert [each for each in found if each["source"].endswith(HEROD)] == []
    assert {"array-items", "invalid-ref"} <= {each["code"] for each in found}


async def test_redocly(tmp_path: Path, documents: list[str]) -> None:
    """Redocly's recommended rules report nothing, warnings included."""
    rules = ROOT / "redocly.yaml"
    done = npm_tool("redocly", "lint", "--config", rules, "--format", "checkstyle", *documents, folder=tmp_path)
    found = ET.fromstring(done.stdout)  # noqa: S314 - the linter is ours
    rules_of = {file.get("name"): {error.get("source") for error in file} for file in found.iter("file")}
    assert rules_of.get(HEROD, set()) == set(), done.stdout
    assert "no-unresolved-refs" in rules_of[FAULTY]
