"""Seeing an account's second factors, and putting a lost one right."""

from typing import Any

import pytest

from herod.identity.credential_types import ApiKeyHeader, Presented
from herod.records import Passkey, RecoveryCodes, TotpFactor
from herod_client.core.errors import HerodError
from support.herod_in_memory import PASSWORD, TCP, Harness
from support.persons import Person, new_person


async def reason(call: Any) -> str:
    """Why a call is refused."""
    with pytest.raises(HerodError) as error:
        await call
    return error.value.reason


async def equipped(harness: Harness, **more: Any) -> Person:
    """Somebody with a passkey, an app and recovery codes."""
    ada = await new_person(harness, **more)
    await ada.enrol()
    await ada.set_up_app()
    return ada


async def test_who_sees_them(harness: Harness) -> None:
    """The owner, with any credential, and admins; to others the account does not exist."""
    ada = await equipped(harness)
    bob = await harness.user()
    admin = await harness.user("admin")
    for presented in (ada.cookie, ada.user.basic, ApiKeyHeader(await ada.user.key()), admin.basic):
        factors = await harness.call("factors.get", presented, TCP, email=ada.email)
        assert (factors.client_id, factors.required, factors.recovery_codes) == (ada.id, False, 10)
        assert factors.totp_since is not None
        assert [one.name for one in factors.passkeys] == ["laptop"]
    assert await reason(harness.call("factors.get", bob.basic, TCP, client_id=ada.id)) == "not_owner"
    assert "secret" not in repr(factors)


async def test_reset(harness: Harness) -> None:
    """An admin removes them all; browsers are signed out, keys and tokens stay, and the password signs in again."""
    ada = await equipped(harness)
    device_cookie, token = ada.cookie, await ada.user.token()
    admin = await harness.user("admin")
    gone = await harness.call("factors.reset", admin.basic, TCP, client_id=ada.id)
    assert (gone.passkeys, gone.totp, gone.recovery_codes) == (1, True, True)
    for record_type in (Passkey, TotpFactor, RecoveryCodes):
        assert harness.store.count(record_type) == 0
    assert await reason(harness.call("whoami", device_cookie, TCP)) == "session_over"
    assert (await harness.call("token.validate", None, TCP, token=token)).valid
    assert (await harness.call("login", None, TCP, email=ada.email, password=PASSWORD)).access_token
    await harness.pipeline.flush(is_last=True)
    (row,) = (row.event for row in harness.store.audit_rows() if row.event.operation == "factors.reset")
    assert (row.actor, row.target, row.by_admin) == (admin.client_id, ada.id, True)


async def test_reset_where_one_is_required(harness: Harness) -> None:
    """Afterwards, who must have one is led to set up a new one."""
    harness.configure(second_factor="all")
    ada = await equipped(harness)
    await harness.admin("factors.reset", client_id=ada.id)
    await ada.sign_in()
    assert await reason(ada.call("keys.list")) == "second_factor_missing"
    await ada.set_up_app()
    assert await ada.call("keys.list")


async def test_nobody_resets_their_own(harness: Harness) -> None:
    """An admin's key, token and session do not remove the admin's own second factor; the local admin does."""
    ada = await equipped(harness, scope="admin")
    presented: list[Presented] = [
        ada.cookie,
        ada.user.basic,
        await ada.user.bearer(),
        ApiKeyHeader(await ada.user.key("admin")),
    ]
    for one in presented:
        assert await reason(harness.call("factors.reset", one, TCP, client_id=ada.id)) == "own_factors"
    assert harness.store.count(TotpFactor) == 1
    await harness.admin("factors.reset", client_id=ada.id)
    assert harness.store.count(TotpFactor) == 0


async def test_not_of_who_holds_more(harness: Harness) -> None:
    """An admin cannot reset an owner's."""
    ada = await equipped(harness, scope="owner")
    admin = await harness.user("admin")
    assert await reason(harness.call("factors.reset", admin.basic, TCP, client_id=ada.id)) == "target_denied"


async def test_a_password_from_an_admin_changes_no_factor(harness: Harness) -> None:
    """Whose password was reset still needs the second factor."""
    ada = await equipped(harness)
    await harness.admin("users.password", client_id=ada.id, password="a new long password")
    login = {"email": ada.email, "password": "a new long password"}
    assert await reason(harness.call("login", None, TCP, **login)) == "second_factor_needed"
    assert (await harness.call("login", None, TCP, **login, otp=ada.otp())).access_token
