"""Connected apps: who sees and takes back what, and what is shown of it."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from herod.identity.credential_types import ApiKeyHeader, PeerClaim, Presented
from herod.records import Account, App, Delegation, Revocation
from herod.store.memory_store import MemoryStore
from herod_client.core.errors import (
    CeilingExceeded,
    Conflict,
    NotFound,
    RevokedToken,
    TargetDenied,
    Unauthenticated,
    Unavailable,
)
from store.samples import app
from support.connected_apps import APP, DAYS_90, ROOT, app_token, connect_app
from support.herod_in_memory import NOW, STRANGER, TCP, Harness


async def listed(harness: Harness, presented: Presented, **params: Any) -> list[str]:
    """The ids of the connected apps that a caller sees."""
    return [one.id for one in (await harness.call("delegations.list", presented, TCP, **params)).items]


async def test_what_is_shown(harness: Harness) -> None:
    """A connected app is shown with where its name comes from, what it may do, how long, and its last use."""
    user = await harness.user("write")
    delegation = await connect_app(harness, user, "read openid", app_name="Claude", networks=("lab", "attic"))
    shown = await harness.call("delegations.get", user.basic, id=delegation.id)
    assert msgspec.to_builtins(shown) == {
        "id": delegation.id,
        "account": user.client_id,
        "app": APP,
        "app_name": "Claude",
        "app_origin": "dynamic",
        "resource": ROOT,
        "scope": "read openid",
        "networks": ["attic", "lab"],
        "created_at": datetime.fromtimestamp(NOW, UTC).isoformat().replace("+00:00", "Z"),
        "expires_at": datetime.fromtimestamp(NOW + DAYS_90, UTC).isoformat().replace("+00:00", "Z"),
        "last_used_at": None,
        "last_used_from": None,
    }
    token = app_token(harness, delegation, "read")
    harness.clock.now += 5
    await harness.request("GET", "/api/v1/whoami", headers={"authorization": f"Bearer {token.text}"})
    shown = await harness.call("delegations.get", user.basic, id=delegation.id)
    assert (shown.last_used_at, shown.last_used_from) == (datetime.fromtimestamp(NOW + 5, UTC), "127.0.0.1")


async def test_a_use_by_a_service(harness: Harness) -> None:
    """A service that asks about the app's token uses the delegation too."""
    user = await harness.user()
    delegation = await connect_app(harness, user)
    await harness.call("token.validate", None, TCP, token=app_token(harness, delegation).text, resource=ROOT)
    usage = harness.store.usage(delegation.id)
    assert usage is not None
    await harness.call("delegations.revoke", user.basic, id=delegation.id)
    assert harness.store.usage(delegation.id) is None


async def test_own_and_all(harness: Harness) -> None:
    """People see their own, newest first, by whatever they present; admins see all, and those of one account."""
    ada, eve, admin = await harness.user(email="ada@example.org"), await harness.user(), await harness.user("admin")
    first = await connect_app(harness, ada)
    harness.clock.now += 1
    second = await connect_app(harness, ada, app="another")
    harness.clock.now += 1
    other = await connect_app(harness, eve)
    for presented in (ada.basic, await ada.bearer(), await ada.session(), ApiKeyHeader(await ada.key())):
        assert await listed(harness, presented) == [second.id, first.id]
    assert await listed(harness, ada.basic, account=ada.client_id) == [second.id, first.id]
    assert await listed(harness, ada.basic, account=eve.client_id) == []
    assert await listed(harness, admin.basic) == [other.id, second.id, first.id]
    assert await listed(harness, admin.basic, account="ada@example.org") == [second.id, first.id]
    assert await listed(harness, admin.basic, account=admin.client_id) == []
    await harness.admin("peers.allow", uid=1234, scope="read")
    assert (await harness.call("delegations.list", PeerClaim(), STRANGER)).items == []


