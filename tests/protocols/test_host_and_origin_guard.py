"""Foreign hosts and origins are refused before routing."""

import pytest

from herod.protocols.error_codes import row_of
from herod.protocols.host_and_origin_guard import Guard, host_of
from herod.protocols.http import Request
from herod.scopes.principal import Source
from support.herod_in_memory import ADMIN_SOURCE, TCP, Harness

TLS = Source(address="127.0.0.1", secure=True)


def status(headers: dict[str, str], source: Source = TCP, guard: Guard | None = None) -> int | None:
    """The guard's status; None if it lets the request pass."""
    refused = (guard or Guard()).check(Request("GET", "/health", "", headers, b"", source))
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
    ("origin", "source", "expected"),
    [
        ("http://localhost:3350", TCP, None),
        ("https://localhost:3350", TCP, 403),
        ("https://localhost:3350", TLS, None),
        ("http://localhost", TCP, 403),
        ("http://localhost:4000", TCP, 403),
        ("http://evil.example", TCP, 403),
        ("null", TCP, 403),
        ("", TCP, 403),
        ("https://console.example", TCP, None),
        ("http://evil.example", ADMIN_SOURCE, 403),
    ],
)
def test_origins(origin: str, source: Source, expected: int | None) -> None:
    """Own and listed origins are accepted; the opaque `null` is foreign."""
    guard = Guard(origins=frozenset({"https://console.example"}))
    assert status({"host": "localhost:3350", "origin": origin}, source, guard) == expected


def test_a_host_without_its_port() -> None:
    """IPv6 hosts keep their brackets when the port is removed."""
    assert [host_of(value) for value in ("A:1", "[::1]:2", "b", "[x", "a:b")] == ["a", "[::1]", "b", "", ""]


async def test_refused_before_routing(harness: Harness) -> None:
    """Refusal precedes routing, so that existing and unknown paths look the same."""
    for path in ("/health", "/nothing"):
        answer = await harness.request("GET", path, headers={"host": "evil.example"})
        assert answer.status == 421
        assert answer.json["error"]["message"]
