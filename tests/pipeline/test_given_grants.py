"""Nothing is made that outlives its maker: every command that gives something, called with a credential that expires.

The commands and what they give are read from the operation table.
"""

import dataclasses
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from herod.identity.credential_types import Bearer, Presented, SessionCookie
from herod.identity.identify import identify
from herod.operations.operation_table import OPERATIONS
from herod.operations.tokens import issue_token
from herod.pipeline.operation_definition import Context, GivesNothing, NoParams, NoTarget, command
from herod.pipeline.process.process_state import ProcessState
from herod.records import Account, ApiKey, App, PeerRule, Record, Session
from herod.scopes.decisions import Access
from herod_client.core.errors import CeilingExceeded, Conflict, HerodError, MissingScope, Unauthenticated
from herod_client.core.scope_graph import ADMIN
from support.herod_in_memory import ADMIN_SOURCE, LOCAL_ADMIN, NOW, TCP, Harness

SECONDS = 20
END = datetime.fromtimestamp(NOW + SECONDS, UTC)
COMMANDS = sorted(name for name, one in OPERATIONS.items() if one.is_command and one.credential)
GIVING = sorted(name for name in COMMANDS if isinstance(OPERATIONS[name].gives, type))
# Losing one must fail a test. Each has its reason in the table.
GIVING_NOTHING = {
    "apps.delete",
    "apps.disable",
    "approvals.decide",
    "auth.remove_key",
    "backup",
    "delegations.revoke",
    "keys.delete",
    "keys.disable",
    "login",
    "oauth.continue",
    "oauth.deny",
    "oauth.device_authorization",
    "oauth.device_deny",
    "oauth.register",
    "openid.sign_out",
    "factors.reset",
    "passkeys.delete",
    "passkeys.enrol",
    "passkeys.rename",
    "peers.remove",
    "recovery.renew",
    "session.code",
    "session.end_all",
    "session.delete",
    "session.end",
    "token.create",
    "token.exchange_code",
    "token.exchange_device_code",
    "token.refresh",
    "token.revoke",
    "totp.disable",
    "totp.enable",
    "users.delete",
    "users.disable",
}
# Strangers call them with a secret of their own: the maker is the new account, or the account that signs in.
BY_STRANGERS = {
    "first_admin.create", "register", "session.confirm", "session.passkey", "session.redeem", "session.sign_in",
}  # fmt: skip
# Only a person's own session calls it, which no credential but a password or passkey opens: those do not expire.
BY_PERSONS = {"oauth.allow", "oauth.device_allow"}
# They shorten what they make to the caller's end, and say so in their answer.
SHORTENED = {"auth.create_key", "session.create"}
FOLLOWED: tuple[type[Record], ...] = (Account, ApiKey, App, PeerRule, Session)

Make = Callable[[Harness], Awaitable[dict[str, Any]]]


async def _account(harness: Harness) -> dict[str, Any]:
    return {"client_id": (await harness.user("write")).client_id}


async def _disabled_account(harness: Harness) -> dict[str, Any]:
    reference = await _account(harness)
    await harness.admin("users.disable", **reference)
    return reference


async def _key(harness: Harness) -> dict[str, Any]:
    return {"id": (await harness.service_key("write", "another")).split("_")[2]}


async def _disabled_key(harness: Harness) -> dict[str, Any]:
    reference = await _key(harness)
    await harness.admin("keys.disable", **reference)
    return reference


async def _key_with_an_end(harness: Harness) -> dict[str, Any]:
    text = await harness.service_key("write", "another", expires_at=END)
    return {"id": text.split("_")[2], "expires_at": None}


async def _app(harness: Harness) -> dict[str, Any]:
    added = await harness.admin("apps.add", name="app", redirect_uris=["https://app.example.org/cb"])
    return {"client_id": added.client_id}


async def _disabled_app(harness: Harness) -> dict[str, Any]:
    reference = await _app(harness)
    await harness.admin("apps.disable", **reference)
    return reference


async def _legacy(harness: Harness) -> dict[str, Any]:
    return {"id": harness.runtime.config.legacy.all()[0].id}


def fixed(**params: Any) -> Make:
    """Parameters that need no record."""

    async def make(harness: Harness) -> dict[str, Any]:
        return params

    return make


def with_app(**params: Any) -> Make:
    """Parameters besides an existing app."""

    async def make(harness: Harness) -> dict[str, Any]:
        return await _app(harness) | params

    return make


