"""What an admin decides about an app holds when people sign in to it, from `/authorize` to the last refresh."""

from typing import Any, Final

import pytest

from support.herod_in_memory import PASSWORD, Harness
from support.oauth_app import AppOfTest
from support.page_visitor import Visitor, open_pages, sign_in, text, visit

CALLBACK: Final = "https://grafana.example.org/login/generic_oauth"
NO_PKCE: Final[dict[str, str | None]] = {"code_challenge": None, "code_challenge_method": None}
WHO: Final[dict[str, str | None]] = {"resource": None, "scope": "openid email"}


async def add(harness: Harness, **given: Any) -> AppOfTest:
    """Register an app, as an admin does."""
    added = await harness.admin("apps.add", **{"name": "Grafana", "redirect_uris": [CALLBACK], **given})
    return AppOfTest(harness, added.client_id, CALLBACK, added.client_secret)


@pytest.fixture
async def ada(harness: Harness) -> Visitor:
    """A person whom an admin added, signed in."""
    open_pages(harness)
    return await visit(harness, scope="admin")


async def eve(harness: Harness) -> tuple[str, Visitor]:
    """Somebody who registered herself, and her client_id."""
    made = await harness.call("register", None, email="eve@example.org", password=PASSWORD)
    return made.client_id, await sign_in(harness, "eve@example.org", made.client_id)


async def test_from_registration_to_deletion(harness: Harness, ada: Visitor) -> None:
    """People sign in with the secret that was shown; a new secret ends the old one, deleting the app everything."""
    app = await add(harness, scope="write")
    tokens = await app.tokens(ada, "write", scope="write")
    assert (await app.call_tool(tokens["access_token"])).status == 200
    rotated = await harness.admin("apps.rotate_secret", client_id=app.client_id)
    refused = await app.refresh(tokens["refresh_token"])
    assert (refused.status, refused.json["error"]) == (401, "invalid_client")
    app.secret = rotated.client_secret
    refreshed = await app.refresh(tokens["refresh_token"])
    assert refreshed.status == 200, refreshed.json
    await harness.admin("apps.delete", client_id=app.client_id)
    assert (await app.call_tool(refreshed.json["access_token"])).status == 401
    assert (await app.refresh(refreshed.json["refresh_token"])).json["error"] == "invalid_client"
    assert (await app.ask()).status == 400


async def test_no_more_than_the_admin_allows(harness: Harness, ada: Visitor) -> None:
    """Whatever the app asks for and the person ticks, it gets at most what it was registered with, also later."""
    app = await add(harness, scope="write", networks=["lab", "dmz"])
    tokens = await app.tokens(ada, "write", "read", scope="admin write read")
    assert set(tokens["scope"].split()) == {"write", "read"}
    who = (await app.call_tool(tokens["access_token"])).json["result"]["structuredContent"]
    assert (who["scope"], who["networks"]) == ("write", ["dmz", "lab"])
    await harness.admin("apps.update", client_id=app.client_id, scope="read", networks=["lab"])
    who = (await app.call_tool(tokens["access_token"])).json["result"]["structuredContent"]
    assert (who["scope"], who["networks"]) == ("read", ["lab"])
    again = (await app.refresh(tokens["refresh_token"])).json
    who = (await app.call_tool(again["access_token"])).json["result"]["structuredContent"]
    assert (who["scope"], who["networks"]) == ("read", ["lab"])


@pytest.mark.parametrize(("pkce", "nonce", "leads_on"), [
    ("required", "n", False), ("optional", None, False), ("optional", "n", True), ("off", None, True),
])  # fmt: skip
async def test_without_pkce(harness: Harness, ada: Visitor, pkce: str, nonce: str | None, leads_on: bool) -> None:
    """Without a code challenge an app gets on only as its admin said: with a nonce, or with neither."""
    app = await add(harness, pkce=pkce)
    if not leads_on:
        back = app.came_back(await app.ask(**NO_PKCE, nonce=nonce))
        assert back["error"] == "invalid_request"
        return
    back = await app.connect(ada, "read", **NO_PKCE, nonce=nonce)
    answer = await app.exchange(back["code"], code_verifier=None)
    assert answer.status == 200, answer.json


async def test_who_registered_themselves(harness: Harness, ada: Visitor) -> None:
    """They do not get in before an admin's yes, unless the app admits them; and their email is not told then."""
    app = await add(harness)
    client_id, visitor = await eve(harness)
    request = await app.request_for(**WHO)
    answer = await visitor.send("/ui/consent", request=request, decision="allow", **{"scope:openid": "on"})
    assert "code=" not in answer.headers.get("location", "")
    await harness.admin("apps.update", client_id=app.client_id, admit_unconfirmed=True)
    tokens = await app.tokens(visitor, "openid", "email", **WHO)
    claims = await harness.request("GET", "/userinfo", headers={"authorization": f"Bearer {tokens['access_token']}"})
    assert claims.json == {"sub": client_id}
    await harness.admin("apps.update", client_id=app.client_id, send_unconfirmed_email=True)
    claims = await harness.request("GET", "/userinfo", headers={"authorization": f"Bearer {tokens['access_token']}"})
    assert (claims.json["email"], claims.json["email_verified"]) == ("eve@example.org", False)
    await harness.admin("users.update", client_id=client_id, confirmed=True)
    claims = await harness.request("GET", "/userinfo", headers={"authorization": f"Bearer {tokens['access_token']}"})
    assert (claims.json["email"], claims.json["email_verified"]) == ("eve@example.org", True)


@pytest.mark.parametrize("how", ["apps.disable", "apps.delete"])
async def test_an_app_that_is_off(harness: Harness, ada: Visitor, how: str) -> None:
    """Between question and answer the app may end: then nobody can say yes to it, and its code is worth nothing."""
    app = await add(harness)
    request = await app.request_for()
    back = await app.connect(ada, "read")
    await harness.admin(how, client_id=app.client_id)
    answer = await ada.send("/ui/consent", request=request, decision="allow", **{"scope:read": "on"})
    assert "code=" not in answer.headers.get("location", "") + text(answer)
    refused = await app.exchange(back["code"])
    assert (refused.status, refused.json["error"]) == (401, "invalid_client")


async def test_its_own_redirects_alone(harness: Harness, ada: Visitor) -> None:
    """A redirect URI that an admin took away is not gone to any more, not even with a request from before."""
    app = await add(harness)
    request = await app.request_for()
    await harness.admin("apps.update", client_id=app.client_id, redirect_uris=["https://new.example.org/cb"])
    assert (await app.ask()).status == 400
    answer = await ada.send("/ui/consent", request=request, decision="allow", **{"scope:read": "on"})
    assert "location" not in answer.headers
    assert 'http-equiv="refresh"' not in text(answer)
