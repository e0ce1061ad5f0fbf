"""Lists of keys and accounts: orders, filters, and pages that leave filtered results to later ones."""

from datetime import UTC, datetime
from typing import Any

import pytest

from herod.operations.keys.list_filters import UNUSED_SECONDS
from herod_client.core.errors import InvalidRequest
from support.herod_in_memory import NOW, Harness


async def walk(harness: Harness, presented: Any = None, /, **params: Any) -> tuple[list[str], int]:
    """The names in a list, collected page by page, and the number of pages."""
    names: list[str] = []
    cursor, pages = None, 0
    while True:
        asked = {**params, "cursor": cursor}
        page = await (
            harness.admin("keys.list", **asked) if presented is None else harness.call("keys.list", presented, **asked)
        )
        assert len(page.items) <= params.get("limit", 200)
        names += [key.name for key in page.items]
        cursor, pages = page.next_cursor, pages + 1
        if cursor is None:
            return names, pages


async def fill(harness: Harness, count: int) -> list[str]:
    """Create service keys a second apart; every third expires, the latest one first."""
    for number in range(count):
        end = datetime.fromtimestamp(NOW + 10_000 - number, UTC) if number % 3 == 0 else None
        await harness.service_key("read", f"k{number:03}", expires_at=end)
        harness.clock.now += 1
    return [f"k{number:03}" for number in range(count)]


async def test_orders(harness: Harness) -> None:
    """Keys are listed oldest first by default, or newest first, or by expiry, across owners."""
    names = await fill(harness, 7)
    ada = await harness.user()
    await ada.key(name="ada's", expires_at=datetime.fromtimestamp(NOW + 9_998, UTC))
    for limit in (1, 2, 200):
        assert (await walk(harness, limit=limit))[0] == [*names, "ada's"]
        assert (await walk(harness, limit=limit, order="newest"))[0] == ["ada's", *names[::-1]]
        assert (await walk(harness, limit=limit, order="expires"))[0] == ["k006", "k003", "ada's", "k000"]
        assert (await walk(harness, limit=limit, order="expires", kind="service"))[0] == ["k006", "k003", "k000"]
        assert (await walk(harness, limit=limit, order="expires", owner=ada.client_id))[0] == ["ada's"]
        assert (await walk(harness, limit=limit, kind="user", order="newest"))[0] == ["ada's"]


async def test_states(harness: Harness) -> None:
    """The filters on, off, expired and unused find all their keys in each order, to the end of a long list."""
    names = await fill(harness, 30)
    ids = {key.name: key.id for key in (await harness.admin("keys.list")).items}
    for name in names[::5]:
        await harness.admin("keys.disable", id=ids[name])
    harness.clock.now = NOW + 10_000 - 9
    expired = names[9::3]
    for order in ("oldest", "newest"):
        for limit in (1, 4, 200):
            sign = 1 if order == "oldest" else -1
            assert (await walk(harness, order=order, limit=limit, state="off"))[0] == names[::5][::sign]
            assert (await walk(harness, order=order, limit=limit, state="expired"))[0] == expired[::sign]
            on = [name for name in names if name not in expired and name not in names[::5]]
            assert (await walk(harness, order=order, limit=limit, state="on"))[0] == on[::sign]
    assert await walk(harness, order="expires", state="expired") == (expired[::-1], 1)
    assert await walk(harness, order="expires", state="on") == (["k006", "k003"], 1)
    assert (await walk(harness, state="unused"))[0] == []
    harness.clock.now = NOW + 20 + UNUSED_SECONDS
    assert (await walk(harness, state="unused"))[0] == names[:21]
    assert (await walk(harness, state="unused", kind="user"))[0] == []


async def test_a_page_looks_at_so_many(harness: Harness) -> None:
    """Each page examines a limited number of keys, so rare matches may come after empty pages."""
    for number in range(410):
        await harness.service_key("read", f"k{number:03}")
        harness.clock.now += 1
    await (await harness.user()).key(name="hers")
    assert await walk(harness, kind="user") == (["hers"], 3)
    first = await harness.admin("keys.list", kind="user")
    assert first.items == []
    assert first.next_cursor


async def test_by_name(harness: Harness) -> None:
    """The name filter matches the whole normalized name, of the caller's own keys or, for admins, of any owner's."""
    await harness.service_key("read", "job")
    ada, bob = await harness.user(scope="admin"), await harness.user()
    await ada.key(name="job")
    await bob.key(name="job")
    assert len((await harness.admin("keys.list", name=" job ")).items) == 1
    assert len((await harness.call("keys.list", ada.basic, name="job")).items) == 2
    assert len((await harness.call("keys.list", ada.basic, name="job", kind="user")).items) == 1
    assert [key.owner for key in (await harness.admin("keys.list", name="job", owner=bob.client_id)).items] == [
        bob.client_id
    ]
    assert [key.owner for key in (await harness.admin("keys.list", name="job", owner="service")).items] == [None]
    assert [key.owner for key in (await harness.call("keys.list", bob.basic, name="job")).items] == [bob.client_id]
    assert (await harness.call("keys.list", bob.basic, name="job", owner=ada.client_id)).items == []
    with pytest.raises(InvalidRequest, match="invisible"):
        await harness.admin("keys.list", name="a\u200bb")


async def test_one_s_own(harness: Harness) -> None:
    """Non-admins see only their own keys, and cannot order by expiry, because the cursor would disclose others."""
    await fill(harness, 3)
    bob = await harness.user()
    names = [f"mine {number}" for number in range(5)]
    for name in names:
        await bob.key(name=name)
        harness.clock.now += 1
    assert (await walk(harness, bob.basic, order="newest", limit=2))[0] == names[::-1]
    assert (await walk(harness, bob.basic, state="on", limit=2))[0] == names
    assert (await walk(harness, bob.basic, kind="service"))[0] == []
    with pytest.raises(InvalidRequest, match="Only admins"):
        await harness.call("keys.list", bob.basic, order="expires")


async def test_accounts(harness: Harness) -> None:
    """Accounts can be listed newest first."""
    added = []
    for _ in range(5):
        added.append((await harness.user()).client_id)
        harness.clock.now += 1
    page = await harness.admin("users.list", order="newest", limit=3)
    rest = await harness.admin("users.list", order="newest", cursor=page.next_cursor)
    assert [user.client_id for user in (*page.items, *rest.items)] == added[::-1]
    assert [user.client_id for user in (await harness.admin("users.list")).items] == added


@pytest.mark.parametrize("query", ["order=newest&state=on", "order=expires", "kind=service", "name=k001"])
async def test_by_rest_and_rpc(harness: Harness, query: str) -> None:
    """REST and JSON-RPC take filters by name and give the same answer."""
    await fill(harness, 3)
    key = await harness.service_key("admin", "root", expires_at=datetime.fromtimestamp(NOW + 99_999, UTC))
    headers = {"authorization": f"Bearer {key}"}
    answer = await harness.request("GET", f"/api/v1/keys?{query}", headers=headers)
    assert answer.status == 200
    params = dict(pair.split("=") for pair in query.split("&"))
    result = (await harness.rpc("keys.list", params, headers=headers))["result"]
    assert [one["name"] for one in answer.json["data"]] == [one["name"] for one in result["items"]] != []
    for wrong in ("order=sideways", "state=lost", "kind=x"):
        assert (await harness.request("GET", f"/api/v1/keys?{wrong}", headers=headers)).status == 400
