"""Inherited sockets: which are accepted, their addresses, and what is not changed."""

import logging
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from herod.server.sockets.inherited_sockets import keep_from_children
from herod.server.sockets.listeners import listening, open_listeners
from herod.settings import FdBind, load_settings
from herod.settings.bind_addresses import Bind, TcpBind, UnixBind
from herod.settings.systemd_sockets_and_watchdog import ServiceManager, read_manager
from herod_client.core.errors import RuntimeFailure, SettingsError
from support.in_process_server import short_folder

SECRET = "a secret for tests of passed sockets, long enough"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path."""
    with short_folder() as name:
        yield name


def unix_listener(path: str) -> int:
    """A listening Unix socket, as a descriptor."""
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(path)
        unix.listen()
        return unix.detach()


def tcp_listener(host: str = "127.0.0.1") -> tuple[int, int]:
    """A listening TCP socket, as a descriptor, and its port."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as tcp:
        tcp.bind((host, 0))
        tcp.listen()
        port = tcp.getsockname()[1]
        return tcp.detach(), port


def test_a_unix_socket_with_a_path(folder: Path) -> None:
    """The socket attests peers, has its cookie and lock beside it, and keeps its path when herod stops."""
    path = folder / "s"
    fd = unix_listener(str(path))
    os.set_inheritable(fd, True)  # noqa: FBT003 - the call has no keyword
    with listening([FdBind(fd)]) as (one,):
        assert one.label == f"fd://{fd} (unix:{path})"
        assert (one.has_peer, one.host) == (True, None)
        assert not one.socket.get_inheritable()
        cookie = path.with_name("s.cookie")
        assert cookie.read_text() == one.cookie
        assert stat.S_IMODE(cookie.stat().st_mode) == 0o600
        with pytest.raises(RuntimeFailure, match="another herod"), listening([UnixBind(path)]):
            pass
    assert {each.name for each in folder.iterdir()} == {"s", "s.lock"}


