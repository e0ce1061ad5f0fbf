"""Lists in records have a bound wherever one comes in, so that no account decides what a record costs.

The attack: a `read` account (registration is open) makes 1,200 keys with 11,000 networks each. Before, each was 60 KB
in the store and some hundred KB in the caches, 2.5 GB in all; now the first one is refused.
"""

from typing import Any

import msgspec
import pytest
from house import House
from offline_store import NOW

from herod.errors import InvalidRequest, InvalidScope, RuntimeFailure
from herod.offline.entries import parse_entries
from herod.records import Account, ApiKey
from herod.scopes.grants import MAX_NETWORKS
from herod.scopes.graph import MAX_SCOPES, ScopeGraph
from herod.store.base import MAX_PAGE_BYTES

FULL = [f"net-{number:05}" for number in range(MAX_NETWORKS)]
MANY = [*FULL, "one-more"]
SCOPES = " ".join(["read"] * (MAX_SCOPES + 1))

# Every way in by which a list of networks or scopes reaches a record.
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "a user": ("users.add", {"scope": "read", "networks": MANY}),
    "a user's scope": ("users.add", {"scope": SCOPES}),
    "a changed user": ("users.update", {"client_id": "@ada", "networks": MANY}),
    "a changed user's scope": ("users.scope", {"client_id": "@ada", "scope": SCOPES}),
    "a key": ("keys.create", {"name": "k", "networks": MANY}),
    "a key's scope": ("keys.create", {"name": "k", "scope": SCOPES}),
    "a changed key": ("keys.update", {"id": "@key", "networks": MANY}),
    "a changed key's scope": ("keys.update", {"id": "@key", "scope": SCOPES}),
    "a rule": ("peers.allow", {"uid": 7, "scope": "read", "networks": MANY}),
    "a rule's scope": ("peers.allow", {"uid": 7, "scope": SCOPES}),
    "a Supervisor key's scope": ("auth.create_key", {"name": "k", "scope": SCOPES}),
}


@pytest.mark.parametrize("way", WAYS)
async def test_too_many_are_refused(house: House, way: str) -> None:
    """The refusal says how many there may be, and nothing is kept."""
    ada = await house.user(scope="read")
    key = (await ada.key()).split("_")[2]
    name, params = WAYS[way]
    params = {field: {"@ada": ada.client_id, "@key": key}.get(str(value), value) for field, value in params.items()}
    before = house.store.cursor
    with pytest.raises(InvalidRequest, match="at most 64"):
        await house.admin(name, **params)
    assert house.store.cursor == before


async def test_as_many_as_may_be_are_taken(house: House) -> None:
    """Exactly 64 of them, by an account of its own."""
    ada = await house.user(scope="read")
    made = await house.call("keys.create", ada.basic, name="k", networks=FULL)
    assert made.networks == FULL


async def test_a_token_asks_for_few_scopes(house: House) -> None:
    """Its scope is a list as well."""
    ada = await house.user(scope="read")
    names = " ".join(f"s{number}" for number in range(MAX_SCOPES + 1))
    with pytest.raises(InvalidScope, match="at most 64"):
        await house.call("token.create", ada.basic, scope=names)


@pytest.mark.parametrize(("field", "value"), [("networks", MANY), ("scope", [f"s{n}" for n in range(65)])])
def test_an_import_is_refused_as_a_whole(field: str, value: list[str]) -> None:
    """It names the entry, and takes in nothing."""
    text = f'[[users]]\nclient_id = "ada"\n{field} = {value}\n'.replace("'", '"')
    with pytest.raises(RuntimeFailure, match=r"ada.*(at most|more than) 64"):
        parse_entries(text.encode(), ScopeGraph(), now=NOW)


async def test_records_of_the_version_before_work_and_do_not_grow(house: House) -> None:
    """An account with 11,000 networks signs in, is listed and narrowed; what it makes names its networks."""
    ada = await house.user(scope="write")
    stored = house.store.get(Account, ada.client_id)
    assert stored is not None
    many = tuple(f"net-{number:05}" for number in range(11_000))
    await house.store.write(lambda tx: tx.put(msgspec.structs.replace(stored, networks=many)))
    assert len((await house.call("whoami", ada.basic)).networks) == 11_000
    with pytest.raises(InvalidRequest, match="more than 64 networks"):
        await house.call("keys.create", ada.basic, name="k")
    assert (await house.call("keys.create", ada.basic, name="k", networks=FULL)).networks == FULL
    await house.admin("users.update", client_id=ada.client_id, networks=["lab"])
    assert (await house.call("whoami", ada.basic)).networks == ["lab"]


async def test_pages_end_by_bytes(house: House) -> None:
    """Fat records make short pages with a cursor, and following it finds each of them once."""
    ada = await house.user(scope="read")
    networks = [f"{number:02}{'n' * 62}" for number in range(MAX_NETWORKS)]
    for number in range(100):
        await house.call("keys.create", ada.basic, name=f"k{number}", networks=networks)
    seen: list[str] = []
    cursor: str | None = None
    pages = 0
    while cursor is not None or not pages:
        page = await house.call("keys.list", ada.basic, cursor=cursor)
        assert len(msgspec.json.encode(page)) <= 2 * MAX_PAGE_BYTES
        seen += [key.name for key in page.items]
        cursor, pages = page.next_cursor, pages + 1
    assert sorted(seen) == sorted(f"k{number}" for number in range(100))
    assert pages > 2


async def test_the_feed_goes_on_after_a_short_answer(house: House) -> None:
    """A snapshot and changes of fat accounts come in parts, each of them once."""
    networks = [f"{number:02}{'n' * 62}" for number in range(MAX_NETWORKS)]
    start = (await house.admin("token.changes")).cursor
    for _ in range(60):
        await house.user(networks=networks)
    for beginning in (None, start):
        cursor = beginning
        subjects: list[str] = []
        more, parts = True, 0
        while more:
            answer = await house.admin("token.changes", cursor=cursor)
            assert len(msgspec.json.encode(answer)) <= 2 * MAX_PAGE_BYTES
            subjects += [one.sub for one in answer.subjects if one.kind == "account"]
            cursor, more, parts = answer.cursor, answer.has_more, parts + 1
        assert len(subjects) == len(set(subjects)) == 60
        assert parts > 1


async def test_the_grants_that_are_kept_are_bounded_in_names(house: House) -> None:
    """However many different lists of networks are asked about."""
    for number in range(1500):
        house.realm.grant(("read",), tuple(f"{number}-{name}" for name in FULL))
    assert sum(len(grant.networks) for grant in house.realm.grants.values()) <= 64 * 1024


async def test_fat_keys_of_the_attack(house: House) -> None:
    """The attack's own request is refused in one line, by REST as well."""
    ada = await house.user(scope="read")
    networks = [f"n{number}" for number in range(11_000)]
    body = {"name": "fat", "networks": networks}
    answer = await house.request("POST", "/api/v1/keys", json=body, headers=ada.basic_header)
    assert (answer.status, answer.json["error"]["code"]) == (400, "invalid_request")
    assert len(answer.response.body) < 400
    assert list(house.store.scan(ApiKey)) == []
