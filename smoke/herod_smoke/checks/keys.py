"""API keys and legacy secrets: a key's lifecycle, its ceiling, and the secrets of older systems."""

import secrets
from collections.abc import Mapping
from typing import Any

from herod_smoke.fixtures import Fixtures, expect
from herod_smoke.http_connection import bearer

__all__ = ["key_ceiling", "key_lifecycle", "legacy_secret"]


def key_lifecycle(fixtures: Fixtures) -> None:
    """A key is created, verified, rotated, disabled, enabled and deleted; each takes effect at once."""
    made = fixtures.key("read")
    path, first = f"/api/v1/keys/{made['id']}", made["key"]
    expect(_verifies(fixtures, first), "a new key is valid")
    shown = fixtures.api("GET", path)
    expect(shown.status == 200 and first not in shown.text, "the key itself is not shown again", shown)
    rotated = fixtures.api("POST", f"{path}/rotate", json={})
    expect(rotated.status == 200, "a key can be rotated", rotated)
    second = rotated.json["data"]["key"]
    expect(rotated.json["data"]["id"] == made["id"] and second != first, "it keeps its id and gets a new secret")
    expect(not _verifies(fixtures, first, "revoked"), "the old secret is refused")
    expect(_verifies(fixtures, second), "the new secret is valid")
    expect(fixtures.api("POST", f"{path}/disable").status == 200, "a key can be disabled")
    expect(not _verifies(fixtures, second, "disabled"), "a disabled key is refused")
    expect(fixtures.api("POST", f"{path}/enable").status == 200, "a key can be enabled")
    expect(_verifies(fixtures, second), "an enabled key is valid again")
    expect(fixtures.api("DELETE", path).status == 200, "a key can be deleted")
    expect(not _verifies(fixtures, second, "invalid"), "a deleted key is refused")
    expect(fixtures.api("GET", path).status == 404, "a deleted key is gone")


def key_ceiling(fixtures: Fixtures) -> None:
    """No key is created with more than its creator's scope, and keys cannot create keys."""
    user = fixtures.user("read")
    who = fixtures.signed_in(user)
    for more in ({"scope": "admin"}, {"scope": "write"}, {"scope": "read", "kind": "service"}):
        answer = fixtures.api("POST", "/api/v1/keys", who=who, json={"name": fixtures.name("key"), **more})
        _adopt_key(fixtures, answer.json)
        expect(answer.status == 403, "a key beyond the caller's scope is refused", answer)
    key = bearer(fixtures.key("read", who=who)["key"])
    answer = fixtures.api("POST", "/api/v1/keys", who=key, json={"name": fixtures.name("key"), "scope": "read"})
    _adopt_key(fixtures, answer.json)
    expect(answer.status == 403, "a user's key cannot create keys", answer)
    expect(fixtures.whoami(key)["scope"] == "read", "the key has the scope it was created with")
    expect(fixtures.api("GET", "/api/v1/users", who=key).status == 403, "the key allows no more than its owner may")


def legacy_secret(fixtures: Fixtures) -> None:
    """A legacy secret is accepted with its scope; a wrong one is refused."""
    status = fixtures.api("GET", "/api/v1/legacy")
    expect(status.status == 200 and isinstance(status.json["data"], list), "the legacy secrets are listed", status)
    wrong = fixtures.api("GET", "/api/v1/whoami", who={"X-Herod-Secret": secrets.token_urlsafe(16)})
    expect(wrong.status == 401, "a wrong one is refused", wrong)
    if fixtures.legacy_secret is None:
        return
    expect(fixtures.legacy_secret not in status.text, "a secret is never shown")
    found = fixtures.whoami({"X-Herod-Secret": fixtures.legacy_secret})
    expect(found["method"] == "legacy_secret", "the given secret is a legacy secret")
    known = {one["id"]: one["scope"] for one in status.json["data"]}
    expect(known.get(found["sub"]) == found["scope"], "it has its scope")
    expect(fixtures.whoami(bearer(fixtures.legacy_secret))["sub"] == found["sub"], "it works as a bearer too")
    expect(fixtures.rpc("auth.verify", {"key": fixtures.legacy_secret})["result"]["valid"], "auth.verify accepts it")


def _verifies(fixtures: Fixtures, key: str, reason: str | None = None) -> bool:
    """Return whether `auth.verify` and `/validate` accept a key; they must agree, and only the latter says why not."""
    result = fixtures.rpc("auth.verify", {"key": key}, who={})["result"]
    verdict = fixtures.validate(key)
    expect(result["valid"] == verdict["valid"], "auth.verify and /validate agree")
    expect(
        result["valid"] or (result == {"valid": False} and verdict == {"valid": False, "reason": reason}),
        "an invalid key is refused for the right reason",
    )
    return bool(result["valid"])


def _adopt_key(fixtures: Fixtures, made: Mapping[str, Any] | None) -> None:
    """Delete, at the end, a key that should not have been created."""
    data = (made or {}).get("data")
    if isinstance(data, dict) and "id" in data:
        fixtures.later("the key " + data["id"], lambda: fixtures.api("DELETE", f"/api/v1/keys/{data['id']}"))
