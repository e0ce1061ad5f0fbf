"""`herod login` with a real daemon and a real browser: from the first sign-in to the end of it."""

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser

from support.chromium import ADMIN, PASSWORD, WAIT_MS, Person, ask, person
from support.consent import allow
from support.mcp_packages import running_program
from support.real_daemon import COMMAND, Daemon, environment, free_port, herod, running

LOGIN: Final = (Path(sys.executable), *COMMAND[1:], "login")
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(daemon: Daemon, tmp_path: Path) -> Run:
    """Run the command at the daemon's socket, with a home of its own, and without the daemon's cookie."""

    def typed(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return herod(*arguments, env=environment(tmp_path, HEROD_URL=f"unix:{daemon.socket}"), stdin=stdin)

    return typed


@pytest.fixture
def kept(daemon: Daemon, ada: Person, tmp_path: Path, environ: dict[str, str]) -> Path:
    """The file of saved sign-ins, after Ada has signed in by her browser."""
    with running_program(tmp_path, *LOGIN, on_terminal=False, **environ) as signing_in:
        said = allow(ada, signing_in.authorize_url(daemon.public_url), "admin")
        ada.heading("Signed in")
        page = ada.page.inner_text("body")
        assert "Signed in to" in signing_in.ends()
        printed = signing_in.text
    assert "The herod command in a terminal." in said
    assert "Ada Lovelace" in page
    assert "herod_r_" not in printed
    assert "eyJ" not in printed
    assert "code=" not in printed
    return tmp_path / "config" / "herod" / "credentials.json"


@pytest.fixture
def environ(daemon: Daemon, tmp_path: Path) -> dict[str, str]:
    """What leads the command to the daemon's socket and to a home of its own."""
    given = environment(tmp_path, HEROD_URL=f"unix:{daemon.socket}")
    return {name: given[name] for name in ("HEROD_URL", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR")}


def session(kept: Path) -> dict[str, Any]:
    """What is saved."""
    ((found),) = json.loads(kept.read_text())["sign_ins"].values()
    saved: dict[str, Any] = found["lasting"]
    return saved


def age(kept: Path) -> None:
    """Let the saved access token have ended, as far as the command knows."""
    content = json.loads(kept.read_text())
    for found in content["sign_ins"].values():
        found["lasting"]["expires_at"] = 1
    kept.write_text(json.dumps(content))


def test_a_sign_in(daemon: Daemon, run: Run, kept: Path) -> None:
    """It reads what an admin may, makes nothing that lasts until a password is given, and ends at the daemon."""
    assert "as Ada Lovelace, in a browser" in " ".join(run("whoami").stdout.split())
    assert ADMIN in run("user", "list").stdout
    refused = run("key", "create", "backup")
    assert refused.returncode == 1
    assert "sign in with your password" in refused.stderr
    assert "herod login --email ADDRESS" in refused.stderr
    assert run("login", "--email", ADMIN, "--password-file", "-", stdin=f"{PASSWORD}\n").returncode == 0
    assert run("key", "create", "backup", "--output", "json").returncode == 0
    token = session(kept)["refresh_token"]
    assert run("logout").returncode == 0
    assert not kept.exists()
    status, answer, _ = daemon.curl(
        "/token", "-d", f"grant_type=refresh_token&client_id=herod-cli&refresh_token={token}"
    )
    assert (status, answer["error"]) == (400, "invalid_grant")


def test_staying_signed_in(daemon: Daemon, run: Run, kept: Path) -> None:
    """Five commands at once renew one session, and all of them and later ones are served."""
    former = session(kept)
    age(kept)
    with ThreadPoolExecutor(5) as pool:
        ended = list(pool.map(lambda _: run("user", "list"), range(5)))
    assert [done.returncode for done in ended] == [0] * 5, ended
    assert session(kept)["refresh_token"] != former["refresh_token"]
    age(kept)
    assert run("user", "list").returncode == 0


def test_access_that_is_taken_back(daemon: Daemon, run: Run, kept: Path) -> None:
    """When the person takes the command's access back, it says so once, and nothing is left."""
    (connected,) = ask(daemon, ("delegations.list", {}))[0]["items"]
    ask(daemon, ("delegations.revoke", {"id": connected["id"]}))
    ended = run("user", "list")
    assert ended.returncode == 4
    assert "has ended" in ended.stderr
    assert "`herod login`" in ended.stderr
    assert not kept.exists()


def enter_code(someone: Person, url: str, button: str) -> None:
    """Open the page with the code filled in, sign in, say that the code is one's own, and decide."""
    page = someone.page
    page.goto(url)
    page.get_by_label("Email").fill(ADMIN)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).first.click()
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("My own terminal shows").check(timeout=WAIT_MS)
    someone.button(button).click()


def test_a_terminal_without_a_browser(
    daemon: Daemon, ada: Person, run: Run, environ: dict[str, str], tmp_path: Path
) -> None:
    """A code that is entered elsewhere signs the command in, without admin; one that is denied does not."""
    with running_program(tmp_path, *LOGIN, "--device", on_terminal=False, **environ) as signing_in:
        enter_code(ada, signing_in.says(r"With the code filled in: (\S+)")[1], "Allow")
        ada.heading("Allowed")
        assert "as Ada Lovelace" in signing_in.ends()
    assert "by a code" in " ".join(run("whoami").stdout.split())
    assert "admin" not in session(tmp_path / "config" / "herod" / "credentials.json")["scope"].split()
    assert run("user", "list").returncode == 1
    assert run("logout").returncode == 0
    ada.context.clear_cookies()
    with running_program(tmp_path, *LOGIN, "--device", on_terminal=False, **environ) as signing_in:
        enter_code(ada, signing_in.says(r"With the code filled in: (\S+)")[1], "Deny")
        ada.heading("Denied")
        assert signing_in.process.wait(60) == 1
        assert "The code was declined" in signing_in.text


def test_a_restored_store(browser: Browser, tmp_path: Path) -> None:
    """After a restore no sign-in of before is good, and the command says so in a sentence."""
    folder, home, copy = tmp_path / "daemon", tmp_path / "home", tmp_path / "copy"
    home.mkdir()
    port = free_port()  # the same before and after
    binds = (f"unix:{folder}/herod.sock,mode=0666", f"127.0.0.1:{port}")
    given = environment(home, HEROD_URL=f"unix:{folder}/herod.sock")
    changed = {name: given[name] for name in ("HEROD_URL", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR")}
    with running(folder, binds=binds) as first:
        first.port = port
        ask(first, ("users.add", {"email": ADMIN, "name": "Ada Lovelace", "scope": "admin", "password": PASSWORD}))
        with person(browser, first) as ada, running_program(home, *LOGIN, on_terminal=False, **changed) as signing_in:
            allow(ada, signing_in.authorize_url(first.public_url))
            signing_in.ends()
        assert first.herod("backup", str(copy)).returncode == 0
    restored = first.herod("restore", str(copy), "--store", f"sqlite:{folder}/store/herod.db")
    assert restored.returncode == 0, restored.stderr
    with running(folder, binds=binds):
        ended = herod("user", "list", env=given)
        assert ended.returncode == 4
        assert "has ended" in ended.stderr
        assert not (home / "config" / "herod" / "credentials.json").exists()
