"""Every secret that can pass through a daemon is searched for in everything left behind, and none is found.

HEROD_CANARIES requests (500) of all possible ones, chosen from HEROD_SEED.

One long run with debug logs: every operation in every protocol, every command that handles secrets, a restart with
injected faults, backup, restore, a change of the secret. HERO_SECRET comes from the environment, the others from
files, as the manual says.
"""

import base64
import json
import os
import secrets as random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from canaries.operation_walk import Ask, Doorway, walk, wrong_places
from canaries.person_and_app import use_an_app
from canaries.secret_forms import forms, search
from fuzz.answer_rules import shown_once
from herod.credentials.keyring import Purpose
from herod.records import Account, ApiKey, SigningKeyRecord
from herod.store.sqlite.sqlite_store import open_sqlite
from support.certificates import make_certificate
from support.real_daemon import COMMAND, Daemon, free_port, herod, running
from support.soak_rounds import chance, count

FAILING = (sys.executable, str(Path(__file__).with_name("failing_daemon.py")))
EMAIL = "canary-email@example.org"
NAME = "Canary Name Unlike Others"
SCOPE = "canary-scope-unlike-others"
OTHER = ("setpriv", "--reuid=4711", "--regid=4711", "--clear-groups")
GIVEN = (
    "hero", "store", "legacy_admin", "legacy_user", "legacy_register", "password", "wrong_password", "long_password",
    "new_password", "new_hero", "backup_secret", "person_password", "tenant",
)  # fmt: skip


class Vault:
    """Every secret and every place by name; answers are kept without the secrets that they show once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secrets: dict[str, str] = {name: f"canary-{name}-{random.token_urlsafe(24)}" for name in GIVEN}
        self.secrets["long_password"] += "x" * 120
        self.binary: dict[str, bytes] = {}
        self.places: dict[str, bytes] = {}
        self.answers = bytearray()

    def file(self, name: str) -> Path:
        """Write the secret to a file."""
        path = self.folder / f"{name}.secret"
        path.touch(mode=0o600)
        path.write_text(self.secrets[name] + "\n")
        return path

    def issued(self, text: str) -> None:
        """Record a secret that was just issued."""
        self.secrets.setdefault(f"issued {len(self.secrets)}", text)

    def ask(self, door: Doorway, ask: Ask) -> tuple[int, Any]:
        """Send a request, and record the answer as a place."""
        status, head, body = door.send(ask)
        assert status < 500 or b"internal" in body, (status, body)
        value = json.loads(body) if body[:1] in (b"{", b"[") else None
        for text in shown_once(value):
            self.issued(text)
            body = body.replace(text.encode(), b"")
        self.answers += head + body + b"\n"
        return status, value

    def run(self, daemon: Daemon, *arguments: str, code: int = 0, stdin: str = "", **more: str) -> str:
        """Run a command; its output, its command line and what other users see of it are places."""
        with subprocess.Popen(
            [*COMMAND, *arguments], env={**daemon.env, **more}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            line = Path(f"/proc/{process.pid}/cmdline").read_bytes()
            out, err = process.communicate(stdin, timeout=60)
        assert process.returncode == code, (arguments, out, err)
        name = "herod " + " ".join(arguments[:2])
        self.places[f"process list: {name}"] = line
        self.places[f"stderr: {name}"] = self.places.get(f"stderr: {name}", b"") + err.encode()
        return out

    def keep_files(self, folder: Path, when: str) -> None:
        """Record every file below a folder as a place."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.places[f"{when}: {path.relative_to(folder)}"] = path.read_bytes()

    def leaks(self) -> list[str]:
        """The leaks of all secrets in all places."""
        every = {name: text.encode() for name, text in self.secrets.items()} | self.binary
        return [str(leak) for leak in search(every, self.places)]


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """New secrets."""
    return Vault(tmp_path)


def tampered(text: str) -> str:
    """The text with one character changed."""
    return text[:-9] + ("A" if text[-9] != "A" else "B") + text[-8:]


def settings_of(vault: Vault) -> tuple[tuple[str, ...], dict[str, Any], Path, int]:
    """The daemon's configuration: arguments, environment, certificate, and port with TLS."""
    cert, key = make_certificate(vault.folder)
    vault.binary["TLS key"] = b"".join(key.read_bytes().splitlines()[1:-1])[:60]
    config = vault.folder / "herod.toml"
    config.write_text(
        f'register_secret = ["@{vault.file("legacy_register")}"]\n[scopes."{SCOPE}"]\nincludes = ["read"]\n'
    )
    arguments = (
        "--log-level", "debug", "--config", str(config), "--signing", "EdDSA", "--bootstrap-admin-key", "boot",
        "--admin-secret", f"@{vault.file('legacy_admin')}", "--tls-cert", str(cert), "--tls-key", str(key),
    )  # fmt: skip
    env = {
        "HERO_SECRET": vault.secrets["hero"],
        "HEROD_STORE_SECRET_FILE": str(vault.file("store")),
        "HEROD_USER_SECRET": vault.secrets["legacy_user"],
    }
    return arguments, env, cert, free_port()