async def test_in_pages(harness: Harness) -> None:
    """A long list comes in pages."""
    user = await harness.user()
    made = []
    for number in range(5):
        harness.clock.now += 1
        made.append((await connect_app(harness, user, app=f"app{number}")).id)
    page = await harness.call("delegations.list", user.basic, limit=3)
    rest = await harness.call("delegations.list", user.basic, limit=3, cursor=page.next_cursor)
    assert [one.id for one in (*page.items, *rest.items)] == made[::-1]
    assert rest.next_cursor is None


@pytest.mark.parametrize("operation", ["delegations.get", "delegations.revoke"])
async def test_anothers(harness: Harness, operation: str) -> None:
    """Another's delegation does not exist for who is no admin, however it is named."""
    ada, eve = await harness.user(), await harness.user()
    delegation = await connect_app(harness, ada, app_name="Agent")
    key = ApiKeyHeader(await harness.service_key("read"))
    for presented in (eve.basic, key):
        for name in (delegation.id, "Agent", "unknown"):
            with pytest.raises(NotFound):
                await harness.call(operation, presented, id=name)
    assert harness.store.get(Delegation, delegation.id) is not None


async def test_take_it_back(harness: Harness) -> None:
    """Taking it back ends the app's tokens at once, leaves the account's own, and is audited."""
    user = await harness.user()
    delegation, other = await connect_app(harness, user), await connect_app(harness, user, app="another")
    token, kept, own = app_token(harness, delegation), app_token(harness, other), await user.bearer()
    await harness.call("token.revoke", user.basic, token=app_token(harness, delegation).text)
    assert harness.store.count(Revocation) == 1
    answer = await harness.call("delegations.revoke", user.basic, id=delegation.id)
    assert (answer.id, answer.revoked) == (delegation.id, True)
    with pytest.raises(RevokedToken):
        await harness.call("whoami", token)
    for presented in (kept, own):
        assert (await harness.call("whoami", presented)).sub == user.client_id
    assert harness.store.count(Revocation) == 0  # they went with it
    row = list(harness.store.audit_rows())[-1].event
    assert (row.operation, row.target, row.actor) == ("delegations.revoke", delegation.id, user.client_id)
    with pytest.raises(NotFound):
        await harness.call("delegations.revoke", user.basic, id=delegation.id)


async def test_by_the_apps_name(harness: Harness) -> None:
    """One's own app may be named, if that names one; the names of others' apps are not looked up, even by admins."""
    admin, eve = await harness.user("admin"), await harness.user()
    await connect_app(harness, eve, app_name="Agent")
    with pytest.raises(NotFound):
        await harness.call("delegations.get", admin.basic, id="Agent")
    own = await connect_app(harness, admin, app_name="Agent")
    assert (await harness.call("delegations.get", admin.basic, id="Agent")).id == own.id
    await connect_app(harness, admin, app_name="Agent", app="another that says the same")
    with pytest.raises(Conflict):
        await harness.call("delegations.revoke", admin.basic, id="Agent")


async def test_an_admin_takes_it_back(harness: Harness) -> None:
    """An admin ends anybody's, except one that can do more than the admin."""
    await harness.service_key("admin", "spare")
    admin, user = await harness.user("admin", ["lab"]), await harness.user("write", ["lab"])
    boss = await harness.user("admin")
    theirs, more = await connect_app(harness, user, "write"), await connect_app(harness, boss, "admin")
    await harness.call("delegations.revoke", admin.basic, id=theirs.id)
    with pytest.raises(TargetDenied):
        await harness.call("delegations.revoke", admin.basic, id=more.id)
    await harness.admin("delegations.revoke", id=more.id)
    assert harness.store.count(Delegation) == 0


async def test_an_app_sees_itself_alone(harness: Harness) -> None:
    """An app's token shows its own delegation, no other of the account, and ends none."""
    user = await harness.user()
    delegation, other = await connect_app(harness, user), await connect_app(harness, user, app="another")
    token = app_token(harness, delegation)
    assert await listed(harness, token) == [delegation.id]
    assert (await harness.call("delegations.get", token, id=delegation.id)).id == delegation.id
    with pytest.raises(NotFound):
        await harness.call("delegations.get", token, id=other.id)
    for one in (delegation, other):
        with pytest.raises(CeilingExceeded):
            await harness.call("delegations.revoke", token, id=one.id)


