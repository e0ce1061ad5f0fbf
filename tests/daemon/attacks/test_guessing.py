"""The limits on guessing on a real daemon: over its sockets, with its hashes, across a restart."""

import json
import os
import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from support.real_daemon import Daemon, running

EMAIL = "ada@example.org"
RIGHT = "the long password of ada"
LEGACY = "a secret of an older system"
# A user is one source, by every protocol; but over TCP, relays of others may be behind root: there it is its address.
IS_ROOT = os.getuid() == 0
ELSEWHERE = 200 if IS_ROOT else 429
SPELLINGS = (EMAIL, "ADA@example.org", " ada@example.org ", "Ada@Example.ORG")


def ask(daemon: Daemon, path: str, body: object, *, source: str = "127.0.0.1") -> tuple[int, bytes, dict[str, str]]:
    """POST over TCP from an address of this machine; return status, body and headers."""
    data = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(data)}\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=30, source_address=(source, 0)) as client:
        client.sendall(head.encode() + data)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    first, _, sent = answer.partition(b"\r\n\r\n")
    lines = first.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
    return int(lines[0].split()[1]), sent, headers


def sign_in(
    daemon: Daemon, password: str, *, email: str = EMAIL, source: str = "127.0.0.1"
) -> tuple[int, bytes, dict[str, str]]:
    """POST /login."""
    return ask(daemon, "/login", {"email": email, "password": password}, source=source)


def add_ada(daemon: Daemon) -> None:
    """Add an account with a password."""
    answer = daemon.rpc("users.add", {"email": EMAIL, "password": RIGHT}, "-H", f"Authorization: Peer {daemon.cookie}")
    assert "result" in answer


def test_the_eleventh_guess_through_a_restart(tmp_path: Path) -> None:
    """The eleventh guess is refused in any spelling and across a restart, while others sign in."""
    with running(tmp_path) as daemon:
        add_ada(daemon)
        answers = [sign_in(daemon, "a wrong password", email=SPELLINGS[number % 4])[0] for number in range(7)]
        assert answers == [401] * 7
        assert daemon.stop() == 0
    with running(tmp_path) as daemon:
        answers = [sign_in(daemon, "a wrong password", email=SPELLINGS[number % 4])[0] for number in range(3)]
        assert answers == [401] * 3
        for email in SPELLINGS:
            status, body, headers = sign_in(daemon, RIGHT, email=email)
            assert (status, json.loads(body)["error"]["code"]) == (429, "rate_limited")
            assert 0 < int(headers["retry-after"]) <= 300
        assert sign_in(daemon, RIGHT, source="127.0.0.2")[0] == ELSEWHERE
        status, _, _ = daemon.curl("/login", "--json", json.dumps({"email": EMAIL, "password": RIGHT}))
        assert status == ELSEWHERE
        wrong = json.dumps({"email": EMAIL, "password": "a wrong password"})
        expected = [401] * 10 + [429] if IS_ROOT else [429] * 11
        assert [daemon.curl("/login", "--json", wrong)[0] for _ in range(11)] == expected
        assert daemon.herod("user", "list").returncode == 0  # the admin, from the same uid
        daemon.stop(9)
    with running(tmp_path) as daemon:
        assert sign_in(daemon, RIGHT)[0] == 429


def test_twenty_at_once(tmp_path: Path) -> None:
    """Of twenty concurrent guesses ten are checked, also for an account that does not exist."""
    with running(tmp_path) as daemon:
        add_ada(daemon)
        for email in (EMAIL, "nobody@example.org"):
            with ThreadPoolExecutor(20) as pool:
                jobs = [pool.submit(sign_in, daemon, "a wrong password", email=email) for _ in range(20)]
            assert Counter(job.result()[0] for job in jobs) == {401: 10, 429: 10}


def test_legacy_secrets_through_a_restart(tmp_path: Path) -> None:
    """Guesses at legacy secrets, which have no commit of their own, are written at shutdown."""
    with running(tmp_path, HEROD_USER_SECRET=LEGACY) as daemon:
        for _ in range(10):
            assert daemon.curl("/api/v1/whoami", "-H", "Authorization: Bearer guess", tcp=True)[0] == 401
        assert daemon.stop() == 0
    with running(tmp_path, HEROD_USER_SECRET=LEGACY) as daemon:
        assert daemon.curl("/api/v1/whoami", "-H", f"X-Herod-Secret: {LEGACY}", tcp=True)[0] == 429
        assert daemon.curl("/api/v1/whoami", "-H", f"X-Herod-Secret: {LEGACY}")[0] == ELSEWHERE
