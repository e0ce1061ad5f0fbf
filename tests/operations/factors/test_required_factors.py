"""`--second-factor`: who must have one and has none can set one up, and do nothing else."""

from typing import Any

import pytest

from herod.identity.credential_types import ApiKeyHeader, Bearer, SessionCookie
from herod.operations.accounts import make_first_code
from herod.operations.operation_table import OPERATIONS
from herod.protocols.decode import convert_params
from herod.scopes.decisions import Access
from herod.scopes.principal import AuthMethod
from herod_client.core.errors import HerodError, SecondFactorMissing
from support.herod_in_memory import PASSWORD, TCP, Harness
from support.persons import Person, new_person

# What sets a second factor up, and what the page for that needs.
ENROLS = {
    "whoami", "session.delete", "session.resume", "factors.get", "passkeys.begin", "passkeys.enrol", "totp.begin",
    "totp.enable",
}  # fmt: skip


async def reason(call: Any) -> str:
    """Why a call is refused; empty if it is not."""
    try:
        await call
    except HerodError as error:
        return error.reason
    return ""


async def login(person: Person) -> Any:
    """Sign in as a program does."""
    return await person.harness.call("login", None, TCP, email=person.email, password=PASSWORD)


@pytest.mark.parametrize("setting", ["admin", "all"])
async def test_led_to_set_one_up(harness: Harness, setting: str) -> None:
    """After the password, every operation but those that set a factor up is refused; with one, all are possible."""
    harness.configure(second_factor=setting)
    ada = await new_person(harness, scope="admin")
    await harness.service_key("admin", "spare")
    refused = set()
    for name, operation in OPERATIONS.items():
        if operation.needs is Access.PUBLIC:
            continue
        params = convert_params(operation, operation.example, is_text=False)
        try:
            await harness.pipeline.call(operation, params, ada.cookie, TCP)
        except SecondFactorMissing:
            refused.add(name)
        except HerodError:
            pass
        except NotImplementedError:
            pytest.fail(f"{name} was admitted")
        if name == "session.delete":
            await ada.sign_in()
    needs_credential = {name for name, one in OPERATIONS.items() if one.needs is not Access.PUBLIC}
    apps_only = {name for name, one in OPERATIONS.items() if one.takes_apps}
    assert needs_credential - refused - apps_only == ENROLS
    assert (await ada.call("factors.get", client_id=ada.id)).required
    await ada.set_up_app()
    assert await ada.call("users.list")
    assert len(ada.codes) == 10


async def test_the_menu(harness: Harness) -> None:
    """Whoever must set one up first is shown nothing else."""
    harness.configure(second_factor="all")
    ada = await new_person(harness, scope="admin")
    whoami = OPERATIONS["whoami"]
    _, granted = await harness.pipeline.visit(
        whoami, whoami.params(), ada.cookie, TCP, among=[one for one in OPERATIONS.values() if one.is_command]
    )
    public = {name for name, one in OPERATIONS.items() if one.needs is Access.PUBLIC}
    assert granted - public <= ENROLS


async def test_who_must(harness: Harness) -> None:
    """`admin` is for who holds admin now; a change of scope or of the setting counts at the next use."""
    harness.configure(second_factor="admin")
    await harness.service_key("admin", "spare")
    ada = await new_person(harness)
    assert await login(ada)
    assert await ada.call("keys.list")
    await harness.admin("users.scope", client_id=ada.id, scope="admin")
    assert await reason(ada.call("keys.list")) == "second_factor_missing"
    assert await reason(login(ada)) == "second_factor_missing"
    await harness.admin("users.scope", client_id=ada.id, scope="read")
    assert await ada.call("keys.list")
    harness.configure(second_factor="all")
    assert await reason(ada.call("keys.list")) == "second_factor_missing"
    harness.configure(second_factor="off")
    assert await ada.call("keys.list")


async def test_with_a_passkey(harness: Harness) -> None:
    """A passkey is a second factor: enrolling one opens the rest, and signing in with it is enough."""
    harness.configure(second_factor="all")
    ada = await new_person(harness)
    device = await ada.enrol()
    assert await ada.call("keys.list")
    await ada.sign_in_with(device)
    assert await ada.call("keys.list")


async def test_the_last_stays(harness: Harness) -> None:
    """Who must have one cannot remove the last; one of two can go."""
    harness.configure(second_factor="all")
    ada = await new_person(harness)
    await ada.set_up_app()
    assert await reason(ada.call("totp.disable")) == "last_second_factor"
    await ada.enrol()
    await ada.call("totp.disable")
    (passkey,) = (await ada.call("passkeys.list")).items
    assert await reason(ada.call("passkeys.delete", id=passkey.id)) == "last_second_factor"
    assert (await ada.call("factors.get", client_id=ada.id)).recovery_codes == 10


async def test_setting_up_needs_a_recent_sign_in(harness: Harness) -> None:
    """Who signed in long ago signs in again before setting one up."""
    harness.configure(second_factor="all")
    ada = await new_person(harness)
    harness.clock.now += 301
    assert await reason(ada.call("totp.begin")) == "sign_in_again"
    await ada.sign_in()
    assert await ada.call("totp.begin")


async def test_the_first_admin(harness: Harness) -> None:
    """The first admin, made in a browser, sets one up before anything else."""
    harness.configure(second_factor="admin")
    code = make_first_code(harness.runtime, now=harness.clock.now)
    opened = await harness.call("first_admin.create", None, TCP, code=code, email="root@example.org", password=PASSWORD)
    cookie = SessionCookie(opened.cookie)
    assert await reason(harness.call("users.list", cookie, TCP)) == "second_factor_missing"
    begun = await harness.call("totp.begin", cookie, TCP)
    assert begun.secret


async def test_what_is_not_affected(harness: Harness) -> None:
    """API keys, client secrets and their sessions work as before; a session of theirs is no person's."""
    harness.configure(second_factor="all")
    user = await harness.user("write", email="ada@example.org", password=PASSWORD)
    key = await user.key("write")
    assert await harness.call("keys.list", ApiKeyHeader(key), TCP)
    assert await harness.call("token.create", user.basic)
    for presented in (user.basic, Bearer(key)):
        session = await user.session(presented)
        assert await harness.call("keys.list", session, TCP)
        assert await reason(harness.call("totp.begin", session, TCP)) == "person_needed"
    code = (await harness.call("session.code", user.basic)).code
    redeemed = await harness.call("session.redeem", None, TCP, code=code)
    assert await reason(harness.call("totp.begin", SessionCookie(redeemed.cookie), TCP)) == "person_needed"


async def test_registering(harness: Harness) -> None:
    """Registration gives a token, as it gives the client secret; signing in by the password needs a factor first."""
    harness.configure(second_factor="all")
    made = await harness.call("register", None, TCP, email="new@example.org", password=PASSWORD)
    assert made.access_token
    assert await reason(harness.call("login", None, TCP, email="new@example.org", password=PASSWORD)) == (
        "second_factor_missing"
    )


def test_nothing_that_enrols_is_a_tool() -> None:
    """Agents are not shown what only a person without a factor may do."""
    for name in ENROLS - {"whoami", "session.delete", "session.resume", "factors.get"}:
        assert OPERATIONS[name].tool is None
        assert OPERATIONS[name].methods == frozenset({AuthMethod.SESSION})
