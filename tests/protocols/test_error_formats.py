"""Every error has the format of the path that was asked, also before a route, or the whole request, is known."""

import json
import logging
from collections.abc import Mapping
from typing import Any

import pytest

from herod.protocols.cross_origin import CrossOrigin
from herod.protocols.host_and_origin_guard import PageKind
from herod.server.connection_limits import Limits
from support.herod_in_memory import Harness
from support.in_process_server import ask_router, serving

OAUTH = ["/token", "/introspect", "/revoke", "/token/"]
ENVELOPED = ["/api/v1/users", "/api/v1/nothing", "/api/v1", "/api/v1/", "/api/auth/keys/x/rotate"]
PLAIN = ["/validate", "/health", "/users/add", "/nothing", "/rpc/discover", "/.well-known/jwks.json", "/tokens", "/api"]
RPC = ["/rpc", "/", "/rpc/"]
MCP = ["/mcp", "/mcp/"]
PATHS = [*OAUTH, *ENVELOPED, *PLAIN, *RPC, *MCP]
LIMITS = Limits(head_bytes=600, body_bytes=64)


def check_format(path: str, body: Any) -> None:
    """The body is an error in the format of a POST to the path."""
    match path.rstrip("/") or "/":
        case "/token" | "/introspect" | "/revoke":
            assert body.keys() == {"error", "error_description"}
            assert isinstance(body["error"], str)
        case "/rpc" | "/" | "/mcp":
            assert body.keys() == {"jsonrpc", "id", "error"}
            assert (body["jsonrpc"], body["id"]) == ("2.0", None)
            assert body["error"].keys() == {"code", "message", "data"}
            assert body["error"]["data"]["code"]
        case enveloped if f"{enveloped}/".startswith(("/api/v1/", "/api/auth/")):
            assert body.keys() == {"error", "meta"}
            assert body["meta"]["api_version"] == "1"
        case _:
            assert body.keys() == {"error"}
            assert body["error"].keys() == {"code", "message"}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": ""}, 421),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"content-encoding": "gzip"}, 415),
        ({"content-encoding": "identity, br"}, 415),
    ],
)
async def test_before_routing(harness: Harness, path: str, headers: Mapping[str, str], status: int) -> None:
    """A foreign Host or Origin and a compressed body are refused in the path's format, known or not."""
    if status == 403 and path.startswith("/.well-known/"):  # for everybody's pages
        status = 405
    answer = await harness.request("POST", path, body=b"{}", headers=headers)
    assert answer.status == status
    check_format(path, answer.json)
    if status == 415:
        assert answer.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/token", "POST"),
        ("PUT", "/introspect/", "POST"),
        ("GET", "/rpc", "POST"),
        ("DELETE", "/rpc/", "POST"),
        ("TRACE", "/mcp", "POST"),
        ("GET", "/mcp/", "POST"),
        ("GET", "/api/v1/explain", "POST"),
        ("PUT", "/api/v1/keys/x", "DELETE, GET, HEAD, PATCH"),
        ("GET", "/validate", "POST"),
        ("POST", "/health", "GET, HEAD"),
        ("PATCH", "/.well-known/jwks.json", "GET, HEAD"),
    ],
)
async def test_other_methods(harness: Harness, method: str, path: str, allow: str) -> None:
    """A method that the path does not take is a 405 with Allow, in the path's format, and OPTIONS says the same."""
    answer = await harness.request(method, path)
    assert (answer.status, answer.headers["allow"]) == (405, allow)
    check_format(path, answer.json)
    options = await harness.request("OPTIONS", path)
    assert (options.status, options.headers["allow"], options.response.body) == (204, allow, b"")


