"""Fetches the document of an app from the host that its client id names.

The URL comes from whoever wrote the client id, so this must never reach what the daemon can reach and others cannot:

- The name is resolved once. Every address that it has must be public, and the connection goes to one of those very
  addresses: a second answer of a resolver is never asked for.
- No proxy, no redirect, no compression, no credential and no cookie. TLS 1.2 or newer, with the host's own certificate.
- At most `MAX_DOCUMENT_BYTES` of body, `MAX_HEAD_BYTES` before it, and `FETCH_SECONDS` for everything.
- Who asks for it has signed in (`learning_apps.py`): no stranger can make herod connect anywhere.
"""

import ipaddress
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import httptools
import trio

from herod.identity.client_documents import ClientUrl
from herod.pipeline.client_documents.document_parser import MAX_DOCUMENT_BYTES
from herod.pipeline.client_documents.public_addresses import is_public
from herod_client.core.errors import InvalidClientMetadata

__all__ = ["FETCHES_AT_ONCE", "FETCH_SECONDS", "MAX_HEAD_BYTES", "MAX_KEPT_SECONDS", "DocumentFetcher", "Fetched"]

FETCH_SECONDS: Final = 5
FETCHES_AT_ONCE: Final = 4
MAX_HEAD_BYTES: Final = 8 * 1024
MAX_ADDRESSES: Final = 16  # of one name
TRIED_ADDRESSES: Final = 3
PIECE_BYTES: Final = 4096
# How long a document may be used: a person needs some minutes to decide, and a day is the most.
MIN_KEPT_SECONDS: Final = 600
MAX_KEPT_SECONDS: Final = 86_400
JSON: Final = "application/json"
MAX_AGE: Final = re.compile(r"(?:\A|[,\s])max-age=\"?([0-9]{1,10})", re.IGNORECASE)
NOT_KEPT: Final = re.compile(r"\b(?:no-store|no-cache)\b", re.IGNORECASE)

Resolve = Callable[[str, int], Awaitable[list[str]]]
Connect = Callable[[str, int], Awaitable[trio.abc.Stream]]


@dataclass(frozen=True, slots=True)
class Fetched:
    """A document as it came, and for how many seconds it may be used."""

    body: bytes = field(repr=False)
    seconds: int


