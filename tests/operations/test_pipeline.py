"""The one road: admission twice for commands, denials noted, slow work bounded."""

import pytest
import trio
from house import ADMIN_SOURCE, LOCAL_ADMIN, NOW, STRANGER, House

from herod.errors import (
    BadCredentials,
    ExpiredToken,
    InvalidRequest,
    MissingScope,
    NetworkDenied,
    NotFound,
    Unavailable,
)
from herod.operations import pipeline as pipeline_module
from herod.operations.denials import MAX_KINDS, Denials
from herod.operations.pipeline import MAX_WAITING_WORK, refusal
from herod.operations.presented import Bearer, PeerClaim
from herod.records import AuditEvent
from herod.scopes.decisions import Denied, Reason
from herod.scopes.grants import NOTHING
from herod.scopes.principals import ANONYMOUS, AuthMethod, Principal, PrincipalKind


def denied(at: int = NOW, source: str = "uid:1", reason: str = "anonymous") -> AuditEvent:
    """A denial."""
    return AuditEvent(
        at=at, actor="anonymous", method="anonymous", source=source, operation="stats", outcome="denied", reason=reason
    )


async def test_a_success_is_audited_with_its_change(house: House) -> None:
    """Actor, method, source, operation and target, in the change's own transaction."""
    user = await house.user(scope="admin")
    event = house.store.audit_rows()[-1].event
    assert event == AuditEvent(
        at=NOW,
        actor="local-admin",
        method="peer",
        source="uid:990",
        operation="users.add",
        outcome="ok",
        target=user.client_id,
    )


async def test_a_refused_command_leaves_nothing(house: House) -> None:
    """No change, no success in the audit log."""
    rows = len(house.store.audit_rows())
    with pytest.raises(InvalidRequest):
        await house.admin("users.add", scope="nonsense")
    assert len(house.store.audit_rows()) == rows


async def test_denials_reach_the_audit_log(house: House) -> None:
    """With the reason that the answer does not give."""
    user = await house.user()
    key = (await user.key())[:-7]
    with pytest.raises(MissingScope):
        await house.call("users.list", user.basic)
    with pytest.raises(BadCredentials):
        await house.call("whoami", PeerClaim(), STRANGER)
    with pytest.raises(BadCredentials):
        await house.call("whoami", Bearer(key))
    await house.pipeline.flush()
    events = [row.event for row in house.store.audit_rows() if row.event.outcome == "denied"]
    assert [(event.operation, event.actor, event.reason) for event in events] == [
        ("users.list", user.client_id, "missing_scope"),
        ("whoami", "anonymous", "no_peer_rule"),
        ("whoami", "anonymous", events[2].reason),
    ]
    assert house.realm.counters["denials"] == 3


async def test_what_is_not_there_is_no_denial(house: House) -> None:
    """Unless it is there and somebody else's."""
    one, two = await house.user(), await house.user()
    await two.key()
    theirs = (await house.call("keys.list", two.basic)).items[0].id
    for key_id in ("0kZ3vXq81LmT", theirs):
        with pytest.raises(NotFound):
            await house.call("keys.get", one.basic, id=key_id)
    assert [event.reason for event in house.pipeline.denials.take()] == ["not_owner"]


