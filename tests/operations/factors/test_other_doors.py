"""No door that takes a password skips the second factor; what else opens something is a credential of its own."""

from typing import Any
from urllib.parse import urlencode

import pytest

from herod.identity.credential_types import Bearer, SessionCookie
from herod.operations.operation_table import OPERATIONS
from herod.records import Session
from herod_client.core.errors import PersonNeeded
from support.herod_in_memory import PASSWORD, TCP, Answer, Harness, basic
from support.oauth_app import dynamic_app
from support.page_visitor import OWN, open_pages, text
from support.persons import Person, equipped_person


@pytest.fixture
async def ada(harness: Harness) -> Person:
    """Somebody with a passkey, an app and recovery codes, at a herod with pages."""
    open_pages(harness)
    return await equipped_person(harness, scope="write")


def opened(answer: Answer) -> bool:
    """Whether something was opened."""
    is_signed_in = "herod_session=" in answer.headers.get("set-cookie", "")
    return is_signed_in or b"access_token" in answer.response.body or answer.response.body.count(b'"sub"') > 0


async def test_login(harness: Harness, ada: Person) -> None:
    """By password a program is asked for `otp`, over each protocol and at each path, and gets nothing."""
    for route in OPERATIONS["login"].routes:
        answer = await harness.request(route.method, route.path, json={"email": ada.email, "password": PASSWORD})
        assert answer.status == 401
        assert b"second_factor_needed" in answer.response.body
        assert not opened(answer)
    told = await harness.rpc("login", {"email": ada.email, "password": PASSWORD})
    assert told["error"]["data"]["code"] == "second_factor_needed"


@pytest.mark.parametrize("grant", ["client_credentials", "password", "authorization_code", "refresh_token", ""])
@pytest.mark.parametrize("is_by_header", [True, False])
async def test_token(harness: Harness, ada: Person, grant: str, is_by_header: bool) -> None:
    """At `/token` a password is no client secret, under the account's email or id, in the header or the form."""
    for name in (ada.email, ada.id):
        fields = {"grant_type": grant, "username": name, "password": PASSWORD, "scope": "read"}
        fields |= {} if is_by_header else {"client_id": name, "client_secret": PASSWORD}
        headers = basic(name, PASSWORD) if is_by_header else {}
        answer = await harness.request("POST", "/token", form=urlencode(fields), headers=headers)
        assert answer.status in {400, 401}
        assert not opened(answer)


async def test_basic(harness: Harness, ada: Person) -> None:
    """Nor is it one in a Basic header of any other request."""
    for name in (ada.email, ada.id):
        for method, path in (("GET", "/api/v1/whoami"), ("POST", "/api/v1/sessions"), ("POST", "/introspect")):
            answer = await harness.request(method, path, headers=basic(name, PASSWORD))
            assert answer.status in {400, 401, 404, 405}
            assert not opened(answer)


async def test_pages(harness: Harness, ada: Person) -> None:
    """The sign-in page asks for the second step, and opens nothing before."""
    before = harness.store.count(Session)
    form = urlencode({"email": ada.email, "password": PASSWORD, "otp": "", "pending": "", "amr": "mfa"})
    answer = await harness.request("POST", "/ui/sign-in", form=form, headers=OWN)
    assert not opened(answer)
    assert "herod_session" not in text(answer)
    assert harness.store.count(Session) == before


async def test_what_is_no_password(harness: Harness, ada: Person) -> None:
    """Client secret, key and a code of `herod ui` open sessions as before, which allow no app and change no factor."""
    request = await dynamic_app(harness).request_for()
    code = (await harness.call("session.code", ada.user.basic)).code
    sessions = [
        await ada.user.session(),
        await ada.user.session(Bearer(await ada.user.key("write"))),
        SessionCookie((await harness.call("session.redeem", None, TCP, code=code)).cookie),
    ]
    asked: tuple[tuple[str, dict[str, Any]], ...] = (
        ("oauth.allow", {"request": request, "scope": "read"}),
        ("totp.disable", {}),
        ("passkeys.begin", {}),
        ("recovery.renew", {}),
    )
    for session in sessions:
        assert (await harness.call("whoami", session, TCP)).sub == ada.id
        for name, params in asked:
            with pytest.raises(PersonNeeded):
                await harness.call(name, session, TCP, **params)
