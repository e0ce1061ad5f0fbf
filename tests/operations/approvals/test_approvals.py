"""What an app asks for waits for its person, and runs once when they have approved it."""

import dataclasses
from typing import Any

import pytest
import trio

from herod.identity.apps.registered_apps import HEROD_CLI
from herod.identity.credential_types import Bearer, SessionCookie
from herod.operations.operation_table import OPERATIONS
from herod.pipeline.approvals import APPROVAL_SECONDS, MAX_OPEN, MAX_SHOWN
from herod.records import Account, Approval, Delegation, Resource
from herod_client.core.errors import (
    ApprovalRequired,
    CeilingExceeded,
    Conflict,
    ExpiredToken,
    HerodError,
    NotFound,
    PersonNeeded,
    RateLimited,
    TargetDenied,
)
from support.connected_apps import app_token, connect_app
from support.herod_in_memory import PASSWORD, TCP, Harness, User

SECRET = "the tenant's own secret"


@dataclasses.dataclass
class Scene:
    """An account, its person at a browser, an app that acts for it, and a resource of the account's."""

    harness: Harness
    user: User
    person: SessionCookie
    delegation: Delegation
    app: Bearer
    sid: str

    async def release(self, **changes: Any) -> Any:
        """Ask for the resource to be released, as the app."""
        given = {"sid": self.sid, "secret": SECRET, **changes}
        return await self.harness.call("resources.release", self.app, TCP, **given)

    async def asked(self, **changes: Any) -> str:
        """The id of the approval that the app's call asks for."""
        with pytest.raises(ApprovalRequired) as refused:
            await self.release(**changes)
        assert refused.value.url == f"http://localhost/ui/approvals/{refused.value.id}"
        return refused.value.id

    async def decide(self, id: str, *, approve: bool, presented: Any = None) -> Any:
        """Decide as the person, or as somebody else."""
        return await self.harness.call("approvals.decide", presented or self.person, TCP, id=id, approve=approve)

    def is_there(self) -> bool:
        """Whether the resource is still there."""
        return self.harness.store.get(Resource, self.sid) is not None


async def sign_in(harness: Harness, email: str) -> SessionCookie:
    """The session of a person."""
    opened = await harness.call("session.sign_in", None, TCP, email=email, password=PASSWORD)
    return SessionCookie(opened.cookie)


@pytest.fixture
async def scene(harness: Harness) -> Scene:
    """The scene, with nothing asked for yet."""
    user = await harness.user(scope="user", email="ada@example.org", password=PASSWORD)
    claimed = await harness.call("resources.claim", user.basic, TCP, kind="vm", name="web 1", secret=SECRET)
    delegation = await connect_app(harness, user, "user")
    person = await sign_in(harness, "ada@example.org")
    return Scene(harness, user, person, delegation, app_token(harness, delegation), claimed.sid)


async def test_it_runs_once_when_approved(scene: Scene) -> None:
    """The app repeats its call; approved, it runs once, and the next one is asked for anew."""
    id_ = await scene.asked()
    assert await scene.asked() == id_
    assert scene.is_there()
    assert (await scene.decide(id_, approve=True)).state == "approved"
    scene.harness.clock.now += APPROVAL_SECONDS - 1
    assert (await scene.release()).released
    assert not scene.is_there()
    assert scene.harness.store.count(Approval) == 0
    with pytest.raises(NotFound):
        await scene.release()


async def test_the_command_waits_for_nobody(scene: Scene) -> None:
    """What a person types they have decided: the `herod` command needs no approval, whatever `--approve` says."""
    for approve in ("destructive", "all"):
        scene.harness.configure(approve=approve)
        command = await connect_app(scene.harness, scene.user, "user", app=HEROD_CLI, app_origin="registered")
        sid = scene.sid
        given = {"sid": sid, "secret": SECRET}
        app = app_token(scene.harness, command)
        await scene.harness.call("resources.update", app, TCP, name=f"web {approve}", **given)
    assert scene.harness.store.count(Approval) == 0


