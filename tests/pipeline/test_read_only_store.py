"""While the store is read-only, revoking commands take effect in memory, and all others are refused."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from herod.identity.credential_types import Bearer, PeerClaim, Presented, SessionCookie
from herod.identity.effective_principals import LOCAL_ADMIN_ID
from herod.operations.operation_table import OPERATIONS
from herod.pipeline.operation_definition import GivesNothing, Operation
from herod.records import Revocation
from herod.scopes.principal import Peer, Source
from herod.store.store_interface import Health, NotWritten, Writer
from herod_client.core.errors import (
    BadCredentials,
    Conflict,
    Disabled,
    ExpiredToken,
    TargetDenied,
    Unauthenticated,
    Unavailable,
)
from support.connected_apps import connect_app
from support.herod_in_memory import ADMIN_SOURCE, LOCAL_ADMIN, TCP, Harness, open_harness


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    """A harness with a permanent admin."""
    async with open_harness() as harness:
        await harness.service_key("admin", "spare")
        yield harness


@pytest.mark.parametrize(
    "operation",
    [one for one in OPERATIONS.values() if isinstance(one.gives, GivesNothing) and one.gives.why == "ends access"],
    ids=lambda operation: operation.name,
)
def test_whatever_ends_access_does_so_in_memory_too(operation: Operation) -> None:
    """No operation that ends access depends on the disk."""
    assert operation.unwritten is not None


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            NotWritten("The store's disk is full", "free space", reason="disk_full"),
            "The store's disk is full: this is in force until the restart, and then undone. Free space and repeat it.",
        ),
        (
            Unavailable("It broke.", reason="damaged"),
            "It broke. This is in force until the restart, and then undone: repeat it when the store can be written.",
        ),
    ],
)
@pytest.mark.parametrize(
    ("name", "parameter"),
    [("apps.delete", "app"), ("apps.disable", "app"),
     ("users.delete", "account"), ("users.disable", "account"), ("keys.delete", "key"), ("keys.disable", "key"),
     ("auth.remove_key", "service key"), ("peers.remove", "rule"), ("token.revoke", "token"),
     ("session.end_all", "nothing"), ("delegations.revoke", "connected app")],
)  # fmt: skip
async def test_what_is_in_force_until_the_restart_is_said(
    harness: Harness,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
    parameter: str,
    error: Unavailable,
    said: str,
) -> None:
    """The answer neither claims that nothing was changed, nor is it a success: it says how long, and to repeat it.

    The log names what it was.
    """
    user = await harness.user()
    rule = await harness.admin("peers.allow", uid=4000, scope="read")
    app = await harness.admin("apps.add", name="app", redirect_uris=["https://app.example.org/"])
    given: dict[str, dict[str, str]] = {
        "account": {"client_id": user.client_id},
        "key": {"id": (await user.key()).split("_")[2]},
        "service key": {"id": (await harness.service_key("read")).split("_")[2]},
        "rule": {"id": rule.id},
        "app": {"client_id": app.client_id},
        "token": {"token": await user.token()},
        "nothing": {},
        "connected app": {"id": (await connect_app(harness, user)).id},
    }

    async def refuse(function: Callable[..., Any]) -> None:
        raise error

    monkeypatch.setattr(harness.store, "write", refuse)
    with pytest.raises(Unavailable) as caught:
        await harness.admin(name, **given[parameter])
    assert caught.value.message == said
    assert caught.value.hint == "repeat it when GET /health answers ok"
    (line,) = [vars(record) for record in caplog.records if "in force until the restart" in record.getMessage()]
    assert (line["operation"], line["actor"]) == (name, LOCAL_ADMIN_ID)
    assert line["target"]
    with pytest.raises(Unavailable) as other:
        await harness.admin("users.scope", client_id=user.client_id, scope="user")
    assert "in force" not in other.value.message


@pytest.fixture
def read_only(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Make the store refuse all changes from now on."""
    return lambda: monkeypatch.setattr(harness.store, "write", _refuse)


