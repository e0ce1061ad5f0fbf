"""Another user's server in herod's place, which notes all that it receives. Needs root."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NOBODY = 65534


@contextmanager
def squatting_socket(path: Path) -> Iterator[list[bytes]]:
    """A Unix socket of another user; what clients send to it."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0o666)
        os.seteuid(NOBODY)  # the kernel records the caller of listen(2)
        try:
            listener.listen()
        finally:
            os.seteuid(0)
        with _noting(listener) as received:
            yield received


@contextmanager
def squatting_port() -> Iterator[tuple[int, list[bytes]]]:
    """A port of 127.0.0.1 that is not herod's, and what clients send to it."""
    with socket.create_server(("127.0.0.1", 0)) as listener, _noting(listener) as received:
        yield listener.getsockname()[1], received


@contextmanager
def _noting(listener: socket.socket) -> Iterator[list[bytes]]:
    received: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client, suppress(OSError):
                client.settimeout(60)
                while data := client.recv(65536):
                    received.append(data)
                    if b"\r\n\r\n" in b"".join(received):
                        client.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                        break

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield received
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        with suppress(OSError), socket.socket(listener.family) as waker:  # a Unix socket's accept does not notice
            waker.settimeout(1)
            waker.connect(listener.getsockname())
        thread.join(timeout=10)
