"""A document is fetched for a person who has signed in, and for nobody else."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from credentials.hostile_redirects import OWN_ORIGINS
from herod.credentials.apps.dynamic_client_ids import DynamicApp, seal_client_id
from herod.identity.apps.oauth_apps import OAuthApp
from herod.identity.credential_types import Presented, PublicClient, SessionCookie
from herod.operations.operation_table import OPERATIONS
from herod.pipeline.client_documents.fetch_rate import FETCHES, MAX_FETCHING, FetchRate
from herod.pipeline.client_documents.learning_apps import learn_app
from herod.pipeline.operation_definition import Context, NoParams, query
from herod.protocols.decode import convert_params
from herod.scopes.decisions import Access
from herod.store.store_interface import Store
from herod_client.core.errors import HerodError, InvalidClientMetadata, RateLimited
from pipeline.client_documents.hostile_documents import GOOD, HOSTILE, URL
from pipeline.client_documents.test_public_addresses import FORBIDDEN
from pipeline.test_person_needed import by_password
from support.document_hosts import HOST, Internet, answer, open_internet
from support.herod_in_memory import LEGACY, LOCAL_ADMIN, NOW, TCP, Harness

CLAUDE = "https://claude.ai/oauth/claude-code-client-metadata"
REDIRECT = f"https://{HOST}/callback"
NEW = {"redirect": REDIRECT, "client_id": URL}


async def _learn(store: Store, context: Context, params: NoParams) -> OAuthApp | None:
    return await learn_app(store, context, NEW["client_id"], NEW["redirect"])


@query("app.learn", needs=Access.AUTHENTICATED, wait=_learn, takes_apps=True, example={})
def app_learn(store: Store, context: Context, params: NoParams) -> Any:
    """Learn what the app's document says."""


@pytest.fixture
async def net(harness: Harness, tmp_path: Path) -> AsyncIterator[Internet]:
    """An internet in which the app's document is, for the harness."""
    async with open_internet(tmp_path) as opened:
        opened.response = answer(json.dumps(GOOD).encode(), "Cache-Control: max-age=1800")
        harness.pipeline.process.documents = opened.fetcher
        harness.configure(own_origins=OWN_ORIGINS)
        yield opened


async def _ask(harness: Harness, presented: Presented | None, **changes: str) -> OAuthApp | None:
    before = dict(NEW)
    NEW.update(changes)
    try:
        app: OAuthApp | None = await harness.pipeline.call(app_learn, NoParams(), presented, TCP)
    finally:
        NEW.update(before)
    return app


async def test_for_a_person(harness: Harness, net: Internet) -> None:
    """A person who has signed in lets the document be fetched, once for as long as it may be kept."""
    cookie = await by_password(harness)
    for _ in range(3):
        app = await _ask(harness, cookie)
        assert app is not None
        assert (app.name, app.redirect_uris[1], app.document_age) == ("Agent", REDIRECT, NOW)
    assert len(net.requests) == 1
    assert harness.runtime.counters["documents_fetched"] == 1
    harness.clock.now += 1800
    await harness.pipeline.flush()
    assert await _ask(harness, cookie, redirect=REDIRECT) is not None
    assert len(net.requests) == 2


async def test_for_nobody_else(harness: Harness, net: Internet) -> None:
    """Keys, secrets, tokens, apps, the local admin and the sessions that they open fetch nothing."""
    user = await harness.user()
    service = await harness.service_key("admin")
    app = seal_client_id(harness.store.keyring, DynamicApp("A", ("https://x/",), ("authorization_code",), "none"))
    for presented in (
        user.basic,
        await user.bearer(),
        await user.session(),
        SessionCookie((await harness.call("session.create", LOCAL_ADMIN)).cookie),
        PublicClient(app),
        PublicClient(URL),
    ):
        with pytest.raises(RuntimeError, match="only a person"):
            await _ask(harness, presented)
    assert service
    assert LEGACY
    assert (net.resolved, net.connected) == ([], [])


