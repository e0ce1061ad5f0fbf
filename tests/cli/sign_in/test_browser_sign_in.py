"""`herod login` in a browser: what is opened, what comes back, what is saved, and what each failure says."""

import base64
import hashlib
import json
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cli.sign_in.conftest import ISSUER, Browser, SignInDaemon
from herod.identity.apps.registered_apps import HEROD_CLI, built_in_apps
from herod_cli.exit_codes import FailureError
from herod_cli.sign_in.lasting_sign_ins import CLIENT_ID
from herod_cli.sign_in.loopback_listener import CALLBACK_PATH, HOST
from support.fake_daemon import WHOAMI, RpcError, json_reply
from support.herod_in_memory import Harness
from support.real_daemon import environment
from support.real_daemon import herod as command

Typed = Callable[..., Any]


def test_signing_in(signing: SignInDaemon, browser: Browser, herod: Typed, kept: Path) -> None:
    """The browser is led to herod with PKCE, and its code is exchanged at the daemon that the command talks to."""
    ended = herod("login")
    assert ended.code == 0, ended.err
    assert f"Signed in to {signing.daemon.url} as Ada, scope admin" in ended.out
    asked = browser.asked
    exchange, whoami = signing.daemon.asked[1:]
    assert exchange.form | {"code_verifier": ""} == {
        "grant_type": "authorization_code",
        "client_id": HEROD_CLI,
        "code": "the-code",
        "redirect_uri": asked["redirect_uri"],
        "code_verifier": "",
        "resource": ISSUER,
    }
    digest = hashlib.sha256(exchange.form["code_verifier"].encode()).digest()
    assert asked["code_challenge"] == base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert (asked["code_challenge_method"], asked["resource"], asked["client_id"]) == ("S256", ISSUER, HEROD_CLI)
    assert "scope" not in asked
    assert exchange.authorization is None
    assert whoami.authorization == "Bearer eyJ.access.1"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    session = json.loads(kept.read_text())["sign_ins"][signing.daemon.url]["lasting"]
    assert (session["refresh_token"], session["issuer"], session["method"]) == ("herod_r_1", ISSUER, "browser")
    shown = browser.shown()
    assert "Signed in" in shown
    assert "Ada" in shown


def test_nothing_secret_is_passed_on(
    signing: SignInDaemon, browser: Browser, herod: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the browser gets, and what is printed, is no secret: no verifier, code, token, nor a variable of herod's."""
    monkeypatch.setenv("HERO_SECRET", "a canary")
    monkeypatch.setenv("HEROD_UNKNOWN", "a canary")
    ended = herod("login")
    verifier = signing.daemon.asked[1].form["code_verifier"]
    passed = json.dumps(browser.opened) + ended.out + ended.err
    for secret in (verifier, "the-code", "eyJ.access", "herod_r_", "a canary"):
        assert secret not in passed
    assert browser.asked.keys() == {
        "response_type", "client_id", "redirect_uri", "state", "code_challenge", "code_challenge_method", "resource",
    }  # fmt: skip
    assert len(browser.asked["state"]) >= 43
    # Other users read a browser's arguments, and with these could have their own account's code brought to the command.
    assert not [one for one in (browser.asked["state"], "code_challenge") if one in json.dumps(browser.opened)]


async def test_the_app_is_herods(harness: Harness) -> None:
    """The command's client_id and redirect are those of the built-in app."""
    (app,) = built_in_apps(harness.runtime)
    assert app.id == CLIENT_ID
    assert f"http://{HOST}{CALLBACK_PATH}" in app.redirect_uris


def test_less_scope(signing: SignInDaemon, browser: Browser, herod: Typed) -> None:
    """`--scope` asks for less."""
    assert herod("login", "--scope", "read", "--scope", "user").code == 0
    assert browser.asked["scope"] == "read user"


def test_json(signing: SignInDaemon, browser: Browser, herod: Typed) -> None:
    """For scripts, the result alone is on standard output, without tokens."""
    assert json.loads(herod("login", "--output", "json").out) == {
        "url": signing.daemon.url,
        "client_id": WHOAMI["sub"],
        "scope": "admin",
        "method": "browser",
        "name": "Ada",
    }


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"error": "access_denied", "iss": ISSUER}, "You did not allow it"),
        ({"error": "server_error", "error_description": "No \x1b[2J luck.", "iss": ISSUER}, "No \\x1b[2J luck."),
        ({"code": "the-code", "iss": "http://localhost:3351"}, f"not from {ISSUER}"),
        ({"code": "the-code"}, f"not from {ISSUER}"),
        ({"iss": ISSUER}, "no code"),
        ({"code": "another", "iss": ISSUER}, "This code is not valid."),
    ],
)
def test_what_may_come_back_instead(
    answer: dict[str, str], says: str, signing: SignInDaemon, browser: Browser, herod: Typed, kept: Path
) -> None:
    """A refusal, another server's answer (RFC 9207) or a bad code is said in the terminal, and nothing is saved."""
    browser.answers(**answer)
    ended = herod("login")
    assert ended.code == 1
    assert says in ended.err
    assert "Not signed in" in browser.shown()
    assert not kept.exists()


