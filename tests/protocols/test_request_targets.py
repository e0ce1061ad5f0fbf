"""What a request asks for: absolute targets, a missing Host, a final slash, and queries that mean nothing."""

import pytest

from herod.protocols.http import Request
from support.herod_in_memory import TCP, Harness
from support.in_process_server import ask_router

# Which target is which host to the guard: target, Host, status. HTTP/1.1 needs a Host in any case.
TARGETS = [
    ("http://localhost/health", "evil.example", 200),
    ("http://127.0.0.1:1/health", "localhost", 200),
    ("HTTP://LOCALHOST/health", "localhost", 200),
    ("http://[::1]/health/?x", "localhost", 200),
    ("http://evil.example/health", "localhost", 421),
    ("http://localhost.evil.example/health", "localhost", 421),
    ("http://localhost@evil.example/health", "localhost", 400),
    ("http://evil.example@localhost/health", "localhost", 400),
    ("http://[::2]/health", "localhost", 421),
    ("https://localhost/health", "localhost", 421),
    ("ftp://localhost/health", "localhost", 400),
    ("http:///health", "localhost", 400),
    ("http:/health", "localhost", 400),
    ("//localhost/health", "localhost", 404),
    ("localhost:80", "localhost", 400),
    ("*", "localhost", 400),
    ("http://localhost:/health", "localhost", 200),
    ("http://localhost:abc/health", "localhost", 400),
    ("http://localhost:80:80/health", "localhost", 400),
    ("http://[::1]80/health", "localhost", 400),
    ("http://::1/health", "localhost", 400),
]


@pytest.mark.parametrize(("target", "host", "status"), TARGETS)
async def test_absolute_targets(harness: Harness, target: str, host: str, status: int) -> None:
    """The target's authority replaces Host, and is what the guard checks (RFC 9112, section 3.2.2)."""
    answer = await ask_router(harness.router, f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")
    assert answer.status == status


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:", 200),
        ("[::1]:8", 200),
        ("localhost:-1", 400),
        ("localhost:8x", 400),
        ("localhost:8:8", 400),
        ("[::1]x", 400),
        ("[::1", 400),
        ("[]", 400),
        ("::1", 400),
    ],
)
async def test_hosts_that_are_no_host_and_port(harness: Harness, host: str, status: int) -> None:
    """A Host with anything but digits as its port is malformed (RFC 9112, section 3.2), wherever it comes from."""
    head = f"GET /health HTTP/1.1\r\nHost: {host}\r\n\r\n"
    assert (await ask_router(harness.router, head)).status == status
    assert (await ask_router(harness.router, head, way="unix")).status == status


@pytest.mark.parametrize(("scheme", "status"), [("https", 200), ("HTTPS", 200), ("http", 421)])
async def test_absolute_targets_over_tls(harness: Harness, scheme: str, status: int) -> None:
    """The scheme in a target is that of the connection (RFC 9110, section 7.4)."""
    head = f"GET {scheme}://localhost/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert (await ask_router(harness.router, head, way="tls")).status == status


async def test_an_own_origin_is_that_of_the_target(harness: Harness) -> None:
    """With an absolute target, an Origin is herod's own if it is the target's, not the Host's."""
    for host, origin, status in (("localhost:9", "localhost:8", 200), ("localhost:8", "localhost:9", 403)):
        head = f"GET http://localhost:8/health HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{origin}\r\n\r\n"
        assert (await ask_router(harness.router, head)).status == status


