"""`herod export` and `herod import` as an operator runs them, between two real daemons."""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from herod.credentials.accounts_file_encryption import encrypt_users
from herod.credentials.passwords import OWASP_2024
from herod.records import Account
from support.real_daemon import COMMAND, SECRET, Daemon, environment, herod, running
from support.stopped_store import opened

OTHER = "the secret of the other machine, long enough for it"
PASSWORD = "canary horse battery"


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


def login(daemon: Daemon, email: str, password: str) -> int:
    """The status of a sign-in."""
    status, _, _ = daemon.curl("/login", "--json", json.dumps({"email": email, "password": password}))
    return status


def test_from_machine_to_machine(daemon: Daemon, open_folder: Path, tmp_path: Path) -> None:
    """Both are refused while a daemon runs; then password, client secret and keys work elsewhere, tokens do not."""
    (tmp_path / "password").write_text(PASSWORD)
    ok(daemon, "user", "add", "canary@example.org", "--scope", "write", "--save", str(tmp_path / "secret"),
       "--password-file", str(tmp_path / "password"))  # fmt: skip
    client_id = json.loads(ok(daemon, "user", "show", "canary@example.org", "--output", "json"))["client_id"]
    ok(daemon, "key", "create", "mine", "--owner", client_id, "--scope", "read", "--save", str(tmp_path / "mine"))
    ok(daemon, "key", "create", "all", "--kind", "service", "--scope", "admin", "--save", str(tmp_path / "all"))
    credentials = ("--client-id", client_id, "--secret", f"@{tmp_path / 'secret'}")
    token = ok(daemon, "token", "issue", *credentials).strip()

    store = ("--store", f"sqlite:{daemon.folder}/store/herod.db")
    folder = tmp_path / "out"
    folder.mkdir()
    file = folder / "file"
    refused = daemon.herod("export", str(file), *store)
    assert (refused.returncode, "in use" in refused.stderr) == (1, True)
    assert list(folder.iterdir()) == []
    daemon.stop()
    answer = json.loads(ok(daemon, "export", str(file), *store, "--output", "json"))
    assert answer == {"saved_to": str(file), "accounts": 1, "keys": 2, "apps": 0}
    assert [one.name for one in folder.iterdir()] == ["file"]
    assert file.stat().st_mode & 0o777 == 0o600
    assert "exists already" in daemon.herod("export", str(file), *store).stderr

    (tmp_path / "old").write_text(SECRET)
    there = open_folder / f"{tmp_path.name}-there"
    env = environment(there, HERO_SECRET=OTHER)
    place = ("--store", f"sqlite:{there}/store/herod.db")
    wrong = herod("import", str(file), *place, env=env)
    assert (wrong.returncode, "--from-secret" in wrong.stderr) == (2, True)
    done = herod("import", str(file), "--from-secret", f"@{tmp_path / 'old'}", *place, env=env)
    assert done.returncode == 0, done.stderr
    assert "Imported 1 account and 2 keys" in done.stdout
    assert "ADMIN: key" in done.stderr
    with running(there, HERO_SECRET=OTHER) as other:
        refused = herod("import", str(file), "--from-secret", f"@{tmp_path / 'old'}", *place, env=env)
        assert (refused.returncode, "in use" in refused.stderr) == (1, True)
        assert login(other, "canary@example.org", PASSWORD) == 200
        assert login(other, "canary@example.org", PASSWORD + "x") == 401
        ok(other, "token", "issue", *credentials)
        assert json.loads(ok(other, "whoami", "--key", f"@{tmp_path / 'mine'}", "--output", "json"))["sub"] == client_id
        ok(other, "user", "list", "--key", f"@{tmp_path / 'all'}")
        answer = other.rpc("auth.verify", {"key": (tmp_path / "all").read_text().strip()})
        assert answer["result"]["valid"]
        assert other.herod("token", "validate", "-", stdin=token).returncode == 1
    for one in [*there.rglob("*"), file]:
        if one.is_file():
            content = one.read_bytes()
            assert not [word for word in ("canary@example.org", PASSWORD, "client_id =") if word.encode() in content], (
                one
            )


def test_the_user_file_of_hero_auth(open_folder: Path, tmp_path: Path) -> None:
    """`serve --config` names the import command for a Hero Auth file; old passwords work and are rehashed."""
    text = (
        f'[[users]]\nclient_id = "c1"\nemail = "ada@example.org"\nscope = "admin"\npassword_hash = "{_sha256("old")}"'
    )
    file = tmp_path / "users.toml"
    file.write_bytes(encrypt_users(text, SECRET))
    folder = open_folder / tmp_path.name
    env = environment(folder, HERO_SECRET=SECRET)
    assert f"herod import {file}" in herod("serve", "--config", str(file), env=env).stderr
    store = ("--store", f"sqlite:{folder}/store/herod.db")
    dry = herod("import", str(file), *store, "--dry-run", "--output", "json", env=env)
    assert json.loads(dry.stdout)["admins"] == [{"kind": "account", "id": "c1", "name": "ada@example.org"}]
    assert herod("import", str(file), *store, env=env).returncode == 0
    with running(folder) as daemon:
        assert [login(daemon, "ada@example.org", word) for word in ("old", "older", "old")] == [200, 401, 200]
        daemon.stop()
    assert trio.run(_password, folder / "store" / "herod.db").startswith(OWASP_2024.prefix)
    again = herod("import", str(file), *store, env=env)
    assert (again.returncode, "its client_id exists already" in again.stderr) == (1, True)
    assert herod("import", str(file), *store, "--skip-existing", env=env).returncode == 0


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace watches what is written")
def test_nothing_is_written_in_the_clear(open_folder: Path, tmp_path: Path) -> None:
    """No byte of the list is ever written in plaintext, as seen from the system calls."""
    text = '[[users]]\nclient_id = "c1"\nemail = "canary@example.org"\nname = "feathers"\n'
    (tmp_path / "users.toml").write_bytes(encrypt_users(text, SECRET))
    # What Python and coverage write of a module has names such as client_id.
    env = environment(
        open_folder / tmp_path.name, HERO_SECRET=SECRET, TMPDIR=str(tmp_path), PYTHONDONTWRITEBYTECODE="1"
    )
    env = {name: value for name, value in env.items() if not name.startswith("COVERAGE_")}
    store = ("--store", f"sqlite:{tmp_path}/herod.db", "--output", "json")
    for number, arguments in enumerate((("import", "users.toml"), ("export", "out"))):
        trace = tmp_path / f"trace{number}"
        watch = ("strace", "-f", "-e", "trace=write,pwrite64,writev,pwritev,sendto,sendmsg", "-s", "1000000", "-o")
        command = [*watch, str(trace), *COMMAND, arguments[0], str(tmp_path / arguments[1]), *store]
        done = subprocess.run(command, env=env, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        written = trace.read_text()
        assert "pwrite64" in written
        for word in ("canary@example.org", "feathers", "[[users]]", "client_id", SECRET):
            assert word not in written, arguments


async def _password(path: Path) -> str:
    """The stored password hash of c1."""
    async with opened(path, SECRET) as store:
        account = store.get(Account, "c1")
        assert account is not None
        assert account.password is not None
        return account.password


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
