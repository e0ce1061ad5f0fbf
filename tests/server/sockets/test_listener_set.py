"""Addresses that cannot be had: the others serve, both loopbacks are one place, and what becomes free is taken."""

import errno
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from herod.server.sockets import tcp_places
from herod.server.sockets.bound_listener import BoundListener
from herod.server.sockets.listener_set import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS
from herod.server.sockets.listeners import listening
from herod.server.sockets.tcp_places import group_places
from herod.settings.bind_addresses import TcpBind, UnixBind, with_both_loopbacks
from herod_client.core.errors import RuntimeFailure
from support.in_process_server import short_folder

BOTH = ("127.0.0.1", "::1")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path."""
    with short_folder() as name:
        yield name


def free_port() -> int:
    """A port that is free on both loopbacks."""
    with listening([TcpBind("127.0.0.1", 0), TcpBind("::1", 0)]) as listeners:
        ports = {one.socket.getsockname()[1] for one in listeners}
    (port,) = ports
    assert isinstance(port, int)
    return port


def free_port_of_four() -> int:
    """A port that is free on both loopbacks, on a machine without IPv6."""
    with socket.create_server(("127.0.0.1", 0)) as four:
        port = four.getsockname()[1]
        assert isinstance(port, int)
    return port


@contextmanager
def taken(host: str, port: int) -> Iterator[socket.socket]:
    """Another process' socket on an address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as other:
        yield other


def accepts(host: str, port: int) -> bool:
    """Whether anything accepts connections there."""
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return False
    return True


def loopbacks(port: int) -> list[TcpBind]:
    """What `localhost:PORT` means."""
    return [TcpBind("127.0.0.1", port), TcpBind("::1", port, is_optional=True)]


@pytest.mark.parametrize("host", BOTH)
def test_a_taken_loopback(folder: Path, caplog: pytest.LogCaptureFixture, host: str) -> None:
    """If another process has either loopback, neither is served, the Unix socket is, and both come when it is free."""
    port = free_port()
    other = "::1" if host == "127.0.0.1" else "127.0.0.1"
    with taken(host, port) as squatter, listening([UnixBind(folder / "s"), *loopbacks(port)]) as listeners:
        assert [one.label for one in listeners] == [f"unix:{folder}/s"]
        (missing,) = listeners.missing
        assert missing.addresses == (f"127.0.0.1:{port}", f"[::1]:{port}")
        assert "is in use: stop the process that listens there" in missing.reason
        assert listeners.status == (
            f"listening on unix:{folder}/s; not on 127.0.0.1:{port}, [::1]:{port}: {missing.reason}"
        )
        assert f"not listening on 127.0.0.1:{port} and [::1]:{port}: " in caplog.text
        assert listeners.hosts == {"127.0.0.1", "[::1]"}
        assert not accepts(other, port)
        listeners.try_missing()
        assert caplog.text.count("not listening on") == 1
        squatter.close()
        changes: list[str] = []
        started: list[BoundListener] = []
        listeners.begin(started.append)
        listeners.on_change = lambda: changes.append(listeners.status)
        caplog.set_level(logging.INFO)
        listeners.try_missing()
        assert [one.label for one in started] == [f"unix:{folder}/s", f"127.0.0.1:{port}", f"[::1]:{port}"]
        assert changes == [f"listening on unix:{folder}/s, 127.0.0.1:{port}, [::1]:{port}"]
        assert changes[0] in caplog.text
        assert all(accepts(each, port) for each in BOTH)
    assert not any(accepts(each, port) for each in BOTH)


