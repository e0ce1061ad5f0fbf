"""The audit page: rows, filters, following and verification."""

import re
from collections.abc import AsyncIterator

import pytest

from herod.store.audit_chain import decode_event, encode_event
from support.herod_in_memory import Harness, open_harness
from support.page_visitor import open_pages, said, text, visit


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    """A harness with pages."""
    async with open_harness() as built:
        open_pages(built)
        yield built


def operations(page: str) -> list[str]:
    """The operations of the rows, in order."""
    return re.findall(r'<th scope="row"><code>([^<]+)</code>', page)


async def test_rows_newest_first_with_names(harness: Harness) -> None:
    """Existing users and keys are shown by name with a link; deleted ones by id."""
    admin = await visit(harness)
    user = await harness.user(email="bob@example.org", name="Bob <b>")
    gone = await harness.user(email="gone@example.org", name="Gone Girl")
    await harness.admin("users.delete", client_id=gone.client_id)
    page = await admin.read("/ui/audit")
    assert operations(page) == ["users.delete", "users.add", "users.add", "session.sign_in", "users.add"]
    assert "Bob &lt;b&gt;" in page
    assert f'title="{user.client_id}"' in page
    assert "Gone Girl" not in page
    assert f"<code>{gone.client_id}</code>" in page
    assert "<code>local-admin</code>" in page


async def test_looking_for_names_denies_nobody(harness: Harness) -> None:
    """Looking up an id that belongs to no user records no denial, which would fill the log."""
    admin = await visit(harness)
    await harness.admin("resources.claim", kind="vm", name="web", secret="s")
    await admin.read("/ui/audit")
    await harness.pipeline.flush(is_last=True)
    assert "denied" not in {row.event.outcome for row in harness.store.audit_rows()}


async def test_filters(harness: Harness) -> None:
    """Filters combine with AND, are kept in the form, and apply to all pages."""
    admin = await visit(harness)
    for number in range(60):
        await harness.user(email=f"user{number}@example.org")
    page = await admin.read("/ui/audit", operation="users.*", outcome="ok", actor="", source="uid:990")
    assert operations(page) == ["users.add"] * 50
    assert 'value="users.*"' in page
    assert "<option selected>ok</option>" in page
    (more,) = re.findall(r'rel="next" href="([^"]+)"', page)
    assert "operation=users.*" in more
    answer = await harness.request("GET", more.replace("&amp;", "&"), headers=admin.cookie)
    assert operations(text(answer)) == ["users.add"] * 11
    assert "No rows" in await admin.read("/ui/audit", operation="keys.*")
    since = await admin.read("/ui/audit", since="2027-01-15T08:00", operation="session.*")
    assert "session.sign_in" in operations(since)
    assert "No rows" in await admin.read("/ui/audit", until="2027-01-15T07:59:00")


async def test_a_filter_that_is_none(harness: Harness) -> None:
    """An invalid filter is reported on the page, which keeps the input."""
    admin = await visit(harness)
    page = await admin.read("/ui/audit", since='x"><script>', status=400)
    assert said(page)
    assert "<script>" not in page
    assert "x&#34;&gt;&lt;script&gt;" in page
    assert "cursor" in said(await admin.read("/ui/audit", cursor="nonsense", status=400))


async def test_following(harness: Harness) -> None:
    """A part of the page polls every two seconds for newer rows under the filter, and puts them on top."""
    admin = await visit(harness)
    page = await admin.read("/ui/audit", follow="on", operation="users.*")
    for word in ('hx-trigger="every 2s"', 'hx-target="#rows"', 'hx-swap="afterbegin"', 'aria-live="polite"', "Reload"):
        assert word in page
    (target,) = re.findall(r'id="follow"[^>]* hx-get="([^"]+)"', page)
    target = target.replace("&amp;", "&")
    assert (await harness.request("GET", target, headers=admin.cookie)).status == 204
    await harness.user(email="one@example.org")
    await harness.service_key("read", "not wanted")
    await harness.admin("users.disable", client_id=(await harness.user(email="two@example.org")).client_id)
    answer = await harness.request("GET", target, headers=admin.cookie)
    assert operations(text(answer)) == ["users.disable", "users.add", "users.add"]
    assert 'hx-swap-oob="true"' in text(answer)
    assert "3 new, the last: users.disable, ok" in text(answer)
    assert "<html" not in text(answer)
    (target,) = re.findall(r'hx-get="([^"]+)"', text(answer))
    assert (await harness.request("GET", target.replace("&amp;", "&"), headers=admin.cookie)).status == 204


async def test_following_an_empty_log(harness: Harness) -> None:
    """An empty log has an empty table for new rows."""
    admin = await visit(harness)
    page = await admin.read("/ui/audit", follow="on", operation="nothing.*")
    assert '<tbody id="rows">' in page
    assert "Following" not in await admin.read("/ui/audit")


async def test_verify(harness: Harness) -> None:
    """Verification checks the whole log, and that it contains an earlier head."""
    admin = await visit(harness)
    page = text(await admin.send("/ui/audit/verify"))
    (head,) = re.findall(r'<code id="head">([0-9a-f]{64})</code>', page)
    assert "The log is intact:" in page
    await harness.user()
    page = text(await admin.send("/ui/audit/verify", expect=head))
    assert "The log is intact:" in page
    page = text(await admin.send("/ui/audit/verify", expect="5f" * 32))
    assert "is not intact" in page
    answer = await admin.send("/ui/audit/verify", expect="<zz>")
    assert answer.status == 400
    assert "64 characters" in said(text(answer))
    assert 'value="&lt;zz&gt;"' in text(answer)


async def test_a_changed_row_is_named(harness: Harness) -> None:
    """The first invalid row is shown with the reason."""
    admin = await visit(harness)
    rows = harness.store.state.audit
    seq, json, mac = rows[1]
    event = decode_event(json)
    rows[1] = seq, encode_event(event).replace('"ok"', '"no"'), mac
    page = text(await admin.send("/ui/audit/verify"))
    assert f"from row {seq} on" in page
    assert 'role="alert"' in page


async def test_others_see_nothing(harness: Harness) -> None:
    """Non-admins get no rows, fragments or verification."""
    await visit(harness)
    reader = await visit(harness, "bob@example.org", scope="write", name="Bob")
    for answer in (
        await reader.get("/ui/audit"),
        await reader.get("/ui/audit/new", after="0"),
        await reader.send("/ui/audit/verify"),
    ):
        assert answer.status == 403
        assert "session.sign_in" not in text(answer)