def test_a_unix_socket_beside_which_nothing_can_be_laid(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """If no file can be created beside the socket, it attests peers, has no local admin, and the log has the reason."""
    moved, swapped, open_to_all = folder / "moved", folder / "swapped", folder / "all"
    for place in (moved, swapped, open_to_all):
        place.mkdir()
    fds = [unix_listener(f"{place}/s") for place in (moved, swapped, open_to_all)]
    moved.rename(folder / "elsewhere")
    (swapped / "s").unlink()
    (swapped / "s").touch()
    open_to_all.chmod(0o777)
    with caplog.at_level(logging.WARNING), listening([FdBind(fd) for fd in fds]) as opened:
        assert [one.cookie for one in opened] == [None, None, None]
        assert all(one.has_peer for one in opened)
    assert caplog.text.count("no local admin") == 3
    assert "No such file" in caplog.text
    assert "something else" in caplog.text
    assert "writable for every user" in caplog.text


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder to somebody else")
def test_a_unix_socket_in_a_folder_of_another_user(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Root writes no cookie into another user's folder, where that user controls what its name refers to."""
    place = folder / "theirs"
    place.mkdir()
    fd = unix_listener(f"{place}/s")
    os.chown(place, 4321, 4321)
    with caplog.at_level(logging.WARNING), listening([FdBind(fd)]) as (one,):
        assert one.cookie is None
    assert f"{place}, which belongs to uid 4321" in caplog.text
    assert {each.name for each in place.iterdir()} == {"s"}


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_unix_socket_in_a_folder_of_others(folder: Path) -> None:
    """Without a place for the cookie there is no local admin, and the start succeeds."""
    fd = unix_listener(f"{folder}/s")
    folder.chmod(0o500)
    try:
        with listening([FdBind(fd)]) as (one,):
            assert one.cookie is None
    finally:
        folder.chmod(0o700)


def test_passed_sockets_of_named_addresses(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A passed socket is used for its address if that is named, and an unnamed one is left alone, with a warning."""
    path, other = folder / "s", folder / "other"
    fds = unix_listener(str(path)), unix_listener(str(other))
    tcp, port = tcp_listener()
    unnamed, port_of_unnamed = tcp_listener()
    binds: list[Bind] = [UnixBind(path), TcpBind("127.0.0.1", port), TcpBind("::1", port, is_optional=True)]
    passed = [FdBind(fd) for fd in (*fds, tcp, unnamed)]
    with caplog.at_level(logging.WARNING), listening(binds, passed=passed) as (unix, four, six):
        assert unix.label == f"fd://{fds[0]} (unix:{path})"
        assert unix.has_peer
        assert unix.cookie is not None
        assert (four.label, four.host) == (f"fd://{tcp} (127.0.0.1:{port})", "127.0.0.1")
        assert six.label == f"[::1]:{port}"
    assert (
        f"does not accept on fd://{fds[1]} (unix:{other}), fd://{unnamed} (127.0.0.1:{port_of_unnamed})" in caplog.text
    )
    for fd in (fds[1], unnamed):
        os.close(fd)


def test_a_passed_loopback_whose_other_is_in_use() -> None:
    """A passed socket of one loopback is not used while another process has the other loopback."""
    tcp, port = tcp_listener()
    own, free = tcp_listener()
    os.close(own)
    with socket.create_server(("::1", port), family=socket.AF_INET6):
        binds = [TcpBind("127.0.0.1", port), TcpBind("::1", port, is_optional=True), TcpBind("127.0.0.2", free)]
        with listening(binds, passed=[FdBind(tcp)]) as listeners:
            assert [one.label for one in listeners] == [f"127.0.0.2:{free}"]
            assert listeners.missing[0].addresses == (f"127.0.0.1:{port}", f"[::1]:{port}")
            os.fstat(tcp)  # kept for later


def test_tcp() -> None:
    """A TCP socket is known by its address, and attests no peer."""
    fd, port = tcp_listener("127.0.0.2")
    with listening([FdBind(fd)]) as (one,):
        assert (one.label, one.host) == (f"fd://{fd} (127.0.0.2:{port})", "127.0.0.2")
        assert (one.has_peer, one.cookie, one.tls) == (False, None, None)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_one_passed_loopback(host: str) -> None:
    """Whoever passes one loopback gets both, because they are one place."""
    fd, port = tcp_listener(host)
    six = "::1" if host == "127.0.0.1" else "127.0.0.1"
    with listening([FdBind(fd)]) as listeners:
        shown = str(TcpBind(host, port)), str(TcpBind(six, port))
        assert [one.label for one in listeners] == [f"fd://{fd} ({shown[0]})", shown[1]]
        [place] = listeners.places
        assert (place.port, place.is_open, place.holds_localhost) == (port, True, True)


def test_one_passed_loopback_whose_other_is_in_use(folder: Path) -> None:
    """A passed loopback is not served while another process has the other one."""
    fd, port = tcp_listener()
    with (
        socket.create_server(("::1", port), family=socket.AF_INET6),
        listening([UnixBind(folder / "s"), FdBind(fd)]) as listeners,
    ):
        assert [one.label for one in listeners] == [f"unix:{folder}/s"]
        [place] = listeners.places
        assert (place.is_open, place.holds_localhost) == (False, False)


def test_both_passed_loopbacks() -> None:
    """Two passed loopbacks of a port are one place, and so are a passed one and a named one."""
    fd, port = tcp_listener()
    six = socket.create_server(("::1", port), family=socket.AF_INET6).detach()
    with listening([FdBind(six), FdBind(fd)]) as listeners:
        assert [one.label for one in listeners] == [f"fd://{six} ([::1]:{port})", f"fd://{fd} (127.0.0.1:{port})"]
        assert [place.holds_localhost for place in listeners.places] == [True]
    six = socket.create_server(("::1", port), family=socket.AF_INET6).detach()
    binds: list[Bind] = [FdBind(six), TcpBind("127.0.0.1", port), TcpBind("::1", port, is_optional=True)]
    with listening(binds) as listeners:
        assert [one.label for one in listeners] == [f"127.0.0.1:{port}", f"fd://{six} ([::1]:{port})"]


def test_a_passed_socket_for_both_families() -> None:
    """A passed `[::]` that takes IPv4 too holds both loopbacks by itself."""
    with socket.socket(socket.AF_INET6) as both:
        both.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        both.bind(("::", 0))
        both.listen()
        fd = both.detach()
    with listening([FdBind(fd)], is_insecure=True) as listeners:
        assert len(listeners) == 1
        assert [place.holds_localhost for place in listeners.places] == [True]


def test_two_passed_sockets_of_one_address() -> None:
    """The same address twice is a mistake in the unit, and is said."""
    with socket.socket(socket.AF_INET) as first, socket.socket(socket.AF_INET) as second:
        for each in (first, second):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        first.bind(("127.0.0.1", 0))
        second.bind(first.getsockname())
        first.listen()
        second.listen()
        fds = first.detach(), second.detach()
    with pytest.raises(RuntimeFailure, match=f"fd://{fds[1]} is a second socket of 127"):
        open_listeners([FdBind(fd) for fd in fds])


def test_tcp_beyond_loopback(caplog: pytest.LogCaptureFixture) -> None:
    """TCP beyond loopback without TLS is refused unless --insecure is set."""
    everywhere = "0.0.0.0"  # noqa: S104 - that is the point
    fd, port = tcp_listener(everywhere)
    with pytest.raises(SettingsError, match=rf"fd://{fd} \(0.0.0.0:{port}\) can be reached"), listening([FdBind(fd)]):
        pass
    fd, _ = tcp_listener(everywhere)
    with caplog.at_level(logging.WARNING), listening([FdBind(fd)], is_insecure=True):
        assert "secrets are sent unencrypted" in caplog.text


def test_what_is_not_taken(folder: Path) -> None:
    """A closed descriptor, a file, a datagram, a non-listening and an abstract socket are refused."""
    nothing = 54321  # higher than any descriptor of a test
    datagram = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).detach()
    silent = socket.socket(socket.AF_INET).detach()
    for fd, message in (
        (nothing, "no such descriptor"),
        (os.open(folder, os.O_RDONLY), "is not a socket"),
        (datagram, "is not a Unix or TCP stream socket"),
        (silent, "does not listen"),
        (unix_listener("\0herod-test-" + folder.name), "abstract"),
    ):
        with pytest.raises(RuntimeFailure, match=rf"fd://{fd}\b.*{message}"), listening([FdBind(fd)]):
            pass
        if message == "is not a socket":
            os.close(fd)


def test_descriptors_that_were_promised() -> None:
    """LISTEN_FDS with more descriptors than were passed stops the start."""
    with pytest.raises(RuntimeFailure, match="LISTEN_FDS=9999"):
        keep_from_children(9999)
    keep_from_children(0)


@pytest.mark.parametrize(
    ("environ", "sockets"),
    [
        ({"LISTEN_PID": "42", "LISTEN_FDS": "2"}, 2),
        ({"LISTEN_PID": "41", "LISTEN_FDS": "2"}, 0),
        ({"LISTEN_FDS": "2"}, 0),
        ({"LISTEN_PID": "42"}, 0),
        ({"LISTEN_PID": "42", "LISTEN_FDS": "-1"}, 0),
        ({"LISTEN_PID": "42", "LISTEN_FDS": "٣"}, 0),
        ({"LISTEN_PID": "42", "LISTEN_FDS": "9" * 30}, 0),
        ({"LISTEN_PID": "42", "LISTEN_FDS": "1000000"}, 64),
    ],
)
def test_whose_sockets_they_are(environ: dict[str, str], sockets: int) -> None:
    """Only descriptors meant for this process count, from 3 on."""
    assert read_manager(environ, pid=42).sockets == tuple(FdBind(3 + index) for index in range(sockets))
    assert read_manager(environ, pid=0) == ServiceManager()


def test_the_managers_other_words() -> None:
    """NOTIFY_SOCKET is read, and the watchdog interval if it is for this process."""
    environ = {"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "42"}
    assert read_manager(environ, pid=42) == ServiceManager(notify="/run/n", watchdog_seconds=3.0)
    assert read_manager(environ, pid=43).watchdog_seconds is None
    assert read_manager({"WATCHDOG_USEC": "1"}, pid=42).watchdog_seconds == 0.000001
    assert read_manager({"NOTIFY_SOCKET": "vsock:2:1"}, pid=42).notify is None
    assert read_manager({"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "x"}, pid=42) == ServiceManager(notify="@n")


def test_passed_sockets_replace_the_default_addresses() -> None:
    """Inherited sockets replace the default addresses, but not given ones."""
    environ = {"HERO_SECRET": SECRET, "LISTEN_PID": "42", "LISTEN_FDS": "2"}
    options = {"store": "memory:"}
    settings = load_settings(options, environ, uid=0, pid=42)
    assert settings.bind == (FdBind(3), FdBind(4))
    assert settings.warnings == ()
    assert "--port applies to" in load_settings({**options, "port": 1}, environ, uid=0, pid=42).warnings[0]
    named = load_settings({**options, "bind": ("fd://4", "127.0.0.1:1")}, environ, uid=0, pid=42)
    assert named.bind == (FdBind(4), TcpBind("127.0.0.1", 1))
    assert FdBind(3) not in load_settings(options, environ, uid=0, pid=43).bind
