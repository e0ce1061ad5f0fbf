"""An example compute service that uses herod to record who owns which machine. The machines are simulated.

The service stores no list of tenants and no secrets. Each tenant sends a secret of their own with every request; herod
returns the machines that this secret owns, and for everybody else those do not exist. Run it next to a herod, with a
key that has scope user and no more (an admin's key could release anything):

    herod key create compute --kind service --scope user --save compute.key
    python examples/compute.py --key compute.key

Without `--key` it authenticates by its uid, which needs `herod peer allow --user compute --scope user`; run it as a
user of its own, neither root nor herod's. Then act as a tenant:

    curl localhost:8080/deploy_vm -H 'X-Secret: mine alone' --json '{"name": "web 1", "cpus": 2}'
    curl localhost:8080/list_vms -H 'X-Secret: mine alone' --json '{}'
    curl localhost:8080/stop_vm -H 'X-Secret: mine alone' --json '{"sid": "..."}'

The other operations are get_vm, start_vm, restart_vm and delete_vm. To serve other machines, put it behind TLS.
"""

import argparse
import os
import time
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import hypercorn
import hypercorn.trio
import msgspec
import trio
from quart import request
from quart_trio import QuartTrio

from herod_client import AsyncClient, Bearer, ClientError, Identity, PeerIdentity, Refused, find_address, parse_address

# herod locks a service, and with it all its tenants, after ten misses within five minutes: stop a caller before that.
MAX_MISSES: Final = 5
MISS_SECONDS: Final = 300


class Deploy(msgspec.Struct, forbid_unknown_fields=True):
    """The parameters of a new machine."""

    name: str
    cpus: int = 1


class Which(msgspec.Struct, forbid_unknown_fields=True):
    """The sid of a machine."""

    sid: str


class All(msgspec.Struct, forbid_unknown_fields=True):
    """No parameters: all machines of the secret."""


class Vm(msgspec.Struct):
    """A machine as its owner sees it."""

    sid: str
    name: str
    cpus: int
    state: str


class Hypervisor:
    """A simulated hypervisor. A real one would start processes; it does not know who owns them."""

    def __init__(self) -> None:
        self._running: set[str] = set()

    def start(self, sid: str) -> None:
        """Start a machine."""
        self._running.add(sid)

    def stop(self, sid: str) -> None:
        """Stop a machine."""
        self._running.discard(sid)

    def state(self, sid: str) -> str:
        """Whether a machine is running or stopped."""
        return "running" if sid in self._running else "stopped"


