"""Browser sessions: users list and end the sessions they may, and no others."""

from functools import partial
from typing import Any

import pytest

from herod.dashboard.csrf import cut
from herod.dashboard.quart_app import make_app
from herod.identity.credential_types import Bearer, SessionCookie
from herod.operations.operation_table import OPERATIONS
from herod.protocols.host_and_origin_guard import Guard
from herod.protocols.router import Router
from herod.scopes.principal import Source
from herod.server.dashboard_requests import PageRequests
from herod_client.core.errors import ExpiredToken, HerodError, NotFound, TargetDenied
from support.herod_in_memory import ADMIN_SOURCE, LOCAL_ADMIN, PASSWORD, TCP, Answer, Harness, User
from support.page_visitor import open_pages, visit

OWN = {"origin": "http://localhost", "sec-fetch-site": "same-origin"}


@pytest.fixture
async def dashboard(harness: Harness) -> Harness:
    """A harness with pages."""
    harness.router = Router(
        harness.pipeline, OPERATIONS, Guard(), PageRequests(partial(make_app, harness.pipeline, OPERATIONS))
    )
    return harness


async def listed(harness: Harness, session: SessionCookie) -> list[str]:
    """The names of the sessions that a session can list."""
    page = await harness.call("session.list", session, TCP)
    return [shape.name for shape in page.items]


async def own_id(harness: Harness, session: SessionCookie) -> str:
    """The id of a session."""
    page = await harness.call("session.list", session, TCP)
    (found,) = (shape.id for shape in page.items if shape.is_this)
    return str(found)


async def end(harness: Harness, session: SessionCookie, other: str) -> type[HerodError] | None:
    """End one session with another; return the refusal, if any."""
    try:
        await harness.call("session.end", session, TCP, id=other)
    except HerodError as error:
        return type(error)
    return None


async def is_over(harness: Harness, session: SessionCookie) -> bool:
    """Whether a session is refused."""
    try:
        await harness.call("whoami", session, TCP)
    except ExpiredToken:
        return True
    return False


async def people(harness: Harness) -> tuple[User, User]:
    """An admin and a user with less."""
    admin = await harness.user(scope="admin", email="ada@example.org", name="Ada", password=PASSWORD)
    return admin, await harness.user(scope="write", email="bob@example.org", name="Bob", password=PASSWORD)


async def test_an_admin_sees_everybodys_and_others_their_own(harness: Harness) -> None:
    """Admins list all sessions, others their own, oldest first, with the current one marked."""
    admin, bob = await people(harness)
    hers, his = await admin.session(), await bob.session()
    harness.clock.now += 1
    await bob.session()
    assert sorted(await listed(harness, hers)) == ["Ada", "Bob", "Bob"]
    assert await listed(harness, his) == ["Bob", "Bob"]


async def test_ending(harness: Harness) -> None:
    """Admins end any session, others their own, and a session they cannot see is not found."""
    admin, bob = await people(harness)
    hers, his, second = await admin.session(), await bob.session(), await bob.session()
    assert await end(harness, his, await own_id(harness, hers)) is NotFound
    assert await end(harness, his, "nothing") is NotFound
    assert await end(harness, his, await own_id(harness, second)) is None
    assert await is_over(harness, second)
    assert await end(harness, hers, await own_id(harness, his)) is None
    assert await is_over(harness, his)
    assert not await is_over(harness, hers)


async def test_nobody_ends_who_holds_more(harness: Harness) -> None:
    """An admin of one network and a key's session of the same account end only sessions within their own grant."""
    admin, bob = await people(harness)
    lab = await (await harness.user(scope="admin", networks=["lab"], name="Lab")).session()
    hers, his = await admin.session(), await bob.session()
    assert await end(harness, lab, await own_id(harness, hers)) is TargetDenied
    narrow = await bob.session(Bearer(await bob.key(scope="read")))
    assert await end(harness, narrow, await own_id(harness, his)) is TargetDenied
    seen = (await harness.call("session.list", narrow, TCP)).items
    assert [(shape.is_this, shape.may_end) for shape in seen if not shape.is_this] == [(False, False)]
    assert await end(harness, his, await own_id(harness, narrow)) is None


async def test_what_is_over_is_not_listed(harness: Harness) -> None:
    """Expired sessions and those of a disabled account are not listed."""
    admin, bob = await people(harness)
    await bob.session()
    harness.clock.now += 12 * 3600
    hers = await admin.session()
    assert await listed(harness, hers) == ["Ada"]
    await bob.session()
    await harness.admin("users.disable", client_id=bob.client_id)
    assert await listed(harness, hers) == ["Ada"]


