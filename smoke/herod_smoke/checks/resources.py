"""Resources: owned by a secret and by the service that claimed them, invisible to everybody else."""

import secrets
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from herod_smoke.fixtures import World, expect
from herod_smoke.http_connection import Answer, Headers, bearer

__all__ = ["ownership"]


def ownership(world: World) -> None:
    """Another secret, another service and a resource that never was all answer the same bytes."""
    service, other = (bearer(world.key("user")["key"]) for _ in range(2))
    mine, wrong = secrets.token_urlsafe(16), secrets.token_urlsafe(16)
    claimed = _claim(world, service, mine)
    sid = claimed["sid"]
    expect(mine not in str(claimed), "the secret is not shown")
    listed = _list(world, service, mine)
    expect([one["sid"] for one in listed] == [sid], "its owner sees it, and nothing else")
    expect(_list(world, service, wrong) == _list(world, other, mine) == [], "nobody else sees it")
    for method, path, body in (
        ("GET", "/api/v1/resources/{}", None),
        ("POST", "/api/v1/resources/{}/check", {}),
        ("PATCH", "/api/v1/resources/{}", {"name": "stolen"}),
        ("DELETE", "/api/v1/resources/{}", None),
    ):
        asked = [
            _ask(world, service, method, path.format(sid), wrong, body),
            _ask(world, other, method, path.format(sid), mine, body),
            _ask(world, service, method, path.format(uuid4()), mine, body),
        ]
        expect(asked[0].status == 404, "to others it does not exist", asked[0])
        expect(len({(one.status, one.body) for one in asked}) == 1, "every way of not existing is the same bytes")
    checked = _ask(world, service, "POST", f"/api/v1/resources/{sid}/check", mine, {})
    expect(checked.status == 200 and checked.json["data"]["allowed"] is True, "its owner may", checked)
    in_url = world.api("GET", f"/api/v1/resources/{sid}?secret={mine}", who=service)
    expect(in_url.status in {400, 404}, "a secret in the address is refused", in_url)
    released = _ask(world, service, "DELETE", f"/api/v1/resources/{sid}", mine)
    expect(released.status == 200, "its owner can release it", released)
    gone = _ask(world, service, "GET", f"/api/v1/resources/{sid}", mine)
    expect(gone.status == 404, "what is released is gone", gone)


def _claim(world: World, who: Headers, secret: str) -> Mapping[str, Any]:
    sent = {"kind": "smoke", "name": world.name("resource"), "secret": secret, "attributes": {"size": 1}}
    answer = world.api("POST", "/api/v1/resources", who=who, json=sent)
    expect(answer.status == 201, "a service can claim a resource", answer)
    made: Mapping[str, Any] = answer.json["data"]
    path = f"/api/v1/resources/{made['sid']}"
    world.later("the resource " + made["sid"], lambda: world.api("DELETE", path, headers={"X-Resource-Secret": secret}))
    return made


def _list(world: World, who: Headers, secret: str) -> list[Mapping[str, Any]]:
    answer = world.api("GET", "/api/v1/resources?kind=smoke", who=who, headers={"X-Resource-Secret": secret})
    expect(answer.status == 200 and isinstance(answer.json["data"], list), "resources can be listed", answer)
    found: list[Mapping[str, Any]] = answer.json["data"]
    return found


def _ask(world: World, who: Headers, method: str, path: str, secret: str, body: Any = None) -> Answer:  # noqa: ANN401 - any JSON
    return world.api(method, path, who=who, json=body, headers={"X-Resource-Secret": secret})
