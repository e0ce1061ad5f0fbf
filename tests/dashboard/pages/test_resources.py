"""The page of resources: counts and kinds, and a way to release one."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from herod.records import Resource
from herod.store.store_interface import Writer
from support.herod_in_memory import House, open_house
from support.page_visitor import open_pages, said, text, visit

SECRET = "what a tenant chose"


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """A house with pages."""
    async with open_house() as built:
        open_pages(built)
        yield built


async def claim(house: House, kind: str = "vm", *, secret: str = SECRET) -> str:
    """A resource of the local admin's."""
    claimed = await house.admin("resources.claim", kind=kind, name="hidden name", secret=secret, attributes={"a": "b"})
    sid: str = claimed.sid
    return sid


async def test_counts(house: House) -> None:
    """By claimant and kind, the largest first; never a name, an attribute or a secret."""
    admin = await visit(house)
    user = await house.user("user", email="bob@example.org", name="Bob <b>")
    await house.call("resources.claim", user.basic, kind="a <disk>", name="hidden name", secret=SECRET)
    for secret in (SECRET, "another", ""):
        await claim(house, secret=secret)
    counts = await house.admin("resources.count")
    assert (counts.total, counts.is_whole) == (4, True)
    assert [(one.kind, one.count, one.unprotected) for one in counts.groups] == [("vm", 3, 1), ("a <disk>", 1, 0)]
    page = await admin.read("/ui/resources")
    for word in ("4 resources", "a &lt;disk&gt;", "Bob &lt;b&gt;", "local-admin"):
        assert word in page
    told = msgspec.json.encode(counts).decode()
    for word in (SECRET, "hidden name", "another"):
        assert word not in page + told


async def test_none(house: House) -> None:
    """Says how there come to be some, and offers nothing to release."""
    page = await (await visit(house)).read("/ui/resources")
    assert "No resources yet" in page
    assert "Release one" not in page


async def test_release(house: House) -> None:
    """By sid, without its secret; what is not there is said."""
    admin = await visit(house)
    sid, _ = await claim(house), await claim(house)
    assert 'data-confirm="' in await admin.read("/ui/resources")
    assert said(await admin.do("/ui/resources/release", sid=f" {sid} ")) == "The resource is released."
    assert house.store.count(Resource) == 1
    answer = await admin.send("/ui/resources/release", sid="<no>")
    assert answer.status == 404
    assert "no such resource" in said(text(answer))
    assert 'value="&lt;no&gt;"' in text(answer)
    assert (await admin.send("/ui/resources/release", sid="")).status == 400


async def test_there_is_a_bound(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not counted is not silently left out."""
    for kind in ("a", "b", "c"):
        await claim(house, kind)
    monkeypatch.setattr("herod.operations.resources.resource_counts.MAX_GROUPS", 2)
    counts = await house.admin("resources.count")
    assert (len(counts.groups), counts.is_whole) == (2, False)
    monkeypatch.setattr("herod.operations.resources.resource_counts.MAX_SURVEYED", 1)
    assert sum(one.count for one in (await house.admin("resources.count")).groups) == 1
    assert "more than are counted" in await (await visit(house)).read("/ui/resources")


async def test_others(house: House) -> None:
    """Count nothing, and release nothing by sid alone."""
    sid = await claim(house)
    reader = await visit(house, "bob@example.org", scope="user", name="Bob")
    assert (await reader.get("/ui/resources")).status == 403
    assert (await reader.send("/ui/resources/release", sid=sid)).status in {403, 404}
    assert house.store.get(Resource, sid) is not None


async def test_a_claimant_that_is_gone(house: House) -> None:
    """Is shown by its id."""
    sid = await claim(house)
    resource = house.store.get(Resource, sid)
    assert resource is not None
    gone = msgspec.structs.replace(resource, id="other", claimant="0f8fad5b-d9cb-469f-a165-708677289500")

    def put(tx: Writer) -> None:
        tx.put(gone)

    await house.store.write(put)
    assert "<code>0f8fad5b-d9cb-469f-a165-708677289500</code>" in await (await visit(house)).read("/ui/resources")
