"""After a restore no token or code that an app had is good, though the backup has the delegation it came from."""

import json
from pathlib import Path

import httpx2
import pytest

from support.person_at_forms import CALLBACK, PersonAtForms, add_person, register_app, tokens_for
from support.real_daemon import Daemon, running

STORE = "store/herod.db"


def refresh(daemon: Daemon, client_id: str, secret: str | None, token: str) -> httpx2.Response:
    """Ask for new tokens."""
    form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": client_id, "client_secret": secret}
    return httpx2.post(f"{daemon.public_url}/token", data=form, trust_env=False)


@pytest.mark.parametrize("kind", ["public", "confidential"])
def test_after_a_restore(tmp_path: Path, kind: str) -> None:
    """What was issued before the backup, and what was rotated after it, is refused; the app connects anew."""
    folder, file = tmp_path / "daemon", tmp_path / "b"
    with running(folder) as daemon:
        add_person(daemon)
        client_id, secret = register_app(daemon, name="Notes", type=kind, redirect_uris=[CALLBACK], scope="write")
        resource = daemon.public_url
        with PersonAtForms(daemon) as ada:
            first = tokens_for(ada, client_id, secret, resource=resource)
        assert daemon.herod("backup", str(file)).returncode == 0
        later = refresh(daemon, client_id, secret, first["refresh_token"])
        assert later.status_code == 200
        port = daemon.port
        assert daemon.stop() == 0
    binds = (f"unix:{folder}/herod.sock,mode=0666", f"127.0.0.1:{port}")
    done = daemon.herod("restore", str(file), "--store", f"sqlite:{folder / STORE}")
    assert done.returncode == 0, done.stderr
    with running(folder, binds=binds) as daemon:
        daemon.port = port
        for tokens in (first, later.json()):
            answer = refresh(daemon, client_id, secret, tokens["refresh_token"])
            assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
            said = daemon.curl(
                "/validate", "--json", json.dumps({"token": tokens["access_token"], "resource": resource})
            )
            assert said[1]["valid"] is False
        with PersonAtForms(daemon) as ada:
            again = tokens_for(ada, client_id, secret, resource=resource)
        assert refresh(daemon, client_id, secret, again["refresh_token"]).status_code == 200
