"""Faults in a daemon's answers, and the smoke check that must detect each."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from herod_smoke.http_connection import Headers, HttpClient, Response

__all__ = ["LEGACY", "WAYS", "Broken"]

LEGACY = "the smoke checks' legacy secret"
Change = Callable[[Response], Response]


@dataclass
class Broken:
    """A daemon whose answers to one request are changed, or that never receives it.

    Attributes:
        wire: the good daemon.
        method, path: the request, by the start of its path.
        change: changes its answer.
        when: selects among such requests, by the sent JSON or form and the headers.
        is_swallowed: the daemon never receives it; `change` creates the answer.
    """

    connection: HttpClient
    method: str
    path: str
    change: Change
    when: Callable[[Any, Headers], bool] = lambda sent, headers: True
    is_swallowed: bool = False
    touched: int = 0

    def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Headers | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Response:
        """Ask as `HttpClient` does."""
        is_meant = method == self.method and path.startswith(self.path)
        is_meant = is_meant and self.when(json if form is None else form, headers or {})
        if is_meant and self.is_swallowed:
            self.touched += 1
            return self.change(Response(200, {}, b"{}"))
        answer = self.connection.ask(method, path, headers=headers, json=json, form=form, body=body)
        if not is_meant:
            return answer
        self.touched += 1
        return self.change(answer)


def status(number: int) -> Change:
    """Replace the status."""
    return lambda answer: Response(number, answer.headers, answer.body)


def without_header(name: str) -> Change:
    """Remove a header."""
    return lambda answer: Response(
        answer.status, {key: value for key, value in answer.headers.items() if key != name}, answer.body
    )


def without(*path: str | int) -> Change:
    """Remove a part of the JSON."""

    def edit(found: Any) -> None:
        for step in path[:-1]:
            found = found[step]
        del found[path[-1]]

    return edited(edit)


def instead_of(number: int, other: int) -> Change:
    """Replace one status with another."""
    return lambda answer: status(other)(answer) if answer.status == number else answer


def header(name: str, value: str) -> Change:
    """Replace the value of a header."""
    return lambda answer: Response(answer.status, {**answer.headers, name: value}, answer.body)


def edited(edit: Callable[[Any], object]) -> Change:
    """Edit the JSON in place, or replace it with what `edit` returns."""

    def change(answer: Response) -> Response:
        found = answer.json
        instead = edit(found)
        return Response(answer.status, answer.headers, json.dumps(found if instead is None else instead).encode())

    return change


def says(instead: object, number: int = 200) -> Change:
    """Replace JSON and status."""
    return lambda answer: Response(number, answer.headers, json.dumps(instead).encode())


def named(name: str, **arguments: Any) -> Callable[[Any, Headers], bool]:
    """Match JSON-RPC messages of one method, with these parameters."""
    return lambda sent, headers: (
        isinstance(sent, dict)
        and sent.get("method") == name
        and all(sent.get("params", {}).get(key) == value for key, value in arguments.items())
    )


def anonymous(sent: Any, headers: Headers) -> bool:
    """Match requests without a credential."""
    return "Authorization" not in headers


def by_bearer(sent: Any, headers: Headers) -> bool:
    """Match requests with a token or key."""
    return headers.get("Authorization", "").startswith("Bearer")


def is_batch(sent: Any, headers: Headers) -> bool:
    """Match batches that are not empty."""
    return isinstance(sent, list) and bool(sent)


VERIFIED = says({"jsonrpc": "2.0", "id": 1, "result": {"valid": True}})
COUNTER = iter(range(10**9))
# check → the faults that it must detect
WAYS: dict[str, list[dict[str, Any]]] = {
    "health": [
        {"method": "GET", "path": "/health", "change": says({"status": "read-only", "service": "herod"}, 503)},
        {"method": "GET", "path": "/health", "change": says({"status": "ok", "service": "other", "version": "1"})},
        {"method": "GET", "path": "/health", "change": without_header("x-content-type-options")},
    ],
    "api-docs": [
        {
            "method": "GET",
            "path": "/openapi.json",
            "change": edited(lambda doc: doc["paths"].pop("/validate") and None),
        },
        {"method": "GET", "path": "/rpc/discover", "change": edited(lambda doc: doc["methods"].pop(0) and None)},
    ],
    "oauth-metadata": [
        {"method": "GET", "path": "/.well-known/oauth-authorization-server", "change": status(404)},
        {"method": "GET", "path": "/.well-known/jwks.json", "change": says({"keys": [{"kty": "OKP", "d": "x"}]})},
        {"method": "GET", "path": "/.well-known/no-such", "change": status(200)},
    ],
    "dashboard": [
        {"method": "GET", "path": "/", "change": header("content-security-policy", "default-src 'unsafe-inline'")},
        {
            "method": "GET",
            "path": "/",
            "change": lambda answer: Response(answer.status, answer.headers, answer.body + b"<script>1</script>"),
        },
    ],
    "admin-identity": [
        {
            "method": "GET",
            "path": "/api/v1/whoami",
            "when": anonymous,
            "change": status(200),
        },
        {
            "method": "GET",
            "path": "/api/v1/whoami",
            "change": edited(lambda found: found.get("data", {}).update(scope="read")),
        },
    ],
    "user-add": [
        {"method": "POST", "path": "/users/add", "change": edited(lambda found: found.update(scope="admin"))},
        {"method": "GET", "path": "/api/v1/users/", "change": status(404)},
    ],
    "user-duplicate": [{"method": "POST", "path": "/users/add", "change": instead_of(409, 400)}],
    "register": [
        {"method": "POST", "path": "/register", "change": edited(lambda found: found.update(scope="write"))},
        {"method": "POST", "path": "/register", "change": status(500)},
    ],
    "login": [
        {"method": "POST", "path": "/login", "change": without_header("cache-control")},
        {"method": "POST", "path": "/login", "change": status(401)},
    ],
    "login-refused": [
        {
            "method": "POST",
            "path": "/login",
            "change": lambda answer: Response(answer.status, answer.headers, answer.body + b" " * (next(COUNTER) % 2)),
        },
        {"method": "POST", "path": "/login", "change": status(200)},
    ],
    "token": [
        {"method": "POST", "path": "/token", "change": without_header("cache-control")},
        {"method": "POST", "path": "/token", "change": without_header("pragma")},
        {"method": "POST", "path": "/token", "change": edited(lambda found: found.update(scope="read write"))},
    ],
    "token-refused": [
        {"method": "POST", "path": "/token", "change": instead_of(401, 403)},
        {"method": "POST", "path": "/token", "change": without_header("www-authenticate")},
        {"method": "POST", "path": "/token", "change": edited(lambda found: found.update(error="invalid_request"))},
    ],
    "validate": [
        {"method": "POST", "path": "/validate", "change": edited(lambda found: found.pop("networks", None) and None)},
        {
            "method": "POST",
            "path": "/validate",
            "when": lambda sent, headers: sent.get("scope") == "admin",
            "change": says({"valid": True, "sub": "x"}),
        },
        {"method": "POST", "path": "/introspect", "change": says({"active": False})},
    ],
    "validate-tampered": [
        {
            "method": "POST",
            "path": "/validate",
            "when": lambda sent, headers: sent["token"].endswith("="),
            "change": says({"valid": True, "sub": "x"}),
        },
        {
            "method": "POST",
            "path": "/validate",
            "when": lambda sent, headers: sent["token"].endswith("."),
            "change": says({"valid": True, "sub": "x"}),
        },
    ],
    "revoke": [
        {"method": "POST", "path": "/revoke", "change": says({"revoked": True}), "is_swallowed": True},
        {"method": "POST", "path": "/revoke", "change": instead_of(403, 200)},
    ],
    "scope-denied": [
        {"method": "GET", "path": "/api/v1/users", "when": by_bearer, "change": says({"data": []})},
        {
            "method": "POST",
            "path": "/rpc",
            "when": named("users.list"),
            "change": says({"jsonrpc": "2.0", "id": 1, "result": {"items": []}}),
        },
        {
            "method": "POST",
            "path": "/mcp",
            "when": named("tools/call"),
            "change": says({"jsonrpc": "2.0", "id": 1, "result": {"structuredContent": {"items": []}}}),
        },
    ],
    "scope-raise": [
        {
            "method": "PUT",
            "path": "/api/v1/users/",
            "change": says({"data": {}}),
        },
        {
            "method": "POST",
            "path": "/users/scope",
            "when": lambda sent, headers: sent["scope"] == "read",
            "change": says({}),
            "is_swallowed": True,
        },
    ],
    "rpc-batch": [
        {
            "method": "POST",
            "path": "/rpc",
            "when": lambda sent, headers: bool(sent) and isinstance(sent, list),
            "change": edited(lambda found: found.pop() and None),
        },
        {"method": "POST", "path": "/rpc", "when": lambda sent, headers: sent == [], "change": says([])},
    ],
    "key-lifecycle": [
        {
            "method": "POST",
            "path": "/rpc",
            "when": named("auth.verify"),
            "change": says({"jsonrpc": "2.0", "id": 1, "result": {"valid": True}}),
        },
    ],
    "key-ceiling": [
        {"method": "POST", "path": "/api/v1/keys", "change": instead_of(403, 409)},
        {"method": "GET", "path": "/api/v1/users", "when": by_bearer, "change": says({"data": []})},
    ],
    "legacy-secret": [
        {
            "method": "GET",
            "path": "/api/v1/whoami",
            "when": lambda sent, headers: headers.get("X-Herod-Secret") not in {None, LEGACY},
            "change": says({"data": {"scope": "admin"}}),
        },
        {
            "method": "GET",
            "path": "/api/v1/whoami",
            "when": lambda sent, headers: headers.get("X-Herod-Secret") == LEGACY,
            "change": edited(lambda found: found["data"].update(scope="admin")),
        },
        {"method": "GET", "path": "/api/v1/legacy", "change": status(404)},
    ],
    "ownership": [
        {
            "method": "GET",
            "path": "/api/v1/resources/",
            "change": lambda a: Response(a.status, a.headers, a.body + b" " * (next(COUNTER) % 2)),
        },
        {
            "method": "GET",
            "path": "/api/v1/resources?",
            "change": edited(lambda found: found["data"].append({"sid": "x"})),
        },
        {
            "method": "DELETE",
            "path": "/api/v1/resources/",
            "when": lambda sent, headers: True,
            "change": says({"data": {}}),
            "is_swallowed": True,
        },
    ],
    "mcp": [
        {
            "method": "POST",
            "path": "/mcp",
            "when": named("tools/list"),
            "change": edited(lambda found: found["result"].update(tools=found["result"]["tools"][:9])),
        },
        {"method": "POST", "path": "/mcp", "when": anonymous, "change": without_header("www-authenticate")},
        {
            "method": "POST",
            "path": "/mcp",
            "when": named("tools/call"),
            "change": edited(lambda found: found["result"].update(isError=True)),
        },
    ],
    "user-delete": [
        {"method": "POST", "path": "/users/delete", "change": says({"deleted": True}), "is_swallowed": True},
        {"method": "POST", "path": "/token", "change": instead_of(401, 200)},
    ],
}
