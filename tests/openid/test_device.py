"""Terminals without a browser: npm's openid-client and oauth4webapi, and Authlib, with a person in Chromium."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from playwright.sync_api import Browser

from openid.conftest import Place
from openid.test_npm_clients import conversation
from support.chromium import Person, chromium, person
from support.device_app import DEVICE
from support.npm_tools import needs_npm
from support.person_at_forms import EMAIL, PASSWORD, register_app


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; without it these tests are skipped."""
    with chromium() as started:
        yield started


@pytest.fixture
def ada(place: Place, browser: Browser) -> Iterator[Person]:
    """The person at a browser of their own, not signed in."""
    with person(browser, place.daemon) as somebody:
        yield somebody


def decide(ada: Person, codes: dict[str, Any], button: str) -> None:
    """Follow the terminal's link, sign in, compare the code, and answer."""
    ada.page.goto(codes["verification_uri_complete"])
    ada.page.get_by_label("Email").fill(EMAIL)
    ada.page.get_by_label("Password").fill(PASSWORD)
    ada.page.get_by_role("button", name="Sign in", exact=True).first.click()
    assert ada.page.get_by_label("The code").input_value() == codes["user_code"]
    ada.button("Continue").click()
    ada.heading(re.compile("act for you in a terminal"))
    ada.page.get_by_label("My own terminal shows").check()
    ada.button(button).click()
    ada.heading("Allowed" if button == "Allow" else "Denied")


def registered(place: Place, name: str, kind: str) -> tuple[str, str | None]:
    """An app for terminals."""
    return register_app(place.daemon, name=name, type=kind, grants=[DEVICE, "refresh_token"])


@needs_npm
@pytest.mark.parametrize(
    ("library", "kind", "button"),
    [
        ("openid-client", "confidential", "Allow"),
        ("openid-client", "public", "Deny"),
        ("oauth4webapi", "public", "Allow"),
        ("oauth4webapi", "confidential", "Deny"),
    ],
)
def test_npm_clients(place: Place, ada: Person, tmp_path: Path, library: str, kind: str, button: str) -> None:
    """They find the endpoint, poll until the person has answered, check the id_token, and refresh."""
    client_id, secret = registered(place, f"{library} {kind} {button}", kind)
    given = (library, place.daemon.public_url, client_id, *(() if secret is None else (secret,)))
    with conversation("device_clients.mjs", *given, folder=tmp_path) as talk:
        decide(ada, talk.heard("codes"), button)
        if button == "Deny":
            assert talk.heard("refused")["error"] == "access_denied"
            return
        tokens = talk.heard("tokens")
        assert tokens["has_refresh"] is True
        assert (tokens["claims"]["sub"], tokens["claims"]["aud"]) == (place.person, client_id)
        assert "read" in tokens["scope"].split()
        assert talk.heard("refreshed")["scope"] == tokens["scope"]


def test_authlib(place: Place, ada: Person) -> None:
    """Authlib waits for the person, redeems the device code once, and refreshes."""
    client_id, _ = registered(place, "authlib", "public")
    issuer = place.daemon.public_url
    metadata = httpx2.get(f"{issuer}/.well-known/oauth-authorization-server", trust_env=False).json()
    with OAuth2Client(client_id, token_endpoint_auth_method="none", trust_env=False) as client:
        form = {"client_id": client_id, "scope": "read", "resource": f"{issuer}/mcp"}
        codes = httpx2.post(metadata["device_authorization_endpoint"], data=form, trust_env=False).json()

        def fetch() -> Any:
            return client.fetch_token(metadata["token_endpoint"], grant_type=DEVICE, device_code=codes["device_code"])

        with pytest.raises(OAuthError, match="authorization_pending"):
            fetch()
        decide(ada, codes, "Allow")
        token = dict(fetch())
        assert (token["token_type"], token["scope"]) == ("Bearer", "read")
        assert client.refresh_token(metadata["token_endpoint"], refresh_token=token["refresh_token"])["scope"] == "read"
        with pytest.raises(OAuthError, match="invalid_grant"):
            fetch()
