"""A load generator with persistent connections to one server, in its own process and on its own core.

`measure()` is for other benchmarks: it starts this file as a program, so that the benchmark and the load never share an
interpreter. Every connection sends its next request when the last one is answered. Must be cheaper than any server
that it loads: `floors.py` shows its ceiling.
"""

import base64
import json
import os
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

__all__ = ["Address", "Result", "measure", "pin"]

Address = str | tuple[str, int]  # a Unix socket's path, or a TCP host and port
Framing = Literal["http", "line"]

MOST_SECONDS: Final = 5.0
_LENGTH: Final = b"\r\nContent-Length: "


@dataclass(frozen=True)
class Result:
    """The result of a load. Times are in microseconds.

    Attributes:
        failed: answers that are not 2xx.
    """

    rate: float
    p50: float
    p99: float
    answers: int
    failed: int


def pin(core: int) -> None:
    """Pin this process to one core, if the machine has it."""
    if core in os.sched_getaffinity(0):
        os.sched_setaffinity(0, {core})


def measure(
    address: Address,
    requests: Sequence[bytes],
    *,
    connections: int,
    seconds: float = 2.0,
    core: int = 1,
    framing: Framing = "http",
) -> Result:
    """Load one server and return the result.

    Args:
        address: where it listens.
        requests: complete messages, shared by the connections: none is repeated before all were sent.
        connections: number of connections, open all the time.
        seconds: at most 5; a warm-up of a tenth of it is not measured.
        core: where the load runs; the server should use another one.
        framing: what an answer is: HTTP with Content-Length, or a line.
    """
    order = {
        "address": address,
        "requests": [base64.b64encode(request).decode("ascii") for request in requests],
        "connections": connections,
        "seconds": min(seconds, MOST_SECONDS),
        "core": core,
        "framing": framing,
    }
    done = subprocess.run(
        [sys.executable, __file__],
        input=json.dumps(order).encode(),
        stdout=subprocess.PIPE,
        check=True,
        timeout=3 * MOST_SECONDS + 10,
    )
    return Result(**json.loads(done.stdout))


def _connect(address: Address) -> socket.socket:
    if isinstance(address, str):
        connected = socket.socket(socket.AF_UNIX)
        connected.connect(address)
    else:
        connected = socket.create_connection(address)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connected


def _missing(data: bytes, framing: Framing) -> int:
    """Return how many bytes of one answer are missing: 0 for none, -1 for unknown."""
    if framing == "line":
        return 0 if data.endswith(b"\n") else -1
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return -1
    start = data.find(_LENGTH, 0, end) + len(_LENGTH)
    if start < len(_LENGTH):
        return 0
    stop = data.find(b"\r\n", start)
    return end + 4 + int(data[start:stop]) - len(data)


def _is_good(data: bytes, framing: Framing) -> bool:
    return framing == "line" or data.startswith(b"HTTP/1.1 2")


def _receive(connected: socket.socket, framing: Framing) -> bytes:
    data = connected.recv(65536)
    while _missing(data, framing):
        more = connected.recv(65536)
        if not more:
            raise ConnectionError("the server closed the connection")
        data += more
    return data


def _run_one(address: Address, requests: list[bytes], seconds: float, framing: Framing) -> tuple[list[int], int]:
    """Drive a single connection; blocking calls cost less than a selector."""
    times: list[int] = []
    failed = 0
    clock = time.perf_counter_ns
    with _connect(address) as connected:
        end = clock() + int(seconds * 1e9)
        before = clock()
        at = 0
        while before < end:
            connected.sendall(requests[at])
            failed += not _is_good(_receive(connected, framing), framing)
            after = clock()
            times.append(after - before)
            before = after
            at = (at + 1) % len(requests)
    return times, failed


def _run_many(
    address: Address, requests: list[bytes], connections: int, seconds: float, framing: Framing
) -> tuple[list[int], int]:
    """Drive many connections from one loop."""
    times: list[int] = []
    failed = 0
    clock = time.perf_counter_ns
    count = len(requests)
    sockets = [_connect(address) for _ in range(connections)]
    poll = selectors.EpollSelector()
    started = [0] * connections
    turn = list(range(connections))
    for number, connected in enumerate(sockets):
        poll.register(connected, selectors.EVENT_READ, number)
    end = clock() + int(seconds * 1e9)
    for number, connected in enumerate(sockets):
        started[number] = clock()
        connected.sendall(requests[turn[number] % count])
    # The selector's bookkeeping costs more than the calls themselves: ask the kernel directly.
    by_descriptor = {one.fileno(): (number, one) for number, one in enumerate(sockets)}
    epoll = poll._selector  # type: ignore[attr-defined]  # noqa: SLF001 - see above
    now = clock()
    while now < end:
        for descriptor, _ in epoll.poll(1.0):
            number, connected = by_descriptor[descriptor]
            failed += not _is_good(_receive(connected, framing), framing)
            now = clock()
            times.append(now - started[number])
            turn[number] += connections
            started[number] = now
            connected.sendall(requests[turn[number] % count])
    for connected in sockets:
        connected.close()
    poll.close()
    return times, failed


def _run(
    address: Address, requests: list[bytes], connections: int, seconds: float, framing: Framing
) -> tuple[list[int], int]:
    if connections == 1:
        return _run_one(address, requests, seconds, framing)
    return _run_many(address, requests, connections, seconds, framing)


def _main() -> None:
    order = json.load(sys.stdin)
    pin(order["core"])
    address: Address = order["address"] if isinstance(order["address"], str) else tuple(order["address"])
    requests = [base64.b64decode(request) for request in order["requests"]]
    connections, seconds, framing = order["connections"], order["seconds"], order["framing"]
    _run(address, requests, connections, seconds / 10, framing)
    started = time.perf_counter()
    times, failed = _run(address, requests, connections, seconds, framing)
    took = time.perf_counter() - started
    times.sort()
    result = Result(
        rate=len(times) / took,
        p50=times[len(times) // 2] / 1000,
        p99=times[len(times) * 99 // 100] / 1000,
        answers=len(times),
        failed=failed,
    )
    Path("/dev/stdout").write_text(json.dumps(asdict(result)))


if __name__ == "__main__":
    _main()
