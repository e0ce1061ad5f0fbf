"""One local user attacks a limit of a real daemon while another uses it: who is served, and how quickly.

As root both are users of their own, over the Unix socket and TCP. Otherwise, where all processes are one user's, the
attacker comes over a Unix socket that does not ask who its peer is, which is another source.

`python tests/support/siege.py SECONDS [ATTACK ...]` prints the figures, with the daemon that `python -m herod` starts.
"""

import http.client
import json
import os
import random
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from support.real_daemon import Daemon, free_port, running

__all__ = ["ATTACKS", "Outcome", "Place", "besiege", "besieged"]

ATTACKER: Final = 4801
DEFENDER: Final = 4802
FIRST_SUBORDINATE: Final = 100_000
EMAIL: Final = "ada@example.org"
PASSWORD: Final = "the long password of ada"
LEGACY: Final = "a secret of an older system"
PATIENCE: Final = 10.0  # seconds until a request has failed
THREADS: Final = 10  # of an attacker, for each transport
ACCOUNTS: Final = 16
SERVED: Final = 200


@dataclass(frozen=True)
class Place:
    """Where a daemon listens."""

    path: str | None
    port: int | None = None


@dataclass
class Besieged:
    """A daemon with the accounts of attacker and defender.

    Attributes:
        tokens: of the attacker's accounts.
        token: of the defender's account.
        cursor: of the change feed.
    """

    daemon: Daemon
    attackers: tuple[Place, ...]
    defenders: tuple[Place, ...]
    tokens: list[str]
    token: str
    cursor: str


@dataclass
class Outcome:
    """The defender's requests of one kind: the statuses and the seconds that each took."""

    statuses: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def served(self) -> int:
        """How many were answered as if there was no attack."""
        return self.statuses.count(SERVED)

    @property
    def p99(self) -> float:
        """Seconds that 99 of 100 took at most."""
        return sorted(self.seconds)[max(0, -(-len(self.seconds) * 99 // 100) - 1)] if self.seconds else 0.0


class Line(http.client.HTTPConnection):
    """A connection to one of the places."""

    def __init__(self, place: Place) -> None:
        super().__init__("localhost", place.port, timeout=PATIENCE)
        self.place = place

    def connect(self) -> None:
        """Connect over the place's transport."""
        if self.place.path is None:
            self.sock = socket.socket()
            self.sock.settimeout(PATIENCE)
            self.sock.connect(("127.0.0.1", self.place.port))
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self.place.path)

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, bytes]:
        """Send one request; return status and body. -1: the connection failed."""
        content = None if body is None else json.dumps(body)
        sent = {"Content-Type": "application/json"} if content is not None else {}
        try:
            self.request(method, path, content, {**sent, **headers})
            answer = self.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            return -1, b""


Step = Callable[[Line, random.Random, Besieged], object]


def wrong_passwords(line: Line, chance: random.Random, at: Besieged) -> object:
    """Guess the defender's password."""
    return line.ask("POST", "/login", {"email": EMAIL, "password": f"a wrong password {chance.random()}"})


def random_logins(line: Line, chance: random.Random, at: Besieged) -> object:
    """Sign in to accounts that do not exist."""
    return line.ask("POST", "/login", {"email": f"{chance.random()}@example.org", "password": "a wrong password"})


def legacy_secrets(line: Line, chance: random.Random, at: Besieged) -> object:
    """Guess the legacy secret."""
    return line.ask("GET", "/api/v1/whoami", **{"X-Herod-Secret": f"guess {chance.random()}"})


def registrations(line: Line, chance: random.Random, at: Besieged) -> object:
    """Register accounts."""
    body = {"email": f"{chance.random()}@example.org", "password": "correct horse battery"}
    return line.ask("POST", "/register", body)


def validate_guesses(line: Line, chance: random.Random, at: Besieged) -> object:
    """Ask whether guesses are the legacy secret."""
    return line.ask("POST", "/validate", {"token": f"guess {chance.random()}"})


def denials(line: Line, chance: random.Random, at: Besieged) -> object:
    """Be refused for many reasons."""
    path = chance.choice(("/api/v1/users", "/api/v1/keys", "/api/v1/audit", "/api/v1/stats"))
    return line.ask("GET", path, Authorization=f"Bearer herod_s_{chance.randbytes(6).hex()}_{'0' * 49}")


def codes(line: Line, chance: random.Random, at: Besieged) -> object:
    """Make codes of `herod ui`, and guess others'."""
    call = {"jsonrpc": "2.0", "id": 1, "method": "session.code", "params": {}}
    line.ask("POST", "/rpc", call, Authorization=f"Bearer {chance.choice(at.tokens)}")
    return line.ask("GET", f"/ui/code?code={chance.randbytes(20).hex()}")


def feed_places(line: Line, chance: random.Random, at: Besieged) -> object:
    """Wait for changes with the tokens of many accounts."""
    path = f"/api/v1/tokens/changes?wait=30&cursor={at.cursor}"
    with suppress(OSError):
        sockets = []
        for _ in range(26):
            silent = Line(line.place)
            silent.request("GET", path, headers={"Authorization": f"Bearer {chance.choice(at.tokens)}"})
            sockets.append(silent)
        time.sleep(0.5)
        for silent in sockets:
            silent.close()
    return None


def connections(line: Line, chance: random.Random, at: Besieged) -> object:
    """Open connections and send nothing."""
    with suppress(OSError):
        opened = []
        for _ in range(60):
            silent = Line(line.place)
            silent.connect()
            opened.append(silent)
        time.sleep(0.3)
        for silent in opened:
            silent.close()
    return None


def unread_answers(line: Line, chance: random.Random, at: Besieged) -> object:
    """Ask for large answers and read nothing."""
    with suppress(OSError):
        line.connect()
        line.sock.settimeout(0.3)
        with suppress(TimeoutError):
            line.sock.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2000)
            time.sleep(0.3)
        line.close()
    return None


