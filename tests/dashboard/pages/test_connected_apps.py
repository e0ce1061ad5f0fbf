"""Connected apps on the pages of accounts: what acts for somebody, and the button that ends it."""

from herod.records import Delegation
from support.connected_apps import connect_app
from support.herod_in_memory import Harness
from support.page_visitor import open_pages, text, visit


async def test_on_ones_own_page(harness: Harness) -> None:
    """The page says what each app may do and where, and a button ends it at once."""
    open_pages(harness)
    ada = await visit(harness, scope="write")
    assert "No app acts for you." in await ada.read("/ui/account")
    delegation = await connect_app(harness, ada, "read", app_name="Agent ✔ verified", resource="http://localhost/mcp")
    page = await ada.read("/ui/account")
    assert "Agent verified" in page
    assert "✔" not in page
    assert "unchecked name" in page
    assert "Look things up" in page
    assert "http://localhost/mcp" in page
    assert "The app is disconnected" in await ada.do(f"/ui/account/apps/{delegation.id}")
    assert harness.store.get(Delegation, delegation.id) is None


async def test_anothers_app(harness: Harness) -> None:
    """Whoever is no admin cannot end what acts for another, and learns nothing of it."""
    open_pages(harness)
    ada, eve = await visit(harness, scope="write"), await visit(harness, scope="write", email="eve@example.org")
    delegation = await connect_app(harness, ada)
    answer = await eve.send(f"/ui/account/apps/{delegation.id}")
    assert answer.status == 404, text(answer)
    assert harness.store.get(Delegation, delegation.id) == delegation


async def test_on_the_page_of_a_user(harness: Harness) -> None:
    """An admin sees what acts for a user, and ends it."""
    open_pages(harness)
    ada = await visit(harness, scope="admin")
    bob = await harness.user(scope="read", email="bob@example.org")
    delegation = await connect_app(harness, bob)
    assert "unchecked name" in await ada.read(f"/ui/users/{bob.client_id}")
    assert "No app acts for them." in await ada.do(f"/ui/users/{bob.client_id}/apps/{delegation.id}")
