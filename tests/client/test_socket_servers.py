"""Every client checks whose process listens on a Unix socket before it sends anything."""

import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from herod.loopback_relay import Relay, RelayRefusal
from herod_client import AsyncClient, Bearer, Client, ThreadedVerifier, Untrusted, Verifier
from herod_client.socket_servers import expected_servers
from support.fake_daemon import fake_daemon, json_reply
from support.in_process_server import short_folder
from support.real_daemon import environment, herod
from support.squatter import NOBODY, squatting_socket

SECRET = "a secret for verifiers, long enough for all"
KEY = "herod_s_not_to_be_seen_by_anybody_else"

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can listen as another user")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path."""
    with short_folder() as name:
        name.chmod(0o755)
        yield name


def test_who_is_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Expected are root and the given uid, or else this user and, if it exists, the user herod."""
    assert expected_servers(4711) == {0, 4711}

    def nobody(name: str) -> Any:
        raise KeyError(name)

    monkeypatch.setattr("pwd.getpwnam", nobody)
    assert expected_servers() == {0, os.geteuid()}


async def by_client(url: str) -> None:
    """`Client`."""
    with Client(url, identity=Bearer(KEY)) as client:
        client.call("whoami")


async def by_async_client(url: str) -> None:
    """`AsyncClient`."""
    async with AsyncClient(url, identity=Bearer(KEY)) as client:
        await client.call("whoami")


async def by_verifier(url: str) -> None:
    """`Verifier`."""
    async with Verifier(url, secret=SECRET, credential=KEY):
        pass


async def by_threaded_verifier(url: str) -> None:
    """`ThreadedVerifier`."""
    with ThreadedVerifier(url, secret=SECRET, credential=KEY):
        pass


@needs_root
@pytest.mark.parametrize("use", [by_client, by_async_client, by_verifier, by_threaded_verifier])
async def test_a_squatter(folder: Path, use: Callable[[str], Awaitable[None]]) -> None:
    """Another user's process in herod's place receives nothing, and the message says whose it is and what to do."""
    with squatting_socket(folder / "s") as received:
        with pytest.raises(Untrusted, match=rf"{folder}/s is served by .*uid {NOBODY}.* nothing was sent") as refused:
            await use(f"unix:{folder}/s")
        assert f"--server-uid {NOBODY} or HEROD_SERVER_UID={NOBODY}" in (refused.value.hint or "")
    assert received == []


@needs_root
@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("whoami",), 3),
        (("status",), 3),
        (("key", "list"), 3),
        (("login", "ada@example.org", "--password-file", "-"), 3),
        (("backup", "backup.herod"), 3),
        (("ui", "--print"), 3),
        (("smoke", "--peer"), 3),
        (("doctor",), 1),
    ],
)
def test_a_squatter_and_the_command(folder: Path, command: tuple[str, ...], code: int) -> None:
    """No command sends anything to another user's process, and the exit code is that of an unreachable daemon."""
    url = f"unix:{folder}/s"
    with squatting_socket(folder / "s") as received:
        env = environment(folder, HEROD_URL=url, HEROD_KEY=KEY)
        done = herod(*command, env=env, stdin="correct horse battery")
    assert done.returncode == code, done.stderr
    assert received == []
    assert f"uid {NOBODY}" in done.stdout + done.stderr
    assert f"--server-uid {NOBODY}" in " ".join((done.stdout + done.stderr).split())


@needs_root
async def test_a_squatter_and_the_relay(folder: Path) -> None:
    """The relay of `herod ui` passes no password and no session on to another user's process."""
    with squatting_socket(folder / "s") as received:
        relay = Relay(f"{folder}/s", uids=frozenset({0}), servers=expected_servers())
        try:
            with pytest.raises(RelayRefusal, match=f"uid {NOBODY} listens"):
                await relay.open_daemon()
        finally:
            relay.close()
    assert received == []


@needs_root
@pytest.mark.parametrize(("option", "variable"), [((f"--server-uid={NOBODY}",), ""), ((), str(NOBODY))])
def test_a_daemon_of_another_user(folder: Path, option: tuple[str, ...], variable: str) -> None:
    """A daemon that another user runs is used when its uid is given."""
    with squatting_socket(folder / "s") as received:
        env = environment(folder, HEROD_URL=f"unix:{folder}/s", HEROD_KEY=KEY, HEROD_SERVER_UID=variable)
        herod("whoami", *option, env=env)
    assert KEY.encode() in b"".join(received)


def test_a_variable_that_is_no_uid(folder: Path) -> None:
    """Anything but a number is refused."""
    done = herod("whoami", env=environment(folder, HEROD_URL=f"unix:{folder}/s", HEROD_SERVER_UID="herod"))
    assert done.returncode == 2
    assert "HEROD_SERVER_UID is not a user id" in done.stderr


async def test_ones_own_server(tmp_path: Path) -> None:
    """One's own process is a server like root's."""
    with fake_daemon(tmp_path / "s") as daemon:
        daemon.routes["GET", "/health"] = json_reply({"status": "ok"})
        with Client(daemon.url, server_uid=os.geteuid()) as client:
            assert client.get("/health") == {"status": "ok"}
        assert len(daemon.asked) == 1
