"""A proxy in front that shares its connections: each answer is for the identity of its own request, and for no other.

HEROD_SHARED requests of mixed identities from HEROD_SEED, pipelined over a few connections; a proxy's connection is
never a local user, whatever the requests on it claim.
"""

import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import trio

from attacks.escalation_world import Caller, World, open_world
from support.herod_in_memory import COOKIE
from support.in_process_server import Client, Running, Way, serving
from support.soak_rounds import chance, count

REQUESTS: Final = count("SHARED")
CONNECTIONS: Final = 8
WAYS: Final[tuple[Way, ...]] = ("unix", "tcp")
Seen = tuple[Any, ...]


@dataclass(frozen=True)
class Asked:
    """A request as the proxy sends it, and what must come back."""

    caller: str
    data: bytes
    expected: Seen


async def whoami(world: World, caller: Caller) -> Seen:
    """What a caller is without a proxy, over TCP."""
    answer = await world.harness.request("GET", "/api/v1/whoami", headers=caller.headers)
    if answer.status != 200:
        return (answer.status,)
    who = answer.json["data"]
    return (200, who["sub"], who["scope"])


def asked(caller: Caller, expected: Seen, number: int, draw: random.Random) -> Asked:
    """A request of this caller, in one of three protocols."""
    fields = {"host": "localhost", "x-forwarded-for": f"10.0.0.{number % 250}", "via": "1.1 proxy", **caller.headers}
    body = b""
    match draw.randrange(3):
        case 0:
            line = "GET /api/v1/whoami HTTP/1.1"
        case 1:
            line, body = "POST /rpc HTTP/1.1", _call(number)
        case _:
            line, body = "POST / HTTP/1.1", b"[" + b",".join((_call(number), _call(number))) + b"]"
    if body:
        fields |= {"content-type": "application/json", "content-length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return Asked(caller.name, f"{line}\r\n{head}\r\n".encode() + body, expected)


def _call(number: int) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": "whoami"}).encode()


def said(status: int, body: bytes) -> Seen:
    """Who the answer says that asked: an answer to a batch must say the same twice."""
    value = json.loads(body)
    if isinstance(value, list):
        first, second = (_of_rpc(item) for item in value)
        assert first == second
        return first
    if "jsonrpc" in value:
        return _of_rpc(value)
    return (status, value["data"]["sub"], value["data"]["scope"]) if status == 200 else (status,)


def _of_rpc(item: dict[str, Any]) -> Seen:
    if "error" in item:
        return (item["error"]["code"] - 3600,)
    return (200, item["result"]["sub"], item["result"]["scope"])


async def connection(running: Running, way: Way, requests: list[Asked], draw: random.Random) -> None:
    """Send requests over one connection, a few at once, and check each answer; a new one when the server closes it."""
    client: Client | None = None
    while requests:
        some = [requests.pop() for _ in range(min(len(requests), draw.randrange(1, 6)))]
        client = client or await running.connect(way)
        await client.send(b"".join(one.data for one in some))
        for one in some:
            answer = await client.answer()
            assert said(answer.status, answer.body) == one.expected, one
        if draw.random() < 0.02:
            await client.send(b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1, 1\r\n\r\n")  # from one of its clients
            assert (await client.answer()).status == 400
            await client.stream.aclose()
            client = None
    if client is not None:
        await client.stream.aclose()


async def test_mixed_identities(say: Callable[[str], None]) -> None:
    """Every request over shared connections is answered as the same request by itself."""
    draw = chance("shared")
    async with open_world() as world:
        known = {name: await whoami(world, caller) for name, caller in world.callers.items()}
        callers = [*world.callers.values(), Caller("a guess", {"authorization": f"Peer {COOKIE}"}, ())]
        known["a guess"] = (401,)
        piles: list[list[Asked]] = [[] for _ in range(CONNECTIONS)]
        for number in range(REQUESTS):
            caller = draw.choice(callers)
            draw.choice(piles).append(asked(caller, known[caller.name], number, draw))
        async with serving(world.harness.router) as running, trio.open_nursery() as nursery:
            for number, pile in enumerate(piles):
                nursery.start_soon(connection, running, WAYS[number % 2], pile, chance("shared", number))
        statuses = Counter(seen[0] for seen in known.values())
    say(
        f"{REQUESTS} requests of {len(callers)} identities over {CONNECTIONS} connections; identities: {dict(statuses)}"
    )
