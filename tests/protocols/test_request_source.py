"""The source of a request: who a trusted proxy names, and which page a browser names."""

from dataclasses import replace

import pytest

from herod.operations.operation_table import OPERATIONS
from herod.protocols.host_and_origin_guard import Guard
from herod.protocols.http import Request
from herod.protocols.request_source import MAX_PROXIES, request_source
from herod.protocols.router import Router
from herod.scopes.principal import OTHER_ORIGIN, Peer, Source
from herod.settings.setting_kinds import FoundSetting
from herod.settings.trusted_proxies import TrustedProxies, parse_trusted_proxies
from herod.throttle.rules import guess_at, ownership_counter, service_counter
from herod.throttle.source_shares import share_of
from support.herod_in_memory import COOKIE, PASSWORD, Harness
from support.wrong_guesses import tcp, uid


def trusting(*words: str) -> TrustedProxies:
    """The setting's value."""
    return parse_trusted_proxies(FoundSetting(words, "trusted_proxies", "file"))


PROXIES = trusting("10.0.0.0/24", "2001:db8::1", "uid:33")
PROXY = tcp("10.0.0.1")
UNIX_PROXY = uid(33)


def source_of(headers: dict[str, str], source: Source = PROXY, proxies: TrustedProxies = PROXIES) -> Source:
    """The source of a request with these headers."""
    return request_source(Request("GET", "/health", "", {"host": "localhost", **headers}, b"", source), proxies)


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7:4711", "192.0.2.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("[2001:db8::7]:4711", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("9.9.9.9, 192.0.2.7", "192.0.2.7"),
        ("192.0.2.7, 10.0.0.9, 2001:db8::1", "192.0.2.7"),
        ("9.9.9.9,192.0.2.7 ,\t10.0.0.9", "192.0.2.7"),
        ('x" \\, , 192.0.2.7', "192.0.2.7"),
        ("a" * 8000 + ", 192.0.2.7", "192.0.2.7"),
        ("192.0.2.7" + ", 10.0.0.9" * MAX_PROXIES, "192.0.2.7"),
        ("192.0.2.7" + ", 10.0.0.9" * (MAX_PROXIES + 1), None),
        ("10.0.0.9", None),
        ("", None),
        (",", None),
        ("192.0.2.7,", None),
        ("192.0.2.7, unknown", None),
        ("192.0.2.7, _hidden", None),
        ("192.0.2.7, 192.0.2.8.9", None),
        ("192.0.2.7, 192.0.2.8:x", None),
        ("192.0.2.7, 192.0.2.08", None),
        ("192.0.2.7, fe80::1%eth0", None),
        ("192.0.2.7, uid:1000", None),
        ("192.0.2.7, localhost", None),
    ],
)
def test_x_forwarded_for(value: str, client: str | None) -> None:
    """The client is the last address that is not a proxy's; without one it is the proxy."""
    assert source_of({"x-forwarded-for": value}).client == client
    assert share_of(source_of({"x-forwarded-for": value}, tcp("10.0.0.1"))) == share_of(tcp(client or "10.0.0.1"))


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("for=192.0.2.7", "192.0.2.7"),
        ("For=192.0.2.7;proto=https;by=10.0.0.1", "192.0.2.7"),
        ('for="192.0.2.7:4711"', "192.0.2.7"),
        ('for="[2001:db8::7]:4711"', "2001:db8::7"),
        ('FOR="[2001:db8::7]:_port";host="a.example:1"', "2001:db8::7"),
        ('for="\\1\\92.0.2.7"', "192.0.2.7"),
        ("for=9.9.9.9, for=192.0.2.7", "192.0.2.7"),
        ('for=192.0.2.7, for=10.0.0.9;host="a, b", for="[2001:db8::1]:80"', "192.0.2.7"),
        # What the client sent before is not looked at, however it is broken.
        ('for="broken, for=192.0.2.7', "192.0.2.7"),
        ('for=9.9.9.9;x=", for="[2001:db8::7]"', "2001:db8::7"),
        ('for=9.9.9.9;x="\\, for="[2001:db8::7]"', "2001:db8::7"),
        (";;==, for=192.0.2.7", "192.0.2.7"),
        ('"' * 8000 + ", for=192.0.2.7", "192.0.2.7"),
        # What a proxy repeats of the client is not taken for the client.
        ('for=192.0.2.7;host="x;for=9.9.9.9"', "192.0.2.7"),
        ('for=192.0.2.7;host="x\\", for=9.9.9.9"', "192.0.2.7"),
        ("for=192.0.2.7;for=192.0.2.8", None),
        ("proto=https", None),
        ("for=unknown", None),
        ("for=_hidden", None),
        ("for=2001:db8::7", None),
        ('for="2001:db8::7"', "2001:db8::7"),
        ("for=192.0.2.7;", None),
        ("for = 192.0.2.7", None),
        ("192.0.2.7", None),
        ('for="192.0.2.7', None),
        ("for=10.0.0.9", None),
        ("", None),
    ],
)
def test_forwarded(value: str, client: str | None) -> None:
    """RFC 7239: the last element that is not a proxy's, in tokens or quoted strings."""
    assert source_of({"forwarded": value}).client == client


