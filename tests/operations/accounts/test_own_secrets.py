"""One's own password and client secret change shortly after a sign-in, by every credential and every protocol."""

from collections.abc import Mapping
from typing import Any

import pytest

from herod.dashboard.csrf import cut
from herod.identity.credential_types import ApiKeyHeader, Bearer, Presented
from herod.records import TotpFactor
from herod_client.core.errors import HerodError
from support.connected_apps import app_token, connect_app
from support.herod_in_memory import PASSWORD, TCP, Harness, bearer
from support.page_visitor import Visitor, open_pages, said, text
from support.persons import Person, new_person

RECENT = 300
NEW: Mapping[str, dict[str, Any]] = {
    "users.password": {"password": "another long password", "current": PASSWORD},
    "users.rotate_secret": {},
}
KEY, OLD, FACTOR, APP = "key_cannot_change_secrets", "sign_in_again", "person_needed", "app_token"
# credential → why it is refused: at once, a second too late, and where the account has a second factor; "" is a success
BY_CREDENTIAL = {
    "session": ("", OLD, ""),
    "session of the secret": ("", OLD, FACTOR),
    "session of a key": (KEY, OLD, KEY),
    "login token": ("", OLD, FACTOR),
    "token of the secret": ("", OLD, FACTOR),
    "client secret": ("", "", FACTOR),
    "key": (KEY, KEY, KEY),
    "app's token": (APP, APP, APP),
}


async def credential(harness: Harness, ada: Person, name: str) -> Presented:
    """One of Ada's credentials, of now."""
    match name:
        case "session":
            return ada.cookie
        case "session of the secret":
            return await ada.user.session()
        case "login token":
            otp = {"otp": ada.otp()} if ada.app else {}
            answer = await harness.call("login", None, TCP, email=ada.email, password=PASSWORD, **otp)
            return Bearer(answer.access_token)
        case "token of the secret":
            return await ada.user.bearer()
        case "client secret":
            return ada.user.basic
        case "key":
            return ApiKeyHeader(await ada.user.key("write"))
        case "session of a key":
            return await ada.user.session(Bearer(await ada.user.key("write")))
        case _:
            return app_token(harness, await connect_app(harness, ada.user, "write"))


async def attempt(harness: Harness, operation: str, presented: Presented, whose: str) -> str:
    """Why a change is refused; empty if it is not."""
    try:
        await harness.call(operation, presented, TCP, client_id=whose, **NEW[operation])
    except HerodError as error:
        return error.reason
    return ""


@pytest.mark.parametrize("operation", list(NEW))
@pytest.mark.parametrize("name", list(BY_CREDENTIAL))
async def test_by_credential(harness: Harness, operation: str, name: str) -> None:
    """Keys and apps never change them; a sign-in does for five minutes, and a secret, which each request proves."""
    at_once, too_late, with_factor = BY_CREDENTIAL[name]
    ada = await new_person(harness, scope="write")
    presented = await credential(harness, ada, name)
    harness.clock.now += RECENT + 1
    assert await attempt(harness, operation, presented, ada.id) == too_late
    bea = await new_person(harness, scope="write", email="bea@example.org")
    presented = await credential(harness, bea, name)
    harness.clock.now += RECENT
    assert await attempt(harness, operation, presented, bea.id) == at_once
    eve = await new_person(harness, scope="write", email="eve@example.org")
    await eve.set_up_app()
    assert await attempt(harness, operation, await credential(harness, eve, name), eve.id) == with_factor


@pytest.mark.parametrize("operation", list(NEW))
async def test_where_a_factor_is_required(harness: Harness, operation: str) -> None:
    """Who must have a second factor and has none changes neither, by a secret or by the session that lacks it."""
    ada = await new_person(harness, scope="write")
    token = await ada.user.bearer()
    harness.configure(second_factor="all")
    assert await attempt(harness, operation, token, ada.id) == FACTOR
    assert await attempt(harness, operation, ada.cookie, ada.id) == "second_factor_missing"


@pytest.mark.parametrize("operation", list(NEW))
@pytest.mark.parametrize("kind", ["key", "token of the secret", "client secret"])
async def test_by_an_admin(harness: Harness, operation: str, kind: str) -> None:
    """An admin changes another's with any credential, also an old token, and whatever factors the two have."""
    admin = await new_person(harness, scope="admin")
    bea = await new_person(harness, scope="write", email="bea@example.org")
    await bea.set_up_app()
    presented = await credential(harness, admin, kind) if kind != "key" else Bearer(await admin.user.key("admin"))
    await admin.set_up_app()
    harness.clock.now += RECENT + 1
    params = {name: value for name, value in NEW[operation].items() if name != "current"}
    assert await harness.call(operation, presented, TCP, client_id=bea.id, **params)


@pytest.mark.parametrize("operation", list(NEW))
async def test_over_every_protocol(harness: Harness, operation: str) -> None:
    """REST and JSON-RPC refuse alike, whether the account is named by its id or its email."""
    ada = await new_person(harness, scope="write")
    headers = bearer(await ada.user.token())
    harness.clock.now += RECENT + 1
    route = "password" if operation == "users.password" else "rotate-secret"
    answer = await harness.request("POST", f"/api/v1/users/{ada.id}/{route}", json=NEW[operation], headers=headers)
    assert (answer.status, answer.json["error"]["code"]) == (401, "expired_token")
    for whose in ({"client_id": ada.id}, {"email": ada.email}):
        said = await harness.rpc(operation, {**whose, **NEW[operation]}, headers=headers)
        assert (said["error"]["code"], said["error"]["data"]["code"]) == (4001, "expired_token")


async def test_on_the_account_page(harness: Harness) -> None:
    """A session that `herod ui` opened leads to signing in where there is a second factor, and a key's is refused."""
    open_pages(harness)
    ada = await new_person(harness, scope="write")
    opened = [await harness.call("session.create", by) for by in (ada.user.basic, Bearer(await ada.user.key("write")))]
    await harness.store.write(lambda tx: tx.put(TotpFactor(id=ada.id, created_at=0, secret=b"s" * 20, used_step=0)))
    told = []
    for one in opened:
        half, ticket = cut(one.cookie)
        visitor = Visitor(harness, ada.id, {"cookie": f"herod_session={half}"}, ticket)
        answer = await visitor.send("/ui/account/secret")
        assert "herod_c_" not in text(answer)
        told.append((answer.status, "Sign in again" in text(answer), said(text(answer))))
    assert told[0][:2] == (403, True)
    assert "second factor" in told[0][2]
    assert told[1][0] == 403
    assert "API key cannot change" in told[1][2]
