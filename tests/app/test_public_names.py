"""Herod's own URLs: its default, its aliases, and what becomes of them while another process has a loopback."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from herod.public_names import NOWHERE, PublicNames, follow_names, public_names
from herod.server.sockets.listeners import listening
from herod.settings import Settings, load_settings
from herod.settings.bind_addresses import Bind, TcpBind, UnixBind, with_both_loopbacks
from herod.web_origins import is_loopback_origin, origin_of
from support.certificates import make_certificate
from support.herod_in_memory import SECRET, Harness
from support.in_process_server import settle, short_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path."""
    with short_folder() as name:
        yield name


def settings(**options: object) -> Settings:
    """Settings of a daemon in memory."""
    return load_settings({"store": "memory:", **options}, {"HERO_SECRET": SECRET, "HOME": "/nowhere"}, uid=4711)


@contextmanager
def named(folder: Path, *binds: TcpBind, **options: object) -> Iterator[tuple[PublicNames, int]]:
    """The names of a daemon with a Unix socket and these addresses, and the port of the first."""
    everywhere: list[Bind] = [UnixBind(folder / "s"), *binds]
    with listening(with_both_loopbacks(everywhere)) as listeners:
        port = listeners[1].socket.getsockname()[1] if len(listeners) > 1 else 0
        yield public_names(settings(**options), listeners), port


def loopback(port: int, scheme: str = "http") -> set[str]:
    """The three origins of a port."""
    return {f"{scheme}://{name}:{port}" for name in ("localhost", "127.0.0.1", "[::1]")}


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "0.0.0.0", "::"])  # noqa: S104 - to be bound
def test_localhost(folder: Path, host: str) -> None:
    """Whichever loopback is named, herod holds both, and is `localhost` with both addresses as aliases."""
    with named(folder, TcpBind(host, 0)) as (names, port):
        assert (names.public_url, names.has_browser_origin) == (f"http://localhost:{port}", True)
        assert names.aliases == loopback(port)
        assert names.own_origins >= loopback(port) | loopback(port, "https")


def test_a_unix_socket_alone(folder: Path) -> None:
    """Where no browser can come, herod has no name that another process could answer to."""
    with named(folder) as (names, _):
        assert (names.public_url, names.has_browser_origin) == (NOWHERE, False)
        assert names.aliases == set()
        assert names.own_origins == {NOWHERE}


def test_another_address(folder: Path) -> None:
    """An address that is not `localhost` is its own name, and no alias leads to it."""
    with named(folder, TcpBind("127.0.0.2", 0)) as (names, port):
        assert (names.public_url, names.has_browser_origin) == (f"http://127.0.0.2:{port}", True)
        assert names.aliases == set()
        assert f"http://127.0.0.2:{port}" in names.own_origins


def test_the_first_address_counts(folder: Path) -> None:
    """The first TCP address makes the public URL; the aliases are those of all."""
    with named(folder, TcpBind("127.0.0.2", 0), TcpBind("127.0.0.1", 0)) as (names, port):
        assert names.public_url == f"http://127.0.0.2:{port}"
        assert len(names.aliases) == 3


def test_tls(folder: Path, tmp_path: Path) -> None:
    """With TLS the public URL is https, and nothing is an alias: a certificate is for one name."""
    certificate, key = make_certificate(tmp_path)
    with named(folder, TcpBind("127.0.0.1", 0), tls_cert=certificate, tls_key=key) as (names, port):
        assert (names.public_url, names.has_browser_origin) == (f"https://localhost:{port}", True)
        assert names.aliases == set()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_loopback_of_somebody_else(folder: Path, host: str) -> None:
    """Whoever has the other loopback is `localhost` to half of the clients: herod then has no such name."""
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as squatter:
        port = squatter.getsockname()[1]
        other = "::1" if host == "127.0.0.1" else "127.0.0.1"
        with named(folder, TcpBind(other, port)) as (names, _):
            assert (names.public_url, names.has_browser_origin, names.aliases) == (NOWHERE, False, frozenset())
            assert names.own_origins >= loopback(port)  # no redirect may lead there all the same
        # A second address of herod's is not the first one's substitute, and brings no alias of that port.
        with named(folder, TcpBind(other, port), TcpBind("127.0.0.1", 0)) as (names, chosen):
            assert (names.public_url, names.has_browser_origin) == (NOWHERE, False)
            assert names.aliases == loopback(chosen)


