"""The key pages, through the real router: lists, the life of a key, and refusals."""

import re
from datetime import UTC, datetime

import pytest

from herod.dashboard.csrf import cut
from herod.identity.credential_types import Bearer
from herod.records import ApiKey
from herod_client.core.times import rfc3339_text
from support.herod_in_memory import NOW, PASSWORD, Harness
from support.page_visitor import Visitor, open_pages, rows, said, secret_of, sign_in, text, visit

DAY = 86_400


@pytest.fixture
async def ada(harness: Harness) -> Visitor:
    """An admin who is signed in."""
    open_pages(harness)
    return await visit(harness)


async def make(visitor: Visitor, **fields: str) -> str:
    """Create a key with the form; return its secret."""
    given = {"name": "backup", "for_": "me", "scope_read": "on", "ends": "90", **fields}
    answer = await visitor.send("/ui/keys", **given)
    assert answer.status == 200, said(text(answer))
    return secret_of(text(answer))


async def works(harness: Harness, key: str) -> bool:
    """Whether a key is valid."""
    answer = await harness.request("GET", "/api/v1/whoami", headers={"authorization": f"Bearer {key}"})
    return answer.status == 200


async def test_a_keys_life(harness: Harness, ada: Visitor) -> None:
    """A key is created, used, rotated with an overlap, disabled, enabled, changed and deleted by forms."""
    assert "No keys yet" in await ada.read("/ui/keys")
    key = await make(ada)
    id_ = key.split("_")[2]
    assert await works(harness, key)
    page = await ada.read("/ui/keys")
    assert rows(page) == ["backup"]
    assert key not in page
    assert "127.0.0.1" in await ada.read(f"/ui/keys/{id_}")
    answer = await ada.send(f"/ui/keys/{id_}/rotate", overlap="300")
    rotated = secret_of(text(answer))
    assert rotated != key
    assert "ends in 5 minutes" in text(answer)
    assert await works(harness, key)
    page = await ada.read(f"/ui/keys/{id_}")
    assert "works until" in page
    assert rotated not in page
    harness.clock.now += 300
    assert not await works(harness, key)
    assert "works until" not in await ada.read(f"/ui/keys/{id_}")
    assert "is disabled" in said(await ada.do(f"/ui/keys/{id_}/disable"))
    assert not await works(harness, rotated)
    assert "is enabled" in said(await ada.do(f"/ui/keys/{id_}/enable"))
    changed = await ada.do(f"/ui/keys/{id_}/edit", name="nightly", scope_read="on", networks="*", ends="never")
    assert "changed" in said(changed)
    details = await harness.admin("keys.get", id=id_)
    assert (details.name, details.expires_at, details.scope) == ("nightly", None, "read")
    assert "nightly" in await ada.read(f"/ui/keys/{id_}/delete")
    assert await works(harness, rotated)
    assert "was deleted" in said(await ada.do(f"/ui/keys/{id_}/delete"))
    assert not await works(harness, rotated)
    await ada.read(f"/ui/keys/{id_}", status=404)


@pytest.mark.parametrize(
    ("fields", "end"),
    [
        ({"ends": "30"}, NOW + 30 * DAY),
        ({"ends": "365"}, NOW + 365 * DAY),
        ({"ends": "never"}, None),
        ({"ends": "date", "until": "2030-01-31"}, int(datetime(2030, 1, 31, 23, 59, 59, tzinfo=UTC).timestamp())),
    ],
)
async def test_ends(harness: Harness, ada: Visitor, fields: dict[str, str], end: int | None) -> None:
    """Expiry is a number of days, a date including that day, or never."""
    key = await make(ada, **fields)
    details = await harness.admin("keys.get", id=key.split("_")[2])
    assert details.expires_at == (None if end is None else datetime.fromtimestamp(end, UTC))


@pytest.mark.parametrize(
    ("fields", "status", "says"),
    [
        ({"name": ""}, 400, "name"),
        ({"name": "a\u202eb"}, 400, "invisible"),
        ({"ends": "soon"}, 400, "Choose when"),
        ({"ends": "date", "until": "31.1.2030"}, 400, "like 2030-01-31"),
        ({"ends": "date", "until": "2020-01-01"}, 400, "past"),
        ({"for_": "owner"}, 400, "owner of the key"),
        ({"for_": "owner", "owner": "nobody@example.org"}, 404, "no such account"),
        ({"for_": "everybody"}, 400, "whose key"),
        ({"scope_owner": "on"}, 403, "exceeds your own"),
        ({'scope_"><b>': "on"}, 400, "Unknown scope"),
        ({"networks": " ".join(f"n{number}" for number in range(101))}, 400, "at most 100"),
    ],
)
async def test_what_is_refused(ada: Visitor, fields: dict[str, str], status: int, says: str) -> None:
    """A refusal returns the form with the error's status, the reason and the input."""
    given = {"name": "kept <i>", "for_": "me", "scope_read": "on", "ends": "30", **fields}
    answer = await ada.send("/ui/keys", **given)
    assert answer.status == status
    assert says in said(text(answer))
    assert "<title>Error: " in text(answer)
    assert 'value="kept &lt;i&gt;"' in text(answer) or "name" in fields
    assert "<i>" not in text(answer)


