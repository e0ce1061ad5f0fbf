"""The ASGI middleware: which requests pass, how others are answered, and that no framework is needed."""

import json
from collections.abc import MutableMapping
from typing import Any

import pytest

from herod_client import VerifiedToken
from herod_client.asgi_middleware import HerodMiddleware
from herod_client.client_errors import InvalidInput
from herod_client.core.errors import (
    BadToken,
    Disabled,
    ExpiredToken,
    MissingScope,
    NetworkDenied,
    RevokedToken,
    Unavailable,
)

ADA = VerifiedToken(
    sub="ada", kind="account", scope="write", scopes=frozenset({"read", "write"}), networks=frozenset({"*"}),
    iat=0, exp=9, jti="j", aud=None,
)  # fmt: skip
FAILURES: dict[str, Exception] = {
    "bad": BadToken("Bad.", reason="signature"),
    "expired": ExpiredToken("Over."),
    "revoked": RevokedToken("Revoked."),
    "off": Disabled("Off."),
    "low": MissingScope("Low.", missing="write"),
    "elsewhere": NetworkDenied("Elsewhere.", missing="lab"),
    "stale": Unavailable("Nothing was heard."),
}


class Verifier:
    """A verifier that accepts one token."""

    asked: tuple[str, str | None, str | None] | None = None
    resource: str | None = None

    def verify(
        self, token: str, *, scope: str | None = None, network: str | None = None, resource: str | None = None
    ) -> VerifiedToken:
        """As the real one does."""
        self.asked, self.resource = (token, scope, network), resource
        if token in FAILURES:
            raise FAILURES[token]
        return ADA