def with_account(**params: Any) -> Make:
    """Parameters besides an existing account."""

    async def make(harness: Harness) -> dict[str, Any]:
        return {"client_id": (await harness.user("write", ["lab"])).client_id} | params

    return make


CALLS: dict[str, Make] = {
    "apps.add": fixed(name="made", redirect_uris=["https://app.example.org/cb"]),
    "apps.enable": _disabled_app,
    "apps.rotate_secret": _app,
    "apps.update": with_app(redirect_uris=["https://elsewhere.example.org/cb"]),
    "auth.create_key": fixed(name="made", scope="write"),
    "keys.create": fixed(name="made", scope="write", kind="service"),
    "keys.enable": _disabled_key,
    "keys.rotate": _key,
    "keys.update": _key_with_an_end,
    "legacy.promote": _legacy,
    "peers.allow": fixed(uid=4321, scope="write"),
    "session.create": fixed(),
    "users.add": fixed(scope="write"),
    "users.enable": _disabled_account,
    "users.password": with_account(password="a long new password"),
    "users.rotate_secret": _account,
    "users.scope": with_account(scope="admin"),
    "users.update": with_account(networks=["*"]),
}


async def expiring_key(harness: Harness) -> Presented:
    """A service key with scope admin that expires soon."""
    return Bearer(await harness.service_key("admin", "expires soon", expires_at=END))


async def session_of_expiring_key(harness: Harness) -> Presented:
    """A session that was opened with one."""
    opened = await harness.call("session.create", await expiring_key(harness), TCP)
    return SessionCookie(opened.cookie)


async def former_secret(harness: Harness) -> Presented:
    """The former secret of a key, in the overlap after a rotation."""
    text = await harness.service_key("admin", "rotated")
    await harness.admin("keys.rotate", id=text.split("_")[2], overlap=SECONDS)
    return Bearer(text)


async def session_of_former_secret(harness: Harness) -> Presented:
    """A session that was opened with one."""
    opened = await harness.call("session.create", await former_secret(harness), TCP)
    return SessionCookie(opened.cookie)


async def redeemed_session(harness: Harness) -> Presented:
    """A session that a one-time code of a former secret opened."""
    made = await harness.call("session.code", await former_secret(harness), TCP)
    opened = await harness.call("session.redeem", None, TCP, code=made.code)
    return SessionCookie(opened.cookie)


async def users_key(harness: Harness) -> Presented:
    """A user key with an end, of an admin without one."""
    return Bearer(await (await harness.user("admin")).key("admin", expires_at=END))


MAKERS = [
    expiring_key,
    session_of_expiring_key,
    former_secret,
    session_of_former_secret,
    redeemed_session,
    users_key,
]


def lasting(harness: Harness) -> dict[tuple[str, str], Record]:
    """The records that somebody could use after the maker's end."""
    found: dict[tuple[str, str], Record] = {}
    for record_type in FOLLOWED:
        for record in harness.store.scan(record_type):
            is_over = record.expires_at is not None and record.expires_at <= NOW + SECONDS
            if not is_over and getattr(record, "enabled", True):
                found[record.kind, record.id] = record
    return found


async def error_of(call: Awaitable[Any]) -> HerodError | None:
    """The error of a call, if it is refused."""
    try:
        await call
    except HerodError as error:
        return error
    return None


def test_every_command_says_what_it_gives() -> None:
    """Each command about credentials is either called below, or gives nothing for a reason."""
    nothing = {name: OPERATIONS[name].gives for name in COMMANDS if name not in GIVING}
    assert set(nothing) == GIVING_NOTHING
    assert all(isinstance(one, GivesNothing) and one.why for one in nothing.values())
    assert set(GIVING) == set(CALLS) | BY_STRANGERS | BY_PERSONS
    assert all(OPERATIONS[name].needs is Access.PUBLIC for name in BY_STRANGERS)


def test_a_command_cannot_leave_it_out() -> None:
    """A command about credentials that does not say what it gives is refused at its definition."""

    def handler(tx: Any, context: Any, params: NoParams) -> None:
        """Create something."""

    with pytest.raises(TypeError, match="does not say what it gives"):
        command("made.up", needs=ADMIN, credential=True, target=NoTarget("a test"), example={})(handler)


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
@pytest.mark.parametrize("name", sorted(CALLS))
async def test_nothing_outlives_its_maker(harness: Harness, name: str, maker: Any) -> None:
    """A credential that expires in 20 s leaves nothing that can be used after it, and the refusal changes nothing."""
    await harness.user("admin", name="another admin")
    params = await CALLS[name](harness)
    who = await maker(harness)
    before = lasting(harness)
    error = await error_of(harness.call(name, who, TCP, **params))
    if name not in SHORTENED:
        assert isinstance(error, CeilingExceeded | MissingScope)
        if maker is not users_key or not OPERATIONS[name].manages_keys:
            assert (error.missing, error.reason) == ("expires_at", "outlives_credential")
            assert "2027-01-15T08:00:20Z" in error.message
    assert lasting(harness) == before


