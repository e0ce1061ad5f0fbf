"""A service that checks herod's tokens itself, with the keys that apps' tokens for it are signed with."""

import base64
import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx2
import jwt
import pytest
import trio

from herod_client.async_verifier import Verifier
from herod_client.core.errors import BadToken, RevokedToken
from openid.conftest import Place
from support.person_at_forms import CALLBACK, PersonAtForms, add_person, register_app, tokens_for
from support.real_daemon import running

JOBS = "http://localhost:9000"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A daemon of its own, which has no keys for apps yet."""
    with running(tmp_path_factory.mktemp("verifier"), "--bootstrap-admin-key", "ops") as daemon:
        yield Place(daemon, add_person(daemon))


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA"])
async def test_tokens_for_a_service(place: Place, person: PersonAtForms, algorithm: str) -> None:
    """A verifier that began before there was a key takes an app's token within seconds, and refuses it once revoked."""
    client_id, secret = register_app(
        place.daemon,
        name=f"jobs {algorithm}",
        redirect_uris=[CALLBACK],
        scope="write",
        id_token_algorithm=algorithm,
        expand_scope=True,
    )
    with trio.fail_after(60):
        async with Verifier(f"unix:{place.daemon.socket}", jwks=True, resource=JOBS) as verifier:
            tokens = await allowed(person, client_id, secret, JOBS)
            token = tokens["access_token"]
            header = jwt.get_unverified_header(token)
            assert (header["alg"], header["typ"]) == (algorithm, "at+jwt")
            claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
            assert (claims["scope"], claims["aud"]) == ("openid write read", JOBS)
            verified = None
            while verified is None:
                try:
                    verified = verifier.verify(token, scope="write")
                except BadToken:
                    await trio.sleep(0.05)
            assert (verified.sub, verified.scope, verified.aud) == (place.person, "write", JOBS)
            with pytest.raises(BadToken):
                verifier.verify(tokens["id_token"])
            assert as_admin(place, "token.revoke", token=token) == {"revoked": True}
            await refused(verifier, token)


async def test_access_taken_back(place: Place, person: PersonAtForms) -> None:
    """What a person allowed and takes back ends at once at herod, and as soon as the feed tells it at a verifier."""
    client_id, secret = register_app(place.daemon, name="taken back", redirect_uris=[CALLBACK], scope="write")
    with trio.fail_after(60):
        tokens = {
            resource: await allowed(person, client_id, secret, resource) for resource in (place.daemon.public_url, JOBS)
        }
        own, jobs = (one["access_token"] for one in tokens.values())
        async with Verifier(f"unix:{place.daemon.socket}", jwks=True, resource=JOBS) as verifier:
            assert verifier.verify(jobs, scope="write").sub == place.person
            assert whoami(place, own).status_code == 200
            refreshed = [refresh(place, client_id, secret, one["refresh_token"]) for one in tokens.values()]
            assert [answer.status_code for answer in refreshed] == [200, 200]
            for delegation in as_admin(place, "delegations.list")["items"]:
                if delegation["app"] == client_id:
                    as_admin(place, "delegations.revoke", id=delegation["id"])
            assert whoami(place, own).status_code == 401
            for one in tokens.values():
                answer = refresh(place, client_id, secret, one["refresh_token"])
                assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
            assert not place.daemon.curl("/validate", "--json", json.dumps({"token": jobs, "resource": JOBS}))[1][
                "valid"
            ]
            for token in (jobs, refreshed[1].json()["access_token"]):
                await refused(verifier, token)


async def allowed(person: PersonAtForms, client_id: str, secret: str | None, resource: str) -> dict[str, str]:
    """The tokens of an app that a person lets act for them at a resource, while the verifier goes on."""
    return await trio.to_thread.run_sync(partial(tokens_for, person, client_id, secret, resource=resource))


def as_admin(place: Place, method: str, **params: str) -> dict[str, Any]:
    """Call an operation as the local admin."""
    answer = place.daemon.rpc(method, params, "-H", f"Authorization: Peer {place.daemon.cookie}")
    result: dict[str, Any] = answer["result"]
    return result


def whoami(place: Place, token: str) -> httpx2.Response:
    """Ask herod's API with a token."""
    headers = {"authorization": f"Bearer {token}"}
    return httpx2.get(f"{place.daemon.public_url}/api/v1/whoami", headers=headers, trust_env=False)


def refresh(place: Place, client_id: str, secret: str | None, token: str) -> httpx2.Response:
    """Ask for new tokens."""
    form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": client_id, "client_secret": secret}
    return httpx2.post(f"{place.daemon.public_url}/token", data=form, trust_env=False)


async def refused(verifier: Verifier, token: str) -> None:
    """Wait until the verifier has learned that a token was revoked."""
    while True:
        try:
            verifier.verify(token)
        except RevokedToken:
            return
        await trio.sleep(0.05)


def test_herods_own_resources_keep_the_plain_key(place: Place, person: PersonAtForms) -> None:
    """A token for herod is signed with HERO_SECRET, which no public key verifies, and is good at its API."""
    client_id, secret = register_app(place.daemon, name="agent", redirect_uris=[CALLBACK], scope="write")
    tokens = tokens_for(person, client_id, secret, resource=place.daemon.public_url)
    assert jwt.get_unverified_header(tokens["access_token"])["alg"] == "HS256"
    headers = {"authorization": f"Bearer {tokens['access_token']}"}
    for path in ("/api/v1/whoami", "/userinfo"):
        answer = httpx2.get(place.daemon.public_url + path, headers=headers, trust_env=False)
        assert answer.status_code == 200
