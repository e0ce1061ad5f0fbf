"""What a document may say about its app."""

import json
from typing import Any

import pytest

from credentials.hostile_redirects import OWN_ORIGINS
from herod.identity.apps.grant_types import DEVICE_CODE
from herod.identity.client_documents import ClientDocument, parse_client_url
from herod.pipeline.client_documents.document_parser import MAX_DOCUMENT_BYTES, MAX_DOCUMENT_REDIRECTS, parse_document
from herod_client.core.errors import InvalidClientMetadata
from pipeline.client_documents.hostile_documents import GOOD, HOSTILE, URL
from support.document_hosts import HOST
from support.herod_in_memory import NOW


def _read(body: bytes) -> ClientDocument:
    url = parse_client_url(URL)
    assert url is not None
    return parse_document(url, body, own_origins=OWN_ORIGINS, now=NOW)


def _with(**changes: Any) -> ClientDocument:
    return _read(json.dumps({name: value for name, value in {**GOOD, **changes}.items() if value is not ...}).encode())


def test_a_good_one() -> None:
    """A document gives name, redirects and the grants that herod supports."""
    assert _with() == ClientDocument(
        name="Agent",
        redirect_uris=("http://localhost/callback", f"https://{HOST}/callback"),
        grants=("authorization_code", "refresh_token", DEVICE_CODE),
        at=NOW,
    )


def test_an_app_without_a_browser() -> None:
    """An app that has the device grant alone needs no redirect, and is given none."""
    read = _with(grant_types=[DEVICE_CODE], redirect_uris=..., response_types=[])
    assert (read.grants, read.redirect_uris) == ((DEVICE_CODE,), ())
    assert _with(grant_types=[DEVICE_CODE]).redirect_uris == ()


def test_what_may_be_missing() -> None:
    """Without other members it is an app that is called like its host, and may only redeem codes."""
    read = _with(client_name=..., grant_types=..., response_types=..., token_endpoint_auth_method=..., client_uri=...)
    assert (read.name, read.grants) == (HOST, ("authorization_code",))


def test_unknown_members_and_escapes() -> None:
    """Members that herod does not know are ignored, whatever they hold, and escapes are what they stand for."""
    assert _with(logo_uri=7, jwks={"keys": []}, x=[[[{}]]]).name == "Agent"
    assert _read(json.dumps(GOOD).replace("/", "\\/").encode()) == _with()


def test_redirects_that_will_not_do_are_left_out() -> None:
    """A redirect with an app's own scheme, of herod's or malformed is left out, and each is taken once."""
    uris = ["cursor://x/callback", "http://localhost:3350/", "https://x/#y", "https://x/", "https://x/"]
    assert _with(redirect_uris=uris).redirect_uris == ("https://x/",)
    many = [f"https://x{n}/" for n in range(MAX_DOCUMENT_REDIRECTS + 5)]
    assert len(_with(redirect_uris=many).redirect_uris) == MAX_DOCUMENT_REDIRECTS


def test_there_are_a_thousand() -> None:
    """The list has not shrunk."""
    assert len(HOSTILE) > 1500


@pytest.mark.parametrize("part", range(10))
def test_hostile_documents(part: int) -> None:
    """None of a thousand hostile documents describes an app, and each is told what is wrong."""
    for body in HOSTILE[part::10]:
        with pytest.raises(InvalidClientMetadata, match="cannot be used: ") as refused:
            _read(body)
        assert len(refused.value.message) < 600


def test_size() -> None:
    """A document has at most 5 KiB."""
    body = json.dumps(GOOD).encode()
    assert _read(body + b" " * (MAX_DOCUMENT_BYTES - len(body))).name == "Agent"
    with pytest.raises(InvalidClientMetadata, match="more than 5120 bytes"):
        _read(body + b" " * (MAX_DOCUMENT_BYTES - len(body) + 1))
