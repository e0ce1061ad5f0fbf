"""A full disk: changes are refused with a reason, everything says so, reads are served, and free space is enough.

What ends access ends in memory, and the answer says until when.
"""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.requests_under_fault import (
    add_account,
    check_reads,
    check_refused,
    check_revocation_holds,
    is_valid,
    know,
    message_of,
    names,
    token_of,
)
from faults.small_disks import Disk, small_disk
from support.real_daemon import COMMAND, SECRET, Daemon, environment, herod, running

ROOM_FOR_INDEX = 40 * 1024  # the size of -shm, and only a page or two of a log
BIG = "x" * 100
SPARE = 10  # keys and tokens


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """An empty small disk."""
    (tmp_path / "disk").mkdir()
    with small_disk(tmp_path / "disk") as disk:
        yield disk


@pytest.fixture
def daemon(disk: Disk, tmp_path: Path) -> Iterator[Daemon]:
    """A daemon with its store on the small disk."""
    store = f"sqlite:{disk.inside}/herod.db"
    with running(tmp_path / "d", "--store", store, command=(*disk.command, *COMMAND)) as daemon:
        yield daemon


def run(disk: Disk, folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run an offline command on that store."""
    env = {**environment(folder), "HERO_SECRET": SECRET, "HEROD_STORE": f"sqlite:{disk.inside}/herod.db", **more}
    return herod(*arguments, env=env, prefix=disk.command)


def fill_up(daemon: Daemon, disk: Disk) -> list[str]:
    """Fill the disk and write until refused; return the accounts acknowledged meanwhile."""
    disk.fill()
    acknowledged: list[str] = []
    for number in range(200):  # SQLite uses free space in its own files first
        status, body = add_account(daemon, f"{number} {BIG}")
        if status != 201:
            check_refused(status, body, "disk is full", "nothing was changed", "free some space and try again")
            return acknowledged
        acknowledged.append(f"{number} {BIG}")
    raise AssertionError("the disk does not become full")


def test_full_while_running(daemon: Daemon, disk: Disk) -> None:
    """Changes get a 503, reads are served, revocations apply in memory; with free space writing resumes."""
    known = know(daemon)
    acknowledged = fill_up(daemon, disk)
    check_reads(daemon, known)
    check_health(daemon, is_well=False)
    refused = daemon.herod("user", "add", "--name", "bob", "--peer")
    assert "disk is full" in message_of(refused, 1)
    check_revocation_holds(daemon, known)
    disk.empty()
    status, body = add_account(daemon, "after")
    assert status == 201, body
    check_health(daemon, is_well=True)
    assert {"after", *acknowledged} <= names(daemon)
    assert not is_valid(daemon, known.token)
    log = daemon.logged("the store is written again")
    assert log.count("the store is read-only until it can be written again: the store's disk is full") == 1
    assert log.count("the store is written again") == 1
    assert daemon.stop() == 0


def check_health(daemon: Daemon, *, is_well: bool) -> None:
    """Check that everything that shows the daemon's health says the same."""
    state = "ok" if is_well else "read-only"
    status, health, _ = daemon.curl("/health")
    assert (status, health["status"]) == (200 if is_well else 503, state)
    assert is_well or health["reason"] == "the store's disk is full; free some space, and herod writes again by itself"
    as_admin = ("-H", f"Authorization: Peer {daemon.cookie}")
    assert daemon.curl("/api/v1/stats", *as_admin)[1]["data"]["store"] == state
    assert f"herod_store_writable {int(is_well)}\n".encode() in daemon.curl("/metrics", *as_admin)[1]
    shown = daemon.herod("status", "--peer")
    assert (shown.returncode, state in shown.stdout) == (0 if is_well else 1, True)
    found = daemon.herod("doctor", "--output", "json")
    (check,) = [one for one in json.loads(found.stdout)["checks"] if one["check"] == "health"]
    assert check["result"] == ("ok" if is_well else "fail")
    assert is_well or "free some space" in check["text"]


def test_an_idle_daemon_notices_that_there_is_space(daemon: Daemon, disk: Disk) -> None:
    """Nobody has to change anything for the daemon to be well again."""
    fill_up(daemon, disk)
    assert daemon.curl("/health")[0] == 503
    disk.empty()
    for _ in range(300):
        if daemon.curl("/health")[0] == 200:
            break
        time.sleep(0.1)
    assert add_account(daemon, "after")[0] == 201


def test_what_ended_while_full(daemon: Daemon, disk: Disk, tmp_path: Path) -> None:
    """Every protocol says that it is in force until the restart; the restart undoes it, and repeating it keeps it."""
    as_admin = ("-H", f"Authorization: Peer {daemon.cookie}")
    ways = (_over_rest, _over_plain_rest, _over_rpc, _over_mcp, _with_the_command)
    keys = []
    for number in range(len(ways) + SPARE):
        made = {"name": f"key {number}", "kind": "service", "scope": "read"}
        keys.append(daemon.curl("/api/v1/keys", "--json", json.dumps(made), *as_admin)[1]["data"]["key"])
    client = add_account(daemon, "leaving")[1]
    token, *tokens = (token_of(daemon, client["client_id"], client["client_secret"]) for _ in range(1 + SPARE))
    operator = daemon.curl("/api/v1/keys", "--json", '{"name":"op","kind":"service","scope":"admin"}', *as_admin)
    bearer = ("-H", f"Authorization: Bearer {operator[1]['data']['key']}")
    fill_up(daemon, disk)
    spare = [keys.pop() for _ in range(SPARE)]
    # What is left may be enough for smaller changes than the one that was refused: these are the smallest.
    revoked = (daemon.curl("/revoke", *as_admin, "-d", f"token={one}")[0] for one in tokens)
    disabled = (daemon.curl(f"/api/v1/keys/{key.split('_')[2]}/disable", "-X", "POST", *bearer)[0] for key in spare)
    assert 503 in revoked
    assert 503 in disabled
    for way, key in zip(ways, keys, strict=True):
        said = way(daemon, key.split("_")[2], client["client_id"], bearer)
        assert "The store's disk is full: this is in force until the restart, and then undone." in said
        assert "Free some space and repeat it." in said
    status, body, _ = daemon.curl("/revoke", *as_admin, "-d", f"token={token}")
    assert (status, body["error"]) == (503, "temporarily_unavailable")
    assert "in force until the restart" in body["error_description"]
    ended = [key for way, key in zip(ways, keys, strict=True) if way is not _over_plain_rest]
    assert not any(is_valid(daemon, one) for one in (*ended, token))
    daemon.stop(9)
    disk.empty()
    store = f"sqlite:{disk.inside}/herod.db"
    with running(tmp_path / "d", "--store", store, command=(*disk.command, *COMMAND)) as again:
        assert all(is_valid(again, one) for one in (*ended, token))
        for way, key in zip(ways, keys, strict=True):
            assert "in force until" not in way(again, key.split("_")[2], client["client_id"], bearer)
        assert not any(is_valid(again, one) for one in (*ended, token))


def _over_rest(daemon: Daemon, key: str, _account: str, bearer: tuple[str, str]) -> str:
    return json.dumps(daemon.curl(f"/api/v1/keys/{key}", "-X", "DELETE", *bearer)[1])


def _over_plain_rest(daemon: Daemon, _key: str, account: str, bearer: tuple[str, str]) -> str:
    return json.dumps(daemon.curl("/users/delete", "--json", json.dumps({"client_id": account}), *bearer)[1])


def _over_rpc(daemon: Daemon, key: str, _account: str, bearer: tuple[str, str]) -> str:
    return json.dumps(daemon.rpc("auth.remove_key", {"id": key}, *bearer))


def _over_mcp(daemon: Daemon, key: str, _account: str, bearer: tuple[str, str]) -> str:
    call = {"name": "disable_key", "arguments": {"id": key}}
    asked = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call})
    return json.dumps(daemon.curl("/mcp", "--json", asked, "-H", "Mcp-Protocol-Version: 2025-11-25", *bearer)[1])


