"""Records named by what people know them by: on every protocol, never another's, and never one of several."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import quote

import pytest

from herod.identity.credential_types import Bearer
from herod.operations.operation_table import OPERATIONS
from herod.pipeline import record_references
from herod.protocols.documents.json_schemas import field_schemas, known_names
from herod.records import Account, ApiKey, PeerRule
from herod_client.core.errors import Conflict, MissingScope, NotFound
from herod_client.core.key_format import new_key_id
from herod_client.core.times import rfc3339_text
from support.herod_in_memory import NOW, PASSWORD, TCP, Harness, User, bearer, open_harness
from support.mcp_agent import call

EMAIL = "ada@example.org"


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    """A harness."""
    async with open_harness() as harness:
        yield harness


async def add(harness: Harness, **fields: Any) -> User:
    """Add an account."""
    added = await harness.admin("users.add", **fields)
    return User(harness, added.client_id, added.client_secret)


def id_of(text: str) -> str:
    """The id of a key."""
    return text.split("_")[2]


Show = Callable[[Harness, str, str], Awaitable[Any]]


async def _rest(harness: Harness, admin: str, name: str) -> Any:
    answer = await harness.request("GET", f"/api/v1/users/{quote(name, safe='')}", headers=bearer(admin))
    return answer.json["data"]["client_id"]


async def _plain(harness: Harness, admin: str, name: str) -> Any:
    answer = await harness.request(
        "POST", "/users/scope", json={"client_id": name, "scope": "write"}, headers=bearer(admin)
    )
    return answer.json["client_id"]


async def _jsonrpc(harness: Harness, admin: str, name: str) -> Any:
    answer = await harness.rpc("users.get", {"client_id": name}, headers=bearer(admin))
    return answer["result"]["client_id"]


async def _by_position(harness: Harness, admin: str, name: str) -> Any:
    return (await harness.rpc("users.get", [name], headers=bearer(admin)))["result"]["client_id"]


async def _mcp(harness: Harness, admin: str, name: str) -> Any:
    return (await call(harness, "get_user", admin, client_id=name))["structuredContent"]["client_id"]


@pytest.mark.parametrize("show", [_rest, _plain, _jsonrpc, _by_position, _mcp])
@pytest.mark.parametrize("name", [EMAIL, "ADA@Example.Org", "Ada Lovelace", " Ada  Lovelace "])
async def test_an_account_by_email_or_name(harness: Harness, show: Show, name: str) -> None:
    """An account's id, email in any spelling, and unique name are the same, on every protocol and in paths."""
    admin = await harness.service_key("admin", "admin")
    user = await add(harness, email=EMAIL, name="Ada Lovelace")
    await add(harness, email="bob@example.org", name="Bob")
    assert await show(harness, admin, name) == user.client_id
    assert await show(harness, admin, user.client_id) == user.client_id


@pytest.mark.parametrize(
    ("verb", "path", "body"),
    [
        ("GET", "", None),
        ("PATCH", "", {"name": "runner 2"}),
        ("POST", "/disable", None),
        ("POST", "/enable", None),
        ("POST", "/rotate", {"overlap": 60}),
        ("DELETE", "", None),
    ],
)
async def test_a_key_by_name(harness: Harness, verb: str, path: str, body: Any) -> None:
    """A key's unique name stands for its id in every route; an owner and an admin mean the same key."""
    admin = await harness.service_key("admin", "admin")
    user = await harness.user()
    text = await user.key(name="Läufer 1")
    for credential in (bearer(admin), bearer(await user.token())) if verb != "DELETE" else (bearer(admin),):
        target = f"/api/v1/keys/{quote('Läufer 1')}{path}"
        answer = await harness.request(verb, target, json=body, headers=credential)
        assert answer.status == 200
        assert answer.json["data"]["id"] == id_of(text)
        if verb == "PATCH":
            await harness.admin("keys.update", id=id_of(text), name="Läufer 1")


async def test_the_name_is_of_the_record_that_changed(harness: Harness) -> None:
    """The audit log names the record by its id, and its filters take names."""
    admin = Bearer(await harness.service_key("admin", "boss"))
    user = await add(harness, email=EMAIL, name="Ada")
    text = await harness.service_key("read", "runner")
    await harness.call("keys.disable", admin, TCP, id="runner")
    await harness.call("users.disable", admin, TCP, client_id="Ada")
    for target, id_ in (("runner", id_of(text)), (EMAIL, user.client_id), ("Ada", user.client_id)):
        rows = (await harness.admin("audit.list", target=target, actor="boss")).items
        assert [(row.actor, row.target) for row in rows] == [(id_of(admin.text), id_)]
    assert (await harness.admin("audit.list", actor="anonymous")).items == []
    assert (await harness.admin("audit.list", target="nobody")).items == []


