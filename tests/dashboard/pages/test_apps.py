"""The pages of apps, through the real router: the list, the life of an app, and refusals."""

import re

import pytest

from herod.identity.apps.app_credentials import app_with_secret
from herod.identity.apps.grant_types import DEVICE_CODE
from herod.identity.apps.registered_apps import HEROD_CLI
from herod.records import App
from support.herod_in_memory import Harness
from support.page_visitor import Visitor, open_pages, rows, said, secret_of, text, visit

CALLBACK = "https://grafana.example.org/login/generic_oauth"
FIELDS = {"name": "Grafana", "redirects": CALLBACK, "scope_read": "on", "networks": "*"}


@pytest.fixture
async def ada(harness: Harness) -> Visitor:
    """An admin who is signed in."""
    open_pages(harness)
    return await visit(harness)


async def add(visitor: Visitor, **fields: str) -> App:
    """Register an app with the form."""
    answer = await visitor.send("/ui/apps", **{**FIELDS, "type": "confidential", **fields})
    assert answer.status == 200, said(text(answer))
    (app,) = visitor.harness.store.scan(App)
    return app


async def test_an_apps_life(harness: Harness, ada: Visitor) -> None:
    """An app is registered, changed, given a new secret, disabled, enabled and deleted by forms."""
    assert rows(await ada.read("/ui/apps")) == ["herod-cli"]
    answer = await ada.send("/ui/apps", **FIELDS, type="confidential")
    first = secret_of(text(answer))
    (app,) = harness.store.scan(App)
    page = f"/ui/apps/{app.id}"
    assert app_with_secret(harness.store, harness.runtime, app.id, first) is not None
    assert rows(await ada.read("/ui/apps")) == ["herod-cli", "Grafana"]
    shown = await ada.read(page)
    assert CALLBACK in shown
    assert first not in shown
    assert "changed" in said(await ada.do(f"{page}/edit", **{**FIELDS, "name": "Grafana 2", "scope_write": "on"}))
    rotated = secret_of(text(await ada.send(f"{page}/secret")))
    assert app_with_secret(harness.store, harness.runtime, app.id, rotated) is not None
    changed = harness.store.get(App, app.id)
    assert changed is not None
    assert (changed.name, changed.scope) == ("Grafana 2", ("write",))
    assert "is disabled" in said(await ada.do(f"{page}/disable"))
    assert app_with_secret(harness.store, harness.runtime, app.id, rotated) is None
    assert "is enabled" in said(await ada.do(f"{page}/enable"))
    assert "Grafana 2" in await ada.read(f"{page}/delete")
    assert "was deleted" in said(await ada.do(f"{page}/delete"))
    await ada.read(page, status=404)


async def test_everything_that_the_form_sets(harness: Harness, ada: Visitor) -> None:
    """Each field arrives, and the form shows it again."""
    app = await add(
        ada,
        redirects=f"{CALLBACK}\r\n\r\n  http://127.0.0.1:9/cb \r\n",
        post_logouts="https://grafana.example.org/",
        networks="lab attic",
        pkce="optional",
        algorithm="ES256",
        consent="no",
        device="on",
        admit="on",
        emails="on",
        expand="on",
    )
    assert app.redirect_uris == (CALLBACK, "http://127.0.0.1:9/cb")
    assert app.post_logout_uris == ("https://grafana.example.org/",)
    assert app.networks == ("attic", "lab")
    assert (app.needs_pkce, app.id_token_algorithm, app.remembers_consent) == (False, "ES256", False)
    assert (app.admits_unconfirmed, app.sends_unconfirmed_email, app.expands_scope) == (True, True, True)
    assert app.grants == ("authorization_code", "refresh_token", DEVICE_CODE)
    page = await ada.read(f"/ui/apps/{app.id}")
    assert f"{CALLBACK}\nhttp://127.0.0.1:9/cb</textarea>" in page
    for chosen in ("optional", "ES256", "no"):
        assert f'<option value="{chosen}" selected>' in page
    for ticked in ("device", "admit", "emails", "expand", "scope:read"):
        assert re.search(rf'name="{ticked}" value="on" checked', page)


