"""A real daemon for tests: started by the real command, on its own socket and ports, stopped by its pid."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECRET = "a secret for running daemons, long enough for all"
START_SECONDS = 60
COMMAND = (sys.executable, "-m", "herod")


def free_port() -> int:
    """A TCP port that is free at the moment on 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(folder: Path, **more: str) -> dict[str, str]:
    """An environment that hides this machine's herod settings and user files."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HERO", "XDG_", "CREDENTIALS"))}
    return {
        **kept,
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_STATE_HOME": str(folder / "state"),
        "XDG_RUNTIME_DIR": str(folder),
        "NO_COLOR": "1",
        **more,
    }


def herod(
    *arguments: str, env: Mapping[str, str], stdin: str | None = None, prefix: tuple[str, ...] = (), timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run the `herod` command to completion."""
    if prefix:  # another user cannot write coverage's file beside ours
        env = {name: value for name, value in env.items() if not name.startswith("COVERAGE_")}
    return subprocess.run(
        [*prefix, *COMMAND, *arguments],
        env=dict(env),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def others_have_python() -> bool:
    """Whether another user can run this Python with herod; not if it is below root's home."""
    other = ("setpriv", "--reuid=4711", "--regid=4711", "--clear-groups")
    command = [*other, sys.executable, "-c", "import herod_cli.main, herod.app"]
    return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0


@dataclass
class Daemon:
    """A daemon that answers requests."""

    folder: Path
    socket: Path
    port: int
    env: dict[str, str]
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def public_url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def cookie(self) -> str:
        return self.socket.with_name(self.socket.name + ".cookie").read_text().strip()

    def curl(self, path: str, *arguments: str, tcp: bool = False) -> tuple[int, Any, dict[str, str]]:
        """Ask with curl; return status, parsed body and headers."""
        where = ["--noproxy", "*"] if tcp else ["--unix-socket", str(self.socket)]
        base = self.url if tcp else "http://localhost"
        done = subprocess.run(
            ["curl", "-sS", "-i", "--max-time", "20", *where, *arguments, base + path],
            capture_output=True,
            check=True,
            timeout=30,
        )
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        return int(lines[0].split()[1]), json.loads(body) if body[:1] in b"{[" and body else body, headers

    def rpc(self, method: str, params: Any, *arguments: str, tcp: bool = False) -> Any:
        """Make one JSON-RPC call at POST /."""
        call = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        status, body, _ = self.curl("/", "--json", call, *arguments, tcp=tcp)
        assert status == 200
        return body

    def herod(self, *arguments: str, stdin: str | None = None, **more: str) -> subprocess.CompletedProcess[str]:
        """Run the command against this daemon, as the current user."""
        return herod(*arguments, env={**self.env, **more}, stdin=stdin)

    def logged(self, *words: str) -> str:
        """The log, once it contains all of that: the daemon answers before it has written every line of its start.

        Raises:
            AssertionError: they are not there within ten seconds; the message contains the log.
        """
        end = time.monotonic() + 10
        while not all(word in (log := self.log.read_text()) for word in words):
            assert time.monotonic() < end, log
            time.sleep(0.02)
        return log

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stop it; return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=60)


@contextmanager
def running(
    folder: Path,
    *arguments: str,
    binds: tuple[str, ...] | None = None,
    command: tuple[str, ...] = COMMAND,
    **more: str,
) -> Iterator[Daemon]:
    """Run a daemon on a Unix socket and TCP, with its store in `folder`.

    Args:
        command: run in place of `COMMAND`; it must become the daemon, not start one.

    Raises:
        AssertionError: it does not answer in time; the message contains the log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port, path, log = free_port(), folder / "herod.sock", folder / "log"
    env = environment(folder, **{"HERO_SECRET": SECRET, **more})
    chosen = binds if binds is not None else (f"unix:{path},mode=0666", f"127.0.0.1:{port}")
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*command, "serve", *(part for bind in chosen for part in ("--bind", bind)),
             "--store", f"sqlite:{folder}/store/herod.db", "--log-format", "json", *arguments],
            env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip
    daemon = Daemon(folder, path, port, {**env, "HEROD_URL": f"unix:{path}"}, process, log)
    try:
        _wait_until_it_answers(daemon)
        cookies = [path.read_bytes().strip() for path in folder.glob("*.cookie")]
        yield daemon
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    # Only if the test itself did not fail.
    for name, wanted in _secrets_of(daemon, cookies).items():
        assert not re.search(wanted, log.read_bytes()), f"the log holds {name}"


def _secrets_of(daemon: Daemon, cookies: list[bytes]) -> dict[str, bytes]:
    """Map names to patterns that no daemon's log may contain: its given secrets, and the formats that it issues."""
    given = {
        name: re.escape(value.encode())
        for name, value in daemon.env.items()
        if name.startswith("HERO") and name.endswith("_SECRET") and not value.startswith("@") and len(value) >= 8
    }
    held = {f"cookie {number}": re.escape(value) for number, value in enumerate(cookies)}
    return {
        **given,
        **held,
        "an API key or refresh token": rb"herod_[usr]_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}",
        "an app's secret": rb"herod_c_[\w-]{30}",
        "a query of herod's pages": rb"[?&](?:ticket|request|back|code|state)=",
        "a token": rb"eyJ[\w-]+\.eyJ[\w-]+\.",
        "a refresh token": rb"herod_r_[0-9A-Za-z]{12}_[0-9A-Za-z]{40}",
    }


def _wait_until_it_answers(daemon: Daemon) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and daemon.process.poll() is None:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(daemon.socket))
                probe.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                if probe.recv(100).startswith(b"HTTP/1.1 200"):
                    return
            except OSError:
                pass
        time.sleep(0.02)
    raise AssertionError(f"the daemon does not answer: {daemon.log.read_text()}")