@pytest.mark.parametrize(
    ("forwarded", "x_forwarded_for", "client"),
    [
        ("for=192.0.2.7", "9.9.9.9, 192.0.2.7", "192.0.2.7"),
        ("for=192.0.2.7", "192.0.2.8", None),
        ("for=unknown", "192.0.2.8", None),
        ("for=192.0.2.7", "", None),
    ],
)
def test_both_headers(forwarded: str, x_forwarded_for: str, client: str | None) -> None:
    """A proxy that sets one of them may pass on the other from its client: they have to agree."""
    assert source_of({"forwarded": forwarded, "x-forwarded-for": x_forwarded_for}).client == client


@pytest.mark.parametrize(
    ("source", "is_trusted"),
    [
        (PROXY, True),
        (tcp("::ffff:10.0.0.1"), True),
        (tcp("2001:db8::1"), True),
        (UNIX_PROXY, True),
        (tcp("10.0.1.1"), False),
        (tcp("2001:db8::2"), False),
        (tcp("127.0.0.1"), False),
        (tcp("127.0.0.1", uid=33, may_relay=True), False),
        (uid(1000), False),
        (uid(0), False),
        (Source(), False),
    ],
)
def test_who_is_trusted(source: Source, is_trusted: bool) -> None:
    """Addresses over TCP, and uids on the Unix socket alone; everybody else's headers are ignored."""
    headers = {"x-forwarded-for": "192.0.2.7", "forwarded": "for=192.0.2.7"}
    asked = source_of(headers, source)
    assert asked.client == ("192.0.2.7" if is_trusted else None)
    assert is_trusted or asked is source
    assert source_of(headers, source, TrustedProxies()) is source


@pytest.mark.parametrize(
    ("headers", "origin"),
    [
        ({}, ""),
        ({"origin": "http://localhost"}, ""),
        ({"origin": "HTTPS://App.example.org"}, "https://app.example.org"),
        ({"origin": "http://LOCALHOST:8080"}, "http://localhost:8080"),
        ({"origin": "http://localhost:08080"}, OTHER_ORIGIN),
        ({"origin": "https://evil.example"}, OTHER_ORIGIN),
        ({"origin": "null"}, OTHER_ORIGIN),
        ({"sec-fetch-site": "cross-site"}, OTHER_ORIGIN),
        ({"sec-fetch-site": "same-site"}, OTHER_ORIGIN),
        ({"sec-fetch-site": "same-origin"}, ""),
        ({"sec-fetch-site": "none"}, ""),
    ],
)
async def test_a_foreign_page(harness: Harness, headers: dict[str, str], origin: str) -> None:
    """A page of another origin is a source of its own; those that herod does not know are one."""
    guard = Guard(origins=frozenset({"https://app.example.org"}))
    router = Router(harness.pipeline, OPERATIONS, guard)
    request = Request("GET", "/health", "", {"host": "localhost", **headers}, b"", tcp("127.0.0.1", uid=1000))
    await router(request)
    assert request.source.origin == origin


async def test_a_page_does_not_lock_its_reader(harness: Harness) -> None:
    """Wrong secrets that a page of an allowed origin sends from a browser lock the page, not the browser's user."""
    page = "https://app.example.org"
    router = Router(harness.pipeline, OPERATIONS, Guard(origins=frozenset({page})))

    async def status(secret: str, **more: str) -> int:
        sent = {"host": "localhost", "x-herod-secret": secret, **more}
        return (await router(Request("GET", "/api/v1/users", "", sent, b"", tcp("127.0.0.1", uid=1000)))).status

    assert [await status("wrong", origin=page) for _ in range(11)] == [401] * 10 + [429]
    assert await status("legacy-admin-secret", origin=page) == 429
    assert await status("legacy-admin-secret", origin="http://localhost:6274") == 200
    assert await status("legacy-admin-secret") == 200


