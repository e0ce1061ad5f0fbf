"""What the change feed tells verifiers about what accounts delegated to apps."""

import msgspec

from herod.operations.tokens.change_feed import TokenChangesAnswer
from herod.records import App, Delegation
from herod.store.store_interface import Writer
from store.samples import app
from support.connected_apps import connect_app
from support.herod_in_memory import LOCAL_ADMIN, Harness


async def changes(harness: Harness, cursor: str | None = None) -> TokenChangesAnswer:
    """Ask once, as the local admin."""
    answer: TokenChangesAnswer = await harness.call("token.changes", LOCAL_ADMIN, cursor=cursor)
    return answer


async def test_delegations_are_told(harness: Harness) -> None:
    """What accounts delegated to apps is in the snapshot and in changes, by ids alone, and `gone` when taken back."""
    user = await harness.user("write")
    first = await connect_app(harness, user, "write", networks=("lab", "attic"), app_name="Secret Agent")
    answer = await changes(harness)
    [one] = answer.delegations
    assert (one.id, one.sub, one.scope, one.networks) == (first.id, user.client_id, "write", ["attic", "lab"])
    assert one.expires == first.expires_at
    assert b"Agent" not in msgspec.json.encode(answer)
    assert first.app.encode() not in msgspec.json.encode(answer)
    second = await connect_app(harness, user, app="another")
    answer = await changes(harness, answer.cursor)
    assert ([one.id for one in answer.delegations], answer.subjects, answer.gone) == ([second.id], [], [])
    await harness.store.write(lambda tx: tx.delete(Delegation, first.id))
    answer = await changes(harness, answer.cursor)
    assert (answer.gone, answer.delegations) == ([first.id], [])


async def test_a_delegation_that_could_not_be_deleted(harness: Harness) -> None:
    """One that was taken back only in memory is `gone`, and not in a new snapshot."""
    user = await harness.user()
    delegation = await connect_app(harness, user)
    cursor = (await changes(harness)).cursor
    harness.runtime.switch_off(delegation.id)
    answer = await changes(harness, cursor)
    assert (answer.gone, answer.has_more) == ([delegation.id], False)
    assert (await changes(harness)).delegations == []
    assert not (await changes(harness, answer.cursor)).is_news


async def test_a_change_of_an_app(harness: Harness) -> None:
    """When an admin changes, disables or deletes a registered app, all delegations are told again, as they are then."""
    user = await harness.user("write")
    record = app(scope=("write",))
    await harness.store.write(lambda tx: tx.put(record))
    granted = await connect_app(harness, user, "write", app=record.id, app_origin="registered")
    other = await connect_app(harness, user, "write")
    cursor = (await changes(harness)).cursor
    for changed, scope in (
        (msgspec.structs.replace(record, scope=("read",)), "read"),
        (msgspec.structs.replace(record, enabled=False), None),
        (record, "write"),
        (None, None),
    ):
        await harness.store.write(lambda tx, changed=changed: keep(tx, record.id, changed))  # type: ignore[misc]  # the lambda's default
        first = await changes(harness, cursor)
        told = [first]
        while told[-1].has_more:
            told.append(await changes(harness, told[-1].cursor))
        cursor = told[-1].cursor
        assert not any(one.reset or one.subjects for one in told)
        found = {one.id: one.scope for answer in told for one in answer.delegations}
        assert found == ({other.id: "write"} if scope is None else {other.id: "write", granted.id: scope})
        assert [id_ for answer in told for id_ in answer.gone] == ([granted.id] if scope is None else [])
    assert not (await changes(harness, cursor)).is_news


async def test_an_app_disabled_in_memory(harness: Harness) -> None:
    """The same if that could not be stored."""
    user = await harness.user()
    await harness.store.write(lambda tx: tx.put(app()))
    granted = await connect_app(harness, user, app="app1", app_origin="registered")
    answer = await changes(harness)
    harness.runtime.switch_off("app1")
    gone: list[str] = []
    while True:
        answer = await changes(harness, answer.cursor)
        gone += answer.gone
        if not answer.has_more:
            break
    assert gone == [granted.id]


def keep(tx: Writer, id_: str, record: App | None) -> None:
    """Put an app, or delete it."""
    if record is None:
        tx.delete(App, id_)
    else:
        tx.put(record)
