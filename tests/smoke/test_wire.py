"""The harness's connection: after Ctrl-C it must still be able to clean up."""

import socket
import threading
from contextlib import closing, suppress
from pathlib import Path

import pytest

from herod_smoke.http_connection import SmokeConnection

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def test_an_interrupted_request_leaves_a_good_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request interrupted before its answer does not break the next one, which deletes what was created."""
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        threading.Thread(target=_answer, args=(server,), daemon=True).start()
        with closing(SmokeConnection(f"unix:{path}", timeout=20)) as connection:
            with monkeypatch.context() as interrupted:
                interrupted.setattr("http.client.HTTPResponse.begin", _interrupt)
                with pytest.raises(KeyboardInterrupt):
                    connection.ask("POST", "/users/add", json={})
            assert connection.ask("DELETE", "/api/v1/users/1").status == 200


def _answer(server: socket.socket) -> None:
    """Answer one request on each of two connections."""
    for _ in range(2):
        connection, _ = server.accept()
        with connection, suppress(OSError):  # the interrupted client has gone
            request = b""
            while not _is_whole(request):  # head and body arrive in pieces
                request += connection.recv(65536)
            connection.sendall(ANSWER)


def _is_whole(request: bytes) -> bool:
    return request.endswith(b"\r\n\r\n{}") or (request.startswith(b"DELETE") and request.endswith(b"\r\n\r\n"))


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