async def test_a_declined_call(scene: Scene) -> None:
    """The app is told so, and asks nobody again until ten minutes later."""
    id_ = await scene.asked()
    await scene.decide(id_, approve=False)
    for _ in range(2):
        with pytest.raises(TargetDenied, match="declined") as refused:
            await scene.release()
        assert refused.value.reason == "declined"
    assert scene.harness.store.count(Approval) == 1
    scene.harness.clock.now += APPROVAL_SECONDS
    scene.app = app_token(scene.harness, scene.delegation)
    assert await scene.asked() != id_


async def test_neither_waiting_nor_approval_lasts(scene: Scene) -> None:
    """After ten minutes without a decision, or without repeating the call, it is asked for anew."""
    first = await scene.asked()
    scene.harness.clock.now += APPROVAL_SECONDS
    scene.person = await sign_in(scene.harness, "ada@example.org")
    scene.app = app_token(scene.harness, scene.delegation, ttl=3600)
    with pytest.raises(NotFound):
        await scene.decide(first, approve=True)
    second = await scene.asked()
    await scene.decide(second, approve=True)
    scene.harness.clock.now += APPROVAL_SECONDS
    assert await scene.asked() not in (first, second)
    assert scene.is_there()


async def test_an_approval_is_for_one_very_call(scene: Scene) -> None:
    """Another operation, parameter, secret or app waits for an approval of its own."""
    await scene.decide(await scene.asked(), approve=True)
    harness = scene.harness
    with pytest.raises(ApprovalRequired):
        await harness.call("resources.update", scene.app, TCP, sid=scene.sid, secret=SECRET, name="mine")
    with pytest.raises(ApprovalRequired):
        await harness.call("resources.update", scene.app, TCP, sid=scene.sid, secret=SECRET, name="yours")
    other = await harness.call("resources.claim", scene.user.basic, TCP, kind="vm", name="web 2", secret=SECRET)
    await scene.asked(sid=other.sid)
    another = dataclasses.replace(
        scene, app=app_token(harness, await connect_app(harness, scene.user, "user", app="another"))
    )
    await another.asked()
    assert harness.store.count(Approval) == 5
    assert (await scene.release()).released


async def test_the_order_of_attributes_is_no_other_call(scene: Scene) -> None:
    """Parameters are compared in canonical form."""
    call = scene.harness.call
    ids = set()
    for attributes in ({"a": 1, "b": {"x": 1, "y": 2}}, {"b": {"y": 2, "x": 1}, "a": 1}):
        with pytest.raises(ApprovalRequired) as refused:
            await call("resources.update", scene.app, TCP, sid=scene.sid, secret=SECRET, attributes=attributes)
        ids.add(refused.value.id)
    assert len(ids) == 1


async def test_it_dies_when_the_target_changes(scene: Scene) -> None:
    """What was approved was the thing as it was: changed, it is asked for anew, and cannot be approved as before."""
    first = await scene.asked()
    await scene.decide(first, approve=True)
    rename = {"sid": scene.sid, "secret": SECRET, "name": "precious"}
    await scene.harness.call("resources.update", scene.user.basic, TCP, **rename)
    second = await scene.asked()
    assert second != first
    await scene.harness.call("resources.update", scene.user.basic, TCP, **{**rename, "name": "very precious"})
    with pytest.raises(Conflict, match="has changed") as refused:
        await scene.decide(second, approve=True)
    assert refused.value.reason == "target_changed"
    assert (await scene.decide(second, approve=False)).state == "declined"
    assert scene.is_there()


