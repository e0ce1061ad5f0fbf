"""A compute service that leaves to herod who owns what: pretend machines, real ownership.

It keeps no list of tenants and no secret. A tenant sends a secret of their own with every request; herod says which
machines it owns, and to everybody else those do not exist. Run it beside a herod, with a key for scope user and nothing
more (an admin's would release anything):

    herod key create compute --kind service --scope user --save compute.key
    python examples/compute.py --key compute.key

Without `--key` herod knows it by its uid, once `herod peer allow --user compute --scope user` has let that in: a user
of its own, neither root nor herod's. Then be a tenant:

    curl localhost:8080/deploy_vm -H 'X-Secret: mine alone' --json '{"name": "web 1", "cpus": 2}'
    curl localhost:8080/list_vms -H 'X-Secret: mine alone' --json '{}'
    curl localhost:8080/stop_vm -H 'X-Secret: mine alone' --json '{"sid": "..."}'

The other operations are get_vm, start_vm, restart_vm and delete_vm. Beyond one machine it belongs behind TLS.
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

# herod locks a service that misses ten times within five minutes, with all its tenants: no caller may miss so often.
MAX_MISSES: Final = 5
MISS_SECONDS: Final = 300


class Deploy(msgspec.Struct, forbid_unknown_fields=True):
    """What a new machine should be."""

    name: str
    cpus: int = 1


class Which(msgspec.Struct, forbid_unknown_fields=True):
    """A machine by its sid."""

    sid: str


class All(msgspec.Struct, forbid_unknown_fields=True):
    """Every machine of the secret's."""


class Vm(msgspec.Struct):
    """A machine as its owner sees it."""

    sid: str
    name: str
    cpus: int
    state: str


class Hypervisor:
    """Pretends. A real one would start processes here; whose they are is not its business."""

    def __init__(self) -> None:
        self._running: set[str] = set()

    def start(self, sid: str) -> None:
        """Run it."""
        self._running.add(sid)

    def stop(self, sid: str) -> None:
        """Run it no more."""
        self._running.discard(sid)

    def state(self, sid: str) -> str:
        """Whether it runs."""
        return "running" if sid in self._running else "stopped"


class Compute:
    """The operations. Whatever names a machine asks herod before it touches one."""

    def __init__(self, herod: AsyncClient, hypervisor: Hypervisor) -> None:
        self._herod = herod
        self._hypervisor = hypervisor

    async def deploy_vm(self, secret: str, asked: Deploy) -> Vm:
        """Claim a machine for the secret, and start it."""
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
        """Stop a machine and give it up: whoever dies in between has a machine left to delete, not a stray one."""
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
    """Who has asked for what is not theirs, and how often: one tenant's guesses must not lock out the others."""

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
        """Count one more."""
        self._missed.setdefault(caller, deque()).append(self._clock())


Answer = tuple[bytes, int, dict[str, str]]


def make_app(herod: AsyncClient) -> QuartTrio:
    """The service as an application: `POST /OPERATION` with a JSON body, the tenant's secret in `X-Secret`."""
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
            return error(429, "rate_limited", "Too much of what you asked for is not yours: try again later.")
        operation, takes = operations[name]
        result = await operation(secret, msgspec.json.decode(await request.get_data(), type=takes))
        if result == []:  # nothing owned: it may be a guess at a secret, and herod counts it as one
            misses.add(str(request.remote_addr))
        return reply(200, result)

    @app.errorhandler(msgspec.DecodeError)
    async def not_understood(problem: msgspec.DecodeError) -> Answer:
        return error(400, "invalid_request", str(problem))

    @app.errorhandler(ClientError)
    async def not_granted(problem: ClientError) -> Answer:
        """What herod says of the tenant's request is for the tenant; what it says of this service is for its log."""
        if isinstance(problem, Refused) and problem.status in {400, 404, 429}:
            if problem.status == 404:
                misses.add(str(request.remote_addr))
            return error(problem.status, problem.code, problem.message)
        app.logger.error("herod does not answer this service: %s", problem.message)
        return error(503, "unavailable", "This service cannot tell what is whose now: try again.")

    return app


def reply(status: int, body: object) -> Answer:
    """An answer in JSON."""
    return msgspec.json.encode(body), status, {"Content-Type": "application/json"}


def error(status: int, code: str, message: str) -> Answer:
    """A refusal, in the form of herod's own."""
    return reply(status, {"error": {"code": code, "message": message}})


async def serve(*, herod: str | None, identity: Identity, bind: str) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        herod: its address; None for the socket of this user, or else of this machine.
        identity: as whom herod is asked.
        bind: `HOST:PORT` or `unix:/path`.
    """
    config = hypercorn.Config()
    config.bind = [bind]
    address = find_address(os.environ) if herod is None else parse_address(herod)
    async with AsyncClient(address, identity=identity) as client:
        await hypercorn.trio.serve(make_app(client), config)


def main() -> None:
    """Read the command line, and serve."""
    parser = argparse.ArgumentParser(description="A compute service whose machines belong to whoever knows a secret.")
    parser.add_argument("--herod", metavar="ADDRESS", help="unix:/path or http://HOST:PORT; by default, its socket")
    parser.add_argument("--key", metavar="FILE", type=Path, help="a service key with scope user; by default, the uid")
    parser.add_argument("--bind", metavar="ADDRESS", default="127.0.0.1:8080", help="HOST:PORT or unix:/path")
    options = parser.parse_args()
    identity: Identity = Bearer(options.key.read_text().strip()) if options.key else PeerIdentity()
    trio.run(lambda: serve(herod=options.herod, identity=identity, bind=options.bind))


if __name__ == "__main__":
    main()
