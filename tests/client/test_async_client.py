"""The async client: same protocol as the sync client, connection pooling, and connection failures."""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from herod_client import (
    AsyncClient,
    BadAnswer,
    Basic,
    Bearer,
    ClientError,
    NotAuthenticated,
    PeerIdentity,
    Refused,
    Unreachable,
    Untrusted,
)
from support.certificates import make_certificate
from support.fake_daemon import FakeDaemon, Reply, RpcError, fake_daemon, json_reply, raw_daemon
from support.real_daemon import free_port, running

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[FakeDaemon]:
    """A daemon on a Unix socket."""
    with fake_daemon(tmp_path / "herod.sock") as made:
        yield made


async def test_call(daemon: FakeDaemon) -> None:
    """Calls are JSON-RPC with parameters by name and unique ids, over one connection."""
    daemon.methods["users.get"] = lambda params: {"got": params}
    async with AsyncClient(daemon.url) as client:
        assert await client.call("users.get", {"email": "ada@example.org"}) == {"got": {"email": "ada@example.org"}}
        assert await client.call("users.get") == {"got": {}}
    first, second = daemon.asked
    assert (first.method, first.path, first.headers["Content-Type"]) == ("POST", "/rpc", "application/json")
    assert (first.headers["Host"], first.authorization) == ("localhost", "Peer")
    assert first.json["id"] != second.json["id"]
    assert daemon.connections == 1


async def test_a_cookie_that_the_daemon_wrote_when_it_was_asked(daemon: FakeDaemon, tmp_path: Path) -> None:
    """Whoever was refused for the lack of it asks again, as with `Client`."""

    def refuse_and_write(_params: object) -> object:
        (tmp_path / "herod.sock.cookie").write_text("newer-cookie-0123456789")
        return {} if len(daemon.asked) > 1 else RpcError(4001, "This user has no rule.")

    daemon.methods["whoami"] = refuse_and_write
    async with AsyncClient(daemon.url) as client:
        assert await client.call("whoami") == {}
    assert [one.authorization for one in daemon.asked] == ["Peer", "Peer newer-cookie-0123456789"]


async def test_routes(daemon: FakeDaemon) -> None:
    """GET, POST of JSON and POST of a form send the credential in the header."""
    daemon.routes["GET", "/health"] = json_reply({"status": "failing"}, 503)
    daemon.routes["POST", "/validate"] = json_reply({"valid": True})
    daemon.routes["POST", "/token"] = json_reply({"access_token": "a"})
    async with AsyncClient(daemon.url, identity=Bearer("key")) as client:
        assert await client.get("/health", allow=(503,)) == {"status": "failing"}
        assert await client.post("/validate", {"token": "t"}) == {"valid": True}
        assert await client.post_form("/token", {"scope": "a b"}, identity=Basic("i", "s")) == {"access_token": "a"}
    health, validate, token = daemon.asked
    assert health.authorization == "Bearer key"
    assert validate.json == {"token": "t"}
    assert token.form == {"scope": "a b"}
    assert (token.authorization or "").startswith("Basic ")


async def test_refusals(daemon: FakeDaemon) -> None:
    """Errors have the same classes as those of the sync client."""
    daemon.methods["whoami"] = RpcError(4001, "Who?", {"code": "bad_token", "hint": "sign in"})
    daemon.routes["GET", "/no"] = json_reply({"error": {"code": "missing_scope", "message": "No."}}, 403)
    async with AsyncClient(daemon.url) as client:
        with pytest.raises(NotAuthenticated) as refused:
            await client.call("whoami")
        assert (refused.value.code, refused.value.hint) == ("bad_token", "sign in")
        with pytest.raises(Refused, match="No"):
            await client.get("/no")
    assert daemon.connections == 1


async def test_download(daemon: FakeDaemon) -> None:
    """A download has any length, a failing sink is not a connection error, and an error does not reach the sink."""
    content = bytes(range(256)) * 80_000
    daemon.routes["GET", "/file"] = Reply(body=content)
    daemon.routes["GET", "/odd"] = Reply(status=204, body=b"")
    pieces: list[bytes] = []

    def full(_: bytes) -> None:
        raise OSError(28, "No space left on device")

    async with AsyncClient(daemon.url) as client:
        await client.download("/file", pieces.append)
        assert b"".join(pieces) == content
        with pytest.raises(OSError, match="No space"):
            await client.download("/file", full)
        with pytest.raises(BadAnswer):
            await client.download("/odd", pieces.append)
        with pytest.raises(Refused):
            await client.download("/nothing", pieces.append)
        with pytest.raises(BadAnswer, match="too large"):
            await client.get("/file")


async def test_many_at_once(daemon: FakeDaemon) -> None:
    """Concurrent calls use at most the allowed connections, and each gets its own answer."""
    daemon.methods["users.get"] = lambda params: params
    async with AsyncClient(daemon.url, max_connections=3) as client:

        async def ask(number: int) -> None:
            assert await client.call("users.get", {"number": number}) == {"number": number}

        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(ask, number)
    assert 1 <= daemon.connections <= 3