async def test_the_target_changes_while_it_runs(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The call is compared again in the transaction that runs it."""
    await scene.decide(await scene.asked(), approve=True)
    write = scene.harness.store.write

    async def first_another(change: Any) -> Any:
        monkeypatch.undo()
        rename = {"sid": scene.sid, "secret": SECRET, "name": "precious"}
        await scene.harness.call("resources.update", scene.user.basic, TCP, **rename)
        return await write(change)

    monkeypatch.setattr(scene.harness.store, "write", first_another)
    with pytest.raises(ApprovalRequired, match="changed since"):
        await scene.release()
    assert scene.is_there()


async def test_only_its_person_sees_and_decides(scene: Scene) -> None:
    """An admin, another account, the local admin and the app itself do not; they cannot tell it from an unknown one."""
    harness, id_ = scene.harness, await scene.asked()
    await harness.user(scope="admin", email="boss@example.org", password=PASSWORD)
    await harness.user(scope="owner", email="root@example.org", password=PASSWORD)
    for email in ("boss@example.org", "root@example.org"):
        other = await sign_in(harness, email)
        unknown = await refusal(harness.call("approvals.get", other, TCP, id="5a5e7f52-5a3f-4a5e-9d0e-4a9f1f3c2b11"))
        for name, given in (("approvals.get", {}), ("approvals.decide", {"approve": True})):
            refused = await refusal(harness.call(name, other, TCP, id=id_, **given))
            assert (refused.code, refused.message, refused.reason) == (unknown.code, unknown.message, unknown.reason)
        assert not (await harness.call("approvals.list", other, TCP)).items
    with pytest.raises(NotFound):
        await harness.admin("approvals.get", id=id_)
    assert not (await harness.admin("approvals.list")).items
    with pytest.raises(CeilingExceeded):
        await scene.decide(id_, approve=True, presented=scene.app)
    with pytest.raises(CeilingExceeded):
        await scene.decide(id_, approve=True, presented=scene.user.basic)
    with pytest.raises(PersonNeeded):
        await scene.decide(id_, approve=True, presented=await scene.user.session())
    assert (await harness.call("approvals.get", scene.user.basic, TCP, id=id_)).state == "waiting"


async def refusal(call: Any) -> HerodError:
    """The error that a call is refused with."""
    with pytest.raises(HerodError) as refused:
        await call
    return refused.value


async def test_deciding_needs_a_recent_sign_in(scene: Scene) -> None:
    """Five minutes after the sign-in the person signs in again."""
    id_ = await scene.asked()
    scene.harness.clock.now += 301
    with pytest.raises(ExpiredToken) as refused:
        await scene.decide(id_, approve=True)
    assert refused.value.reason == "sign_in_again"
    scene.person = await sign_in(scene.harness, "ada@example.org")
    assert (await scene.decide(id_, approve=True)).state == "approved"
    with pytest.raises(Conflict, match="already"):
        await scene.decide(id_, approve=False)


async def test_an_app_sees_its_own_alone(scene: Scene) -> None:
    """One app's token does not see what another one asked for."""
    id_ = await scene.asked()
    other = app_token(scene.harness, await connect_app(scene.harness, scene.user, "user", app="another"))
    assert (await scene.harness.call("approvals.get", scene.app, TCP, id=id_)).id == id_
    assert len((await scene.harness.call("approvals.list", scene.app, TCP)).items) == 1
    assert not (await scene.harness.call("approvals.list", other, TCP)).items
    with pytest.raises(NotFound):
        await scene.harness.call("approvals.get", other, TCP, id=id_)


async def test_what_is_shown_and_kept(scene: Scene) -> None:
    """Operation, target, parameters, app and source are; the secret is in no field, and long texts are cut."""
    await scene.asked()
    scene.harness.clock.now += 1
    with pytest.raises(ApprovalRequired):
        await scene.harness.call(
            "resources.update", scene.app, TCP, sid=scene.sid, secret=SECRET, attributes={"note": "x" * 5000}
        )
    released, updated = (await scene.harness.call("approvals.list", scene.person, TCP)).items
    assert (released.operation, released.target, released.target_name) == ("resources.release", scene.sid, "web 1")
    assert [(one.name, one.value) for one in released.parameters] == [("sid", scene.sid)]
    assert (released.app_name, released.app_origin, released.source) == ("Agent", "dynamic", "127.0.0.1")
    (shown,) = [one.value for one in updated.parameters if one.name == "attributes"]
    assert len(shown) < MAX_SHOWN + 30
    assert shown.endswith("… (5011 characters)")
    for approval in scene.harness.store.list(Approval).items:
        assert SECRET not in repr(approval)


async def test_what_needs_no_approval(scene: Scene) -> None:
    """Reading and adding do not; nor does anything by the account's own credentials, or with `--approve never`."""
    harness = scene.harness
    assert (await harness.call("resources.get", scene.app, TCP, sid=scene.sid, secret=SECRET)).name == "web 1"
    assert (await harness.call("resources.claim", scene.app, TCP, kind="vm", name="web 2")).name == "web 2"
    own = {"sid": scene.sid, "secret": SECRET, "name": "web 3"}
    for presented in (scene.user.basic, await scene.user.bearer(), scene.person):
        await harness.call("resources.update", presented, TCP, **own)
    harness.configure(approve="never")
    assert (await scene.release()).released


async def test_every_change(scene: Scene) -> None:
    """With `--approve all`, an app asks for every command; an end of its own token needs no approval."""
    scene.harness.configure(approve="all")
    call = scene.harness.call
    claim = {"kind": "vm", "name": "web 2"}
    with pytest.raises(ApprovalRequired) as refused:
        await call("resources.claim", scene.app, TCP, **claim)
    await scene.decide(refused.value.id, approve=True)
    assert (await call("resources.claim", scene.app, TCP, **claim)).name == "web 2"
    with pytest.raises(ApprovalRequired):
        await call("resources.claim", scene.app, TCP, **claim)
    await call("token.revoke", scene.app, TCP, token=scene.app.text)


def test_the_operations_that_destroy() -> None:
    """Of what an app's token may call at all, these remove or change data."""
    asked = {name for name, operation in OPERATIONS.items() if operation.is_destructive and not operation.credential}
    assert asked == {"resources.update", "resources.release"}


async def test_how_many_wait(scene: Scene) -> None:
    """Sixteen calls of an app wait at a time; a further one is told when to try again. Other apps may still ask."""
    harness = scene.harness
    scene.app = app_token(harness, scene.delegation, ttl=3600)
    update = {"sid": scene.sid, "secret": SECRET}
    for number in range(MAX_OPEN):
        with pytest.raises(ApprovalRequired):
            await harness.call("resources.update", scene.app, TCP, **update, name=f"web {number}")
        harness.clock.now += 1
    with pytest.raises(RateLimited) as refused:
        await harness.call("resources.update", scene.app, TCP, **update, name="one more")
    assert refused.value.retry_after == APPROVAL_SECONDS - MAX_OPEN
    other = app_token(harness, await connect_app(harness, scene.user, "user", app="another"))
    with pytest.raises(ApprovalRequired):
        await harness.call("resources.update", other, TCP, **update, name="one more")
    harness.clock.now += refused.value.retry_after
    with pytest.raises(ApprovalRequired):
        await harness.call("resources.update", scene.app, TCP, **update, name="one more")
    assert harness.store.count(Approval) == MAX_OPEN + 1  # what had ended made room


async def test_it_ends_with_the_delegation(scene: Scene) -> None:
    """Taken back, disabled or demoted, the app can neither ask nor use what was approved."""
    id_ = await scene.asked()
    await scene.decide(id_, approve=True)
    await scene.harness.call("delegations.revoke", scene.person, TCP, id=scene.delegation.id)
    assert scene.harness.store.count(Approval) == 0
    assert (await refusal(scene.release())).code == "revoked_token"
    assert scene.is_there()


async def test_it_ends_with_the_account(scene: Scene) -> None:
    """A deleted account leaves none behind, and a narrowed one may not use what was approved before."""
    id_ = await scene.asked()
    await scene.decide(id_, approve=True)
    await scene.harness.admin("users.scope", client_id=scene.user.client_id, scope="read")
    assert (await refusal(scene.release())).code == "missing_scope"
    await scene.harness.admin("users.delete", client_id=scene.user.client_id)
    assert scene.harness.store.get(Account, scene.user.client_id) is None
    assert scene.harness.store.count(Approval) == 0


async def test_asked_twice_at_once(scene: Scene) -> None:
    """Two calls of the same ask the person once."""
    asked: list[str] = []

    async def ask() -> None:
        asked.append(await scene.asked())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        nursery.start_soon(ask)
    rows = [row.event for row in scene.harness.store.audit_rows()]
    assert (len(set(asked)), sum(row.operation == "approvals.ask" for row in rows)) == (1, 1)


async def test_audit_and_counts(scene: Scene) -> None:
    """Asking, deciding and running are rows of their own; the ids in them are the approval's and the target's."""
    id_ = await scene.asked()
    await scene.decide(id_, approve=True)
    await scene.release()
    await scene.harness.pipeline.flush(is_last=True)
    rows = [row.event for row in scene.harness.store.audit_rows()]
    told = [(row.operation, row.outcome, row.reason, row.target) for row in rows if row.actor == scene.user.client_id]
    assert ("approvals.ask", "ok", None, id_) in told
    assert ("resources.release", "denied", "approval_required", scene.sid) in told
    assert ("approvals.decide", "ok", "approved", id_) in told
    assert ("resources.release", "ok", None, scene.sid) in told
    counters = scene.harness.runtime.counters
    assert (counters["approvals_asked"], counters["approvals_approved"], counters["approvals_declined"]) == (1, 1, 0)


async def test_over_rest_and_json_rpc(scene: Scene) -> None:
    """Both answer 403 and its like, with the page's address, and run the call once it is approved."""
    headers = {"authorization": f"Bearer {scene.app.text}", "x-resource-secret": SECRET}
    harness = scene.harness
    answer = await harness.request("DELETE", f"/api/v1/resources/{scene.sid}", headers=headers)
    assert answer.status == 403
    error = answer.json["error"]
    assert error["code"] == "approval_required"
    assert error["url"] in error["message"]
    id_ = error["url"].rpartition("/")[2]
    params = {"sid": scene.sid, "secret": SECRET}
    told = (await harness.rpc("resources.release", params, headers={"authorization": headers["authorization"]}))[
        "error"
    ]
    assert (told["code"], told["data"]) == (4003, {"code": "approval_required", "url": error["url"]})
    listed = await harness.request("GET", "/api/v1/approvals", headers={"authorization": headers["authorization"]})
    assert [one["id"] for one in listed.json["data"]] == [id_]
    cookie = {"cookie": f"herod_session={scene.person.text}"}
    decided = await harness.request("POST", f"/api/v1/approvals/{id_}/decide", json={"approve": True}, headers=cookie)
    assert decided.json["data"]["state"] == "approved"
    assert (await harness.request("DELETE", f"/api/v1/resources/{scene.sid}", headers=headers)).status == 200
    assert not scene.is_there()


async def test_a_clock_that_was_ahead(scene: Scene) -> None:
    """An approval from the future is not used: it would last for as long as the clock was wrong."""
    scene.harness.clock.now += 7200
    scene.person = await sign_in(scene.harness, "ada@example.org")
    scene.app = app_token(scene.harness, scene.delegation)
    id_ = await scene.asked()
    await scene.decide(id_, approve=True)
    scene.harness.clock.now -= 7200
    scene.app = app_token(scene.harness, scene.delegation)
    assert await scene.asked() != id_


async def test_a_clock_that_was_set_right(scene: Scene) -> None:
    """What the app waits for, its person sees, also after the clock was corrected by some seconds."""
    scene.harness.clock.now += 30
    id_ = await scene.asked()
    scene.harness.clock.now -= 30
    assert await scene.asked() == id_
    assert (await scene.decide(id_, approve=True)).state == "approved"
