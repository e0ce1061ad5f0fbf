"""Downloads from the daemon: of any length, streamed to a sink, and never accepted incomplete."""

import socket
from pathlib import Path

import pytest

from herod_client import BadAnswer, Client, Refused, Unreachable
from support.fake_daemon import Reply, fake_daemon, json_reply, raw_daemon

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_a_file_larger_than_an_answer_may_be(tmp_path: Path) -> None:
    """A long download is passed to the sink, and the connection serves the next request."""
    content = bytes(range(256)) * 80_000
    with fake_daemon(tmp_path / "s") as daemon, Client(daemon.url) as client:
        daemon.routes["GET", "/file"] = Reply(body=content, content_type="application/octet-stream")
        daemon.routes["GET", "/health"] = json_reply({"status": "ok"})
        pieces: list[bytes] = []
        client.download("/file", pieces.append)
        assert b"".join(pieces) == content
        assert len(pieces) > 1
        assert client.get("/health") == {"status": "ok"}
        assert daemon.connections == 1


def test_refusals_and_other_answers(tmp_path: Path) -> None:
    """An error answer is raised as for every call, and nothing reaches the sink."""
    with fake_daemon(tmp_path / "s") as daemon, Client(daemon.url) as client:
        daemon.routes["GET", "/no"] = json_reply({"error": {"code": "missing_scope", "message": "No."}}, 403)
        daemon.routes["GET", "/odd"] = Reply(status=204, body=b"")
        pieces: list[bytes] = []
        with pytest.raises(Refused, match="No"):
            client.download("/no", pieces.append)
        with pytest.raises(BadAnswer):
            client.download("/odd", pieces.append)
        assert pieces == []


@pytest.mark.parametrize(
    "answer",
    [
        HEAD + b"3\r\none\r\n",
        HEAD + b"8\r\none",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\none",
    ],
)
def test_a_file_that_was_cut(tmp_path: Path, answer: bytes) -> None:
    """A truncated download is an error, whatever its framing."""

    def cut(connection: socket.socket) -> None:
        connection.sendall(answer)

    with raw_daemon(tmp_path / "s", cut) as url, Client(url) as client, pytest.raises(Unreachable, match="complete"):
        client.download("/file", lambda _: None)


def test_a_sink_that_fails(tmp_path: Path) -> None:
    """An error of the sink is not reported as a connection error."""

    def full(_: bytes) -> None:
        raise OSError(28, "No space left on device")

    with fake_daemon(tmp_path / "s") as daemon, Client(daemon.url) as client:
        daemon.routes["GET", "/file"] = Reply(body=b"content")
        with pytest.raises(OSError, match="No space"):
            client.download("/file", full)
