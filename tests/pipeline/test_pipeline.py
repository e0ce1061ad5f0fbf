"""The pipeline: commands are authorized twice, denials are recorded, slow work is bounded."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import trio

from herod.audit_event import AuditEvent
from herod.identity.credential_types import ApiKeyHeader, Bearer, PeerClaim
from herod.identity.effective_principals import key_principal
from herod.identity.runtime_state import MAX_GRANT_BYTES, MAX_GRANTS
from herod.identity.verified_token_cache import MAX_VERIFIED_BYTES, VerifiedTokens
from herod.operations.accounts import login_and_registration
from herod.pipeline.admission import refusal
from herod.pipeline.denial_queue import MAX_FORGOTTEN, MAX_KINDS, DenialQueue
from herod.pipeline.pipeline import EVENTS_AT_ONCE
from herod.pipeline.process.worker_thread import MAX_WORKERS
from herod.records import Account, ApiKey, Revocation
from herod.scopes.decisions import Denied, Reason, decide
from herod.scopes.principal import ANONYMOUS, AuthMethod, Peer, Principal, PrincipalKind, Source
from herod.store.store_interface import Writer
from herod.throttle.fair_turns import MAX_WAITING, MAX_WAITING_RANGES
from herod_client.core.errors import (
    BadCredentials,
    Conflict,
    ExpiredToken,
    InvalidRequest,
    MissingScope,
    NetworkDenied,
    NotFound,
    TargetDenied,
    Unavailable,
)
from herod_client.core.grants import NOTHING
from herod_client.core.signing_keys import SigningKeys
from support.herod_in_memory import ADMIN_SOURCE, LOCAL_ADMIN, NOW, STRANGER, Harness


def denied(at: int = NOW, source: str = "uid:1", reason: str = "anonymous") -> AuditEvent:
    """A denial event."""
    return AuditEvent(
        at=at, actor="anonymous", method="anonymous", source=source, operation="stats", outcome="denied", reason=reason
    )


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


async def test_denials_reach_the_audit_log(harness: Harness) -> None:
    """Denials are in the audit log with the reason that the answer hides."""
    user = await harness.user()
    key = (await user.key())[:-7]
    with pytest.raises(MissingScope):
        await harness.call("users.list", user.basic)
    with pytest.raises(BadCredentials):
        await harness.call("whoami", PeerClaim(), STRANGER)
    with pytest.raises(BadCredentials):
        await harness.call("whoami", Bearer(key))
    await harness.pipeline.flush()
    events = [row.event for row in harness.store.audit_rows() if row.event.outcome == "denied"]
    assert [(event.operation, event.actor, event.reason) for event in events] == [
        ("users.list", user.client_id, "missing_scope"),
        ("whoami", "anonymous", "no_peer_rule"),
        ("whoami", "anonymous", events[2].reason),
    ]
    assert harness.runtime.counters["denials"] == 3


async def test_what_is_not_there_is_no_denial(harness: Harness) -> None:
    """A lookup of something that does not exist is not a denial; of another account's key it is."""
    one, two = await harness.user(), await harness.user()
    await two.key()
    theirs = (await harness.call("keys.list", two.basic)).items[0].id
    for key_id in ("0kZ3vXq81LmT", theirs):
        with pytest.raises(NotFound):
            await harness.call("keys.get", one.basic, id=key_id)
    assert [event.reason for event in harness.pipeline.denials.take()] == ["not_owner"]


