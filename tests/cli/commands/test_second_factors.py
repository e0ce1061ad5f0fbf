"""`herod user factors` and `herod user reset-factors`: what somebody signs in with besides a password."""

import json
from collections.abc import Callable
from typing import Any

import msgspec

from herod.operations.factors.factor_state import Factors
from support.fake_daemon import USER, FakeDaemon, RpcError

Typed = Callable[..., Any]
FACTORS = {
    "client_id": USER["client_id"],
    "required": True,
    "passkeys": [
        {
            "id": "0b8e7e0e-3f0a-4c67-8f5d-3b6f0f6f1d11",
            "name": "Laptop",
            "synced": True,
            "created_at": "2026-01-31T12:00:00Z",
            "last_used_at": None,
            "last_used_from": None,
        }
    ],
    "totp_since": "2026-02-01T12:00:00Z",
    "recovery_codes": 9,
}


def test_factors(daemon: FakeDaemon, herod: Typed) -> None:
    """What an account has is listed, each passkey with its last use."""
    msgspec.convert(FACTORS, Factors)
    daemon.methods["factors.get"] = FACTORS
    shown = herod("user", "factors", "ada@example.org")
    assert shown.code == 0, shown.err
    facts = [line.split(maxsplit=1) for line in shown.out.splitlines()[:4]]
    assert facts == [
        ["second_factor", "required"],
        ["passkeys", "1"],
        ["authenticator_app", "since 2026-02-01"],
        ["recovery_codes", "9 left"],
    ]
    assert "Laptop" in shown.out
    assert "never" in shown.out
    assert daemon.params("factors.get") == {"email": "ada@example.org"}
    assert json.loads(herod("user", "factors", "ada@example.org", "--output", "json").out) == FACTORS


def test_ones_own(daemon: FakeDaemon, herod: Typed) -> None:
    """Without WHO the caller's own are shown, and none are none."""
    daemon.methods["factors.get"] = {**FACTORS, "passkeys": [], "totp_since": None, "recovery_codes": 0}
    shown = herod("user", "factors").out
    assert daemon.params("factors.get") == {"client_id": USER["client_id"]}
    assert [line.split()[1] for line in shown.splitlines()] == ["required", "0", "none", "none"]


def test_reset(daemon: FakeDaemon, herod: Typed, terminal: Callable[..., None]) -> None:
    """They are removed after a question, and by who may."""
    daemon.methods["factors.reset"] = {"client_id": USER["client_id"], "passkeys": 1, "totp": True}
    terminal(confirms=False)
    assert herod("user", "reset-factors", "ada@example.org").err == "herod: Nothing was changed.\n"
    ended = herod("user", "reset-factors", "ada@example.org", "--yes")
    assert (ended.code, ended.out) == (0, "The second factors of ada@example.org are removed.\n")
    daemon.methods["factors.reset"] = RpcError(4003, "You do not hold admin.", {"code": "missing_scope"})
    assert herod("user", "reset-factors", "ada@example.org", "--yes").code == 1
