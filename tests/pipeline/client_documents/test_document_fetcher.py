"""Fetching a document: from the very addresses that were judged, within limits, and from nowhere else."""

import gzip
import ssl
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from herod.identity.client_documents import ClientUrl, parse_client_url
from herod.pipeline.client_documents import document_fetcher
from herod.pipeline.client_documents.document_fetcher import (
    FETCHES_AT_ONCE,
    MAX_KEPT_SECONDS,
    MIN_KEPT_SECONDS,
    DocumentFetcher,
)
from herod.pipeline.client_documents.document_parser import MAX_DOCUMENT_BYTES
from herod_client.core.errors import InvalidClientMetadata
from pipeline.client_documents.hostile_documents import URL
from pipeline.client_documents.test_public_addresses import FORBIDDEN
from support.document_hosts import HOST, PUBLIC, Internet, answer, open_internet

BODY = b'{"client_id":"x"}'


@pytest.fixture
async def net(tmp_path: Path) -> AsyncIterator[Internet]:
    """An internet with one good host."""
    async with open_internet(tmp_path) as opened:
        opened.response = answer(BODY)
        yield opened


def _url(text: str = URL) -> ClientUrl:
    url = parse_client_url(text)
    assert url is not None
    return url


async def _refused(net: Internet, why: str, url: ClientUrl | None = None) -> None:
    with pytest.raises(InvalidClientMetadata, match=why):
        await net.fetcher.fetch(url or _url())


async def test_a_document(net: Internet) -> None:
    """The request has nothing that identifies anybody, and goes to the address that was looked up once."""
    fetched = await net.fetcher.fetch(_url(f"{URL}?a=b%20c"))
    assert fetched.body == BODY
    assert (net.resolved, net.connected) == ([HOST], [PUBLIC])
    (request,) = net.requests
    assert request == (
        b"GET /oauth/client.json?a=b%20c HTTP/1.1\r\nHost: agent.example\r\nAccept: application/json\r\n"
        b"Accept-Encoding: identity\r\nUser-Agent: herod/1.2\r\nConnection: close\r\n\r\n"
    )


async def test_another_port(net: Internet) -> None:
    """A port is sent as it stands in the URL."""
    await net.fetcher.fetch(_url(f"https://{HOST}:8443/x"))
    assert b"Host: agent.example:8443\r\n" in net.requests[0]


@pytest.mark.parametrize("address", FORBIDDEN)
async def test_forbidden_addresses(net: Internet, address: str) -> None:
    """A name that leads to an address of a machine or network is not connected to, alone or beside a public one."""
    for addresses in ([address], [PUBLIC, address], [address, PUBLIC], [PUBLIC] * 5 + [address]):
        net.names[HOST] = [addresses]
        await _refused(net, "does not lead to public addresses alone")
    assert net.connected == []


async def test_rebinding(net: Internet) -> None:
    """A name that has another address the second time is asked once for each fetch, and judged each time."""
    net.names[HOST] = [[PUBLIC], ["127.0.0.1"], ["10.0.0.1"], ["::1"]]
    assert (await net.fetcher.fetch(_url())).body == BODY
    for _ in range(3):
        await _refused(net, "public addresses alone")
    assert net.connected == [PUBLIC]
    assert len(net.resolved) == 4


@pytest.mark.parametrize("addresses", [[], [PUBLIC] * 17, ["8.8.8.8"] * 1000])
async def test_no_address_and_too_many(net: Internet, addresses: Sequence[str]) -> None:
    """A name without an address, or with more than a host has, is not connected to."""
    net.names[HOST] = [addresses]
    await _refused(net, "address")
    assert net.connected == []


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
@pytest.mark.parametrize(
    "target", ["http://127.0.0.1/", "https://169.254.169.254/", "https://agent.example/other", "/x"]
)
async def test_redirects_are_not_followed(net: Internet, status: str, target: str) -> None:
    """Wherever a redirect leads, nothing else is asked."""
    net.response = answer(BODY, f"Location: {target}", status=status)
    await _refused(net, "redirects, which is not followed")
    assert len(net.requests) == len(net.connected) == len(net.resolved) == 1