# The attack → what each thread repeats. `range` is `random_logins` by a range of subordinate uids.
ATTACKS: Final[Mapping[str, Step]] = {
    "nothing": lambda line, chance, at: time.sleep(0.1),
    "wrong passwords": wrong_passwords,
    "random logins": random_logins,
    "random logins of many uids": random_logins,
    "legacy secrets": legacy_secrets,
    "registrations": registrations,
    "validate guesses": validate_guesses,
    "denials": denials,
    "codes": codes,
    "feed places": feed_places,
    "connections": connections,
    "unread answers": unread_answers,
}


@contextmanager
def besieged() -> Iterator[Besieged]:
    """Start a daemon with the accounts of both."""
    with tempfile.TemporaryDirectory(prefix="herod-siege-") as name:
        Path(name).chmod(0o755)  # other users connect to the socket below it
        with _besieged(Path(name)) as at:
            yield at


@contextmanager
def _besieged(folder: Path) -> Iterator[Besieged]:
    port, plain, blind = free_port(), folder / "herod.sock", folder / "blind.sock"
    binds = (f"unix:{plain},mode=0666", f"unix:{blind},mode=0666,peer=off", f"127.0.0.1:{port}")
    with running(folder, binds=binds, HEROD_USER_SECRET=LEGACY, HEROD_REGISTRATION="open") as daemon:
        admin, header = Line(Place(str(plain))), {"Authorization": f"Peer {daemon.cookie}"}
        users = []
        for number in range(ACCOUNTS + 1):
            user = {"password": PASSWORD, "email": EMAIL} if number == ACCOUNTS else {}
            call = {"jsonrpc": "2.0", "id": 1, "method": "users.add", "params": {"scope": "read", **user}}
            users.append(json.loads(admin.ask("POST", "/rpc", call, **header)[1])["result"])
        tokens = [_token(admin, user["client_id"], user["client_secret"]) for user in users]
        cursor = json.loads(admin.ask("GET", "/api/v1/tokens/changes", **header)[1])["data"]["cursor"]
        admin.close()
        both = (Place(str(plain)), Place(None, port))
        attackers, defenders = (both, both) if os.geteuid() == 0 else ((Place(str(blind)),), both)
        yield Besieged(daemon, attackers, defenders, tokens[:ACCOUNTS], tokens[ACCOUNTS], cursor)