async def test_no_operation_fetches_for_a_stranger(harness: Harness, net: Internet) -> None:
    """Whatever a stranger sends to any operation, with the URL in every parameter, no name is looked up."""
    for operation in OPERATIONS.values():
        given = {**operation.example, **{n: URL for n, v in operation.example.items() if isinstance(v, str)}}
        for presented in (None, PublicClient(URL)):
            try:
                params = convert_params(operation, given, is_text=False)
                await harness.pipeline.call(operation, params, presented, TCP)
            except HerodError:
                continue
    for path in ("/token", "/introspect", "/revoke"):
        await harness.request("POST", path, form=f"client_id={URL}&grant_type=refresh_token&token=x&refresh_token=x")
    await harness.request("GET", f"/authorize?client_id={URL}&redirect_uri={REDIRECT}&response_type=code")
    assert (net.resolved, net.connected) == ([], [])


async def test_what_needs_no_fetching(harness: Harness, net: Internet) -> None:
    """Registered and dynamic apps, shipped copies with the redirect, and ids of nobody are answered as they are."""
    cookie = await by_password(harness)
    dynamic = seal_client_id(harness.store.keyring, DynamicApp("A", ("https://x/",), ("authorization_code",), "none"))
    assert getattr(await _ask(harness, cookie, client_id=dynamic), "name", None) == "A"
    assert getattr(await _ask(harness, cookie, client_id="herod-cli"), "id", None) == "herod-cli"
    shipped = await _ask(harness, cookie, client_id=CLAUDE, redirect="http://localhost:4711/callback")
    assert shipped is not None
    assert shipped.is_shipped
    for nobody in ("x", "https://x", "http://agent.example/x"):
        assert await _ask(harness, cookie, client_id=nobody) is None
    harness.configure(client_documents="off")
    assert await _ask(harness, cookie) is None
    assert net.resolved == []


async def test_a_copy_that_is_out_of_date(harness: Harness, net: Internet) -> None:
    """If a shipped copy lacks the redirect, the document itself is asked, and what it says holds."""
    cookie = await by_password(harness)
    net.names["claude.ai"] = net.names[HOST]
    with pytest.raises(InvalidClientMetadata, match=r"claude\.ai: its TLS"):
        await _ask(harness, cookie, client_id=CLAUDE, redirect="http://localhost:4711/other")
    assert net.resolved == ["claude.ai"]


async def test_hostile_documents(harness: Harness, net: Internet) -> None:
    """Hostile documents that are fetched describe no app, and are not kept."""
    cookie = await by_password(harness)
    for body in HOSTILE[:: len(HOSTILE) // 40]:
        net.response = answer(body)
        harness.clock.now += 60
        with pytest.raises(InvalidClientMetadata):
            await _ask(harness, cookie)
    assert len(harness.runtime.client_documents) == 0
    assert set(net.resolved) == {HOST}


async def test_a_thousand_hosts(harness: Harness, net: Internet) -> None:
    """Of a thousand documents on forbidden addresses, none is connected to."""
    cookie = await by_password(harness)
    tried = 0
    for address in FORBIDDEN:
        for number in range(-(-1000 // len(FORBIDDEN))):
            host = f"h{tried}.example"
            net.names[host] = [[address] if number % 2 else ["8.8.8.8", address]]
            if tried % (FETCHES.limit or 1) == 0:
                harness.clock.now += FETCHES.window + 1
            with pytest.raises(InvalidClientMetadata, match="public addresses alone"):
                await _ask(harness, cookie, client_id=f"https://{host}/client.json", redirect="https://x/")
            tried += 1
    assert tried >= 1000
    assert len(net.resolved) == tried
    assert (net.connected, net.requests) == ([], [])


async def test_it_is_limited_for_each_person(harness: Harness, net: Internet) -> None:
    """One person's browser, which a page may lead to many requests, fetches only so much in a minute."""
    cookie = await by_password(harness)
    for number in range(FETCHES.limit or 0):
        with pytest.raises(InvalidClientMetadata):
            await _ask(harness, cookie, client_id=f"{URL}?{number}")
    with pytest.raises(RateLimited) as refused:
        await _ask(harness, cookie, client_id=f"{URL}?x")
    assert 0 < refused.value.retry_after <= 60
    assert len(net.requests) == FETCHES.limit
    harness.clock.now += 61
    assert await _ask(harness, cookie) is not None


def test_rates_are_bounded() -> None:
    """Only so many persons' last minutes are remembered."""
    rate = FetchRate()
    for number in range(MAX_FETCHING + 10):
        rate.count(str(number), NOW)
    assert len(rate._marks) == MAX_FETCHING  # noqa: SLF001 - what is bounded