@pytest.mark.parametrize(
    ("response", "why"),
    [
        (answer(BODY, status="404 Not Found"), "its answer is 404"),
        (answer(BODY, status="500 Oops"), "its answer is 500"),
        (answer(BODY, status="204 No Content"), "its answer is 204"),
        (answer(BODY, status="206 Partial Content"), "its answer is 206"),
        (answer(BODY, status="103 Early Hints"), "its answer is 103"),
        (answer(BODY, content_type="text/html"), "not application/json"),
        (answer(BODY, content_type="application/jwt"), "not application/json"),
        (answer(BODY, content_type="application/json-seq"), "not application/json"),
        (answer(BODY, content_type="text/plain; x=application/json"), "not application/json"),
        (answer(BODY, content_type=""), "not application/json"),
        (answer(gzip.compress(BODY * 100_000), "Content-Encoding: gzip"), "compressed"),
        (answer(BODY, "Content-Encoding: br"), "compressed"),
        (answer(BODY, "Content-Encoding: identity, gzip"), "compressed"),
        (answer(b"x" * (MAX_DOCUMENT_BYTES + 1)), "more than 5120 bytes"),
        (answer(b"x" * 1_000_000), "more than 5120 bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n", "more than 5120"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: -1\r\n\r\n", "not HTTP|more than"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\n12", "ends too early"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + b"x" * 200_000, "more than 5120|too large"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"400\r\n%b\r\n" % (b"x" * 1024) * 6,
            "more than 5120",
        ),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000, "too large"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000, "too large"),
        (answer(b"{}", "Content-Length: 3"), "HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not HTTP"),
        (b"\x00\x01\x02", "not HTTP"),
        (b"", "ends too early"),
        (b"HTTP/1.1 200", "ends too early"),
    ],
)  # fmt: skip
async def test_responses_that_will_not_do(net: Internet, response: bytes, why: str) -> None:
    """What is no small, plain JSON document is refused as soon as that is known."""
    net.response = response
    await _refused(net, why)


@pytest.mark.parametrize(
    "response",
    [
        answer(BODY, content_type="Application/JSON; charset=utf-8"),
        answer(BODY, "Content-Encoding: identity"),
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + BODY,
        b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + BODY,
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY),
    ],
)
async def test_responses_that_will_do(net: Internet, response: bytes) -> None:
    """With a length, in chunks or up to the end of the connection: a document is a document."""
    net.response = response
    assert (await net.fetcher.fetch(_url())).body == BODY


async def _drip(stream: trio.SSLStream[trio.SocketStream]) -> None:
    for byte in answer(BODY):
        await stream.send_all(bytes([byte]))
        await trio.sleep(0.2)


async def _stall(stream: trio.SSLStream[trio.SocketStream]) -> None:
    await trio.sleep_forever()


async def _flood(stream: trio.SSLStream[trio.SocketStream]) -> None:
    await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while True:
        await stream.send_all(b" " * 4096)


