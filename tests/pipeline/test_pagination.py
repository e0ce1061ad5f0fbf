"""A page of any list has at most 256 KiB of JSON and a cursor to the next one: nothing is lost or repeated.

The attack: a batch of 50 `keys.list` by an account with scope read, whose keys named 11,000 networks each, was
answered with 594 MiB and blocked the loop for 18 s. With the same keys, from an earlier version, it is now 12 MiB.
"""

import json
from typing import Any

import msgspec
import pytest

from herod.identity.legacy_secrets import LegacySecrets
from herod.operations.operation_table import OPERATIONS
from herod.pipeline.approvals import MAX_SHOWN
from herod.pipeline.pagination import MAX_PAGE_BYTES, ByteBudget, fill_page
from herod.pipeline.parameters.text_normalization import MAX_NAME
from herod.records import Account, ApiKey, Approval, Passkey, PeerRule, Revocation, Session
from herod.settings import QUOTAS
from herod.store.store_interface import MAX_PAGE, Page, Writer
from herod_client.core.errors import InvalidRequest
from store.samples import app, event
from support.connected_apps import connect_app
from support.herod_in_memory import ADMIN_SOURCE, LOCAL_ADMIN, Harness, User, open_harness
from support.persons import new_person
from support.waiting_calls import waiting_call

# The longest possible names, and the largest number of them.
FATTEST = tuple(sorted(f"{number:02}{'n' * 62}" for number in range(64)))
# From an earlier version: short names, so that the JSON is twice as long as the stored record.
OLD = tuple(f"{number:x}" for number in range(11_000))


async def refill(harness: Harness, user: User, count: int, networks: tuple[str, ...]) -> list[str]:
    """Give an account this many keys with these networks."""
    await user.key(name="key")
    account = harness.store.get(Account, user.client_id)
    key = next(iter(harness.store.scan(ApiKey)))
    assert account is not None

    def put(tx: Writer) -> list[str]:
        tx.put(msgspec.structs.replace(account, networks=networks))
        tx.delete(ApiKey, key.id)
        ids = [f"{number:012}" for number in range(count)]
        for number, id_ in enumerate(ids):
            tx.put(msgspec.structs.replace(key, id=id_, name=id_, created_at=number, networks=networks))
        return ids

    return await harness.store.write(put)


async def walk(harness: Harness, name: str, presented: Any = LOCAL_ADMIN, **params: Any) -> tuple[list[Any], int]:
    """Collect all items of a list page by page, with the number of pages; check the size of each page over REST."""
    found: list[Any] = []
    cursor, pages = None, 0
    while True:
        page: Page[Any] = await harness.call(name, presented, ADMIN_SOURCE, cursor=cursor, **params)
        meta = {"api_version": "1", "server_version": "1", "next_cursor": page.next_cursor}
        assert len(msgspec.json.encode({"data": page.items, "meta": meta})) <= MAX_PAGE_BYTES
        found += page.items
        cursor, pages = page.next_cursor, pages + 1
        if cursor is None:
            return found, pages


@pytest.mark.parametrize(("networks", "count"), [(FATTEST, 300), (OLD, 12)])
@pytest.mark.parametrize("order", ["oldest", "newest"])
async def test_keys(harness: Harness, networks: tuple[str, ...], count: int, order: str) -> None:
    """The largest keys, of today and of an earlier version, are split into pages in each order and state."""
    user = await harness.user()
    ids = await refill(harness, user, count, networks)
    ids = ids if order == "oldest" else ids[::-1]
    for state in (None, "on"):
        found, pages = await walk(harness, "keys.list", user.basic, order=order, state=state)
        assert [key.id for key in found] == ids
        assert pages > 3
    assert (await walk(harness, "keys.list", user.basic, order=order, state="off"))[0] == []


async def test_small_records_fill_a_page(harness: Harness) -> None:
    """Ordinary records still come 200 to a page."""
    user = await harness.user()
    await refill(harness, user, MAX_PAGE + 1, ("lab", "attic"))
    page = await harness.call("keys.list", user.basic)
    assert len(page.items) == MAX_PAGE


