"""Foreign hosts and origins are refused before routing."""

import pytest

from herod.protocols.error_codes import row_of
from herod.protocols.host_and_origin_guard import MAX_PASSED, Guard, PageKind, host_of
from herod.protocols.http import Request
from herod.scopes.principal import Source
from support.herod_in_memory import ADMIN_SOURCE, TCP, Harness

TLS = Source(address="127.0.0.1", secure=True)


def status(headers: dict[str, str], source: Source = TCP, guard: Guard | None = None) -> int | None:
    """The status of the refusal of a request's Host; None if it may pass."""
    refused = (guard or Guard()).check_host(Request("GET", "/health", "", headers, b"", source))
    return None if refused is None else row_of(refused).http


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", None),
        ("LOCALHOST:3350", None),
        ("127.0.0.1", None),
        ("127.0.0.1:9", None),
        ("[::1]:3350", None),
        ("[::1]", None),
        ("herod.lan:3350", None),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("[::2]", 421),
        ("[::1", 421),
        ("[::1]evil.example", 421),
        ("[::1]:x", 421),
        ("localhost:", None),
        ("localhost:3350@evil.example", 421),
        ("localhost@evil.example", 421),
        ("user@localhost", 421),
        ("localhost:33:50", 421),
        ("localhost:\u0663", 421),
        ("localhost.:3350", 421),
        ("localhost%2e", 421),
        ("\u24dbocalhost", 421),
        ("", 421),
    ],
)
def test_hosts_over_tcp(host: str, expected: int | None) -> None:
    """Over TCP the loopback names and the configured hosts are accepted, with any port."""
    assert status({"host": host}, guard=Guard(frozenset({"Herod.lan"}))) == expected


def test_any_host_on_a_unix_socket() -> None:
    """On a Unix socket any host is accepted, because no DNS name leads there."""
    assert status({"host": "anything"}, ADMIN_SOURCE) is None
    assert status({}, ADMIN_SOURCE) is None


@pytest.mark.parametrize(
    ("origin", "source", "kind"),
    [
        ("http://localhost:3350", TCP, PageKind.OWN),
        ("https://localhost:3350", TLS, PageKind.OWN),
        ("https://auth.example.org", TCP, PageKind.OWN),
        ("https://localhost:3350", TCP, PageKind.LOOPBACK),
        ("http://localhost", TCP, PageKind.LOOPBACK),
        ("http://localhost:4000", TCP, PageKind.LOOPBACK),
        ("http://127.0.0.1:3350", TCP, PageKind.LOOPBACK),
        ("http://[::1]:3350", TCP, PageKind.LOOPBACK),
        ("https://console.example", TCP, PageKind.LISTED),
        ("http://console.example", TCP, PageKind.FOREIGN),
        ("https://auth.example.org:8443", TCP, PageKind.FOREIGN),
        ("http://evil.example", TCP, PageKind.FOREIGN),
        ("http://evil.example", ADMIN_SOURCE, PageKind.FOREIGN),
        ("http://localhost:3350.evil.example", TCP, PageKind.FOREIGN),
        ("http://user@localhost:3350", TCP, PageKind.FOREIGN),
        ("http://localhost:3350/", TCP, PageKind.FOREIGN),
        ("http://localhost:3350 http://localhost:4000", TCP, PageKind.FOREIGN),
        ("null", TCP, PageKind.FOREIGN),
        ("", TCP, PageKind.FOREIGN),
    ],
)
def test_whose_page_it_is(origin: str, source: Source, kind: PageKind) -> None:
    """Own are the target's own origin and the public URL's; the others are listed, on loopback, or foreign."""
    guard = Guard(origins=frozenset({"https://Console.example"}))
    request = Request("GET", "/health", "", {"host": "localhost:3350"}, b"", source)
    assert guard.kind_of(origin, request, "https://auth.example.org") is kind


def test_a_public_url_that_somebody_else_may_hold() -> None:
    """While the public URL may be another process', its origin is like any other on loopback."""
    request = Request("GET", "/health", "", {"host": "127.0.0.1:3350"}, b"", TCP)
    assert Guard().kind_of("http://localhost:3350", request, None) is PageKind.LOOPBACK


def test_remembered_hosts_are_bounded() -> None:
    """Any number of ports is accepted, and few are remembered."""
    guard = Guard()
    assert {status({"host": f"localhost:{port}"}, guard=guard) for port in range(1000)} == {None}
    assert len(vars(guard)["_passed"]) <= MAX_PASSED


def test_a_host_without_its_port() -> None:
    """IPv6 hosts keep their brackets when the port is removed."""
    assert [host_of(value) for value in ("A:1", "[::1]:2", "b", "[x", "a:b")] == ["a", "[::1]", "b", "", ""]


async def test_refused_before_routing(harness: Harness) -> None:
    """Refusal precedes routing, so that existing and unknown paths look the same."""
    for path in ("/health", "/nothing"):
        answer = await harness.request("GET", path, headers={"host": "evil.example"})
        assert answer.status == 421
        assert answer.json["error"]["message"]
