"""Scanopy's conventions: the versions' route, the envelope, and the rotation of a key."""

from collections.abc import Iterator
from typing import Any

import pytest

import herod
from support.real_daemon import Daemon, running

META = {"api_version": "1", "server_version": herod.__version__}


@pytest.fixture(scope="module")
def scanopy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Daemon, tuple[str, str]]]:
    """A daemon, and the header of a user's API key's owner."""
    with running(tmp_path_factory.mktemp("scanopy"), "--registration", "open") as daemon:
        person = '{"email":"ada@example.org","password":"correct horse battery"}'
        status, made, _ = daemon.curl("/register", "--json", person, tcp=True)
        assert status == 201
        yield daemon, ("-H", f"Authorization: Bearer {made['access_token']}")


def ask(scanopy: tuple[Daemon, tuple[str, str]], path: str, *more: str) -> tuple[int, Any]:
    """Ask as that user, over TCP."""
    daemon, bearer = scanopy
    status, body, _ = daemon.curl(path, *bearer, *more, tcp=True)
    return status, body


def test_versions(scanopy: tuple[Daemon, tuple[str, str]]) -> None:
    """`GET /api/version` needs no credential, and has both versions under the names of the envelope."""
    status, body, _ = scanopy[0].curl("/api/version", tcp=True)
    assert (status, {name: body[name] for name in META}) == (200, META)
    assert body["version"] == herod.__version__


def test_envelope(scanopy: tuple[Daemon, tuple[str, str]]) -> None:
    """Answers below /api/v1 have `data` or `error`, and `meta` in any case."""
    assert ask(scanopy, "/api/v1/whoami")[1].keys() == {"data", "meta"}
    status, made = ask(scanopy, "/api/v1/keys", "--json", '{"name":"envelope"}')
    assert (status, made["meta"]) == (201, META)
    status, listed = ask(scanopy, "/api/v1/keys")
    assert (status, listed["meta"]) == (200, {**META, "next_cursor": None})
    for path in ("/api/v1/keys/nobody", "/api/v1/nowhere", "/api/auth/nowhere"):
        status, refused = ask(scanopy, path)
        assert (status, refused.keys(), refused["meta"]) == (404, {"error", "meta"}, META)


@pytest.mark.parametrize("route", ["/api/auth/keys/{}/rotate", "/api/v1/keys/{}/rotate"])
@pytest.mark.parametrize("body", [("-X", "POST"), ("--json", "{}")])
def test_rotation(scanopy: tuple[Daemon, tuple[str, str]], route: str, body: tuple[str, ...]) -> None:
    """A key gets another secret under the same id, and the one before is refused; a body is not needed."""
    name = f"rotated {len(route)} {body[0]}"
    _, made = ask(scanopy, "/api/v1/keys", "--json", f'{{"name":"{name}"}}')
    status, rotated = ask(scanopy, route.format(made["data"]["id"]), *body)
    assert (status, rotated["meta"], rotated["data"]["id"]) == (200, META, made["data"]["id"])
    for key, status in ((made["data"]["key"], 401), (rotated["data"]["key"], 200)):
        assert scanopy[0].curl("/api/v1/whoami", "-H", f"Authorization: Bearer {key}", tcp=True)[0] == status
