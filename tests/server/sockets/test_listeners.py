"""Listening sockets: which path is accepted, how a socket appears there, and what is left behind."""

import errno
import logging
import os
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from herod.server.sockets import tcp_places
from herod.server.sockets.listeners import listening, open_listeners
from herod.settings.bind_addresses import Bind, TcpBind, UnixBind
from herod_client.core.errors import RuntimeFailure
from support.in_process_server import short_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path."""
    with short_folder() as name:
        yield name


def mode(path: Path) -> int:
    """A path's permission bits."""
    return stat.S_IMODE(path.lstat().st_mode)


def stale_socket(path: Path) -> None:
    """Leave a socket file that nobody listens on."""
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(os.fspath(path))


def names(folder: Path) -> set[str]:
    """The names in a folder."""
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o177, 0o777])
@pytest.mark.parametrize("wanted", [0o600, 0o660, 0o666])
def test_modes_do_not_depend_on_the_umask(folder: Path, umask: int, wanted: int) -> None:
    """Socket, cookie, lock and folder have their modes under any umask, which is left unchanged."""
    path = folder / "sub" / "herod.sock"
    before = os.umask(umask)
    try:
        with listening([UnixBind(path, mode=wanted)]):
            assert os.umask(umask) == umask
            assert mode(path) == wanted
            assert mode(path.with_name("herod.sock.cookie")) == 0o600
            assert mode(path.with_name("herod.sock.lock")) & 0o077 == 0
            assert mode(path.parent) == 0o755
            assert names(path.parent) == {"herod.sock", "herod.sock.cookie", "herod.sock.lock"}
    finally:
        os.umask(before)


def test_bound_listener(folder: Path) -> None:
    """A listener has its real address, is not inheritable and does not block."""
    binds: list[Bind] = [UnixBind(folder / "s"), UnixBind(folder / "off", peer=False), TcpBind("127.0.0.1", 0)]
    with listening(binds) as (unix, off, tcp):
        port = tcp.socket.getsockname()[1]
        assert [one.label for one in (unix, off, tcp)] == [
            f"unix:{folder}/s",
            f"unix:{folder}/off",
            f"127.0.0.1:{port}",
        ]
        assert [one.host for one in (unix, off, tcp)] == [None, None, "127.0.0.1"]
        assert [one.has_peer for one in (unix, off, tcp)] == [True, False, False]
        assert not any(one.socket.get_inheritable() or one.socket.gettimeout() for one in (unix, off, tcp))
        assert (off.cookie, tcp.cookie) == (None, None)
        assert names(folder) == {"s", "s.lock", "s.cookie", "off", "off.lock"}


def test_cookie_is_fresh_and_goes(folder: Path) -> None:
    """The cookie file contains the listener's cookie, which is new at each start, and is removed at the end."""
    seen = set()
    path = folder / "s"
    for _ in range(3):
        with listening([UnixBind(path)]) as (unix,):
            text = (folder / "s.cookie").read_text()
            assert text == unix.cookie
            assert len(text) == 43
            seen.add(text)
        assert names(folder) == {"s.lock"}
    assert len(seen) == 3


def test_old_cookie_is_replaced(folder: Path) -> None:
    """A cookie file left by a crash, with any mode, is replaced rather than written to."""
    old = folder / "s.cookie"
    old.write_text("known to others")
    old.chmod(0o666)
    with old.open() as held, listening([UnixBind(folder / "s")]):
        assert mode(old) == 0o600
        assert held.read() == "known to others"


def test_cookie_does_not_follow_a_link(folder: Path) -> None:
    """A link in the place of the cookie or lock is replaced or refused, never followed."""
    victim = folder / "victim"
    victim.write_text("precious")
    (folder / "s.cookie").symlink_to(victim)
    with listening([UnixBind(folder / "s")]):
        assert not (folder / "s.cookie").is_symlink()
    (folder / "t.lock").symlink_to(victim)
    with pytest.raises(RuntimeFailure, match=r"t\.lock"):
        open_listeners([UnixBind(folder / "t")])
    assert victim.read_text() == "precious"


