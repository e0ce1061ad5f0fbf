"""Apps whose client id is a URL: which URLs may be one, what ships with herod, and what is known without fetching."""

import pytest

from credentials.hostile_redirects import MALFORMED, OWN_ORIGINS
from herod.credentials.apps.redirect_uris import RedirectKind, asked_redirect, parse_redirect_uri
from herod.identity.apps.grant_types import DEVICE_CODE
from herod.identity.apps.oauth_apps import AppOrigin, find_app
from herod.identity.client_documents import ClientDocument, DocumentCache, parse_client_url, shipped_document
from herod.identity.client_documents.document_cache import MAX_DOCUMENTS
from herod.identity.client_documents.shipped_documents import DOCUMENTS
from herod.identity.credential_types import Basic, PublicClient
from herod.scopes.principal import PrincipalKind
from herod_client.core.errors import BadCredentials, InvalidRequest
from identity.test_app_credentials import app_probe
from support.herod_in_memory import NOW, TCP, Harness

URL = "https://agent.example/oauth/client.json"
CLAUDE = "https://claude.ai/oauth/claude-code-client-metadata"
CODEX = "https://chatgpt.com/oauth/codex/dIwd44EtAHp-/client.json"
DOCUMENT = ClientDocument(
    name="Agent", redirect_uris=("https://agent.example/cb",), grants=("authorization_code",), at=NOW
)


@pytest.mark.parametrize(
    ("text", "host", "port", "target"),
    [
        (URL, "agent.example", 443, "/oauth/client.json"),
        ("https://agent.example:8443/x?y=z", "agent.example", 8443, "/x?y=z"),
        ("https://xn--bcher-kva.example/x", "xn--bcher-kva.example", 443, "/x"),
        (CLAUDE, "claude.ai", 443, "/oauth/claude-code-client-metadata"),
    ],
)
def test_urls(text: str, host: str, port: int, target: str) -> None:
    """An https URL with a name and a path may be a client id."""
    url = parse_client_url(text)
    assert url is not None
    assert (url.text, url.host, url.port, url.target) == (text, host, port, target)


@pytest.mark.parametrize(
    "text",
    [
        "", "agent.example/x", "http://agent.example/x", "HTTPS://agent.example/x", "https://agent.example",
        "https://agent.example/", "https://agent.example/?x", "https://agent.example?x", "https://agent.example/x#y",
        "https://agent.example/../x", "https://agent.example/%2e%2e/x", "https://user@agent.example/x",
        "https://user:pw@agent.example/x", "https://Agent.example/x", "https://agent.example./x",
        "https://localhost/x", "https://intranet/x", "https://127.0.0.1/x", "https://10.0.0.1/x", "https://8.8.8.8/x",
        "https://[::1]/x", "https://[2606:4700::1]/x", "https://127.1/x", "https://0x7f.1/x", "https://2130706433/x",
        "https://agent.example:0/x", "https://agent.example:99999/x", "https://agent.example/x y",
        "https://agent.example/\\x", "https://agent.example/*", "https://agent.example/%0d%0aX: y",
        "https://agent.example/x\r\nX: y", "https://agént.example/x", f"https://agent.example/{'x' * 600}",
        "https://agent.example/x?code=1", "https://auth.example.org/x",
    ],
)  # fmt: skip
async def test_no_urls(harness: Harness, text: str) -> None:
    """What is no such URL, or herod's own, is no client id, and names no app."""
    harness.configure(own_origins=frozenset({"https://auth.example.org"}))
    assert parse_client_url(text, harness.runtime.config.own_origins) is None
    assert find_app(harness.store, harness.runtime, text) is None


def test_malformed_urls() -> None:
    """None of a thousand tricks with URLs is a client id."""
    hostile = [one for one in MALFORMED if one.startswith("https://")]
    assert len(hostile) > 600
    assert [one for one in hostile if parse_client_url(one) is not None] == []


@pytest.mark.parametrize("url", [*DOCUMENTS, CODEX])
async def test_shipped_documents(harness: Harness, url: str) -> None:
    """Each copy has a date and redirects for anybody, is of a URL that may be a client id, and needs no fetching."""
    harness.configure(client_documents="off", own_origins=OWN_ORIGINS)
    assert parse_client_url(url, OWN_ORIGINS) is not None
    app = find_app(harness.store, harness.runtime, url)
    assert app is not None
    assert (app.id, app.origin, app.is_public, app.is_shipped) == (url, AppOrigin.DOCUMENT, True, True)
    assert app.document_age is not None
    assert 1_750_000_000 < app.document_age < 1_900_000_000
    assert app.grants[:2] == ("authorization_code", "refresh_token")
    assert (DEVICE_CODE in app.grants) == (url == "https://vscode.dev/oauth/client-metadata.json")
    kinds = {parse_redirect_uri(one).kind for one in app.redirect_uris}
    assert kinds <= {RedirectKind.HTTPS, RedirectKind.LOOPBACK}
    assert len(app.redirect_uris) >= 1


