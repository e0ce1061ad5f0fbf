"""What an app cannot be registered with, and what it says to the admin who tries."""

from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec
import pytest

from herod.identity.apps.grant_types import DEVICE_CODE
from herod.records import App
from herod_client.core.errors import InvalidRequest
from support.herod_in_memory import Harness, open_harness

CALLBACK: Final = "https://app.example.org/cb"


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    """A herod on its usual port."""
    async with open_harness() as harness:
        harness.configure(own_origins=frozenset({"http://localhost:3350", "http://127.0.0.1:3350"}))
        yield harness


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"redirect_uris": []}, "needs a redirect URI"),
        (
            {"redirect_uris": ["https://app.example.org/*"]},
            r"redirect URI 'https://app.example.org/\*': .*without \*",
        ),
        ({"redirect_uris": ["https://app.example.org/#x"]}, "characters of URIs"),
        ({"redirect_uris": ["javascript:alert(1)"]}, "cannot have the scheme"),
        ({"redirect_uris": ["https://u:p@app.example.org/cb"]}, "no user info"),
        ({"redirect_uris": ["https://app.example.org/cb?code=1"]}, "no parameter 'code'"),
        ({"redirect_uris": ["http://localhost:3350/ui/consent"]}, "cannot lead to herod itself"),
        ({"redirect_uris": [f"https://app.example.org/{n}" for n in range(17)]}, "at most 16 redirect URIs"),
        ({"post_logout_uris": ["http://localhost:3350/"]}, "post-logout URI .*cannot lead to herod itself"),
        ({"grants": ["refresh_token"]}, "nobody could sign in"),
        ({"type": "public", "pkce": "optional"}, "Only a confidential app can do without PKCE"),
        (
            {"type": "public", "redirect_uris": ["http://127.0.0.1/cb"], "remember_consent": True},
            "Consent cannot be remembered",
        ),
        ({"type": "public", "redirect_uris": ["com.example.app:/cb"], "remember_consent": True}, "RFC 8252"),
        ({"redirect_uris": ["localhost:5000/cb"]}, "write https:// or http:// before the host"),
        ({"redirect_uris": ["app.example.org:443"]}, "write https:// or http:// before the host"),
        ({"redirect_uris": ["app.example.org/cb"]}, "begins with a scheme"),
        ({"redirect_uris": ["myapp:/cb"]}, "a domain in reverse order"),
        ({"scope": ""}, "No scope was given"),
        ({"scope": "openid email"}, "every app may ask for it"),
        ({"scope": "everything"}, "Unknown scope"),
    ],
)
async def test_refused(harness: Harness, given: dict[str, Any], said: str) -> None:
    """Each mistake is named with what to do, when the app is added and when it is changed."""
    with pytest.raises(InvalidRequest, match=said):
        await harness.admin("apps.add", **{"name": "app", "redirect_uris": [CALLBACK], **given})
    kind = given.get("type", "confidential")
    added = await harness.admin("apps.add", name="app", redirect_uris=[CALLBACK], type=kind)
    changes = {name: value for name, value in given.items() if name != "type"}
    with pytest.raises(InvalidRequest, match=said):
        await harness.admin("apps.update", client_id=added.client_id, **changes)


@pytest.mark.parametrize(
    "given",
    [
        {"redirect_uris": ["com.example.app:/cb"], "type": "public"},
        {"redirect_uris": ["https://app.example.org/cb", "http://localhost/cb", "http://127.0.0.1/cb"]},
        {"redirect_uris": ["cursor://an.editor/oauth/callback"], "type": "public"},
        {"redirect_uris": [], "grants": [DEVICE_CODE], "type": "public"},
        {"redirect_uris": [CALLBACK], "pkce": "optional", "scope": "admin"},
    ],
)
async def test_accepted(harness: Harness, given: dict[str, Any]) -> None:
    """Private-use schemes, several redirects, an app for terminals alone, and one without PKCE that has a secret."""
    added = await harness.admin("apps.add", name="app", **given)
    assert added.redirect_uris == given["redirect_uris"]


@pytest.mark.parametrize(
    ("given", "remembers"),
    [
        ({}, True),
        ({"type": "public"}, True),
        ({"redirect_uris": ["http://localhost/cb"]}, True),
        ({"type": "public", "redirect_uris": ["http://localhost/cb"]}, False),
        ({"type": "public", "redirect_uris": ["com.example.app:/cb"]}, False),
        ({"type": "public", "redirect_uris": [], "grants": [DEVICE_CODE]}, False),
        ({"remember_consent": False}, False),
    ],
)
async def test_consent_is_remembered_where_it_is_safe(harness: Harness, given: dict[str, Any], remembers: bool) -> None:
    """By default it is, unless any program on a person's machine could pass for the app."""
    added = await harness.admin("apps.add", **{"name": "app", "redirect_uris": [CALLBACK], **given})
    assert added.remember_consent is remembers


async def test_plain_http_is_warned_of(harness: Harness) -> None:
    """A redirect over the network without TLS is possible, and the answer says what that means."""
    added = await harness.admin("apps.add", name="app", redirect_uris=[CALLBACK, "http://nas.example.org/cb"])
    assert "nas.example.org over plain http" in added.warning


async def test_pkce(harness: Harness) -> None:
    """An app that does neither PKCE nor a nonce is possible, with a secret, and the answer says what that means."""
    for number, (pkce, needs) in enumerate(
        (("required", (True, True)), ("optional", (False, True)), ("off", (False, False)))
    ):
        added = await harness.admin("apps.add", name=f"app {number}", redirect_uris=[CALLBACK], pkce=pkce)
        record = harness.store.get(App, added.client_id)
        assert record is not None
        assert (record.needs_pkce, record.needs_nonce) == needs
        assert added.pkce == pkce
        assert (added.warning is not msgspec.UNSET) == (pkce == "off")
        changed = await harness.admin("apps.update", client_id=added.client_id, pkce="required")
        assert changed.pkce == "required"
    with pytest.raises(InvalidRequest, match="Only a confidential app"):
        await harness.admin("apps.add", name="public", redirect_uris=[CALLBACK], type="public", pkce="off")


async def test_each_uri_once(harness: Harness) -> None:
    """A URI that is given twice is kept once, without the spaces around it."""
    added = await harness.admin("apps.add", name="app", redirect_uris=[CALLBACK, f" {CALLBACK} "])
    assert added.redirect_uris == [CALLBACK]
