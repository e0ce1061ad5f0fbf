"""The end of a right on a real daemon, under load on its sockets: after the answer, no request is granted it.

One round in HEROD_RACES / 30, from HEROD_SEED. `attacks/test_races.py` does the same in one process, more often.
"""

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from threading import Event
from typing import Any, Final

import trio

from herod_client import Verifier
from herod_client.core.errors import HerodError
from support.real_daemon import SECRET, Daemon, running
from support.soak_rounds import chance, count

ROUNDS: Final = max(2, count("RACES") // 30)
ENDS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("users.delete", {}), ("users.disable", {}), ("users.scope", {"scope": "read"}), ("users.rotate_secret", {}),
)  # fmt: skip
THREADS: Final = 4


class Ended:
    """When herod answered that a right has ended, and what was granted to requests that began later."""

    def __init__(self) -> None:
        self.event = Event()
        self.stale: list[str] = []
        self.asked = 0


def post(connection: HTTPConnection, path: str, body: Any, headers: Mapping[str, str]) -> Any:
    """POST over a connection that is kept; return the answer's JSON."""
    sent = {"Host": "localhost", "Content-Type": "application/json", **headers}
    connection.request("POST", path, json.dumps(body), sent)
    return json.loads(connection.getresponse().read())


def use(daemon: Daemon, token: str, ended: Ended) -> None:
    """Use a token over TCP until its right has ended, and five times more."""
    connection = HTTPConnection("127.0.0.1", daemon.port, timeout=60)
    left = 5
    while left:
        has_ended = ended.event.is_set()
        left -= has_ended
        validated = post(connection, "/validate", {"token": token}, {})
        if has_ended and "admin" in str(validated.get("scope", "")):
            ended.stale.append("validate")
        has_ended = ended.event.is_set()
        call = {"jsonrpc": "2.0", "id": 1, "method": "users.list", "params": {"limit": 1}}
        listed = post(connection, "/rpc", call, {"Authorization": f"Bearer {token}"})
        if has_ended and "result" in listed:
            ended.stale.append("rpc")
        ended.asked += 1
    connection.close()


async def refused_for_good(verifier: Verifier, token: str) -> None:
    """Wait until the verifier, which learns it from the feed, refuses a token; it must not accept it again."""
    with trio.fail_after(60):
        while True:
            try:
                verifier.verify(token, scope="admin")
            except HerodError:
                break
            await trio.sleep(0.001)
    for _ in range(20):
        try:
            verifier.verify(token, scope="admin")
        except HerodError:
            await trio.lowlevel.checkpoint()
        else:
            raise AssertionError("a refused token was accepted again")


async def test_under_load(tmp_path: Path, say: Callable[[str], None]) -> None:
    """Tokens of an admin who is deleted, disabled, demoted or given another secret, on sockets and in a verifier."""
    draw, asked = chance("races", "daemon"), 0
    with running(tmp_path) as daemon, ThreadPoolExecutor(THREADS) as pool:
        admin = "-H", f"Authorization: Peer {daemon.cookie}"
        daemon.rpc("users.add", {"scope": "admin", "email": "stays@example.org"}, *admin)
        reader = daemon.rpc("keys.create", {"name": "reader", "scope": "read", "kind": "service"}, *admin)
        address = f"unix:{daemon.socket}"
        async with Verifier(address, secret=SECRET, credential=reader["result"]["key"]) as verifier:
            for number in range(ROUNDS):
                made = daemon.rpc("users.add", {"scope": "admin", "email": f"a{number}@example.org"}, *admin)["result"]
                form = (
                    f"grant_type=client_credentials&client_id={made['client_id']}&client_secret={made['client_secret']}"
                )
                token = daemon.curl("/token", "-d", form)[1]["access_token"]
                ended = Ended()
                jobs = [pool.submit(use, daemon, token, ended) for _ in range(THREADS)]
                name, more = ENDS[draw.randrange(len(ENDS))]
                call = {"client_id": made["client_id"], **more}
                answer = await trio.to_thread.run_sync(partial(daemon.rpc, name, call, *admin))
                ended.event.set()
                assert "result" in answer
                await refused_for_good(verifier, token)
                for job in jobs:
                    await trio.to_thread.run_sync(job.result)
                assert ended.stale == [], name
                asked += ended.asked
    say(f"{ROUNDS} rounds, {asked} requests of each kind, 0 stale")
