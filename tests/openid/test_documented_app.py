"""The page "Sign in to an app": its program runs as printed, its commands work, and apps like those named get in."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import pytest

from openid.conftest import Place
from support.person_at_forms import PersonAtForms, register_app

PAGE: Final = Path(__file__).parents[2] / "docs" / "sign-in-to-an-app.md"
BASE: Final = "http://localhost:5000"
GITEA: Final = "https://git.example.org/user/oauth2/herod/callback"


def program() -> str:
    """The page's Flask app."""
    (found,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return str(found)


def commands() -> list[str]:
    """The page's `herod app` command lines."""
    return [line[2:] for line in re.findall(r"^ *(\$ herod app .*)$", PAGE.read_text(), re.MULTILINE)]


@pytest.mark.parametrize("line", commands())
def test_the_commands(place: Place, tmp_path: Path, line: str) -> None:
    """Each registers an app, and leaves its secret in a file that only its owner can read."""
    words = shlex.split(line)
    words[3] += tmp_path.name  # another test has registered the same
    done = subprocess.run(
        [sys.executable, "-m", "herod", *words[1:]], cwd=tmp_path, env=place.daemon.env, capture_output=True,
        text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (saved,) = tmp_path.glob("*.secret")
    assert saved.stat().st_mode & 0o777 == 0o600


def test_the_flask_app(place: Place, person: PersonAtForms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copied from the page, it sends a browser to herod, and greets who comes back by name."""
    client_id, secret = register_app(place.daemon, name="Notes", redirect_uris=[f"{BASE}/callback"])
    (tmp_path / "notes.secret").write_text(f"{secret}\n")
    monkeypatch.chdir(tmp_path)
    for name, value in {"HEROD_ISSUER": place.daemon.public_url, "CLIENT_ID": client_id}.items():
        monkeypatch.setitem(os.environ, name, value)
    notes = ModuleType("notes")
    exec(program(), notes.__dict__)  # noqa: S102 - our own page
    browser = notes.app.test_client()
    assert browser.get("/", base_url=BASE).location == "/login"
    leaving = browser.get("/login", base_url=BASE)
    back = person.allow(leaving.location)
    assert browser.get(back.removeprefix(BASE), base_url=BASE).location == "/"
    assert browser.get("/", base_url=BASE).text == "Hello Ada Lovelace"


def test_an_app_like_gitea(place: Place, person: PersonAtForms) -> None:
    """It sends neither a code challenge nor a nonce, authenticates by Basic, and reads the id_token and /userinfo."""
    fields = {"name": "Gitea", "redirect_uris": [GITEA], "pkce": "off"}
    client_id, secret = register_app(place.daemon, **fields)
    issuer = place.daemon.public_url
    metadata = httpx2.get(f"{issuer}/.well-known/openid-configuration", trust_env=False).json()
    asked = {
        "client_id": client_id, "redirect_uri": GITEA, "response_type": "code",
        "scope": "profile email groups openid", "state": "s1",
    }  # fmt: skip
    back = person.allow(f"{metadata['authorization_endpoint']}?{urlencode(asked)}")
    told = dict(parse_qsl(urlsplit(back).query))
    assert (told["state"], told["iss"]) == ("s1", issuer)
    form = {"grant_type": "authorization_code", "code": told["code"], "redirect_uri": GITEA}
    tokens = httpx2.post(metadata["token_endpoint"], data=form, auth=(client_id, secret or ""), trust_env=False).json()
    assert "id_token" in tokens
    user = httpx2.get(
        metadata["userinfo_endpoint"], headers={"authorization": f"Bearer {tokens['access_token']}"}, trust_env=False
    ).json()
    assert (user["sub"], user["email"], user["groups"]) == (place.person, "ada@example.org", ["write", "read"])
