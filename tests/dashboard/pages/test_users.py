"""The pages of users and of one's own account, through the real router."""

import pytest
from msgspec.structs import replace

from herod.records import Account
from support.herod_in_memory import PASSWORD, Harness
from support.page_visitor import OWN, Visitor, open_pages, rows, said, secret_of, sign_in, text, visit

NEW = "another long password"


@pytest.fixture
async def ada(harness: Harness) -> Visitor:
    """An admin who is signed in."""
    open_pages(harness)
    return await visit(harness)


async def add(visitor: Visitor, email: str = "bob@example.org", **fields: str) -> str:
    """Add a user with the form; return the client_id."""
    answer = await visitor.send("/ui/users", email=email, **{"name": "Bob", "scope_read": "on", **fields})
    assert answer.status == 200, said(text(answer))
    assert secret_of(text(answer))
    return str((await visitor.harness.admin("users.get", email=email)).client_id)


async def test_a_users_life(harness: Harness, ada: Visitor) -> None:
    """A user is added, promoted, renamed, disabled, enabled, given a password and a client secret, and deleted."""
    id_ = await add(ada, scope_write="on", networks="lab office")
    page = f"/ui/users/{id_}"
    assert "bob@example.org" in await ada.read(page)
    assert "scope is set" in said(await ada.do(f"{page}/scope", scope_read="on"))
    assert "changed" in said(await ada.do(f"{page}/edit", name="Robert", networks="lab"))
    user = await harness.admin("users.get", client_id=id_)
    assert (user.name, user.scope, user.networks) == ("Robert", "read", ["lab"])
    assert "password is set" in said(await ada.do(f"{page}/password", password=PASSWORD))
    await sign_in(harness, "bob@example.org", id_)
    assert "browsers are signed out" in said(await ada.do(f"{page}/sign_out"))
    assert "is disabled" in said(await ada.do(f"{page}/disable"))
    refused = await harness.request("POST", "/login", json={"email": "bob@example.org", "password": PASSWORD})
    assert refused.status == 401
    assert "is enabled" in said(await ada.do(f"{page}/enable"))
    answer = await ada.send(f"{page}/secret")
    assert answer.status == 200
    secret = secret_of(text(answer))
    assert secret not in await ada.read(page)
    await harness.admin("keys.create", name="laptop", kind="user", owner=id_)
    question = await ada.read(f"{page}/delete")
    assert "1 key of theirs" in question
    assert "laptop" in question
    assert "was deleted" in said(await ada.do(f"{page}/delete"))
    await ada.read(page, status=404)


async def test_confirm(harness: Harness, ada: Visitor) -> None:
    """A user who registered is marked as not confirmed, until an admin confirms them; that can be taken back."""
    registered = await harness.call("register", None, email="eve@example.org", password=PASSWORD)
    page = f"/ui/users/{registered.client_id}"
    assert "unconfirmed" in await ada.read("/ui/users")
    assert "is confirmed" in said(await ada.do(f"{page}/confirm", confirmed="on"))
    assert "unconfirmed" not in await ada.read("/ui/users")
    assert "not confirmed any more" in said(await ada.do(f"{page}/confirm"))


async def test_the_list(harness: Harness, ada: Visitor) -> None:
    """Users are listed newest or oldest first, in pages, and found by their normalized email or by client_id."""
    for number in range(60):
        harness.clock.now += 1
        await harness.user(email=f"u{number}@example.org", name=f"U{number}")
    newest = [f"U{number}" for number in range(59, -1, -1)]
    page = await ada.read("/ui/users")
    assert rows(page) == newest[:50]
    assert "61 in all" in page
    cursor = page.split("cursor=")[1].split("&")[0].split('"')[0]
    assert rows(await ada.read("/ui/users", cursor=cursor)) == [*newest[50:], "Ada"]
    assert rows(await ada.read("/ui/users", order="oldest"))[0] == "Ada"
    assert rows(await ada.read("/ui/users", who=" U7@Example.org ")) == ["U7"]
    assert rows(await ada.read("/ui/users", who=ada.client_id)) == ["Ada"]
    assert "No such user" in await ada.read("/ui/users", who="nobody")
    await ada.read("/ui/users", order="expires", status=400)


