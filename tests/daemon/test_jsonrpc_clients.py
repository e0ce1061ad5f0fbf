"""JSON-RPC clients that others wrote, used unchanged against a real daemon."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonrpclib
import pytest

from support.npm_tools import NPM, needs_npm, npm_tool
from support.real_daemon import Daemon, running

PATHS = ["/", "/rpc"]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """An empty daemon."""
    with running(tmp_path_factory.mktemp("jsonrpc")) as started:
        yield started


@pytest.fixture(scope="module")
def admin_key(daemon: Daemon) -> str:
    """A service key with scope admin."""
    made = daemon.herod("key", "create", "caller", "--scope", "admin", "--output", "json")
    text: str = json.loads(made.stdout)["key"]
    return text


@pytest.mark.parametrize("way", [*PATHS, "unix"])  # on a Unix socket it always asks at /
def test_jsonrpclib_pelix(daemon: Daemon, admin_key: str, way: str) -> None:
    """jsonrpclib-pelix calls by name and by position, sends batches, and reads errors."""
    address = f"unix+http://{daemon.socket}" if way == "unix" else f"{daemon.url}{way}"
    server: Any = jsonrpclib.ServerProxy(address, headers={"Authorization": f"Bearer {admin_key}"})
    assert server.health()["status"] == "ok"
    assert server.whoami()["scope"] == "admin"
    added = server.users.add(name="pelix", scope="read")
    assert server.users.get(added["client_id"])["scope"] == "read"
    name = f"runner {way}"
    created = server.auth.create_key(admin_key, name, "registrar")
    assert server.auth.verify(created["key"]) == {"valid": True, "name": name, "scope": "registrar"}
    batch = jsonrpclib.MultiCall(server)
    batch.health()
    batch.users.delete(client_id=added["client_id"])
    assert [answer.get("status", answer.get("deleted")) for answer in batch()] == ["ok", True]
    with pytest.raises(jsonrpclib.ProtocolError) as caught:
        server.users.get(added["client_id"])
    assert caught.value.args[0][0] == 4004
    server("close")()


@needs_npm
@pytest.mark.parametrize("path", PATHS)
def test_open_rpc_client(daemon: Daemon, admin_key: str, path: str, tmp_path: Path) -> None:
    """OpenRPC's client for Node.js calls by name and by position, sends notifications, and reads errors."""
    done = npm_tool("node", NPM / "jsonrpc_client.mjs", f"{daemon.url}{path}", admin_key, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found == {"keys": 1, "isAllowed": True, "code": 4004, "data": {"code": "not_found", **found["data"]}}
