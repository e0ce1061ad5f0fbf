"""Each step of signing in, connecting an app and changing what one signs in with leaves its row in the audit log."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import pytest

from herod.audit_event import AuditEvent
from herod.identity.apps.grant_types import DEVICE_CODE
from herod.records import TokenFamily
from herod_client.core.errors import ApprovalRequired, HerodError, SecondFactorNeeded
from support.connected_apps import app_token, connect_app
from support.herod_in_memory import PASSWORD, TCP, Harness, open_harness
from support.oauth_app import CALLBACK, Connecting, connecting, dynamic_app
from support.page_visitor import open_pages, visit
from support.persons import Person, equipped_person, new_person

SECRET: Final = "the tenant's own secret"


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    """A harness with pages."""
    async with open_harness() as built:
        open_pages(built)
        yield built


async def register(harness: Harness) -> None:
    """An app registers itself."""
    asked = {"client_name": "Agent", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"}
    assert (await harness.request("POST", "/oauth/register", json=asked)).status == 201


async def connected(harness: Harness) -> Connecting:
    """An app that a person has allowed, in all stages."""
    return await connecting(harness)


async def deny(harness: Harness) -> None:
    """A person denies an app."""
    seen = await connecting(harness)
    await harness.call("oauth.deny", seen.session, TCP, request=seen.request)


async def use_a_code_twice(harness: Harness) -> None:
    """An app, or somebody who saw its code, exchanges it again."""
    seen = await connecting(harness)
    for _ in range(2):
        with suppress(HerodError):
            await harness.call("token.exchange_code", seen.by_app, TCP, grant_type="authorization_code", code=seen.code)


async def use_a_refresh_token_late(harness: Harness) -> None:
    """A public app's former refresh token is used after its sixty seconds."""
    app = dynamic_app(harness)
    former = (await app.tokens(await visit(harness, "bea@example.org", scope="read")))["refresh_token"]
    await app.refresh(former)
    harness.clock.now += 61
    assert (await app.refresh(former)).status == 400
    assert not list(harness.store.scan(TokenFamily))


async def take_back(harness: Harness) -> None:
    """A person disconnects an app."""
    ada = await new_person(harness)
    await ada.call("delegations.revoke", id=(await connect_app(harness, ada.user)).id)


async def make_a_key_by_app(harness: Harness) -> None:
    """An app's token tries to make something that lasts."""
    ada = await new_person(harness)
    with pytest.raises(HerodError):
        await harness.call("keys.create", app_token(harness, await connect_app(harness, ada.user)), TCP, name="mine")


async def devices(harness: Harness) -> None:
    """A device's code is allowed, another one denied, and the allowed one exchanged."""
    seen = await connecting(harness)
    await harness.call("oauth.device_deny", seen.session, TCP, request=seen.device_request)
    await harness.call(
        "token.exchange_device_code", seen.by_app, TCP, grant_type=DEVICE_CODE, device_code=seen.device_code
    )


def approval(answer: str) -> Callable[[Harness], Awaitable[None]]:
    """An app asks for what needs a person, who approves, declines, or does nothing; then it asks again."""

    async def act(harness: Harness) -> None:
        ada = await new_person(harness, scope="user")
        claimed = await harness.call("resources.claim", ada.user.basic, TCP, kind="vm", name="w", secret=SECRET)
        app = app_token(harness, await connect_app(harness, ada.user, "user"))
        wanted = {"sid": claimed.sid, "secret": SECRET}
        with pytest.raises(ApprovalRequired) as asked:
            await harness.call("resources.release", app, TCP, **wanted)
        if answer:
            await ada.call("approvals.decide", id=asked.value.id, approve=answer == "approve")
            with suppress(HerodError):
                await harness.call("resources.release", app, TCP, **wanted)

    return act


async def factors(harness: Harness) -> None:
    """A person sets up, renames and removes what they sign in with."""
    ada = await equipped_person(harness)
    (passkey,) = (await ada.call("passkeys.list")).items
    await ada.call("passkeys.rename", id=passkey.id, name="other")
    await ada.call("recovery.renew")
    await ada.call("passkeys.delete", id=passkey.id)
    await ada.call("totp.disable")


async def reset(harness: Harness) -> None:
    """An admin puts a lost factor right."""
    ada = await equipped_person(harness)
    await harness.admin("factors.reset", client_id=ada.id)