async def test_a_sessions_facts(harness: Harness) -> None:
    """A session shows method, source, times and its present grant."""
    _, bob = await people(harness)
    opened = await harness.call("session.create", Bearer(await bob.key(scope="read")), TCP, browser="Firefox")
    (shape,) = (await harness.call("session.list", SessionCookie(opened.cookie), TCP)).items
    assert (shape.method, shape.scope, shape.source, shape.browser) == ("user_key", "read", "127.0.0.1", "Firefox")
    assert (shape.expires_at - shape.created_at).total_seconds() == 12 * 3600
    assert shape.is_this
    assert not shape.may_end


async def test_ending_is_audited(harness: Harness) -> None:
    """Ending a session is audited with actor and session."""
    admin, bob = await people(harness)
    hers, his = await admin.session(), await bob.session()
    target = await own_id(harness, his)
    await harness.call("session.end", hers, TCP, id=target)
    rows = (await harness.call("audit.list", LOCAL_ADMIN, ADMIN_SOURCE)).items
    (row,) = (row for row in rows if row.operation == "session.end")
    assert (row.actor, row.target, row.outcome) == (admin.client_id, target, "ok")


async def show(harness: Harness, session: SessionCookie, path: str = "/ui/sessions", form: str = "") -> Answer:
    """Get a page or send a form, as the session's browser does."""
    half, ticket = cut(session.text)
    headers = {"cookie": f"herod_session={half}"}
    if form:
        return await harness.request("POST", path, form=f"ticket={ticket}", headers={**headers, **OWN})
    return await harness.request("GET", f"{path}?ticket={ticket}", headers=headers)


async def test_the_page(dashboard: Harness) -> None:
    """The page marks this browser, signs others out, and has no button for what would be refused."""
    admin, bob = await people(dashboard)
    hers, his = await admin.session(), await bob.session()
    page = (await show(dashboard, hers)).response.body.decode()
    assert "All browsers that are signed in" in page
    assert page.count(">this browser<") == 1
    assert page.count('/end"') == 1
    target = await own_id(dashboard, his)
    answer = await show(dashboard, hers, f"/ui/sessions/{target}/end", form="post")
    assert answer.status == 303
    assert "said=session-ended" in answer.headers["location"]
    assert await is_over(dashboard, his)
    assert (await show(dashboard, hers, f"/ui/sessions/{target}/end", form="post")).status == 404


async def test_the_page_of_who_is_no_admin(dashboard: Harness) -> None:
    """Non-admins see their own sessions, and cannot end others' by URL."""
    admin, bob = await people(dashboard)
    hers, his = await admin.session(), await bob.session()
    page = (await show(dashboard, his)).response.body.decode()
    assert "The browsers that you are signed in with" in page
    assert "Ada" not in page
    target = await own_id(dashboard, hers)
    assert (await show(dashboard, his, f"/ui/sessions/{target}/end", form="post")).status == 404
    assert not await is_over(dashboard, hers)


async def test_a_restart_ends_sessions_without_tls(harness: Harness) -> None:
    """Without TLS a restart ends sessions, because another program may have received their requests on the port."""
    user = await harness.user()
    plain = await user.session()
    opened = await harness.call("session.create", user.basic, Source(address="127.0.0.1", secure=True))
    over_tls = SessionCookie(opened.cookie)
    harness.runtime.boot_epoch += 1  # as a restart does
    with pytest.raises(ExpiredToken):
        await harness.call("whoami", plain, TCP)
    assert (await harness.call("whoami", over_tls, TCP)).sub == user.client_id


async def test_signing_out_everywhere(harness: Harness) -> None:
    """The page ends all other browsers of the visitor, says how many one may have, and offers everyone to an owner."""
    open_pages(harness)
    ada, owner = (
        await visit(harness, "ada@example.org", "read", "Ada"),
        await visit(harness, "o@example.org", "owner", "O"),
    )
    elsewhere = SessionCookie((await sign_in_elsewhere(harness, "ada@example.org")).cookie)
    page = await ada.read("/ui/sessions")
    assert "50 browsers at a time" in page
    assert "Sign out everyone" not in page
    assert "All other browsers are signed out" in await ada.do("/ui/sessions/end-all")
    assert await is_over(harness, elsewhere)
    assert (await ada.send("/ui/sessions/end-everyone")).status == 403
    assert "Sign out everyone" in await owner.read("/ui/sessions")
    assert "All other browsers are signed out" in await owner.do("/ui/sessions/end-everyone")
    assert (await harness.request("GET", "/ui/sessions")).status in {303, 401}
    assert len(await listed(harness, SessionCookie((await sign_in_elsewhere(harness, "ada@example.org")).cookie))) == 1


async def sign_in_elsewhere(harness: Harness, email: str) -> Any:
    """Open another session."""
    return await harness.call("session.sign_in", None, TCP, email=email, password=PASSWORD)
