"""`herod backup`, `herod restore` and `herod secret rotate` as an operator runs them, against a real daemon."""

import json
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from support.real_daemon import SECRET, Daemon, herod, running

NEW = "the secret of tomorrow, long enough for all of them"


@pytest.fixture
def daemon(open_folder: Path, tmp_path: Path) -> Iterator[Daemon]:
    """A daemon for this test."""
    with running(open_folder / tmp_path.name) as started:
        yield started


def ok(daemon: Daemon, *arguments: str, **more: str) -> str:
    """Run a command that must succeed."""
    done = daemon.herod(*arguments, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def store_of(daemon: Daemon) -> str:
    """The store's URL."""
    return f"sqlite:{daemon.folder}/store/herod.db"


def test_there_and_back(daemon: Daemon, tmp_path: Path) -> None:
    """A backup is private and unreadable; after a restore keys work, revoked ones and old tokens do not."""
    ok(daemon, "user", "add", "canary@example.org", "--scope", "admin", "--save", str(tmp_path / "secret"))
    client_id = json.loads(ok(daemon, "user", "show", "canary@example.org", "--output", "json"))["client_id"]
    for name in ("good", "gone"):
        ok(daemon, "key", "create", name, "--kind", "service", "--scope", "admin", "--save", str(tmp_path / name))
    token = ok(daemon, "token", "issue", "--client-id", client_id, "--secret", f"@{tmp_path / 'secret'}").strip()
    assert daemon.herod("token", "validate", "-", stdin=token).returncode == 0

    file = tmp_path / "b"
    answer = json.loads(ok(daemon, "backup", str(file), "--output", "json"))
    assert (answer["saved_to"], answer["bytes"]) == (str(file), file.stat().st_size)
    assert file.stat().st_mode & 0o777 == 0o600
    assert sorted(one.name for one in tmp_path.iterdir()) == ["b", "gone", "good", "secret"]
    content = file.read_bytes()
    for word in ("canary", SECRET, client_id, "keys.create", "SQLite"):
        assert word.encode() not in content
    again = daemon.herod("backup", str(file))
    assert again.returncode == 1
    assert "exists already" in again.stderr
    assert file.read_bytes() == content

    key_id = (tmp_path / "gone").read_text().split("_")[2]
    ok(daemon, "key", "delete", key_id, "--yes")
    running_still = daemon.herod("restore", str(file), "--store", store_of(daemon))
    assert running_still.returncode == 1
    assert "in use" in running_still.stderr
    assert daemon.stop() == 0
    wrong = daemon.herod("restore", str(file), "--store", store_of(daemon), HERO_SECRET=NEW)
    assert wrong.returncode == 2
    assert "another secret" in wrong.stderr
    done = json.loads(ok(daemon, "restore", str(file), "--store", store_of(daemon), "--output", "json"))
    assert done["deleted"] == [{"kind": "key", "id": key_id}]
    assert Path(done["moved_to"]).exists()

    with running(daemon.folder) as after:
        assert after.herod("key", "verify", f"@{tmp_path / 'good'}").returncode == 0
        assert after.herod("key", "verify", f"@{tmp_path / 'gone'}").returncode == 1
        assert after.herod("token", "validate", "-", stdin=token).returncode == 1
        fresh = ok(after, "token", "issue", "--client-id", client_id, "--secret", f"@{tmp_path / 'secret'}")
        assert after.herod("token", "validate", "-", stdin=fresh).returncode == 0


def test_who_may(daemon: Daemon, tmp_path: Path) -> None:
    """Only admins get a backup, over REST only."""
    ok(daemon, "key", "create", "low", "--kind", "service", "--scope", "write", "--save", str(tmp_path / "low"))
    refused = daemon.herod("backup", str(tmp_path / "b"), "--key", f"@{tmp_path / 'low'}")
    assert refused.returncode == 1
    assert "admin" in refused.stderr
    assert sorted(one.name for one in tmp_path.iterdir()) == ["low"]
    assert daemon.curl("/api/v1/backup")[0] == 401
    assert daemon.rpc("backup", {}, "-H", f"Authorization: Peer {daemon.cookie}")["error"]["code"] == -32601


def test_on_the_wire(daemon: Daemon) -> None:
    """A backup is chunked, never cached, without a body for HEAD, and leaves the connection usable."""
    ask = b"%b /api/v1/backup HTTP/1.1\r\nHost: h\r\nAuthorization: Peer " + daemon.cookie.encode() + b"\r\n\r\n"
    with socket.socket(socket.AF_UNIX) as left:
        left.connect(str(daemon.socket))
        left.sendall(ask.replace(b"%b", b"GET"))
        assert left.recv(12) == b"HTTP/1.1 200"  # only one backup at a time
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(daemon.socket))
        got = b""
        client.sendall(ask.replace(b"%b", b"HEAD"))
        while b"\r\n\r\n" not in got:
            got += client.recv(65536)
        assert got.endswith(b"Transfer-Encoding: chunked\r\n\r\n")
        client.sendall(ask.replace(b"%b", b"GET"))
        got = b""
        while not got.endswith(b"\r\n0\r\n\r\n"):
            got += client.recv(65536)
        head, _, body = got.partition(b"\r\n\r\n")
        assert b"Content-Length" not in head
        assert b"Cache-Control: no-store" in head
        assert b'Content-Disposition: attachment; filename="herod.backup"' in head
        assert body.split(b"\r\n", 1)[1].startswith(b"herodbak\x01")
    assert not [one for one in (daemon.folder / "store").iterdir() if "snapshot" in one.name]


def test_a_new_secret(daemon: Daemon, tmp_path: Path) -> None:
    """Old tokens stay valid under the new secret; after a compromise only keys do."""
    ok(daemon, "user", "add", "ada@example.org", "--save", str(tmp_path / "secret"))
    client_id = json.loads(ok(daemon, "user", "show", "ada@example.org", "--output", "json"))["client_id"]
    issue = ("token", "issue", "--client-id", client_id, "--secret", f"@{tmp_path / 'secret'}")
    token = ok(daemon, *issue)
    (tmp_path / "new").write_text(NEW + "\n")
    (tmp_path / "newer").write_text(NEW.upper() + "\n")
    for one in ("new", "newer"):
        (tmp_path / one).chmod(0o600)
    rotate = ("secret", "rotate", "--store", store_of(daemon), "--new-secret-file")
    assert daemon.herod(*rotate, str(tmp_path / "new")).returncode == 1
    assert daemon.stop() == 0
    said = ok(daemon, *rotate, str(tmp_path / "new"))
    assert f"HERO_SECRET_FILE={tmp_path / 'new'}" in " ".join(said.split())

    with started_with(daemon, NEW) as after:
        assert after.herod("token", "validate", "-", stdin=token).returncode == 0
        second = ok(after, *issue)
        assert after.stop() == 0
    bind = f"unix:{daemon.socket}"
    refused = herod("serve", "--bind", bind, "--store", store_of(daemon), env={**daemon.env, "HERO_SECRET": SECRET})
    assert refused.returncode == 2
    ok(daemon, *rotate, str(tmp_path / "newer"), "--compromised", HERO_SECRET=NEW)
    with started_with(daemon, NEW.upper()) as last:
        for old in (token, second):
            assert last.herod("token", "validate", "-", stdin=old).returncode == 1
        assert last.herod("token", "validate", "-", stdin=ok(last, *issue)).returncode == 0


def started_with(daemon: Daemon, secret: str) -> AbstractContextManager[Daemon]:
    """Start the daemon of the same folder with another secret."""
    return running(daemon.folder, HERO_SECRET=secret)