async def test_origins_do_not_multiply_guesses(harness: Harness) -> None:
    """Who claims to be a page of ever another origin on loopback is locked like one range, and locks only pages."""

    async def status(secret: str, **more: str) -> int:
        sent = {"host": "localhost", "x-herod-secret": secret, **more}
        source = tcp("127.0.0.1", uid=1000)
        return (await harness.router(Request("GET", "/api/v1/users", "", sent, b"", source))).status

    tried = [await status("wrong", origin=f"http://localhost:{8000 + number}") for number in range(60)]
    assert tried == [401] * 50 + [429] * 10
    assert await status("legacy-admin-secret", origin="http://localhost:9000") == 429
    assert await status("legacy-admin-secret") == 200
    assert (await harness.request("GET", "/health", source=tcp("127.0.0.1", uid=1001))).status == 200


async def test_origins_do_not_multiply_guesses_at_passwords(harness: Harness) -> None:
    """The same holds for passwords by JSON-RPC, where pages may call `login`."""
    await harness.admin("users.add", email="ada@example.org", password=PASSWORD, scope="read")
    source = tcp("127.0.0.1", uid=1000)

    async def sign_in(password: str, port: int) -> str:
        params = {"email": "ada@example.org", "password": password}
        headers = {"origin": f"http://localhost:{port}"} if port else {}
        answer = await harness.rpc("login", params, headers=headers, source=source)
        return str(answer.get("error", {}).get("data", {}).get("code", "ok"))

    tried = [await sign_in(f"wrong password {number}", 8000 + number // 5) for number in range(12)]
    assert tried == ["bad_credentials"] * 12
    counters = [one.words for one in guess_at("ada", replace(source, origin="http://localhost:1")).counters]
    assert counters == [
        ("ada", "uid:1000 http://localhost:1"),
        ("ada",),
        ("uid:1000 pages",),
        ("ada", "uid:1000 pages"),
    ]
    assert await sign_in(PASSWORD, 0) == "ok"


def test_origins_do_not_multiply_what_a_principal_may_miss() -> None:
    """The counters of a principal do not distinguish pages either."""
    pages = [replace(tcp("127.0.0.1", uid=1000), origin=f"http://localhost:{port}") for port in (1, 2)]
    for counter in (ownership_counter, service_counter):
        assert len({counter("ada", page) for page in pages}) == 1
        assert counter("ada", pages[0]) != counter("ada", tcp("127.0.0.1", uid=1000))


async def test_limits_and_logs_go_by_the_client(harness: Harness) -> None:
    """Ten wrong secrets lock one client of a proxy and not another; the audit log names the client."""
    router = Router(harness.pipeline, OPERATIONS, Guard(), proxies=PROXIES)

    async def status(secret: str, client: str, **more: str) -> int:
        sent = {"host": "localhost", "x-herod-secret": secret, "x-forwarded-for": client, **more}
        return (await router(Request("GET", "/api/v1/users", "", sent, b"", UNIX_PROXY))).status

    assert [await status("wrong", f"9.9.9.{number}, 192.0.2.7") for number in range(10)] == [401] * 10
    assert await status("legacy-admin-secret", "192.0.2.7") == 429
    assert await status("legacy-admin-secret", "192.0.2.8") == 200
    await harness.pipeline.flush(is_last=True)
    assert {row.event.source for row in harness.store.audit_rows() if row.event.outcome == "denied"} == {"192.0.2.7"}


@pytest.mark.parametrize("headers", [{}, {"x-forwarded-for": "192.0.2.7"}, {"forwarded": "for=192.0.2.7"}])
async def test_a_proxys_uid_is_not_its_clients(harness: Harness, headers: dict[str, str]) -> None:
    """`Authorization: Peer` by a trusted proxy is refused, even with a rule for it and without a header of a relay."""
    await harness.admin("peers.allow", uid=33, scope="admin")
    proxy = Source(peer=Peer(uid=33, gid=33), cookie=COOKIE, may_relay=True)
    router = Router(harness.pipeline, OPERATIONS, Guard(), proxies=PROXIES)
    sent = {"host": "localhost", "authorization": "Peer", **headers}
    assert (await router(Request("GET", "/api/v1/users", "", sent, b"", proxy))).status == 401