def test_second_daemon_is_refused(folder: Path) -> None:
    """Two herods cannot share a path; the first one's socket keeps working."""
    path = folder / "s"
    with listening([UnixBind(path)]) as (first,):
        with pytest.raises(RuntimeFailure, match=f"another herod is listening on {path}: stop it or choose another"):
            open_listeners([UnixBind(path)])
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(os.fspath(path))
            first.socket.accept()[0].close()
    with listening([UnixBind(path)]):
        pass


def test_stale_socket_is_replaced(folder: Path) -> None:
    """A socket left by a crash is replaced atomically."""
    path = folder / "s"
    stale_socket(path)
    with listening([UnixBind(path)]), socket.socket(socket.AF_UNIX) as client:
        client.connect(os.fspath(path))
    assert not path.exists()


@pytest.mark.parametrize("backlog", [0, 5])
def test_live_socket_of_another_program_is_left_alone(folder: Path, backlog: int) -> None:
    """A path that another program listens on is refused, even when its backlog is full, and keeps working."""
    path = folder / "s"
    with socket.socket(socket.AF_UNIX) as other, socket.socket(socket.AF_UNIX) as waiting:
        other.bind(os.fspath(path))
        other.listen(backlog)
        waiting.connect(os.fspath(path))
        with pytest.raises(RuntimeFailure, match=f"something is listening on {path}"):
            open_listeners([UnixBind(path)])
        other.accept()[0].close()
        assert names(folder) == {"s", "s.lock"}


@pytest.mark.parametrize("kind", ["file", "folder", "link", "fifo", "dangling"])
def test_what_is_no_socket_stays(folder: Path, kind: str) -> None:
    """A file, folder, link or pipe at the path is refused and left unchanged."""
    path = folder / "s"
    stale_socket(folder / "target")
    match kind:
        case "file":
            path.write_text("precious")
        case "folder":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "link":
            path.symlink_to(folder / "target")
        case _:
            path.symlink_to(folder / "nowhere")
    before = path.lstat()
    with pytest.raises(RuntimeFailure, match=f"{path} is not a socket: move it away, or choose another --bind"):
        open_listeners([UnixBind(path)])
    assert path.lstat() == before


def test_only_our_own_is_removed(folder: Path) -> None:
    """A socket or cookie that another program has put in place of herod's is not removed."""
    path = folder / "s"
    with listening([UnixBind(path)]):
        path.unlink()
        path.write_text("precious")
        (folder / "s.cookie").unlink()
    assert path.read_text() == "precious"


def test_stop_keeps_the_lock(folder: Path) -> None:
    """A stopped listener frees its path and keeps the lock until closed; stopping and closing may be repeated."""
    bind = UnixBind(folder / "s")
    (unix,) = open_listeners([bind])
    unix.stop()
    unix.stop()
    assert names(folder) == {"s.lock"}
    with pytest.raises(RuntimeFailure, match="another herod"):
        open_listeners([bind])
    unix.close()
    unix.close()
    with listening([bind]):
        pass


def test_all_or_nothing(folder: Path) -> None:
    """When one bind fails, the earlier ones are released."""
    (folder / "taken").write_text("")
    with pytest.raises(RuntimeFailure, match="taken"):
        open_listeners([UnixBind(folder / "s"), TcpBind("127.0.0.1", 0), UnixBind(folder / "taken")])
    assert names(folder) == {"s.lock", "taken", "taken.lock"}


