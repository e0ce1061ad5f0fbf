"""The change feed of a real daemon, read with curl: it notifies, ends in time, and releases disconnected clients."""

import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.real_daemon import Daemon, running

PATH = "/api/v1/tokens/changes"
SECONDS = 60


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A real daemon, for tests that leave it running."""
    with running(tmp_path_factory.mktemp("daemon")) as made:
        yield made


def as_admin(daemon: Daemon) -> tuple[str, str]:
    """Curl's option for the local admin's credential."""
    return "-H", f"Authorization: Peer {daemon.cookie}"


def changes(daemon: Daemon, query: str = "") -> Any:
    """One answer of the feed."""
    status, body, _ = daemon.curl(PATH + query, *as_admin(daemon))
    assert status == 200, body
    return body["data"]


@contextmanager
def polling(daemon: Daemon, cursor: str, wait: int = 30) -> Iterator["subprocess.Popen[bytes]"]:
    """A curl whose request the daemon has read, and which is waiting."""
    command = [
        "curl", "-sS", "--max-time", "40", "--unix-socket", str(daemon.socket), *as_admin(daemon),
        f"http://localhost{PATH}?wait={wait}&cursor={cursor}",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            until(lambda: connected(process.pid) and not unread(daemon))
            yield process
        finally:
            if process.poll() is None:
                process.terminate()


def until(holds: Any) -> None:
    """Wait until the condition holds."""
    end = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def connected(pid: int) -> bool:
    """Whether a process is connected and blocked on its socket."""
    try:
        return Path(f"/proc/{pid}/wchan").read_text() != "0" and any(
            str(one.readlink()).startswith("socket:") for one in Path(f"/proc/{pid}/fd").iterdir()
        )
    except OSError:
        return False


def unread(daemon: Daemon) -> bool:
    """Whether the daemon has not yet processed earlier input."""
    return daemon.curl("/health")[0] != 200


def answer_of(process: "subprocess.Popen[bytes]") -> Any:
    """The answer to a poll."""
    out, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0
    return json.loads(out)["data"]


def test_a_revocation_wakes_who_waits(daemon: Daemon) -> None:
    """A revocation ends a wait at once."""
    token = daemon.curl("/token", *as_admin(daemon), "-d", "grant_type=client_credentials")[1]["access_token"]
    cursor = changes(daemon)["cursor"]
    with polling(daemon, cursor) as process:
        assert daemon.curl("/revoke", *as_admin(daemon), "-d", f"token={token}")[0] == 200
        answer = answer_of(process)
    assert [one["sub"] for one in answer["revoked"]] == ["local-admin"]
    assert answer["reset"] is False


def test_nothing_happens(daemon: Daemon) -> None:
    """Without changes the answer after the wait is empty, and the cursor continues."""
    cursor = changes(daemon)["cursor"]
    answer = changes(daemon, f"?wait=1&cursor={cursor}")
    assert (answer["subjects"], answer["gone"], answer["revoked"], answer["cursor"]) == ([], [], [], cursor)


def test_the_daemon_stops(tmp_path: Path) -> None:
    """At shutdown a waiting client is answered rather than cut off."""
    with running(tmp_path) as daemon, polling(daemon, changes(daemon)["cursor"]) as process:
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(timeout=60) == 0
        assert answer_of(process)["subjects"] == []
        assert "cut off" not in daemon.log.read_text()


def test_other_scopes_and_a_restart(tmp_path: Path) -> None:
    """Changed scopes reset the feed at once, and so does a restart."""
    config = tmp_path / "config" / "herod" / "herod.toml"
    config.parent.mkdir(parents=True)
    with running(tmp_path) as daemon:
        with polling(daemon, changes(daemon)["cursor"]) as process:
            config.write_text('[scopes]\n"jobs:run" = {includes = ["user"]}\n')
            daemon.process.send_signal(signal.SIGHUP)
            answer = answer_of(process)
        assert answer["reset"] is True
        assert "user" in answer["rules"]["scopes"]["jobs:run"]
        assert changes(daemon, f"?cursor={answer['cursor']}")["reset"] is False
    with running(tmp_path) as again:
        assert changes(again, f"?cursor={answer['cursor']}")["reset"] is True


def test_who_left_takes_no_place(daemon: Daemon) -> None:
    """Sixteen clients that disconnect while waiting free their slots for a seventeenth."""
    cursor = changes(daemon)["cursor"]
    request = (
        f"GET {PATH}?wait=30&cursor={cursor} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Peer {daemon.cookie}\r\n\r\n"
    ).encode()
    left = [socket.socket(socket.AF_UNIX) for _ in range(16)]
    for one in left:
        one.connect(str(daemon.socket))
        one.sendall(request)
    until(lambda: daemon.curl(f"{PATH}?wait=1&cursor={cursor}", *as_admin(daemon))[0] == 429)
    for one in left:
        one.close()
    until(lambda: daemon.curl(f"{PATH}?wait=1&cursor={cursor}", *as_admin(daemon))[0] == 200)
