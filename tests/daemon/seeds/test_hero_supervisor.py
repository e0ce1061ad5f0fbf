"""Hero Supervisor's documented calls (docs/AUTH.md of its repository), typed as they are there."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.real_daemon import Daemon, running

# Its secrets are UUIDs.
ADMIN, USER, REGISTER = (f"7f3c2a1e-0000-4000-8000-00000000000{number}" for number in (1, 2, 3))


@pytest.fixture(scope="module")
def supervisor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that was started with the older system's three options."""
    flags = ("--admin-secret", ADMIN, "--user-secret", USER, "--register-secret", REGISTER)
    with running(tmp_path_factory.mktemp("supervisor"), *flags) as daemon:
        yield daemon


def call(daemon: Daemon, method: str, params: Any = None, *more: str) -> Any:
    """`curl -X POST http://127.0.0.1:3030 -H "Content-Type: application/json" -d '{…}'`."""
    sent = {"jsonrpc": "2.0", "method": method, "id": 1} | ({} if params is None else {"params": params})
    status, body, _ = daemon.curl(
        "/", "-X", "POST", "-H", "Content-Type: application/json", "-d", json.dumps(sent), *more, tcp=True
    )
    assert (status, body["jsonrpc"], body["id"]) == (200, "2.0", 1)
    return body.get("result", body.get("error"))


@pytest.mark.parametrize(("secret", "scope"), [(ADMIN, "admin"), (USER, "user"), (REGISTER, "registrar")])
def test_the_three_secrets(supervisor: Daemon, secret: str, scope: str) -> None:
    """Each of the three options gives its scope, as a key and as a bearer."""
    verified = call(supervisor, "auth.verify", {"key": secret})
    assert (verified["valid"], verified["scope"]) == (True, scope)
    assert isinstance(verified["name"], str)
    who = supervisor.curl("/api/v1/whoami", "-H", f"Authorization: Bearer {secret}", tcp=True)[1]
    assert who["data"]["scope"] == scope


@pytest.mark.parametrize("wrong", ["your-api-key-here", "", ADMIN[:-1] + "9", ADMIN.upper()])
def test_a_key_that_nobody_holds(supervisor: Daemon, wrong: str) -> None:
    """The answer is false and nothing else."""
    assert call(supervisor, "auth.verify", {"key": wrong}) == {"valid": False}


def test_the_four_calls(supervisor: Daemon) -> None:
    """verify, create, list and remove, with the admin key among the parameters."""
    made = call(supervisor, "auth.create_key", {"admin_key": ADMIN, "name": "runner-bot", "scope": "registrar"})
    assert (made["name"], made["scope"], made["expires_at"]) == ("runner-bot", "registrar", None)
    assert set(made) == {"key", "name", "scope", "created_at", "expires_at"}
    expected = {"valid": True, "name": "runner-bot", "scope": "registrar"}
    assert call(supervisor, "auth.verify", {"key": made["key"]}) == expected
    listed = call(supervisor, "auth.list_keys", {"admin_key": ADMIN})
    assert isinstance(listed, list)
    (one,) = [key for key in listed if key["name"] == "runner-bot"]
    assert set(one) == {"id", "name", "scope", "created_at", "expires_at", "last_used_at"}
    assert call(supervisor, "auth.list_keys", None, "-H", f"Authorization: Bearer {ADMIN}") == listed
    assert call(supervisor, "auth.remove_key", {"admin_key": ADMIN, "key": made["key"]}) is True
    assert call(supervisor, "auth.verify", {"key": made["key"]}) == {"valid": False}


@pytest.mark.parametrize(
    ("written", "scope"),
    [("Admin", "admin"), ("User", "user"), ("Registrar", "registrar"), ("register", "registrar")],
)
def test_scopes_as_it_writes_them(supervisor: Daemon, written: str, scope: str) -> None:
    """Scopes are taken in capitals, where they are given and where they are compared, and answered in herod's form."""
    sent = {"admin_key": ADMIN, "name": f"key {written}", "scope": written}
    key = call(supervisor, "auth.create_key", sent)
    assert key["scope"] == scope
    assert call(supervisor, "auth.verify", {"key": key["key"]})["scope"] == scope
    asked = json.dumps({"token": key["key"], "scope": written})
    assert supervisor.curl("/validate", "--json", asked, tcp=True)[1]["valid"] is True


@pytest.mark.parametrize("method", ["auth.create_key", "auth.list_keys", "auth.remove_key"])
@pytest.mark.parametrize(("admin_key", "code"), [(USER, 4003), (REGISTER, 4003), ("your-admin-key", 4001)])
def test_only_admins_manage_keys(supervisor: Daemon, method: str, admin_key: str, code: int) -> None:
    """Another secret is refused, whichever call it is."""
    more = {"auth.create_key": {"name": "x", "scope": "user"}, "auth.remove_key": {"key": "x"}}.get(method, {})
    assert call(supervisor, method, {"admin_key": admin_key, **more})["code"] == code


def test_the_bootstrap_key(tmp_path: Path) -> None:
    """`--bootstrap-admin-key NAME` makes a key with scope admin, once."""
    with running(tmp_path, "--bootstrap-admin-key", "my-admin") as daemon:
        key = (tmp_path / "store" / "bootstrap-my-admin.key").read_text().strip()
        assert call(daemon, "auth.verify", {"key": key}) == {"valid": True, "name": "my-admin", "scope": "admin"}