async def test_options(harness: Harness) -> None:
    """OPTIONS of the whole server lists all methods, that of an unknown path is a 404, and foreign ones are refused."""
    answer = await harness.request("OPTIONS", "*")
    assert (answer.status, answer.headers["allow"]) == (204, "DELETE, GET, HEAD, PATCH, POST, PUT")
    assert (await harness.request("OPTIONS", "/nothing")).status == 404
    assert (await harness.request("OPTIONS", "/api/v1/users/x")).headers["allow"] == "DELETE, GET, HEAD, PATCH"
    assert (await harness.request("OPTIONS", "*", headers={"host": "evil.example"})).status == 421
    assert (await harness.request("OPTIONS", "/rpc", headers={"origin": "https://evil.example"})).status == 403


KEYS = {
    "Error": {"error"},
    "ApiError": {"error", "meta"},
    "OAuthError": {"error", "error_description"},
    "RpcError": {"jsonrpc", "id", "error"},
}


def is_for_every_page(method: str, path: str) -> bool:
    """Whether the pages of all origins may send this, as forms to `/authorize` and requests for documents."""
    return CrossOrigin().check(PageKind.FOREIGN, method.upper(), path) is None


async def test_the_document_says_so(harness: Harness) -> None:
    """The OpenAPI document gives the errors before routing the format that each path answers with."""
    document = (await harness.request("GET", "/openapi.json")).json
    seen = set()
    for path, item in document["paths"].items():
        for method, described in item.items():
            responses = described["responses"]
            for headers, status in (
                ({"host": "evil"}, 421),
                ({"origin": "null"}, 403),
                ({"content-encoding": "br"}, 415),
            ):
                answer = await harness.request(method.upper(), path, headers=headers)
                if "origin" in headers and is_for_every_page(method, path):
                    assert answer.status != 403
                    assert "403" not in responses
                    continue
                assert (method, path, answer.status) == (method, path, status)
                if str(status) in responses:
                    name = responses[str(status)]["$ref"].rpartition("/")[2].removesuffix(str(status))
                    assert answer.json.keys() == KEYS[name], (path, status)
                    seen.add((name, status))
    assert seen == {(name, status) for name in KEYS for status in (403, 415, 421)}


# What is wrong with a head → its lines after the first, the status, and the one of JSON-RPC.
HEADS = {
    "two Authorization headers": (["Host: localhost", "Authorization: Bearer a", "authorization: Peer"], 400, 200),
    "two keys": (["Host: localhost", "X-API-Key: a", "x-api-key: a"], 400, 200),
    "two Content-Types": (["Host: localhost", *["Content-Type: application/json"] * 2], 400, 200),
    "no Host": ([], 400, 400),
    "two Hosts": (["Host: localhost", "Host: localhost"], 400, 400),
    "a broken Host": (["Host: a b"], 400, 400),
    "a head too long": (["Host: localhost", "A: " + "b" * 600], 413, 413),
    "a head without an end": (["Host: localhost", "A: " + "b" * 600, "…"], 413, 413),
    "too long a body": (["Host: localhost", "Content-Length: 65"], 413, 413),
    "no length": (["Host: localhost", "Content-Length: x"], 400, 400),
    "another coding": (["Host: localhost", "Transfer-Encoding: gzip, chunked"], 501, 501),
    "a bare LF": (["Host: localhost", "A: b\nC: d"], 400, 400),
    "no header": (["Host: localhost", "nonsense"], 400, 400),
}


@pytest.mark.parametrize("what", HEADS)
@pytest.mark.parametrize("path", PATHS)
async def test_on_the_wire(harness: Harness, path: str, what: str) -> None:
    """A head that is refused while it is read is answered in the format of its request line's path, in sentences."""
    lines, status, of_rpc = HEADS[what]
    is_whole = "…" not in lines
    head = "\r\n".join([f"POST {path} HTTP/1.1", *(line for line in lines if line != "…"), *["", ""] * is_whole])
    answer = await ask_router(harness.router, head, limits=LIMITS)
    body = json.loads(answer.body)
    assert (answer.status, answer.headers["connection"]) == (of_rpc if path in RPC else status, "close")
    check_format(path, body)
    said = body.get("error_description") or body["error"]["message"]
    assert said[0].isupper()
    assert said.endswith(".")


