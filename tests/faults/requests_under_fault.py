"""Requests of the fault tests to a real daemon: changes by its local admin, and reads that must keep working."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.real_daemon import SECRET, Daemon, environment, herod

PYTHON = sys.executable


@dataclass
class Known:
    """Credentials known to a daemon: an account with a token, and a service key."""

    client_id: str
    client_secret: str
    token: str
    key: str


def admin(daemon: Daemon) -> tuple[str, ...]:
    """The local admin's header, for curl."""
    return ("-H", f"Authorization: Peer {daemon.cookie}")


def add_account(daemon: Daemon, name: str, **more: str) -> tuple[int, Any]:
    """Create an account; return status and answer."""
    status, body, _ = daemon.curl("/users/add", "--json", json.dumps({"name": name, **more}), *admin(daemon))
    return status, body


def names(daemon: Daemon) -> set[str]:
    """The names of all accounts."""
    status, body, _ = daemon.curl("/api/v1/users?limit=200", *admin(daemon))
    assert status == 200, body
    assert body["meta"]["next_cursor"] is None
    return {user["name"] for user in body["data"]}


def token_of(daemon: Daemon, client_id: str, client_secret: str) -> str:
    """A token for a client."""
    status, body, _ = daemon.curl("/token", "-u", f"{client_id}:{client_secret}", "-d", "grant_type=client_credentials")
    assert status == 200, body
    text: str = body["access_token"]
    return text


def know(daemon: Daemon) -> Known:
    """Create an account with a token, and a service key."""
    status, account = add_account(daemon, "ada")
    assert status == 201, account
    secret = account["client_secret"]
    made = {"name": "runner", "kind": "service", "scope": "admin"}
    status, body, _ = daemon.curl("/api/v1/keys", "--json", json.dumps(made), *admin(daemon))
    assert status == 201, body
    return Known(account["client_id"], secret, token_of(daemon, account["client_id"], secret), body["data"]["key"])


def is_valid(daemon: Daemon, credential: str) -> bool:
    """Whether /validate accepts the token or key."""
    status, body, _ = daemon.curl("/validate", "--json", json.dumps({"token": credential}))
    assert status == 200, body
    valid: bool = body["valid"]
    return valid


def check_reads(daemon: Daemon, known: Known) -> None:
    """Check that validation, identity, lists and Supervisor's verification are answered."""
    assert is_valid(daemon, known.token)
    assert is_valid(daemon, known.key)
    bearer = ("-H", f"Authorization: Bearer {known.token}")
    assert daemon.curl("/api/v1/whoami", *bearer)[1]["data"]["sub"] == known.client_id
    status, body, _ = daemon.curl("/api/v1/keys", "-H", f"Authorization: Bearer {known.key}")
    assert status == 200
    assert "runner" in {key["name"] for key in body["data"]}
    assert daemon.rpc("auth.verify", {"key": known.key})["result"]["valid"] is True
    assert "ada" in names(daemon)


def check_refused(status: int, body: Any, *words: str) -> None:
    """Check that a write was refused as unavailable, with the reason."""
    assert (status, body["error"]["code"]) == (503, "unavailable")
    for word in words:
        assert word in body["error"]["message"]


def check_revocation_holds(daemon: Daemon, known: Known) -> None:
    """Check that a revocation while the store is read-only answers 503 and takes effect."""
    other = known.token
    assert is_valid(daemon, other)
    status, _, _ = daemon.curl("/revoke", *admin(daemon), "-d", f"token={other}")
    assert status == 503
    assert not is_valid(daemon, other)


def start_in_vain(folder: Path, *arguments: str, command: tuple[str, ...] = (), code: int = 1, **more: str) -> str:
    """Start a daemon that must fail; return its one line, beside which there may be warnings in the log."""
    done = herod_serve(folder, *arguments, command=command, **more)
    lines = [line for line in done.stderr.strip().splitlines() if line.startswith("herod:") or "rror" in line]
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if '"level": "warning"' not in line]) == 1, done.stderr
    assert lines, done.stderr
    assert SECRET not in done.stderr
    return lines[0]


def herod_serve(
    folder: Path, *arguments: str, command: tuple[str, ...] = (), **more: str
) -> subprocess.CompletedProcess[str]:
    """Start a daemon and wait for its end, away from the default addresses of this machine."""
    env = environment(folder, **{"HERO_SECRET": SECRET, **more})
    bind = () if "--bind" in arguments else ("--bind", f"unix:{folder}/vain.sock")
    return herod("serve", *bind, *arguments, env=env, prefix=command, timeout=30)


def message_of(done: subprocess.CompletedProcess[str], code: int) -> str:
    """The one-line error of a command."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.strip().splitlines()[-1]


def wait_for(daemon: Daemon, words: str) -> str:
    """The log, once it contains that; requests give the daemon time."""
    for _ in range(200):
        assert daemon.curl("/health")[0] == 200
        log = daemon.log.read_text()
        if words in log:
            return log
    raise AssertionError(log)
