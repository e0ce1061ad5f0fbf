"""How apps authenticate at `/token`: what the wire says to each, before anything else about the request."""

from typing import Any, Final
from urllib.parse import urlencode

import pytest

from herod.credentials.apps.dynamic_client_ids import DynamicApp, seal_client_id
from herod.credentials.keyring import Keyring
from support.herod_in_memory import Answer, Harness, basic

REDIRECTS: Final = ["http://localhost/callback"]
URL: Final = "https://agent.example/client.json"
OF_ANOTHER: Final = seal_client_id(
    Keyring(bytes(32)), DynamicApp("Agent", tuple(REDIRECTS), ("authorization_code",), "none")
)


async def _registered(harness: Harness, method: str) -> dict[str, Any]:
    body = {"redirect_uris": REDIRECTS, "token_endpoint_auth_method": method}
    said: dict[str, Any] = (await harness.request("POST", "/oauth/register", json=body)).json
    return said


async def _exchange(harness: Harness, headers: dict[str, str] | None = None, /, **fields: str) -> Answer:
    form = {"grant_type": "authorization_code", "code": "x", "code_verifier": "v" * 43, "redirect_uri": REDIRECTS[0]}
    return await harness.request("POST", "/token", form=urlencode({**form, **fields}), headers=headers)


def _is_known(answer: Answer) -> None:
    """The app is known, and its code is not: the app keeps its registration."""
    assert (answer.status, answer.json["error"]) == (400, "invalid_grant")


def _is_unknown(answer: Answer) -> None:
    """The app is not who it says, or not any more: it has to register again."""
    assert (answer.status, answer.json["error"]) == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic ")


async def test_public(harness: Harness) -> None:
    """A public app sends its client id alone; with a secret it is refused, also with one that would be right."""
    app = await _registered(harness, "none")
    _is_known(await _exchange(harness, client_id=app["client_id"]))
    _is_known(await _exchange(harness, basic(app["client_id"], "")))
    _is_known(await _exchange(harness, client_id=app["client_id"], client_secret=""))
    _is_unknown(await _exchange(harness, client_id=app["client_id"], client_secret="x"))
    _is_unknown(await _exchange(harness, basic(app["client_id"], "x")))


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_confidential(harness: Harness, method: str) -> None:
    """A confidential app sends its secret, by Basic or in the form; its client id alone is not enough."""
    app, other = await _registered(harness, method), await _registered(harness, method)
    client_id, secret = app["client_id"], app["client_secret"]
    _is_known(await _exchange(harness, basic(client_id, secret)))
    _is_known(await _exchange(harness, client_id=client_id, client_secret=secret))
    _is_known(await _exchange(harness, basic(client_id, secret), client_id=client_id, client_secret=secret))
    _is_unknown(await _exchange(harness, client_id=client_id))
    _is_unknown(await _exchange(harness, basic(client_id, "")))
    _is_unknown(await _exchange(harness, basic(client_id, other["client_secret"])))
    _is_unknown(await _exchange(harness, client_id=client_id, client_secret=secret[:-1]))
    answer = await _exchange(harness, basic(client_id, secret), client_id=other["client_id"])
    assert (answer.status, answer.json["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "client_id", [OF_ANOTHER, "herod_app_", "herod_app_AAAA", "x", "https://x", "http://x.example/y"]
)
async def test_unknown(harness: Harness, client_id: str) -> None:
    """A client id that herod did not make, or made with other keys, is answered so that the app registers again."""
    for fields, headers in (
        ({"client_id": client_id}, None),
        ({"client_id": client_id, "client_secret": "x"}, None),
        ({}, basic(client_id, "x")),
    ):
        if ":" in client_id and headers:
            continue  # no user name of Basic has a colon
        _is_unknown(await _exchange(harness, headers, **fields))
        _is_unknown(await _exchange(harness, headers, **fields, grant_type="refresh_token", refresh_token="x"))


async def test_by_url(harness: Harness) -> None:
    """An app by URL is public, and goes on after a restart, when herod has not read its document yet."""
    _is_known(await _exchange(harness, client_id=URL))
    _is_known(await _exchange(harness, client_id=URL, grant_type="refresh_token", refresh_token="x"))
    _is_unknown(await _exchange(harness, client_id=URL, client_secret="x"))
    harness.configure(client_documents="off")
    _is_unknown(await _exchange(harness, client_id=URL))


async def test_no_token_for_the_app_itself(harness: Harness) -> None:
    """An app has nothing of its own: with client_credentials it gets no token, and is not told to register again."""
    app, grant = await _registered(harness, "client_secret_basic"), "client_credentials"
    for answer in (
        await _exchange(harness, basic(app["client_id"], app["client_secret"]), grant_type=grant),
        await _exchange(harness, client_id=app["client_id"], client_secret=app["client_secret"], grant_type=grant),
    ):
        assert (answer.status, answer.json["error"]) == (400, "unauthorized_client")
    _is_unknown(await _exchange(harness, client_id=app["client_id"], grant_type=grant))
