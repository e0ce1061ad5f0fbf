"""The pipeline: commands are authorized twice, what is refused leaves nothing, and slow work is bounded."""

from datetime import UTC, datetime
from typing import Any

import pytest
import trio

from herod.audit_event import AuditEvent
from herod.identity.credential_types import ApiKeyHeader, Bearer
from herod.identity.effective_principals import key_principal
from herod.operations.accounts import login_and_registration
from herod.pipeline.admission import refusal
from herod.pipeline.process.worker_thread import MAX_WORKERS
from herod.records import Account, ApiKey, Revocation
from herod.scopes.decisions import Denied, Reason, decide
from herod.scopes.principal import ANONYMOUS, AuthMethod, Peer, Principal, PrincipalKind, Source
from herod.throttle.fair_turns import MAX_WAITING, MAX_WAITING_RANGES
from herod_client.core.errors import (
    BadCredentials,
    Conflict,
    ExpiredToken,
    InvalidRequest,
    MissingScope,
    NetworkDenied,
    TargetDenied,
    Unavailable,
)
from herod_client.core.grants import NOTHING
from support.herod_in_memory import ADMIN_SOURCE, LOCAL_ADMIN, NOW, STRANGER, Harness


async def test_a_success_is_audited_with_its_change(harness: Harness) -> None:
    """A change's audit row has actor, method, source, operation and target, in the same transaction."""
    user = await harness.user(scope="admin")
    event = harness.store.audit_rows()[-1].event
    assert event == AuditEvent(
        at=NOW,
        actor="local-admin",
        method="peer",
        source="uid:990",
        operation="users.add",
        outcome="ok",
        target=user.client_id,
        by_admin=True,
    )


async def test_a_refused_command_leaves_nothing(harness: Harness) -> None:
    """A refused command changes nothing and writes no success to the audit log."""
    rows = len(harness.store.audit_rows())
    with pytest.raises(InvalidRequest):
        await harness.admin("users.add", scope="nonsense")
    assert len(harness.store.audit_rows()) == rows


@pytest.mark.parametrize(
    ("first", "waiting"), [(1000, MAX_WAITING_RANGES), (100_000, MAX_WAITING)], ids=["users", "subordinate uids"]
)
async def test_slow_work_is_bounded(harness: Harness, first: int, waiting: int) -> None:
    """One password hash runs at a time, a short queue waits, and further callers are told to retry."""
    refused = 0

    async def log_in(number: int) -> None:  # each from a different source, so that no guessing limit applies
        nonlocal refused
        source = Source(peer=Peer(uid=first + number, gid=number))
        try:
            await harness.call("login", None, source, email=f"ada{number}@example.org", password="a wrong password")
        except Unavailable:
            refused += 1
        except BadCredentials:
            pass

    async with trio.open_nursery() as nursery:
        for number in range(waiting + 6):
            nursery.start_soon(log_in, number)
    assert refused == 5
    assert MAX_WORKERS == 1