async def test_a_batch(harness: Harness) -> None:
    """In a batch each list is limited to a page, and calls that no longer fit are refused."""
    user = await harness.user()
    await refill(harness, user, 20, OLD)
    calls = [{"jsonrpc": "2.0", "id": number, "method": "keys.list"} for number in range(50)]
    answer = await harness.request("POST", "/rpc", json=calls, headers=user.basic_header)
    answered = [one for one in answer.json if "result" in one]
    assert {one["error"]["code"] for one in answer.json[len(answered) :]} <= {-32600}
    assert len(answered) >= 3
    for one in answered:
        size = len(json.dumps(one, separators=(",", ":"))) - len('{"jsonrpc":"2.0","result":,"id":49}')
        assert size <= MAX_PAGE_BYTES
        assert one["result"]["next_cursor"]


async def test_accounts_and_rules(harness: Harness) -> None:
    """Accounts and peer rules with long names and many networks are split into pages."""
    user = await harness.user()
    account = harness.store.get(Account, user.client_id)
    rule = harness.store.get(PeerRule, (await harness.admin("peers.allow", uid=1, scope="read")).id)
    assert account is not None
    assert rule is not None

    def put(tx: Writer) -> None:
        for number in range(150):
            changes = {"networks": FATTEST, "created_at": number}
            tx.put(msgspec.structs.replace(account, id=f"{number:03}", name='"' * 128, **changes))
            tx.put(msgspec.structs.replace(rule, id=f"{number:03}", subject=f"uid:{number + 2}", **changes))

    await harness.store.write(put)
    for name in ("users.list", "peers.list"):
        found, pages = await walk(harness, name)
        assert len(found) == 151
        assert pages > 2


async def test_connected_apps(harness: Harness) -> None:
    """Delegations to apps with the longest client ids and many networks are split into pages."""
    user = await harness.user()
    one = await connect_app(harness, user, app="a" * 1024, app_name='"' * 128, networks=FATTEST)

    def put(tx: Writer) -> None:
        for number in range(150):
            tx.put(msgspec.structs.replace(one, id=f"{number:03}", created_at=one.created_at - 1 - number))

    await harness.store.write(put)
    found, pages = await walk(harness, "delegations.list", user.basic)
    assert [app.id for app in found] == [one.id, *(f"{number:03}" for number in range(150))]
    assert pages > 3


async def test_approvals(harness: Harness) -> None:
    """Calls of several apps that wait, with many long parameters, are split into pages, oldest first."""
    user = await harness.user()
    one = harness.store.get(Approval, await waiting_call(harness, user))
    other = await connect_app(harness, user, "read", app="another")
    assert one is not None
    shown = tuple((f"parameter {number}", "\u2764" * MAX_SHOWN) for number in range(12))

    def put(tx: Writer) -> None:
        for number in range(100):
            changes = {"delegation": other.id if number % 3 else one.delegation, "shown": shown}
            tx.put(msgspec.structs.replace(one, id=f"{number:03}", created_at=one.created_at - 100 + number, **changes))

    await harness.store.write(put)
    found, pages = await walk(harness, "approvals.list", user.basic)
    assert [waiting.id for waiting in found] == [*(f"{number:03}" for number in range(100)), one.id]
    assert pages > 3


async def test_resources(harness: Harness) -> None:
    """Resources of the maximum size are split into pages."""
    user = await harness.user("user")
    attributes = {f"{number}": "x" * 240 for number in range(64)}
    for number in range(40):
        await harness.call(
            "resources.claim", user.basic, kind="vm", name=f"{number}", secret="s" * 1024, attributes=attributes
        )
        harness.clock.now += 1
    found, pages = await walk(harness, "resources.list", user.basic, kind="vm", secret="s" * 1024)
    assert [one.name for one in found] == [f"{number}" for number in range(40)]
    assert pages > 2


async def test_sessions(harness: Harness) -> None:
    """Pages of sessions are bounded although each shows its account's current grant, which is not in its record."""
    user = await harness.user()
    cookie = await user.session()
    account, session = harness.store.get(Account, user.client_id), next(iter(harness.store.scan(Session)))
    assert account is not None

    def put(tx: Writer) -> None:
        tx.put(msgspec.structs.replace(account, networks=FATTEST))
        for number in range(150):
            tx.put(msgspec.structs.replace(session, id=f"{number:064}", half=f"{number}", created_at=number))

    await harness.store.write(put)
    found, pages = await walk(harness, "session.list", cookie)
    assert len(found) == 151
    assert pages > 2