async def test_an_ambiguous_name_is_refused(harness: Harness) -> None:
    """A name that several have that the caller sees is a 409 that names none of them; the id still works."""
    first = await add(harness, name="Ada")
    await add(harness, name="Ada")
    text = await first.key(name="laptop")
    await harness.service_key("read", "laptop")
    for name, params in (("users.get", {"client_id": "Ada"}), ("keys.delete", {"id": "laptop"})):
        with pytest.raises(Conflict, match=r"Several .* have this name: give the id of one") as caught:
            await harness.admin(name, **params)
        assert caught.value.reason == "ambiguous"
        assert first.client_id not in caught.value.message
    with pytest.raises(Conflict):
        await harness.admin("access.explain", principal="laptop", scope="read")
    assert (await harness.admin("keys.get", id=id_of(text))).name == "laptop"
    # Its owner sees only one.
    assert (await harness.call("keys.get", first.basic, TCP, id="laptop")).id == id_of(text)


async def test_anothers_name_is_not_there(harness: Harness) -> None:
    """Another's key or account by name or email is answered as one that does not exist."""
    ada, eve = await add(harness, email=EMAIL, name="Ada"), await add(harness, name="Eve")
    await ada.key(name="laptop")
    await harness.service_key("read", "runner")
    errors = set()
    for id_ in ("laptop", "runner", "nothing"):
        for operation in ("keys.get", "keys.rotate", "keys.delete"):
            with pytest.raises(NotFound) as refused:
                await harness.call(operation, eve.basic, TCP, id=id_)
            errors.add(refused.value.message)
    for client_id in (EMAIL, "Ada", "nobody@example.org", "nobody", ada.client_id):
        with pytest.raises(NotFound) as refused:
            await harness.call(
                "users.password", eve.basic, TCP, client_id=client_id, password=PASSWORD, current="x" * 12
            )
        errors.add(refused.value.message)
        with pytest.raises(MissingScope):
            await harness.call("keys.create", eve.basic, TCP, name="a", owner=client_id)
        assert (await harness.call("keys.list", eve.basic, TCP, owner=client_id)).items == []
    assert errors == {"There is no such key.", "There is no such account."}


async def test_ones_own_name(harness: Harness) -> None:
    """Without admin, too, an account names itself by its email and name."""
    ada = await add(harness, email=EMAIL, name="Ada", scope="read")
    text = await ada.key(name="laptop")
    for name in (EMAIL, "Ada", ada.client_id):
        listed = (await harness.call("keys.list", ada.basic, TCP, owner=name, name="laptop")).items
        assert [key.id for key in listed] == [id_of(text)]
        assert (await harness.call("keys.create", ada.basic, TCP, name=name, owner=name)).owner == ada.client_id
    assert (await harness.call("access.explain", ada.basic, TCP, principal=EMAIL, scope="read")).allowed
    with pytest.raises(MissingScope):
        await harness.call("access.explain", ada.basic, TCP, principal="Bob", scope="read")
    assert (await harness.call("users.rotate_secret", ada.basic, TCP, client_id=EMAIL)).client_id == ada.client_id


async def test_a_name_does_not_tell_whether_a_peer_has_a_rule(harness: Harness) -> None:
    """Who is called as a peer rule may be found asks about itself, whether or not there is such a rule."""
    ada = await add(harness, name="uid:4321", scope="read")
    before = await harness.call("access.explain", ada.basic, TCP, principal="uid:4321", scope="write")
    await harness.admin("peers.allow", uid=4321, scope="write")
    assert await harness.call("access.explain", ada.basic, TCP, principal="uid:4321", scope="write") == before


async def test_an_id_comes_first(harness: Harness) -> None:
    """A key or account that is named like another's id does not stand for it."""
    victim = await harness.service_key("read", "victim")
    eve = await add(harness, name="Eve")
    await eve.key(name=id_of(victim))
    assert (await harness.admin("keys.get", id=id_of(victim))).name == "victim"
    await add(harness, name=eve.client_id)
    assert (await harness.admin("users.get", client_id=eve.client_id)).name == "Eve"
    explained = await harness.admin("access.explain", principal=id_of(victim), scope="read")
    assert explained.allowed