def _with_the_command(daemon: Daemon, key: str, _account: str, bearer: tuple[str, str]) -> str:
    done = daemon.herod("key", "delete", key, "--yes", HEROD_KEY=bearer[1].removeprefix("Authorization: Bearer "))
    return " ".join((done.stdout + done.stderr).split())


def test_revoked_while_full_can_be_revoked_for_good(daemon: Daemon, disk: Disk, tmp_path: Path) -> None:
    """A revocation repeated with free space survives a kill, and nothing acknowledged is lost."""
    known = know(daemon)
    acknowledged = fill_up(daemon, disk)
    check_revocation_holds(daemon, known)
    disk.empty()
    status, _, _ = daemon.curl("/revoke", "-H", f"Authorization: Peer {daemon.cookie}", "-d", f"token={known.token}")
    assert status == 200
    daemon.stop(9)
    store = f"sqlite:{disk.inside}/herod.db"
    with running(tmp_path / "d", "--store", store, command=(*disk.command, *COMMAND)) as again:
        assert not is_valid(again, known.token)
        assert is_valid(again, token_of(again, known.client_id, known.client_secret))
        assert set(acknowledged) <= names(again)


def test_start_on_a_full_disk(disk: Disk, tmp_path: Path) -> None:
    """Without a store the start fails with one line, and leaves nothing that stops the next start."""
    disk.fill()
    done = run(disk, tmp_path, "serve", "--bind", f"unix:{tmp_path}/h.sock")
    message = message_of(done, 1)
    assert str(disk.inside) in message
    assert "full" in message or "No space left" in message
    assert "free some space" in message
    disk.empty()
    store = f"sqlite:{disk.inside}/herod.db"
    with running(tmp_path / "d", "--store", store, command=(*disk.command, *COMMAND)) as daemon:
        assert daemon.curl("/health")[0] == 200