async def test_audit(harness: Harness) -> None:
    """Pages of audit rows from earlier versions, with targets of any length, are bounded in both directions."""

    def fill(tx: Writer) -> None:
        for number in range(100):
            tx.audit(event(number, target="x" * 6000))

    await harness.store.write(fill)
    newest, pages = await walk(harness, "audit.list")
    assert [row.seq for row in newest] == list(range(100, 0, -1))
    assert pages > 1
    after, seqs = 0, []
    while True:
        page = await harness.admin("audit.list", after=after)
        assert len(msgspec.json.encode(page)) <= MAX_PAGE_BYTES
        seqs += [row.seq for row in page.items]
        after = seqs[-1]
        if page.next_cursor is None:
            break
    assert seqs == list(range(1, 101))


async def test_legacy(harness: Harness) -> None:
    """Legacy secrets are paged like other lists, each occurs once, and an invalid cursor is refused."""
    secrets = LegacySecrets(harness.store.keyring, [("user", f"a secret of old {number}") for number in range(300)])
    harness.configure(legacy=secrets)
    expected = [one.id for one in secrets.all()]
    for limit, most in ((MAX_PAGE, 2), (7, 43)):
        found, pages = await walk(harness, "legacy.status", limit=limit)
        assert [one.id for one in found] == expected
        assert pages == most
    with pytest.raises(InvalidRequest, match="cursor"):
        await harness.admin("legacy.status", cursor="x")


async def feed_of(harness: Harness, cursor: str | None = None) -> tuple[list[Any], list[Any], list[int]]:
    """Subjects and revocations of the change feed after a cursor, and the sizes of its answers."""
    subjects, revoked, sizes = [], [], []
    while True:
        answer = await harness.call("token.changes", LOCAL_ADMIN, ADMIN_SOURCE, cursor=cursor)
        sizes.append(len(msgspec.json.encode(answer)))
        subjects += [one.sub for one in answer.subjects]
        revoked += [one.jti for one in answer.revoked]
        cursor = answer.cursor
        if not answer.has_more:
            return subjects, revoked, sizes


@pytest.mark.parametrize("networks", [FATTEST, tuple("abcdefghijklmnopqrstuvwxyz")])
async def test_feed(networks: tuple[str, ...]) -> None:
    """Answers of the change feed, snapshots and updates alike, are bounded, and each subject occurs once."""
    async with open_harness(scopes={f"{'s' * 60}:{number:02}": () for number in range(58)}) as harness:
        user = await harness.user()
        rule = harness.store.get(PeerRule, (await harness.admin("peers.allow", uid=1, scope="read")).id)
        account = harness.store.get(Account, user.client_id)
        assert account is not None
        assert rule is not None
        _, _, begun = await feed_of(harness)
        cursor = (await harness.admin("token.changes")).cursor

        def put(tx: Writer) -> None:
            for number in range(150):
                changes = {"networks": networks, "created_at": number}
                tx.put(msgspec.structs.replace(account, id=f"a{number:03}", **changes))
                tx.put(msgspec.structs.replace(rule, id=f"r{number:03}", subject=f"uid:{number + 2}", **changes))
                jti = f"j{number:03}{'j' * 124}"
                tx.put(
                    Revocation(id=f"a/{jti}", created_at=number, expires_at=harness.clock.now + 9, subject="a", jti=jti)
                )

        await harness.store.write(put)
        for subjects, revoked, sizes in (await feed_of(harness), await feed_of(harness, cursor)):
            assert sorted(sub for sub in subjects if len(sub) == 4) == sorted(
                f"{kind}{number:03}" for kind in "ar" for number in range(150)
            )
            assert len(revoked) == len(set(revoked)) == 150
            assert max(sizes) <= MAX_PAGE_BYTES
            assert len(sizes) > 1
        assert len(begun) == 1