@pytest.mark.parametrize(
    ("url", "redirect"),
    [
        (CLAUDE, "http://localhost:54213/callback"),
        (CLAUDE, "http://127.0.0.1:54213/callback"),
        ("https://vscode.dev/oauth/client-metadata.json", "http://127.0.0.1:33418/"),
        ("https://vscode.dev/oauth/client-metadata.json", "http://127.0.0.1:54213/"),
        ("https://vscode.dev/oauth/client-metadata.json", "https://vscode.dev/redirect"),
        ("https://chatgpt.com/oauth/codex/client.json", "http://127.0.0.1:54213/callback"),
        (CODEX, "http://127.0.0.1:54213/callback/dIwd44EtAHp-"),
        ("https://opencode.ai/oauth/opencode/client.json", "http://127.0.0.1:19876/callback"),
    ],
)
async def test_what_agents_ask_for(harness: Harness, url: str, redirect: str) -> None:
    """The redirects that agents use, on any port, are those of their documents."""
    app = find_app(harness.store, harness.runtime, url)
    assert app is not None
    assert asked_redirect(app.redirect_uris, redirect, OWN_ORIGINS).text == redirect
    for wrong in ("http://127.0.0.1:3350/callback", "https://evil.example/callback", f"{redirect}x"):
        with pytest.raises(InvalidRequest):
            asked_redirect(app.redirect_uris, wrong, OWN_ORIGINS)


@pytest.mark.parametrize(
    "url",
    [
        "https://chatgpt.com/oauth/codex/x/client.json", "https://chatgpt.com/oauth/codex/dIwd44EtAHp-x/client.json",
        "https://chatgpt.com/oauth/codex/dIwd44EtAHp%2f/client.json",
        "https://chatgpt.com/oauth/codex/dIwd44EtAHp-/client.json?",
        "https://chatgpt.com/oauth/codex/dIwd44EtAHp-/client.json\n",
        "https://evil.example/oauth/codex/dIwd44EtAHp-/client.json", f"{CLAUDE}/", f"{CLAUDE}?x",
        CLAUDE.replace("https", "http"),
    ],
)  # fmt: skip
def test_what_does_not_ship(url: str) -> None:
    """A copy is for its URL alone, character by character."""
    assert shipped_document(url) is None


async def test_an_app_that_was_not_fetched(harness: Harness) -> None:
    """An app by URL is known before its document is, without a redirect: it can refresh, and ask for nothing new."""
    app = find_app(harness.store, harness.runtime, URL)
    assert app is not None
    assert (app.name, app.origin, app.redirect_uris) == ("agent.example", AppOrigin.DOCUMENT, ())
    assert (app.document_age, app.is_shipped) == (None, False)
    for redirect in ("https://agent.example/cb", None):
        with pytest.raises(InvalidRequest):
            asked_redirect(app.redirect_uris, redirect, ())
    seen = await harness.pipeline.call(app_probe, app_probe.params(), PublicClient(URL), TCP)
    assert (seen.principal.id, seen.principal.kind) == (URL, PrincipalKind.APP)
    with pytest.raises(BadCredentials):
        await harness.pipeline.call(app_probe, app_probe.params(), Basic(URL, "x"), TCP)
    harness.configure(client_documents="off")
    assert find_app(harness.store, harness.runtime, URL) is None
    with pytest.raises(BadCredentials):
        await harness.pipeline.call(app_probe, app_probe.params(), PublicClient(URL), TCP)


async def test_a_fetched_document(harness: Harness) -> None:
    """A fetched document is used until its end, or fetching is turned off, and before the copy that ships."""
    for url in (URL, CLAUDE):
        harness.runtime.client_documents.keep(url, DOCUMENT, NOW + 600)
        app = find_app(harness.store, harness.runtime, url)
        assert app is not None
        assert (app.name, app.redirect_uris, app.grants) == ("Agent", DOCUMENT.redirect_uris, DOCUMENT.grants)
        assert (app.document_age, app.is_shipped) == (NOW, False)
    before = harness.runtime.config
    harness.configure(client_documents="off")
    assert find_app(harness.store, harness.runtime, URL) is None
    assert getattr(find_app(harness.store, harness.runtime, CLAUDE), "is_shipped", None) is True
    harness.runtime.reload(before)
    harness.clock.now += 600
    await harness.pipeline.flush()
    assert len(harness.runtime.client_documents) == 0
    assert getattr(find_app(harness.store, harness.runtime, URL), "document_age", 0) is None


def test_the_cache_is_bounded() -> None:
    """However many documents are fetched, only so many are kept."""
    cache = DocumentCache()
    for number in range(3 * MAX_DOCUMENTS):
        cache.keep(f"{URL}{number}", DOCUMENT, NOW + 600)
    assert len(cache) <= MAX_DOCUMENTS
    assert cache.get(f"{URL}{3 * MAX_DOCUMENTS - 1}") == DOCUMENT
    cache.expire(NOW + 1)
    assert 0 < len(cache) <= MAX_DOCUMENTS
    cache.expire(NOW - 1)  # the clock was ahead when they were fetched
    assert len(cache) == 0
    cache.expire(NOW)
