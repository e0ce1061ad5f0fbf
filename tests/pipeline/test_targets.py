"""Every command's target is found and checked before its handler runs, shown with the real handlers."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from herod.identity.credential_types import Presented
from herod.operations.operation_table import OPERATIONS
from herod.pipeline.operation_definition import NoParams, NoTarget, Target, command
from herod.records import Session
from herod.scopes.principal import AuthMethod
from herod_client.core.errors import HerodError, NotFound, TargetDenied
from herod_client.core.scope_graph import ADMIN
from support.connected_apps import connect_app
from support.herod_in_memory import TCP, Harness, User
from support.persons import equipped_person, new_person, params_of_person
from support.waiting_calls import waiting_call

TARGETED = sorted(name for name, one in OPERATIONS.items() if isinstance(one.target, Target))
# Each has its reason in the table. Losing a target must fail a test.
WITHOUT = {
    "apps.add",
    "auth.create_key",
    "backup",
    "first_admin.create",
    "legacy.promote",
    "login",
    "oauth.allow",
    "oauth.continue",
    "oauth.deny",
    "oauth.device_allow",
    "oauth.device_authorization",
    "oauth.device_deny",
    "oauth.register",
    "openid.sign_out",
    "register",
    "resources.claim",
    "session.code",
    "session.confirm",
    "session.create",
    "session.delete",
    "session.passkey",
    "session.redeem",
    "session.sign_in",
    "token.create",
    "token.exchange_code",
    "token.exchange_device_code",
    "token.refresh",
    "token.revoke",
    "users.add",
}
# Found by a tenant's secret, so an owner never holds more, and a foreign one is not found.
BY_SECRET = {"resources.release", "resources.update"}
# A person's own account, passkeys, and calls that wait for them: nobody else's can be named, or found.
OWN_ACCOUNT = {"passkeys.enrol", "recovery.renew", "totp.disable", "totp.enable"}
OWN = {*OWN_ACCOUNT, "approvals.decide", "passkeys.delete", "passkeys.rename"}
# Their reference need not exist: a first rule, or one's own key.
OPTIONAL = {"keys.create", "peers.allow"}

Make = Callable[[Harness, str], Awaitable[dict[str, Any]]]


async def _account(harness: Harness, scope: str) -> dict[str, Any]:
    return {"client_id": (await harness.user(scope)).client_id}


async def _key(harness: Harness, scope: str) -> dict[str, Any]:
    user = await harness.user(scope)
    return {"id": (await user.key(scope)).split("_")[2]}


async def _service_key(harness: Harness, scope: str) -> dict[str, Any]:
    return {"id": (await harness.service_key(scope, "a service")).split("_")[2]}


async def _owner(harness: Harness, scope: str) -> dict[str, Any]:
    return {"owner": (await harness.user(scope)).client_id, "name": "for another", "scope": "read"}


async def _rule(harness: Harness, scope: str) -> dict[str, Any]:
    return {"id": (await harness.admin("peers.allow", uid=4321, scope=scope)).id}


async def _replaced(harness: Harness, scope: str) -> dict[str, Any]:
    await harness.admin("peers.allow", uid=4321, scope=scope)
    return {"uid": 4321, "scope": "read"}


async def _app(harness: Harness, scope: str) -> dict[str, Any]:
    added = await harness.admin("apps.add", name="app", redirect_uris=["https://app.example.org/"], scope=scope)
    return {"client_id": added.client_id}


async def _session(harness: Harness, scope: str) -> dict[str, Any]:
    await (await harness.user(scope)).session()
    [session] = harness.store.list(Session).items
    return {"id": session.id}


async def _passkey(harness: Harness, scope: str) -> dict[str, Any]:
    person = await equipped_person(harness, "other@example.org", scope=scope)
    return {"id": (await person.call("passkeys.list")).items[0].id}


async def _approval(harness: Harness, scope: str) -> dict[str, Any]:
    return {"id": await waiting_call(harness, await harness.user(scope))}


async def _equipped(harness: Harness, scope: str) -> dict[str, Any]:
    return {"client_id": (await equipped_person(harness, "other@example.org", scope=scope)).id}


async def _resource(harness: Harness, scope: str) -> dict[str, Any]:
    claimed = await harness.call("resources.claim", (await harness.user("user")).basic, kind="vm", name="x", secret="s")
    return {"sid": claimed.sid, "secret": "s"}


async def _connected_app(harness: Harness, scope: str) -> dict[str, Any]:
    return {"id": (await connect_app(harness, await harness.user(scope), scope)).id}


def made_by(name: str) -> Make:
    """The function that creates a record for the command to change and returns how the command names it."""
    if name == "keys.create":
        return _owner
    if name == "peers.allow":
        return _replaced
    if name == "factors.reset":
        return _equipped
    target = OPERATIONS[name].target
    assert isinstance(target, Target)
    return {
        "account": _account,
        "approval": _approval,
        "connected app": _connected_app,
        "key": _key,
        "service key": _service_key,
        "peer rule": _rule,
        "app": _app,
        "session": _session,
        "passkey": _passkey,
        "resource": _resource,
    }[target.noun]


def rest(name: str, reference: dict[str, Any]) -> dict[str, Any]:
    """The command's parameters: the example's, with the reference in place."""
    names = {"client_id", "email", "id", "sid", "secret", "current", "uid", "expires_at"}
    return {key: value for key, value in OPERATIONS[name].example.items() if key not in names} | reference


async def presented(harness: Harness, name: str, scope: str, networks: list[str] | None = None) -> Presented:
    """A user with that scope, signed in by a method that the command accepts."""
    if OPERATIONS[name].person is not None:
        return (await new_person(harness, scope=scope, networks=networks)).cookie
    user: User = await harness.user(scope, networks)
    methods = OPERATIONS[name].methods
    return await user.session() if methods and AuthMethod.SESSION in methods else await user.bearer()


async def refused(harness: Harness, name: str, who: Presented, params: dict[str, Any], error: type[Exception]) -> None:
    """Assert that the call is refused and changes nothing."""
    before = harness.store.cursor
    with pytest.raises(error):
        await harness.call(name, who, TCP, **params)
    assert harness.store.cursor == before


def test_whose_target_is_not_in_the_table() -> None:
    """Only commands that change no existing record have no target, each with its reason."""
    without = {name: one.target for name, one in OPERATIONS.items() if isinstance(one.target, NoTarget)}
    assert set(without) == WITHOUT
    assert all(target.why for target in without.values())


def test_a_command_says_what_it_changes() -> None:
    """A command without a declared target is refused at its definition."""

    def handler(tx: Any, context: Any, params: NoParams) -> None:
        """Change something."""

    with pytest.raises(TypeError, match="does not say what it changes"):
        command("made.up", needs=ADMIN, credential=False, example={})(handler)
    with pytest.raises(TypeError, match="does not say whether it creates, changes or ends a credential"):
        command("made.up", needs=ADMIN, target=NoTarget("a test"), example={})(handler)


@pytest.mark.parametrize("name", [name for name in TARGETED if name not in OPTIONAL | OWN_ACCOUNT])
async def test_missing(harness: Harness, name: str) -> None:
    """A target that does not exist is not found, also for an admin."""
    reference = await made_by(name)(harness, "read")
    gone = {key: "nobody" if key != "secret" else value for key, value in reference.items()}
    await refused(harness, name, await presented(harness, name, "admin"), rest(name, gone), NotFound)


@pytest.mark.parametrize(
    "name", [name for name in TARGETED if OPERATIONS[name].needs != ADMIN and name not in OPTIONAL | OWN_ACCOUNT]
)
async def test_foreign(harness: Harness, name: str) -> None:
    """Another account's target is not found for non-admins."""
    reference = await made_by(name)(harness, "read")
    await refused(harness, name, await presented(harness, name, "user"), rest(name, reference), NotFound)


