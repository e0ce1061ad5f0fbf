"""What the change feed tells verifiers about what accounts delegated to apps."""

import msgspec

from herod.operations.tokens.change_feed import TokenChangesAnswer
from herod.records import Delegation
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
