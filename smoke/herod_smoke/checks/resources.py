"""Resources: owned by a secret and by the service that claimed them, invisible to all others."""

import secrets
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from herod_smoke.fixtures import Fixtures, expect
from herod_smoke.http_connection import Headers, Response, bearer

__all__ = ["ownership"]


def ownership(fixtures: Fixtures) -> None:
    """Another secret, another service and an unknown resource get identical answers."""
    service, other = (bearer(fixtures.key("user")["key"]) for _ in range(2))
    mine, wrong = secrets.token_urlsafe(16), secrets.token_urlsafe(16)
    claimed = _claim(fixtures, service, mine)
    sid = claimed["sid"]
    expect(mine not in str(claimed), "the secret is not shown")
    listed = _list(fixtures, service, mine)
    expect([one["sid"] for one in listed] == [sid], "its owner sees it, and nothing else")
    expect(_list(fixtures, service, wrong) == _list(fixtures, other, mine) == [], "no other caller sees it")
    for method, path, body in (
        ("GET", "/api/v1/resources/{}", None),
        ("POST", "/api/v1/resources/{}/check", {}),
        ("PATCH", "/api/v1/resources/{}", {"name": "stolen"}),
        ("DELETE", "/api/v1/resources/{}", None),
    ):
        asked = [
            _ask(fixtures, service, method, path.format(sid), wrong, body),
            _ask(fixtures, other, method, path.format(sid), mine, body),
            _ask(fixtures, service, method, path.format(uuid4()), mine, body),
        ]
        expect(asked[0].status == 404, "to others it does not exist", asked[0])
        expect(len({(one.status, one.body) for one in asked}) == 1, "all refusals are identical")
    checked = _ask(fixtures, service, "POST", f"/api/v1/resources/{sid}/check", mine, {})
    expect(checked.status == 200 and checked.json["data"]["allowed"] is True, "its owner has access", checked)
    in_url = fixtures.api("GET", f"/api/v1/resources/{sid}?secret={mine}", who=service)
    expect(in_url.status in {400, 404}, "a secret in the URL is refused", in_url)
    released = _ask(fixtures, service, "DELETE", f"/api/v1/resources/{sid}", mine)
    expect(released.status == 200, "its owner can release it", released)
    gone = _ask(fixtures, service, "GET", f"/api/v1/resources/{sid}", mine)
    expect(gone.status == 404, "a released resource is gone", gone)


def _claim(fixtures: Fixtures, who: Headers, secret: str) -> Mapping[str, Any]:
    sent = {"kind": "smoke", "name": fixtures.name("resource"), "secret": secret, "attributes": {"size": 1}}
    answer = fixtures.api("POST", "/api/v1/resources", who=who, json=sent)
    expect(answer.status == 201, "a service can claim a resource", answer)
    made: Mapping[str, Any] = answer.json["data"]
    path = f"/api/v1/resources/{made['sid']}"
    fixtures.later(
        "the resource " + made["sid"], lambda: fixtures.api("DELETE", path, headers={"X-Resource-Secret": secret})
    )
    return made


def _list(fixtures: Fixtures, who: Headers, secret: str) -> list[Mapping[str, Any]]:
    answer = fixtures.api("GET", "/api/v1/resources?kind=smoke", who=who, headers={"X-Resource-Secret": secret})
    expect(answer.status == 200 and isinstance(answer.json["data"], list), "resources can be listed", answer)
    found: list[Mapping[str, Any]] = answer.json["data"]
    return found


def _ask(fixtures: Fixtures, who: Headers, method: str, path: str, secret: str, body: Any = None) -> Response:
    return fixtures.api(method, path, who=who, json=body, headers={"X-Resource-Secret": secret})
