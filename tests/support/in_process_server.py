"""A real listening server in the test process, and a client that sends exact bytes."""

import gc
import json
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Literal, Self

import pytest
import trio

from herod.protocols.http import Handler, Refuse, Request, Response
from herod.protocols.router import Router
from herod.server.connection_limits import Limits
from herod.server.connections import serve
from herod.server.sockets.listener_set import Listeners
from herod.server.sockets.listeners import listening
from herod.server.sockets.tls import Certificates
from herod.settings.bind_addresses import TcpBind, UnixBind
from support.certificates import make_certificate

__all__ = [
    "BOTH",
    "EVERY",
    "GET",
    "QUICK",
    "STALLS",
    "WAYS",
    "Answer",
    "Client",
    "Running",
    "Stall",
    "Way",
    "ask_router",
    "certificates",
    "descriptors",
    "echo",
    "serving",
    "settle",
    "short_folder",
    "tasks",
    "trusting",
]

Way = Literal["unix", "tcp", "tls"]
WAYS: tuple[Way, ...] = ("unix", "tcp")
BOTH = pytest.mark.parametrize("way", WAYS)
EVERY = pytest.mark.parametrize("way", [*WAYS, "tls"])

GET = b"GET /a?b HTTP/1.1\r\nHost: h\r\n\r\n"

# All deadlines are short, so that a test sees them expire.
QUICK = Limits(
    head_seconds=0.5,
    body_seconds=0.5,
    write_seconds=0.5,
    idle_seconds=0.5,
    linger_seconds=0.5,
    drain_seconds=0.3,
    evict_seconds=0.05,
    sweep_seconds=0.02,
)


@dataclass(frozen=True)
class Answer:
    """One response as read from the socket; `head` is its raw head."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    head: bytes

    @property
    def code(self) -> object:
        """The code of the error in the body."""
        return json.loads(self.body)["error"]["code"]


class Client:
    """One connection. Every wait is bounded, so that a hang is a failure.

    Attributes:
        below: the socket, under TLS too.
    """

    def __init__(self, stream: trio.SocketStream | trio.SSLStream[trio.SocketStream]) -> None:
        self.stream = stream
        self.below = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
        self._input = b""

    async def send(self, data: bytes) -> None:
        """Send the bytes unchanged."""
        with trio.fail_after(60):
            await self.stream.send_all(data)

    async def answer(self, *, to_head: bool = False) -> Answer:
        """Read one response; an interim response counts."""
        while b"\r\n\r\n" not in self._input:
            await self._more()
        head, _, self._input = self._input.partition(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in fields)}
        length = 0 if to_head else int(headers.get("content-length", "0"))
        while len(self._input) < length:
            await self._more()
        body, self._input = self._input[:length], self._input[length:]
        return Answer(int(line.split(" ")[1]), headers, body, head)

    async def ask(self, data: bytes) -> Answer:
        """Send, and read one response."""
        await self.send(data)
        return await self.answer()

    async def end(self) -> bytes:
        """Read to the end of the connection."""
        with trio.fail_after(60):
            while data := await self.stream.receive_some(65536):
                self._input += data
        left, self._input = self._input, b""
        return left

    async def all_until_over(self) -> bytes:
        """Read until the connection is closed or reset."""
        parts = []
        with trio.fail_after(60), suppress(trio.BrokenResourceError):
            while data := await self.stream.receive_some(1_000_000):
                parts.append(data)
        return b"".join(parts)

    async def is_cut(self) -> bool:
        """Wait for the connection to be closed or reset; False if bytes arrive first."""
        try:
            return not await self.end()
        except trio.BrokenResourceError:
            return True

    async def _more(self) -> None:
        with trio.fail_after(60):
            data = await self.stream.receive_some(65536)
        if not data:
            raise EOFError(self._input)
        self._input += data

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await trio.aclose_forcefully(self.stream)
        await trio.aclose_forcefully(self.below)  # an unwrapped TLS stream no longer owns it


async def stall_in_head(client: Client) -> None:
    """Begin a request head and stop."""
    await client.send(b"GET / HTTP/1.1\r\nHost: h\r\n")


async def stall_in_body(client: Client) -> None:
    """Announce a body and send a part of it."""
    await client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc")


async def stall_in_chunks(client: Client) -> None:
    """Send one chunk and no terminator."""
    await client.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")


async def stall_in_reading(client: Client) -> None:
    """Request a large response and read nothing."""
    await client.send(GET.replace(b"/a", b"/big"))


async def stall_before(client: Client) -> None:
    """Connect and send nothing."""


async def stall_between(client: Client) -> None:
    """Get one answer, then send nothing more."""
    await client.ask(GET)


async def stall_after_refusal(client: Client) -> None:
    """Get an error response and stay connected."""
    assert (await client.ask(b"nonsense\r\n\r\n")).status == 400


Stall = Callable[[Client], Awaitable[None]]
STALLS: list[Stall] = [
    stall_in_head,
    stall_in_body,
    stall_in_chunks,
    stall_in_reading,
    stall_before,
    stall_between,
    stall_after_refusal,
]


@dataclass
class Running:
    """A running server."""

    listeners: Listeners
    shutdown: trio.Event
    stopped: trio.Event = field(default_factory=trio.Event)

    @property
    def path(self) -> str:
        """The path of the Unix socket."""
        return self.listeners[0].label.removeprefix("unix:")

    @property
    def port(self) -> int:
        """The TCP port on 127.0.0.1."""
        return int(self.listeners[1].label.rpartition(":")[2])

    async def connect(self, way: Way = "unix") -> Client:
        """Open a connection."""
        with trio.fail_after(60):
            if way == "unix":
                return Client(await trio.open_unix_socket(self.path))
            stream = await trio.open_tcp_stream("127.0.0.1", self.port)
            if way == "tcp":
                return Client(stream)
            secure = trio.SSLStream(stream, trusting(), server_hostname="localhost")
            try:
                await secure.do_handshake()
            except BaseException:
                await trio.aclose_forcefully(secure)
                raise
            return Client(secure)


# More than the kernel buffers for a client that does not read; one shared copy, as documents have.
BIG = bytes(8_000_000)


async def echo(request: Request) -> Response:
    """Echo the request; `/boom` fails, `/big` is long, `/close` closes the connection, `/quiet` is not logged."""
    if request.path == "/boom":
        raise RuntimeError("the secret reason")
    if request.path == "/big":
        return Response(200, shared=BIG)
    said = {
        "method": request.method,
        "path": request.path,
        "query": request.query,
        "headers": dict(request.headers),
        "body": request.body.decode("latin-1"),
    }
    return Response(
        200,
        json.dumps(said).encode(),
        (("Content-Type", "application/json"),),
        is_quiet=request.path == "/quiet",
        close=request.path == "/close",
    )


@cache
def _certificates() -> tuple[Certificates, ssl.SSLContext]:
    with tempfile.TemporaryDirectory() as name:
        pair = make_certificate(Path(name))
        return Certificates.load(*pair, now=int(time.time())), ssl.create_default_context(cafile=pair[0])


def certificates(way: Way = "tls") -> Certificates | None:
    """The certificates to serve with on this transport."""
    return _certificates()[0] if way == "tls" else None


def trusting() -> ssl.SSLContext:
    """A client context that trusts them."""
    return _certificates()[1]


def descriptors() -> int:
    """How many descriptors this process has open."""
    gc.collect()
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def tasks() -> int:
    """How many tasks are alive in this trio run."""
    return trio.lowlevel.current_statistics().tasks_living


async def settle(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds."""
    with trio.fail_after(60):
        while not condition():  # noqa: ASYNC110 - the kernel's side has no event
            await trio.sleep(0.01)


