"""A daemon with a person, for OpenID Connect clients that nobody here wrote."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from support.person_at_forms import PersonAtForms, add_person
from support.real_daemon import Daemon, running


@dataclass(frozen=True)
class Place:
    """A daemon, and the client_id of a person who has an account there."""

    daemon: Daemon
    person: str


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A daemon with the default signing (HS256): what apps verify is RS256 all the same."""
    with running(tmp_path_factory.mktemp("openid"), "--bootstrap-admin-key", "ops") as daemon:
        yield Place(daemon, add_person(daemon))


@pytest.fixture
def person(place: Place) -> Iterator[PersonAtForms]:
    """The person at a browser of their own."""
    with PersonAtForms(place.daemon) as somebody:
        yield somebody


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use no proxy, and allow plain HTTP on loopback."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
