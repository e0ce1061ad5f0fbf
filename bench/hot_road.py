"""Throughput of a running herod for services: /validate and auth.verify, compared with a trio line echo.

Run it alone: `python bench/hot_road.py [seconds] [rounds]`. It prints a table and writes `build/bench/hot_road.json`.
The daemon is the real command with its sealed store, pinned to one core; the load runs on the other.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

import floors
import load

from herod_client.core.access_tokens import Claims, issue
from herod_client.core.signing_keys import hs256_key

CONNECTIONS: Final = (1, 16, 64)
SECRET: Final = "a secret for benchmarks, long enough for anyone"  # noqa: S105 - made up
SEEN: Final = 200
LINE: Final = [b"x" * 300 + b"\n"]
NEW_PER_SECOND: Final = 25_000  # more than can be used, so that none is repeated


def request(path: str, body: object) -> bytes:
    """Build a POST as a service would send it."""
    text = json.dumps(body).encode()
    return (
        b"POST %b HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (path.encode(), len(text), text)
    )


def token(client_id: str) -> str:
    """Sign a new token of the account, as herod would."""
    now = int(time.time())
    claims = Claims(
        sub=client_id,
        iss="hero_auth",
        iat=now,
        exp=now + 3600,
        scope="write",
        jti=str(uuid4()),
        epoch=1,
        via="client_secret",
    )
    return issue(claims, hs256_key(SECRET))


def validations(client_id: str, count: int) -> list[bytes]:
    """Build `count` validations, each of a different token."""
    return [request("/validate", {"token": token(client_id), "scope": "read"}) for _ in range(count)]


@contextmanager
def daemon(folder: Path, *arguments: str) -> Iterator[Path]:
    """Run herod on core 0; yields the path of its Unix socket."""
    path = folder / "herod.sock"
    process = subprocess.Popen(
        ["/usr/bin/taskset", "-c", "0", sys.executable, "-m", "herod", "serve", "--bind", f"unix:{path}",
         "--store", f"sqlite:{folder}/store/herod.db", "--log-level", "error", *arguments],
        env={**os.environ, "HERO_SECRET": SECRET},
    )  # fmt: skip
    try:
        wait_for(path)
        yield path
    finally:
        process.terminate()
        process.wait()


def wait_for(path: Path) -> None:
    """Wait until the daemon answers."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(path))
                probe.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                if probe.recv(20).startswith(b"HTTP/1.1 200"):
                    return
            except OSError:
                time.sleep(0.005)
    raise RuntimeError("herod does not answer")


def herod_json(path: Path, *arguments: str) -> dict[str, str]:
    """Run the CLI as the local admin."""
    done = subprocess.run(
        [sys.executable, "-m", "herod", "--url", f"unix:{path}", "--output", "json", *arguments],
        check=True,
        capture_output=True,
    )
    answer: dict[str, str] = json.loads(done.stdout)
    return answer


def compare(folder: Path, path: Path, *, seconds: float, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Measure requests per second of each kind, by number of connections, interleaved with a line echo."""
    client_id = herod_json(path, "user", "add", "bench@example.org", "--scope", "write")["client_id"]
    key = herod_json(path, "key", "create", "bench", "--scope", "registrar")["key"]
    verify = [request("/rpc", {"jsonrpc": "2.0", "id": 1, "method": "auth.verify", "params": {"key": key}})]
    seen = validations(client_id, SEEN)
    count = int(NEW_PER_SECOND * seconds)
    rates: dict[str, dict[str, list[float]]] = {}

    def note(name: str, address: str, requests: list[bytes], connections: int, framing: load.Framing = "http") -> None:
        result = load.measure(address, requests, connections=connections, seconds=seconds, framing=framing)
        if result.failed:
            raise RuntimeError(f"{name}: {result.failed} answers were not successful")
        rates.setdefault(name, {}).setdefault(str(connections), []).append(round(result.rate))

    for _ in range(rounds):
        for connections in CONNECTIONS:
            note("validate, seen token", str(path), seen, connections)
            mixed = mix(seen, validations(client_id, count // 10), count)
            note("validate, 10% new tokens", str(path), mixed, connections)
            note("validate, new tokens", str(path), validations(client_id, count), connections)
            note("auth.verify, API key", str(path), verify, connections)
            with floors.running("echo", folder) as echo:
                note("trio line echo", echo, LINE, connections, "line")
            (folder / "echo").unlink(missing_ok=True)
    return rates


def mix(seen: Sequence[bytes], new: Sequence[bytes], count: int) -> list[bytes]:
    """Mix one new request into every nine seen ones."""
    return [new[number // 10 % len(new)] if number % 10 == 9 else seen[number % len(seen)] for number in range(count)]


def start_and_memory() -> dict[str, float]:
    """Measure milliseconds from exec to the first answer on an existing store (median of 5), and idle resident MiB."""
    starts, resident = [], 0.0
    with tempfile.TemporaryDirectory() as name:
        for _ in range(6):
            before = time.perf_counter()
            with daemon(Path(name)) as path:
                starts.append((time.perf_counter() - before) * 1000)
                resident = resident_mib(path)
    return {"start to first answer, ms": round(statistics.median(starts[1:])), "resident, MiB": round(resident, 1)}


def resident_mib(path: Path) -> float:
    """Return the VmRSS of the daemon that listens on `path`, in MiB."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.connect(str(path))
        credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    pid = int.from_bytes(credentials[:4], sys.byteorder)
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def main() -> None:
    """Measure, print the table, write the JSON."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    with tempfile.TemporaryDirectory() as name, daemon(Path(name)) as path:
        rates = compare(Path(name), path, seconds=seconds, rounds=rounds)
    facts = start_and_memory()
    print(f"{'requests/s':28} {'connections':>11} {'median':>9} {'min':>9} {'max':>9} {'of echo':>8}")
    for kind, by_connections in rates.items():
        for connections, found in by_connections.items():
            share = statistics.median(found) / statistics.median(rates["trio line echo"][connections])
            print(
                f"{kind:28} {connections:>11} {statistics.median(found):9,.0f} {min(found):9,.0f} {max(found):9,.0f} "
                f"{share:8.2f}"
            )
    for fact, value in facts.items():
        print(f"{fact:28} {value:>21}")
    target = Path(__file__).parents[1] / "build" / "bench" / "hot_road.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps({"rates": rates, **facts}, indent=2))


if __name__ == "__main__":
    main()