async def test_feed_full_at_the_end_of_a_kind(harness: Harness) -> None:
    """Wherever a feed answer is full, also right after the last account, the next answer continues."""
    user = await harness.user()
    rule = harness.store.get(PeerRule, (await harness.admin("peers.allow", uid=1, scope="read")).id)
    account = harness.store.get(Account, user.client_id)
    assert account is not None
    assert rule is not None
    fat = msgspec.structs.replace(rule, networks=FATTEST)
    await harness.store.write(lambda tx: tx.put(fat))
    for number in range(70):
        added = msgspec.structs.replace(account, id=f"{number:03}", networks=FATTEST)
        await harness.store.write(lambda tx, added=added: tx.put(added))  # type: ignore[misc]  # the lambda's default
        subjects, _, sizes = await feed_of(harness)
        assert sorted(subjects) == sorted(
            ["local-admin", user.client_id, rule.id, *(f"{other:03}" for other in range(number + 1))]
        )
    assert len(sizes) > 1


async def test_service_keys_of_supervisor(harness: Harness) -> None:
    """A list without pages refuses to answer when it is too long, and names the paged operation."""
    await harness.service_key("read", "one")
    key = next(iter(harness.store.scan(ApiKey)))

    def put(tx: Writer) -> None:
        for number in range(2000):
            tx.put(msgspec.structs.replace(key, id=f"{number:012}", name=f"{number:0100}"))

    assert len(await harness.admin("auth.list_keys")) == 1
    await harness.store.write(put)
    with pytest.raises(InvalidRequest, match=r"in pages with keys\.list"):
        await harness.admin("auth.list_keys")


async def test_apps(harness: Harness) -> None:
    """The largest apps are split into pages, the built-in one among them."""
    uris = tuple(f"https://app.example.org/{number:02}{'x' * 480}" for number in range(16))

    def put(tx: Writer) -> list[str]:
        ids = [f"app{number:03}" for number in range(60)]
        for number, id_ in enumerate(ids):
            tx.put(app(id_, created_at=number, redirect_uris=uris, post_logout_uris=uris, networks=FATTEST))
        return ids

    ids = await harness.store.write(put)
    found, pages = await walk(harness, "apps.list")
    assert [one.client_id for one in found] == ["herod-cli", *ids]
    assert pages > 3


async def test_passkeys(harness: Harness) -> None:
    """All the passkeys that an account may have, with the longest names, are one page."""
    ada = await new_person(harness)
    await ada.enrol()
    count, name = int(max(QUOTAS["passkeys"].kind.bounds or (0,))), "\U0001f511" * MAX_NAME

    def put(tx: Writer) -> None:
        for number in range(1, count):
            id_ = f"{number:032}"
            tx.put(
                Passkey(
                    id=id_,
                    created_at=1,
                    account=ada.id,
                    name=name,
                    credential=b"c",
                    public_key=b"k",
                    used_from="f" * 60,
                )
            )

    await harness.store.write(put)
    answer = await harness.request("GET", "/api/v1/account/passkeys", headers=ada.headers)
    assert len(answer.response.body) < MAX_PAGE_BYTES
    assert len(answer.json["data"]) == count == 100


def test_every_list_is_bounded_here() -> None:
    """Every operation that answers with a page is covered above; a new one needs its own test."""
    paged = {one.name for one in OPERATIONS.values() if getattr(one.result, "__origin__", None) is Page}
    assert paged == {
        "approvals.list",
        "apps.list", "audit.list", "delegations.list", "keys.list", "legacy.status", "peers.list", "resources.list",
    "passkeys.list",
        "session.list",
        "users.list",
    }  # fmt: skip


def test_one_item_too_large() -> None:
    """An item larger than a page is sent alone; if the answer already has items, it is left to the next page."""
    large = "x" * (2 * MAX_PAGE_BYTES)
    assert fill_page([large, "a"], str, place=str, begin="begin") == Page([large], large)
    room = ByteBudget()
    assert fill_page(["a"], str, place=str, room=room) == Page(["a"], None)
    assert fill_page([large], str, place=str, begin="begin", room=room) == Page([], "begin")
    assert room.is_full
