"""A fake daemon that signs people in by browser, and a fake browser that does what a person does there."""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from support.fake_daemon import USER, WHOAMI, Asked, FakeDaemon, Reply, json_reply

ISSUER = "http://localhost:3350"
# Opens the address that it is given, which leads on to herod: goes back to the app as the person's browser does, with
# what `answer` says.
BROWSER = """#!{python}
import json, os, sys
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, build_opener, urlopen
folder = os.path.dirname(sys.argv[0])
with open(folder + "/opened", "w") as file:
    json.dump({{"arguments": sys.argv[1:], "environment": dict(os.environ)}}, file)
class Stay(HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None
answer = json.load(open(folder + "/answer"))
if os.fork() == 0:  # a browser answers later than it starts
    os.setsid()
    try:
        build_opener(Stay).open(sys.argv[-1])
    except HTTPError as led:
        address = led.headers["Location"]
    asked = {{name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}}
    with open(folder + "/led", "w") as file:
        file.write(address)
    with open(folder + "/page", "wb") as file:
        file.write(urlopen(asked["redirect_uri"] + "?" + urlencode({{"state": asked["state"], **answer}})).read())
    os.rename(folder + "/page", folder + "/shown")
"""


@dataclass
class SignInDaemon:
    """What the daemon has issued: each refresh token is good once."""

    daemon: FakeDaemon
    number: int = 0
    good: set[str] = field(default_factory=set)
    revoked: list[str] = field(default_factory=list)
    seconds: int = 600
    code: str = "the-code"

    def token(self, asked: Asked) -> Reply:
        """`POST /token`."""
        form = asked.form
        if form["grant_type"] == "authorization_code":
            if form["code"] != self.code:
                return json_reply({"error": "invalid_grant", "error_description": "This code is not valid."}, 400)
        elif form["refresh_token"] not in self.good:
            return json_reply({"error": "invalid_grant", "error_description": "Not valid any more."}, 400)
        return json_reply(self.issue())

    def issue(self) -> dict[str, Any]:
        """The next tokens."""
        self.number += 1
        self.good = {f"herod_r_{self.number}"}
        return {
            "access_token": f"eyJ.access.{self.number}",
            "token_type": "Bearer",
            "expires_in": self.seconds,
            "scope": "admin",
            "refresh_token": f"herod_r_{self.number}",
        }

    def revoke(self, asked: Asked) -> Reply:
        """`POST /revoke`."""
        self.revoked.append(asked.form["token"])
        return json_reply({"revoked": True})

    def introspect(self, asked: Asked) -> Reply:
        """`POST /introspect`."""
        return json_reply({"active": asked.form["token"] in self.good, "exp": 1_900_000_000})


@pytest.fixture
def signing(daemon: FakeDaemon) -> SignInDaemon:
    """The fake daemon, with herod's app `herod-cli`."""
    made = SignInDaemon(daemon)
    daemon.routes["GET", "/.well-known/oauth-authorization-server"] = json_reply(
        {"issuer": ISSUER, "authorization_endpoint": f"{ISSUER}/authorize", "token_endpoint": "http://elsewhere/token"}
    )
    daemon.answers["POST", "/token"] = made.token
    daemon.answers["POST", "/revoke"] = made.revoke
    daemon.answers["POST", "/introspect"] = made.introspect
    return made


@dataclass
class Browser:
    """The fake browser, below a folder."""

    folder: Path

    def answers(self, **parameters: str) -> None:
        """What comes back to the command, beside the state."""
        (self.folder / "answer").write_text(json.dumps(parameters))

    @property
    def opened(self) -> dict[str, Any]:
        """Its arguments and environment."""
        found: dict[str, Any] = json.loads((self.folder / "opened").read_text())
        return found

    @property
    def asked(self) -> dict[str, str]:
        """The parameters of herod's address, to which it was led."""
        led = (self.folder / "led").read_text()
        return {name: value for name, (value,) in parse_qs(urlsplit(led).query).items()}

    def shown(self) -> str:
        """The page that it showed last."""
        end = time.monotonic() + 10
        while not (self.folder / "shown").exists():
            assert time.monotonic() < end
            time.sleep(0.01)
        return (self.folder / "shown").read_text()


@pytest.fixture
def browser(machine: Path, monkeypatch: pytest.MonkeyPatch) -> Browser:
    """The fake browser as the user's own: its person allows."""
    folder = machine / "browser"
    folder.mkdir()
    program = folder / "browser"
    program.write_text(BROWSER.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(program))
    made = Browser(folder)
    made.answers(code="the-code", iss=ISSUER)
    return made


@pytest.fixture
def kept(machine: Path) -> Path:
    """The file of saved sign-ins."""
    return machine / "config" / "herod" / "credentials.json"


@pytest.fixture
def signed_in(signing: SignInDaemon, kept: Path) -> Callable[..., None]:
    """Save a session, as an earlier `herod login` did."""

    def save(**changes: Any) -> None:
        tokens = signing.issue()
        session = {
            "access_token": tokens["access_token"],
            "refresh_token": tokens["refresh_token"],
            "expires_at": int(time.time()) + 600,
            "client_id": USER["client_id"],
            "name": WHOAMI["name"],
            "scope": "admin",
            "method": "browser",
            "signed_in_at": 1_800_000_000,
            "issuer": ISSUER,
            **changes,
        }
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps({"version": 1, "sign_ins": {signing.daemon.url: {"lasting": session}}}))
        kept.chmod(0o600)

    return save
