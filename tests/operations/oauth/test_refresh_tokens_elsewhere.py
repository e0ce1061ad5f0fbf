"""Refresh tokens at `/revoke`, `/introspect` and everywhere that they do not belong."""

from typing import Any
from urllib.parse import urlencode

import pytest

from herod.records import Delegation, TokenFamily
from herod.store.store_interface import NotWritten
from support.herod_in_memory import TCP, Answer, Harness, basic, bearer
from support.oauth_app import ISSUER, MCP, dynamic_app, registered_app
from support.page_visitor import Visitor, open_pages, visit


@pytest.fixture
async def ada(harness: Harness) -> Visitor:
    """A person at a herod with pages."""
    open_pages(harness)
    return await visit(harness, scope="write")


async def post(harness: Harness, path: str, headers: dict[str, str] | None = None, **fields: str) -> Answer:
    """Send a form."""
    return await harness.request("POST", path, form=urlencode(fields), headers=headers)


async def test_a_public_app_revokes_its_own(harness: Harness, ada: Visitor) -> None:
    """With its client_id alone; the family's access tokens end too, other sign-ins and the delegation stay."""
    app = dynamic_app(harness)
    tokens, other = await app.tokens(ada), await app.tokens(ada)
    answer = await post(harness, "/revoke", client_id=app.client_id, token=tokens["refresh_token"])
    assert answer.status == 200
    assert (await app.refresh(tokens["refresh_token"])).json["error"] == "invalid_grant"
    assert (await app.call_tool(tokens["access_token"])).status == 401
    assert (await app.refresh(other["refresh_token"])).status == 200
    assert harness.store.count(Delegation) == 1
    again = await post(harness, "/revoke", client_id=app.client_id, token=tokens["refresh_token"])
    assert again.status == 200  # RFC 7009, section 2.2
    await harness.pipeline.flush(is_last=True)
    rows = [row.event for row in harness.store.audit_rows() if row.event.operation == "token.revoke"]
    assert [(row.outcome, row.target) for row in rows] == [("ok", next(harness.store.scan(Delegation)).id)]


async def test_an_access_token_by_its_app(harness: Harness, ada: Visitor) -> None:
    """An app revokes one access token of its own, and the family goes on."""
    app = dynamic_app(harness)
    tokens = await app.tokens(ada)
    assert (await post(harness, "/revoke", client_id=app.client_id, token=tokens["access_token"])).status == 200
    assert (await app.call_tool(tokens["access_token"])).status == 401
    assert (await app.refresh(tokens["refresh_token"])).status == 200


async def test_another_apps(harness: Harness, ada: Visitor) -> None:
    """No app, and nobody but the person and admins, revokes what is not theirs."""
    app, other = dynamic_app(harness), dynamic_app(harness)
    tokens = await app.tokens(ada)
    eve = await harness.user(scope="write")
    theirs = await other.tokens(ada)
    for token in (tokens["refresh_token"], tokens["access_token"]):
        answers = [
            await post(harness, "/revoke", client_id=other.client_id, token=token),
            await post(harness, "/revoke", eve.basic_header, token=token),
            await post(harness, "/revoke", bearer(await eve.token()), token=token),
        ]
        assert [answer.status for answer in answers] == [403, 403, 403]
        assert (await harness.rpc("token.revoke", {"token": token}, headers=bearer(theirs["access_token"])))["error"]
    assert (await app.call_tool(tokens["access_token"])).status == 200
    assert (await app.refresh(tokens["refresh_token"])).status == 200


@pytest.mark.parametrize("who", ["the person", "an admin", "a confidential app", "the app's access token"])
async def test_who_else_revokes(harness: Harness, ada: Visitor, who: str) -> None:
    """The person whose access it is, an admin, an app with its secret, and the delegation's own access token."""
    app = await registered_app(harness)
    tokens = await app.tokens(ada, resource=ISSUER)
    by: dict[str, dict[str, str]] = {
        "a confidential app": basic(app.client_id, app.secret or ""),
        "the app's access token": bearer(tokens["access_token"]),
        "an admin": bearer(await harness.service_key("admin")),
    }
    if who == "the person":
        answer = await harness.call("login", None, TCP, email="ada@example.org", password="correct horse battery")
        by[who] = bearer(answer.access_token)
    assert (await post(harness, "/revoke", by[who], token=tokens["refresh_token"])).status == 200
    assert harness.store.count(TokenFamily) == 0