def test_start_with_a_full_store(daemon: Daemon, disk: Disk, tmp_path: Path) -> None:
    """A start whose SQLite files or first write do not fit fails with one line."""
    known = know(daemon)
    daemon.stop()
    for leave, more in ((0, ()), (ROOM_FOR_INDEX, ("--signing", "EdDSA"))):
        disk.fill(leave=leave)
        message = message_of(run(disk, tmp_path, "serve", "--bind", f"unix:{tmp_path}/h.sock", *more), 1)
        assert "full" in message
        assert "free some space" in message
        disk.empty()
    store = f"sqlite:{disk.inside}/herod.db"
    with running(tmp_path / "d", "--store", store, command=(*disk.command, *COMMAND)) as again:
        check_reads(again, known)


def test_commands_on_a_full_disk(daemon: Daemon, disk: Disk, tmp_path: Path) -> None:
    """A backup, a restore and a change of the secret are refused with a reason and change nothing."""
    known = know(daemon)
    backup = tmp_path / "b.herod"
    assert daemon.herod("backup", str(backup), "--peer").returncode == 0
    acknowledged = fill_up(daemon, disk)
    again = daemon.herod("backup", str(tmp_path / "c.herod"), "--peer")
    assert "free some space" in message_of(again, 1)
    assert not (tmp_path / "c.herod").exists()
    check_reads(daemon, known)
    assert daemon.stop(9) != 0
    new = tmp_path / "new"
    new.write_text("another secret, long enough for a daemon, really\n")
    new.chmod(0o600)
    for arguments in (
        ("restore", str(backup)),
        ("secret", "rotate", "--new-secret-file", str(new), "--compromised"),
    ):
        disk.fill()
        message = message_of(run(disk, tmp_path, *arguments), 1)
        assert any(word in message for word in ("room", "full")), message
    disk.empty()
    store = f"sqlite:{disk.inside}/herod.db"
    with running(tmp_path / "d", "--store", store, command=(*disk.command, *COMMAND)) as started:
        check_reads(started, known)
        assert set(acknowledged) <= names(started)