def test_a_configured_url(folder: Path) -> None:
    """A URL in the settings stays, and the aliases with it; one on a loopback that herod lost has no sign-in."""
    with named(folder, TcpBind("127.0.0.1", 0), public_url="https://Auth.example.org:443/x") as (names, port):
        assert (names.public_url, names.has_browser_origin) == ("https://Auth.example.org:443/x", True)
        assert names.aliases == loopback(port)
        assert {"https://auth.example.org", f"http://auth.example.org:{port}"} <= names.own_origins
    with named(folder, public_url="http://localhost:8080") as (names, _):
        assert names.has_browser_origin  # a proxy's
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as squatter:
        port = squatter.getsockname()[1]
        for name in ("localhost", "127.0.0.1", "[::1]"):
            with named(folder, TcpBind("127.0.0.1", port), public_url=f"http://{name}:{port}") as (names, _):
                assert (names.public_url, names.has_browser_origin) == (f"http://{name}:{port}", False)


async def test_names_follow_the_addresses(folder: Path, harness: Harness) -> None:
    """When the other process goes, herod gets its name back, and followers of the feed get the new rules."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as squatter:
        port = squatter.getsockname()[1]
        binds = with_both_loopbacks([UnixBind(folder / "s"), TcpBind("127.0.0.1", port)])
        with listening(binds) as listeners:
            before = public_names(settings(), listeners)
            harness.runtime.config = before.applied_to(harness.runtime.config)
            user = await harness.user("read")
            told = await harness.call("token.changes", user.basic)
            change, changed = trio.open_memory_channel[None](1)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(
                    follow_names, changed, lambda: public_names(settings(), listeners), harness.runtime, harness.store
                )
                await change.send(None)  # nothing has changed
                await trio.testing.wait_all_tasks_blocked()
                assert not harness.runtime.config.has_browser_origin
                squatter.close()
                listeners.try_missing()
                await change.send(None)
                await settle(lambda: harness.runtime.config.has_browser_origin)
                change.close()
            assert harness.runtime.config.public_url == f"http://localhost:{port}"
            again = await harness.call("token.changes", user.basic, cursor=told.cursor)
            assert again.rules.audience_issuer == f"http://localhost:{port}"


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://localhost:3350", "http://localhost:3350"),
        ("http://LOCALHOST:80/auth", "http://localhost"),
        ("https://auth.example.org:443", "https://auth.example.org"),
        ("https://auth.example.org:80/x/y", "https://auth.example.org:80"),
        ("http://[::1]:3350", "http://[::1]:3350"),
    ],
)
def test_origins_of_urls(url: str, origin: str) -> None:
    """An origin is as browsers write it: in lower case, without the scheme's own port and without a path."""
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("http://localhost", True),
        ("http://localhost:6274", True),
        ("https://127.0.0.1:8443", True),
        ("http://[::1]:1", True),
        ("http://localhost:", False),
        ("http://localhost:080", False),
        ("http://localhost:123456", False),
        ("http://localhost:6274/", False),
        ("http://localhost.evil.example", False),
        ("http://localhost:6274.evil.example", False),
        ("http://localhost@evil.example", False),
        ("http://evil.example#localhost", False),
        ("http://127.0.0.1.evil.example", False),
        ("http://127.0.0.2", False),
        ("http://127.1", False),
        ("http://[::ffff:127.0.0.1]", False),
        ("http://localhost\n", False),
        ("http://localhost http://localhost", False),
        ("http://ⓛocalhost", False),
        ("http://localhost:٣", False),
        ("ftp://localhost", False),
        ("null", False),
        ("", False),
    ],
)
def test_loopback_origins(origin: str, expected: bool) -> None:
    """Three names with http or https and a port are loopback origins, and nothing that resembles them."""
    assert is_loopback_origin(origin) is expected
