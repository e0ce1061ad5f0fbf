"""Daemon addresses: parsing and discovery."""

from pathlib import Path

import pytest

from herod_client import InvalidInput, TcpAddress, UnixAddress, Unreachable, find_address, parse_address
from herod_client.addresses import MAX_SOCKET_PATH, SYSTEM_SOCKET, candidate_sockets

GOOD = {
    "unix:/run/herod/herod.sock": UnixAddress("/run/herod/herod.sock"),
    "/run/herod/herod.sock": UnixAddress("/run/herod/herod.sock"),
    "http://127.0.0.1:3350": TcpAddress("127.0.0.1", 3350),
    "http://127.0.0.1:3350/": TcpAddress("127.0.0.1", 3350),
    "http://[::1]:3350": TcpAddress("::1", 3350),
    "http://localhost": TcpAddress("localhost", 80),
    "https://auth.example.org": TcpAddress("auth.example.org", 443, secure=True),
    "HTTPS://auth.example.org:8443": TcpAddress("auth.example.org", 8443, secure=True),
}
BAD = (
    "",
    "unix:",
    "unix:herod.sock",
    "unix:/" + "a" * MAX_SOCKET_PATH,
    "unix:/a\0b",
    "herod",
    "127.0.0.1:3350",
    "ftp://localhost",
    "http://",
    "http://localhost:99999",
    "http://localhost:http",
    "http://[::1",
    "http://localhost/rpc",
    "http://localhost?x=1",
    "http://localhost#",
    "http://user:password@localhost",
    "http://local host",
    "http://localhost\r\nX: y",
    "http://b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher",
)


@pytest.mark.parametrize(("text", "address"), GOOD.items())
def test_good_addresses(text: str, address: TcpAddress | UnixAddress) -> None:
    """Every form parses, and its text parses to the same address."""
    assert parse_address(text) == address
    assert parse_address(str(address)) == address


@pytest.mark.parametrize("text", BAD)
def test_bad_addresses(text: str) -> None:
    """An invalid address is refused with a hint at the valid forms."""
    with pytest.raises(InvalidInput) as raised:
        parse_address(text)
    assert raised.value.hint


def test_password_in_an_address_is_not_repeated() -> None:
    """An error message never contains a credential from an address."""
    with pytest.raises(InvalidInput) as raised:
        parse_address("http://user:hunter2@localhost")
    assert "hunter2" not in str(raised.value)


def test_loopback() -> None:
    """Loopback addresses are recognized."""
    assert parse_address("http://127.3.2.1").is_loopback  # type: ignore[union-attr]
    assert not parse_address("http://192.0.2.1").is_loopback  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("environ", "own"),
    [
        ({"XDG_RUNTIME_DIR": "/run/user/7"}, ["/run/user/7/herod/herod.sock"]),
        ({"XDG_RUNTIME_DIR": "user"}, []),
        (
            {"XDG_RUNTIME_DIR": "/r/", "XDG_STATE_HOME": "/s/", "HOME": "/h"},
            ["/r/herod/herod.sock", "/s/herod/run/herod/herod.sock"],
        ),
        ({"HOME": "/h"}, ["/h/.local/state/herod/run/herod/herod.sock"]),
        ({"HOME": "/"}, ["/.local/state/herod/run/herod/herod.sock"]),
        ({"XDG_STATE_HOME": "s", "HOME": "/h"}, ["/h/.local/state/herod/run/herod/herod.sock"]),
        ({"XDG_STATE_HOME": "", "HOME": "h"}, []),
        ({"XDG_RUNTIME_DIR": "/s/herod/run", "XDG_STATE_HOME": "/s"}, ["/s/herod/run/herod/herod.sock"]),
        ({"XDG_RUNTIME_DIR": "/" + "r" * 100, "HOME": "/\udcff"}, ["/\udcff/.local/state/herod/run/herod/herod.sock"]),
        ({"HOME": "/h\0"}, []),
    ],
)
def test_candidates_in_order(environ: dict[str, str], own: list[str]) -> None:
    """A user's own sockets come before the system's; a folder that is relative, or too long, is ignored."""
    assert [one.path for one in candidate_sockets(environ)] == [*own, SYSTEM_SOCKET]


def test_found_in_the_environment_first(tmp_path: Path) -> None:
    """HEROD_URL takes precedence over an existing socket."""
    (tmp_path / "herod").mkdir()
    (tmp_path / "herod" / "herod.sock").touch()
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    assert find_address(environ) == UnixAddress(f"{tmp_path}/herod/herod.sock")
    assert find_address({**environ, "HEROD_URL": "http://localhost:1"}) == TcpAddress("localhost", 1)
    assert find_address({**environ, "HEROD_URL": ""}) == UnixAddress(f"{tmp_path}/herod/herod.sock")


def test_found_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a socket the message lists the paths tried, and TCP is not tried."""
    monkeypatch.setattr("herod_client.addresses.SYSTEM_SOCKET", f"{tmp_path}/system.sock")
    with pytest.raises(Unreachable) as raised:
        find_address({"XDG_RUNTIME_DIR": str(tmp_path)})
    assert f"{tmp_path}/herod/herod.sock" in raised.value.message
    assert f"{tmp_path}/system.sock" in raised.value.message
    assert "herod serve" in (raised.value.hint or "")
