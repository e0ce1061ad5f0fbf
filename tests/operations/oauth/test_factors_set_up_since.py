"""Apps that were connected by a password alone, once the person has a second factor or must have one."""

from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest

from herod.identity.credential_types import SessionCookie
from support.device_app import codes_of, device_app, poll, said_yes
from support.herod_in_memory import Answer, Harness
from support.oauth_app import AppOfTest, dynamic_app
from support.page_visitor import Visitor, open_pages, sign_in, visit
from support.persons import Person

EMAIL = "ada@example.org"


@pytest.fixture
async def ada(harness: Harness) -> Visitor:
    """Somebody who signed in by password, and has nothing else yet."""
    open_pages(harness)
    return await visit(harness, email=EMAIL, scope="write")


async def with_factor(harness: Harness, visitor: Visitor) -> Visitor:
    """The same person in another browser, where they set up a passkey."""
    other = await sign_in(harness, EMAIL, visitor.client_id)
    half = other.cookie["cookie"].partition("=")[2]
    user: Any = replace(other)
    await Person(harness, user, EMAIL, SessionCookie(half + other.ticket)).enrol()
    return other


async def is_active(app: AppOfTest, token: str) -> bool:
    """Whether the app is told that its refresh token is good."""
    form = urlencode({"client_id": app.client_id, "token": token})
    answer = await app.harness.request("POST", "/introspect", form=form)
    found: bool = answer.json["active"]
    return found


def assert_refused(answer: Answer) -> None:
    """It is `invalid_grant`, and says why."""
    assert (answer.status, answer.json["error"]) == (400, "invalid_grant"), answer.json
    assert "second factor" in answer.json["error_description"]


async def test_refreshing_after_a_factor_was_set_up(harness: Harness, ada: Visitor) -> None:
    """Whoever knew the password alone does not stay by an app; the person connects it again, with their factor."""
    app = dynamic_app(harness)
    first = (await app.tokens(ada))["refresh_token"]
    assert await is_active(app, first)
    person = await with_factor(harness, ada)
    assert_refused(await app.refresh(first))
    assert not await is_active(app, first)
    again = (await app.tokens(person))["refresh_token"]
    assert (await app.refresh(again)).status == 200
    assert await is_active(app, again)


@pytest.mark.parametrize("setting", ["all", "admin"])
async def test_refreshing_where_one_is_required(harness: Harness, setting: str) -> None:
    """The setting counts at the next refresh, for whom it concerns, and without it the same token is good again."""
    open_pages(harness)
    admin, other = await visit(harness), await visit(harness, email="eve@example.org", scope="write")
    app = dynamic_app(harness)
    tokens = {one.client_id: (await app.tokens(one))["refresh_token"] for one in (admin, other)}
    harness.configure(second_factor=setting)
    assert_refused(await app.refresh(tokens[admin.client_id]))
    answer = await app.refresh(tokens[other.client_id])
    assert answer.status == (400 if setting == "all" else 200)
    harness.configure(second_factor="off")
    assert (await app.refresh(tokens[admin.client_id])).status == 200


async def test_codes_on_their_way(harness: Harness, ada: Visitor) -> None:
    """A code and a device code that a password alone allowed are not exchanged once there is a factor."""
    app, terminal = dynamic_app(harness), device_app(harness)
    code = (await app.connect(ada))["code"]
    codes = await codes_of(terminal)
    await said_yes(ada, codes["user_code"])
    await with_factor(harness, ada)
    assert (await app.exchange(code)).json["error"] == "invalid_grant"
    assert_refused(await poll(terminal, codes["device_code"]))