@pytest.mark.parametrize("how", ["over", "another epoch", "off in memory", "app deleted"])
async def test_what_has_ended_is_not_shown(harness: Harness, how: str) -> None:
    """A delegation that has ended is neither listed nor found."""
    user, admin = await harness.user(), await harness.user("admin")
    await harness.store.write(lambda tx: tx.put(app()))
    delegation = await connect_app(harness, user, app="app1", app_origin="registered")
    assert await listed(harness, user.basic) == [delegation.id]
    if how == "over":
        harness.clock.now += DAYS_90
    elif how == "another epoch":
        changed = msgspec.structs.replace(delegation, epoch=delegation.epoch + 1)
        await harness.store.write(lambda tx: tx.put(changed))
    elif how == "app deleted":
        await harness.store.write(lambda tx: tx.delete(App, "app1"))
    else:
        harness.runtime.switch_off(delegation.id)
    for presented in (user.basic, admin.basic):
        assert await listed(harness, presented) == []
        with pytest.raises(NotFound):
            await harness.call("delegations.get", presented, id=delegation.id)


async def test_a_disabled_app_can_be_disconnected(harness: Harness) -> None:
    """Access to an app that an admin has disabled is still shown, and can be taken back for good."""
    user = await harness.user()
    await harness.store.write(lambda tx: tx.put(app(enabled=False)))
    delegation = await connect_app(harness, user, app="app1", app_origin="registered")
    assert await listed(harness, user.basic) == [delegation.id]
    await harness.call("delegations.revoke", user.basic, id=delegation.id)
    assert await listed(harness, user.basic) == []


@pytest.mark.parametrize("change", ["users.password", "users.rotate_secret", "users.disable"])
async def test_a_new_epoch_leaves_none(harness: Harness, change: str) -> None:
    """What ends all of an account's tokens ends its delegations for good: they are deleted, and fill no quota."""
    user, other = await harness.user(), await harness.user()
    delegation, kept = await connect_app(harness, user), await connect_app(harness, other)
    params = {"password": "another long password"} if change == "users.password" else {}
    await harness.admin(change, client_id=user.client_id, **params)
    assert [one.id for one in harness.store.scan(Delegation)] == [kept.id]
    account = harness.store.get(Account, user.client_id)
    assert account is not None
    assert account.epoch > delegation.epoch


async def test_while_the_store_cannot_be_written(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Taking it back applies at once, in memory, and the answer says that it must be repeated."""
    user = await harness.user()
    delegation = await connect_app(harness, user)
    token = app_token(harness, delegation)

    async def refuse(self: MemoryStore, function: Any) -> None:
        raise Unavailable("The disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr(MemoryStore, "write", refuse)
        with pytest.raises(Unavailable):
            await harness.call("delegations.revoke", user.basic, id=delegation.id)
    with pytest.raises(Unauthenticated):
        await harness.call("whoami", token)
    assert await listed(harness, user.basic) == []


async def test_over_rest_and_rpc(harness: Harness) -> None:
    """The routes and methods answer as the operations do."""
    user = await harness.user()
    first, second = await connect_app(harness, user), await connect_app(harness, user, app="another")
    answer = await harness.request("GET", "/api/v1/delegations?limit=1", headers=user.basic_header)
    assert (answer.status, len(answer.json["data"])) == (200, 1)
    assert answer.json["meta"]["next_cursor"] is not None
    answer = await harness.request("GET", f"/api/v1/delegations/{first.id}", headers=user.basic_header)
    assert answer.json["data"]["app"] == APP
    answer = await harness.request("DELETE", f"/api/v1/delegations/{first.id}", headers=user.basic_header)
    assert answer.json["data"] == {"id": first.id, "revoked": True}
    said = await harness.rpc("delegations.list", {}, headers=user.basic_header)
    assert [one["id"] for one in said["result"]["items"]] == [second.id]
    said = await harness.rpc("delegations.revoke", {"id": second.id}, headers=user.basic_header)
    assert said["result"]["revoked"] is True
