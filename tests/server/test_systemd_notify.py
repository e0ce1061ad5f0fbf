"""Notifications to the service manager, on a socket with a path and on an abstract one."""

import errno
import logging
import os
import secrets
import socket
import time
from collections.abc import Iterator

import pytest
import trio

from herod.server.systemd_notify import SystemdNotifier, watch
from support.in_process_server import short_folder


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest) -> Iterator[tuple[str, socket.socket]]:
    """The NOTIFY_SOCKET value and the receiving socket."""
    with short_folder() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        address = f"{folder}/notify" if request.param == "path" else "@herod-test-" + secrets.token_hex(8)
        heard.bind(address.replace("@", "\0"))
        heard.settimeout(5)
        yield address, heard


def test_messages(manager: tuple[str, socket.socket]) -> None:
    """Each state is one datagram of lines."""
    address, heard = manager
    notifier = SystemdNotifier(address)
    notifier.ready("listening on\nunix:/s")
    assert heard.recv(999) == b"READY=1\nSTATUS=listening on unix:/s"
    before = time.monotonic_ns() // 1000
    notifier.reloading()
    state, moment, _ = heard.recv(999).split(b"\n")
    assert state == b"RELOADING=1"
    assert before <= int(moment.removeprefix(b"MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000
    notifier.stopping()
    assert heard.recv(999).startswith(b"STOPPING=1\nSTATUS=")
    notifier.alive()
    assert heard.recv(999) == b"WATCHDOG=1"
    notifier.status("so so")
    assert heard.recv(999) == b"STATUS=so so"
    notifier.ready("well")
    notifier.update("well")
    notifier.reloading()
    notifier.update("well")
    notifier.update("not well")
    notifier.update("not well")
    notifier.update("well")
    said = [heard.recv(999) for _ in range(4)]
    assert said[0] == b"READY=1\nSTATUS=well"
    assert said[1].startswith(b"RELOADING=1\n")
    assert said[2:] == [b"STATUS=not well", b"STATUS=well"]


def test_nobody_listens(caplog: pytest.LogCaptureFixture) -> None:
    """Without an address nothing is sent; if nobody listens, the log says so and the daemon continues."""
    with caplog.at_level(logging.WARNING):
        SystemdNotifier(None).ready("x")
        assert caplog.text == ""
        SystemdNotifier("/no/such/socket").ready("x")
    assert "could not send READY=1" in caplog.text


def test_no_descriptor_is_left(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A notification that cannot be sent is logged, and the daemon continues."""

    def refuse(*_: object) -> socket.socket:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr("herod.server.systemd_notify.socket.socket", refuse)
    with caplog.at_level(logging.WARNING):
        SystemdNotifier("/no/such/socket").alive()
    assert "could not send WATCHDOG=1 to the service manager: Too many open files" in caplog.text


async def test_watchdog(autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture) -> None:
    """The watchdog notifies at half of every interval while checks succeed, and not when one fails or hangs."""
    answers = [True, True, False, False, True]
    said: list[tuple[float, str]] = []

    class Heard(SystemdNotifier):
        """Records the messages."""

        def _tell(self, *lines: str) -> None:
            said.append((trio.current_time() - start, lines[0].partition(";")[0]))

    async def is_well() -> bool:
        if not answers:
            await trio.sleep_forever()
        return answers.pop(0)

    start = trio.current_time()
    with trio.move_on_after(1000), caplog.at_level(logging.ERROR):
        await watch(Heard(None), 10, is_well)
    alive, unwell = "WATCHDOG=1", "STATUS=the store cannot be read"
    assert said == [(0, alive), (5, alive), (10, unwell), (20, alive)]
    assert caplog.text.count("the watchdog is not reset") == 1
