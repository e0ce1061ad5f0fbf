"""The device flow from end to end: an app without a browser gets tokens when a person has allowed it (RFC 8628)."""

import re

import pytest

from herod.records import Delegation, DeviceCode, TokenFamily
from support.device_app import ask_for_codes, codes_of, device_app, poll, said_yes
from support.herod_in_memory import Harness, basic
from support.oauth_app import ISSUER, MCP, AppOfTest, registered_app
from support.page_visitor import Visitor, open_pages, visit


@pytest.fixture
async def ada(harness: Harness) -> Visitor:
    """A person at a herod with pages."""
    open_pages(harness)
    return await visit(harness, scope="write")


async def test_what_an_app_gets(harness: Harness, ada: Visitor) -> None:
    """The answer has the members of RFC 8628, section 3.2, and is not to be stored."""
    answer = await ask_for_codes(device_app(harness))
    assert answer.status == 200
    assert set(answer.json) == {
        *("device_code", "user_code", "verification_uri", "verification_uri_complete", "expires_in", "interval"),
    }
    assert re.fullmatch("[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}", answer.json["user_code"])
    assert answer.json["verification_uri"] == f"{ISSUER}/ui/device"
    assert answer.json["verification_uri_complete"] == f"{ISSUER}/ui/device?user_code={answer.json['user_code']}"
    assert (answer.json["expires_in"], answer.json["interval"]) == (600, 5)
    assert len(answer.json["device_code"]) == 43  # 256 bits (section 5.2)
    assert answer.headers["cache-control"] == "no-store"


async def test_the_whole_flow(harness: Harness, ada: Visitor) -> None:
    """A person enters the code and allows; the app then gets tokens for them, once, and can refresh them."""
    app = device_app(harness)
    codes = await codes_of(app, scope="read write")
    pending = await poll(app, codes["device_code"])
    assert (pending.status, pending.json["error"]) == (400, "authorization_pending")
    assert "goes on there by itself" in await said_yes(ada, codes["user_code"])
    tokens = (await poll(app, codes["device_code"])).json
    claims = harness.runtime.claims(tokens["access_token"], harness.clock.now)
    (delegation,) = harness.store.scan(Delegation)
    assert (claims.sub, claims.aud, claims.client_id, claims.scope) == (ada.client_id, MCP, app.client_id, "read")
    assert claims.via == f"delegation:{delegation.id}"
    assert (await app.call_tool(tokens["access_token"])).status == 200
    assert (await app.refresh(tokens["refresh_token"])).status == 200
    assert [one.id for one in harness.store.scan(TokenFamily)] == [claims.family]


async def test_an_app_with_a_secret(harness: Harness, ada: Visitor) -> None:
    """A confidential app proves itself with its secret, in the header or the form; without it, it is refused."""
    app = await registered_app(harness, grants=("urn:ietf:params:oauth:grant-type:device_code",))
    assert (await ask_for_codes(app)).status == 200
    headers = basic(app.client_id, app.secret or "")
    assert (await ask_for_codes(app, headers, client_id=None, client_secret=None)).status == 200
    refused = await ask_for_codes(app, client_secret=None)
    assert (refused.status, refused.json["error"]) == (401, "invalid_client")
    wrong = await ask_for_codes(app, client_secret="herod_c_wrong")
    assert (wrong.status, wrong.json["error"]) == (401, "invalid_client")
    codes = await codes_of(app)
    await said_yes(ada, codes["user_code"])
    for secret in (None, "herod_c_wrong"):
        answer = await poll(AppOfTest(harness, app.client_id, secret=secret), codes["device_code"])
        assert (answer.status, answer.json["error"]) == (401, "invalid_client")
    assert (await poll(app, codes["device_code"])).status == 200


async def test_codes_are_stored_as_hashes(harness: Harness, ada: Visitor) -> None:
    """The store has neither of the two codes."""
    codes = await codes_of(device_app(harness))
    (record,) = harness.store.scan(DeviceCode)
    kept = str([getattr(record, name) for name in record.__struct_fields__])
    assert codes["device_code"] not in kept
    assert codes["user_code"] not in kept
    assert codes["user_code"].replace("-", "") not in kept
