"""`herod login --device`: what is shown, how it is asked for the tokens, and what each answer says."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.sign_in.conftest import ISSUER, SignInDaemon
from support.fake_daemon import Asked, Reply, json_reply

Typed = Callable[..., Any]
GRANT = "urn:ietf:params:oauth:grant-type:device_code"
CODES = {
    "device_code": "the-device-code",
    "user_code": "BCDF-GHJK",
    "verification_uri": f"{ISSUER}/ui/device",
    "verification_uri_complete": f"{ISSUER}/ui/device?user_code=BCDF-GHJK",
    "expires_in": 600,
    "interval": 7,
}


class Asking:
    """The daemon's answers to the command that waits, and how long that slept between them."""

    def __init__(self, signing: SignInDaemon) -> None:
        self.signing = signing
        self.slept: list[float] = []
        self.errors: Iterator[str] = iter(())

    def will_answer(self, *errors: str) -> None:
        """The errors at `/token`, before the tokens."""
        self.errors = iter(errors)

    def token(self, asked: Asked) -> Reply:
        """`POST /token`."""
        assert asked.form == {"grant_type": GRANT, "client_id": "herod-cli", "device_code": "the-device-code"}
        for error in self.errors:
            return json_reply({"error": error, "error_description": f"It is {error}."}, 400)
        return json_reply(self.signing.issue())


@pytest.fixture
def asking(signing: SignInDaemon, monkeypatch: pytest.MonkeyPatch) -> Asking:
    """A daemon that gives device codes, and a command that does not really sleep."""
    made = Asking(signing)
    signing.daemon.routes["GET", "/.well-known/oauth-authorization-server"] = json_reply(
        {"issuer": ISSUER, "device_authorization_endpoint": f"{ISSUER}/device_authorization"}
    )
    signing.daemon.routes["POST", "/device_authorization"] = json_reply(CODES)
    signing.daemon.answers["POST", "/token"] = made.token
    monkeypatch.setattr("herod_cli.sign_in.device_sign_in.time.sleep", made.slept.append)
    return made


def test_signing_in(asking: Asking, herod: Typed, kept: Path) -> None:
    """Page and code are shown, herod is asked as often as it wants to be, and the session is saved."""
    asking.will_answer("authorization_pending", "slow_down", "authorization_pending")
    ended = herod("login", "--device")
    assert ended.code == 0, ended.err
    assert asking.signing.daemon.asked[1].form == {"client_id": "herod-cli", "resource": ISSUER}
    for shown in (f"page: {ISSUER}/ui/device\n", "code: BCDF-GHJK", "ssh -L 3350:localhost:3350 HOST"):
        assert shown in ended.err
    assert "the-device-code" not in ended.out + ended.err
    assert "Signed in to" in ended.out
    assert asking.slept == [7, 7, 12, 12]
    ((found),) = json.loads(kept.read_text())["sign_ins"].values()
    assert (found["lasting"]["method"], found["lasting"]["refresh_token"]) == ("device", "herod_r_1")
    assert "by a code" in " ".join(herod("whoami").out.split())


def test_less_scope(asking: Asking, herod: Typed) -> None:
    """`--scope` asks for less."""
    assert herod("login", "--device", "--scope", "read").code == 0
    assert asking.signing.daemon.asked[1].form["scope"] == "read"


@pytest.mark.parametrize(
    ("error", "says"),
    [
        ("access_denied", "declined"),
        ("expired_token", "Nobody entered the code in time"),
        ("invalid_grant", "It is invalid_grant."),
    ],
)
def test_no_sign_in(error: str, says: str, asking: Asking, herod: Typed, kept: Path) -> None:
    """What ends the wait without tokens is said in a sentence, and nothing is saved."""
    asking.will_answer("authorization_pending", error)
    ended = herod("login", "--device")
    assert ended.code == 1
    assert says in ended.err
    assert not kept.exists()


def test_nobody_enters_it(asking: Asking, herod: Typed) -> None:
    """The wait ends with the code, whatever the daemon goes on saying."""
    asking.signing.daemon.routes["POST", "/device_authorization"] = json_reply({**CODES, "expires_in": 0})
    ended = herod("login", "--device")
    assert ended.code == 1
    assert "Nobody entered the code in time" in ended.err


def test_a_page_elsewhere(asking: Asking, herod: Typed) -> None:
    """A page that any browser can open needs no port forwarded."""
    elsewhere = {**CODES, "verification_uri": "https://herod.example.org/ui/device"}
    asking.signing.daemon.routes["POST", "/device_authorization"] = json_reply(elsewhere)
    assert "ssh" not in herod("login", "--device").err


def test_a_daemon_without_codes(signing: SignInDaemon, herod: Typed) -> None:
    """A daemon that has no such sign-in is not asked for one."""
    ended = herod("login", "--device")
    assert ended.code == 1
    assert "no sign-in by a code" in ended.err
    assert len(signing.daemon.asked) == 1


@pytest.mark.parametrize("missing", ["device_code", "user_code", "verification_uri", "expires_in"])
def test_an_answer_without_codes(missing: str, asking: Asking, herod: Typed) -> None:
    """An answer that is not RFC 8628's is not herod's."""
    rest = {name: value for name, value in CODES.items() if name != missing}
    asking.signing.daemon.routes["POST", "/device_authorization"] = json_reply(rest)
    assert herod("login", "--device").code == 3
