"""Local processes and a real daemon: its owner, another user, root, and clients of a relay."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.real_daemon import Daemon, herod, others_have_python, running

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="becoming another uid takes root")

OTHER = ("setpriv", "--reuid=4711", "--regid=4711", "--clear-groups")
OTHERS_HAVE_PYTHON = os.getuid() == 0 and others_have_python()


@pytest.fixture(scope="module")
def daemon(open_folder: Path) -> Iterator[Daemon]:
    """A daemon whose socket is open to all users."""
    with running(open_folder / "d") as started:
        yield started


def whoami(daemon: Daemon, *arguments: str, prefix: tuple[str, ...] = ()) -> tuple[int, dict[str, str]]:
    """Ask with curl, as a given user."""
    done = subprocess.run(
        [*prefix, "curl", "-sS", "-w", "\n%{http_code}", "--unix-socket", str(daemon.socket), *arguments,
         "http://localhost/api/v1/whoami"],
        capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    body, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(body).get("data", {})


def test_the_owner_needs_no_key(daemon: Daemon) -> None:
    """The owner adds a user, creates a key and validates a token with only uid and cookie."""
    added = daemon.herod("user", "add", "ada@example.org", "--output", "json")
    assert added.returncode == 0, added.stderr
    made = daemon.herod("key", "create", "mine", "--output", "json")
    assert made.returncode == 0, made.stderr
    key = json.loads(made.stdout)["key"]
    valid = daemon.herod("token", "validate", "-", stdin=key)
    assert valid.returncode == 0, valid.stderr
    assert daemon.herod("whoami", "--output", "json").returncode == 0


def test_another_uid_is_anonymous_until_it_is_allowed(daemon: Daemon) -> None:
    """Another uid is anonymous until a rule exists, and then has exactly its grant."""
    assert whoami(daemon, "-H", "Authorization: Peer", prefix=OTHER)[0] == 401
    allowed = daemon.herod("peer", "allow", "--uid", "4711", "--scope", "write")
    assert allowed.returncode == 0, allowed.stderr
    status, who = whoami(daemon, "-H", "Authorization: Peer", prefix=OTHER)
    assert (status, who["scope"], who["name"]) == (200, "write", "uid:4711")
    # Only the owner can read the cookie file.
    assert daemon.socket.with_name("herod.sock.cookie").stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(not OTHERS_HAVE_PYTHON, reason="this Python lies where other users may not read")
def test_the_command_as_another_uid(daemon: Daemon) -> None:
    """The refusal names the rule that would help, and with it the command succeeds."""
    env = {**daemon.env, "PYTHONDONTWRITEBYTECODE": "1"}
    other = ("setpriv", "--reuid=4712", "--regid=4712", "--clear-groups")
    refused = herod("whoami", env=env, prefix=other)
    assert refused.returncode == 4, refused.stderr
    assert "herod peer allow --uid 4712" in refused.stderr
    daemon.herod("peer", "allow", "--uid", "4712", "--scope", "write")
    shown = herod("whoami", "--output", "json", env=env, prefix=other)
    assert json.loads(shown.stdout)["scope"] == "write", shown.stderr
    assert herod("user", "list", env=env, prefix=other).returncode == 1


def test_the_uid_alone_is_not_local_admin(daemon: Daemon) -> None:
    """Root without the cookie, with a guessed one, or through a proxy is anonymous."""
    cookie = daemon.cookie
    assert whoami(daemon, "-H", f"Authorization: Peer {cookie}")[1]["kind"] == "local_admin"
    for headers in (
        ["Authorization: Peer"],
        ["Authorization: Peer guessed"],
        [f"Authorization: Peer {cookie}", "X-Forwarded-For: 192.0.2.1"],
        [f"Authorization: Peer {cookie}", "Forwarded: for=192.0.2.1"],
        [f"Authorization: Peer {cookie}", "Via: 1.1 proxy"],
        [f"Authorization: Peer {cookie}", "Origin: http://localhost"],
        [f"Authorization: Peer {cookie}", "Referer: http://localhost/"],
    ):
        arguments = [part for header in headers for part in ("-H", header)]
        assert whoami(daemon, *arguments)[0] == 401, headers
    assert whoami(daemon, "-H", f"Authorization: Peer {cookie}", prefix=OTHER)[1].get("kind") != "local_admin"
    assert daemon.curl("/api/v1/whoami", "-H", f"Authorization: Peer {cookie}", tcp=True)[0] == 401


@pytest.mark.skipif(shutil.which("socat") is None, reason="socat is not installed")
def test_a_relay_of_roots_lends_nobody_its_uid(daemon: Daemon) -> None:
    """A client of root's socat has root's uid, and still is not local admin without the cookie."""
    relay = daemon.folder / "relay.sock"
    process = subprocess.Popen(
        ["socat", f"UNIX-LISTEN:{relay},fork,mode=0666", f"UNIX-CONNECT:{daemon.socket}"],
        stdin=subprocess.DEVNULL,
    )
    try:
        while not relay.exists():
            assert process.poll() is None
        for claim in ("Peer", "Peer guessed"):
            done = subprocess.run(
                [*OTHER, "curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket", str(relay),
                 "-H", f"Authorization: {claim}", "http://localhost/api/v1/whoami"],
                capture_output=True, text=True, check=True, timeout=30,
            )  # fmt: skip
            assert done.stdout == "401"
    finally:
        process.terminate()
        process.wait(timeout=60)


def test_peer_off_attests_nobody(tmp_path: Path) -> None:
    """A socket bound with peer=off has no cookie and no local admin."""
    with running(tmp_path, binds=(f"unix:{tmp_path}/herod.sock,peer=off",)) as daemon:
        assert not daemon.socket.with_name("herod.sock.cookie").exists()
        assert whoami(daemon, "-H", "Authorization: Peer anything")[0] == 401
