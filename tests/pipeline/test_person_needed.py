"""What only a person does is refused to every session that no person opened, and to an old one."""

import dataclasses
from typing import Any

import pytest

from herod.identity.credential_types import Bearer, Presented, SessionCookie
from herod.operations.operation_table import OPERATIONS
from herod.pipeline.admission import SIGN_IN_AGAIN
from herod.pipeline.operation_definition import Context, NoParams, NoTarget, Operation, Tool, command, query
from herod.records import Session
from herod.scopes.decisions import Access
from herod.scopes.principal import AuthMethod
from herod.store.store_interface import Reader, Writer
from herod_client.core.errors import BadCredentials, CeilingExceeded, ExpiredToken, HerodError, PersonNeeded
from support.herod_in_memory import ADMIN_SOURCE, LEGACY, LOCAL_ADMIN, PASSWORD, STRANGER, TCP, Harness

MOST = 300


@query("consents", needs=Access.AUTHENTICATED, person=MOST, example={})
def consents(reader: Reader, context: Context, params: NoParams) -> str:
    """An operation for persons."""
    return context.principal.id


@command(
    "consents.now", needs=Access.AUTHENTICATED, person=MOST, credential=False, target=NoTarget("a test"), example={}
)
def consents_now(tx: Writer, context: Context, params: NoParams) -> str:
    """A command for persons."""
    return context.principal.id


async def ask(harness: Harness, presented: Presented | None, operation: Operation = consents) -> Any:
    """Call an operation for persons."""
    return await harness.pipeline.call(operation, operation.params(), presented, TCP)


async def by_password(harness: Harness, **account: Any) -> SessionCookie:
    """The session of a person."""
    await harness.user(email="ada@example.org", password=PASSWORD, **account)
    opened = await harness.call("session.sign_in", None, TCP, email="ada@example.org", password=PASSWORD)
    return SessionCookie(opened.cookie)


@pytest.mark.parametrize("operation", [consents, consents_now], ids=["query", "command"])
async def test_a_person_up_to_the_age(harness: Harness, operation: Operation) -> None:
    """A session opened by password may, until its sign-in is too old; of any age where the table says 0."""
    cookie = await by_password(harness)
    harness.clock.now += MOST
    assert await ask(harness, cookie, operation)
    harness.clock.now += 1
    with pytest.raises(ExpiredToken, match="within the last 5 minutes") as refused:
        await ask(harness, cookie, operation)
    assert refused.value.reason == SIGN_IN_AGAIN
    assert await ask(harness, cookie, dataclasses.replace(operation, person=0))


async def test_using_a_session_makes_it_no_younger(harness: Harness) -> None:
    """What counts is the sign-in, not the last use."""
    cookie = await by_password(harness)
    for _ in range(3):
        harness.clock.now += 120
        await harness.call("whoami", cookie, TCP)
    with pytest.raises(ExpiredToken):
        await ask(harness, cookie)


async def test_no_other_session_is_a_persons(harness: Harness) -> None:
    """Sessions opened by a secret, a key, a legacy secret, a rule, the local admin or `herod ui` are refused."""
    admin = await harness.user(scope="admin")
    await harness.admin("peers.allow", uid=1234, scope="admin")
    opened = {
        "client secret": await harness.call("session.create", admin.basic),
        "user key": await harness.call("session.create", Bearer(await admin.key("admin"))),
        "service key": await harness.call("session.create", Bearer(await harness.service_key("admin"))),
        "legacy secret": await harness.call("session.create", Bearer(LEGACY["admin"])),
        "local admin": await harness.call("session.create", LOCAL_ADMIN, ADMIN_SOURCE),
        "peer rule": await harness.call("session.create", dataclasses.replace(LOCAL_ADMIN, cookie=None), STRANGER),
    }
    code = (await harness.call("session.code", admin.basic)).code
    opened["herod ui"] = await harness.call("session.redeem", None, TCP, code=code)
    for name, session in opened.items():
        cookie = SessionCookie(session.cookie)
        assert await harness.call("whoami", cookie, TCP), name
        for operation in (consents, dataclasses.replace(consents, person=0)):
            with pytest.raises(PersonNeeded, match="sign in with a passkey") as refused:
                await ask(harness, cookie, operation)
            assert refused.value.reason == "person_needed", name


async def test_no_other_credential_is_a_persons(harness: Harness) -> None:
    """A token, made by password or not, a key and a secret are refused, whatever they may do; so is nobody."""
    user = await harness.user(scope="admin", email="bob@example.org", password=PASSWORD)
    login = await harness.call("login", None, TCP, email="bob@example.org", password=PASSWORD)
    for presented in (await user.bearer(), Bearer(login.access_token), Bearer(await user.key("admin")), user.basic):
        with pytest.raises(CeilingExceeded, match="a browser session"):
            await ask(harness, presented)
    with pytest.raises(BadCredentials):
        await ask(harness, None)


async def test_how_a_session_was_opened_is_kept(harness: Harness) -> None:
    """A session by password says `pwd` and when; one by a secret says nothing."""
    cookie = await by_password(harness)
    session = harness.store.list(Session).items[0]
    assert (session.amr, session.created_at, session.via) == (("pwd",), harness.clock.now, "password")
    seen: list[Any] = []
    probe = dataclasses.replace(consents, handler=lambda reader, context, params: seen.append(context.principal))
    harness.clock.now += 9
    await ask(harness, cookie, probe)
    assert (seen[0].amr, seen[0].signed_in_at) == (("pwd",), harness.clock.now - 9)
    await (await harness.user()).session()
    assert [one.amr for one in harness.store.list(Session).items] == [("pwd",), ()]


async def test_a_session_that_ends_meanwhile(harness: Harness) -> None:
    """A command looks again in its transaction: a demand that was met at first may not be any more."""
    cookie = await by_password(harness)

    def wait(*_: Any) -> Any:
        return lambda: setattr(harness.clock, "now", harness.clock.now + MOST + 1)

    with pytest.raises(ExpiredToken) as refused:
        await ask(harness, cookie, dataclasses.replace(consents_now, prepare=wait))
    assert refused.value.reason == SIGN_IN_AGAIN


async def test_explained(harness: Harness) -> None:
    """`access.explain` says that an operation needs a person."""
    probed = dataclasses.replace(OPERATIONS["whoami"], person=MOST, methods=frozenset({AuthMethod.SESSION}))
    harness.pipeline.process.operations = {"whoami": probed}
    for cookie, reason in (
        (await (await harness.user()).session(), "person_needed"),
        (await by_password(harness), None),
    ):
        assert (await harness.call("access.explain", cookie, TCP, operation="whoami")).reason == reason


def test_it_is_never_a_tool() -> None:
    """Agents cannot be offered what only a person does."""
    with pytest.raises(TypeError, match="cannot be a tool"):
        query("x", needs=Access.AUTHENTICATED, person=0, example={}, tool=Tool("x"))(consents.handler)


async def test_refusals_are_noted(harness: Harness) -> None:
    """A refusal for want of a person is in the audit log's queue, with its reason."""
    cookie = await (await harness.user()).session()
    with pytest.raises(HerodError):
        await ask(harness, cookie)
    assert [(event.operation, event.reason) for event in harness.pipeline.denials.take(None)] == [
        ("consents", "person_needed")
    ]