def test_folders(folder: Path) -> None:
    """A folder is created one level deep; a missing parent, a file, and a world-writable folder are refused."""
    with listening([UnixBind(folder / "new" / "s")]):
        pass
    with pytest.raises(RuntimeFailure, match=f"{folder}/a does not exist: create it"):
        open_listeners([UnixBind(folder / "a" / "b" / "s")])
    (folder / "file").write_text("")
    with pytest.raises(RuntimeFailure, match=f"{folder}/file is not a folder"):
        open_listeners([UnixBind(folder / "file" / "s")])
    (folder / "open").mkdir()
    (folder / "open").chmod(0o777)
    with pytest.raises(RuntimeFailure, match=f"chmod o-w {folder}/open"):
        open_listeners([UnixBind(folder / "open" / "s")])


def test_folder_of_another_is_warned_about(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of another user is warned about, because its owner can replace the socket, whatever its mode."""
    theirs = folder / "theirs"
    theirs.mkdir(mode=0o755)
    uid = os.geteuid()
    with listening([UnixBind(theirs / "s")]):
        assert not caplog.text
    if uid == 0:
        os.chown(theirs, 4242, 4242)
    monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
    with listening([UnixBind(theirs / "s")]):
        assert f"{theirs} belongs to uid" in caplog.text


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder to somebody else")
@pytest.mark.parametrize("bind", ["theirs/s", "theirs/new/s", "link/s"])
def test_root_in_a_folder_of_another(folder: Path, bind: str) -> None:
    """Root creates and changes nothing in a folder where another user controls the names."""
    theirs, roots = folder / "theirs", folder / "roots"
    for one in (theirs, roots):
        one.mkdir(mode=0o755)
    os.chown(theirs, 4242, 4242)
    (folder / "link").symlink_to(roots)
    os.chown(folder / "link", 4242, 4242, follow_symlinks=False)
    with pytest.raises(RuntimeFailure, match="belongs to uid 4242, and root does not follow a path"):
        open_listeners([UnixBind(folder / bind)])
    assert names(theirs) | names(roots) == set()


def test_no_mode_is_changed_by_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who can rename in a shared folder cannot make herod change the mode of another file through a link.

    Before, the socket was bound and then changed by its path: another user's link there made a file of root's 0666.
    """
    shared, victim = folder / "shared", folder / "victim"
    shared.mkdir()
    shared.chmod(0o775)
    victim.touch(0o600)
    real = os.chmod

    def swap(path: Path, wanted: int, **more: bool) -> None:
        if path.parent == shared:
            path.unlink()
            path.symlink_to(victim)
        real(path, wanted, **more)

    monkeypatch.setattr(os, "chmod", swap)
    with listening([UnixBind(shared / "s", mode=0o666)]):
        assert mode(victim) == 0o600
        assert mode(shared / "s") == 0o666


def test_shared_folder_is_warned_about(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A folder such as /tmp, or one that is group-writable, works with a warning."""
    for number, bits in enumerate((0o1777, 0o775)):
        shared = folder / str(number)
        shared.mkdir()
        shared.chmod(bits)
        caplog.clear()
        with listening([UnixBind(shared / "s")]):
            assert f"{shared} is writable for other users" in caplog.text


@pytest.mark.skipif(os.getuid() != 0, reason="becomes another user")
def test_unwritable_folders() -> None:
    """A folder or parent without write permission is named, and so is a lock of another user."""
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom herod_client.core.errors import RuntimeFailure\n"
        "from herod.server.sockets.listeners import open_listeners\n"
        "from herod.settings.bind_addresses import UnixBind\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "for path in sys.argv[1:]:\n"
        "    try: open_listeners([UnixBind(Path(path))])\n"
        "    except RuntimeFailure as error: print(error)\n"
    )
    with short_folder() as folder:
        folder.chmod(0o755)
        (folder / "own").mkdir()
        os.chown(folder / "own", 65534, 65534)
        (folder / "own" / "l.lock").touch(0o600)
        paths = [folder / "s", folder / "new" / "s", folder / "own" / "l"]
        done = subprocess.run([sys.executable, "-c", code, *paths], stdout=subprocess.PIPE, check=True, timeout=20)
    first, second, third = done.stdout.decode().splitlines()
    assert first == f"{folder} is not writable for this user: change its owner, or choose another --bind"
    assert second == (f"{folder} is not writable for this user: create {folder}/new there, or choose another --bind")
    assert third.startswith(f"cannot listen on {folder}/own/l: {folder}/own/l.lock: Permission denied")


def test_long_path(folder: Path) -> None:
    """A path too long for a sockaddr is refused."""
    with pytest.raises(RuntimeFailure, match="is too long for a socket: choose a --bind of at most 100 bytes"):
        open_listeners([UnixBind(folder / ("x" * 100))])
    longest = folder / ("x" * (100 - len(os.fsencode(folder)) - 1))
    with listening([UnixBind(longest)]) as (unix,):
        assert unix.label == f"unix:{longest}"


def test_port_in_use() -> None:
    """A port in use is a one-line error with what to do."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(RuntimeFailure) as refused:
            open_listeners([TcpBind("127.0.0.1", port)])
    assert str(refused.value) == (
        f"127.0.0.1:{port} is in use: stop the process that listens there, or choose another port with --port or --bind"
    )


def test_port_is_free_again_at_once() -> None:
    """Connections of a former process do not block the port."""
    with listening([TcpBind("127.0.0.1", 0)]) as (tcp,):
        port = tcp.socket.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        tcp.socket.accept()[0].close()
        client.close()
    with listening([TcpBind("127.0.0.1", port)]) as (tcp,):
        assert tcp.label == f"127.0.0.1:{port}"


def test_foreign_address() -> None:
    """An address that this machine does not have is named."""
    with pytest.raises(RuntimeFailure, match=r"192\.0\.2\.1:0 is not an address of this machine"):
        open_listeners([TcpBind("192.0.2.1", 0)])


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.EACCES, "this user may not listen there: choose a port of at least 1024 with --port or --bind"),
        (errno.EAFNOSUPPORT, "this machine has no IPv6"),
        (errno.ENOBUFS, "cannot listen"),
    ],
)
def test_other_refusals_of_the_kernel(monkeypatch: pytest.MonkeyPatch, number: int, message: str) -> None:
    """Any other bind error is one line with the address and what to do."""

    def refuse(*_: object) -> socket.socket:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tcp_places, "bind_tcp", refuse)
    with pytest.raises(RuntimeFailure, match=rf"127\.0\.0\.1:80: {message}"):
        open_listeners([TcpBind("127.0.0.1", 80)])


