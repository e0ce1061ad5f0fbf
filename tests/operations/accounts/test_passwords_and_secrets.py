"""An account's password and client secret: who may change them, and what a change revokes."""

import pytest

from herod.identity.credential_types import Basic, Bearer
from herod_client.core.errors import BadCredentials, CeilingExceeded, InvalidRequest, NotFound, Unauthenticated
from support.herod_in_memory import PASSWORD, TCP, Harness

EMAIL = "ada@example.org"
NEW = "another long password"


async def test_own_password(harness: Harness) -> None:
    """Users change their password with the current one; tokens and sessions end, and keys stay."""
    user = await harness.user(email=EMAIL, password=PASSWORD)
    token, session, key = await user.bearer(), await user.session(), Bearer(await user.key())
    await harness.call("users.password", user.basic, client_id=user.client_id, current=PASSWORD, password=NEW)
    for presented in (token, session):
        with pytest.raises(Unauthenticated):
            await harness.call("whoami", presented)
    assert (await harness.call("whoami", key)).scope == "read"
    assert (await harness.call("login", None, TCP, email=EMAIL, password=NEW)).client_id == user.client_id
    with pytest.raises(BadCredentials):
        await harness.call("login", None, TCP, email=EMAIL, password=PASSWORD)


@pytest.mark.parametrize("current", [None, "", "a wrong password!"])
async def test_own_password_needs_the_current_one(harness: Harness, current: str | None) -> None:
    """Without the current password nothing changes."""
    user = await harness.user(email=EMAIL, password=PASSWORD)
    with pytest.raises(BadCredentials):
        await harness.call("users.password", user.basic, client_id=user.client_id, current=current, password=NEW)
    await harness.call("login", None, TCP, email=EMAIL, password=PASSWORD)


async def test_password_by_an_admin(harness: Harness) -> None:
    """Admins need no current password, but if they send one it must be right."""
    user = await harness.user(email=EMAIL, password=PASSWORD)
    with pytest.raises(BadCredentials):
        await harness.admin("users.password", client_id=user.client_id, current="a wrong password!", password=NEW)
    await harness.admin("users.password", client_id=user.client_id, password=NEW)
    await harness.call("login", None, TCP, email=EMAIL, password=NEW)


async def test_foreign_password(harness: Harness) -> None:
    """Another account's password change is answered as not found, whether or not the account exists."""
    user, other = await harness.user(email=EMAIL, password=PASSWORD), await harness.user("write")
    for client_id in (user.client_id, "nobody"):
        with pytest.raises(NotFound):
            await harness.call("users.password", other.basic, client_id=client_id, current=PASSWORD, password=NEW)


async def test_password_is_judged(harness: Harness) -> None:
    """A new password that is too short is refused before anything is hashed."""
    user = await harness.user(email=EMAIL, password=PASSWORD)
    with pytest.raises(InvalidRequest):
        await harness.admin("users.password", client_id=user.client_id, password="short")


async def test_rotate_secret(harness: Harness) -> None:
    """Rotation refuses the old client secret and the tokens issued with it at once."""
    user = await harness.user()
    token = await user.bearer()
    rotated = await harness.call("users.rotate_secret", user.basic, client_id=user.client_id)
    for presented in (user.basic, token):
        with pytest.raises(Unauthenticated):
            await harness.call("whoami", presented)
    assert (await harness.call("token.create", Basic(user.client_id, rotated.client_secret))).scope == "read"


async def test_a_key_cannot_change_its_owners_secret(harness: Harness) -> None:
    """A key changes neither secret of its owner, so that a stolen key cannot take over the account."""
    admin = await harness.user("admin")
    key = Bearer(await admin.key("admin"))
    with pytest.raises(CeilingExceeded, match="sign in instead"):
        await harness.call("users.rotate_secret", key, client_id=admin.client_id)
    with pytest.raises(CeilingExceeded, match="sign in instead"):
        await harness.call("users.password", key, client_id=admin.client_id, password=NEW)
