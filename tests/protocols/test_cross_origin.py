"""Pages of other origins: which may call what, what lets them read the answers, and what they never use."""

from typing import Any

import pytest

from herod.dashboard.quart_app import make_app
from herod.operations.operation_table import OPERATIONS
from herod.protocols.cross_origin import MAX_MCP_PARAMS
from herod.protocols.host_and_origin_guard import Guard
from herod.protocols.router import Router
from herod.server.connection_limits import Limits
from herod.server.dashboard_requests import PageRequests
from support.herod_in_memory import STRANGER, Answer, Harness, bearer
from support.in_process_server import ask_router, serving

LISTED = "https://app.example.org"
LOCAL = "http://localhost:6274"
EVIL = "https://evil.example"
OWN = "http://localhost"
PUBLIC = "https://auth.example.org"
# Paths that pages on loopback may call, with a method that is there.
API = [
    ("POST", "/token"),
    ("POST", "/device_authorization"),
    ("POST", "/introspect"),
    ("POST", "/revoke"),
    ("POST", "/mcp"),
    ("POST", "/mcp/"),
    ("POST", "/rpc"),
    ("POST", "/"),
    ("GET", "/api/v1/whoami"),
    ("GET", "/api/v1/users"),
    ("DELETE", "/api/v1/keys/abc"),
    ("GET", "/api/v1/nothing"),
    ("POST", "/validate"),
    ("POST", "/validate/"),
    ("PUT", "/token"),
    ("POST", "/oauth/register"),
    ("GET", "/userinfo"),
]
DOCUMENTS = [
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-protected-resource/mcp",
    "/.well-known/jwks.json",
    "/.well-known/nothing",
]
OTHERS = [
    ("GET", "/"),
    ("GET", "/ui/home"),
    ("GET", "/ui/sign-in"),
    ("POST", "/ui/sign-in"),
    ("GET", "/health"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
    ("GET", "/rpc/discover"),
    ("POST", "/login"),
    ("POST", "/register"),
    ("POST", "/users/add"),
    ("POST", "/api/auth/keys/abc/rotate"),
    ("GET", "/authorize"),
    ("GET", "/logout"),
    ("GET", "/nothing"),
    ("POST", "//token"),
    ("POST", "/%74oken"),
    ("POST", "/token/x"),
    ("GET", "/api/v1"),
    ("GET", "/ui/../api/v1/whoami"),
    ("GET", "/x/.well-known/jwks.json"),
]


@pytest.fixture
def pages(harness: Harness) -> Harness:
    """A herod with pages, a listed origin and a public URL that a proxy serves."""
    served = PageRequests(lambda: make_app(harness.pipeline, OPERATIONS))
    guard = Guard(hosts=frozenset({"auth.example.org"}), origins=frozenset({LISTED}))
    harness.configure(public_url=PUBLIC)
    harness.router = Router(harness.pipeline, OPERATIONS, guard, served)
    return harness


async def ask(harness: Harness, method: str, path: str, origin: str | None, **more: Any) -> Answer:
    """The answer to a page's request."""
    headers = {**({} if origin is None else {"origin": origin}), **more.pop("headers", {})}
    return await harness.request(method, path, headers=headers, **more)


def cors(answer: Answer) -> dict[str, str]:
    """The headers of an answer that browsers look at."""
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


def exposed(answer: Answer) -> set[str]:
    """The names of the headers that a page can read."""
    return set(answer.headers["access-control-expose-headers"].lower().split(", "))


@pytest.mark.parametrize(("method", "path"), API)
@pytest.mark.parametrize("origin", [LOCAL, LISTED, "https://127.0.0.1:8443", "http://[::1]:5173", "http://localhost:9"])
async def test_the_api(pages: Harness, method: str, path: str, origin: str) -> None:
    """Pages on loopback, and the listed ones, can read every answer of the API, errors too, without credentials."""
    answer = await ask(pages, method, path, origin)
    assert answer.status != 403
    assert answer.headers["access-control-allow-origin"] == origin
    assert answer.headers["vary"] == "Origin"
    assert exposed(answer) >= {"www-authenticate", "mcp-session-id", "mcp-protocol-version"}
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(("method", "path"), API)
@pytest.mark.parametrize("origin", [EVIL, "null", "", "http://localhost.evil.example", "http://127.0.0.2", "x" * 4000])
async def test_the_api_for_strangers(pages: Harness, method: str, path: str, origin: str) -> None:
    """Every other origin is refused before anything else, preflight or not, and can read nothing."""
    answer = await ask(pages, method, path, origin)
    assert (answer.status, cors(answer)) == (403, {})
    asked = {"access-control-request-method": method, "access-control-request-headers": "authorization"}
    answer = await ask(pages, "OPTIONS", path, origin, headers=asked)
    assert (answer.status, cors(answer)) == (403, {})


@pytest.mark.parametrize("path", DOCUMENTS)
@pytest.mark.parametrize("origin", [LOCAL, LISTED, EVIL, "null", ""])
async def test_documents(pages: Harness, path: str, origin: str) -> None:
    """Everybody's pages can read what is below `.well-known`, also that there is nothing."""
    answer = await ask(pages, "GET", path, origin)
    assert answer.status == (404 if path.endswith("nothing") else 200)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["vary"] == "Origin"
    assert [name for name, _ in answer.response.headers].count("Vary") == 1
    assert (await ask(pages, "POST", path, origin)).headers["access-control-allow-origin"] == "*"


async def test_documents_without_an_origin(pages: Harness) -> None:
    """A cache learns that a document differs by Origin from every copy of it."""
    answer = await ask(pages, "GET", DOCUMENTS[0], None)
    assert (answer.headers["vary"], cors(answer)) == ("Origin", {})


async def test_documents_before_the_path_of_the_public_url(harness: Harness) -> None:
    """The same is true of the places where OpenID clients look when the public URL has a path."""
    harness.configure(public_url=f"{PUBLIC}/herod")
    harness.router = Router(harness.pipeline, OPERATIONS, Guard())
    answer = await ask(harness, "GET", "/herod/.well-known/openid-configuration", EVIL)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, "*")
    assert (await ask(harness, "GET", "/other/.well-known/openid-configuration", EVIL)).status == 403