async def secrets(harness: Harness) -> None:
    """A person changes their password and client secret."""
    ada = await new_person(harness)
    await ada.call("users.rotate_secret", client_id=ada.id)
    await harness.call("session.sign_in", None, TCP, email=ada.email, password=PASSWORD)
    await ada.sign_in()
    await ada.call("users.password", client_id=ada.id, password="another long password", current=PASSWORD)


async def sign_ins(harness: Harness) -> None:
    """A person signs in by password and code, after a wrong one, and by passkey."""
    ada: Person = await new_person(harness)
    device = await ada.enrol()
    await ada.set_up_app()
    with pytest.raises(SecondFactorNeeded) as asked:
        await ada.sign_in()
    for otp in ("000000", ada.otp()):
        with suppress(HerodError):
            await harness.call("session.confirm", None, TCP, pending=asked.value.pending, otp=otp)
    await ada.sign_in_with(device)


async def old_sign_in(harness: Harness) -> None:
    """Somebody finds an unlocked browser and tries to set up a factor, and to change the secret."""
    ada = await new_person(harness)
    harness.clock.now += 301
    for name, params in (("totp.begin", {}), ("users.rotate_secret", {"client_id": ada.id})):
        with pytest.raises(HerodError):
            await ada.call(name, **params)


OK, DENIED = "ok", "denied"
Row = tuple[str, str, str | None]
# what happens → the rows that it leaves, among others
STEPS: Final[dict[str, tuple[Callable[[Harness], Awaitable[Any]], list[Row]]]] = {
    "registration": (register, [("oauth.register", OK, None)]),
    "consent and exchange": (connected, [("oauth.allow", OK, None), ("token.exchange_code", OK, None)]),
    "denial": (deny, [("oauth.deny", OK, None)]),
    "reuse of a code": (use_a_code_twice, [("token.exchange_code", DENIED, "code_reuse")]),
    "reuse of a refresh token": (use_a_refresh_token_late, [("token.refresh", DENIED, "refresh_reuse")]),
    "taken back": (take_back, [("delegations.revoke", OK, None)]),
    "an app's key": (make_a_key_by_app, [("keys.create", DENIED, "app_token")]),
    "devices": (
        devices,
        [
            ("oauth.device_authorization", OK, None),
            ("oauth.device_allow", OK, None),
            ("oauth.device_deny", OK, None),
            ("token.exchange_device_code", OK, None),
        ],
    ),
    "approval asked": (
        approval(""),
        [("approvals.ask", OK, None), ("resources.release", DENIED, "approval_required")],
    ),
    "approved": (approval("approve"), [("approvals.decide", OK, "approved"), ("resources.release", OK, None)]),
    "declined": (
        approval("decline"),
        [("approvals.decide", OK, "declined"), ("resources.release", DENIED, "declined")],
    ),
    "factors": (
        factors,
        [
            (name, OK, None)
            for name in (
                "passkeys.enrol",
                "totp.enable",
                "passkeys.rename",
                "recovery.renew",
                "passkeys.delete",
                "totp.disable",
            )
        ],
    ),
    "reset": (reset, [("factors.reset", OK, None)]),
    "secrets": (secrets, [("users.rotate_secret", OK, None), ("users.password", OK, None)]),
    "sign-ins": (
        sign_ins,
        [("session.confirm", DENIED, "wrong_code"), ("session.confirm", OK, None), ("session.passkey", OK, None)],
    ),
    "an old sign-in": (
        old_sign_in,
        [("totp.begin", DENIED, "sign_in_again"), ("users.rotate_secret", DENIED, "sign_in_again")],
    ),
}


async def rows(harness: Harness) -> list[AuditEvent]:
    """All rows, also those that were counted."""
    await harness.pipeline.flush(is_last=True)
    return [row.event for row in harness.store.audit_rows()]


@pytest.mark.parametrize("name", list(STEPS))
async def test_a_step(harness: Harness, name: str) -> None:
    """Its rows say what was done or refused, why, and by whom: somebody who is known, or nobody."""
    act, wanted = STEPS[name]
    await act(harness)
    found = await rows(harness)
    told = {(event.operation, event.outcome, event.reason) for event in found}
    assert [row for row in wanted if row not in told] == [], sorted(map(str, told))
    for event in found:
        if (event.operation, event.outcome, event.reason) in wanted and event.operation != "oauth.register":
            assert event.actor, event
            assert event.source in ("127.0.0.1", "uid:990"), event