def besiege(at: Besieged, attack: str, seconds: float) -> dict[str, Outcome]:
    """Attack for some seconds; return what became of the defender's requests, by kind."""
    end = time.monotonic() + seconds + 0.5
    processes, threads = (THREADS // 2, 1) if _is_by_range(attack) else (1, THREADS)
    children = [
        _fork(ATTACKER, partial(_attack, at, attack, place, end, threads, number))
        for place in at.attackers
        for number in range(processes)
    ]
    reading, writing = os.pipe()
    time.sleep(0.5)  # the attack is at its height
    defender = _fork(DEFENDER, lambda: os.write(writing, json.dumps(_defend(at, end)).encode()))
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        found = json.loads(pipe.read())
    for child in (defender, *children):
        os.waitpid(child, 0)
    return {kind: Outcome(*figures) for kind, figures in found.items()}


def _fork(uid: int, work: Callable[[], object]) -> int:
    """Run `work` in a child of another user, if this is root; return its pid."""
    child = os.fork()
    if child:
        return child
    try:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(0, uid, 0)  # the kernel names the effective one
        work()
    finally:
        os._exit(0)


def _is_by_range(attack: str) -> bool:
    """Whether each request comes from another uid; these belong to a process, so it has one thread."""
    return attack.endswith("many uids")


def _attack(at: Besieged, attack: str, place: Place, end: float, thread_count: int, process: int) -> None:
    step, is_range = ATTACKS[attack], _is_by_range(attack) and os.getuid() == 0

    def repeat(number: int) -> None:
        chance, line = random.Random(f"{attack} {place} {process} {number}"), Line(place)  # noqa: S311 - to repeat a run
        while time.monotonic() < end:
            if is_range:
                os.setresuid(0, 0, 0)
                os.setresuid(0, FIRST_SUBORDINATE + chance.randrange(60_000), 0)
                line.close()
            step(line, chance, at)

    threads = [threading.Thread(target=repeat, args=(number,), daemon=True) for number in range(thread_count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))


def _defend(at: Besieged, end: float) -> dict[str, tuple[list[int], list[float]]]:
    """Use herod until the end, over both transports in turn; return statuses and seconds by kind."""
    found: dict[str, tuple[list[int], list[float]]] = {}

    def ask(kind: str, line: Line, *request: Any, wait: float = 0.0, **headers: Any) -> bytes:
        began = time.monotonic()
        status, body = line.ask(*request, **headers)
        statuses, seconds = found.setdefault(kind, ([], []))
        statuses.append(status)
        seconds.append(max(0.0, time.monotonic() - began - wait))
        if status != SERVED:
            time.sleep(0.1)
            return b""
        return body

    def follow() -> None:
        line, cursor = Line(at.defenders[-1]), at.cursor
        while time.monotonic() < end:
            path = f"/api/v1/tokens/changes?wait=1&cursor={cursor}"
            body = ask("feed", line, "GET", path, wait=1.0, Authorization=f"Bearer {at.token}")
            cursor = json.loads(body)["data"]["cursor"] if body else cursor

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    lines = [Line(place) for place in at.defenders]
    while time.monotonic() < end:
        for line in lines:
            ask("sign in", line, "POST", "/login", {"email": EMAIL, "password": PASSWORD})
            ask("validate", line, "POST", "/validate", {"token": at.token})
            ask("legacy", line, "GET", "/api/v1/whoami", Authorization=f"Bearer {LEGACY}")
            ask("ask about legacy", line, "POST", "/validate", {"token": LEGACY})
            time.sleep(0.1)
    follower.join(PATIENCE)
    return found


def _token(line: Line, client_id: str, secret: str) -> str:
    body = f"grant_type=client_credentials&client_id={client_id}&client_secret={secret}"
    line.request("POST", "/token", body, {"Content-Type": "application/x-www-form-urlencoded"})
    token: str = json.loads(line.getresponse().read())["access_token"]
    return token


def describe(attack: str, outcomes: Mapping[str, Outcome]) -> str:
    """One line of figures: of each kind the served of all, and the 99th percentile in milliseconds."""
    parts = [
        f"{kind} {outcome.served}/{len(outcome.statuses)} p99 {outcome.p99 * 1000:.0f} ms"
        for kind, outcome in outcomes.items()
    ]
    return f"{attack}: {', '.join(parts)}"


def main() -> None:
    """Print the figures of some attacks, or of all."""
    seconds, *attacks = sys.argv[1:]
    for attack in attacks or ATTACKS:
        with besieged() as at:
            print(describe(attack, besiege(at, attack, float(seconds))), flush=True)  # noqa: T201 - its purpose


if __name__ == "__main__":
    main()