async def test_a_change_keeps_what_the_form_does_not_show(harness: Harness, ada: Visitor) -> None:
    """An app that was registered without refresh tokens does not get them by a change of its name."""
    added = await harness.admin("apps.add", name="a", redirect_uris=[CALLBACK], grants=["authorization_code"])
    await ada.do(f"/ui/apps/{added.client_id}/edit", **{**FIELDS, "name": "b", "consent": "yes"})
    changed = await harness.admin("apps.get", client_id=added.client_id)
    assert (changed.name, changed.grants) == ("b", ["authorization_code"])


async def test_a_public_app(harness: Harness, ada: Visitor) -> None:
    """It gets no secret, and its page offers none; consent is remembered only where that is safe."""
    answer = await ada.send("/ui/apps", **{**FIELDS, "redirects": "http://127.0.0.1:9/cb"}, type="public", consent="")
    assert answer.status == 200
    assert 'id="secret"' not in text(answer)
    (app,) = harness.store.scan(App)
    assert not app.remembers_consent
    assert "New client secret" not in await ada.read(f"/ui/apps/{app.id}")


async def test_mistakes_are_said_and_what_was_typed_stays(harness: Harness, ada: Visitor) -> None:
    """A refused form comes back with the reason and its values."""
    for fields, reason in (
        ({"redirects": "ftp://x"}, "Invalid redirect URI"),
        ({"redirects": ""}, "needs a redirect URI"),
        ({"scope_read": ""}, "Tick at least one scope"),
        ({"name": ""}, "A name has"),
        ({"pkce": "optional", "type": "public"}, "Only a confidential app"),
    ):
        given = {**FIELDS, "type": "confidential", **fields}
        answer = await ada.send("/ui/apps", **{name: value for name, value in given.items() if value})
        assert answer.status == 400
        assert reason in said(text(answer))
        assert given["redirects"] in text(answer)
    app = await add(ada)
    answer = await ada.send(f"/ui/apps/{app.id}/edit", **{**FIELDS, "name": "typed", "redirects": "ftp://x"})
    assert "Invalid redirect URI" in said(text(answer))
    assert 'value="typed"' in text(answer)


async def test_what_is_built_in_has_no_forms(ada: Visitor) -> None:
    """The command's app is shown, and nothing is offered that would be refused."""
    page = await ada.read(f"/ui/apps/{HEROD_CLI}")
    assert "built in" in page
    assert f'action="/ui/apps/{HEROD_CLI}' not in page
    answer = await ada.send(f"/ui/apps/{HEROD_CLI}/delete")
    assert answer.status == 409
    assert "built in" in said(text(answer))


async def test_what_to_enter_in_the_app(ada: Visitor) -> None:
    """The page of a new app, and of each app, has the URLs that its settings ask for."""
    app = await add(ada)
    page = await ada.read(f"/ui/apps/{app.id}")
    for url in ("http://localhost/.well-known/openid-configuration", "http://localhost/token", app.id):
        assert f'<code class="uri">{url}</code>' in page
    for_codes = '<code class="uri">http://localhost/device_authorization</code>'
    assert for_codes not in page
    await ada.do(f"/ui/apps/{app.id}/edit", **FIELDS, device="on")
    assert for_codes in await ada.read(f"/ui/apps/{app.id}")


async def test_only_admins_have_the_area(harness: Harness) -> None:
    """Others neither see it in the menu nor get its pages."""
    open_pages(harness)
    bob = await visit(harness, "bob@example.org", scope="write", name="Bob")
    assert "/ui/apps" not in await bob.read("/ui/home")
    await bob.read("/ui/apps", status=403)


async def test_no_more_than_the_visitor_holds(harness: Harness, ada: Visitor) -> None:
    """The form offers no `owner`, also to who holds it."""
    boss = await visit(harness, "boss@example.org", scope="owner", name="Boss")
    page = await boss.read("/ui/apps/new")
    assert 'name="scope:admin"' in page
    assert 'name="scope:owner"' not in page