@pytest.mark.parametrize("name", sorted(CALLS))
async def test_a_maker_without_an_end(harness: Harness, name: str) -> None:
    """A key without an end may make what lasts; so may an account's session, whose maker is the account."""
    await harness.user("admin", name="another admin")
    params = await CALLS[name](harness)
    admin = await harness.user("admin")
    await harness.call(name, admin.basic if name in SHORTENED else await admin.session(), TCP, **params)
    others = {key: value for key, value in params.items() if key not in {"name", "uid"}}
    if name in {"keys.create", "auth.create_key", "apps.add"}:
        others["name"] = "made again"
    if name == "peers.allow":
        others["uid"] = 4322
    if name == "legacy.promote":
        others["id"] = harness.runtime.config.legacy.all()[1].id
    await harness.call(name, Bearer(await harness.service_key("admin", "lasts")), TCP, **others)


async def test_the_hint_says_until_when(harness: Harness) -> None:
    """Where an end can be given, the hint says which; given, the key is made."""
    who = await expiring_key(harness)
    with pytest.raises(CeilingExceeded) as refused:
        await harness.call("keys.create", who, TCP, name="made", scope="read", kind="service")
    assert refused.value.hint == "give expires_at, at most 2027-01-15T08:00:20Z"
    made = await harness.call("keys.create", who, TCP, name="made", scope="read", kind="service", expires_at=END)
    assert made.expires_at == END
    with pytest.raises(CeilingExceeded) as refused:
        await harness.call("users.add", who, TCP)
    assert refused.value.hint == "use a credential that does not expire"


async def test_an_end_cannot_be_passed_on(harness: Harness) -> None:
    """Two keys that expire at the same time do not extend each other, nor themselves, by rotating or changing."""
    texts = [await harness.service_key("admin", name, expires_at=END) for name in ("one", "two")]
    who = texts[1]
    for id_ in (text.split("_")[2] for text in texts):
        rotated = await harness.call("keys.rotate", Bearer(who), TCP, id=id_, overlap=600)
        assert rotated.expires_at == END
        who = rotated.key if id_ == who.split("_")[2] else who
        for later in (None, datetime.fromtimestamp(NOW + SECONDS + 1, UTC)):
            with pytest.raises(CeilingExceeded):
                await harness.call("keys.update", Bearer(who), TCP, id=id_, expires_at=later)
    harness.clock.now = NOW + SECONDS
    for text in (*texts, who):
        with pytest.raises(Unauthenticated):
            await harness.call("whoami", Bearer(text), TCP)


async def test_a_confirmation_lasts_too(harness: Harness) -> None:
    """A key that is about to expire cannot confirm an account, but can take a confirmation back."""
    registered = await harness.call("register", None, email="eve@example.org", password="correct horse battery")
    who = await expiring_key(harness)
    with pytest.raises(CeilingExceeded) as refused:
        await harness.call("users.update", who, TCP, client_id=registered.client_id, confirmed=True)
    assert refused.value.reason == "outlives_credential"
    await harness.admin("users.update", client_id=registered.client_id, confirmed=True)
    await harness.call("users.update", who, TCP, client_id=registered.client_id, confirmed=False)


