"""Another user takes herod's TCP port while herod is down."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.in_process_server import short_folder
from support.real_daemon import Daemon, free_port, running

NOBODY = 65534
# Listens on the given addresses, prints a line, and then all that clients send.
SQUATTER = """
import select, socket, sys
sockets = []
for host in sys.argv[2:]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sockets.append(socket.create_server((host, int(sys.argv[1])), family=family))
print("here", flush=True)
while True:
    for one in select.select(sockets, [], [])[0]:
        client, _ = one.accept()
        client.settimeout(1)
        try:
            print(client.recv(65536), flush=True)
        except TimeoutError:
            print("nothing", flush=True)
        client.close()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path."""
    with short_folder() as name:
        yield name


@contextmanager
def squatting(port: int, *hosts: str) -> Iterator["subprocess.Popen[str]"]:
    """Another user's process on a port; without root, another process of this user."""
    user = NOBODY if os.geteuid() == 0 else None
    command = ["/usr/bin/python3", "-I", "-c", SQUATTER, str(port), *hosts]
    with subprocess.Popen(command, user=user, stdout=subprocess.PIPE, text=True, cwd="/") as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "here\n"
            yield process
        finally:
            process.kill()


def health(daemon: Daemon) -> dict[str, object]:
    """What the daemon says of itself on its Unix socket."""
    status, body, _ = daemon.curl("/health")
    assert status == 200
    assert isinstance(body, dict)
    return body


def names(daemon: Daemon) -> tuple[object, object, object]:
    """What the daemon calls itself: its issuer, its `/mcp`, and where its pages are."""
    _, server, _ = daemon.curl("/.well-known/oauth-authorization-server")
    _, resource, _ = daemon.curl("/.well-known/oauth-protected-resource/mcp", "-H", f"Host: localhost:{daemon.port}")
    code = daemon.rpc("session.code", {}, "-H", f"Authorization: Peer {daemon.cookie}")["result"]
    return server["issuer"], resource["resource"], code["page_url"]


def until_served(daemon: Daemon) -> None:
    """Wait until the daemon misses no address."""
    end = time.monotonic() + 60
    while "missing_addresses" in health(daemon):
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.parametrize("hosts", [("127.0.0.1",), ("::1",)])
def test_a_port_taken_after_a_crash(folder: Path, hosts: tuple[str, ...]) -> None:
    """The restarted daemon serves its socket, tells what it misses and who has it, and takes it when it is free."""
    port = free_port()
    binds = (f"unix:{folder}/herod.sock,mode=0666", f"127.0.0.1:{port}")
    with running(folder, binds=binds) as daemon:
        daemon.process.send_signal(signal.SIGKILL)
        daemon.process.wait(timeout=60)
        with squatting(port, *hosts) as squatter, running(folder, binds=binds) as again:
            missing = [f"127.0.0.1:{port}", f"[::1]:{port}"]
            assert health(again)["status"] == "ok"
            assert health(again)["missing_addresses"] == missing
            metrics = again.curl("/metrics", "-H", f"Authorization: Peer {again.cookie}")[1]
            assert b"\nherod_missing_addresses 2\n" in metrics
            checked = again.herod("doctor", "--output", "json")
            assert checked.returncode == 1
            (finding,) = [one for one in json.loads(checked.stdout)["checks"] if one["check"] == "addresses"]
            assert finding["result"] == "fail"
            assert all(
                text in finding["text"] for text in (*missing, f"uid {NOBODY if os.geteuid() == 0 else os.geteuid()}")
            )
            assert f"pid {squatter.pid}" in finding["text"]
            assert "missing_addresses" in again.herod("status").stdout
            assert names(again) == ("http://herod.invalid", "http://herod.invalid/mcp", None)
            squatter.kill()
            squatter.wait()
            again.process.send_signal(signal.SIGHUP)
            until_served(again)
            again.port = port
            assert again.curl("/health", tcp=True)[0] == 200
            with socket.create_connection(("::1", port)) as six:
                six.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert six.recv(100).startswith(b"HTTP/1.1 200")
            local = f"http://localhost:{port}"
            assert names(again) == (local, f"{local}/mcp", local)
            again.logged(f"browsers and apps reach herod at {local}")


def test_the_port_is_taken_without_being_asked(folder: Path) -> None:
    """A free port is taken within a second, without a signal."""
    port = free_port()
    binds = (f"unix:{folder}/herod.sock", f"localhost:{port}")
    with squatting(port, "127.0.0.1") as squatter, running(folder, binds=binds) as daemon:
        assert "missing_addresses" in health(daemon)
        squatter.kill()
        squatter.wait()
        until_served(daemon)
        daemon.logged(
            f"not listening on 127.0.0.1:{port} and [::1]:{port}",
            f"listening on unix:{folder}/herod.sock, 127.0.0.1:{port}, [::1]:{port}",
        )
