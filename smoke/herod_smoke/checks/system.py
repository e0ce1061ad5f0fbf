"""The daemon itself: health, API documents, dashboard, the admin's identity, and batches."""

import re
from collections.abc import Iterable
from typing import Any

from herod_smoke.checks.documented_surface import METHODS, ROUTES
from herod_smoke.fixtures import Fixtures, expect

__all__ = ["admin_identity", "api_docs", "dashboard", "health", "rpc_batch"]


def health(fixtures: Fixtures) -> None:
    """The daemon is healthy, and names itself and its version."""
    answer = fixtures.connection.ask("GET", "/health")
    expect(answer.status == 200, "/health answers 200", answer)
    found = answer.json
    expect(isinstance(found, dict) and found.get("status") == "ok", "/health says ok", answer)
    expect(found.get("service") == "herod" and found.get("version"), "/health names herod and its version", answer)
    expect(answer.headers.get("x-content-type-options") == "nosniff", "answers carry the security headers", answer)


def api_docs(fixtures: Fixtures) -> None:
    """OpenAPI lists every route, OpenRPC every method."""
    answer = fixtures.connection.ask("GET", "/openapi.json")
    expect(answer.status == 200 and isinstance(answer.json, dict), "/openapi.json answers", answer)
    expect(str(answer.json.get("openapi", "")).startswith("3.1"), "the document is OpenAPI 3.1")
    listed = {f"{method.upper()} {_shape(path)}" for path, item in answer.json["paths"].items() for method in item}
    expect(not _missing(ROUTES, listed), f"OpenAPI lists {_missing(ROUTES, listed)}")
    answer = fixtures.connection.ask("GET", "/rpc/discover")
    expect(answer.status == 200 and isinstance(answer.json, dict), "/rpc/discover answers", answer)
    expect(str(answer.json.get("openrpc", "")).startswith("1."), "the document is OpenRPC")
    methods = {method["name"] for method in answer.json["methods"]}
    expect(not _missing(METHODS, methods), f"OpenRPC lists {_missing(METHODS, methods)}")


def dashboard(fixtures: Fixtures) -> None:
    """The dashboard is a page for browsers whose policy forbids inline scripts."""
    answer = fixtures.connection.ask("GET", "/", headers={"Accept": "text/html"})
    expect(answer.status == 200, "/ answers a browser", answer)
    expect(answer.headers.get("content-type", "").startswith("text/html"), "/ is a page", answer)
    policy = answer.headers.get("content-security-policy", "")
    expect("default-src 'none'" in policy and "frame-ancestors" in policy, "the page has a strict policy")
    expect("unsafe-inline" not in policy, "the policy forbids inline scripts")
    expect(not re.search(r"<script(?![^>]*\bsrc=)|\son[a-z]+=", answer.text), "the page has no inline script")


def admin_identity(fixtures: Fixtures) -> None:
    """The given credential is an admin's, and without a credential whoami is refused."""
    found = fixtures.whoami(fixtures.admin)
    expect({"admin", "owner"} & set(found["scope"].split()), "the credential given is an admin's")
    expect(found["method"] and found["sub"], "whoami has the subject and the method")
    answer = fixtures.api("GET", "/api/v1/whoami", who={})
    expect(answer.status == 401, "without a credential whoami is refused", answer)
    expect(
        answer.headers.get("www-authenticate", "").startswith("Bearer realm="), "401 says how to authenticate", answer
    )


def rpc_batch(fixtures: Fixtures) -> None:
    """Each call of a batch is answered and authorized separately."""
    batch: list[Any] = [
        {"jsonrpc": "2.0", "id": 1, "method": "health"},
        {"jsonrpc": "2.0", "method": "health"},
        {"jsonrpc": "2.0", "id": "two", "method": "users.list"},
        {"jsonrpc": "2.0", "id": 3, "method": "no.such.method"},
        7,
    ]
    answer = fixtures.connection.ask("POST", "/rpc", json=batch)
    expect(answer.status == 200 and isinstance(answer.json, list), "a batch is answered by a list", answer)
    found = {item.get("id"): item for item in answer.json}
    expect(len(answer.json) == 4, "a notification is not answered")
    expect(found[1].get("result", {}).get("status") == "ok", "the first call is answered")
    expect(found["two"].get("error", {}).get("code") == 4001, "the call that needs an admin is refused alone")
    expect(found[3].get("error", {}).get("code") == -32601, "an unknown method is -32601")
    expect(found[None].get("error", {}).get("code") == -32600, "an invalid call is -32600")
    empty = fixtures.connection.ask("POST", "/rpc", json=[])
    expect(empty.status == 200 and empty.json["error"]["code"] == -32600, "an empty batch is one -32600", empty)
    broken = fixtures.connection.ask("POST", "/rpc", body=b"{", headers={"Content-Type": "application/json"})
    expect(broken.status == 200 and broken.json["error"]["code"] == -32700, "invalid JSON is -32700", broken)


def _shape(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)


def _missing(wanted: Iterable[str], found: set[str]) -> str:
    return ", ".join(one for one in wanted if one not in found)