async def test_what_takes_away_needs_no_time(harness: Harness) -> None:
    """A key that is about to expire can still demote, disable, rename, shorten and delete."""
    await harness.user("admin", name="another admin")
    user = await harness.user("write", ["*"])
    key = (await harness.service_key("write", "another")).split("_")[2]
    rule = await harness.admin("peers.allow", uid=4321, scope="write")
    app = await harness.admin("apps.add", name="app", redirect_uris=["https://app.example.org/"], scope="write")
    who = await expiring_key(harness)
    for name, params in (
        ("users.scope", {"client_id": user.client_id, "scope": "read"}),
        ("users.update", {"client_id": user.client_id, "networks": ["lab"], "name": "renamed"}),
        ("users.disable", {"client_id": user.client_id}),
        ("keys.update", {"id": key, "scope": "read", "expires_at": END, "name": "renamed"}),
        ("keys.disable", {"id": key}),
        ("peers.allow", {"uid": 4321, "scope": "read"}),
        ("peers.remove", {"id": rule.id}),
        ("apps.update", {"client_id": app.client_id, "scope": "read", "name": "renamed"}),
        ("apps.disable", {"client_id": app.client_id}),
        ("apps.delete", {"client_id": app.client_id}),
        ("users.delete", {"client_id": user.client_id}),
        ("keys.delete", {"id": key}),
    ):
        await harness.call(name, who, TCP, **params)


@pytest.mark.parametrize("name", ["users.delete", "users.disable", "users.scope"])
async def test_the_last_admin_that_lasts_stays(harness: Harness, name: str) -> None:
    """A key that is about to expire cannot remove the last admin that does not: soon there would be none."""
    last = await harness.user("admin")
    params = {"client_id": last.client_id} | ({"scope": "read"} if name == "users.scope" else {})
    who = await expiring_key(harness)
    with pytest.raises(Conflict, match="last enabled admin"):
        await harness.call(name, who, TCP, **params)
    await harness.service_key("admin", "lasts")
    await harness.call(name, who, TCP, **params)


async def test_codes_sessions_and_tokens_end_with_their_maker(harness: Harness) -> None:
    """A code, and the session that it opens, say the end of the key that they were made with, and are refused then."""
    key = await expiring_key(harness)
    made = await harness.call("session.code", key, TCP)
    assert made.expires_at == END
    opened = await harness.call("session.redeem", None, TCP, code=made.code)
    assert opened.expires_at == END
    harness.clock.now = NOW + SECONDS
    with pytest.raises(HerodError):
        await harness.call("whoami", SessionCookie(opened.cookie), TCP)


async def test_a_refused_enable_changes_nothing(harness: Harness) -> None:
    """A key that was disabled while the store could not be written stays disabled if enabling it is refused."""
    text = await harness.service_key("write", "another")
    harness.runtime.switched_off.add(text.split("_")[2])
    with pytest.raises(CeilingExceeded):
        await harness.call("keys.enable", await expiring_key(harness), TCP, id=text.split("_")[2])
    with pytest.raises(Unauthenticated):
        await harness.call("whoami", Bearer(text), TCP)
    await harness.call("keys.enable", LOCAL_ADMIN, id=text.split("_")[2])
    assert (await harness.call("whoami", Bearer(text), TCP)).scope == "write"


async def test_the_audit_log_names_no_record_that_was_not_made(harness: Harness) -> None:
    """A refused creation leaves a denial without a target."""
    with pytest.raises(CeilingExceeded):
        await harness.call("users.add", await expiring_key(harness), TCP)
    await harness.pipeline.flush(is_last=True)
    [denied] = [row.event for row in harness.store.audit_rows() if row.event.outcome == "denied"]
    assert (denied.operation, denied.reason, denied.target) == ("users.add", "outlives_credential", None)
    assert msgspec.json.encode(denied)


async def test_a_token_expires_no_later_than_the_grant(harness: Harness) -> None:
    """A token for a principal whose grant expires first has the grant's expiry, and `expires_in` says so."""
    text = await harness.service_key("read", expires_at=END)
    principal = identify(harness.store, harness.runtime, Bearer(text), TCP, NOW)
    context = Context(runtime=harness.runtime, process=ProcessState(), principal=principal, source=TCP, now=NOW)
    token = issue_token(context, principal, "read")
    assert token.expires_in == SECONDS
    assert harness.runtime.claims(token.text, NOW).exp == NOW + SECONDS


async def test_a_handler_must_say_what_it_gave(harness: Harness) -> None:
    """A command that gives a record without naming it fails and changes nothing."""

    def handler(tx: Any, context: Any, params: Any) -> None:
        tx.put(PeerRule(id="made", created_at=NOW, subject="uid:1", creator="", scope=("admin",), networks=("*",)))

    forgetful = dataclasses.replace(OPERATIONS["peers.allow"], handler=handler, target=None, prepare=None)
    with pytest.raises(LookupError, match="does not say which record it gave"):
        await harness.pipeline.call(forgetful, forgetful.params(scope="read"), LOCAL_ADMIN, ADMIN_SOURCE)
    assert harness.store.count(PeerRule) == 0
