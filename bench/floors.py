"""The limits of this machine: the load generator, a trio line echo, and herod's server with an empty handler.

Compare every other figure in `bench/` with these. Run it alone: `python bench/floors.py [seconds] [rounds]`.
"""

import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import load
import trio

from herod.protocols.http import Request, Response
from herod.server.connection_limits import Limits
from herod.server.connections import serve
from herod.server.sockets.listeners import listening
from herod.settings.bind_addresses import UnixBind

CONNECTIONS: Final = (1, 16, 64)
BODY: Final = b'{"token":"' + b"x" * 300 + b'"}'
REQUEST: Final = (
    b"POST /validate HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
)
# Different heads, so that no head is repeated at once.
NEW_HEADS: Final = [REQUEST.replace(b"bench", b"bench%d" % number) for number in range(17)]
ANSWER: Final = Response(200, b'{"valid":true}', (("Content-Type", "application/json"),), is_quiet=True)


def serve_constant(path: str) -> None:
    """Answer every read with the same line, with neither trio nor parsing: the load's ceiling."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(128)
    poll = selectors.DefaultSelector()
    poll.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in poll.select():
            ready = key.fileobj
            assert isinstance(ready, socket.socket)
            if ready is listener:
                poll.register(listener.accept()[0], selectors.EVENT_READ)
            else:
                try:
                    is_open = bool(ready.recv(65536)) and ready.send(b"ok\n") > 0
                except OSError:  # the load closes while answers are in transit
                    is_open = False
                if not is_open:
                    poll.unregister(ready)
                    ready.close()


def serve_echo(path: str) -> None:
    """Echo lines on trio's own streams."""

    async def echo(stream: trio.SocketStream) -> None:
        async with stream:
            with suppress(trio.BrokenResourceError):  # the load closes while answers are in transit
                await echo_lines(stream)

    async def echo_lines(stream: trio.SocketStream) -> None:
        line = b""
        async for data in stream:
            line += data
            if line.endswith(b"\n"):
                await stream.send_all(line)
                line = b""

    async def main() -> None:
        listener = trio.socket.socket(trio.socket.AF_UNIX)
        await listener.bind(path)
        listener.listen(128)
        await trio.serve_listeners(echo, [trio.SocketListener(listener)])

    trio.run(main)


def serve_reader(path: str) -> None:
    """Answer every request with the same response, through all of `herod/server`."""

    async def handle(_: Request) -> Response:
        return ANSWER

    async def main() -> None:
        with listening([UnixBind(Path(path))]) as listeners:
            await serve(listeners, handle, limits=Limits(), shutdown=trio.Event())

    trio.run(main)


SERVERS: Final = {"constant": serve_constant, "echo": serve_echo, "reader": serve_reader}


@contextmanager
def running(kind: str, folder: Path) -> Iterator[str]:
    """Run one of the servers in its own process, on the first core."""
    path = str(folder / kind)
    process = subprocess.Popen([sys.executable, __file__, "--serve", kind, path])
    try:
        while not Path(path).exists():
            if process.poll() is not None:
                raise RuntimeError(f"{kind} did not start")
            time.sleep(0.01)
        yield path
    finally:
        process.terminate()
        process.wait(10)


def main() -> None:
    """Print the table."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    line = [b"x" * 300 + b"\n"]
    cases: list[tuple[str, str, list[bytes], load.Framing]] = [
        ("load's ceiling (constant line, no trio)", "constant", line, "line"),
        ("trio line echo", "echo", line, "line"),
        ("herod reader, same head", "reader", [REQUEST], "http"),
        ("herod reader, new head each time", "reader", NEW_HEADS, "http"),
    ]
    seen: dict[tuple[str, int], list[load.Result]] = {}
    with tempfile.TemporaryDirectory() as name:
        for _ in range(rounds):
            for title, kind, requests, framing in cases:
                with running(kind, Path(name)) as path:
                    for connections in CONNECTIONS:
                        result = load.measure(path, requests, connections=connections, seconds=seconds, framing=framing)
                        seen.setdefault((title, connections), []).append(result)
                Path(path).unlink(missing_ok=True)
    print(f"{'':40} {'connections':>11} {'requests/s':>10} {'min':>8} {'max':>8} {'p50 µs':>8} {'p99 µs':>8}")
    for (title, connections), results in seen.items():
        rates = [result.rate for result in results]
        p50 = statistics.median(result.p50 for result in results)
        p99 = statistics.median(result.p99 for result in results)
        failed = sum(result.failed for result in results)
        print(
            f"{title:40} {connections:11} {statistics.median(rates):10,.0f} {min(rates):8,.0f} {max(rates):8,.0f} "
            f"{p50:8.0f} {p99:8.0f}" + (f"  {failed} failed" if failed else "")
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        load.pin(0)
        SERVERS[sys.argv[2]](sys.argv[3])
    else:
        main()
