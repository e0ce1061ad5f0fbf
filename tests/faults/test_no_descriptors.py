"""A daemon out of descriptors: connected clients are served, new ones wait, and the log says it once."""

import http.client
import json
import socket
import subprocess
from pathlib import Path

from faults.requests_under_fault import admin, know, wait_for
from support.real_daemon import COMMAND, Daemon, running


class UnixConnection(http.client.HTTPConnection):
    """A client that stays connected to the daemon's socket."""

    def __init__(self, daemon: Daemon) -> None:
        super().__init__("localhost", timeout=20)
        self._path = str(daemon.socket)
        self._header = dict([admin(daemon)[1].split(": ", 1)])

    def connect(self) -> None:
        """Connect as a TCP client would."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(self._path)

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        """Send one request as the local admin."""
        headers = {**self._header, "Content-Type": "application/json"}
        self.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self.getresponse()
        return answer.status, answer.read()


def limit(daemon: Daemon, soft: int) -> None:
    """Limit the number of descriptors; open ones stay open."""
    command = ["prlimit", f"--pid={daemon.process.pid}", f"--nofile={soft}:"]
    subprocess.run(command, check=True, capture_output=True, timeout=20)


def hold(daemon: Daemon) -> tuple[UnixConnection, int | None]:
    """A client with the highest descriptor in use, and the next number; None if that is not visible.

    A client that has just left may have left a gap below, which another connection fills.
    """
    while True:
        held = UnixConnection(daemon)
        assert held.ask("GET", "/health")[0] == 200
        try:
            taken = {int(one.name) for one in Path(f"/proc/{daemon.process.pid}/fd").iterdir()}
        except PermissionError:  # visible only with special rights
            return held, None
        if max(taken) < len(taken):
            return held, len(taken)
        held.close()


def test_exhausted_while_running(tmp_path: Path) -> None:
    """Reads and writes continue on open files, a backup is refused, and new clients are served when possible."""
    with running(tmp_path) as daemon:
        known = know(daemon)
        newcomers = [UnixConnection(daemon) for _ in range(2)]
        held, free = hold(daemon)
        limit(daemon, 3 if free is None else free)
        assert held.ask("GET", "/api/v1/whoami")[0] == 200
        assert held.ask("POST", "/validate", {"token": known.token})[0] == 200
        for number in range(20):
            assert held.ask("POST", "/users/add", {"name": f"user {number}"})[0] == 201
        status, body = held.ask("GET", "/api/v1/backup")
        assert status == 503
        assert b"could not be copied" in body
        for one in newcomers:
            one.connect()  # the kernel accepts it; the daemon cannot yet
        if free is not None:
            # The idle connection is evicted for a new client, so that no client is locked out for good.
            assert newcomers[0].ask("GET", "/health")[0] == 200
        limit(daemon, 1024)
        for one in newcomers:
            assert one.ask("GET", "/health")[0] == 200
        assert daemon.curl("/health")[1]["status"] == "ok"
        assert daemon.herod("backup", str(tmp_path / "b"), "--peer").returncode == 0
        log = daemon.logged("no connection can be accepted")
        assert log.count("no connection can be accepted: Too many open files") == 1
        assert "Traceback" not in log
        for one in (held, *newcomers):
            one.close()


def is_answered(daemon: Daemon) -> bool:
    """Whether there is room for one more client."""
    client = UnixConnection(daemon)
    try:
        return client.ask("GET", "/health")[0] == 200
    finally:
        client.close()


def test_started_with_few(tmp_path: Path) -> None:
    """It logs how many clients fit, serves that many, answers the next one that it is full, and recovers."""
    command = ("prlimit", "--nofile=106:106")
    with running(tmp_path, command=(*command, *COMMAND)) as daemon:
        wait_for(daemon, "the limit of open files (ulimit -n) allows only 10 connections")
        clients = []
        for _ in range(10):
            clients.append(UnixConnection(daemon))
            assert clients[-1].ask("GET", "/health")[0] == 200
        for one in clients:
            one.close()
        while not is_answered(daemon):  # until it has noticed that they are closed
            pass
        for number in range(30):
            client = UnixConnection(daemon)
            assert client.ask("POST", "/users/add", {"name": f"user {number}"})[0] == 201
            client.close()
        assert "Traceback" not in daemon.log.read_text()
