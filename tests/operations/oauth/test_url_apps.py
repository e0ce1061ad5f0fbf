"""An app that is known by its URL: its document is really fetched, from a TLS server, and a person lets it in."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from herod.records import Delegation
from herod.store.store_interface import Writer
from pipeline.client_documents.hostile_documents import GOOD, URL
from support.device_app import DEVICE, codes_of, poll, said_yes
from support.document_hosts import HOST, PUBLIC, Internet, answer, open_internet
from support.herod_in_memory import Harness
from support.oauth_app import AppOfTest
from support.page_visitor import OWN, Visitor, open_pages, text, visit

KEPT = 1800
DAY = 86_400


def document(**changes: Any) -> bytes:
    """The answer of the app's server."""
    return answer(json.dumps({**GOOD, **changes}).encode(), f"Cache-Control: max-age={KEPT}")


@pytest.fixture
async def net(harness: Harness, tmp_path: Path) -> AsyncIterator[Internet]:
    """An internet in which the app's document is."""
    async with open_internet(tmp_path) as opened:
        opened.response = document()
        harness.pipeline.process.documents = opened.fetcher
        yield opened


@pytest.fixture
async def ada(harness: Harness, net: Internet) -> Visitor:
    """A person at a herod with pages."""
    open_pages(harness)
    return await visit(harness, scope="write")


@pytest.fixture
def app(harness: Harness, ada: Visitor) -> AppOfTest:
    """The app, as it asks."""
    return AppOfTest(harness, URL, f"https://{HOST}/callback")


async def test_from_nothing_to_a_tool(ada: Visitor, net: Internet, app: AppOfTest) -> None:
    """Nothing is fetched before the person has signed in, then once; the page says from where the name comes."""
    request = await app.request_for(scope="read write")
    stranger = await ada.harness.request("GET", f"/ui/consent?request={request}", headers={"sec-fetch-site": "none"})
    assert (stranger.status, net.resolved) == (303, [])
    page = await ada.read("/ui/consent", request=request)
    assert (net.resolved, net.connected, len(net.requests)) == ([HOST], [PUBLIC], 1)
    for said in ("“Agent”", f"The name is what <code>{URL}</code> says", f"<code>{HOST}</code>"):
        assert said in page, said
    back = await app.allow(ada, request)
    tokens = (await app.exchange(back["code"])).json
    called = await app.call_tool(tokens["access_token"])
    assert called.json["result"]["structuredContent"]["scope"] == "read"
    (delegation,) = ada.harness.store.scan(Delegation)
    assert (delegation.app, delegation.app_name, delegation.app_origin) == (URL, "Agent", "document")
    assert len(net.requests) == 1


async def test_when_the_copy_is_gone(ada: Visitor, net: Internet, app: AppOfTest) -> None:
    """Refreshing goes on when herod no longer has the document, without fetching it again."""
    token = (await app.tokens(ada))["refresh_token"]
    ada.harness.clock.now += DAY
    answered = await app.refresh(token)
    assert answered.status == 200, answered.json
    assert (await app.call_tool(answered.json["access_token"])).status == 200
    assert len(net.requests) == 1


async def test_what_the_document_says_now(ada: Visitor, net: Internet, app: AppOfTest) -> None:
    """A redirect that the document has no longer gets a page and no code, as soon as herod's copy has ended."""
    await app.tokens(ada)
    net.response = document(redirect_uris=["https://elsewhere.example/callback"])
    assert "code" in await app.connect(ada)
    ada.harness.clock.now += KEPT
    await ada.harness.pipeline.flush()
    request = await app.request_for()
    answers = [
        await ada.get("/ui/consent", request=request),
        await ada.send("/ui/consent", request=request, decision="allow", scope_read="on"),
    ]
    for refused in answers:
        assert (refused.status, "location" in refused.headers) == (400, False)
    assert len(net.requests) == 2


async def test_it_is_redirected_elsewhere(ada: Visitor, net: Internet, app: AppOfTest) -> None:
    """If the app's server redirects, or says something else, the person is told why and nobody is sent anywhere."""
    for response, why in (
        (answer(b"", "Location: http://127.0.0.1/", status="302 Found"), "redirects, which is not followed"),
        (document(client_id="https://other.example/x"), "client_id"),
        (document(client_secret="x"), "client_secret"),
    ):
        net.response = response
        refused = await ada.get("/ui/consent", request=await app.request_for())
        assert (refused.status, "location" in refused.headers) == (400, False)
        assert why in text(refused)
    assert net.connected == [PUBLIC] * 3


async def test_taken_back(ada: Visitor, net: Internet, app: AppOfTest) -> None:
    """Without the delegation neither refresh nor access token is good."""
    tokens = await app.tokens(ada)

    def disconnect(tx: Writer) -> None:
        for delegation in tx.scan(Delegation):
            tx.delete(Delegation, delegation.id)

    await ada.harness.store.write(disconnect)
    assert (await app.refresh(tokens["refresh_token"])).json["error"] == "invalid_grant"
    assert (await app.call_tool(tokens["access_token"])).status == 401


async def test_in_a_terminal(ada: Visitor, net: Internet, app: AppOfTest) -> None:
    """What the document says of device codes is found out when a person has entered the code, and not before."""
    codes = await codes_of(app)
    assert (await poll(app, codes["device_code"])).json["error"] == "authorization_pending"
    assert net.resolved == []
    page = await ada.do("/ui/device", user_code=codes["user_code"])
    assert f"The name is what <code>{URL}</code> says" in page
    assert len(net.requests) == 1
    await said_yes(ada, codes["user_code"])
    tokens = (await poll(app, codes["device_code"])).json
    assert (await app.call_tool(tokens["access_token"])).status == 200


async def test_without_the_grant(ada: Visitor, net: Internet, app: AppOfTest) -> None:
    """An app whose document has no device grant gets nothing by a code."""
    net.response = document(grant_types=["authorization_code"])
    codes = await codes_of(app)
    location = (await ada.send("/ui/device", user_code=codes["user_code"])).headers["location"]
    answer = await ada.harness.request("GET", location, headers={**OWN, **ada.cookie})
    assert (answer.status, "Let <bdi" in text(answer)) == (400, False)
    assert "did not register the grant type" in text(answer)
    assert (await poll(app, codes["device_code"])).json["error"] == "unauthorized_client"


async def test_without_a_redirect(ada: Visitor, net: Internet, app: AppOfTest) -> None:
    """An app for terminals alone is taken without a redirect, and cannot use one."""
    net.response = document(grant_types=[DEVICE], redirect_uris=[], response_types=[])
    codes = await codes_of(app)
    await said_yes(ada, codes["user_code"])
    tokens = (await poll(app, codes["device_code"])).json
    assert "refresh_token" not in tokens
    assert (await app.ask()).status == 400
