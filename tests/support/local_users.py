"""Requests of other local users, where tests run as root; else of this user."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Final

__all__ = ["OWNER", "STRANGER", "get", "post", "statuses"]

# Without root there is one user, who is the stranger.
STRANGER: Final = 4711 if os.getuid() == 0 else os.getuid()
OWNER: Final = 4712 if os.getuid() == 0 else None

# It is started as this user, because others may not be allowed to read this Python.
_CLIENT: Final = """
import json, os, socket, sys
from concurrent.futures import ThreadPoolExecutor

user, place, requests, threads = json.load(sys.stdin)
if user != os.getuid():
    os.setgroups([]); os.setgid(user); os.setuid(user)

def ask(request):
    source, text = request
    family = socket.AF_UNIX if isinstance(place, str) else socket.AF_INET
    with socket.socket(family) as client:
        client.settimeout(60)
        if family == socket.AF_INET:
            client.bind((source, 0))
        client.connect(place if isinstance(place, str) else tuple(place))
        client.sendall(text.encode("latin-1"))
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    return int(answer.split(b" ", 2)[1])

with ThreadPoolExecutor(threads) as pool:
    print(json.dumps(list(pool.map(ask, requests))))
"""


def get(path: str, *headers: str) -> str:
    """A GET request on a connection of its own."""
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers, "", ""])


def post(path: str, body: object, *headers: str) -> str:
    """A POST request with a JSON body, on a connection of its own."""
    text = json.dumps(body)
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Connection: close", "Content-Type: application/json"]
    return "\r\n".join([*lines, f"Content-Length: {len(text)}", *headers, "", text])


def statuses(
    user: int, place: str | tuple[str, int], requests: Sequence[tuple[str, str] | str], *, threads: int = 1
) -> list[int]:
    """The statuses of the answers to a user's requests.

    Args:
        user: the uid.
        place: a Unix socket, or an address and a port.
        requests: the bytes of each, or also the address that it is sent from.
        threads: how many connections at a time.
    """
    pairs = [("127.0.0.1", one) if isinstance(one, str) else one for one in requests]
    done = subprocess.run(
        [sys.executable, "-c", _CLIENT],
        input=json.dumps([user, place, pairs, threads]),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found: list[int] = json.loads(done.stdout)
    return found