def furnish(vault: Vault, daemon: Daemon, door: Doorway) -> list[Mapping[str, str]]:
    """Accounts, keys, tokens and sessions; every way to present them, valid and invalid."""
    vault.secrets["cookie"] = daemon.cookie
    vault.secrets["bootstrap"] = next((daemon.folder / "store").glob("bootstrap-*.key")).read_text().strip()
    peer = {"authorization": f"Peer {daemon.cookie}", "content-type": "application/json"}

    def rpc(method: str, headers: Mapping[str, str] = peer, **params: object) -> Any:
        call = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        _, answer = vault.ask(door, Ask("POST", "/rpc", {**headers, "content-type": "application/json"}, call))
        return answer["result"]

    user = rpc("users.add", email=EMAIL, name=NAME, password=vault.secrets["password"], scope=f"write {SCOPE}")
    basic = base64.b64encode(f"{user['client_id']}:{user['client_secret']}".encode()).decode()
    presented = {"authorization": f"Basic {basic}"}
    key = rpc("keys.create", presented, name=NAME)["key"]
    service = rpc("keys.create", name=NAME + " service", kind="service", scope="admin")["key"]
    token = rpc("token.create", presented)["access_token"]
    for name, text in (("token", token), ("key", key), ("client secret", user["client_secret"])):
        vault.secrets[f"tampered {name}"] = tampered(text)
    vault.ask(
        door, Ask("POST", "/login", peer, json.dumps({"email": EMAIL, "password": vault.secrets["password"]}).encode())
    )
    for name in ("wrong_password", "long_password"):
        vault.ask(
            door, Ask("POST", "/login", peer, json.dumps({"email": EMAIL, "password": vault.secrets[name]}).encode())
        )
    path = f"/api/v1/users/{user['client_id']}/password"
    for name in ("long_password", "new_password"):
        sent = {"password": vault.secrets[name], "current": vault.secrets["password"]}
        vault.ask(door, Ask("POST", path, {**presented, "content-type": "application/json"}, json.dumps(sent).encode()))
    wrong = base64.b64encode(f"{user['client_id']}:{vault.secrets['tampered client secret']}".encode()).decode()
    return [
        {"authorization": f"Bearer {service}"},
        {"authorization": f"Bearer {token}"},
        {"x-api-key": key},
        presented,
        {"x-herod-secret": vault.secrets["legacy_user"]},
        {"authorization": f"Bearer {vault.secrets['tampered token']}"},
        {"x-api-key": vault.secrets["tampered key"]},
        {"authorization": f"Basic {wrong}"},
        {"authorization": f"Peer {daemon.cookie}", "via": "1.1 x"},
        {},
    ]


def sign_in_and_out(vault: Vault, door: Doorway) -> None:
    """Sign in and out as a browser does: cookie and ticket are the two halves of a session."""
    form = {"content-type": "application/x-www-form-urlencoded", "origin": "http://localhost"}
    for name in ("wrong_password", "new_password"):
        body = f"email={EMAIL}&password={vault.secrets[name]}".encode()
        status, head, page = door.send(Ask("POST", "/ui/sign-in", form, body))
        if name == "wrong_password":
            assert status == 401
            vault.places["sign-in page"] = head + page
    assert status == 303
    fields = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
    lower = {name.lower(): value for name, value in fields.items()}
    vault.secrets["session cookie"] = lower["set-cookie"].split("=", 1)[1].split(";")[0]
    vault.secrets["session ticket"] = lower["location"].split("ticket=")[1]
    cookie = {"cookie": f"herod_session={vault.secrets['session cookie']}"}
    assert door.send(Ask("GET", lower["location"], cookie))[0] == 200
    out = f"ticket={vault.secrets['session ticket']}".encode()
    assert door.send(Ask("POST", "/ui/sign-out", {**form, **cookie}, out))[0] == 303