@pytest.mark.parametrize("method", ["FOO", "foo", "get", "PROPFIND", "M-SEARCH", "!", "G" * 100])
@pytest.mark.parametrize("path", ["/token", "/rpc", "/mcp", "/api/v1/users", "/health", "/ui/home"])
async def test_unknown_methods(harness: Harness, method: str, path: str) -> None:
    """A method that herod does not know is a 501, in the path's format."""
    answer = await ask_router(harness.router, f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert answer.status == 501
    check_format(path, json.loads(answer.body))


@pytest.mark.parametrize("method", ["QUERY", "TRACE", "PUT"])
@pytest.mark.parametrize("path", ["/token", "/rpc", "/mcp", "/api/v1/users", "/health"])
async def test_methods_that_a_path_does_not_take(harness: Harness, method: str, path: str) -> None:
    """A method of HTTP that a path does not take is a 405 that lists those that it takes, in the path's format."""
    answer = await ask_router(harness.router, f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert answer.status == 405
    assert method not in answer.headers["allow"]
    check_format(path, json.loads(answer.body))


@pytest.mark.parametrize("target", ["localhost:80", "evil.example:443", "/health"])
async def test_connect(harness: Harness, target: str) -> None:
    """CONNECT is refused with what herod takes instead."""
    answer = await ask_router(harness.router, f"CONNECT {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (answer.status, answer.code) == (405, "invalid_request")
    assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize("path", PATHS)
async def test_internal_errors(harness: Harness, path: str) -> None:
    """A fault of herod's own is answered in the path's format, without its details."""

    async def fail(request: object) -> Any:
        raise RuntimeError("the secret reason")

    async with serving(fail, refuse=harness.router.refuse) as running, await running.connect("tcp") as client:
        answer = await client.ask(f"POST {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert answer.status == (200 if path in RPC else 500)
    check_format(path, json.loads(answer.body))
    assert b"secret" not in answer.body


async def test_two_authorization_headers_are_evidence(harness: Harness) -> None:
    """Two Authorization headers on the wire leave a row in the audit log, as any two credentials do; mistakes none."""
    for lines in ("Authorization: Bearer a\r\nAuthorization: Peer\r\n", "Content-Type: a\r\nContent-Type: b\r\n"):
        await ask_router(harness.router, f"GET /health HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n")
    await harness.pipeline.flush(is_last=True)
    denied = [row.event for row in harness.store.audit_rows() if row.event.outcome == "denied"]
    assert [(event.operation, event.reason, event.count) for event in denied] == [("request", "two_credentials", 1)]


async def test_the_head_of_a_refused_head_request(harness: Harness) -> None:
    """A refused HEAD gets no body."""
    async with serving(harness.router, refuse=harness.router.refuse) as running, await running.connect() as client:
        await client.send(b"HEAD /health HTTP/1.1\r\n\r\n")
        answer = await client.answer(to_head=True)
        assert (answer.status, await client.end()) == (400, b"")


async def test_the_access_log_names_what_was_refused(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    """A refused request is logged with its method and path, as far as they are known, and its status."""
    caplog.set_level(logging.INFO, "herod.access")
    for head in (
        "POST /token/?secret HTTP/1.1\r\n\r\n",
        "GET http://localhost/health?secret HTTP/1.1\r\n\r\n",
        f"{'SECRET' * 3} /mcp HTTP/1.1\r\n\r\n",
        "nonsense\r\n\r\n",
        "GET /ui/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    ):
        await ask_router(harness.router, head)
    logged = [(vars(one)["method"], vars(one)["path"], vars(one)["status"]) for one in caplog.records]
    assert logged == [
        ("POST", "/token", 400),
        ("GET", "/health", 400),
        ("-", "/mcp", 501),
        ("-", "-", 400),
        ("GET", "/ui", 421),
    ]