async def test_denials_wait_while_the_store_cannot_write(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Denials are kept while the store cannot write, and written later."""
    with pytest.raises(BadCredentials):
        await harness.call("stats")

    async def refuse(function: object) -> None:
        raise Unavailable("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(type(harness.store), "write", lambda self, function: refuse(function))
        await harness.pipeline.flush()
    await harness.pipeline.flush()
    await harness.pipeline.flush()
    assert [row.event.operation for row in harness.store.audit_rows()] == ["stats"]


def test_like_denials_of_a_minute_are_one_line() -> None:
    """Equal denials of a minute are one counted row; other sources, reasons and minutes have their own."""
    denials = DenialQueue()
    for event in (denied(), denied(), denied(at=NOW + 60), denied(source="uid:2"), denied(reason="expired")):
        denials.add(event)
    assert [event.count for event in denials.take()] == [2, 1, 1, 1]
    assert denials.take() == []


def test_denials_are_bounded() -> None:
    """Denials beyond the limit of distinct rows are counted together."""
    denials = DenialQueue()
    for number in range(MAX_KINDS + 50):
        denials.add(denied(source=f"uid:{number}"))
    events = denials.take()
    assert len(events) == MAX_KINDS + 1
    assert (events[-1].source, events[-1].reason, events[-1].count) == ("many", "overflow", 50)
    denials.put_back(events)
    assert len(denials.take()) == MAX_KINDS + 1


def test_one_user_does_not_fill_the_denials_from_many_addresses() -> None:
    """The addresses that one user can choose from have one share of the lines, even while the store cannot write."""
    denials = DenialQueue()
    for number in range(MAX_KINDS + 100):
        denials.add(denied(source=f"127.0.{number % 256}.1", reason=f"r{number}"), share="uid:7")
    denials.put_back(denials.take())
    denials.add(denied(source="uid:8"))
    events = denials.take()
    assert [event.source for event in events if event.reason != "overflow"].count("uid:8") == 1
    assert [(event.source, event.count) for event in events if event.reason == "overflow"] == [("uid:7", MAX_KINDS)]


@pytest.mark.parametrize(
    "share_of_number",
    [
        pytest.param(lambda number: f"uid:{number // 100 + 1000}", id="eleven users with a hundred kinds each"),
        pytest.param(lambda number: f"uid:{number % 550 + 1000}", id="many users with two kinds each"),
        pytest.param(lambda number: f"uid:{100_000 + number}", id="a range of subordinate uids"),
        pytest.param(lambda number: f"2001:db8:1:{number:x}::/64", id="an IPv6 site"),
        pytest.param(lambda number: f"2001:db8:{number // 300}:{number:x}::/64", id="four IPv6 sites"),
    ],
)
def test_a_new_source_has_a_line_of_its_own(share_of_number: Callable[[int], str]) -> None:
    """Whoever has taken all lines, the denials of others are named, none is lost, and memory is bounded."""
    denials, written = DenialQueue(), Counter[str]()
    for number in range(1100):
        denials.add(denied(source=f"address {number}", reason=f"r{number}"), share=share_of_number(number))
    for number in (7, 8):
        denials.add(denied(source=f"uid:{number}"))
    for number in range(1100, 2200):
        denials.add(denied(source=f"address {number}", reason=f"r{number}"), share=share_of_number(number % 1100))
    denials.add(denied(source="uid:9"))
    for event in [*denials.take(NOW), *denials.take()]:
        written[event.source] += event.count
    assert [written[f"uid:{number}"] for number in (7, 8, 9)] == [1, 1, 1]
    assert written.total() == 2203
    assert len(written) <= MAX_KINDS + 20


def test_written_lines_make_room() -> None:
    """Where many sources have one line each, a new one gets a line that was written already, so many times a minute."""
    denials = DenialQueue()
    for round_ in range(3):
        for number in range(MAX_KINDS):
            denials.add(denied(source=f"uid:{round_ * MAX_KINDS + number}"))
        events = denials.take(NOW)
        if round_ < 2:
            assert {event.count for event in events} == {1}
            assert len(events) == MAX_KINDS
        else:
            assert [(event.source, event.count) for event in events] == [("many", MAX_FORGOTTEN)]
    denials.add(denied(at=NOW + 60, source="uid:7"))
    assert [event.source for event in denials.take(NOW + 60)] == ["uid:7"]


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


async def test_a_flood_of_one_kind_is_two_lines_a_minute(harness: Harness) -> None:
    """Of a flood of equal denials the first is written at once, the rest as one row after a minute or at shutdown."""
    for _ in range(5):
        with pytest.raises(BadCredentials):
            await harness.call("stats")
        await harness.pipeline.flush()
        harness.clock.now += 1

    def counts() -> list[int]:
        return [row.event.count for row in harness.store.audit_rows()]

    assert counts() == [1]
    harness.clock.now += 60
    await harness.pipeline.flush()
    assert counts() == [1, 4]
    for _ in range(3):
        with pytest.raises(BadCredentials):
            await harness.call("stats")
        await harness.pipeline.flush()
    await harness.pipeline.flush(is_last=True)
    assert counts() == [1, 4, 1, 2]


async def test_denials_survive_a_flush_that_is_cancelled(harness: Harness) -> None:
    """Denials survive a cancelled flush, as at shutdown."""
    with pytest.raises(BadCredentials):
        await harness.call("stats")
    with trio.CancelScope() as scope:
        scope.cancel()
        await harness.pipeline.flush()
    await harness.pipeline.flush()
    assert [row.event.operation for row in harness.store.audit_rows()] == ["stats"]


async def test_many_denials_are_written_in_steps(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many audit rows take several transactions, and what could not be written is tried again, nothing twice."""
    count = 2 * EVENTS_AT_ONCE - 100
    for number in range(count):
        event = AuditEvent(
            at=NOW, actor="x", method="jwt", source=f"10.0.{number % 250}.{number // 250}", operation="stats",
            outcome="denied",
        )  # fmt: skip
        harness.pipeline.denials.add(event)
    writes, write = 0, harness.store.write

    async def failing_second(function: Callable[[Writer], Any]) -> Any:
        nonlocal writes
        writes += 1
        if writes == 2:
            raise Unavailable("The disk is full.", reason="disk_full")
        return await write(function)

    monkeypatch.setattr(harness.store, "write", failing_second)
    await harness.pipeline.flush()
    assert harness.store.audit_head[0] == EVENTS_AT_ONCE
    await harness.pipeline.flush(is_last=True)
    assert harness.store.audit_head[0] == count
    assert writes == 3


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


async def test_verified_tokens_are_bounded_and_belong_to_their_keys(harness: Harness) -> None:
    """The cache of verified tokens evicts the oldest and is emptied when the signing keys change."""
    claims = harness.runtime.claims(await (await harness.user()).token(), NOW)
    keys, others = harness.runtime.signing, SigningKeys(harness.runtime.signing.current)
    verified = VerifiedTokens(limit=2)
    for token in ("one", "two", "three"):
        verified.add(token, keys, claims)
    assert [verified.get(token, keys) is not None for token in ("one", "two", "three")] == [False, True, True]
    assert verified.get("three", others) is None
    verified.add("four", others, claims)
    assert verified.get("three", keys) is None


async def test_verified_tokens_are_bounded_in_bytes(harness: Harness) -> None:
    """The cache of verified tokens stays within its bytes with the longest tokens and many networks."""
    claims = harness.runtime.claims(await (await harness.user()).token(), NOW)
    long = msgspec.structs.replace(claims, networks=tuple(f"{number}" for number in range(1200)))
    verified = VerifiedTokens()
    tokens = [f"{number:08192}" for number in range(1000)]
    for token in tokens:
        verified.add(token, harness.runtime.signing, long)
        assert verified.get(token, harness.runtime.signing) is long
    kept = sum(verified.get(token, harness.runtime.signing) is not None for token in tokens)
    assert 0 < kept * (2 * 8192 + 1200 * 64) <= MAX_VERIFIED_BYTES


async def test_grants_are_bounded_in_bytes(harness: Harness) -> None:
    """The cache of grants stays within its bytes with as many networks as an earlier version allowed."""
    for number in range(100):
        networks = tuple(f"{number}.{index}" for index in range(5000))
        assert harness.runtime.grant(("read",), networks).proves(f"{number}.7")
    assert 0 < len(harness.runtime.grants) * 5000 * 128 <= MAX_GRANT_BYTES


async def test_grants_are_remembered_within_bounds(harness: Harness) -> None:
    """The cache of grants is bounded, and an evicted grant is built again identically."""
    for number in range(MAX_GRANTS + 5):
        assert harness.runtime.grant(("read",), (f"n{number}",)).proves(f"n{number}")
    assert len(harness.runtime.grants) <= MAX_GRANTS