@pytest.mark.parametrize(("method", "path"), OTHERS)
@pytest.mark.parametrize("origin", [LOCAL, EVIL, "null"])
async def test_everything_else(pages: Harness, method: str, path: str, origin: str) -> None:
    """All other paths refuse foreign pages, those on loopback too; there is nothing to read, and no preflight."""
    for asked in ({}, {"access-control-request-method": method}):
        answer = await ask(pages, "OPTIONS" if asked else method, path, origin, headers=asked)
        assert (answer.status, cors(answer)) == (403, {})


@pytest.mark.parametrize("path", ["/authorize", "/logout"])
@pytest.mark.parametrize("origin", [LOCAL, EVIL, "null"])
async def test_forms_from_anywhere(pages: Harness, path: str, origin: str) -> None:
    """Any page may send a form to these two; it cannot read the answer, and the cookie does not count."""
    answer = await ask(pages, "POST", path, origin, form="a=b")
    assert (answer.status != 403, cors(answer)) == (True, {})
    assert (await ask(pages, "OPTIONS", path, origin, headers={"access-control-request-method": "PUT"})).status == 403


@pytest.mark.parametrize("origin", [OWN, PUBLIC])
async def test_own_pages(pages: Harness, origin: str) -> None:
    """Herod's own pages, also those that a proxy serves at the public URL, may call everything."""
    for method, path in (*API, *OTHERS):
        assert (await ask(pages, method, path, origin)).status != 403 or path.startswith("/register")
    answer = await ask(pages, "POST", "/validate", OWN, json={"token": "x"})
    assert (answer.status, cors(answer)) == (200, {})


async def test_a_public_url_that_is_not_held(pages: Harness) -> None:
    """While another process may hold the public URL, its pages are like any others."""
    pages.configure(public_url="http://localhost:3350", has_browser_origin=False)
    assert (await ask(pages, "GET", "/ui/sign-in", "http://localhost:3350")).status == 403