class DocumentFetcher:
    """Fetches documents, a few at a time.

    Args:
        version: herod's, which the hosts see.
        resolve: the addresses of a name, as texts.
        connect: opens a connection to an address, which is never a name.
        make_context: the TLS settings; called in a thread, at the first fetch.
    """

    def __init__(
        self,
        version: str = "",
        *,
        resolve: Resolve | None = None,
        connect: Connect | None = None,
        make_context: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        self._agent = f"herod/{version}" if version else "herod"
        self._resolve = resolve or _resolve
        self._connect = connect or _connect
        self._make_context = make_context or _make_context
        self._context: ssl.SSLContext | None = None
        self._places = trio.CapacityLimiter(FETCHES_AT_ONCE)

    async def fetch(self, url: ClientUrl) -> Fetched:
        """Fetch a document.

        Raises:
            InvalidClientMetadata: it cannot be fetched; the message says why.
        """
        try:
            with trio.fail_after(FETCH_SECONDS):
                async with self._places:
                    return await self._fetch(url)
        except trio.TooSlowError:
            raise _failed(url, f"it took more than {FETCH_SECONDS} seconds") from None
        except (OSError, trio.BrokenResourceError) as error:
            if isinstance(error.__cause__, ssl.SSLError):
                raise _failed(url, "its TLS or certificate is not valid") from None
            raise _failed(url, "it cannot be reached from here") from None

    async def _fetch(self, url: ClientUrl) -> Fetched:
        if self._context is None:
            self._context = await trio.to_thread.run_sync(self._make_context)
        stream = await self._open(url, await self._addresses(url))
        async with stream:
            tls = trio.SSLStream(stream, self._context, server_hostname=url.host, https_compatible=True)
            await tls.send_all(_request(url, self._agent))
            answer = _Answer(url)
            while not answer.is_complete:
                piece = await tls.receive_some(PIECE_BYTES)
                if not piece:
                    answer.end()
                    break
                answer.feed(bytes(piece))
            return answer.result()

    async def _addresses(self, url: ClientUrl) -> list[str]:
        """The addresses of the host, if all of them are public."""
        addresses = await self._resolve(url.host, url.port)
        if not addresses:
            raise _failed(url, "its name has no address")
        if len(addresses) > MAX_ADDRESSES or not all(is_public(address) for address in addresses):
            raise _failed(url, "its name does not lead to public addresses alone")
        return addresses

    async def _open(self, url: ClientUrl, addresses: list[str]) -> trio.abc.Stream:
        failed: OSError | None = None
        for address in addresses[:TRIED_ADDRESSES]:
            try:
                return await self._connect(address, url.port)
            except OSError as error:
                failed = error
        raise failed or OSError


class _Answer:
    """An HTTP response, read as its bytes arrive; the callbacks are httptools'."""

    def __init__(self, url: ClientUrl) -> None:
        self.is_complete = False
        self._url = url
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._read = 0
        self._has_head = False

    def feed(self, piece: bytes) -> None:
        """Take the next bytes.

        Raises:
            InvalidClientMetadata: the response is not an acceptable document.
        """
        self._read += len(piece)
        if self._read > MAX_HEAD_BYTES + 2 * MAX_DOCUMENT_BYTES:
            raise _failed(self._url, "its answer is too large")
        try:
            self._parser.feed_data(piece)
        except httptools.HttpParserError as error:
            cause = error.__context__
            if isinstance(cause, InvalidClientMetadata):
                raise cause from None
            raise _failed(self._url, "its answer is not HTTP") from None
        if not self._has_head and self._read > MAX_HEAD_BYTES:
            raise _failed(self._url, "its answer is too large")

    def end(self) -> None:
        """The connection has ended: a body without a length is complete then."""
        has_length = self._headers.keys() & {"content-length", "transfer-encoding"}
        if not self._has_head or has_length:
            raise _failed(self._url, "its answer ends too early")

    def result(self) -> Fetched:
        """The document."""
        return Fetched(bytes(self._body), _kept_seconds(self._headers))

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        self._has_head = True
        status = self._parser.get_status_code()
        if status != 200:
            what = "it redirects, which is not followed" if 300 <= status < 400 else f"its answer is {status}"
            raise _failed(self._url, what)
        if self._headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
            raise _failed(self._url, f"it is not {JSON}")
        if self._headers.get("content-encoding", "identity").lower() != "identity":
            raise _failed(self._url, "it is compressed")
        length = _number(self._headers.get("content-length", "0"))
        if length is None or length > MAX_DOCUMENT_BYTES:
            raise _failed(self._url, f"it has more than {MAX_DOCUMENT_BYTES} bytes")

    def on_body(self, body: bytes) -> None:
        self._body += body
        if len(self._body) > MAX_DOCUMENT_BYTES:
            raise _failed(self._url, f"it has more than {MAX_DOCUMENT_BYTES} bytes")

    def on_message_complete(self) -> None:
        self.is_complete = True


def _request(url: ClientUrl, agent: str) -> bytes:
    host = url.host if url.port == 443 else f"{url.host}:{url.port}"
    lines = (
        f"GET {url.target} HTTP/1.1",
        f"Host: {host}",
        f"Accept: {JSON}",
        "Accept-Encoding: identity",
        f"User-Agent: {agent}",
        "Connection: close",
        "",
        "",
    )
    return "\r\n".join(lines).encode("ascii")


def _kept_seconds(headers: Mapping[str, str]) -> int:
    """For how long an answer may be used (RFC 9111, section 4.2), within herod's limits."""
    control = headers.get("cache-control", "")
    match = MAX_AGE.search(control)
    if match is None or NOT_KEPT.search(control):
        return MIN_KEPT_SECONDS
    left = int(match[1]) - (_number(headers.get("age", "0").strip()) or 0)
    return min(max(left, MIN_KEPT_SECONDS), MAX_KEPT_SECONDS)


def _number(text: str) -> int | None:
    """A header's number; None for what is none, such as the raised digits of ISO 8859-1."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


async def _resolve(host: str, port: int) -> list[str]:
    found = await trio.socket.getaddrinfo(host, port, type=trio.socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


async def _connect(address: str, port: int) -> trio.abc.Stream:
    """Connect to an address, unless it is one of this machine's own: other services may take herod for a local user."""
    family = trio.socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else trio.socket.AF_INET
    socket = trio.socket.socket(family, trio.socket.SOCK_STREAM)
    try:
        await socket.connect((address, port))
        is_own = ipaddress.ip_address(socket.getsockname()[0]) == ipaddress.ip_address(address)
    except BaseException:
        socket.close()
        raise
    if is_own:
        socket.close()
        raise OSError("the address is this machine's own")
    return trio.SocketStream(socket)


def _make_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _failed(url: ClientUrl, why: str) -> InvalidClientMetadata:
    return InvalidClientMetadata(
        f"The document that describes the app cannot be fetched from {url.host}: {why}. Try again later, or ask an "
        "admin to register the app.",
        reason="client_document",
    )
