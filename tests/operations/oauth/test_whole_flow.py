"""An app that registered itself gets in: asks, a person allows, it exchanges the code, calls a tool, and refreshes."""

from support.herod_in_memory import Harness
from support.oauth_app import CALLBACK, ISSUER, dynamic_app
from support.page_visitor import open_pages, visit


async def test_an_agent_gets_in(harness: Harness) -> None:
    """One request, one click, one code, and tokens for the resource that was on the page."""
    open_pages(harness)
    ada = await visit(harness, scope="write")
    app = dynamic_app(harness)
    back = await app.connect(ada, "read", scope="read write")
    assert (back["state"], back["iss"]) == ("s t/a+te", ISSUER)
    answer = await app.exchange(back["code"])
    assert answer.status == 200, answer.json
    assert answer.headers["cache-control"] == "no-store"
    tokens = answer.json
    assert (tokens["token_type"], tokens["expires_in"], tokens["scope"]) == ("Bearer", 600, "read")
    called = await app.call_tool(tokens["access_token"])
    assert called.status == 200, called.json
    assert called.json["result"]["structuredContent"]["scope"] == "read"
    again = await app.refresh(tokens["refresh_token"])
    assert again.status == 200, again.json
    assert again.json["refresh_token"] != tokens["refresh_token"]
    assert (await app.call_tool(again.json["access_token"])).status == 200
    assert app.redirect == CALLBACK
