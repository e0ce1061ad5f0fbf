"""Hero Auth's documented calls: its routes, what its tokens say, and how its users move here."""

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from herod.credentials.accounts_file_encryption import encrypt_users
from support.real_daemon import SECRET, Daemon, environment, herod, running

JSON = ("-X", "POST", "-H", "Content-Type: application/json", "-d")
ADA = {"email": "ada@example.org", "password": "correct horse battery"}
ROOT = {"email": "root@example.org", "password": "a wholly other battery"}
USERS = '[[users]]\nclient_id = "ada"\nemail = "ada@example.org"\nscope = "Admin"\npassword_hash = "{hash}"\n'


@pytest.fixture(scope="module")
def auth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with open registration and an admin."""
    with running(tmp_path_factory.mktemp("auth"), "--registration", "open") as daemon:
        made = daemon.herod(
            "user", "add", ROOT["email"], "--scope", "admin", "--password-file", "-", "--peer", stdin=ROOT["password"]
        )
        assert made.returncode == 0, made.stderr
        yield daemon


def post(daemon: Daemon, path: str, body: dict[str, Any], *more: str) -> tuple[int, Any]:
    """POST JSON over TCP."""
    status, answer, _ = daemon.curl(path, *JSON, json.dumps(body), *more, tcp=True)
    return status, answer


def as_admin(daemon: Daemon) -> tuple[str, str]:
    """The header of an admin who has just signed in."""
    status, token = post(daemon, "/login", ROOT)
    assert status == 200
    return ("-H", f"Authorization: Bearer {token['access_token']}")


def test_register_login_token_validate(auth: Daemon) -> None:
    """A person registers and signs in, a service gets a token with what registration gave, and another checks it."""
    status, registered = post(auth, "/register", {**ADA, "name": "Ada"})
    assert status == 201
    assert {"access_token", "token_type", "expires_in", "scope", "client_id", "client_secret"} <= set(registered)
    status, signed_in = post(auth, "/login", ADA)
    assert (status, signed_in["client_id"], signed_in["token_type"]) == (200, registered["client_id"], "Bearer")
    form = (
        f"grant_type=client_credentials&client_id={registered['client_id']}&client_secret={registered['client_secret']}"
    )
    for sent in (("-d", form), ("-u", f"{registered['client_id']}:{registered['client_secret']}",
                                "-d", "grant_type=client_credentials")):  # fmt: skip
        status, token, headers = auth.curl("/token", "-X", "POST", *sent, tcp=True)
        assert (status, token["expires_in"], token["scope"]) == (200, 3600, "read")
        assert headers["cache-control"] == "no-store"
        status, valid = post(auth, "/validate", {"token": token["access_token"]})
        assert (status, valid["valid"], valid["sub"], valid["scope"]) == (200, True, registered["client_id"], "read")


def test_claims(auth: Daemon) -> None:
    """Tokens have the issuer, the algorithm and the claims that its services check."""
    _, token = post(auth, "/login", ROOT)
    header, payload, _ = token["access_token"].split(".")
    head, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in (header, payload))
    assert (head["alg"], head["typ"]) == ("HS256", "JWT")
    assert (claims["iss"], claims["sub"], claims["scope"]) == ("hero_auth", token["client_id"], "admin")
    assert claims["exp"] - claims["iat"] == 3600
    assert isinstance(claims["jti"], str)


def test_users(auth: Daemon) -> None:
    """An admin adds, changes and deletes a user by the plain routes; the answers are flat."""
    bearer = as_admin(auth)
    new = {"email": "grace@example.org", "password": "a third good battery", "scope": "read"}
    status, added = post(auth, "/users/add", new, *bearer)
    assert status == 201
    assert {"client_id", "client_secret", "email", "name", "scope", "networks"} == set(added)
    status, changed = post(auth, "/users/scope", {"email": new["email"], "scope": "write"}, *bearer)
    assert (status, changed["scope"]) == (200, "write")
    status, deleted = post(auth, "/users/delete", {"client_id": added["client_id"]}, *bearer)
    assert (status, deleted["deleted"]) == (200, True)
    assert post(auth, "/login", {"email": new["email"], "password": new["password"]})[0] == 401
    for path, body in (("/users/add", new), ("/users/scope", {"email": "x", "scope": "read"}), ("/users/delete", {})):
        assert post(auth, path, body)[0] == 401


@pytest.mark.parametrize(
    "path",
    ["/health", "/api/version", "/openapi.json", "/rpc/discover", "/.well-known/oauth-authorization-server",
     "/.well-known/oauth-protected-resource", "/.well-known/jwks.json"],
)  # fmt: skip
def test_documents(auth: Daemon, path: str) -> None:
    """What needs no credential answers JSON without one."""
    status, body, _ = auth.curl(path, tcp=True)
    assert (status, isinstance(body, dict)) == (200, True)
    assert path != "/health" or (body["status"], body["service"]) == ("ok", "herod")


@pytest.mark.parametrize("path", ["/rpc", "/"])
def test_rpc(auth: Daemon, path: str) -> None:
    """Its operations are methods too, with and without `params`."""
    bearer = as_admin(auth)
    plain: dict[str, Any] = {"jsonrpc": "2.0", "method": "users.list", "id": 1}
    for sent in (plain, {**plain, "params": {}}, {**plain, "params": []}):
        status, answer = post(auth, path, sent, *bearer)
        assert status == 200
        assert ROOT["email"] in {user["email"] for user in answer["result"]["items"]}
    status, answer = post(auth, path, {"jsonrpc": "2.0", "method": "rpc.discover", "id": 1})
    assert (status, answer["result"]["openrpc"]) == (200, "1.3.2")
    status, answer = post(auth, path, {"jsonrpc": "2.0", "method": "users.list", "id": 1})
    assert (status, answer["error"]["code"]) == (200, 4001)


def test_mcp(auth: Daemon) -> None:
    """An agent with an API key is initialized and finds the tools; a token that is not for `/mcp` is refused there."""
    signed_in = as_admin(auth)
    status, key = post(auth, "/api/v1/keys", {"name": "agent", "scope": "admin"}, *signed_in)
    assert status == 201
    bearer = ("-H", f"Authorization: Bearer {key['data']['key']}")
    hello = {"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "agent", "version": "1"}}
    sent = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
    accept = ("-H", "Accept: application/json, text/event-stream")
    status, answer = post(auth, "/mcp", sent, *accept, *bearer)
    assert (status, "tools" in answer["result"]["capabilities"]) == (200, True)
    status, answer = post(auth, "/mcp", {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}, *accept, *bearer)
    assert {"add_user", "validate_token"} <= {tool["name"] for tool in answer["result"]["tools"]}
    status, answer = post(auth, "/mcp", sent, *accept, *signed_in)
    assert (status, "an API key" in answer["error"]["message"]) == (401, True)


def serve(folder: Path, *arguments: str, **more: str) -> str:
    """The one line with which a start is refused."""
    env = environment(folder, HERO_SECRET=SECRET, **more)
    done = herod("serve", "--bind", f"unix:{folder}/x.sock", *arguments, env=env, timeout=30)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.strip().splitlines()
    return line


@pytest.mark.parametrize("by", ["option", "variable"])
def test_config_is_its_users_file(tmp_path: Path, by: str) -> None:
    """Its `--config` named the users: the message says what does that here, whether the file is there or not."""
    path = tmp_path / "users.toml"
    given: tuple[tuple[str, ...], dict[str, str]]
    given = (("--config", str(path)), {}) if by == "option" else ((), {"HEROD_CONFIG": str(path)})
    missing = serve(tmp_path, *given[0], **given[1])
    assert all(word in missing for word in (str(path), "does not exist", "--store", "`herod import FILE`"))
    path.write_text(USERS.format(hash="a" * 64))
    there = serve(tmp_path, *given[0], **given[1])
    assert "this is a Hero Auth user file" in there
    assert f"`herod import {path}`" in there
    path.write_bytes(encrypt_users(USERS.format(hash="a" * 64), SECRET))  # as it kept them
    assert f"`herod import {path}`" in serve(tmp_path, *given[0], **given[1])


def test_its_users_move_here(tmp_path: Path) -> None:
    """After `herod import` they sign in with their passwords, and keep their client ids and scopes."""
    path = tmp_path / "users.toml"
    path.write_bytes(encrypt_users(USERS.format(hash=hashlib.sha256(ADA["password"].encode()).hexdigest()), SECRET))
    env = environment(tmp_path / "d", HERO_SECRET=SECRET, HEROD_STORE=f"sqlite:{tmp_path}/d/store/herod.db")
    done = herod("import", str(path), env=env)
    assert done.returncode == 0, done.stderr
    with running(tmp_path / "d") as daemon:
        status, token = post(daemon, "/login", ADA)
        assert (status, token["client_id"], token["scope"]) == (200, "ada", "admin")