@pytest.mark.parametrize("name", ["users.disable", "users.delete"])
async def test_an_account_ends_in_memory(harness: Harness, read_only: Callable[[], None], name: str) -> None:
    """Disabling an account refuses its tokens, keys and sessions at once, although the change answers 503."""
    user = await harness.user()
    token = await user.token()
    made: list[Presented] = [user.basic, Bearer(token), Bearer(await user.key()), await user.session()]
    read_only()
    with pytest.raises(Unavailable):
        await harness.admin(name, client_id=user.client_id)
    for presented in made:
        with pytest.raises(Unauthenticated) as refused:
            await harness.call("whoami", presented, TCP)
        assert isinstance(refused.value, Disabled | BadCredentials)
    assert (await harness.call("token.validate", None, TCP, token=token)).valid is False
    assert not (await harness.admin("users.get", client_id=user.client_id)).enabled
    assert user.client_id in [one.client_id for one in (await harness.admin("users.list")).items if not one.enabled]


@pytest.mark.parametrize("name", ["keys.delete", "keys.disable"])
async def test_a_key_ends_in_memory(harness: Harness, read_only: Callable[[], None], name: str) -> None:
    """Disabling a key in memory leaves its owner's other credentials valid."""
    user = await harness.user()
    key = await user.key()
    read_only()
    with pytest.raises(Unavailable):
        await harness.admin(name, id=key.split("_")[2])
    assert not (await harness.call("auth.verify", None, TCP, key=key)).valid
    assert not (await harness.admin("keys.get", id=key.split("_")[2])).enabled
    off = await harness.admin("keys.list", state="off")
    assert [(one.id, one.enabled) for one in off.items] == [(key.split("_")[2], False)]
    assert key.split("_")[2] not in [one.id for one in (await harness.admin("keys.list", state="on")).items]
    assert (await harness.call("whoami", user.basic, TCP)).sub == user.client_id


