"""API keys and legacy secrets: a key's whole life, its ceiling, and the secrets of older systems."""

import secrets
from collections.abc import Mapping
from typing import Any

from herod_smoke.fixtures import Fixtures, expect
from herod_smoke.http_connection import bearer

__all__ = ["key_ceiling", "key_lifecycle", "legacy_secret"]


def key_lifecycle(fixtures: Fixtures) -> None:
    """Made, verified, rotated, switched off and on, deleted: each takes hold at once."""
    made = fixtures.key("read")
    path, first = f"/api/v1/keys/{made['id']}", made["key"]
    expect(_verifies(fixtures, first), "a new key is good")
    shown = fixtures.api("GET", path)
    expect(shown.status == 200 and first not in shown.text, "the key itself is not shown again", shown)
    rotated = fixtures.api("POST", f"{path}/rotate", json={})
    expect(rotated.status == 200, "a key can be rotated", rotated)
    second = rotated.json["data"]["key"]
    expect(rotated.json["data"]["id"] == made["id"] and second != first, "it keeps its id and gets a new secret")
    expect(not _verifies(fixtures, first), "the old secret is refused")
    expect(_verifies(fixtures, second), "the new secret is good")
    expect(fixtures.api("POST", f"{path}/disable").status == 200, "a key can be switched off")
    expect(not _verifies(fixtures, second), "a key switched off is refused")
    expect(fixtures.api("POST", f"{path}/enable").status == 200, "a key can be switched on")
    expect(_verifies(fixtures, second), "a key switched on is good again")
    expect(fixtures.api("DELETE", path).status == 200, "a key can be deleted")
    expect(not _verifies(fixtures, second), "a deleted key is refused")
    expect(fixtures.api("GET", path).status == 404, "a deleted key is gone")


def key_ceiling(fixtures: Fixtures) -> None:
    """Nobody makes a key that may more than they, and a key makes no keys."""
    user = fixtures.user("read")
    who = fixtures.signed_in(user)
    for more in ({"scope": "admin"}, {"scope": "write"}, {"scope": "read", "kind": "service"}):
        answer = fixtures.api("POST", "/api/v1/keys", who=who, json={"name": fixtures.name("key"), **more})
        _adopt_key(fixtures, answer.json)
        expect(answer.status == 403, "a key beyond one's own scope is refused", answer)
    key = bearer(fixtures.key("read", who=who)["key"])
    answer = fixtures.api("POST", "/api/v1/keys", who=key, json={"name": fixtures.name("key"), "scope": "read"})
    _adopt_key(fixtures, answer.json)
    expect(answer.status == 403, "a user's key makes no keys", answer)
    expect(fixtures.whoami(key)["scope"] == "read", "the key is what it is")
    expect(fixtures.api("GET", "/api/v1/users", who=key).status == 403, "the key opens no more than its owner")


def legacy_secret(fixtures: Fixtures) -> None:
    """A secret of an older system stands for its scope; a wrong one for nothing."""
    status = fixtures.api("GET", "/api/v1/legacy")
    expect(status.status == 200 and isinstance(status.json["data"], list), "the legacy secrets are listed", status)
    wrong = fixtures.api("GET", "/api/v1/whoami", who={"X-Herod-Secret": secrets.token_urlsafe(16)})
    expect(wrong.status == 401, "a wrong one is refused", wrong)
    if fixtures.legacy_secret is None:
        return
    expect(fixtures.legacy_secret not in status.text, "a secret is never shown")
    found = fixtures.whoami({"X-Herod-Secret": fixtures.legacy_secret})
    expect(found["method"] == "legacy_secret", "the secret given is one")
    known = {one["id"]: one["scope"] for one in status.json["data"]}
    expect(known.get(found["sub"]) == found["scope"], "it stands for its scope")
    expect(fixtures.whoami(bearer(fixtures.legacy_secret))["sub"] == found["sub"], "it works as a bearer too")
    expect(fixtures.rpc("auth.verify", {"key": fixtures.legacy_secret})["result"]["valid"], "auth.verify knows it")


def _verifies(fixtures: Fixtures, key: str) -> bool:
    """What `auth.verify` and `/validate` say of a key, which must be the same."""
    result = fixtures.rpc("auth.verify", {"key": key}, who={})["result"]
    verdict = fixtures.validate(key)
    expect(result["valid"] == verdict["valid"], "auth.verify and /validate agree")
    expect(
        result["valid"] or (result == {"valid": False} and verdict == {"valid": False, "reason": "invalid"}),
        "nothing is said of a bad key",
    )
    return bool(result["valid"])


def _adopt_key(fixtures: Fixtures, made: Mapping[str, Any] | None) -> None:
    """Delete a key at the end that should never have been made."""
    data = (made or {}).get("data")
    if isinstance(data, dict) and "id" in data:
        fixtures.later("the key " + data["id"], lambda: fixtures.api("DELETE", f"/api/v1/keys/{data['id']}"))
