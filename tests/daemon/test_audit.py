"""The audit log of a real daemon: edits of the file are detected row by row, and a thief cannot read it."""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from support.real_daemon import Daemon, running

WAIT_SECONDS = 60


def edit(daemon: Daemon, *statements: str) -> None:
    """Edit the file as another program would while herod has it open."""
    with closing(sqlite3.connect(daemon.folder / "store" / "herod.db", timeout=10)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def rows(daemon: Daemon) -> list[tuple[Any, ...]]:
    """The rows in the file."""
    with closing(sqlite3.connect(daemon.folder / "store" / "herod.db", timeout=10)) as connection:
        return connection.execute("SELECT seq, json, mac FROM audit ORDER BY seq").fetchall()


def verdict(daemon: Daemon) -> dict[str, Any]:
    """The verification result of the log."""
    answer: dict[str, Any] = daemon.rpc("audit.verify", {}, "-H", f"Authorization: Peer {daemon.cookie}")["result"]
    return answer


def until(condition: Callable[[], bool]) -> None:
    """Wait for another process."""
    end = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with at least ten rows in its log."""
    with running(tmp_path_factory.mktemp("audit")) as daemon:
        for number in range(10):
            assert "result" in daemon.rpc(
                "keys.create",
                {"name": f"key {number}", "kind": "service"},
                "-H",
                f"Authorization: Peer {daemon.cookie}",
            )
        yield daemon


@pytest.fixture
def kept(daemon: Daemon) -> Iterator[Daemon]:
    """The daemon, with its log restored after the test."""
    before = rows(daemon)
    yield daemon
    with closing(sqlite3.connect(daemon.folder / "store" / "herod.db", timeout=10)) as connection, connection:
        connection.execute("DELETE FROM audit")
        connection.executemany("INSERT INTO audit VALUES (?, ?, ?)", before)
    assert verdict(daemon)["valid"]


SWAP = (
    "UPDATE audit SET seq = -5 WHERE seq = 4",
    "UPDATE audit SET seq = 4 WHERE seq = 7",
    "UPDATE audit SET seq = 7 WHERE seq = -5",
)
SHIFT = (
    "UPDATE audit SET seq = -seq WHERE seq >= 6",
    "UPDATE audit SET seq = 1 - seq WHERE seq < 0",
    "INSERT INTO audit SELECT 6, json, mac FROM audit WHERE seq = 3",
)
TAMPERING = {
    "flipped": (("UPDATE audit SET json = replace(json, 'local-admin', 'local-admim') WHERE seq = 5",), 5, "changed"),
    "flipped HMAC": (("UPDATE audit SET mac = CAST(x'00' || substr(mac, 2) AS BLOB) WHERE seq = 5",), 5, "changed"),
    "no JSON any more": (("UPDATE audit SET json = 'x' WHERE seq = 5",), 5, "changed"),
    "deleted": (("DELETE FROM audit WHERE seq = 5",), 5, "row 5 is missing"),
    "the first deleted": (("DELETE FROM audit WHERE seq = 1",), 1, "row 1 is missing"),
    "swapped": (SWAP, 4, "moved"),
    "inserted": (SHIFT, 6, "inserted"),
    "appended": (("INSERT INTO audit SELECT max(seq) + 1, json, mac FROM audit",), None, "after the sealed head"),
    "cut": (("DELETE FROM audit WHERE seq > 8",), 9, "missing at the end"),
    "emptied": (("DELETE FROM audit",), 1, "missing at the end"),
}


@pytest.mark.parametrize(("statements", "first_bad", "says"), TAMPERING.values(), ids=TAMPERING)
def test_tampering_is_named(kept: Daemon, statements: tuple[str, ...], first_bad: int | None, says: str) -> None:
    """The first invalid row is named, in both output formats, with exit code 1."""
    last = rows(kept)[-1][0]
    edit(kept, *statements)
    found = verdict(kept)
    assert (found["valid"], found["first_bad"]) == (False, first_bad or last + 1)
    assert says in found["reason"]
    ended = kept.herod("audit", "verify")
    assert ended.returncode == 1
    assert f"first_bad  {first_bad or last + 1}" in ended.stdout
    assert "The audit log failed verification" in ended.stderr


def test_a_log_that_is_no_json_is_said_so(kept: Daemon) -> None:
    """A list with a damaged row fails, and names the command that finds it."""
    edit(kept, "UPDATE audit SET json = 'x' WHERE seq = 5")
    ended = kept.herod("audit", "list")
    assert ended.returncode == 1
    assert "herod audit verify" in ended.stderr


def test_verify_with_a_head(daemon: Daemon) -> None:
    """A noted head is recognized later, while the log grows; one that never existed is not."""
    head = verdict(daemon)["head"]
    assert daemon.herod("key", "create", "one more", "--kind", "service").returncode == 0
    assert daemon.herod("audit", "verify", "--expect", head).returncode == 0
    ended = daemon.herod("audit", "verify", "--expect", "ab" * 32)
    assert ended.returncode == 1
    assert "truncated" in ended.stderr
    assert daemon.herod("audit", "verify", "--expect", "nonsense").returncode == 1


def test_list(daemon: Daemon) -> None:
    """The list has the latest row last, in 80 columns, and filters narrow it."""
    ended = daemon.herod("audit", "list", "--operation", "keys.*", "--since", "1h", "--limit", "3", COLUMNS="80")
    lines = ended.stdout.splitlines()
    assert lines[0].split() == ["TIME", "OPERATION", "RESULT", "SOURCE", "ACTOR"]
    assert len(lines) == 4
    assert all("keys.create" in line and "local-admin" in line and len(line) <= 80 for line in lines[1:])
    items = json.loads(daemon.herod("audit", "list", "--output", "json", "--limit", "3").stdout)["items"]
    assert [item["seq"] for item in items] == sorted(item["seq"] for item in items)
    assert daemon.herod("audit", "list", "--outcome", "denied").stdout == ""


def test_reload_is_in_the_log(daemon: Daemon) -> None:
    """A reload by SIGHUP is audited."""
    daemon.process.send_signal(signal.SIGHUP)
    until(lambda: "reload" in daemon.herod("audit", "list", "--operation", "reload").stdout)


def test_follow_through_a_restart(tmp_path: Path) -> None:
    """New rows appear as they are written, also across a restart; Ctrl-C ends it with success."""
    output = tmp_path / "followed"
    with running(tmp_path / "d") as daemon, output.open("wb") as out:
        following = subprocess.Popen(
            [sys.executable, "-m", "herod", "audit", "list", "-f", "--operation", "keys.*", "--output", "json"],
            env=daemon.env, stdout=out, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        try:

            def followed() -> list[str]:
                return [json.loads(line)["target"] for line in output.read_text().splitlines()]

            def create(name: str) -> str:
                made = daemon.herod("key", "create", name, "--kind", "service", "--output", "json")
                key: str = json.loads(made.stdout)["id"]
                return key

            targets = [create("one")]
            until(lambda: followed() == targets)
            daemon.stop()
            with running(tmp_path / "d"):
                targets += [create("two"), create("three")]
                until(lambda: followed() == targets)
                following.send_signal(signal.SIGINT)
                _, said = following.communicate(timeout=WAIT_SECONDS)
        finally:
            following.kill()
            following.wait()
    assert following.returncode == 0
    assert said.decode().count("Waiting for it.") <= 1


def test_a_cut_made_while_herod_is_off(tmp_path: Path) -> None:
    """The daemon starts on a truncated log, and its own log and the command report what is missing."""
    with running(tmp_path) as daemon:
        for number in range(3):
            daemon.rpc("keys.create", {"name": f"{number}"}, "-H", f"Authorization: Peer {daemon.cookie}")
    edit(daemon, "DELETE FROM audit WHERE seq > 2")
    with running(tmp_path) as daemon:
        daemon.logged("does not match its sealed head")
        found = verdict(daemon)
        assert (found["valid"], found["first_bad"]) == (False, 3)


def test_a_stolen_store_says_nothing(tmp_path: Path) -> None:
    """Without the secret, the files disclose no email, name, hash, scope, network or secret."""
    (tmp_path / "herod.toml").write_text(
        'networks = ["canarynet"]\n[scopes]\n"canary:scope" = { includes = ["read"] }\n'
    )
    (tmp_path / "password").write_text("canary password 1234")
    words = {"canary", "canarynet", "canary:scope", "argon2", "legacy-c4n4ry-secret-of-32-bytes"}
    config, legacy = str(tmp_path / "herod.toml"), "legacy-c4n4ry-secret-of-32-bytes"
    with running(tmp_path, "--config", config, HEROD_ADMIN_SECRET=legacy) as daemon:

        def made(*arguments: str) -> dict[str, Any]:
            ended = daemon.herod(*arguments, "--output", "json")
            assert ended.returncode == 0, ended.stderr
            answer: dict[str, Any] = json.loads(ended.stdout)
            return answer

        user = made(
            "user", "add", "canary@example.org", "--name", "canary person", "--scope", "canary:scope",
            "--network", "canarynet", "--password-file", str(tmp_path / "password"),
        )  # fmt: skip
        key = made("key", "create", "canary key", "--kind", "service", "--scope", "canary:scope")
        words |= {user["client_secret"], key["key"], key["key"][-49:]}
        login = {"email": "canary@example.org", "password": "canary password 1234"}
        daemon.rpc("login", login)
        daemon.rpc("login", {**login, "password": "canary, wrong"})
        daemon.rpc("login", {**login, "email": "canary-unknown@example.org"})
        daemon.curl("/api/v1/users", "-H", f"Authorization: Bearer {key['key']}")
        daemon.curl("/api/v1/users", "-H", "X-Herod-Secret: canary, wrong")
        daemon.curl("/api/v1/users", "-H", "X-Herod-Secret: legacy-c4n4ry-secret-of-32-bytes")
        made("key", "list")
        until(lambda: len(rows(daemon)) >= 8)
        live = b"".join(path.read_bytes() for path in (tmp_path / "store").iterdir() if path.is_file())
        assert user["client_id"].encode() in live  # ids are needed to look rows up
    files = b"".join(path.read_bytes() for path in (tmp_path / "store").iterdir() if path.is_file())
    for word in words:
        assert word.encode() not in live, word
        assert word.encode() not in files, word
