"""The example compute service as a process beside a real daemon: tenants see only their own machines."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.real_daemon import Daemon, environment, free_port, running

EXAMPLE = Path(__file__).parents[2] / "examples" / "compute.py"
ALICE = "alice's own secret"
BOB = "bob's own secret"
NEVER = "3d8c0f2e-1111-4222-8333-444455556666"
START_SECONDS = 60


class Service:
    """A running compute service, and requests as its tenants."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, operation: str, secret: str | None, **params: Any) -> tuple[int, Any]:
        """Send one request; return status and body."""
        header = [] if secret is None else ["-H", f"X-Secret: {secret}"]
        done = subprocess.run(
            ["curl", "-sS", "--noproxy", "*", "--max-time", "20", "-w", "\n%{http_code}", *header,
             "--json", json.dumps(params), f"{self.url}/{operation}"],
            capture_output=True, check=True, timeout=30,
        )  # fmt: skip
        body, _, status = done.stdout.rpartition(b"\n")
        return int(status), json.loads(body)

    def names(self, secret: str) -> list[str]:
        """The names of what a secret owns at this service."""
        status, machines = self.ask("list_vms", secret)
        assert status == 200
        return [machine["name"] for machine in machines]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """An empty daemon."""
    with running(tmp_path_factory.mktemp("compute")) as started:
        yield started


@contextmanager
def compute(daemon: Daemon, name: str, *, scope: str = "user") -> Iterator[Service]:
    """Run the example with a service key of its own, over the daemon's Unix socket."""
    key, port = daemon.folder / f"{name}.key", free_port()
    made = daemon.herod("key", "create", name, "--kind", "service", "--scope", scope, "--save", str(key))
    assert made.returncode == 0, made.stderr
    log = daemon.folder / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(EXAMPLE), "--herod", f"unix:{daemon.socket}", "--key", str(key),
             "--bind", f"127.0.0.1:{port}"],
            env=environment(daemon.folder), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        end = time.monotonic() + START_SECONDS
        while not _answers(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.02)
        yield Service(port)
    finally:
        process.terminate()
        process.wait(timeout=60)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def service(daemon: Daemon) -> Iterator[Service]:
    """A compute service."""
    with compute(daemon, "compute") as started:
        yield started


def test_a_machines_life(service: Service) -> None:
    """A machine is deployed, read, stopped, started, restarted and deleted by its owner."""
    status, machine = service.ask("deploy_vm", ALICE, name="web 1", cpus=2)
    assert (status, machine["name"], machine["cpus"], machine["state"]) == (200, "web 1", 2, "running")
    sid = machine["sid"]
    for operation, state in (("stop", "stopped"), ("get", "stopped"), ("start", "running"), ("restart", "running")):
        status, machine = service.ask(f"{operation}_vm", ALICE, sid=sid)
        assert (status, machine["state"]) == (200, state)
    assert service.names(ALICE) == ["web 1"]
    assert service.ask("delete_vm", ALICE, sid=sid) == (200, {"deleted": sid})
    assert service.ask("get_vm", ALICE, sid=sid)[0] == 404


def test_tenants_see_only_their_own(daemon: Daemon) -> None:
    """Another secret, another service and an unknown machine get the same answer, and nothing is changed."""
    with compute(daemon, "one") as one, compute(daemon, "two") as two:
        alices, bobs = (one.ask("deploy_vm", who, name=who[:3])[1]["sid"] for who in (ALICE, BOB))
        assert (one.names(ALICE), one.names(BOB)) == (["ali"], ["bob"])
        missed = [one.ask("stop_vm", BOB, sid=alices), one.ask("delete_vm", ALICE, sid=bobs)]
        missed += [one.ask("get_vm", ALICE, sid=NEVER), two.ask("get_vm", ALICE, sid=alices)]
        assert missed[0][0] == 404
        assert missed == [missed[0]] * 4
        assert two.names(ALICE) == []
        assert one.ask("get_vm", ALICE, sid=alices)[1]["state"] == "running"
        assert one.names(BOB) == ["bob"]


def test_a_guesser_is_stopped_before_all_are(daemon: Daemon) -> None:
    """The service stops a guessing tenant before herod would lock the whole service."""
    with compute(daemon, "guarded") as service:
        answers = [service.ask("get_vm", f"guess {number}", sid=NEVER)[0] for number in range(7)]
        assert answers == [404] * 5 + [429] * 2
        key = (daemon.folder / "guarded.key").read_text().strip()
        answer = daemon.rpc("resources.claim", ["vm", "web 1", ALICE], "-H", f"X-API-Key: {key}")
        params = [answer["result"]["sid"], ALICE]
        assert "result" in daemon.rpc("resources.check", params, "-H", f"X-API-Key: {key}")


def test_bad_questions(service: Service) -> None:
    """Invalid requests are refused by the service, or with herod's message."""
    assert service.ask("format_disk", ALICE)[0] == 404
    assert service.ask("list_vms", None)[0] == 400
    assert service.ask("get_vm", ALICE)[0] == 400
    status, answer = service.ask("deploy_vm", ALICE, name="")
    assert (status, answer["error"]["code"]) == (400, "invalid_request")


def test_a_service_that_may_not_ask(daemon: Daemon) -> None:
    """If herod refuses the service, the tenant gets a 503 without the reason."""
    with compute(daemon, "reader", scope="read") as service:
        status, answer = service.ask("deploy_vm", ALICE, name="web 1")
        assert (status, answer["error"]["code"]) == (503, "unavailable")
        assert "scope" not in answer["error"]["message"]
