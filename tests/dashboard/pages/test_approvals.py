"""The approvals page: what waits for the visitor, what is shown of it, and the two buttons."""

import re
from typing import Any

import pytest

from herod.identity.credential_types import Bearer
from herod.records import Resource
from herod_client.core.errors import ApprovalRequired
from support.connected_apps import app_token, connect_app
from support.herod_in_memory import PASSWORD, TCP, Harness, User
from support.page_visitor import OWN, Visitor, open_pages, said, sign_in, text

SECRET = "the tenant's own secret"


@pytest.fixture
async def ada(harness: Harness) -> Visitor:
    """A person with scope user, signed in."""
    open_pages(harness)
    await harness.service_key("admin", "spare")
    user = await harness.user(scope="user", email="ada@example.org", name="Ada", password=PASSWORD)
    return await sign_in(harness, "ada@example.org", user.client_id)


async def asked(ada: Visitor, name: str = "web <b>1</b>", **changes: Any) -> tuple[str, str, Bearer]:
    """An app of hers asks for the release of a resource of hers: the approval's id, the sid, the app's token."""
    harness, user = ada.harness, User(ada.harness, ada.client_id, "")
    delegation = await connect_app(harness, user, "user", **{"app_name": "An <i>agent</i>", **changes})
    app = app_token(harness, delegation, ttl=3600)
    claimed = await harness.call("resources.claim", app, TCP, kind="vm", name=name, secret=SECRET)
    with pytest.raises(ApprovalRequired) as refused:
        await harness.call("resources.release", app, TCP, sid=claimed.sid, secret=SECRET)
    return refused.value.id, claimed.sid, app


async def test_deciding(ada: Visitor) -> None:
    """The list leads to the page, whose buttons approve or decline; both are told on the list."""
    assert "Nothing waits for you" in await ada.read("/ui/approvals")
    id_, sid, app = await asked(ada)
    listed = await ada.read("/ui/approvals")
    assert "waits for you" in listed
    assert f'href="/ui/approvals/{id_}?ticket=' in listed
    page = await ada.read(f"/ui/approvals/{id_}")
    for shown in ("Approve this change?", "An &lt;i&gt;agent&lt;/i&gt;", "a name that the app chose itself"):
        assert shown in page, shown
    for shown in ("Release one of your resources", "web &lt;b&gt;1&lt;/b&gt;", sid, "resources.release", "127.0.0.1"):
        assert shown in page, shown
    assert SECRET not in page
    done = await ada.do(f"/ui/approvals/{id_}/decide", approve="true")
    assert said(done) == "Approved: the app may now do it, once."
    assert "You approved this change" in await ada.read(f"/ui/approvals/{id_}")
    await ada.harness.call("resources.release", app, TCP, sid=sid, secret=SECRET)
    assert "has ended, was used, or is not yours" in await ada.read(f"/ui/approvals/{id_}", status=404)
    id_, sid, _ = await asked(ada, app="another")
    assert said(await ada.do(f"/ui/approvals/{id_}/decide", approve="false")) == "Declined: the app is told so."
    again = await ada.send(f"/ui/approvals/{id_}/decide", approve="true")
    assert again.status == 409
    assert "decided already" in said(text(again))
    assert ada.harness.store.get(Resource, sid) is not None


@pytest.mark.parametrize("approve", [None, "", "maybe", "yes"])
async def test_no_decision(ada: Visitor, approve: str | None) -> None:
    """A form without one of the two answers decides nothing."""
    id_, _, _ = await asked(ada)
    answer = await ada.send(f"/ui/approvals/{id_}/decide", **({} if approve is None else {"approve": approve}))
    assert answer.status == 400
    assert "Approve once" in text(answer)


async def test_a_recent_sign_in(ada: Visitor) -> None:
    """The page asks for one before it shows the buttons, and leads back; so does the form."""
    id_, _, _ = await asked(ada)
    ada.harness.clock.now += 301
    for answer in (
        await ada.get(f"/ui/approvals/{id_}"),
        await ada.send(f"/ui/approvals/{id_}/decide", approve="true"),
    ):
        assert answer.status == 401
        assert "within the last 5 minutes" in text(answer)
    assert "waits for you" in await ada.read("/ui/approvals")
    back = re.findall(r'name="back" value="([^"]+)"', text(await ada.get(f"/ui/approvals/{id_}")))[0]
    form = f"email=ada%40example.org&password={PASSWORD.replace(' ', '+')}&back={back}"
    again = await ada.harness.request("POST", "/ui/sign-in", form=form, headers={**OWN, **ada.cookie})
    assert again.headers["location"].startswith(f"/ui/approvals/{id_}?ticket=")


async def test_signing_in_first(ada: Visitor) -> None:
    """Who follows the address that the app shows is told why to sign in, and not offered what could not decide."""
    id_, _, _ = await asked(ada)
    led = await ada.harness.request("GET", f"/ui/approvals/{id_}", headers={"sec-fetch-site": "none"})
    shown = text(await ada.harness.request("GET", led.headers["location"], headers={"sec-fetch-site": "same-origin"}))
    assert "An app sent you here" in shown
    assert "API key" not in shown


async def test_only_a_person(ada: Visitor) -> None:
    """The session of an API key sees the list of its account, and is led to sign in before it can decide."""
    id_, _, _ = await asked(ada)
    key = (await ada.harness.admin("keys.create", name="k", owner=ada.client_id, scope="user")).key
    answer = await ada.harness.request("POST", "/ui/sign-in/key", form=f"key={key}", headers=OWN)
    cookie = {"cookie": answer.headers["set-cookie"].partition(";")[0]}
    keyed = Visitor(ada.harness, ada.client_id, cookie, answer.headers["location"].partition("ticket=")[2])
    assert "waits for you" in await keyed.read("/ui/approvals")
    for refused in (
        await keyed.get(f"/ui/approvals/{id_}"),
        await keyed.send(f"/ui/approvals/{id_}/decide", approve="true"),
    ):
        assert refused.status == 403
        assert "Only a person may do this" in text(refused)
        assert "Approve once" not in text(refused)


async def test_nobody_else(ada: Visitor) -> None:
    """An admin finds nothing, on the list, on the page and by the form."""
    id_, _, _ = await asked(ada)
    boss = await ada.harness.user(scope="admin", email="boss@example.org", password=PASSWORD)
    admin = await sign_in(ada.harness, "boss@example.org", boss.client_id)
    assert "Nothing waits for you" in await admin.read("/ui/approvals")
    assert "is not yours" in await admin.read(f"/ui/approvals/{id_}", status=404)
    assert (await admin.send(f"/ui/approvals/{id_}/decide", approve="true")).status == 404
    assert "waits for you" in await ada.read("/ui/approvals")


async def test_never_in_a_frame(ada: Visitor) -> None:
    """Neither page may be shown in a frame."""
    id_, _, _ = await asked(ada)
    for path in ("/ui/approvals", f"/ui/approvals/{id_}"):
        assert (await ada.get(path)).headers["x-frame-options"] == "DENY"
