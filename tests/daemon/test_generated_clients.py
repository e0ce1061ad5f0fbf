"""Clients that others' generators make of the OpenAPI document, used unchanged against a real daemon."""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.documented_commands import documented
from support.npm_tools import NPM, needs_npm, npm_tool
from support.real_daemon import Daemon, running

BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """An empty daemon."""
    with running(tmp_path_factory.mktemp("generated")) as started:
        yield started


@pytest.fixture(scope="module")
def admin_key(daemon: Daemon) -> str:
    """A service key with scope admin."""
    made = daemon.herod("key", "create", "generated", "--scope", "admin", "--output", "json")
    text: str = json.loads(made.stdout)["key"]
    return text


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use no proxy."""
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture(scope="module")
def python_client(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the package that openapi-python-client generates, in which no route was left out."""
    folder = tmp_path_factory.mktemp("python")
    done = subprocess.run(
        [BIN / "openapi-python-client", *documented("openapi-python-client", daemon.url), "--fail-on-warning"],
        cwd=folder, env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "NO_PROXY": "*"},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout + done.stderr
    sys.path.insert(0, str(folder / "client"))
    yield folder / "client" / "herod_api_client"
    sys.path.remove(str(folder / "client"))


def test_python_has_a_module_for_each_route(daemon: Daemon, python_client: Path) -> None:
    """openapi-python-client generates one module for each operation of the document."""
    document = daemon.curl("/openapi.json")[1]
    operations = sum(len(item) for item in document["paths"].values())
    modules = [path for path in (python_client / "api").glob("*/*.py") if path.name != "__init__.py"]
    assert len(modules) == operations


@pytest.mark.usefixtures("python_client")
def test_python_calls(daemon: Daemon, admin_key: str) -> None:
    """Its functions and classes take what herod answers: JSON, forms, envelopes, JSON-RPC and errors."""

    def called(name: str, client: Any, **params: Any) -> Any:
        """Call an operation; return the status and the parsed answer."""
        answer = importlib.import_module(f"herod_api_client.api.{name}").sync_detailed(client=client, **params)
        return int(answer.status_code), answer.parsed

    package, models = importlib.import_module("herod_api_client"), importlib.import_module("herod_api_client.models")
    with package.Client(daemon.url) as stranger, package.AuthenticatedClient(daemon.url, token=admin_key) as admin:
        assert called("system.health", stranger)[1].status == "ok"
        status, user = called(
            "users.users_add", admin, body=models.UsersAddBody(email="ada@example.org", scope="write")
        )
        assert (status, user.email) == (201, "ada@example.org")
        grant = models.TokenCreateBodyGrantType.CLIENT_CREDENTIALS
        form = models.TokenCreateBody(
            grant_type=grant, client_id=user.client_id, client_secret=user.client_secret, scope="read"
        )
        token = called("token.token_create", stranger, body=form)[1]
        assert (token.scope, token.expires_in) == ("read", 3600)
        asked = models.TokenValidateBody(token=token.access_token, scope="read")
        verdict = called("token.token_validate", stranger, body=asked)[1]
        assert (verdict.valid, verdict.sub) == (True, user.client_id)

        body = models.KeysCreateBody(name="generated client", kind=models.KeysCreateBodyKindType0.SERVICE, scope="read")
        status, made = called("keys.keys_create", admin, body=body)
        assert (status, made.data.name, made.data.expires_at) == (201, "generated client", None)
        page = called("users.users_list", admin, limit=200)[1]
        assert [each.email for each in page.data] == ["ada@example.org"]
        assert page.meta.next_cursor is None
        call = models.RpcRequest(jsonrpc="2.0", id=1, method="whoami")
        assert called("documents.rpc", admin, body=call)[1].result["scope"] == "admin"
        call = models.RpcRequest(jsonrpc="2.0", id="a", method="nothing")
        assert called("documents.rpc", admin, body=call)[1].error.code == -32601
        peer = called("peers.peers_allow", admin, body=models.PeersAllowByUid(uid=4711, scope="read"))[1].data
        assert (peer.uid, peer.gid, peer.scope) == (4711, None, "read")

        gone = called("users.users_delete", admin, body=models.UsersDeleteByEmail(email="ada@example.org"))
        assert (gone[0], gone[1].deleted) == (200, True)
        status, error = called("users.users_get", admin, client_id=user.client_id)
        assert (status, error.error.code) == (404, "not_found")
        status, error = called("token.token_create", stranger, body=form)
        assert (status, error.error) == (401, "invalid_client")


@needs_npm
def test_typescript_calls(daemon: Daemon, admin_key: str, tmp_path: Path) -> None:
    """openapi-typescript makes types that compile in strict mode; openapi-fetch works with them on Node.js."""
    made = npm_tool("openapi-typescript", *documented("openapi-typescript", daemon.url), folder=tmp_path)
    assert made.returncode == 0, made.stderr
    (tmp_path / "openapi_client.ts").symlink_to(NPM / "openapi_client.ts")
    (tmp_path / "node_modules").symlink_to(NPM / "node_modules")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    strict = ("--strict", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess", "--preserveSymlinks")
    quick = ("--skipLibCheck", "--lib", "es2022,dom")  # of the packages; the generated types are checked
    compiled = npm_tool(
        "tsc", *strict, *quick, "--module", "nodenext", "--target", "es2022", "openapi_client.ts", folder=tmp_path
    )
    assert compiled.returncode == 0, compiled.stdout
    done = npm_tool("node", "--preserve-symlinks", "openapi_client.js", daemon.url, admin_key, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.pop("method")["name"] == "typed"
    assert found == {
        "health": "ok",
        "scope": "read",
        "isValid": True,
        "isListed": True,
        "key": "herod_s_",
        "deleted": True,
        "missing": [404, "not_found"],
        "refused": [401, found["refused"][1]],
        "nobody": 400,
    }