async def test_a_password_changed_while_hashing_is_refused(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password change is refused if the password changed between hashing and the transaction."""
    user = await harness.user(email="ada@example.org", password="the old long password")
    real = harness.pipeline.worker.run

    async def overtaken(work: Any, source: str) -> Any:
        result = await real(work, source)
        monkeypatch.undo()
        await harness.admin("users.password", client_id=user.client_id, password="the new long password")
        return result

    for name, params in (
        ("login", {"email": "ada@example.org", "password": "the old long password"}),
        (
            "users.password",
            {"client_id": user.client_id, "password": "another long password", "current": "the new long password"},
        ),
    ):
        monkeypatch.setattr(harness.pipeline.worker, "run", overtaken)
        with pytest.raises(BadCredentials):
            await harness.call(name, user.basic, **params)


async def test_a_revocation_holds_while_the_store_cannot_write(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A revocation takes effect in memory at once while the store cannot write, and still answers 503."""
    user = await harness.user()
    token = await user.token()

    async def refuse(function: object) -> None:
        raise Unavailable("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(type(harness.store), "write", lambda self, function: refuse(function))
        for name, params in (
            ("token.revoke", {"token": token}),
            ("users.rotate_secret", {"client_id": user.client_id}),
        ):
            with pytest.raises(Unavailable):
                await harness.call(name, user.basic, **params)
    await harness.call("token.create", user.basic)  # nothing else has changed
    assert (await harness.call("token.validate", token=token)).reason == "revoked"
    assert harness.store.count(Revocation) == 0
    await harness.call("token.revoke", user.basic, token=token)  # a repeated request is stored
    assert harness.store.count(Revocation) == 1
    harness.runtime.forget_revocations(NOW + 3599)
    assert harness.runtime.revoked
    harness.runtime.forget_revocations(NOW + 3600)
    assert not harness.runtime.revoked


def test_every_reason_has_its_error() -> None:
    """Every reason of a denied decision maps to its error for the caller."""
    assert isinstance(refusal(Denied(Reason.ANONYMOUS), ANONYMOUS), BadCredentials)
    assert isinstance(refusal(Denied(Reason.OUTSIDE_WINDOW), ANONYMOUS), ExpiredToken)
    named = refusal(Denied(Reason.NETWORK_DENIED, missing="lab"), ANONYMOUS)
    assert isinstance(named, NetworkDenied)
    assert "'lab'" in named.message
    principal = Principal(
        id="x",
        kind=PrincipalKind.ACCOUNT,
        name="x",
        method=AuthMethod.JWT,
        grants=(NOTHING,),
        credential="x",
        made_with=AuthMethod.JWT,
    )
    missing = refusal(Denied(Reason.MISSING_SCOPE, missing="admin", hint="do this"), principal)
    assert isinstance(missing, MissingScope)
    assert (missing.missing, missing.hint, "this token" in missing.message) == ("admin", "do this", True)


async def test_public_operations_ignore_credentials(harness: Harness) -> None:
    """A public operation ignores credentials, even invalid ones."""
    answer = await harness.call("health", Bearer("nonsense"), ADMIN_SOURCE)
    assert answer.status == "ok"
    assert (await harness.call("stats", LOCAL_ADMIN)).users == 0


async def test_time_that_passes_in_the_queue_counts(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """A credential that expires between the request and its transaction changes nothing."""
    soon = datetime.fromtimestamp(harness.clock.now + 60, UTC)
    key = await harness.service_key("admin", expires_at=soon)
    real_write = harness.store.write

    async def late(function: Any) -> Any:
        harness.clock.now += 60
        return await real_write(function)

    monkeypatch.setattr(harness.store, "write", late)
    with pytest.raises(ExpiredToken):
        await harness.call("users.add", Bearer(key))
    assert harness.store.count(Account) == 0


async def test_uses_of_keys_are_noted(harness: Harness) -> None:
    """Each use of a key records when and from where, also when a service asks about it."""
    user = await harness.user()
    text = await user.key()
    service = await harness.service_key("admin")

    async def last_used() -> datetime | None:
        used: datetime | None = (await harness.call("keys.get", user.basic, id=text.split("_")[2])).last_used_at
        return used

    assert await last_used() is None
    for name, presented, params in (
        ("whoami", ApiKeyHeader(text), {}),
        ("token.validate", None, {"token": text}),
        ("auth.verify", None, {"key": text}),
    ):
        harness.clock.now += 1
        await harness.call(name, presented, STRANGER, **params)
        assert await last_used() == datetime.fromtimestamp(harness.clock.now, UTC), name
    usage = harness.store.usage(text.split("_")[2])
    assert usage is not None
    assert usage.source == "uid:1234"
    await harness.call("keys.list", Bearer(service))
    listed = await harness.call("auth.list_keys", Bearer(service))
    assert [key.last_used_at for key in listed] == [datetime.fromtimestamp(harness.clock.now, UTC)]
    assert harness.store.usage(user.client_id) is None


async def test_a_grant_outside_its_window_is_refused(harness: Harness) -> None:
    """A principal of a key that has expired is refused by the engine, also after the key's own check."""
    soon = datetime.fromtimestamp(harness.clock.now + 60, UTC)
    user = await harness.user()
    key = harness.store.get(ApiKey, (await user.key(expires_at=soon)).split("_")[2])
    assert key is not None
    principal = key_principal(harness.store, harness.runtime, key)
    decision = decide(harness.runtime.config.graph, principal, needs="read", now=harness.clock.now + 60)
    assert isinstance(decision, Denied)
    assert isinstance(refusal(decision, principal), ExpiredToken)


async def test_an_admin_demoted_while_hashing_needs_the_current_password(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An admin demoted while hashing has to prove the current password in the transaction after all."""
    await harness.service_key("admin", name="spare admin")
    user = await harness.user(scope="admin", email="ada@example.org", password="the old long password")
    real = harness.pipeline.worker.run

    async def overtaken(work: Any, source: str) -> Any:
        result = await real(work, source)
        await harness.admin("users.scope", client_id=user.client_id, scope="read")
        return result

    monkeypatch.setattr(harness.pipeline.worker, "run", overtaken)
    with pytest.raises(BadCredentials):
        await harness.call("users.password", user.basic, client_id=user.client_id, password="a password of mine")
    monkeypatch.undo()
    await harness.call("login", email="ada@example.org", password="the old long password")


async def test_an_old_hash_is_renewed_at_sign_in(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """An outdated password hash is renewed at sign-in, and earlier tokens stay valid."""
    user = await harness.user(email="ada@example.org", password="the old long password")
    token = await user.token()
    before = harness.store.get(Account, user.client_id)
    with monkeypatch.context() as patched:
        patched.setattr(login_and_registration, "needs_rehash", lambda phc: True)
        await harness.call("login", email="ada@example.org", password="the old long password")
    after = harness.store.get(Account, user.client_id)
    assert before is not None
    assert after is not None
    assert (after.password != before.password, after.epoch) == (True, before.epoch)
    await harness.call("login", email="ada@example.org", password="the old long password")
    assert (await harness.call("token.validate", token=token)).valid


async def test_registration_is_judged_again_in_its_transaction(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two concurrent registrations one succeeds, and closing registration meanwhile is respected."""
    outcomes: list[str] = []

    async def register() -> None:
        try:
            await harness.call("register", email="ada@example.org", password="a long enough password")
        except Conflict as error:
            outcomes.append(error.reason)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(register)
        nursery.start_soon(register)
    assert (outcomes, harness.store.count(Account)) == (["email_in_use"], 1)
    real = harness.pipeline.worker.run

    async def closing(work: Any, source: str) -> Any:
        harness.configure(registration="closed")
        return await real(work, source)

    monkeypatch.setattr(harness.pipeline.worker, "run", closing)
    with pytest.raises(TargetDenied):
        await harness.call("register", email="eve@example.org", password="a long enough password")
    assert harness.store.count(Account) == 1


async def test_an_address_that_an_admin_gives_twice(harness: Harness) -> None:
    """An admin cannot give an email address to a second account, however it is spelled."""
    await harness.user(email="ada@example.org")
    with pytest.raises(Conflict):
        await harness.user(email="ADA@example.org")
