"""While herod is down, nobody takes its port if the service manager holds it, as after `make install`."""

import errno
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from support.in_process_server import short_folder
from support.real_daemon import COMMAND, SECRET, environment, free_port

HOSTS = ("127.0.0.1", "::1")
# As a service manager: the sockets are descriptors 3, 4 and 5.
AS_A_SERVICE = 'exec 3<&"$1" 4<&"$2" 5<&"$3"; shift 3; export LISTEN_FDS=3 LISTEN_PID=$$; exec "$@"'


@contextmanager
def held_addresses(path: Path, port: int) -> Iterator[list[int]]:
    """Sockets like those of herod.socket, which outlive the daemon."""
    with ExitStack() as stack:
        unix = stack.enter_context(socket.socket(socket.AF_UNIX))
        unix.bind(str(path))
        unix.listen()
        tcp = [
            stack.enter_context(
                socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
            )
            for host in HOSTS
        ]
        yield [one.fileno() for one in (unix, *tcp)]


@contextmanager
def started(folder: Path, port: int, held: list[int]) -> Iterator["subprocess.Popen[bytes]"]:
    """A daemon with the held sockets and the addresses that herod.service names."""
    bind = f"unix:{folder}/herod.sock,mode=0660 localhost:{port}"
    env = environment(folder, HERO_SECRET=SECRET, HEROD_BIND=bind)
    command = [
        "bash",
        "-c",
        AS_A_SERVICE,
        "herod",
        *map(str, held),
        *COMMAND,
        "serve",
        "--store",
        f"sqlite:{folder}/herod.db",
    ]
    with (
        (folder / "log").open("ab") as log,
        subprocess.Popen(command, env=env, pass_fds=held, stdout=log, stderr=log) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def asking(where: str, *options: str) -> "subprocess.Popen[bytes]":
    """A client that waits for its answer; it prints the status."""
    command = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--noproxy", "*", "--max-time", "60", *options]
    return subprocess.Popen([*command, f"{where}/health"], stdout=subprocess.PIPE)


def answer_of(client: "subprocess.Popen[bytes]") -> bytes:
    """The status that a client got."""
    said, _ = client.communicate(timeout=90)
    return said


def try_to_bind(host: str, port: int) -> int:
    """As another process, take an address; return the error's number."""
    family = "AF_INET6" if ":" in host else "AF_INET"
    program = (
        "import socket, sys\ntry:\n"
        f"    socket.create_server(({host!r}, {port}), family=socket.{family})\n"
        "except OSError as error:\n    sys.exit(error.errno)\n"
    )
    return subprocess.run([sys.executable, "-I", "-c", program], check=False, timeout=60).returncode


@pytest.mark.skipif(not socket.has_ipv6, reason="there is no ::1")
def test_a_killed_daemon() -> None:
    """While it is down, no address can be taken, and clients of all of them wait and are served by the next one."""
    port = free_port()
    with short_folder() as folder, held_addresses(folder / "herod.sock", port) as held:
        ways = {
            "http://localhost": ("--unix-socket", f"{folder}/herod.sock"),
            f"http://127.0.0.1:{port}": (),
            f"http://[::1]:{port}": (),
        }
        with started(folder, port, held) as daemon:
            assert [answer_of(asking(where, *options)) for where, options in ways.items()] == [b"200"] * 3
            daemon.send_signal(signal.SIGKILL)
            daemon.wait(timeout=60)
        assert [try_to_bind(host, port) for host in HOSTS] == [errno.EADDRINUSE] * 2
        clients = [asking(where, *options) for where, options in ways.items()]
        time.sleep(0.2)
        assert [client.poll() for client in clients] == [None] * 3, "they wait instead of being refused"
        with started(folder, port, held):
            assert [answer_of(client) for client in clients] == [b"200"] * 3
        assert b"not listening on" not in (folder / "log").read_bytes()