@pytest.mark.parametrize("name", [name for name in TARGETED if name not in BY_SECRET | OWN])
async def test_higher(harness: Harness, name: str) -> None:
    """An admin of one network changes no target that holds more, and the audit log names the target."""
    await harness.user("admin")  # another admin, so that none is the last
    reference = await made_by(name)(harness, "admin")
    who = await presented(harness, name, "admin", ["lab"])
    await refused(harness, name, who, rest(name, reference), TargetDenied)
    await harness.pipeline.flush(is_last=True)
    [denied] = [row.event for row in harness.store.audit_rows() if row.event.outcome == "denied"]
    assert denied.operation == name
    assert denied.target in {*reference.values()} or name == "peers.allow"


@pytest.mark.parametrize("name", sorted(OWN))
async def test_what_a_person_changes_of_their_own(harness: Harness, name: str) -> None:
    """A person's change of their own succeeds, its row names what changed, and no admin's session does it for them."""
    ada = await equipped_person(harness)
    params = await params_of_person(ada, name, dict(OPERATIONS[name].example))
    boss = await new_person(harness, "boss@example.org", scope="admin")
    with pytest.raises(HerodError):
        await boss.call(name, **params)
    await ada.call(name, **params)
    row = [row.event for row in harness.store.audit_rows() if row.event.operation == name][-1]
    assert (row.outcome, row.actor) == ("ok", ada.id)
    assert row.target == (ada.id if name in OWN_ACCOUNT - {"passkeys.enrol"} else params.get("id", row.target))


@pytest.mark.parametrize("name", [name for name in TARGETED if name not in BY_SECRET | OWN])
async def test_what_one_may_change(harness: Harness, name: str) -> None:
    """A permitted change succeeds, and its audit row names the target."""
    await harness.user("admin")
    reference = await made_by(name)(harness, "write")
    params = rest(name, reference)
    if name in {"users.enable", "keys.enable", "apps.enable"}:
        await harness.admin(name.replace("enable", "disable"), **reference)
    if OPERATIONS[name].methods:
        await harness.call(name, await presented(harness, name, "admin"), TCP, **params)
    else:
        await harness.admin(name, **params)
    row = [row.event for row in harness.store.audit_rows() if row.event.operation == name][-1]
    assert row.outcome == "ok"
    if name not in OPTIONAL:
        assert row.target in reference.values()
    assert row.target