async def run(headers: dict[str, str] | list[tuple[str, str]], **more: Any) -> tuple[int, dict[str, str], Any, Any]:
    """Run a request; return status, headers, body and the scope that the app saw."""
    seen: list[Any] = []
    sent: list[MutableMapping[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope.get("herod"))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> MutableMapping[str, Any]:
        return {"type": f"{more.get('type', 'http')}.connect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    pairs = headers if isinstance(headers, list) else list(headers.items())
    scope = {
        "type": "http", "path": "/vms", "method": "GET",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in pairs], **more,
    }  # fmt: skip
    await HerodMiddleware(app, Verifier(), scope="read", public={"/health"})(scope, receive, send)
    if sent[0]["type"] != "http.response.start":
        return 0, {}, sent, seen
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    body = sent[1]["body"]
    return sent[0]["status"], found, json.loads(body) if body else None, seen


async def test_let_through() -> None:
    """The app gets the verified principal."""
    assert await run({"authorization": "Bearer good"}) == (204, {}, None, [ADA])
    assert await run({"Authorization": "bearer good"}) == (204, {}, None, [ADA])


async def test_public_paths() -> None:
    """A public path needs no token, and a principal set by the server in front is removed."""
    assert await run({}, path="/health", herod=ADA) == (204, {}, None, [None])


@pytest.mark.parametrize(
    ("headers", "status", "challenge", "code"),
    [
        ({}, 401, 'Bearer realm="herod"', "bad_credentials"),
        ({"authorization": "Basic abc"}, 401, 'Bearer realm="herod"', "bad_credentials"),
        ({"authorization": "Bearer bad"}, 401, 'Bearer realm="herod", error="invalid_token"', "bad_token"),
        ({"authorization": "Bearer \xff"}, 401, 'Bearer realm="herod", error="invalid_token"', "bad_token"),
        ({"authorization": "Bearer expired"}, 401, 'Bearer realm="herod", error="invalid_token"', "expired_token"),
        ({"authorization": "Bearer revoked"}, 401, 'Bearer realm="herod", error="invalid_token"', "revoked_token"),
        ({"authorization": "Bearer off"}, 401, 'Bearer realm="herod", error="invalid_token"', "disabled"),
        ({"authorization": "Bearer low"}, 403, 'Bearer error="insufficient_scope", scope="write"', "missing_scope"),
        ({"authorization": "Bearer elsewhere"}, 403, None, "network_denied"),
        ({"authorization": "Bearer stale"}, 503, None, "unavailable"),
        (
            [("authorization", "Bearer good"), ("authorization", "Bearer good")],
            400,
            'Bearer realm="herod", error="invalid_request"',
            "invalid_request",
        ),
    ],
)
async def test_refused(headers: Any, status: int, challenge: str | None, code: str) -> None:
    """A refusal follows RFC 6750, in herod's format, and the app is not called."""
    answered, found, body, seen = await run(headers)
    assert (answered, found.get("www-authenticate"), body["error"]["code"]) == (status, challenge, code)
    assert (found["cache-control"], found["pragma"]) == ("no-store", "no-cache")
    assert ("retry-after" in found) is (status == 503)
    assert seen == []


@pytest.mark.parametrize(
    ("required", "problem"),
    [
        ({"scope": ""}, "required scope is empty"),
        ({"scope": " "}, "required scope is empty"),
        ({"scope": " ".join(["read"] * 65)}, "at most 64 names"),
        ({"network": ""}, "required network is empty"),
        ({"network": "a b"}, "not a network name"),
        ({"resource": ""}, "resource is empty"),
        ({"resource": "me.example"}, "absolute URI"),
        ({"public": "/health"}, "list of paths"),
    ],
    ids=str,
)
def test_a_requirement_from_an_unset_variable(required: dict[str, Any], problem: str) -> None:
    """An empty requirement is an error when the service starts, not one that everybody passes."""

    async def app(*_: Any) -> None:
        """Never called."""

    with pytest.raises(InvalidInput, match=problem):
        HerodMiddleware(app, Verifier(), **required)


async def test_a_scope_that_herod_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the service's mistake: nobody passes, and no caller is told to get a scope that does not exist."""
    monkeypatch.setitem(FAILURES, "any", InvalidInput("Unknown scope 'launch'."))
    with pytest.raises(InvalidInput):
        await run({"authorization": "Bearer any"})


async def test_head_has_no_body() -> None:
    """The answer to HEAD has no body, but the same length."""
    status, found, body, _ = await run({}, method="HEAD")
    assert (status, body) == (401, None)
    assert int(found["content-length"]) > 0


async def test_websockets() -> None:
    """A WebSocket without a token is not accepted."""
    _, _, sent, seen = await run({}, type="websocket")
    assert (sent, seen) == ([{"type": "websocket.close", "code": 1008}], [])


async def test_lifespan_goes_through() -> None:
    """Lifespan events pass through."""
    assert (await run({}, type="lifespan"))[3] == [None]


async def test_what_is_asked_for() -> None:
    """The configured scope and network are passed to the verifier."""
    verifier = Verifier()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        """Do nothing."""

    async def unused(*_: Any) -> Any:
        """Never called."""

    scope = {"type": "http", "path": "/", "method": "GET", "headers": [(b"authorization", b"Bearer t")]}
    await HerodMiddleware(app, verifier, scope="read", network="lab")(scope, unused, unused)
    assert (verifier.asked, verifier.resource) == (("t", "read", "lab"), None)
    await HerodMiddleware(app, verifier, resource="https://me.example")(scope, unused, unused)
    assert (verifier.asked, verifier.resource) == (("t", None, None), "https://me.example")


async def test_unknown_kinds_of_connections() -> None:
    """Other connection types need a token too, and are dropped without one."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["herod"])

    async def unused(*_: Any) -> Any:
        raise AssertionError

    guarded = HerodMiddleware(app, Verifier())
    await guarded({"type": "webtransport", "headers": []}, unused, unused)
    assert seen == []
    await guarded({"type": "webtransport", "headers": [(b"authorization", b"Bearer t")]}, unused, unused)
    assert seen == [ADA]
