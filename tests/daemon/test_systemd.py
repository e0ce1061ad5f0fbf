"""Herod under a service manager: sockets passed by systemd's own tool, and its notifications."""

import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.in_process_server import short_folder
from support.real_daemon import COMMAND, SECRET, environment, free_port, herod

ACTIVATE = "systemd-socket-activate"
LIMITED = (
    "the store's file may not become larger; raise herod's file size limit (LimitFSIZE=), and herod writes again by "
    "itself"
)
needs_systemd = pytest.mark.skipif(shutil.which(ACTIVATE) is None, reason=f"{ACTIVATE} is not installed")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path."""
    with short_folder() as name:
        yield name


class Manager:
    """A notify socket of the test."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(20)

    def wait_for(self, state: str) -> list[str]:
        """The lines of the next message with that state; earlier ones are dropped."""
        while True:
            lines = self.socket.recv(4096).decode().split("\n")
            if state in lines:
                return lines


@pytest.fixture
def manager(folder: Path) -> Iterator[Manager]:
    """A notify socket that receives herod's messages."""
    made = Manager(folder / "notify")
    yield made
    made.socket.close()


@contextmanager
def started(command: list[str], env: Mapping[str, str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is ended with the block; its log is `folder/log`."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=dict(env), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def ask(family: socket.AddressFamily, address: str | tuple[str, int], request: str = "/health") -> bytes:
    """Send one request; return the whole answer."""
    with socket.socket(family) as client:
        client.settimeout(20)
        client.connect(address)
        client.sendall(f"GET {request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        parts = []
        while data := client.recv(65536):
            parts.append(data)
        return b"".join(parts)


def until(path: Path, text: str) -> str:
    """The log, once it contains `text`."""
    end = time.monotonic() + 20
    while text not in (said := path.read_text()):
        assert time.monotonic() < end, said
        time.sleep(0.02)
    return said


@needs_systemd
def test_socket_activation(folder: Path, manager: Manager) -> None:
    """The first client starts herod; Unix and TCP sockets work, are left in place, and bring the other loopback."""
    path, port = folder / "herod.sock", free_port()
    env = environment(folder, HERO_SECRET=SECRET, NOTIFY_SOCKET=str(manager.path))
    passed = [part for name, value in env.items() for part in ("-E", f"{name}={value}")]
    command = [ACTIVATE, "-l", str(path), "-l", f"127.0.0.1:{port}", *passed, *COMMAND]
    with started([*command, "serve", "--store", "memory:", "--log-format", "json"], os.environ, folder) as process:
        until(folder / "log", "Listening on")
        assert ask(socket.AF_UNIX, str(path)).startswith(b"HTTP/1.1 200")
        assert ask(socket.AF_INET, ("127.0.0.1", port)).startswith(b"HTTP/1.1 200")
        ready = manager.wait_for("READY=1")
        assert ready[1] == f"STATUS=listening on fd://3 (unix:{path}), fd://4 (127.0.0.1:{port}), [::1]:{port}"
        inherited = Path(f"/proc/{process.pid}/fd")
        assert {"3", "4"} <= {one.name for one in inherited.iterdir()}
        for number in (3, 4):
            flags = Path(f"/proc/{process.pid}/fdinfo/{number}").read_text().split("flags:")[1].split()[0]
            assert int(flags, 8) & os.O_CLOEXEC
        cookie = path.with_name("herod.sock.cookie").read_text()
        done = subprocess.run(
            ["curl", "-sS", "--unix-socket", str(path), "-H", f"Authorization: Peer {cookie}",
             "http://localhost/api/v1/whoami"],
            capture_output=True, check=True, timeout=30,
        )  # fmt: skip
        assert b"local_admin" in done.stdout
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    manager.wait_for("STOPPING=1")
    assert path.exists()
    assert not path.with_name("herod.sock.cookie").exists()


@needs_systemd
@pytest.mark.parametrize("command", ["doctor", "whoami"])
def test_the_first_command_starts_herod(folder: Path, command: str) -> None:
    """The cookie is written only then: doctor does not miss it, and the caller is local admin at once."""
    path = folder / "herod.sock"
    env = environment(folder, HERO_SECRET=SECRET, HEROD_URL=f"unix:{path}")
    passed = [part for name, value in env.items() for part in ("-E", f"{name}={value}")]
    activate = [ACTIVATE, "-l", str(path), *passed, *COMMAND, "serve", "--store", "memory:"]
    with started(activate, os.environ, folder) as process:
        until(folder / "log", "Listening on")
        done = herod(command, "--output", "json", env=env)
        assert done.returncode == 0, done.stdout + done.stderr
        if command == "doctor":
            results = {one["check"]: one["result"] for one in json.loads(done.stdout)["checks"]}
            assert (results["daemon"], results["cookie"], results["identity"]) == ("ok", "ok", "ok")
        else:
            assert json.loads(done.stdout)["kind"] == "local_admin"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0


@needs_systemd
def test_named_addresses_come_before_passed_sockets(folder: Path) -> None:
    """With --bind the passed socket is not used, and the log says so."""
    path, own = folder / "passed.sock", folder / "own.sock"
    env = environment(folder, HERO_SECRET=SECRET)
    passed = [part for name, value in env.items() for part in ("-E", f"{name}={value}")]
    command = [ACTIVATE, "-l", str(path), *passed, *COMMAND, "serve", "--bind", f"unix:{own}", "--store", "memory:"]
    with started(command, os.environ, folder) as process, socket.socket(socket.AF_UNIX) as client:
        until(folder / "log", "Listening on")
        client.connect(str(path))
        assert "herod does not accept on fd://3" in until(folder / "log", "listening on")
        assert ask(socket.AF_UNIX, str(own)).startswith(b"HTTP/1.1 200")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0


def test_what_a_service_manager_hears(folder: Path, manager: Manager) -> None:
    """It sends READY, WATCHDOG repeatedly, RELOADING and READY for any reload, and STOPPING."""
    config = folder / "herod.toml"
    config.write_text("")
    env = environment(
        folder, HERO_SECRET=SECRET, NOTIFY_SOCKET=str(manager.path), WATCHDOG_USEC="400000", LISTEN_FDS="1"
    )
    bind = f"unix:{folder}/herod.sock"
    command = [*COMMAND, "serve", "--bind", bind, "--store", f"sqlite:{folder}/store/herod.db", "--config", str(config)]
    with started(command, env, folder) as process:
        assert manager.wait_for("READY=1") == ["READY=1", f"STATUS=listening on {bind}"]
        for _ in range(3):
            manager.wait_for("WATCHDOG=1")
        moments = []
        for text in ('networks = ["prod"]', "nonsense"):
            config.write_text(text)
            process.send_signal(signal.SIGHUP)
            [moment] = [line for line in manager.wait_for("RELOADING=1") if line.startswith("MONOTONIC_USEC=")]
            moments.append(int(moment.partition("=")[2]))
            manager.wait_for("READY=1")
        assert 0 < moments[0] < moments[1]
        process.send_signal(signal.SIGTERM)
        manager.wait_for("STOPPING=1")
        assert process.wait(timeout=60) == 0


def test_the_manager_hears_that_the_store_is_read_only(folder: Path, manager: Manager) -> None:
    """The status line says it from the first refused change on, and no longer when herod can write again."""
    env = environment(folder, HERO_SECRET=SECRET, NOTIFY_SOCKET=str(manager.path))
    bind = f"unix:{folder}/herod.sock"
    command = [*COMMAND, "serve", "--bind", bind, "--store", f"sqlite:{folder}/store/herod.db"]
    well = f"STATUS=listening on {bind}"
    with started(command, env, folder) as process:
        assert manager.wait_for("READY=1") == ["READY=1", well]
        log = folder / "store" / "herod.db-wal"
        unlimited = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (log.stat().st_size, unlimited[1]))
        add = ("user", "add", "--name", "ada", "--peer")
        refused = herod(*add, env={**env, "HEROD_URL": bind})
        assert "may not become larger" in refused.stderr
        manager.wait_for(f"{well}; the store is read-only: {LIMITED}")
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, unlimited)
        assert herod(*add, env={**env, "HEROD_URL": bind}).returncode == 0
        manager.wait_for(well)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0


def test_the_manager_hears_that_the_audit_file_is_not_written(folder: Path, manager: Manager) -> None:
    """The status line says it, and why."""
    kept = folder / "kept"
    kept.mkdir()
    env = environment(folder, HERO_SECRET=SECRET, NOTIFY_SOCKET=str(manager.path))
    bind, file = f"unix:{folder}/herod.sock", kept / "audit.log"
    command = [*COMMAND, "serve", "--bind", bind, "--store", "memory:", "--audit-file", str(file)]
    well = f"STATUS=listening on {bind}"
    with started(command, env, folder) as process:
        assert manager.wait_for("READY=1") == ["READY=1", well]
        kept.rename(folder / "gone")
        process.send_signal(signal.SIGHUP)
        manager.wait_for(f"{well}; the audit file is not written: {file}: No such file or directory")
        kept.mkdir()
        process.send_signal(signal.SIGHUP)
        manager.wait_for(well)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0


def test_a_manager_that_is_gone(folder: Path) -> None:
    """Without a listening manager the daemon starts, logs it, and serves."""
    env = environment(folder, HERO_SECRET=SECRET, NOTIFY_SOCKET=f"{folder}/nobody")
    command = [*COMMAND, "serve", "--bind", f"unix:{folder}/herod.sock", "--store", "memory:"]
    with started(command, env, folder) as process:
        until(folder / "log", "could not send READY=1")
        assert ask(socket.AF_UNIX, f"{folder}/herod.sock").startswith(b"HTTP/1.1 200")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0


def test_promised_sockets_that_are_not_there(folder: Path) -> None:
    """A start with LISTEN_FDS and no descriptors fails with one line."""
    env = environment(folder, HERO_SECRET=SECRET, LISTEN_FDS="2")
    script = 'LISTEN_PID=$$ exec "$@"'
    done = subprocess.run(
        ["sh", "-c", script, "sh", *COMMAND, "serve", "--store", "memory:"],
        env=env, capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert done.returncode == 1
    assert "LISTEN_FDS=2 was not passed" in done.stderr
    assert "Traceback" not in done.stderr
