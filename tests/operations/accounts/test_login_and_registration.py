"""Login by email and password, and self-registration."""

import pytest

from herod.identity.credential_types import Basic, Bearer, SessionCookie
from herod.records import Account
from herod_client.core.errors import BadCredentials, Conflict, Disabled, InvalidRequest, TargetDenied
from support.herod_in_memory import PASSWORD, TCP, Harness, open_harness

EMAIL = "ada@example.org"


async def test_login(harness: Harness) -> None:
    """Login returns a token with everything that the account holds, whatever the case of the email."""
    user = await harness.user("write", email=EMAIL, password=PASSWORD)
    answer = await harness.call("login", None, TCP, email="Ada@EXAMPLE.ORG", password=PASSWORD)
    assert (answer.client_id, answer.scope, answer.expires_in) == (user.client_id, "write", 3600)
    assert (await harness.call("whoami", Bearer(answer.access_token))).scope == "write"


@pytest.mark.parametrize(
    ("email", "password"), [(EMAIL, "a wrong password!"), ("eve@example.org", PASSWORD), ("no address", PASSWORD)]
)
async def test_login_refused(harness: Harness, email: str, password: str) -> None:
    """A wrong password, an unknown email and an invalid email get the same answer."""
    await harness.user(email=EMAIL, password=PASSWORD)
    with pytest.raises(BadCredentials, match=r"Unknown email or wrong password\."):
        await harness.call("login", None, TCP, email=email, password=password)


async def test_login_of_a_disabled_account(harness: Harness) -> None:
    """Login of a disabled account is refused, and the reason is disclosed only with the right password."""
    user = await harness.user(email=EMAIL, password=PASSWORD)
    await harness.admin("users.disable", client_id=user.client_id)
    with pytest.raises(Disabled):
        await harness.call("login", None, TCP, email=EMAIL, password=PASSWORD)
    with pytest.raises(BadCredentials):
        await harness.call("login", None, TCP, email=EMAIL, password="a wrong password!")


async def test_an_account_without_a_password(harness: Harness) -> None:
    """An account without a password cannot log in with one, not even with an empty one."""
    await harness.user(email=EMAIL)
    for password in ("", PASSWORD):
        with pytest.raises(BadCredentials):
            await harness.call("login", None, TCP, email=EMAIL, password=password)


async def test_session_sign_in(harness: Harness) -> None:
    """A browser session holds what its account holds."""
    await harness.user("write", email=EMAIL, password=PASSWORD)
    opened = await harness.call("session.sign_in", None, TCP, email=EMAIL, password=PASSWORD, browser="Firefox")
    assert (await harness.call("whoami", SessionCookie(opened.cookie))).scope == "write"


async def test_register(harness: Harness) -> None:
    """Anonymous callers can register an account with scope read, and get its token and client secret."""
    answer = await harness.call("register", None, TCP, email=EMAIL, password=PASSWORD, name="Ada")
    assert answer.scope == "read"
    assert (await harness.call("whoami", Bearer(answer.access_token))).name == "Ada"
    assert (await harness.call("token.create", Basic(answer.client_id, answer.client_secret))).scope == "read"
    assert (await harness.call("login", None, TCP, email=EMAIL, password=PASSWORD)).client_id == answer.client_id


async def test_register_twice(harness: Harness) -> None:
    """A second registration of an email is refused, also by the check inside the transaction."""
    await harness.call("register", None, TCP, email=EMAIL, password=PASSWORD)
    with pytest.raises(Conflict, match="exists already"):
        await harness.call("register", None, TCP, email=EMAIL, password=PASSWORD)
    assert harness.store.count(Account) == 1


@pytest.mark.parametrize("password", ["short", "x" * 129])
async def test_register_with_a_bad_password(harness: Harness, password: str) -> None:
    """A password has 12 to 128 characters."""
    with pytest.raises(InvalidRequest):
        await harness.call("register", None, TCP, email=EMAIL, password=password)


async def test_registration_closed() -> None:
    """When registration is closed, the refusal names the command that creates an account."""
    async with open_harness(registration="closed") as harness:
        with pytest.raises(TargetDenied, match="Registration is closed") as refused:
            await harness.call("register", None, TCP, email=EMAIL, password=PASSWORD)
        assert refused.value.hint == "herod user add EMAIL"
        assert harness.store.count(Account) == 0