def use_commands(vault: Vault, daemon: Daemon) -> None:
    """Run the commands that take or print secrets, by file, standard input and environment, valid and invalid."""
    vault.run(daemon, "login", EMAIL, "--password-file", "-", stdin=vault.secrets["new_password"])
    saved = json.loads((daemon.folder / "config" / "herod" / "credentials.json").read_text())
    vault.issued(next(shown_once(list(saved.values()))))
    vault.run(daemon, "whoami")
    vault.run(daemon, "login", EMAIL, "--password-file", str(vault.file("wrong_password")), code=4)
    vault.run(daemon, "whoami", HEROD_TOKEN=vault.secrets["tampered token"], code=4)
    vault.run(daemon, "whoami", HEROD_KEY=vault.secrets["tampered key"], code=4)
    vault.run(daemon, "token", "validate", "-", stdin=vault.secrets["tampered token"], code=1)
    vault.run(daemon, "key", "verify", f"@{vault.file('tampered key')}", code=1)
    vault.issued(vault.run(daemon, "secret", "generate").strip())
    vault.places["doctor"] = vault.run(daemon, "doctor", "--peer", code=_doctor_code(daemon)).encode()
    vault.run(daemon, "backup", str(vault.folder / "backup"), "--peer")
    vault.run(daemon, "logout")


def _doctor_code(daemon: Daemon) -> int:
    """The doctor's exit code; its findings about the tests' own folder are not the subject here."""
    return daemon.herod("doctor", "--peer").returncode


def look_at_process(vault: Vault, daemon: Daemon) -> None:
    """What other users see of the daemon: its command line, and neither memory nor environment."""
    proc = Path(f"/proc/{daemon.process.pid}")
    vault.places["process list: daemon"] = (proc / "cmdline").read_bytes()
    limits = (proc / "limits").read_text()
    assert "Max core file size        0 " in limits
    # PR_SET_DUMPABLE=0: these belong to root, whoever runs the daemon, and no other user can read them.
    assert (proc / "environ").stat().st_uid == 0
    if os.getuid() == 0 and shutil.which("setpriv"):
        for name in ("environ", "mem", "maps"):
            done = subprocess.run([*OTHER, "cat", str(proc / name)], capture_output=True, check=False)
            assert done.returncode != 0
            assert not done.stdout


