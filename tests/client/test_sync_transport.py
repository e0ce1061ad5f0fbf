"""Connections that fail, break, stall or send garbage: each error says what to check."""

import errno
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from herod_client import BadAnswer, Client, ClientError, TcpAddress, UnixAddress, Unreachable
from herod_client.connection_diagnosis import no_port, no_socket
from support.fake_daemon import raw_daemon

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def _ask(url: str, *, timeout: float = 30.0, connect_timeout: float = 10.0) -> None:
    with Client(url, timeout=timeout, connect_timeout=connect_timeout) as client:
        client.get("/health")


def _failure(url: str, **timeouts: float) -> ClientError:
    with pytest.raises((Unreachable, BadAnswer)) as raised:
        _ask(url, **timeouts)
    assert raised.value.hint
    return raised.value


def test_no_socket(tmp_path: Path) -> None:
    """A missing socket has a message that says how to start the daemon."""
    failure = _failure(f"unix:{tmp_path}/herod.sock")
    assert f"There is no socket at {tmp_path}/herod.sock" in failure.message
    assert "herod serve" in (failure.hint or "")


def test_stale_socket(tmp_path: Path) -> None:
    """A socket that nobody listens on has a message different from a missing one."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "herod.sock"))
    assert "Nothing listens on" in _failure(f"unix:{tmp_path}/herod.sock").message


def test_not_a_socket(tmp_path: Path) -> None:
    """A path that is a regular file has its own message."""
    (tmp_path / "herod.sock").touch()
    assert "is not a socket" in _failure(f"unix:{tmp_path}/herod.sock").message


def test_datagram_socket(tmp_path: Path) -> None:
    """A datagram socket has its own message."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(tmp_path / "herod.sock"))
        assert "is not a socket that a daemon listens on" in _failure(f"unix:{tmp_path}/herod.sock").message


@pytest.fixture
def unprivileged() -> Iterator[None]:
    """A user without root's privileges."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def closed_socket(tmp_path: Path) -> Iterator[str]:
    """A listening socket without permission for others."""
    tmp_path.chmod(0o755)
    path = tmp_path / "herod.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0)
        listener.listen()
        yield str(path)


def test_no_permission(closed_socket: str, unprivileged: None) -> None:
    """Without permission the message names owner and mode of the socket, or the inaccessible folder."""
    failure = _failure(f"unix:{closed_socket}")
    assert f"You (uid {os.geteuid()}) may not open {closed_socket}" in failure.message
    assert "rw" in failure.message or "---" in failure.message


def test_full_backlog(tmp_path: Path) -> None:
    """A full backlog is a timeout, not a refusal."""
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as waiting:
        listener.bind(str(tmp_path / "herod.sock"))
        listener.listen(0)
        waiting.connect(str(tmp_path / "herod.sock"))
        failure = _failure(f"unix:{tmp_path}/herod.sock", connect_timeout=0.05)
    assert "accepted no connection within 0.05 s" in failure.message


def test_no_answer(tmp_path: Path) -> None:
    """A daemon that accepts and does not answer is a timeout."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "herod.sock"))
        listener.listen()
        failure = _failure(f"unix:{tmp_path}/herod.sock", timeout=0.05)
    assert "did not answer within 0.05 s" in failure.message
    assert "--timeout" in (failure.hint or "")


def test_drip(tmp_path: Path) -> None:
    """One deadline applies to the whole answer, however often a byte arrives."""
    over = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(HEAD + b"Content-Length: 100000\r\n\r\n")
        while not over.wait(0.01):
            connection.sendall(b" ")

    with raw_daemon(tmp_path / "herod.sock", drip) as url:
        failure = _failure(url, timeout=0.1)
        over.set()
    assert "did not answer within" in failure.message


def _sends(content: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(content)


BROKEN = {
    "nothing": b"",
    "half a head": HEAD,
    "half a body": HEAD + b"Content-Length: 100\r\n\r\n{",
    "half a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n10\r\n{",
}
NOT_HTTP = {
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a long line": b"HTTP/1.1 200 " + b"x" * 100_000 + b"\r\n",
    "many headers": HEAD + b"X: y\r\n" * 200 + b"\r\n",
    "no status": b"HTTP/1.1 yes\r\n\r\n",
}


@pytest.mark.parametrize("content", [*BROKEN.values()], ids=[*BROKEN])
def test_broken_off(tmp_path: Path, content: bytes) -> None:
    """A connection that ends before the answer is unreachable, whatever has arrived."""
    with raw_daemon(tmp_path / "herod.sock", _sends(content)) as url:
        failure = _failure(url)
    assert isinstance(failure, Unreachable)


@pytest.mark.parametrize("content", [*NOT_HTTP.values()], ids=[*NOT_HTTP])
def test_not_http(tmp_path: Path, content: bytes) -> None:
    """A server that does not speak HTTP has its own message."""
    with raw_daemon(tmp_path / "herod.sock", _sends(content)) as url:
        failure = _failure(url)
    assert isinstance(failure, BadAnswer)
    assert "does not speak HTTP" in failure.message


def test_endless_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An oversized answer is refused before it fills the memory."""
    monkeypatch.setattr("herod_client.http_exchange.MAX_ANSWER", 1000)
    with raw_daemon(tmp_path / "herod.sock", _sends(HEAD + b"\r\n" + b" " * 1001)) as url:
        assert "too large" in _failure(url).message


def test_answer_until_the_end_of_the_connection(tmp_path: Path) -> None:
    """An answer without a length ends with its connection."""
    with raw_daemon(tmp_path / "herod.sock", _sends(HEAD + b"\r\n{}")) as url:
        _ask(url)


def test_tcp_refused() -> None:
    """A closed port has its own message."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    assert f"Nothing listens on 127.0.0.1:{port}" in _failure(f"http://127.0.0.1:{port}").message


def test_plain_tcp_asked_for_tls(tmp_path: Path) -> None:
    """An https request to a daemon without TLS has a message with the right scheme."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                connection.recv(65536)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        failure = _failure(f"https://127.0.0.1:{server.getsockname()[1]}")
        thread.join()
    assert "does not speak TLS" in failure.message
    assert "http://" in (failure.hint or "")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError(), "accepted no connection within 10 s"),
        (socket.gaierror(-2, "x"), "host name 'herod' cannot be resolved"),
        (UnicodeError(), "host name 'herod' cannot be resolved"),
        (PermissionError(errno.EACCES, "x"), "does not allow a connection"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "No route to host"),
        (OverflowError("port must be 0-65535"), "port must be"),
    ],
)
def test_tcp_words(error: Exception, words: str) -> None:
    """Each kind of TCP failure has its own message and hint."""
    failure = no_port(TcpAddress("herod", 1), error, 10)
    assert words in failure.message
    assert failure.hint


def test_unknown_failure_keeps_the_systems_words() -> None:
    """An unforeseen failure has the system's message."""
    failure = no_socket(UnixAddress("/x"), OSError(errno.EMFILE, "Too many open files"), 10)
    assert "Too many open files" in failure.message