def test_a_daemon_that_has_gone_meanwhile(signing: SignInDaemon, browser: Browser, herod: Typed, machine: Path) -> None:
    """If the daemon stops while the person is in the browser, the command says so and the page too."""

    def gone(*_: object) -> Any:
        (machine / "run" / "herod" / "herod.sock").unlink()
        return json_reply({"issuer": ISSUER, "authorization_endpoint": f"{ISSUER}/authorize"})

    signing.daemon.answers["GET", "/.well-known/oauth-authorization-server"] = gone
    ended = herod("login")
    assert ended.code == 3
    assert "herod.sock" in ended.err
    assert "Not signed in" in browser.shown()


def test_a_daemon_that_does_not_say_who_it_is(
    signing: SignInDaemon, browser: Browser, herod: Typed, kept: Path
) -> None:
    """Tokens of which it is not known whose they are, are ended and not saved."""
    signing.daemon.methods["whoami"] = RpcError(5003, "Read-only.", {"code": "unavailable"})
    ended = herod("login")
    assert (ended.code, ended.err.count("Read-only.")) == (1, 1)
    assert signing.revoked == ["herod_r_1"]
    assert not kept.exists()


def test_nobody_comes(signing: SignInDaemon, browser: Browser, herod: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait ends after ten minutes."""
    monkeypatch.setattr("herod_cli.sign_in.browser_sign_in.SIGN_IN_SECONDS", 0)
    ended = herod("login")
    assert ended.code == 1
    assert "Nobody signed in within" in ended.err


def test_no_browser(signing: SignInDaemon, herod: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a browser, as over SSH, the other ways are named at once and nothing waits."""
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    ended = herod("login")
    assert ended.code == 1
    for way in ("herod login --device", "herod login --print", "herod login --email"):
        assert way in ended.err
    assert signing.daemon.asked == []


def test_a_browser_that_does_not_start(signing: SignInDaemon, herod: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """If no browser can be opened, and with `--print`, the address is printed and waited for."""
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr("herod_cli.sign_in.browser_sign_in.SIGN_IN_SECONDS", 0)
    monkeypatch.setenv("BROWSER", "/no/such/browser")
    assert f"{ISSUER}/authorize?" in herod("login").err
    monkeypatch.setenv("BROWSER", "")
    assert f"{ISSUER}/authorize?" in herod("login", "--print").err


@pytest.mark.parametrize(
    "endpoint",
    [None, "javascript:alert(1)", "file:///etc/passwd", f"{ISSUER}/authorize?x=1", f"{ISSUER}/a\r\nSet-Cookie: a=b"],
)
def test_a_daemon_without_browsers(endpoint: str | None, signing: SignInDaemon, browser: Browser, herod: Typed) -> None:
    """Where herod signs nobody in by browser, nothing is opened."""
    metadata = {"issuer": ISSUER, **({} if endpoint is None else {"authorization_endpoint": endpoint})}
    signing.daemon.routes["GET", "/.well-known/oauth-authorization-server"] = json_reply(metadata)
    ended = herod("login")
    assert ended.code == 1
    assert "herod login --email" in ended.err
    assert not (browser.folder / "opened").exists()


def test_over_plain_http(signing: SignInDaemon, browser: Browser, herod: Typed) -> None:
    """Before anybody is asked for anything, an address is refused to which tokens would go in clear text."""
    ended = herod("login", "--url", "http://127.0.0.1:1")
    assert ended.code == 2
    assert "--insecure-http" in ended.err
    assert not (browser.folder / "opened").exists()


def test_the_former_end_ofs(
    signing: SignInDaemon, browser: Browser, herod: Typed, signed_in: Callable[..., None]
) -> None:
    """Signing in anew ends the session that it replaces at the daemon too."""
    signed_in()
    assert herod("login").code == 0
    assert signing.revoked == ["herod_r_1"]


def test_two_at_once(signing: SignInDaemon, browser: Browser, kept: Path, machine: Path) -> None:
    """Of two sign-ins at once both succeed, the later one is saved, and the other is ended at the daemon."""
    env = environment(machine, HEROD_URL=signing.daemon.url, BROWSER=os.environ["BROWSER"])
    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(lambda _: command("login", env=env), range(2)))
    assert [done.returncode for done in ended] == [0, 0], ended
    ((found),) = json.loads(kept.read_text())["sign_ins"].values()
    assert {found["lasting"]["refresh_token"], *signing.revoked} == {"herod_r_1", "herod_r_2"}


def test_a_disk_that_is_full_at_the_end(
    signing: SignInDaemon, browser: Browser, herod: Typed, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that cannot be saved in the end is ended at the daemon, so that none is left that nobody has."""

    def fail(*_: object) -> None:
        raise FailureError("There is no space left.")

    monkeypatch.setattr("herod_cli.shared.replaced_file.Replacement.write", fail)
    ended = herod("login")
    assert (ended.code, signing.revoked) == (1, ["herod_r_1"])
    assert "There is no space left." in ended.err
    assert not kept.exists()


def test_what_cannot_be_saved(signing: SignInDaemon, browser: Browser, herod: Typed, kept: Path) -> None:
    """If nothing can be saved, nobody is asked to sign in."""
    kept.parent.mkdir(parents=True)
    (kept.parent / "credentials.lock").mkdir()
    ended = herod("login")
    assert ended.code == 1
    assert "credentials.lock cannot be opened" in ended.err
    assert signing.daemon.asked == []
