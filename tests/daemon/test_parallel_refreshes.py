"""Sessions of one agent that refresh at the same moment, at a real daemon with its store on disk."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from support.chromium import ask
from support.person_at_forms import CALLBACK, PersonAtForms, add_person, register_app, tokens_for
from support.real_daemon import Daemon, running

AT_ONCE = 5


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon of the test's own."""
    with running(tmp_path / "daemon") as started:
        yield started


def test_five_at_once(daemon: Daemon) -> None:
    """Five refreshes of a token, then five of it and five of its successor: all good, with one successor."""
    person = add_person(daemon)
    client_id, _ = register_app(daemon, name="Agent", type="public", redirect_uris=[CALLBACK], scope="write")
    with PersonAtForms(daemon) as ada:
        first = tokens_for(ada, client_id, None, resource=daemon.public_url)["refresh_token"]

    def refresh(token: str) -> dict[str, str]:
        form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": client_id}
        answer = httpx2.post(f"{daemon.public_url}/token", data=form, trust_env=False)
        assert answer.status_code == 200, answer.text
        found: dict[str, str] = answer.json()
        return found

    with ThreadPoolExecutor(2 * AT_ONCE) as threads:
        answers = [*threads.map(refresh, [first] * AT_ONCE)]
        (second,) = {one["refresh_token"] for one in answers}
        assert second != first
        answers += threads.map(refresh, [first, second] * AT_ONCE)
    assert {one["refresh_token"] for one in answers} == {second}
    assert len({one["access_token"] for one in answers}) == len(answers) == 3 * AT_ONCE
    for one in answers:
        (who,) = ask(daemon, ("whoami", {}), credential=f"Bearer {one['access_token']}")
        assert who["sub"] == person
    assert len(ask(daemon, ("delegations.list", {}))[0]["items"]) == 1