async def test_denials_wait_while_the_store_cannot_write(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are kept and written later."""
    with pytest.raises(BadCredentials):
        await house.call("stats")

    async def refuse(function: object) -> None:
        raise Unavailable("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(type(house.store), "write", lambda self, function: refuse(function))
        await house.pipeline.flush()
    await house.pipeline.flush()
    await house.pipeline.flush()
    assert [row.event.operation for row in house.store.audit_rows()] == ["stats"]


def test_like_denials_of_a_minute_are_one_line() -> None:
    """Counted, and apart from other sources, reasons and minutes."""
    denials = Denials()
    for event in (denied(), denied(), denied(at=NOW + 60), denied(source="uid:2"), denied(reason="expired")):
        denials.add(event)
    assert [event.count for event in denials.take()] == [2, 1, 1, 1]
    assert denials.take() == []


def test_denials_are_bounded() -> None:
    """Beyond the limit they are counted together."""
    denials = Denials()
    for number in range(MAX_KINDS + 50):
        denials.add(denied(source=f"uid:{number}"))
    events = denials.take()
    assert len(events) == MAX_KINDS + 1
    assert (events[-1].source, events[-1].reason, events[-1].count) == ("many", "overflow", 50)
    denials.put_back(events)
    assert len(denials.take()) == MAX_KINDS + 1


async def test_slow_work_is_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """One hash at a time, a short queue, and the rest is told to come back."""
    await house.user(email="ada@example.org", password="a long enough password")
    refused = 0

    async def log_in() -> None:
        nonlocal refused
        try:
            await house.call("login", email="ada@example.org", password="a wrong password")
        except Unavailable:
            refused += 1
        except BadCredentials:
            pass

    async with trio.open_nursery() as nursery:
        for _ in range(MAX_WAITING_WORK + 6):
            nursery.start_soon(log_in)
    assert refused == 5
    assert pipeline_module.MAX_WORKERS == 1


async def test_a_password_changed_while_hashing_is_refused(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The transaction looks again at what the thread checked."""
    user = await house.user(email="ada@example.org", password="the old long password")
    real = house.pipeline._do

    async def overtaken(work: object) -> object:
        result = await real(work)  # type: ignore[arg-type]
        monkeypatch.undo()
        await house.admin("users.password", client_id=user.client_id, password="the new long password")
        return result

    for name, params in (
        ("login", {"email": "ada@example.org", "password": "the old long password"}),
        ("users.password", {"client_id": user.client_id, "password": "p" * 20, "current": "the new long password"}),
    ):
        monkeypatch.setattr(house.pipeline, "_do", overtaken)
        with pytest.raises(BadCredentials):
            await house.call(name, user.basic, **params)


async def test_a_revocation_holds_while_the_store_cannot_write(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """In memory at once; the answer is 503 all the same."""
    user = await house.user()
    token = await user.token()

    async def refuse(function: object) -> None:
        raise Unavailable("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(type(house.store), "write", lambda self, function: refuse(function))
        with pytest.raises(Unavailable):
            await house.call("token.revoke", user.basic, token=token)
    assert (await house.call("token.validate", token=token)).reason == "revoked"
    house.realm.forget_revocations(NOW + 3599)
    assert house.realm.revoked
    house.realm.forget_revocations(NOW + 3600)
    assert not house.realm.revoked


def test_every_reason_has_its_error() -> None:
    """What the engine answers, said to the one who asked."""
    assert isinstance(refusal(Denied(Reason.ANONYMOUS), ANONYMOUS), BadCredentials)
    assert isinstance(refusal(Denied(Reason.OUTSIDE_WINDOW), ANONYMOUS), ExpiredToken)
    named = refusal(Denied(Reason.NETWORK_DENIED, missing="lab"), ANONYMOUS)
    assert isinstance(named, NetworkDenied)
    assert "'lab'" in named.message
    assert "of its own choice" in refusal(Denied(Reason.NETWORK_DENIED), ANONYMOUS).message
    principal = Principal(
        id="x",
        kind=PrincipalKind.ACCOUNT,
        name="x",
        method=AuthMethod.JWT,
        grant=NOTHING,
        credential="x",
        made_with=AuthMethod.JWT,
    )
    missing = refusal(Denied(Reason.MISSING_SCOPE, missing="admin", hint="do this"), principal)
    assert isinstance(missing, MissingScope)
    assert (missing.missing, missing.hint, "this token" in missing.message) == ("admin", "do this", True)


async def test_public_operations_ignore_credentials(house: House) -> None:
    """Even bad ones."""
    answer = await house.call("health", Bearer("nonsense"), ADMIN_SOURCE)
    assert answer.status == "ok"
    assert (await house.call("stats", LOCAL_ADMIN)).users == 0