async def test_host_comes_first(pages: Harness) -> None:
    """A page behind a rebound name learns nothing, whatever its origin."""
    for origin in (LOCAL, LISTED, EVIL):
        for method, headers in (("POST", {}), ("OPTIONS", {"access-control-request-method": "POST"})):
            answer = await ask(pages, method, "/token", origin, headers={"host": "evil.example", **headers})
            assert (answer.status, cors(answer)) == (421, {})


@pytest.mark.parametrize(("method", "path"), [*API, ("GET", DOCUMENTS[0])])
async def test_preflight(pages: Harness, method: str, path: str) -> None:
    """A preflight is answered before authentication and without a body, with what clients in browsers send."""
    wanted = "authorization, content-type, mcp-protocol-version, mcp-session-id, last-event-id, x-api-key, mcp-method"
    asked = {"access-control-request-method": method, "access-control-request-headers": wanted}
    answer = await ask(pages, "OPTIONS", path, LOCAL, headers=asked)
    assert (answer.status, answer.response.body) == (204, b"")
    assert answer.headers["access-control-allow-origin"] in {LOCAL, "*"}
    assert method in answer.headers["access-control-allow-methods"].split(", ")
    allowed = answer.headers["access-control-allow-headers"].lower().split(", ")
    assert set(wanted.split(", ")) <= set(allowed)
    assert answer.headers["access-control-max-age"] == "600"
    assert "Origin" in answer.headers["vary"]
    assert "access-control-allow-credentials" not in answer.headers


async def test_headers_that_a_page_must_not_send(pages: Harness) -> None:
    """A page cannot get a header allowed by which a proxy names a client, nor an unknown one."""
    refused = "x-forwarded-for, forwarded, via, x-real-ip, cookie, x-anything, mcp-param-, mcp-param-a\tb"
    params = ", ".join(f"MCP-Param-{number}" for number in range(100))
    asked = {"access-control-request-method": "POST", "access-control-request-headers": f"{refused}, {params}"}
    answer = await ask(pages, "OPTIONS", "/mcp", LOCAL, headers=asked)
    allowed = answer.headers["access-control-allow-headers"].lower().split(", ")
    assert not set(refused.split(", ")) & set(allowed)
    assert len([name for name in allowed if name.startswith("mcp-param-")]) == MAX_MCP_PARAMS


async def test_options_that_is_no_preflight(pages: Harness) -> None:
    """OPTIONS without the header of a preflight is answered like anybody's."""
    answer = await ask(pages, "OPTIONS", "/token", LOCAL)
    assert (answer.status, answer.headers["allow"]) == (204, "POST")
    assert answer.headers["access-control-allow-origin"] == LOCAL


async def test_the_session_does_not_count(pages: Harness) -> None:
    """The cookie that a browser adds to a page's request is ignored, beside another credential and alone."""
    user = await pages.user("read")
    session = await user.session()
    cookie = {"cookie": f"herod_session={session.text}"}
    both = {**cookie, **bearer(await user.key())}
    for origin in (LOCAL, LISTED):
        assert (await ask(pages, "GET", "/api/v1/whoami", origin, headers=cookie)).status == 401
        answer = await ask(pages, "GET", "/api/v1/whoami", origin, headers=both)
        assert (answer.status, answer.json["data"]["sub"]) == (200, user.client_id)
    for origin in (OWN, PUBLIC):
        assert (await ask(pages, "GET", "/api/v1/whoami", origin, headers=cookie)).status == 200


@pytest.mark.parametrize("origin", [LOCAL, LISTED, PUBLIC])
async def test_the_local_user_does_not_count(pages: Harness, origin: str) -> None:
    """`Authorization: Peer` is refused with any Origin: behind a browser, the uid says nothing about who asks."""
    await pages.admin("peers.allow", uid=1234, scope="read")
    peer = {"authorization": "Peer"}
    assert (await ask(pages, "GET", "/api/v1/whoami", None, headers=peer, source=STRANGER)).status == 200
    assert (await ask(pages, "GET", "/api/v1/whoami", origin, headers=peer, source=STRANGER)).status == 401