@contextmanager
def short_folder() -> Iterator[Path]:
    """A folder with a path short enough for a socket's name, which pytest's own may not have."""
    with tempfile.TemporaryDirectory(prefix="herod-") as name:
        yield Path(name)


@asynccontextmanager
async def serving(
    handle: Handler = echo,
    *,
    limits: Limits | None = None,
    tls: Certificates | None = None,
    refuse: Refuse | None = None,
) -> AsyncIterator[Running]:
    """Serve on a Unix socket and on 127.0.0.1 while the block runs, then drain."""
    shutdown = trio.Event()
    with short_folder() as folder, listening([UnixBind(folder / "s"), TcpBind("127.0.0.1", 0)], tls=tls) as listeners:
        running = Running(listeners, shutdown)

        async def run(task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
            serve_it = serve if refuse is None else partial(serve, refuse=refuse)
            await serve_it(listeners, handle, limits=limits or Limits(), shutdown=shutdown, task_status=task_status)
            running.stopped.set()

        async with trio.open_nursery() as nursery:
            await nursery.start(partial(run))
            try:
                yield running
            finally:
                shutdown.set()
                with trio.CancelScope(shield=True), trio.fail_after(60):
                    await running.stopped.wait()


async def ask_router(router: Router, head: str, *, way: Way = "tcp", limits: Limits | None = None) -> Answer:
    """Send these bytes to a server with this router, on a connection of their own, and read the first answer."""
    server = serving(router, limits=limits, refuse=router.refuse, tls=certificates(way))
    async with server as running, await running.connect(way) as client:
        await client.send(head.encode())
        return await client.answer(to_head=head.startswith("HEAD "))