@pytest.mark.parametrize(
    ("head", "status", "said"),
    [
        ("GET /health HTTP/1.0\r\n\r\n", 200, '"ok"'),
        ("GET /health/?x=1 HTTP/1.0\r\n\r\n", 200, '"ok"'),
        ("GET http://localhost/api/version HTTP/1.0\r\n\r\n", 200, "version"),
        ("GET /api/version HTTP/1.0\r\n\r\n", 421, "Host header is missing"),
        ("POST /token HTTP/1.0\r\n\r\n", 421, "Host header is missing"),
        ("GET /health HTTP/1.0\r\nHost: evil.example\r\n\r\n", 421, "Unknown host"),
        ("GET /health HTTP/1.1\r\n\r\n", 400, "Host header is missing"),
        ("GET /api/version HTTP/1.1\r\nHost:\r\n\r\n", 421, "Host header is empty"),
        ("GET /health HTTP/1.0\r\nOrigin: https://evil.example\r\n\r\n", 403, "origin"),
    ],
)
async def test_a_missing_host(harness: Harness, head: str, status: int, said: str) -> None:
    """A missing Host is said to be missing, and `/health` does without it in HTTP/1.0; on a Unix socket any will do."""
    answer = await ask_router(harness.router, head)
    assert answer.status == status
    assert said in answer.body.decode()
    if status == 421:
        assert (await ask_router(harness.router, head, way="unix")).status != 421


async def test_missing_hosts_are_no_evidence(harness: Harness) -> None:
    """A missing or empty Host is a mistake, not an attack: no row."""
    for headers in [dict[str, str](), {"host": ""}]:
        answer = await harness.router(Request("GET", "/nothing", "", headers, b"", TCP))
        assert answer.status == 421
    await harness.pipeline.flush(is_last=True)
    assert not [row for row in harness.store.audit_rows() if row.event.outcome == "denied"]


ROUTES = [
    "/health", "/metrics", "/api/version", "/openapi.json", "/rpc/discover", "/.well-known/jwks.json",
    "/.well-known/oauth-authorization-server", "/.well-known/oauth-protected-resource",
    "/.well-known/oauth-protected-resource/mcp", "/api/v1/whoami", "/api/v1/users", "/api/v1/keys/abc",
]  # fmt: skip


@pytest.mark.parametrize("path", ROUTES)
async def test_a_final_slash_of_documents(harness: Harness, path: str) -> None:
    """A final slash is the same path."""
    headers = {"authorization": f"Bearer {await harness.service_key('admin')}"}
    with_slash, without = [await harness.request("GET", target, headers=headers) for target in (f"{path}/", path)]
    assert (with_slash.status, with_slash.json if path != "/metrics" else 0) == (
        without.status,
        without.json if path != "/metrics" else 0,
    )
    assert without.status in {200, 404}
    assert (await harness.request("GET", f"{path}//", headers=headers)).status in {401, 404}


@pytest.mark.parametrize("path", ["/token", "/revoke", "/introspect", "/rpc", "/mcp", "/validate", "/api/v1/users"])
async def test_a_final_slash_of_calls(harness: Harness, path: str) -> None:
    """A call to a path with a final slash is answered as one without."""
    key = {"authorization": f"Bearer {await harness.service_key('admin')}"}
    for body in (b"{}", b'{"jsonrpc":"2.0","id":1,"method":"ping"}', b"token=x"):
        with_slash, without = [
            await harness.request("POST", target, body=body, headers=key) for target in (f"{path}/", path)
        ]
        assert with_slash.status == without.status
        assert with_slash.json.keys() == without.json.keys()


@pytest.mark.parametrize("path", ["/health", "/api/version", "/metrics", *ROUTES[3:9]])
@pytest.mark.parametrize("query", ["x=1", "x", "&&", "a=1&a=2", "%ff", "token=x", "_=1700000000"])
async def test_any_query(harness: Harness, path: str, query: str) -> None:
    """Health and public documents take any query."""
    headers = {"authorization": f"Bearer {await harness.service_key('read')}"}
    for method in ("GET", "HEAD"):
        assert (await harness.request(method, f"{path}?{query}", headers=headers)).status == 200


async def test_other_queries_are_checked(harness: Harness) -> None:
    """Operations that take parameters, and those under `/api/v1`, refuse unknown ones."""
    headers = {"authorization": f"Bearer {await harness.service_key('admin')}"}
    for path in ("/api/v1/whoami", "/api/v1/stats", "/api/v1/users", "/api/v1/keys"):
        assert (await harness.request("GET", f"{path}?x=1", headers=headers)).status == 400
