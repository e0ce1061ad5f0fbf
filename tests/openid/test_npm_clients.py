"""npm's openid-client and oauth4webapi: they check discovery, `iss`, id_token, nonce and /userinfo by themselves."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from openid.conftest import Place
from support.npm_tools import NPM, needs_npm
from support.person_at_forms import PersonAtForms, register_app

REDIRECT = "http://localhost:5001/callback"
BYE = "http://localhost:5001/bye"


class Conversation:
    """A client's process: it says what it does, line by line, and reads where the browser came back to."""

    def __init__(self, process: "subprocess.Popen[str]", errors: Path) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin, self._stdout, self._errors = process.stdin, process.stdout, errors

    def heard(self, step: str) -> Any:
        """The next line, which is of that step."""
        line = self._stdout.readline()
        assert line, self._errors.read_text()
        found = json.loads(line)
        assert found["step"] == step
        return found

    def tell(self, text: str) -> None:
        """Tell it something."""
        self._stdin.write(f"{text}\n")
        self._stdin.flush()


@contextmanager
def conversation(script: str, *arguments: str, folder: Path) -> Iterator[Conversation]:
    """Start a client, and end it if it does not end by itself."""
    with (
        (folder / "errors").open("w") as errors,
        subprocess.Popen(
            ["node", str(NPM / script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "NO_COLOR": "1", "NO_PROXY": "*"},
        ) as process,
    ):
        try:
            yield Conversation(process, folder / "errors")
            assert process.wait(timeout=60) == 0, (folder / "errors").read_text()
        finally:
            process.kill()


@needs_npm
@pytest.mark.parametrize("script", ["openid_client.mjs", "oauth4webapi_client.mjs"])
@pytest.mark.parametrize(
    ("kind", "algorithm"),
    [("confidential", "RS256"), ("confidential", "ES256"), ("public", "RS256"), ("public", "EdDSA")],
)
def test_sign_in_refresh_and_out(
    place: Place, person: PersonAtForms, tmp_path: Path, script: str, kind: str, algorithm: str
) -> None:
    """A person signs in, the client refreshes with a new id_token, and herod signs them out without asking."""
    client_id, secret = register_app(
        place.daemon,
        name=f"{script} {kind} {algorithm}",
        type=kind,
        redirect_uris=[REDIRECT],
        post_logout_uris=[BYE],
        id_token_algorithm=algorithm,
    )
    given = (place.daemon.public_url, client_id, *(() if secret is None else (secret,)))
    with conversation(script, *given, folder=tmp_path) as talk:
        talk.tell(person.allow(talk.heard("authorize")["url"], "profile", "email", "groups"))
        tokens = talk.heard("tokens")
        claims = tokens["claims"]
        assert (claims["sub"], claims["aud"], claims["iss"]) == (place.person, client_id, place.daemon.public_url)
        assert (claims["email"], claims["email_verified"], claims["groups"]) == (
            "ada@example.org",
            True,
            ["write", "read"],
        )
        assert tokens["has_refresh"] is True
        told = talk.heard("userinfo")["claims"]
        assert told["sub"] == place.person
        assert told["name"] == "Ada Lovelace"
        refreshed = talk.heard("refreshed")
        assert refreshed["is_new"] is True
        assert refreshed["claims"]["auth_time"] == claims["auth_time"]
        assert "nonce" not in refreshed["claims"]
        assert talk.heard("userinfo again")["claims"] == told
        assert person.sign_out(talk.heard("logout")["url"], is_asked=False) == f"{BYE}?state=s2"
