"""OpenRPC's own tools take the OpenRPC document, and need nothing besides it: they run without a network."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from support.documented_commands import documented
from support.herod_in_memory import open_harness
from support.npm_tools import NPM, needs_npm, npm_tool

pytestmark = needs_npm


@pytest.fixture
async def document(tmp_path: Path) -> Any:
    """The document, which is also in the folder."""
    async with open_harness() as harness:
        document = (await harness.request("GET", "/rpc/discover")).json
    (tmp_path / "openrpc.json").write_text(json.dumps(document))
    return document


async def test_offline_means_offline(tmp_path: Path) -> None:
    """The way in which these tests run a tool lets it open no connection."""
    fetch = "fetch('http://127.0.0.1:3350/').catch((error) => console.log(error.cause.message))"
    done = npm_tool("node", "-e", fetch, folder=tmp_path, is_offline=True)
    assert done.stdout == "this program tried to open a connection\n"


async def test_the_document_is_read_and_calls_are_checked(tmp_path: Path, document: Any) -> None:
    """@open-rpc/schema-utils-js resolves the document, accepts every example's params, and refuses wrong ones."""
    done = npm_tool("node", NPM / "openrpc_document.mjs", "openrpc.json", folder=tmp_path, is_offline=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["isValid"] is True
    assert found["methods"] == len(document["methods"])
    assert {method: errors for method, errors in found["examples"].items() if errors} == {}
    assert len(found["examples"]) == found["methods"]
    assert all(errors for errors in found["wrong"].values())


async def test_types_are_generated(tmp_path: Path, document: Any) -> None:
    """@open-rpc/typings makes types of every method, which TypeScript takes in strict mode."""
    made = npm_tool("open-rpc-typings", *documented("open-rpc-typings"), folder=tmp_path, is_offline=True)
    assert made.returncode == 0, made.stderr
    checked = npm_tool("tsc", "--noEmit", "--strict", "--lib", "es2022", "herod.ts", folder=tmp_path)
    assert checked.returncode == 0, checked.stdout
    types = set(re.findall(r"export type (\w+) = \(", (tmp_path / "herod.ts").read_text()))
    assert types == {
        re.sub(r"(?:^|[._])(\w)", lambda found: found[1].upper(), one["name"]) for one in document["methods"]
    }


def pascal_case(name: str) -> str:
    """The type's name for a method."""
    return re.sub(r"(?:^|[._])(\w)", lambda found: found[1].upper(), name)


async def test_required_parameters_come_first(document: Any) -> None:
    """OpenRPC, "Method Object": params that are not required stand after those that are."""
    for method in document["methods"]:
        required = [param["required"] for param in method["params"]]
        assert required == sorted(required, reverse=True), method["name"]


async def test_each_error_code_is_described_once(document: Any) -> None:
    """A method's errors are distinguished by their codes, so each code has one description."""
    codes = [error["code"] for error in document["components"]["errors"].values()]
    assert len(codes) == len(set(codes))
    assert {4001, 4003, 4004, 4009, 4029, 5003, -32602, -32603} <= set(codes)