async def test_an_account_is_switched_on_again(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """An account disabled in memory is enabled again by the next change that the store takes."""
    user = await harness.user()
    with monkeypatch.context() as full:
        full.setattr(harness.store, "write", _refuse)
        with pytest.raises(Unavailable):
            await harness.admin("users.disable", client_id=user.client_id)
    with pytest.raises(Disabled):
        await harness.call("whoami", user.basic, TCP)
    await harness.admin("users.enable", client_id=user.client_id)
    assert (await harness.call("whoami", user.basic, TCP)).sub == user.client_id


async def test_a_token_of_an_account_that_is_off_in_memory_is_revoked_for_good(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account is back after a restart, so its token must not count as invalid already."""
    user = await harness.user()
    token = await user.token()
    with monkeypatch.context() as full:
        full.setattr(harness.store, "write", _refuse)
        with pytest.raises(Unavailable):
            await harness.admin("users.disable", client_id=user.client_id)
    await harness.admin("token.revoke", token=token)
    assert harness.store.count(Revocation) == 1


async def test_memory_takes_no_more_than_the_store_would(harness: Harness, read_only: Callable[[], None]) -> None:
    """Callers who may not disable an account in the store may not do so in memory."""
    admin, everywhere = await harness.user(scope="admin", networks=["lab"]), await harness.user()
    read_only()
    with pytest.raises(TargetDenied):
        await harness.call("users.disable", admin.basic, TCP, client_id=everywhere.client_id)
    assert (await harness.call("whoami", everywhere.basic, TCP)).sub == everywhere.client_id


async def test_the_last_admin_stays_in_memory_too() -> None:
    """The last admin cannot be disabled in memory either."""
    async with open_harness() as harness:
        last = await harness.user(scope="admin")
        harness.store.write = _refuse  # type: ignore[method-assign, assignment]
        with pytest.raises(Conflict):
            await harness.admin("users.disable", client_id=last.client_id)
        assert (await harness.call("whoami", last.basic, TCP)).sub == last.client_id


async def test_two_admins_do_not_end_in_memory_one_after_the_other() -> None:
    """An admin disabled in memory no longer counts as an admin, whatever the store contains."""
    async with open_harness() as harness:
        keys = [await harness.service_key("admin", name) for name in ("first", "second")]
        harness.store.write = _refuse  # type: ignore[method-assign, assignment]
        for key, refusal in zip(keys, (Unavailable, Conflict), strict=True):
            with pytest.raises(refusal):
                await harness.admin("keys.disable", id=key.split("_")[2])
        assert (await harness.call("whoami", Bearer(keys[1]), TCP)).scope == "admin"


async def test_the_feed_tells_what_is_off_in_memory(harness: Harness, read_only: Callable[[], None]) -> None:
    """The change feed reports accounts disabled in memory, to verifiers that follow it and to new ones."""
    user = await harness.user()
    before = await harness.admin("token.changes")
    assert {one.sub: one.enabled for one in before.subjects}[user.client_id]
    read_only()
    with pytest.raises(Unavailable):
        await harness.admin("users.disable", client_id=user.client_id)
    told = await harness.admin("token.changes", cursor=before.cursor)
    assert [(one.sub, one.enabled) for one in told.subjects] == [(user.client_id, False)]
    assert (await harness.admin("token.changes", cursor=told.cursor)).subjects == []
    anew = await harness.admin("token.changes")
    assert not {one.sub: one.enabled for one in anew.subjects}[user.client_id]


@pytest.mark.parametrize("name", ["keys.delete", "keys.disable", "auth.remove_key"])
async def test_a_service_key_ends_in_memory(harness: Harness, read_only: Callable[[], None], name: str) -> None:
    """Each command that ends a service key does, with the session that the key opened."""
    key = await harness.service_key("read")
    session = SessionCookie((await harness.call("session.create", Bearer(key))).cookie)
    read_only()
    with pytest.raises(Unavailable):
        await harness.admin(name, id=key.split("_")[2])
    for presented in (Bearer(key), session):
        with pytest.raises(Unauthenticated):
            await harness.call("whoami", presented, TCP)


async def test_a_peer_rule_ends_in_memory(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """A removed rule admits nobody, its tokens end, verifiers are told; allowed again, its tokens stay ended."""
    source = Source(address="", peer=Peer(uid=4000, gid=4000))
    rule = await harness.admin("peers.allow", uid=4000, scope="read")
    token = (await harness.call("token.create", PeerClaim(), source)).access_token
    before = await harness.admin("token.changes")
    with monkeypatch.context() as full:
        full.setattr(harness.store, "write", _refuse)
        with pytest.raises(Unavailable):
            await harness.admin("peers.remove", id=rule.id)
    for presented in (PeerClaim(), Bearer(token)):
        with pytest.raises(Unauthenticated):
            await harness.call("whoami", presented, source)
    told = await harness.admin("token.changes", cursor=before.cursor)
    assert [(one.sub, one.enabled) for one in told.subjects] == [(rule.id, False)]
    await harness.admin("peers.allow", uid=4000, scope="read")
    assert (await harness.call("whoami", PeerClaim(), source)).sub == rule.id
    with pytest.raises(Unauthenticated):
        await harness.call("whoami", Bearer(token), source)


@pytest.mark.parametrize("name", ["session.delete", "session.end", "session.end_all"])
async def test_a_session_ends_in_memory(harness: Harness, read_only: Callable[[], None], name: str) -> None:
    """Signing out ends the session, one's own and another of one's own."""
    user = await harness.user()
    mine, other = await user.session(), await user.session()
    ended = mine if name == "session.delete" else other
    id_ = next(one.id for one in (await harness.call("session.list", mine, TCP)).items if not one.is_this)
    read_only()
    with pytest.raises(Unavailable):
        await harness.call(name, mine, TCP, **({"id": id_} if name == "session.end" else {}))
    with pytest.raises(Unauthenticated):
        await harness.call("whoami", ended, TCP)
    assert (await harness.call("whoami", other if ended is mine else mine, TCP)).sub == user.client_id


async def test_the_last_admin_can_end_its_sessions_in_memory() -> None:
    """Ending sessions takes nothing from the account, so the only admin may too: its sessions end."""
    async with open_harness() as harness:
        last = await harness.user(scope="admin")
        mine, stolen = await last.session(), await last.session()
        harness.store.write = _refuse  # type: ignore[method-assign, assignment]
        with pytest.raises(Unavailable):
            await harness.call("session.end_all", mine, TCP)
        with pytest.raises(Unauthenticated):
            await harness.call("whoami", stolen, TCP)
        assert (await harness.call("whoami", mine, TCP)).sub == last.client_id


@pytest.mark.parametrize("everyone", [False, True])
async def test_codes_end_in_memory(harness: Harness, monkeypatch: pytest.MonkeyPatch, everyone: bool) -> None:
    """Ending all sessions ends the codes for new ones: they open none when the store can be written again."""
    user, other = await harness.user(), await harness.user()
    codes = [(await harness.call("session.code", one.basic, TCP)).code for one in (user, other)]
    whose: dict[str, Any] = {"everyone": True} if everyone else {"client_id": user.client_id}
    with monkeypatch.context() as full:
        full.setattr(harness.store, "write", _refuse)
        with pytest.raises(Unavailable):
            await harness.admin("session.end_all", **whose)
    with pytest.raises(BadCredentials):
        await harness.call("session.redeem", None, TCP, code=codes[0])
    assert (harness.runtime.session_codes.look(codes[1], now=harness.clock.now) is None) == everyone


async def test_all_sessions_end_in_memory(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are, all but the calling one end; those of later sign-ins are good."""
    users = [await harness.user() for _ in range(5)]
    sessions = [await user.session() for user in users for _ in range(45)]
    here = SessionCookie((await harness.call("session.create", LOCAL_ADMIN, ADMIN_SOURCE)).cookie)
    with monkeypatch.context() as full:
        full.setattr(harness.store, "write", _refuse)
        with pytest.raises(Unavailable):
            await harness.call("session.end_all", here, ADMIN_SOURCE, everyone=True)
    for session in sessions:
        with pytest.raises(ExpiredToken):
            await harness.call("whoami", session, TCP)
    assert (await harness.call("whoami", here, ADMIN_SOURCE)).kind == "local_admin"
    harness.clock.now += 1
    assert (await harness.call("whoami", await users[0].session(), TCP)).sub == users[0].client_id


async def test_the_log_does_not_repeat_that_the_store_cannot_be_written(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What waits in memory every second is not logged while health says why; at the end, what is lost is."""
    with pytest.raises(BadCredentials):
        await harness.call("stats")
    monkeypatch.setattr(harness.store, "write", _refuse)
    monkeypatch.setattr(type(harness.store), "health", property(lambda _: (Health.READ_ONLY, "the disk is full")))
    for _ in range(3):
        harness.clock.now += 60
        await harness.pipeline.flush()
    assert caplog.messages == []
    await harness.pipeline.flush(is_last=True)
    assert caplog.messages == ["the counted audit events could not be written to the store"]


async def test_nothing_counts_that_was_not_stored(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens and sign-ins that the disk refused are in no count."""
    user = await harness.user()
    before = await harness.admin("stats")

    async def commit_in_vain(function: Callable[..., Any]) -> None:
        def fail(tx: Writer) -> None:
            function(tx)
            raise NotWritten("The store's disk is full", "free some space", reason="disk_full")

        await write(fail)

    write = harness.store.write
    with monkeypatch.context() as full:
        full.setattr(harness.store, "write", commit_in_vain)
        for name in ("token.create", "session.create"):
            with pytest.raises(NotWritten):
                await harness.call(name, user.basic, TCP)
    after = await harness.admin("stats")
    assert (after.tokens, after.sign_ins) == (before.tokens, before.sign_ins)
    await user.token()
    await user.session()
    after = await harness.admin("stats")
    assert (after.tokens, after.sign_ins) == (before.tokens + 1, before.sign_ins + 1)


async def _refuse(function: Callable[..., Any]) -> None:
    raise NotWritten("The store's disk is full", "free some space", reason="disk_full")