@pytest.mark.parametrize("number", [errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT])
def test_optional_address(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int) -> None:
    """Without IPv6 the optional `[::1]` is skipped with a log line, and a required one is refused."""
    real = tcp_places.bind_tcp

    def refuse(family: socket.AddressFamily, bind: TcpBind) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(number, os.strerror(number))
        return real(family, bind)

    monkeypatch.setattr(tcp_places, "bind_tcp", refuse)
    caplog.set_level(logging.INFO)
    with listening([TcpBind("127.0.0.1", 0), TcpBind("::1", 0, is_optional=True)]) as opened:
        assert len(opened) == 1
    assert re.search(r"\[::1\]:[0-9]+ is left out", caplog.text)
    with pytest.raises(RuntimeFailure, match=r"\[::1\]:0"):
        open_listeners([TcpBind("::1", 0)])
    with pytest.raises(RuntimeFailure, match="no address to listen on"):
        open_listeners([TcpBind("::1", 0, is_optional=True)])


def has_ipv6() -> bool:
    """Whether this machine has the IPv6 loopback."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 loopback here")
def test_ipv6_is_ipv6_alone() -> None:
    """`[::1]` and `127.0.0.1` can have the same port, and the label has brackets."""
    with (
        listening([TcpBind("127.0.0.1", 0)]) as (tcp,),
        listening([TcpBind("::1", tcp.socket.getsockname()[1])]) as (six,),
    ):
        assert six.host == "[::1]"
        assert six.label == f"[::1]:{tcp.socket.getsockname()[1]}"
        assert six.socket.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