async def test_keys_that_have_not_expired_are_meant(harness: Harness) -> None:
    """A name that was given anew means the later key; one of an expired key still means that."""
    first = await harness.service_key("read", "runner", expires_at=rfc3339_text(NOW + 10))
    harness.clock.now += 10
    assert (await harness.admin("keys.get", id="runner")).id == id_of(first)
    second = await harness.service_key("read", "runner")
    assert (await harness.admin("keys.get", id="runner")).id == id_of(second)
    user = await harness.user()
    await user.key(name="laptop", expires_at=rfc3339_text(harness.clock.now + 10))
    harness.clock.now += 10
    live = await harness.service_key("read", "laptop")
    assert (await harness.admin("keys.get", id="laptop")).id == id_of(live)


async def test_peer_rules_by_uid(harness: Harness) -> None:
    """A peer rule is removed by `uid:N` or `gid:N`, too."""
    await harness.admin("peers.allow", uid=1000, scope="read")
    rule = await harness.admin("peers.allow", gid=1000, scope="read")
    assert (await harness.admin("peers.remove", id="gid:1000")).id == rule.id
    with pytest.raises(NotFound):
        await harness.admin("peers.remove", id="gid:1000")
    assert [one.subject for one in harness.store.scan(PeerRule)] == ["uid:1000"]


@pytest.mark.parametrize("by", ["id", "key"])
async def test_supervisors_keys_by_name(harness: Harness, by: str) -> None:
    """A service key is removed by its name; a user's key of that name is none."""
    user = await harness.user()
    await user.key(name="runner-1")
    with pytest.raises(NotFound):
        await harness.admin("auth.remove_key", **{by: "runner-1"})
    await harness.service_key("read", "runner-1")
    assert await harness.admin("auth.remove_key", **{by: "runner-1"}) is True
    assert [key.owner for key in harness.store.scan(ApiKey)] == [user.client_id]


async def test_nobody_chooses_whom_an_admin_means(harness: Harness) -> None:
    """An account that registered itself is found by its id and email, never by the name that it chose."""
    answer = await harness.request(
        "POST", "/register", json={"email": "eve@example.org", "password": PASSWORD, "name": "Ada"}
    )
    with pytest.raises(NotFound):
        await harness.admin("users.scope", client_id="Ada", scope="admin")
    ada = await add(harness, name="Ada")
    assert (await harness.admin("users.get", client_id="Ada")).client_id == ada.client_id
    assert (await harness.admin("users.get", client_id="eve@example.org")).client_id == answer.json["client_id"]


async def test_a_large_store_is_not_searched(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Among many records a name means one's own or a service's key; other names are not searched, and emails are."""
    monkeypatch.setattr(record_references, "MAX_SEARCHED", 1)
    ada = await add(harness, email=EMAIL, name="Ada")
    await add(harness, name="Bob")
    await ada.key(name="laptop")
    text = await harness.service_key("read", "runner")
    assert (await harness.admin("keys.get", id="runner")).id == id_of(text)
    assert (await harness.admin("users.get", client_id=EMAIL)).client_id == ada.client_id
    with pytest.raises(NotFound):
        await harness.admin("keys.get", id="laptop")
    with pytest.raises(NotFound, match="names are not searched"):
        await harness.admin("users.get", client_id="Bob")
    assert (await harness.admin("audit.list", target="Bob")).items == []


async def test_what_is_no_name_is_not_there(harness: Harness) -> None:
    """What can be neither id nor name is not found, and a key of an account being deleted neither."""
    for text in ("", "\x00", "x" * 2000, new_key_id()):
        with pytest.raises(NotFound):
            await harness.admin("keys.get", id=text)
        with pytest.raises(NotFound):
            await harness.admin("users.get", client_id=text)
        with pytest.raises(NotFound):
            await harness.admin("auth.remove_key", id=text)
    assert harness.store.count(Account) == 0


# Ids of what has no name, or none that its holder chose.
NAMELESS = {
    "legacy.promote id", "oauth.authorize client_id", "openid.logout client_id", "session.end id",
    "passkeys.delete id", "passkeys.rename id", "approvals.get id", "approvals.decide id",
}  # fmt: skip
IDS = [
    (one.name, field)
    for one in OPERATIONS.values()
    for field in ("client_id", "id", "owner", "principal", "actor", "target")
    if field in one.params.__struct_fields__ and f"{one.name} {field}" not in NAMELESS
]


@pytest.mark.parametrize(("name", "field"), IDS)
async def test_every_id_says_what_it_takes(harness: Harness, name: str, field: str) -> None:
    """Every parameter for the id of an account, key or rule is described with what stands for it."""
    schema = field_schemas(OPERATIONS[name], known_names(OPERATIONS.values(), harness.runtime))[field]
    assert re.search("unique name|`uid:N`|as `actor`|client_id or name", schema["description"])
