"""Mutated requests, valid and invalid, sent to a real daemon over Unix, TCP and TLS.

HEROD_FUZZ_BYTES inputs in all, from HEROD_SEED: bits flipped, parts cut, doubled, removed, swapped and spliced into
others, or sent instead of a TLS handshake.
"""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.http_messages import BAD, GOOD
from support.raw_sockets import (
    HEALTH,
    WAYS,
    connect,
    descriptors,
    exchange,
    is_alive,
    read_all,
    secured,
    settle,
    statuses,
)
from support.real_daemon import Daemon
from support.soak_rounds import chance, count

INPUTS = count("FUZZ_BYTES")
AT_ONCE = 8
FIELD = b"Content-Type: application/json\r\n"
PAGES = [
    b"GET / HTTP/1.1\r\nHost: localhost\r\nCookie: herod_session=x\r\n\r\n",
    b"POST /ui/sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Length: 21\r\n\r\nemail=a@b&password=xy",
    b"GET /ui/home?ticket=x HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: localhost\r\n"
    + FIELD
    + b'Content-Length: 42\r\n\r\n{"jsonrpc":"2.0","id":1,"method":"health"}',
    b"POST /validate HTTP/1.1\r\nHost: localhost\r\n" + FIELD + b'Content-Length: 15\r\n\r\n{"token":"a.b"}',
    b"POST /token HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic YTpi\r\nContent-Length: 29\r\n%b\r\n%b"
    % (b"Content-Type: application/x-www-form-urlencoded\r\n", b"grant_type=client_credentials"),
    HEALTH,
]
SEEDS = [*(data for data, _ in GOOD.values()), *(data for data, _ in BAD.values()), *PAGES * 10]
SPICE = [b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b"\xff", b"0", b"Transfer-Encoding: chunked\r\n",
         b"Content-Length: 5\r\n", b"Upgrade: h2c\r\nConnection: Upgrade\r\n", b"Host: localhost\r\n",
         b"Expect: 100-continue\r\n", b"\x16\x03\x01"]  # fmt: skip


def mutate(draw: random.Random, data: bytes) -> bytes:
    """Apply one to four mutations."""
    for _ in range(draw.randint(1, 4)):
        start, end = sorted((draw.randint(0, len(data)), draw.randint(0, len(data))))
        end = min(end, start + 200)
        match draw.randrange(7):
            case 0 if data:
                changed = bytearray(data)
                for _ in range(draw.randint(1, 3)):
                    changed[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
                data = bytes(changed)
            case 1:
                data = data[:start]
            case 2:
                data = data[:end] + data[start:]
            case 3:
                data = data[:start] + data[end:]
            case 4:
                other = draw.choice(SEEDS)
                data = data[:start] + other[draw.randint(0, len(other)) :]
            case 5:
                data = data[:start] + draw.choice(SPICE) + data[start:]
            case _:
                data += draw.choice(SEEDS)
    return data[:200_000]


def inputs(kind: str, way: str, number: int) -> Iterator[bytes]:
    """The inputs; the same for the same seed."""
    draw = chance("bytes", kind, way)
    for _ in range(number):
        yield mutate(draw, draw.choice(SEEDS))


def attack(daemon: Daemon, data: bytes, way: str) -> bytes:
    """Send it before a valid request, or below TLS instead of a handshake."""
    if way != "no handshake":
        return exchange(daemon, data, way)
    with connect(daemon, "tls", shakes_hands=False) as client:
        try:
            client.sendall(data)
            client.shutdown(1)
        except OSError:
            pass
        return read_all(client)


@pytest.mark.parametrize("kind", WAYS)
def test_mutated_bytes(tmp_path: Path, kind: str) -> None:
    """Mutated bytes cause no 5xx, no non-HTTP answer, no error in the log and no leaked descriptor."""
    ways = [*WAYS[kind], *(["no handshake"] if kind == "secure" else [])]
    with secured(tmp_path, is_secure=kind == "secure", head_seconds=2, body_seconds=2) as daemon:
        for way in WAYS[kind]:
            assert statuses(exchange(daemon, PAGES[0] + HEALTH, way)) == [200, 200]
            assert is_alive(daemon, way)
        settle(daemon, 0, seconds=0.5)
        before = descriptors(daemon)
        for way in ways:
            data = list(inputs(kind, way, INPUTS // 5))
            with ThreadPoolExecutor(AT_ONCE) as pool:
                for sent, said in zip(data, pool.map(lambda one, way=way: attack(daemon, one, way), data), strict=True):
                    assert all(status < 500 or status == 501 for status in statuses(said)), (sent, said)
                    assert not said or said.startswith(b"HTTP/1.1 ") or way == "no handshake", (sent, said)
            assert daemon.process.poll() is None
        for way in WAYS[kind]:
            assert is_alive(daemon, way)
        assert settle(daemon, before)
        assert '"level": "error"' not in daemon.log.read_text()
        assert daemon.stop() == 0