async def test_slow_hosts(net: Internet, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that sends byte by byte, or nothing, is given up after the time for everything."""
    monkeypatch.setattr(document_fetcher, "FETCH_SECONDS", 0.4)
    for net.serve in (_drip, _stall):
        await _refused(net, "took more than")


async def test_endless_bodies(net: Internet) -> None:
    """A body without end is read up to the limit, and no further."""
    net.serve = _flood
    await _refused(net, "more than 5120 bytes")


async def test_slow_resolvers_and_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time for everything includes looking up the name and connecting."""
    monkeypatch.setattr(document_fetcher, "FETCH_SECONDS", 0.1)

    async def forever(host: str, port: int) -> list[str]:
        await trio.Event().wait()
        return []

    async def never(address: str, port: int) -> trio.abc.Stream:
        await trio.Event().wait()
        raise AssertionError

    async def resolve(host: str, port: int) -> list[str]:
        return [PUBLIC]

    for fetcher in (DocumentFetcher(resolve=forever), DocumentFetcher(resolve=resolve, connect=never)):
        with pytest.raises(InvalidClientMetadata, match="took more than"):
            await fetcher.fetch(_url())


async def test_certificates(tmp_path: Path) -> None:
    """A host must prove its name: with a certificate for it that is valid today, from somebody who is trusted."""
    async with open_internet(tmp_path, certificate_of="other.example") as net:
        net.response = answer(BODY)
        await _refused(net, "its TLS or certificate is not valid")
        assert net.requests == []
    async with open_internet(tmp_path, last_day=-1) as net:
        await _refused(net, "its TLS or certificate is not valid")
    async with open_internet(tmp_path) as net:
        strict = DocumentFetcher(resolve=net.fetcher._resolve, connect=net.fetcher._connect)  # noqa: SLF001 - its internet
        with pytest.raises(InvalidClientMetadata, match="its TLS or certificate is not valid"):
            await strict.fetch(_url())
        assert net.requests == []


async def test_only_a_few_at_once() -> None:
    """More fetches than a few wait for their turn."""
    connecting, gate = 0, trio.Event()

    async def connect(address: str, port: int) -> trio.abc.Stream:
        nonlocal connecting
        connecting += 1
        if connecting == FETCHES_AT_ONCE:
            await wait_all_tasks_blocked()
            assert connecting == FETCHES_AT_ONCE
            gate.set()
        await gate.wait()
        raise OSError

    async def resolve(host: str, port: int) -> list[str]:
        return [PUBLIC]

    fetcher = DocumentFetcher(resolve=resolve, connect=connect)

    async def fetch() -> None:
        with pytest.raises(InvalidClientMetadata, match="cannot be reached"):
            await fetcher.fetch(_url())

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(fetch)
    assert connecting == 20


async def test_another_address_is_tried(net: Internet) -> None:
    """If an address cannot be reached, the next one is tried, but not all of many."""
    tried: list[str] = []

    async def connect(address: str, port: int) -> trio.abc.Stream:
        tried.append(address)
        raise ConnectionRefusedError

    net.names[HOST] = [["8.8.8.8", "8.8.4.4", "1.1.1.1", "1.0.0.1"]]
    fetcher = DocumentFetcher(resolve=net.fetcher._resolve, connect=connect)  # noqa: SLF001 - its internet
    with pytest.raises(InvalidClientMetadata, match="cannot be reached from here"):
        await fetcher.fetch(_url())
    assert tried == ["8.8.8.8", "8.8.4.4", "1.1.1.1"]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ((), MIN_KEPT_SECONDS),
        (("Cache-Control: max-age=3600",), 3600),
        (("Cache-Control: public, MAX-AGE=3600, immutable",), 3600),
        (("Cache-Control: public", "Cache-Control: max-age=7200"), 7200),
        (("Cache-Control: max-age=3600", "Age: 1200"), 2400),
        (("Cache-Control: max-age=3600", "Age: x"), 3600),
        (("Cache-Control: max-age=3600", "Age: \u00b2"), 3600),
        (("Cache-Control: max-age=31536000",), MAX_KEPT_SECONDS),
        (("Cache-Control: max-age=9999999999",), MAX_KEPT_SECONDS),
        (("Cache-Control: max-age=99999999999999999999",), MAX_KEPT_SECONDS),
        (("Cache-Control: max-age=0",), MIN_KEPT_SECONDS),
        (("Cache-Control: max-age=-5",), MIN_KEPT_SECONDS),
        (("Cache-Control: s-maxage=7200",), MIN_KEPT_SECONDS),
        (("Cache-Control: x-max-age=7200",), MIN_KEPT_SECONDS),
        (("Cache-Control: no-store, max-age=3600",), MIN_KEPT_SECONDS),
        (("Cache-Control: no-cache, max-age=3600",), MIN_KEPT_SECONDS),
    ],
)
async def test_how_long_it_may_be_used(net: Internet, headers: tuple[str, ...], seconds: int) -> None:
    """As long as Cache-Control says, at least the minutes that a person needs, at most a day."""
    net.response = answer(BODY, *headers)
    assert (await net.fetcher.fetch(_url())).seconds == seconds


async def test_the_real_connection_refuses_this_machine() -> None:
    """An address of this machine's own is not used, even if it were public."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    with pytest.raises(OSError, match="own"):
        await document_fetcher._connect("127.0.0.1", port)  # noqa: SLF001 - what tests otherwise replace
    await listeners[0].aclose()
    with pytest.raises(OSError):  # noqa: PT011 - any: nobody listens there
        await document_fetcher._connect("127.0.0.1", port)  # noqa: SLF001


async def test_the_real_resolver_and_settings() -> None:
    """Names are looked up by the system; its resolver knows localhost, which then is refused."""
    assert set(await document_fetcher._resolve("localhost", 443)) <= {"127.0.0.1", "::1"}  # noqa: SLF001
    fetcher = DocumentFetcher()
    with pytest.raises(InvalidClientMetadata, match="public addresses alone"):
        await fetcher.fetch(ClientUrl("https://localhost/x", "localhost", 443, "/x"))
    context = document_fetcher._make_context()  # noqa: SLF001
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_no_proxy_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables that name proxies are read by nothing here."""
    source = Path(document_fetcher.__file__).read_text()
    assert "environ" not in source
    assert "urllib" not in source
