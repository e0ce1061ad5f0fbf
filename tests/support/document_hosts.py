"""An internet for tests: names with addresses, and one TLS server that stands behind all public ones."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import trio

from herod.pipeline.client_documents.document_fetcher import DocumentFetcher
from support.certificates import make_certificate

__all__ = ["HOST", "PUBLIC", "Internet", "answer", "open_internet"]

HOST = "agent.example"
PUBLIC = "93.184.216.34"
Serve = Callable[[trio.SSLStream[trio.SocketStream]], Awaitable[None]]


def answer(body: bytes, *headers: str, status: str = "200 OK", content_type: str = "application/json") -> bytes:
    """A response with these headers more, and the length of its body."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {content_type}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


@dataclass
class Internet:
    """Its names, and what was asked of it.

    Attributes:
        names: name → its addresses, one list for each time that it is asked for; the last one stays.
        serve: what the server does with a connection whose request has been read.
        resolved, connected: what a fetcher did.
        requests: what the server read.
    """

    fetcher: DocumentFetcher
    names: dict[str, list[Sequence[str]]] = field(default_factory=lambda: {HOST: [[PUBLIC]]})
    response: bytes = b""
    serve: Serve | None = None
    resolved: list[str] = field(default_factory=list)
    connected: list[str] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)


@asynccontextmanager
async def open_internet(folder: Path, *, certificate_of: str = HOST, last_day: int = 30) -> AsyncIterator[Internet]:
    """Open one whose server has a certificate for `certificate_of`."""
    certificate, key = make_certificate(folder, host=certificate_of, last_day=last_day, first_day=-40)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)

    async def handle(stream: trio.SocketStream) -> None:
        tls = trio.SSLStream(stream, server, server_side=True, https_compatible=True)
        try:
            request = b""
            while not request.endswith(b"\r\n\r\n"):
                piece = await tls.receive_some(4096)
                if not piece:
                    return
                request += piece
            net.requests.append(request)
            if net.serve is not None:
                await net.serve(tls)
            else:
                await tls.send_all(net.response)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            await trio.aclose_forcefully(tls)

    async def resolve(host: str, port: int) -> list[str]:
        net.resolved.append(host)
        answers = net.names.get(host, [[]])
        return list(answers.pop(0) if len(answers) > 1 else answers[0])

    async def connect(address: str, port: int) -> trio.abc.Stream:
        net.connected.append(address)
        return await trio.open_tcp_stream("127.0.0.1", at)

    net = Internet(
        DocumentFetcher("1.2", resolve=resolve, connect=connect, make_context=lambda: _trusting(certificate))
    )
    async with trio.open_nursery() as nursery:
        listeners: list[trio.SocketListener] = await nursery.start(partial(trio.serve_tcp, handle, 0, host="127.0.0.1"))
        at: int = listeners[0].socket.getsockname()[1]
        yield net
        nursery.cancel_scope.cancel()


def _trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))
