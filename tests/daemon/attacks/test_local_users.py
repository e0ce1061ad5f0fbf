"""One local user attacks the limits of a real daemon; another one is not affected (as root, else only the first)."""

import json
import os
import time
from collections import Counter
from pathlib import Path

from support.local_users import OWNER, STRANGER, get, post, statuses
from support.real_daemon import Daemon, running

EMAIL = "ada@example.org"
RIGHT = "the long password of ada"
LEGACY = "a secret of an older system"
LOOPBACKS = [f"127.0.{number}.1" for number in range(10)]


def tcp(daemon: Daemon) -> tuple[str, int]:
    """Where the daemon listens."""
    return "127.0.0.1", daemon.port


def add_ada(daemon: Daemon) -> None:
    """Add an account with a password."""
    answer = daemon.rpc("users.add", {"email": EMAIL, "password": RIGHT}, "-H", f"Authorization: Peer {daemon.cookie}")
    assert "result" in answer


def rows(daemon: Daemon, *arguments: str) -> list[dict[str, object]]:
    """The audit rows."""
    done = daemon.herod("audit", "list", "--limit", "2000", "--output", "json", *arguments)
    assert done.returncode == 0, done.stderr
    listed: list[dict[str, object]] = json.loads(done.stdout)["items"]
    return listed


def denied_sources(daemon: Daemon) -> Counter[str]:
    """The sources of the rows about denials."""
    return Counter(str(row["source"]) for row in rows(daemon, "--outcome", "denied"))


def test_wrong_legacy_secrets_lock_their_user(open_folder: Path) -> None:
    """Ten wrong secrets from ten loopback addresses lock the right one for their user everywhere, and for nobody else.

    Before, they locked it for everybody on TCP.
    """
    right = get("/api/v1/whoami", f"X-Herod-Secret: {LEGACY}")
    wrong = get("/api/v1/whoami", "X-Herod-Secret: a guess")
    with running(open_folder / "legacy", HEROD_USER_SECRET=LEGACY) as daemon:
        assert statuses(STRANGER, tcp(daemon), [(source, wrong) for source in LOOPBACKS]) == [401] * 10
        assert statuses(STRANGER, tcp(daemon), [("127.0.0.77", right)]) == [429]
        assert statuses(STRANGER, str(daemon.socket), [right]) == [429]
        if OWNER is not None:
            assert statuses(OWNER, tcp(daemon), [right, ("127.0.0.1", right)]) == [200, 200]
            assert daemon.curl("/api/v1/whoami", "-H", f"X-Herod-Secret: {LEGACY}", tcp=True)[0] == 200


def test_wrong_passwords_lock_their_user(open_folder: Path) -> None:
    """Ten wrong passwords from ten loopback addresses lock the account for their user, over TCP and the Unix socket."""
    right = post("/login", {"email": EMAIL, "password": RIGHT})
    wrong = post("/login", {"email": EMAIL, "password": "a wrong password"})
    with running(open_folder / "passwords") as daemon:
        add_ada(daemon)
        assert statuses(STRANGER, tcp(daemon), [(source, wrong) for source in LOOPBACKS]) == [401] * 10
        assert statuses(STRANGER, tcp(daemon), [("127.0.0.77", right)]) == [429]
        assert statuses(STRANGER, str(daemon.socket), [right]) == [429]
        if OWNER is not None:
            assert statuses(OWNER, tcp(daemon), [right]) == [200]
            assert statuses(OWNER, str(daemon.socket), [right]) == [200]


def test_random_sign_ins_starve_nobody_else(open_folder: Path) -> None:
    """Twenty connections of one user that sign in with random emails do not keep another user from signing in."""
    with running(open_folder / "random") as daemon:
        add_ada(daemon)
        guesses = [
            (LOOPBACKS[number % 10], post("/login", {"email": f"x{number}@example.org", "password": "no password 123"}))
            for number in range(40)
        ]
        if OWNER is None:
            assert set(statuses(STRANGER, tcp(daemon), guesses[:30], threads=20)) <= {401, 429, 503}
            return
        pid = os.fork()
        if not pid:
            try:
                statuses(STRANGER, tcp(daemon), guesses, threads=20)
            finally:
                os._exit(0)
        right = post("/login", {"email": EMAIL, "password": RIGHT})
        try:
            assert statuses(OWNER, tcp(daemon), [right] * 3) == [200] * 3
        finally:
            os.waitpid(pid, 0)


def test_denials_of_one_user_hide_nobody(open_folder: Path) -> None:
    """1,100 denials from 1,100 addresses of loopback are a hundred rows a minute, and others have theirs."""
    with running(open_folder / "denials") as daemon:
        add_ada(daemon)
        refused = get("/api/v1/users")
        sources = [(f"127.1.{number // 250}.{1 + number % 250}", refused) for number in range(1100)]
        assert Counter(statuses(STRANGER, tcp(daemon), sources, threads=8)) == {401: 1100}
        if OWNER is not None:
            assert statuses(OWNER, tcp(daemon), [refused]) == [401]
        denied = denied_sources(daemon)
        if OWNER is not None:
            theirs, deadline = f"127.0.0.1 (uid {OWNER})", time.monotonic() + 60
            while theirs not in denied and time.monotonic() < deadline:  # denials are written every second
                denied = denied_sources(daemon)
            assert denied.pop(theirs) == 1
        assert denied.pop(f"uid:{STRANGER}")  # the row that counts all others, once a minute
        assert all(source.endswith(f" (uid {STRANGER})") for source in denied)
        assert 100 <= denied.total() <= 200  # a hundred a minute