async def test_without_a_scope(ada: Visitor) -> None:
    """No checked scope is an error, rather than read."""
    answer = await ada.send("/ui/keys", name="x", ends="30")
    assert answer.status == 400
    assert "Tick at least one" in said(text(answer))


async def test_who_may_give_what(harness: Harness, ada: Visitor) -> None:
    """The form offers scopes within the user's own, and service keys and other users to admins only."""
    page = await ada.read("/ui/keys/new")
    assert re.findall(r'name="scope:(\w+)"', page) == ["admin", "user", "registrar", "write", "read"]
    assert 'name="owner"' in page
    bob = await visit(harness, "bob@example.org", "write", "Bob")
    page = await bob.read("/ui/keys/new")
    assert re.findall(r'name="scope:(\w+)"', page) == ["write", "read"]
    assert 'name="owner"' not in page
    refused = await bob.send("/ui/keys", name="x", scope_admin="on", ends="30")
    assert (refused.status, "exceeds your own" in said(text(refused))) == (403, True)
    refused = await bob.send("/ui/keys", name="x", for_="service", scope_read="on", ends="30")
    assert refused.status == 403


async def test_whose(harness: Harness, ada: Visitor) -> None:
    """Keys of a service, of the user and of another user are listed with their owner, and filtered by it."""
    bob = await visit(harness, "bob@example.org", "write", "Bob")
    assert (await make(ada, name="s", for_="service")).startswith("herod_s_")
    await make(ada, name="mine")
    await make(ada, name="his", for_="owner", owner="bob@example.org")
    await make(ada, name="his too", for_="owner", owner=bob.client_id)
    page = await ada.read("/ui/keys")
    assert sorted(rows(page)) == ["his", "his too", "mine", "s"]
    assert "bob@example.org" in page
    assert sorted(rows(await ada.read("/ui/keys", owner="bob@example.org"))) == ["his", "his too"]
    assert rows(await ada.read("/ui/keys", owner=ada.client_id)) == ["mine"]
    assert rows(await ada.read("/ui/keys", kind="service")) == ["s"]
    assert len(rows(await ada.read("/ui/keys", kind="user"))) == 3
    assert rows(await ada.read("/ui/keys", name="his", owner="bob@example.org")) == ["his"]
    assert rows(await ada.read("/ui/keys", name="s")) == ["s"]
    assert "No such key" in await ada.read("/ui/keys", name="none")
    assert sorted(rows(await bob.read("/ui/keys"))) == ["his", "his too"]
    assert "his" in await bob.read(
        f"/ui/keys/{(await harness.admin('keys.list', name='his', owner=bob.client_id)).items[0].id}"
    )


async def test_another_users_key_is_not_there(harness: Harness, ada: Visitor) -> None:
    """Another user's key is not found on any page or form."""
    id_ = (await make(ada)).split("_")[2]
    bob = await visit(harness, "bob@example.org", "write", "Bob")
    await bob.read(f"/ui/keys/{id_}", status=404)
    await bob.read(f"/ui/keys/{id_}/delete", status=404)
    for what in ("rotate", "enable", "disable", "edit", "delete"):
        assert (await bob.send(f"/ui/keys/{id_}/{what}", name="x", scope_read="on", overlap="0")).status == 404


async def test_a_reader(harness: Harness, ada: Visitor) -> None:
    """A user with scope read sees and creates own keys only, and sees no users."""
    bob = await visit(harness, "bob@example.org", "read", "Bob")
    page = await bob.read("/ui/keys")
    assert "Your API keys" in page
    assert "Whose" not in page
    assert "/ui/users" not in page
    assert "/ui/account" in page
    key = await make(bob)
    assert await works(harness, key)
    await bob.read("/ui/keys", order="expires", status=400)
    for path in ("/ui/users", "/ui/users/new", f"/ui/users/{ada.client_id}", f"/ui/users/{bob.client_id}"):
        assert (await bob.get(path)).status in (200, 403)
        assert "ada@example.org" not in text(await bob.get(path))
    assert (await bob.send("/ui/users", email="eve@example.org", scope_read="on")).status == 403


