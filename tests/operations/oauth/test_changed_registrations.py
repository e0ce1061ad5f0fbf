"""What an admin changes about an app or an account while somebody is asked, or a code on its way, counts at once."""

import base64
import json
from typing import Any

import pytest

from support.herod_in_memory import Harness
from support.oauth_app import AppOfTest, registered_app
from support.page_visitor import Visitor, open_pages, text, visit

WITHOUT_PKCE: dict[str, str | None] = {"code_challenge": None, "code_challenge_method": None}
ELSEWHERE = ["https://notes.example.org/another"]


@pytest.fixture
async def ada(harness: Harness) -> Visitor:
    """A person at a herod with pages."""
    open_pages(harness)
    return await visit(harness, scope="write")


async def app_without_pkce(harness: Harness, **changes: Any) -> AppOfTest:
    """A confidential app that need not use PKCE."""
    return await registered_app(harness, needs_pkce=False, remembers_consent=False, **changes)


@pytest.mark.parametrize(
    ("before", "after", "sent"),
    [
        ({}, {"pkce": "required"}, {"nonce": "n"}),
        ({"needs_nonce": False}, {"pkce": "optional"}, {}),
    ],
)
async def test_a_proof_that_is_asked_for_since(
    harness: Harness, ada: Visitor, before: dict[str, Any], after: dict[str, str], sent: dict[str, str]
) -> None:
    """A request or a code without the proof that an app must send now is refused, however the app asked then."""
    app = await app_without_pkce(harness, **before)
    request = await app.request_for(**WITHOUT_PKCE, **sent)
    code = (await app.connect(ada, **WITHOUT_PKCE, **sent))["code"]
    await harness.admin("apps.update", client_id=app.client_id, **after)
    answer = await ada.send("/ui/consent", request=request, decision="allow", **{"scope:read": "on"})
    assert answer.status == 400
    assert ("PKCE" in text(answer)) is ("pkce" in after)
    refused = await app.exchange(code, code_verifier=None)
    assert (refused.status, refused.json["error"]) == (400, "invalid_grant")
    assert "changed the app's registration" in refused.json["error_description"]


async def test_a_redirect_that_was_removed(harness: Harness, ada: Visitor) -> None:
    """A code that went to a redirect which the app has no more is not exchanged, and one with the new redirect is."""
    app = await app_without_pkce(harness)
    code = (await app.connect(ada))["code"]
    await harness.admin("apps.update", client_id=app.client_id, redirect_uris=ELSEWHERE)
    refused = await app.exchange(code)
    assert (refused.status, refused.json["error"]) == (400, "invalid_grant")
    assert "changed the app's registration" in refused.json["error_description"]
    app.redirect = ELSEWHERE[0]
    assert (await app.exchange((await app.connect(ada))["code"])).status == 200


async def test_what_does_not_concern_a_code(harness: Harness, ada: Visitor) -> None:
    """Another name, another redirect beside the former one, or less strictness leave a code as good as it was."""
    app = await registered_app(harness, remembers_consent=False)
    code = (await app.connect(ada))["code"]
    uris = [app.redirect, *ELSEWHERE]
    await harness.admin("apps.update", client_id=app.client_id, name="Wiki", redirect_uris=uris, pkce="optional")
    assert (await app.exchange(code)).status == 200


@pytest.mark.parametrize(("of_account", "of_app", "left"), [(["lab"], ["*"], ["lab"]), (["*"], ["home"], ["home"])])
async def test_networks_that_were_taken_away(
    harness: Harness, ada: Visitor, of_account: list[str], of_app: list[str], left: list[str]
) -> None:
    """A refreshed token names the networks that are left, since who verifies it alone learns of no others."""
    app = await registered_app(harness, remembers_consent=False)
    tokens = await app.tokens(ada, resource="http://localhost:9000")
    assert "networks" not in payload(tokens["access_token"])
    await harness.admin("users.update", client_id=ada.client_id, networks=of_account)
    await harness.admin("apps.update", client_id=app.client_id, networks=of_app)
    answer = await app.refresh(tokens["refresh_token"])
    assert payload(answer.json["access_token"])["networks"] == left


def payload(token: str) -> Any:
    """What a token says, to whoever reads it."""
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
