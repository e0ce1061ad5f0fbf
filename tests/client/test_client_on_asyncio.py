"""The async client on asyncio: what differs between loops. What does not is tested on trio."""

import asyncio
import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from herod_client import AsyncClient, Unreachable, Untrusted
from support.certificates import make_certificate
from support.fake_daemon import FakeDaemon, Reply, fake_daemon, json_reply
from support.real_daemon import free_port, running


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[FakeDaemon]:
    """A daemon on a Unix socket whose method gives back its parameters."""
    with fake_daemon(tmp_path / "herod.sock") as made:
        made.methods["users.get"] = lambda params: params
        yield made


async def ask(client: AsyncClient, number: int) -> None:
    """One request, whose answer no other one has."""
    assert await client.call("users.get", {"number": number}) == {"number": number}


async def ask_at_once(client: AsyncClient, tasks: int) -> None:
    """Many of these in tasks of asyncio."""
    await asyncio.gather(*(ask(client, number) for number in range(tasks)))


def test_many_tasks(daemon: FakeDaemon) -> None:
    """Tasks share at most the allowed connections, and each gets its own answer."""

    async def main() -> None:
        async with AsyncClient(daemon.url, max_connections=3) as client:
            await ask_at_once(client, 200)

    asyncio.run(main())
    assert 1 <= daemon.connections <= 3


def test_one_client_on_one_loop_after_another(daemon: FakeDaemon) -> None:
    """A client outlives its loop, whichever comes next, with its connections."""
    client = AsyncClient(daemon.url, max_connections=2)
    asyncio.run(ask_at_once(client, 10))
    trio.run(ask, client, 1)
    asyncio.run(ask_at_once(client, 10))
    asyncio.run(client.aclose())
    assert 1 <= daemon.connections <= 2


def test_a_child_opens_its_own_connections(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """In another process than the one that opened them, connections are not used."""
    client = AsyncClient(daemon.url)
    asyncio.run(ask(client, 1))
    monkeypatch.setattr(os, "getpid", lambda: 1)
    asyncio.run(ask(client, 2))
    asyncio.run(client.aclose())
    assert daemon.connections == 2


def test_a_loop_that_is_none_of_both(daemon: FakeDaemon) -> None:
    """Outside of a loop the error is asyncio's."""
    request = AsyncClient(daemon.url).get("/health")
    with pytest.raises(RuntimeError, match="no running event loop"):
        request.send(None)


def test_a_cancelled_request_closes_its_connection(tmp_path: Path) -> None:
    """A late answer reaches no other request, and the place is free again."""

    async def main(listener: socket.socket) -> None:
        async with AsyncClient(f"unix:{tmp_path}/s", max_connections=1) as client:
            for _ in range(2):
                task = asyncio.create_task(client.get("/health"))
                await asyncio.sleep(0.01)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                connection, _ = listener.accept()
                with connection:
                    while connection.recv(65536):  # ends when the client has closed it
                        pass

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        asyncio.run(main(listener))


async def failure(url: str, **more: Any) -> str:
    """The message of a request's error."""
    async with AsyncClient(url, **more) as client:
        with pytest.raises((Unreachable, Untrusted)) as raised:
            await client.get("/health")
    assert raised.value.hint
    return raised.value.message


def test_no_daemon(tmp_path: Path) -> None:
    """What is not there has the same messages as on trio."""
    assert "There is no socket" in asyncio.run(failure(f"unix:{tmp_path}/s"))
    assert "Nothing listens on" in asyncio.run(failure(f"http://127.0.0.1:{free_port()}"))
    assert "cannot be resolved" in asyncio.run(failure("http://no-such-host.invalid"))


def test_deadlines(tmp_path: Path) -> None:
    """A silent daemon and a full backlog end with the deadlines."""
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as waiting:
        listener.bind(str(tmp_path / "s"))
        listener.listen(0)
        assert "did not answer within 0.05 s" in asyncio.run(failure(f"unix:{tmp_path}/s", timeout=0.05))
        waiting.settimeout(0)
        listener.accept()[0].close()
        waiting.connect(str(tmp_path / "s"))
        assert "within 0.05 s" in asyncio.run(failure(f"unix:{tmp_path}/s", connect_timeout=0.05))


def test_waiting_for_a_connection_has_an_end(daemon: FakeDaemon) -> None:
    """Whoever gets no connection in time is told so."""
    daemon.routes["GET", "/file"] = Reply(body=b"x" * 1000)

    async def main() -> None:
        client = AsyncClient(daemon.url, max_connections=1, timeout=0.1)
        await client._pool._here(_backend()).acquire()  # noqa: SLF001 - as a request does that goes on
        assert "were in use for 0.1 s: nothing was sent" in await _message(client)

    asyncio.run(main())
    assert daemon.asked == []


def _backend() -> Any:
    from herod_client.async_backend import running_backend

    return running_backend()


async def _message(client: AsyncClient) -> str:
    with pytest.raises(Unreachable) as raised:
        await client.get("/health")
    return raised.value.message


def test_another_users_server(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sent to a socket where neither root, herod nor this user listens."""
    monkeypatch.setattr("herod_client.async_client.expected_servers", lambda _uid: frozenset({4711}))
    assert "nothing was sent" in asyncio.run(failure(daemon.url))
    assert daemon.asked == []


def test_tls(tmp_path: Path) -> None:
    """The certificate is verified, connections are kept, and a server without TLS is named."""
    certificate, key = make_certificate(tmp_path, name="herod")
    port = free_port()
    arguments = "--tls-cert", str(certificate), "--tls-key", str(key)
    with running(tmp_path, *arguments, binds=(f"unix:{tmp_path}/herod.sock", f"127.0.0.1:{port}")):
        trusted = ssl.create_default_context(cafile=str(certificate))

        async def main() -> None:
            async with AsyncClient(f"https://127.0.0.1:{port}", tls=trusted) as client:
                answers = await asyncio.gather(*(client.get("/health") for _ in range(20)))
                assert {answer["status"] for answer in answers} == {"ok"}
                pieces: list[bytes] = []
                await client.download("/openapi.json", pieces.append)
                assert len(b"".join(pieces)) > 100_000

        asyncio.run(main())
        assert "is not trusted" in asyncio.run(failure(f"https://127.0.0.1:{port}"))
    with fake_daemon() as plain:
        plain.routes["GET", "/health"] = json_reply({})
        url = plain.url.replace("http:", "https:")
        assert "does not speak TLS" in asyncio.run(failure(url, connect_timeout=5))