class Compute:
    """The operations. Each operation on a machine asks herod first whether the secret owns it."""

    def __init__(self, herod: AsyncClient, hypervisor: Hypervisor) -> None:
        self._herod = herod
        self._hypervisor = hypervisor

    async def deploy_vm(self, secret: str, asked: Deploy) -> Vm:
        """Claim a machine with the secret, and start it."""
        resource = await self._ask("claim", secret, kind="vm", name=asked.name, attributes={"cpus": asked.cpus})
        self._hypervisor.start(resource["sid"])
        return self._vm(resource)

    async def list_vms(self, secret: str, asked: All) -> list[Vm]:  # noqa: ARG002 - every operation's form
        """All machines that the secret owns."""
        found: list[Vm] = []
        cursor = None
        while True:
            page = await self._ask("list", secret, kind="vm", cursor=cursor)
            found += [self._vm(resource) for resource in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                return found

    async def get_vm(self, secret: str, asked: Which) -> Vm:
        """One machine."""
        return self._vm(await self._ask("get", secret, sid=asked.sid))

    async def start_vm(self, secret: str, asked: Which) -> Vm:
        """Start a machine."""
        resource = await self._ask("get", secret, sid=asked.sid)
        self._hypervisor.start(asked.sid)
        return self._vm(resource)

    async def stop_vm(self, secret: str, asked: Which) -> Vm:
        """Stop a machine."""
        resource = await self._ask("get", secret, sid=asked.sid)
        self._hypervisor.stop(asked.sid)
        return self._vm(resource)

    async def restart_vm(self, secret: str, asked: Which) -> Vm:
        """Stop a machine, and start it again."""
        resource = await self._ask("get", secret, sid=asked.sid)
        self._hypervisor.stop(asked.sid)
        self._hypervisor.start(asked.sid)
        return self._vm(resource)

    async def delete_vm(self, secret: str, asked: Which) -> dict[str, str]:
        """Stop a machine, then release it: after a crash in between it can still be deleted."""
        await self._ask("check", secret, sid=asked.sid)
        self._hypervisor.stop(asked.sid)
        await self._ask("release", secret, sid=asked.sid)
        return {"deleted": asked.sid}

    async def _ask(self, operation: str, secret: str, **params: object) -> dict[str, Any]:
        answer: dict[str, Any] = await self._herod.call(f"resources.{operation}", {"secret": secret, **params})
        return answer

    def _vm(self, resource: dict[str, Any]) -> Vm:
        sid = resource["sid"]
        return Vm(sid, resource["name"], resource["attributes"]["cpus"], self._hypervisor.state(sid))


class Misses:
    """Counts misses per caller, so that one tenant's guesses do not lock out the others."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._missed: dict[str, deque[float]] = {}

    def are_too_many(self, caller: str) -> bool:
        """Whether a caller has to wait."""
        missed = self._missed.get(caller, deque())
        while missed and missed[0] <= self._clock() - MISS_SECONDS:
            missed.popleft()
        if not missed:
            self._missed.pop(caller, None)
        return len(missed) >= MAX_MISSES

    def add(self, caller: str) -> None:
        """Count a miss."""
        self._missed.setdefault(caller, deque()).append(self._clock())


Answer = tuple[bytes, int, dict[str, str]]


def make_app(herod: AsyncClient) -> QuartTrio:
    """The ASGI application: `POST /OPERATION` with a JSON body, the tenant's secret in `X-Secret`."""
    compute = Compute(herod, Hypervisor())
    misses = Misses()
    operations: dict[str, tuple[Callable[[str, Any], Awaitable[object]], Any]] = {
        "deploy_vm": (compute.deploy_vm, Deploy),
        "list_vms": (compute.list_vms, All),
        "get_vm": (compute.get_vm, Which),
        "start_vm": (compute.start_vm, Which),
        "stop_vm": (compute.stop_vm, Which),
        "restart_vm": (compute.restart_vm, Which),
        "delete_vm": (compute.delete_vm, Which),
    }
    app = QuartTrio(__name__)

    @app.post("/<name>")
    async def answer(name: str) -> Answer:
        secret = request.headers.get("X-Secret", "")
        if name not in operations:
            return error(404, "not_found", "There is no such operation.")
        if not secret:
            return error(400, "invalid_request", "Send a secret of your own in X-Secret.")
        if misses.are_too_many(str(request.remote_addr)):
            return error(429, "rate_limited", "Too many requests for machines that were not found: try again later.")
        operation, takes = operations[name]
        result = await operation(secret, msgspec.json.decode(await request.get_data(), type=takes))
        if result == []:  # an empty list may be a guess at a secret, and herod counts it as a miss
            misses.add(str(request.remote_addr))
        return reply(200, result)

    @app.errorhandler(msgspec.DecodeError)
    async def not_understood(problem: msgspec.DecodeError) -> Answer:
        return error(400, "invalid_request", str(problem))

    @app.errorhandler(ClientError)
    async def not_granted(problem: ClientError) -> Answer:
        """Pass herod's errors about the tenant's request to the tenant; log errors about this service."""
        if isinstance(problem, Refused) and problem.status in {400, 404, 429}:
            if problem.status == 404:
                misses.add(str(request.remote_addr))
            return error(problem.status, problem.code, problem.message)
        app.logger.error("herod does not answer this service: %s", problem.message)
        return error(503, "unavailable", "This service cannot check ownership now: try again.")

    return app


def reply(status: int, body: object) -> Answer:
    """A JSON response."""
    return msgspec.json.encode(body), status, {"Content-Type": "application/json"}


def error(status: int, code: str, message: str) -> Answer:
    """An error, in the same form as herod's."""
    return reply(status, {"error": {"code": code, "message": message}})


async def serve(*, herod: str | None, identity: Identity, bind: str) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        herod: herod's address; None for the socket of this user, or else of this machine.
        identity: the credential that this service sends to herod.
        bind: `HOST:PORT` or `unix:/path`.
    """
    config = hypercorn.Config()
    config.bind = [bind]
    address = find_address(os.environ) if herod is None else parse_address(herod)
    async with AsyncClient(address, identity=identity) as client:
        await hypercorn.trio.serve(make_app(client), config)


def main() -> None:
    """Read the command line, and serve."""
    parser = argparse.ArgumentParser(description="A compute service whose machines are owned with a secret.")
    parser.add_argument(
        "--herod", metavar="ADDRESS", help="unix:/path or https://HOST:PORT; by default, herod's socket"
    )
    parser.add_argument("--key", metavar="FILE", type=Path, help="a service key with scope user; by default, the uid")
    parser.add_argument("--bind", metavar="ADDRESS", default="127.0.0.1:8080", help="HOST:PORT or unix:/path")
    options = parser.parse_args()
    identity: Identity = Bearer(options.key.read_text().strip()) if options.key else PeerIdentity()
    trio.run(lambda: serve(herod=options.herod, identity=identity, bind=options.bind))


if __name__ == "__main__":
    main()