@pytest.fixture
def lacks_ipv6(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A machine without the addresses in the list."""
    lacking = ["::1"]
    real = tcp_places.bind_tcp

    def bind(family: socket.AddressFamily, address: TcpBind) -> socket.socket:
        if address.host in lacking:
            raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
        return real(family, address)

    monkeypatch.setattr(tcp_places, "bind_tcp", bind)
    return lacking


async def test_an_address_family_that_comes_later(folder: Path, lacks_ipv6: list[str]) -> None:
    """Without IPv6 herod holds `localhost` by one address; when the machine gets IPv6, herod takes the other one."""
    port = free_port_of_four()
    with listening([UnixBind(folder / "s"), *loopbacks(port)]) as listeners:
        started: list[BoundListener] = []
        changes: list[str] = []
        listeners.begin(started.append)
        listeners.on_change = lambda: changes.append(listeners.status)
        listeners.complete_places()
        assert ([place.holds_localhost for place in listeners.places], changes) == ([True], [])
        lacks_ipv6.clear()
        listeners.complete_places()
        assert [one.label for one in started] == [f"unix:{folder}/s", f"127.0.0.1:{port}", f"[::1]:{port}"]
        assert (len(changes), accepts("::1", port)) == (1, True)
        listeners.complete_places()
        assert len(changes) == 1


async def test_an_address_family_that_another_process_has_first(folder: Path, lacks_ipv6: list[str]) -> None:
    """If another process is faster, herod gives up the address that it has, until both are free."""
    port = free_port_of_four()
    with listening([UnixBind(folder / "s"), *loopbacks(port)]) as listeners:
        changes: list[bool] = []
        listeners.on_change = lambda: changes.append(listeners.places[0].holds_localhost)
        with taken("::1", port):
            lacks_ipv6.clear()
            listeners.complete_places()
            assert [one.label for one in listeners] == [f"unix:{folder}/s"]
            assert f"[::1]:{port} is in use" in listeners.missing[0].reason
            assert (changes[-1], accepts("127.0.0.1", port)) == (False, False)
        listeners.try_missing()
        assert (len(listeners), listeners.places[0].holds_localhost) == (3, True)


async def test_how_often_it_is_looked_for(autojump_clock: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing address family is looked for every 30 seconds."""
    moments: list[float] = []
    with listening([TcpBind("127.0.0.1", 0)]) as listeners:
        start = trio.current_time()
        monkeypatch.setattr(listeners, "complete_places", lambda: moments.append(trio.current_time() - start))
        with trio.move_on_after(100):
            await listeners.keep_whole()
    assert moments == pytest.approx([30, 60, 90])


def test_other_addresses_fail_apart() -> None:
    """An address that is not there, or taken, does not stop another TCP address."""
    port = free_port()
    with taken("127.0.0.2", port):
        binds = [TcpBind("192.0.2.1", port), TcpBind("127.0.0.2", port), TcpBind("127.0.0.3", port)]
        with listening(binds) as listeners:
            assert [one.label for one in listeners] == [f"127.0.0.3:{port}"]
            assert [one.addresses for one in listeners.missing] == [(f"192.0.2.1:{port}",), (f"127.0.0.2:{port}",)]
            assert "is not an address of this machine" in listeners.missing[0].reason


def test_nothing_can_be_had() -> None:
    """If no address can be had, that is an error, and nothing is left listening."""
    port = free_port()
    with taken("::1", port):
        with pytest.raises(RuntimeFailure, match=rf"^\[::1\]:{port} is in use"), listening(loopbacks(port)):
            pass
        assert not accepts("127.0.0.1", port)


def test_a_chosen_port_is_the_same_on_both_loopbacks() -> None:
    """`localhost:0` is one port, chosen by the kernel, and opened again where it was."""
    with listening(loopbacks(0)) as listeners:
        labels = [one.label.rpartition(":")[2] for one in listeners]
        assert len(labels) == 2
        assert len(set(labels)) == 1


@pytest.mark.parametrize(
    ("named", "places"),
    [
        (["127.0.0.1:1"], [["127.0.0.1:1", "[::1]:1"]]),
        (["[::1]:1"], [["[::1]:1", "127.0.0.1:1"]]),
        (["0.0.0.0:1"], [["0.0.0.0:1", "[::1]:1"]]),
        (["[::]:1", "127.0.0.1:1"], [["[::]:1", "127.0.0.1:1"]]),
        (["127.0.0.1:1", "[::1]:2"], [["127.0.0.1:1", "[::1]:1"], ["[::1]:2", "127.0.0.1:2"]]),
        (["192.0.2.1:1", "127.0.0.2:1"], [["192.0.2.1:1"], ["127.0.0.2:1"]]),
        (["0.0.0.0:1", "127.0.0.1:1"], [["0.0.0.0:1", "[::1]:1"], ["127.0.0.1:1"]]),
    ],
)
def test_places(named: list[str], places: list[list[str]]) -> None:
    """Where one loopback of a port is named, alone or in a wildcard, the other one belongs to it."""
    binds = [TcpBind(text.rpartition(":")[0].strip("[]"), int(text.rpartition(":")[2])) for text in named]
    completed = [bind for bind in with_both_loopbacks(binds) if isinstance(bind, TcpBind)]
    assert [[str(bind) for bind in place] for place in group_places(completed)] == places


async def test_the_intervals(folder: Path, autojump_clock: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing addresses are tried after 1, 2, 4 … seconds, at most 30, until they are there."""
    port = free_port()
    moments: list[float] = []
    with taken("127.0.0.1", port) as squatter, listening([UnixBind(folder / "s"), *loopbacks(port)]) as listeners:
        start = trio.current_time()
        real = listeners.try_missing

        def note() -> None:
            moments.append(trio.current_time() - start)
            if len(moments) == 7:
                squatter.close()
            real()

        monkeypatch.setattr(listeners, "try_missing", note)
        with trio.move_on_after(1000):
            await listeners.keep_trying()
        assert len(listeners) == 3
    pauses = [after - before for before, after in zip([0.0, *moments], moments, strict=False)]
    assert pauses == pytest.approx([1, 2, 4, 8, 16, 30, 30])
    assert (FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS) == (1, 30)
