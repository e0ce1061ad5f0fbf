"""The attention list: access that is more than needed, with what fixes it, over each protocol and on the page."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from herod.operations.system.admin_warnings import AdminWarning
from herod.store.store_interface import Usage
from support.connected_apps import connect_app
from support.herod_in_memory import NOW, Harness, bearer, open_harness
from support.page_visitor import open_pages, visit
from support.persons import new_person

DAY = 86_400


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    """A harness with pages."""
    async with open_harness() as built:
        open_pages(built)
        yield built


async def found(harness: Harness) -> dict[str, AdminWarning]:
    """The warnings by their code."""
    return {one.code: one for one in (await harness.admin("attention")).items}


async def test_over_each_protocol(harness: Harness) -> None:
    """REST, JSON-RPC and the overview tell admins the same, and others nothing."""
    await harness.admin("apps.add", name="Tool", redirect_uris=["https://tool.example.org/"], scope="admin")
    key = await harness.service_key("admin")
    answer = await harness.request("GET", "/api/v1/attention", headers=bearer(key))
    items = answer.json["data"]["items"]
    assert (await harness.rpc("attention", headers=bearer(key)))["result"]["items"] == items
    assert [one["code"] for one in items] == [one.code for one in (await harness.admin("overview")).attention]
    (app,) = (one for one in items if one["code"] == "app_admin")
    assert app["command"] == f"herod app edit {app['subjects'][0]['id']} --scope read"
    user = await harness.user("write")
    assert (await harness.request("GET", "/api/v1/attention", headers=user.basic_header)).status == 403
    assert (await harness.request("GET", "/api/v1/attention")).status == 401


async def test_a_connected_app_that_nobody_uses(harness: Harness) -> None:
    """After 90 days without a use it is named with the command that ends it; what was used, or has ended, is not."""
    ada, bob = await harness.user(email="eve@example.org"), await harness.user()
    lasting: dict[str, Any] = {"expires_at": NOW + 200 * DAY}
    idle = await connect_app(harness, ada, app_name="Old <agent>", **lasting)
    used = await connect_app(harness, ada, app="used", **lasting)
    await connect_app(harness, ada, app="ended")  # after 90 days
    await connect_app(harness, bob, **lasting)
    harness.store.note_use(used.id, Usage(NOW + 10, "127.0.0.1"))
    harness.clock.now += 90 * DAY - 1
    assert "delegation_unused" not in await found(harness)
    harness.clock.now += 2
    await harness.admin("users.disable", client_id=bob.client_id)
    one = (await found(harness))["delegation_unused"]
    assert (one.level, one.message) == ("consider", "1 connected app not used for 90 days or more.")
    assert [(topic.id, topic.name) for topic in one.subjects] == [(idle.id, "Old <agent> of eve@example.org")]
    assert one.command == f"herod app disconnect {idle.id}"
    page = await (await visit(harness)).read("/ui/home")
    assert "Old &lt;agent&gt; of eve@example.org" in page
    assert one.command in page
    await harness.admin("delegations.revoke", id=idle.id)
    assert "delegation_unused" not in await found(harness)


async def test_a_connected_app_with_admin(harness: Harness) -> None:
    """What people let apps do is named where it includes admin."""
    ada = await harness.user("admin")
    await connect_app(harness, ada, "write", app="harmless")
    await connect_app(harness, ada, "admin", app="herod-cli", app_origin="registered")  # what `herod login` is for
    given = await connect_app(harness, ada, "admin", app="agent")
    one = (await found(harness))["delegation_admin"]
    assert one.message == "1 connected app can do what an admin can."
    assert one.command == f"herod app disconnect {given.id}"
    await harness.admin("delegations.revoke", id=given.id)
    assert "delegation_admin" not in await found(harness)


async def test_an_admin_without_a_second_factor(harness: Harness) -> None:
    """Enabled admins with a password are named until they have one; accounts without a password sign in nowhere."""
    assert "admin_factor" not in await found(harness)
    await harness.user("admin")
    await new_person(harness, scope="write", email="bea@example.org")
    ada = await new_person(harness, scope="owner", email="eve@example.org")
    one = (await found(harness))["admin_factor"]
    assert one.level == "soon"
    assert one.message.startswith("1 admin without a second factor")
    assert [topic.name for topic in one.subjects] == ["eve@example.org"]
    assert 'second_factor = "admin"' in one.fix
    page = await (await visit(harness)).read("/ui/home")
    assert re.search(rf'<a href="/ui/users/{ada.id}\?ticket=[^"]+">eve@example.org</a>', page)
    assert re.search(r'<a href="/ui/account\?ticket=[^"]+">Go to Your account</a>', page)
    harness.configure(second_factor="admin")
    assert "They must do so" in (await found(harness))["admin_factor"].fix
    await ada.set_up_app()
    assert "eve@example.org" not in [topic.name for topic in (await found(harness))["admin_factor"].subjects]


async def test_passkeys_of_another_host(harness: Harness) -> None:
    """After the public URL got another host, its former passkeys are named, with whose they are and where."""
    eve = await new_person(harness, email="eve@example.org")
    await eve.enrol()
    assert "passkeys_stranded" not in await found(harness)
    harness.configure(public_url="https://auth.example.org")
    one = (await found(harness))["passkeys_stranded"]
    assert one.message.startswith("1 passkey for another host")
    assert [(topic.id, topic.name) for topic in one.subjects] == [(eve.id, "laptop of eve@example.org, at localhost")]
    page = await (await visit(harness)).read("/ui/home")
    assert re.search(rf'<a href="/ui/users/{eve.id}\?ticket=[^"]+">laptop of eve@example.org, at localhost</a>', page)


async def test_many(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only some are named and not more than a bound are read; then the message says "at least"."""
    for number in range(7):
        await harness.user("admin", email=f"a{number}@example.org", password="correct horse battery")
    one = (await found(harness))["admin_factor"]
    assert (len(one.subjects), one.message[:8]) == (5, "7 admins")
    monkeypatch.setattr("herod.store.store_interface.MAX_PAGE", 2)
    monkeypatch.setattr("herod.store.memory_state.MAX_PAGE", 2)
    monkeypatch.setattr("herod.operations.system.access_survey.MAX_RECORDS", 3)
    assert (await found(harness))["admin_factor"].message.startswith("At least 4 admins")
