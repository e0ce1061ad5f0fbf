"""The page of resources: counts by kind, and a form to release one."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from herod.records import Resource
from herod.store.store_interface import Writer
from support.herod_in_memory import Harness, open_harness
from support.page_visitor import open_pages, said, text, visit

SECRET = "what a tenant chose"


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    """A harness with pages."""
    async with open_harness() as built:
        open_pages(built)
        yield built


async def claim(harness: Harness, kind: str = "vm", *, secret: str = SECRET) -> str:
    """Claim a resource as the local admin."""
    claimed = await harness.admin(
        "resources.claim", kind=kind, name="hidden name", secret=secret, attributes={"a": "b"}
    )
    sid: str = claimed.sid
    return sid


async def test_counts(harness: Harness) -> None:
    """Resources are counted by claimant and kind, largest first, without names, attributes or secrets."""
    admin = await visit(harness)
    user = await harness.user("user", email="bob@example.org", name="Bob <b>")
    await harness.call("resources.claim", user.basic, kind="a <disk>", name="hidden name", secret=SECRET)
    for secret in (SECRET, "another", ""):
        await claim(harness, secret=secret)
    counts = await harness.admin("resources.count")
    assert (counts.total, counts.is_whole) == (4, True)
    assert [(one.kind, one.count, one.unprotected) for one in counts.groups] == [("vm", 3, 1), ("a <disk>", 1, 0)]
    page = await admin.read("/ui/resources")
    for word in ("4 resources", "a &lt;disk&gt;", "Bob &lt;b&gt;", "local-admin"):
        assert word in page
    told = msgspec.json.encode(counts).decode()
    for word in (SECRET, "hidden name", "another"):
        assert word not in page + told


async def test_none(harness: Harness) -> None:
    """Without resources the page says how to create one, and has no form."""
    page = await (await visit(harness)).read("/ui/resources")
    assert "No resources yet" in page
    assert "Release one" not in page


async def test_release(harness: Harness) -> None:
    """An admin releases a resource by sid, without its secret; an unknown one is reported."""
    admin = await visit(harness)
    sid, _ = await claim(harness), await claim(harness)
    assert 'data-confirm="' in await admin.read("/ui/resources")
    assert said(await admin.do("/ui/resources/release", sid=f" {sid} ")) == "The resource is released."
    assert harness.store.count(Resource) == 1
    answer = await admin.send("/ui/resources/release", sid="<no>")
    assert answer.status == 404
    assert "no such resource" in said(text(answer))
    assert 'value="&lt;no&gt;"' in text(answer)
    assert (await admin.send("/ui/resources/release", sid="")).status == 400


async def test_there_is_a_bound(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound the page says that not all are counted."""
    for kind in ("a", "b", "c"):
        await claim(harness, kind)
    monkeypatch.setattr("herod.operations.resources.resource_counts.MAX_GROUPS", 2)
    counts = await harness.admin("resources.count")
    assert (len(counts.groups), counts.is_whole) == (2, False)
    monkeypatch.setattr("herod.operations.resources.resource_counts.MAX_SURVEYED", 1)
    assert sum(one.count for one in (await harness.admin("resources.count")).groups) == 1
    assert "more than were counted" in await (await visit(harness)).read("/ui/resources")


async def test_others(harness: Harness) -> None:
    """Non-admins see no counts and cannot release by sid alone."""
    sid = await claim(harness)
    reader = await visit(harness, "bob@example.org", scope="user", name="Bob")
    assert (await reader.get("/ui/resources")).status == 403
    assert (await reader.send("/ui/resources/release", sid=sid)).status in {403, 404}
    assert harness.store.get(Resource, sid) is not None


async def test_a_claimant_that_is_gone(harness: Harness) -> None:
    """A deleted claimant is shown by id."""
    sid = await claim(harness)
    resource = harness.store.get(Resource, sid)
    assert resource is not None
    gone = msgspec.structs.replace(resource, id="other", claimant="0f8fad5b-d9cb-469f-a165-708677289500")

    def put(tx: Writer) -> None:
        tx.put(gone)

    await harness.store.write(put)
    assert "<code>0f8fad5b-d9cb-469f-a165-708677289500</code>" in await (await visit(harness)).read("/ui/resources")