async def test_an_admin_of_less(harness: Harness, ada: Visitor) -> None:
    """Whoever holds less than the person revokes nothing of theirs."""
    app = dynamic_app(harness)
    tokens = await app.tokens(ada)
    key = await harness.service_key("admin", networks=["lab"])
    assert (await post(harness, "/revoke", bearer(key), token=tokens["refresh_token"])).status == 403


async def introspected(harness: Harness, token: str, headers: dict[str, str] | None = None, **fields: str) -> Any:
    """The answer of `/introspect`."""
    answer = await post(harness, "/introspect", headers, token=token, **fields)
    assert answer.status == 200, answer.json
    return answer.json


async def test_introspection(harness: Harness, ada: Visitor) -> None:
    """Its app and admins learn what a refresh token is for; to everybody else it is not active."""
    app, other = dynamic_app(harness), dynamic_app(harness)
    tokens = await app.tokens(ada)
    token = tokens["refresh_token"]
    admin = bearer(await harness.service_key("admin"))
    (family,) = harness.store.scan(TokenFamily)
    told = {
        "active": True,
        "scope": "read",
        "client_id": app.client_id,
        "username": "Ada",
        "exp": family.expires_at,
        "iat": family.created_at,
        "sub": ada.client_id,
        "aud": MCP,
        "iss": ISSUER,
    }
    assert await introspected(harness, token, client_id=app.client_id) == told
    assert await introspected(harness, token, admin) == told
    eve = await harness.user()
    for headers, fields in ((None, {"client_id": other.client_id}), (eve.basic_header, {})):
        assert await introspected(harness, token, headers, **fields) == {"active": False}
    successor = (await app.refresh(token)).json["refresh_token"]
    assert (await introspected(harness, token, admin))["active"]
    harness.clock.now += 60
    assert not (await introspected(harness, token, admin))["active"]
    assert (await introspected(harness, successor, admin))["active"]  # asking does not count as a second use
    await harness.admin("delegations.revoke", id=family.delegation)
    assert not (await introspected(harness, successor, admin))["active"]


async def test_an_access_token_to_its_app(harness: Harness, ada: Visitor) -> None:
    """An app may ask about its own access tokens, and not about others'."""
    app, other = dynamic_app(harness), dynamic_app(harness)
    token = (await app.tokens(ada))["access_token"]
    assert (await introspected(harness, token, client_id=app.client_id))["client_id"] == app.client_id
    assert not (await introspected(harness, token, client_id=other.client_id))["active"]


async def test_it_is_no_credential(harness: Harness, ada: Visitor) -> None:
    """Presented as one, it is refused with what to do instead."""
    token = (await dynamic_app(harness).tokens(ada))["refresh_token"]
    for headers in (bearer(token), {"x-api-key": token}, {"x-herod-secret": token}, basic("x", token)):
        answer = await harness.request("GET", "/api/v1/whoami", headers=headers)
        assert answer.status == 401
        assert token not in str(answer.json)
    answer = await harness.request("GET", "/api/v1/whoami", headers=bearer(token))
    assert "/token" in answer.json["error"]["message"]
    validated = await harness.call("token.validate", None, TCP, token=token)
    assert not validated.valid


async def test_revoked_while_the_store_cannot_be_written(
    harness: Harness, ada: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The family ends in memory, also once the store can be written again; the answer says that this is not kept."""
    app = dynamic_app(harness)
    tokens, other = await app.tokens(ada), await app.tokens(ada)

    async def fail(_work: object) -> None:
        raise NotWritten("The store's disk is full", "free some space", reason="disk_full")

    with monkeypatch.context() as patch:
        patch.setattr(harness.store, "write", fail)
        answer = await post(harness, "/revoke", client_id=app.client_id, token=tokens["refresh_token"])
        assert (answer.status, "until the restart" in answer.json["error_description"]) == (503, True)
    assert (await app.call_tool(tokens["access_token"])).status == 401
    assert (await app.refresh(tokens["refresh_token"])).json["error"] == "invalid_grant"
    assert not (await introspected(harness, tokens["refresh_token"], client_id=app.client_id))["active"]
    assert (await app.refresh(other["refresh_token"])).status == 200