async def test_order_and_pages(harness: Harness, ada: Visitor) -> None:
    """Newest first by default, or oldest, or by expiry; all pages together contain each key once."""
    for number in range(120):
        end = datetime.fromtimestamp(NOW + 1000 * DAY - number * DAY, UTC) if number % 2 else None
        await harness.service_key("read", f"k{number:03}", expires_at=end)
        harness.clock.now += 1
    names = [f"k{number:03}" for number in range(120)]

    async def walk(**query: str) -> list[str]:
        seen, cursor = [], ""
        while True:
            page = text(await ada.get("/ui/keys", **query, **({"cursor": cursor} if cursor else {})))
            seen += rows(page)
            more = re.search(r'cursor=([^&"]+)[^"]*">Next page', page)
            if more is None:
                return seen
            cursor = more[1]

    assert await walk() == names[::-1]
    assert await walk(order="oldest") == names
    assert await walk(order="expires") == names[1::2][::-1]
    assert await walk(state="off") == []
    assert await walk(kind="user") == []
    assert "120 in all" in await ada.read("/ui/keys")
    await ada.read("/ui/keys", order="sideways", status=400)
    await ada.read("/ui/keys", cursor="x", status=400)


async def test_states(harness: Harness, ada: Visitor) -> None:
    """On, off, expired and unused keys are distinguished in the list and by the filter."""
    for name in ("used", "idle", "off"):
        await harness.service_key("read", name)
    await harness.service_key("read", "short", expires_at=datetime.fromtimestamp(NOW + DAY, UTC))
    ids = {key.name: key.id for key in (await harness.admin("keys.list")).items}
    await harness.admin("keys.disable", id=ids["off"])
    harness.clock.now += 100 * DAY
    ada = await sign_in(harness, "ada@example.org", ada.client_id, PASSWORD)
    used = (await harness.admin("keys.rotate", id=ids["used"])).key
    assert await works(harness, used)
    for state, names in (
        ("on", ["idle", "used"]), ("off", ["off"]), ("expired", ["short"]), ("unused", ["idle", "off", "short"]),
    ):  # fmt: skip
        assert sorted(rows(await ada.read("/ui/keys", state=state))) == names
    assert rows(await ada.read("/ui/keys", state="on", order="expires")) == []
    page = await ada.read("/ui/keys", state="expired")
    assert ">expired<" in page


async def test_a_key_that_is_signed_in_makes_none(harness: Harness, ada: Visitor) -> None:
    """For a session of a key, the page has no buttons that would be refused."""
    await harness.service_key("read", "machine")
    bob = await visit(harness, "bob@example.org", "read", "Bob")
    key = await make(bob)
    opened = await harness.call("session.create", Bearer(key))
    half, ticket = cut(opened.cookie)
    viewer = Visitor(harness, bob.client_id, {"cookie": f"herod_session={half}"}, ticket)
    assert "New key" not in await viewer.read("/ui/keys")
    assert "cannot create keys" in await viewer.read("/ui/keys/new")
    page = await viewer.read(f"/ui/keys/{key.split('_')[2]}")
    assert "Rotate</h2>" not in page
    assert (await viewer.send(f"/ui/keys/{key.split('_')[2]}/rotate")).status == 403


async def test_the_page_of_a_key_whose_owner_is_disabled(harness: Harness, ada: Visitor) -> None:
    """It says that the key is refused, and that a new secret would be."""
    bob = await visit(harness, "bob@example.org", "read", "Bob")
    path = f"/ui/keys/{(await make(bob)).split('_')[2]}"
    refused = ("whose account is disabled: the key is refused", "a new secret is refused, too, until that is enabled")
    page = await ada.read(path)
    assert not any(says in page for says in refused)
    await harness.admin("users.disable", client_id=bob.client_id)
    page = await ada.read(path)
    assert all(says in page for says in refused)


async def test_pages_of_an_ended_key(harness: Harness, ada: Visitor) -> None:
    """The page of an expired key offers neither its rotation nor to enable it, says why, and offers a new end."""
    text_ = await make(ada)
    await harness.admin("keys.update", id=text_.split("_")[2], expires_at=rfc3339_text(NOW + 60))
    path = f"/ui/keys/{text_.split('_')[2]}"
    await ada.do(f"{path}/disable")
    page = await ada.read(path)
    assert f'action="{path}/rotate"' in page
    assert "a new secret is refused, too, until it is enabled" in page
    assert f'action="{path}/enable"' in page
    harness.clock.now += 60
    page = await ada.read(path)
    assert f'action="{path}/rotate"' not in page
    assert "set a new expiry date below first" in page
    assert f'action="{path}/enable"' not in page
    assert "set a new expiry date above first" in page
    await ada.do(f"{path}/edit", name="backup", scope_read="on", networks="*", ends="90")
    page = await ada.read(path)
    assert f'action="{path}/rotate"' in page
    assert f'action="{path}/enable"' in page


async def test_an_ended_key_is_expired_on_every_page(harness: Harness, ada: Visitor) -> None:
    """The page of its owner, too, calls an expired key expired, not on."""
    text_ = await make(ada)
    await harness.admin("keys.update", id=text_.split("_")[2], expires_at=rfc3339_text(NOW + 60))
    owner = harness.store.get(ApiKey, text_.split("_")[2])
    assert owner is not None
    assert "expired" not in await ada.read(f"/ui/users/{owner.owner}")
    harness.clock.now += 60
    assert "expired" in await ada.read(f"/ui/users/{owner.owner}")
