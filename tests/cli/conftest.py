"""Fixtures of the command's tests: an isolated environment, a daemon on its socket, and a way to run commands."""

import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from herod_cli.commands import login as login_command
from herod_cli.main import main
from herod_cli.shared.cli_version import cli_version
from herod_cli.sign_in import password_sign_in
from support.fake_daemon import (
    APP,
    CONNECTED,
    KEY,
    PEER,
    RESOURCE,
    TOKEN,
    USER,
    WHOAMI,
    FakeDaemon,
    fake_daemon,
    json_reply,
)


@dataclass(frozen=True)
class Ended:
    """The result of a command."""

    code: int
    out: str
    err: str


Typed = Callable[..., Ended]


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home and runtime folder without settings of the user who runs the tests."""
    for name in (
        "HEROD_URL", "HEROD_KEY", "HEROD_TOKEN", "HEROD_SERVER_UID", "HEROD_INSECURE_HTTP", "HERO_SECRET",
        "HERO_SECRET_FILE", "CREDENTIALS_DIRECTORY",
    ):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "store"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("herod_client.addresses.SYSTEM_SOCKET", str(tmp_path / "system" / "herod.sock"))
    monkeypatch.setattr("herod_cli.doctor.install_checks.UNIT_FOLDERS", (tmp_path / "units",))
    (tmp_path / "run" / "herod").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def daemon(machine: Path) -> Iterator[FakeDaemon]:
    """A fake daemon at the default address that knows Ada, her key and a rule."""
    with fake_daemon(machine / "run" / "herod" / "herod.sock") as made:
        made.routes["GET", "/health"] = json_reply({"status": "ok", "service": "herod", "version": cli_version()})
        made.routes["GET", "/api/version"] = json_reply(
            {"service": "herod", "version": cli_version(), "server_version": cli_version(), "api_version": "1"}
        )
        made.routes["GET", "/.well-known/oauth-authorization-server"] = json_reply(
            {"issuer": "http://localhost:3350", "token_endpoint": "http://localhost:3350/token"}
        )
        made.routes["POST", "/token"] = json_reply(TOKEN)
        made.routes["POST", "/login"] = json_reply({**TOKEN, "client_id": USER["client_id"]})
        added = {name: USER[name] for name in ("client_id", "email", "name", "scope", "networks")}
        made.methods |= {
            "whoami": WHOAMI,
            "attention": {"items": []},
            "stats": {"users": 1, "keys": 1, "sessions": 0, "tokens": 0, "sign_ins": 0, "denials": 0, "uptime": 90061},
            "users.list": {"items": [USER], "next_cursor": None},
            "users.get": USER,
            "users.scope": USER,
            "users.update": USER,
            "users.enable": USER,
            "users.disable": {**USER, "enabled": False},
            "session.end_all": {"sub": USER["client_id"], "ended": True},
            "users.password": USER,
            "users.add": {**added, "client_secret": "herod_c_secret"},
            "users.rotate_secret": {"client_id": USER["client_id"], "client_secret": "herod_c_other"},
            "users.delete": {
                "client_id": USER["client_id"],
                "deleted": True,
                "keys": ["a"],
                "service_keys": ["b"],
                "peer_rules": ["c"],
            },
            "keys.create": {**KEY, "key": "herod_u_secret"},
            "keys.list": {"items": [KEY], "next_cursor": None},
            "keys.get": KEY,
            "keys.rotate": {**KEY, "key": "herod_u_other"},
            "keys.disable": {**KEY, "enabled": False},
            "keys.enable": KEY,
            "keys.update": KEY,
            "keys.delete": {"id": KEY["id"], "deleted": True},
            "peers.allow": PEER,
            "peers.list": {"items": [PEER], "next_cursor": None},
            "peers.remove": {"id": PEER["id"], "deleted": True},
            "apps.add": {**APP, "client_secret": "herod_c_app"},
            "apps.list": {"items": [APP], "next_cursor": None},
            "apps.get": APP,
            "apps.update": APP,
            "apps.rotate_secret": {**APP, "client_secret": "herod_c_new"},
            "apps.enable": APP,
            "apps.disable": {**APP, "enabled": False},
            "apps.delete": {"client_id": APP["client_id"], "deleted": True},
            "delegations.list": {"items": [CONNECTED], "next_cursor": None},
            "delegations.revoke": {"id": CONNECTED["id"], "revoked": True},
            "resources.claim": RESOURCE,
            "resources.list": {"items": [RESOURCE], "next_cursor": None},
            "resources.get": RESOURCE,
            "resources.check": {"sid": RESOURCE["sid"], "allowed": True},
            "resources.update": RESOURCE,
            "resources.release": {"sid": RESOURCE["sid"], "released": True},
            "token.validate": {"valid": True, "sub": "x", "scope": "read", "exp": 1_800_000_000, "networks": ["*"]},
            "token.introspect": {"active": True, "sub": "x", "scope": "read", "exp": 1_800_000_000},
            "token.revoke": {"revoked": True},
            "access.explain": {"allowed": True},
        }
        yield made


@pytest.fixture
def herod(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Run a command line with this standard input."""

    def typed(*args: object, stdin: bytes = b"") -> Ended:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsys.readouterr()
        code = main([str(arg) for arg in args])
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return typed


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Simulate a terminal and answer prompts without echo, one after the other."""

    def sit(*answers: str, confirms: bool = True) -> None:
        waiting = iter(answers)
        monkeypatch.setattr("herod_cli.shared.secret_files.has_terminal", lambda: True)
        monkeypatch.setattr(login_command, "has_terminal", lambda: True)
        monkeypatch.setattr(password_sign_in, "has_terminal", lambda: True)
        monkeypatch.setattr("getpass.getpass", lambda _: next(waiting))

        def confirm(*_: Any, **__: Any) -> bool:
            return confirms

        monkeypatch.setattr("click.confirm", confirm)

    return sit