@pytest.mark.parametrize(
    ("fields", "status", "says"),
    [
        ({"email": "ada@example.org"}, 409, "exists"),
        ({"email": "no address"}, 400, "Invalid email"),
        ({"email": "", "name": ""}, 400, "Give an email"),
        ({"name": "herod"}, 400, "is reserved"),
        ({"password": "short one"}, 400, "12"),
        ({"scope_owner": "on"}, 403, "exceeds your own"),
    ],
)
async def test_what_is_refused(ada: Visitor, fields: dict[str, str], status: int, says: str) -> None:
    """A refusal returns the form with the error's status and the input, but no password."""
    given = {"email": "kept@example.org", "name": "<b>", "password": PASSWORD, "scope_read": "on", **fields}
    answer = await ada.send("/ui/users", **given)
    assert answer.status == status
    page = text(answer)
    assert says in said(page)
    assert given["password"] not in page
    assert "&lt;b&gt;" in page or "name" in fields
    assert "<b>" not in page


async def test_who_holds_more(harness: Harness, ada: Visitor) -> None:
    """An admin cannot change an owner, and the page says so."""
    owner = await harness.user(email="boss@example.org")
    account = harness.store.get(Account, owner.client_id)
    assert account is not None
    await harness.store.write(lambda tx: tx.put(replace(account, scope=("owner",))))
    for what, fields in (
        ("edit", {"name": "x", "networks": "*"}), ("scope", {"scope_read": "on"}), ("disable", {}),
        ("password", {"password": NEW}), ("secret", {}), ("delete", {}), ("sign_out", {}),
    ):  # fmt: skip
        answer = await ada.send(f"/ui/users/{owner.client_id}/{what}", **fields)
        assert answer.status == 403, what
        assert "holds more than you" in said(text(answer))
        assert NEW not in text(answer)


async def test_the_last_admin(harness: Harness, ada: Visitor) -> None:
    """The last admin cannot be removed, and the page advises to create another first."""
    for what in ("disable", "delete"):
        answer = await ada.send(f"/ui/users/{ada.client_id}/{what}")
        assert answer.status == 409
        assert "last enabled admin" in said(text(answer))


async def test_ones_own_password(harness: Harness, ada: Visitor) -> None:
    """Users change their password with the current one and a repetition; then they are signed out."""
    bob = await visit(harness, "bob@example.org", "read", "Bob")
    assert "Bob" in await bob.read("/ui/account")
    for fields, status, says in (
        ({"password": NEW, "again": NEW}, 400, "current password"),
        ({"current": "wrong password", "password": NEW, "again": NEW}, 401, "wrong"),
        ({"current": PASSWORD, "password": NEW, "again": NEW + "!"}, 400, "differ"),
        ({"current": PASSWORD, "password": "short", "again": "short"}, 400, "12"),
    ):
        answer = await bob.send("/ui/account/password", **fields)
        assert (answer.status, says in said(text(answer))) == (status, True)
        assert PASSWORD not in text(answer)
        assert NEW not in text(answer)
    answer = await bob.send("/ui/account/password", current=PASSWORD, password=NEW, again=NEW)
    assert answer.status == 200
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert "Your password is set" in text(answer)
    assert (await bob.get("/ui/account")).status == 401
    await sign_in(harness, "bob@example.org", bob.client_id, NEW)


async def test_ones_own_client_secret(harness: Harness, ada: Visitor) -> None:
    """The new client secret is shown once; the session ends, and the page leads to signing in."""
    bob = await visit(harness, "bob@example.org", "read", "Bob")
    answer = await bob.send("/ui/account/secret")
    assert answer.status == 200
    assert secret_of(text(answer))
    assert "Sign in again" in text(answer)
    assert (await bob.get("/ui/account")).status == 401


async def test_forms_without_a_ticket(harness: Harness, ada: Visitor) -> None:
    """Forms without a ticket change nothing."""
    for path in (f"/ui/users/{ada.client_id}/secret", "/ui/account/secret", "/ui/users", "/ui/keys"):
        answer = await harness.request("POST", path, form="email=eve%40example.org", headers={**OWN, **ada.cookie})
        assert (answer.status, answer.headers["location"]) == (303, "/")
    assert len((await harness.admin("users.list")).items) == 1