def some(asked: list[Ask]) -> list[Ask]:
    """A sample of the requests, in their order."""
    chosen = chance("canaries").sample(range(len(asked)), min(len(asked), count("CANARIES") // 2))
    return [asked[number] for number in sorted(chosen)]


async def look_into_store(vault: Vault, path: Path, secret: str) -> None:
    """Collect the keys that no file may contain, which only the holder of the secret can read."""
    async with open_sqlite(path, secret, now=1) as store:
        for purpose in Purpose:
            vault.binary[f"key of {purpose}"] = store.keyring.key(purpose)
        for number, record in enumerate(store.scan(SigningKeyRecord)):
            vault.binary[f"signing key {number}"] = record.private
        for account in store.scan(Account):
            vault.binary[f"secret hash {account.id}"] = account.secret_hash
            if account.password is not None:
                vault.binary[f"password hash {account.id}"] = account.password.encode()
        for key in store.scan(ApiKey):
            vault.binary[f"key hash {key.id}"] = key.secret_hash
        assert [one.private for one in store.scan(SigningKeyRecord)]


async def test_no_secret_is_left_anywhere(vault: Vault, say: Callable[[str], None]) -> None:
    """Logs, errors, answers, process lists, database, WAL and backups contain no secret in any encoding."""
    arguments, env, cert, tls_port = settings_of(vault)
    folder = vault.folder / "daemon"
    binds = (f"unix:{folder}/herod.sock,mode=0666", f"127.0.0.1:{tls_port}")
    with running(folder, *arguments, binds=binds, **env) as daemon:
        doors = (Doorway(path=daemon.socket), Doorway(port=tls_port, ca=cert))
        credentials = furnish(vault, daemon, doors[0])
        admin = {"authorization": f"Peer {daemon.cookie}"}
        credentials.append(use_an_app(vault, doors[0], admin, f"https://localhost:{tls_port}"))
        strays = [ask for text in vault.secrets.values() for ask in wrong_places(text)]
        asked = some(list(walk(vault.secrets, credentials))) + some(strays)
        for number, ask in enumerate(asked):
            vault.ask(doors[number % 20 == 0], ask)
        sign_in_and_out(vault, doors[0])
        use_commands(vault, daemon)
        look_at_process(vault, daemon)
        vault.keep_files(folder / "store", "while it runs")
        assert any(name.endswith("-wal") for name in vault.places)
        before = set(Path.cwd().glob("core*"))
        assert daemon.stop(signal.SIGABRT) == -signal.SIGABRT
        assert set(Path.cwd().glob("core*")) == before
    with running(folder, *arguments, binds=binds, command=FAILING, **env) as daemon:
        vault.secrets["second cookie"] = daemon.cookie
        body = json.dumps({"token": f"eyJ.{vault.secrets['password']}."}).encode()  # no guess at a legacy secret
        sent = {"content-type": "application/json", "authorization": f"Bearer {vault.secrets['bootstrap']}"}
        assert vault.ask(doors[0], Ask("POST", "/validate", sent, body))[0] == 500
        body = json.dumps({"email": EMAIL, "password": vault.secrets["password"]}).encode()
        assert vault.ask(doors[0], Ask("POST", "/users/add", sent, body))[0] == 500
        assert daemon.stop() == 0
    assert daemon.log.read_bytes().count(b'"trace"') == 2
    await move(vault, daemon, env)
    vault.places["answers"] = bytes(vault.answers)
    vault.places["log"] = daemon.log.read_bytes()
    vault.places.pop("while it runs: bootstrap-boot.key")  # where it belongs
    vault.keep_files(folder / "store", "in the end")
    vault.places.pop("in the end: bootstrap-boot.key")
    vault.places["backup"] = (vault.folder / "backup").read_bytes()
    for name, content in (("email", EMAIL), ("name", NAME), ("scope", SCOPE)):
        stored = {
            place: data
            for place, data in vault.places.items()
            if "herod.db" in place or place in {"backup", "log", "export"}
        }
        assert not list(search({name: content.encode()}, stored))
    assert len(vault.secrets) > 20
    assert len(vault.binary) > 5
    assert vault.leaks() == []
    size = sum(map(len, vault.places.values()))
    say(
        f"{len(vault.secrets) + len(vault.binary)} secrets in {len(forms(b'a secret'))} forms, {len(asked)} requests, "
        f"{len(vault.places)} places of {size:,} bytes: 0 found"
    )
    vault.places["planted"] = b"..." + base64.b64encode(vault.secrets["hero"].encode())
    assert vault.leaks() != []


async def move(vault: Vault, daemon: Daemon, env: Mapping[str, Any]) -> None:
    """Restore and rotate, with wrong and right secrets."""
    store = f"sqlite:{daemon.folder}/store/herod.db"
    config = ("--store", store)
    secrets: dict[str, Any] = {
        "HERO_SECRET": env["HERO_SECRET"],
        "HEROD_STORE_SECRET_FILE": env["HEROD_STORE_SECRET_FILE"],
    }
    vault.run(daemon, "restore", str(vault.folder / "backup"), *config, "--backup-secret-file",
              str(vault.file("backup_secret")), code=2, **secrets)  # fmt: skip
    vault.run(daemon, "restore", str(vault.folder / "backup"), *config, **secrets)
    rotate = ("secret", "rotate", *config, "--store-secret", "--new-secret-file", str(vault.file("new_hero")))
    vault.run(daemon, *rotate, **secrets)
    secrets["HEROD_STORE_SECRET_FILE"] = str(vault.file("new_hero"))
    exported, other = vault.folder / "export", ("--store", f"sqlite:{vault.folder}/other.db")
    vault.run(daemon, "export", str(exported), *config, **secrets)
    vault.places["export"] = exported.read_bytes()
    vault.run(daemon, "import", str(exported), *other, code=2, HERO_SECRET=vault.secrets["backup_secret"])
    vault.run(daemon, "import", str(exported), *other, "--from-secret", f"@{vault.file('hero')}", **secrets)
    vault.keep_files(vault.folder, "imported")
    vault.places = {
        name: data for name, data in vault.places.items() if not name.startswith("imported") or "other.db" in name
    }
    await look_into_store(vault, daemon.folder / "store" / "herod.db", vault.secrets["new_hero"])


def test_bad_settings_name_no_secret(vault: Vault) -> None:
    """A refused start names the place of a bad setting, but not its value."""
    config = vault.folder / "herod.toml"
    secret = vault.secrets["legacy_admin"]
    texts = (
        f"admin_secret = [{secret}]",
        f'admin_secret = ["{secret}"',
        f'admin_secret = {{"{secret}" = 1}}',
        f'admin_secret = ["{secret}"]\nuser_secret = ["{secret}"]',
        f'[admin_secret]\nx = "{secret}"',
    )
    for number, text in enumerate(texts):
        config.write_text(text)
        env = {**os.environ, "HERO_SECRET": vault.secrets["hero"], "HOME": str(vault.folder)}
        done = herod("serve", "--config", str(config), "--store", "memory:", env=env)
        assert done.returncode == 2, text
        vault.places[f"text {number}"] = (done.stdout + done.stderr).encode()
    assert vault.leaks() == []