async def test_a_connection_that_was_closed_meanwhile(tmp_path: Path) -> None:
    """If a kept connection was closed, the next call opens another, and nothing is sent twice."""
    with fake_daemon(tmp_path / "s") as daemon:
        daemon.routes["GET", "/health"] = Reply(headers=(("Connection", "close"),))
        async with AsyncClient(daemon.url) as client:
            await client.get("/health")
            await client.get("/health")
        assert (len(daemon.asked), daemon.connections) == (2, 2)


async def test_the_daemon_was_restarted(tmp_path: Path) -> None:
    """An idle connection to a restarted daemon is dropped."""
    async with AsyncClient(f"unix:{tmp_path}/s") as client:
        for _ in range(2):
            with fake_daemon(tmp_path / "s") as daemon:
                daemon.routes["GET", "/health"] = json_reply({})
                await client.get("/health")
            (tmp_path / "s").unlink()


async def test_a_cancelled_request_keeps_no_connection(tmp_path: Path) -> None:
    """A cancelled request closes its connection, so that a late answer reaches no other request."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        async with AsyncClient(f"unix:{tmp_path}/s") as client:
            with trio.move_on_after(0.01) as scope:
                await client.get("/health")
            assert scope.cancelled_caught
            connection, _ = listener.accept()
            with connection:
                while connection.recv(65536):  # ends when the client has closed it
                    pass


async def failure(url: str, path: str = "/health", **more: Any) -> ClientError:
    """The error of a request to this address."""
    async with AsyncClient(url, **more) as client:
        with pytest.raises((Unreachable, BadAnswer, Untrusted)) as raised:
            await client.get(path)
    assert raised.value.hint
    return raised.value


async def test_sockets_that_are_none(tmp_path: Path) -> None:
    """A missing socket and one that nobody listens on have different messages."""
    assert "There is no socket" in (await failure(f"unix:{tmp_path}/s")).message
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "s"))
    assert "Nothing listens on" in (await failure(f"unix:{tmp_path}/s")).message


async def test_a_full_backlog(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A full backlog is a timeout."""
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as waiting:
        listener.bind(str(tmp_path / "s"))
        listener.listen(0)
        waiting.connect(str(tmp_path / "s"))
        found = await failure(f"unix:{tmp_path}/s", connect_timeout=3)
    assert "accepted no connection within 3 s" in found.message


async def test_silence(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A daemon that does not answer is a timeout."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        assert "did not answer within 7 s" in (await failure(f"unix:{tmp_path}/s", timeout=7)).message


def sends(content: bytes) -> Callable[[socket.socket], None]:
    """A server that sends these bytes and nothing more."""
    return lambda connection: connection.sendall(content)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "before its answer was complete"),
        (HEAD, "before its answer was complete"),
        (HEAD + b"Content-Length: 100\r\n\r\n{", "before its answer was complete"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n10\r\n{", "before its answer was complete"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak HTTP"),
        (HEAD + b"X: y\r\n" * 20_000, "does not speak HTTP"),
        (HEAD + b"Content-Length: 5\r\n\r\n<htm>", "is not herod"),
    ],
)
async def test_answers_that_are_none(tmp_path: Path, content: bytes, words: str) -> None:
    """A truncated or non-HTTP answer is an error."""
    with raw_daemon(tmp_path / "s", sends(content)) as url:
        assert words in (await failure(url)).message


async def test_over_tcp(tmp_path: Path) -> None:
    """Over TCP the Host header is the address, and a closed port has its own message."""
    with fake_daemon() as daemon:
        daemon.routes["GET", "/health"] = json_reply({"status": "ok"})
        async with AsyncClient(daemon.url) as client:
            assert await client.get("/health") == {"status": "ok"}
        assert daemon.asked[0].headers["Host"] == daemon.url.removeprefix("http://")
    assert "Nothing listens on" in (await failure(f"http://127.0.0.1:{free_port()}")).message
    assert "cannot be resolved" in (await failure("http://no-such-host.invalid")).message


async def test_over_tls(tmp_path: Path) -> None:
    """Over TLS the certificate is verified against the given authorities."""
    certificate, key = make_certificate(tmp_path, name="herod")
    port = free_port()
    made: AbstractContextManager[Any] = running(
        tmp_path, "--tls-cert", str(certificate), "--tls-key", str(key),
        binds=(f"unix:{tmp_path}/herod.sock", f"127.0.0.1:{port}"),
    )  # fmt: skip
    with made:
        trusted = ssl.create_default_context(cafile=str(certificate))
        async with AsyncClient(f"https://127.0.0.1:{port}", tls=trusted) as client:
            for _ in range(3):
                assert (await client.get("/health"))["status"] == "ok"
        assert "is not trusted" in (await failure(f"https://127.0.0.1:{port}")).message
    with fake_daemon() as plain:
        assert "does not speak TLS" in (await failure(plain.url.replace("http:", "https:"), connect_timeout=5)).message


async def test_a_uid_over_tcp_cannot_be_shown() -> None:
    """A peer credential over TCP is refused before anything is sent."""
    async with AsyncClient("http://127.0.0.1:1", identity=PeerIdentity()) as client:
        with pytest.raises(ClientError, match="uid"):
            await client.get("/health")