async def test_what_pages_are_for(pages: Harness) -> None:
    """A page signs in with a token of its own, by REST, JSON-RPC and MCP."""
    user = await pages.user("read")
    key = bearer(await user.key())
    call = {"jsonrpc": "2.0", "id": 1, "method": "whoami"}
    assert (await ask(pages, "POST", "/rpc", LOCAL, json=call, headers=key)).json["result"]["sub"] == user.client_id
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    answer = await ask(pages, "POST", "/mcp", LOCAL, json=ping, headers=key)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, LOCAL)
    refused = await ask(pages, "POST", "/mcp", LOCAL, json=ping)
    assert (refused.status, refused.headers["access-control-allow-origin"]) == (401, LOCAL)
    assert "resource_metadata=" in refused.headers["www-authenticate"]
    token = await ask(pages, "POST", "/token", LOCAL, form="grant_type=client_credentials", headers=user.basic_header)
    assert token.status == 200


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (
            "POST /token HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost:6274\r\nContent-Length: 99999\r\n\r\n",
            413,
        ),
        (
            "POST /mcp HTTP/1.1\r\nHost: localhost\r\norigin:http://localhost:6274 \r\nX: " + "x" * 5000 + "\r\n\r\n",
            413,
        ),
        ("POST /mcp HTTP/1.1\r\nOrigin: http://localhost:6274\r\n\r\n", 400),
        ("FOO /validate HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost:6274\r\n\r\n", 501),
        ("POST /token/ HTTP/1.1\r\nHost: a b\r\nOrigin: http://localhost:6274\r\n\r\n", 400),
    ],
)
async def test_what_the_server_refuses(pages: Harness, head: str, status: int) -> None:
    """A page can also read the refusal of a request that does not get as far as the router."""
    answer = await ask_router(pages.router, head, limits=Limits(head_bytes=4096))
    assert answer.status == status
    assert answer.headers["access-control-allow-origin"] == LOCAL


@pytest.mark.parametrize(
    "lines",
    [
        "Origin: https://evil.example\r\n",
        "Origin: null\r\n",
        "Origin: http://localhost:6274\r\nOrigin: http://localhost:6275\r\n",
        "Origin: http://localhost:6274 http://localhost:6275\r\n",
        "X-Origin: http://localhost:6274\r\n",
        "X: y\r\n Origin: http://localhost:6274\r\n",
        "",
    ],
)
async def test_what_the_server_refuses_to_strangers(pages: Harness, lines: str) -> None:
    """No other page can, nor one whose origin cannot be read."""
    head = f"POST /token HTTP/1.1\r\nHost: localhost\r\n{lines}Content-Length: x\r\n\r\n"
    answer = await ask_router(pages.router, head)
    assert answer.status == 400
    assert "access-control-allow-origin" not in answer.headers


async def test_internal_errors(pages: Harness) -> None:
    """A page can read that herod failed."""

    async def fail(_: object) -> Any:
        raise RuntimeError("the secret reason")

    async with serving(fail, refuse=pages.router.refuse) as running, await running.connect("tcp") as client:
        answer = await client.ask(f"POST /mcp HTTP/1.1\r\nHost: localhost\r\nOrigin: {LOCAL}\r\n\r\n".encode())
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (500, LOCAL)


async def test_refused_pages_are_evidence(pages: Harness) -> None:
    """A refused page leaves a row in the audit log, and one that may call leaves none."""
    await ask(pages, "POST", "/token", EVIL)
    await ask(pages, "OPTIONS", "/token", LOCAL, headers={"access-control-request-method": "POST"})
    await pages.pipeline.flush(is_last=True)
    denied = [row.event for row in pages.store.audit_rows() if row.event.outcome == "denied"]
    assert [(event.operation, event.reason, event.count) for event in denied] == [("request", "origin", 1)]
