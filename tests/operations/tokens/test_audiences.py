"""Tokens for one resource (RFC 8707, RFC 9068): only that resource accepts them."""

import json
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest

from herod.identity.credential_types import ApiKeyHeader, Bearer, PeerClaim
from herod_client.core.errors import InvalidRequest, InvalidTarget, TargetDenied, UnsupportedTokenType
from support.connected_apps import app_token, connect_app
from support.herod_in_memory import ADMIN_SOURCE, LOCAL_ADMIN, NOW, SECRET, STRANGER, TCP, Harness, bearer

JOBS = "https://jobs.example.org"
OWN = "http://localhost"
MCP = "http://localhost/mcp"


async def token_for(harness: Harness, resource: str, scope: str = "read") -> str:
    """A token of a new account for one resource."""
    user = await harness.user(scope)
    answer = await harness.call("token.create", user.basic, resource=resource)
    text: str = answer.access_token
    return text


async def ask_rest(harness: Harness, token: str) -> int:
    """The REST status for the token as a bearer."""
    return (await harness.request("GET", "/api/v1/whoami", headers=bearer(token))).status


async def ask_mcp(harness: Harness, headers: dict[str, str]) -> int:
    """The status of `/mcp` for a credential."""
    call = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    return (await harness.request("POST", "/mcp", json=call, headers=headers)).status


async def test_its_form(harness: Harness) -> None:
    """A token has `typ`, `aud`, `client_id`, and the metadata's URL as `iss` (RFC 9068, section 2)."""
    user = await harness.user("write")
    answer = await harness.call("token.create", user.basic, scope="read", resource=JOBS)
    assert jwt.get_unverified_header(answer.access_token) == {"alg": "HS256", "typ": "at+jwt"}
    options: Any = {"verify_exp": False, "verify_iat": False}
    claims = jwt.decode(answer.access_token, SECRET, algorithms=["HS256"], audience=JOBS, issuer=OWN, options=options)
    assert {name: claims[name] for name in ("sub", "client_id", "aud", "iss", "scope", "exp", "iat")} == {
        "sub": user.client_id,
        "client_id": user.client_id,
        "aud": JOBS,
        "iss": OWN,
        "scope": "read",
        "exp": NOW + 3600,
        "iat": NOW,
    }
    with pytest.raises(jwt.InvalidAudienceError):
        jwt.decode(answer.access_token, SECRET, algorithms=["HS256"], audience=OWN, options=options)
    plain = jwt.decode(await user.token(), SECRET, algorithms=["HS256"], options=options)
    assert (plain["iss"], "aud" in plain, "client_id" in plain) == ("hero_auth", False, False)


async def test_another_services_token_is_nothing_here(harness: Harness) -> None:
    """A token for another service is refused by herod and its validation, and the audit log has the reason."""
    token = await token_for(harness, JOBS)
    assert await ask_rest(harness, token) == 401
    assert await ask_mcp(harness, bearer(token)) == 401
    assert (await harness.request("POST", "/introspect", form=f"token={token}", headers=bearer(token))).status == 401
    verdict = await harness.request("POST", "/validate", json={"token": token})
    assert verdict.json == {"valid": False, "reason": "audience"}
    assert (await harness.rpc("auth.verify", {"key": token}))["result"] == {"valid": False}
    await harness.pipeline.flush(is_last=True)
    assert "audience" in {row.event.reason for row in harness.store.audit_rows()}


async def test_its_service_asks_by_introspection(harness: Harness) -> None:
    """To the service that says that it is the resource, the token is active and shows its audience; to others not."""
    service, token = await harness.user(), await token_for(harness, f"{JOBS}/mcp")

    async def seen(**more: str) -> Any:
        form = urlencode({"token": token, **more})
        return (await harness.request("POST", "/introspect", form=form, headers=service.basic_header)).json

    for resource in (JOBS, f"{JOBS}/mcp"):
        found = await seen(resource=resource)
        assert (found["active"], found["aud"], found["iss"]) == (True, f"{JOBS}/mcp", OWN)
        assert found["client_id"] == found["sub"]
    assert await seen() == {"active": False}
    assert await seen(resource=f"{JOBS}/other") == {"active": False}
    assert await seen(resource="") == {"active": False}  # as if it were left out (RFC 6749, section 3.2)
    assert (await seen(resource="jobs"))["error"] == "invalid_request"
    with pytest.raises(InvalidRequest, match="is empty"):
        await harness.admin("token.introspect", token=token, resource="")


async def test_whom_else_it_concerns(harness: Harness) -> None:
    """Without a resource it is active to its holder, by whatever they present, and to admins."""
    user, stranger = await harness.user(), await harness.user("write")
    token = (await harness.call("token.create", user.basic, resource=JOBS)).access_token
    admin = Bearer(await harness.service_key("admin", "admin"))
    for asker in (user.basic, await user.bearer(), ApiKeyHeader(await user.key()), admin, LOCAL_ADMIN):
        assert (await harness.call("token.introspect", asker, token=token)).active
    assert not (await harness.call("token.introspect", stranger.basic, token=token)).active
    assert (await harness.call("token.introspect", stranger.basic, token=await user.token())).active  # for everybody


async def test_an_apps_token_at_introspection(harness: Harness) -> None:
    """The client is the app; the person behind it and the app itself may ask, and no other app of theirs."""
    user = await harness.user()
    delegation = await connect_app(harness, user)
    token, same = app_token(harness, delegation), app_token(harness, delegation)
    other = app_token(harness, await connect_app(harness, user, app="another"))
    for asker in (user.basic, same):
        seen = await harness.call("token.introspect", asker, token=token.text)
        assert (seen.active, seen.sub, seen.client_id, seen.aud) == (True, user.client_id, delegation.app, OWN)
    assert not (await harness.call("token.introspect", other, token=token.text)).active
    assert not (await harness.call("token.introspect", (await harness.user()).basic, token=token.text)).active


@pytest.mark.parametrize(
    ("resource", "rest", "mcp"),
    [(OWN, 200, 200), (f"{OWN}/", 200, 200), (MCP, 401, 200), (f"{MCP}/x", 401, 401), ("http://localhos", 401, 401)],
)
async def test_herods_own_resources(harness: Harness, resource: str, rest: int, mcp: int) -> None:
    """A token is for all of herod or for `/mcp` alone, and the latter is refused elsewhere."""
    token = await token_for(harness, resource)
    assert (await ask_rest(harness, token), await ask_mcp(harness, bearer(token))) == (rest, mcp)
    verdict = (await harness.request("POST", "/validate", json={"token": token})).json
    assert verdict == {"valid": False, "reason": "audience"}  # herod asks itself; another service is not meant
    verdict = (await harness.request("POST", "/validate", json={"token": token, "resource": resource})).json
    assert (verdict["valid"], verdict["iss"]) == (True, OWN)


@pytest.mark.parametrize(
    "resource",
    [
        "https://jobs.example.org/v1?tenant=a",
        "urn:example:jobs",
        "http://[::1]:3350/x",
        "spiffe://example.org/jobs",
        "a:" + "b" * 510,
    ],
)
async def test_what_a_resource_is(harness: Harness, resource: str) -> None:
    """A resource is any absolute URI, kept as written."""
    assert harness.runtime.claims(await token_for(harness, resource), NOW).aud == resource


@pytest.mark.parametrize(
    "resource",
    [
        "jobs.example.org",
        "/jobs",
        "https://jobs.example.org/#part",
        "https://",
        "https:///x",
        "http://[::1",
        "https://jobs example",
        "https://jöbs.example",
        "urn:",
        "1a:b",
        "a:" + "b" * 511,
        "",
    ],
)
async def test_what_no_resource_is(harness: Harness, resource: str) -> None:
    """An invalid resource is refused as RFC 8707 specifies, and no token is issued."""
    user = await harness.user()
    with pytest.raises(InvalidTarget):
        await harness.call("token.create", user.basic, resource=resource)


async def test_a_peers_token_for_a_service(harness: Harness) -> None:
    """A local process gets a token by its peer rule, and the rule is the client."""
    rule = await harness.admin("peers.allow", uid=1234, scope="read")
    answer = await harness.request(
        "POST",
        "/token",
        form=f"grant_type=client_credentials&resource={JOBS}",
        headers={"authorization": "Peer"},
        source=STRANGER,
    )
    claims = harness.runtime.claims(answer.json["access_token"], NOW)
    assert (claims.sub, claims.client_id, claims.aud) == (rule.id, rule.id, JOBS)


async def test_it_dies_as_others_do(harness: Harness) -> None:
    """The token's holder or an admin revokes it, others cannot, and validation then reports it."""
    user, stranger = await harness.user(), await harness.user()
    token = (await harness.call("token.create", user.basic, resource=JOBS)).access_token
    with pytest.raises(TargetDenied):
        await harness.call("token.revoke", stranger.basic, token=token)
    form = f"token={token}"
    assert (await harness.request("POST", "/revoke", form=form, headers=user.basic_header)).json == {"revoked": True}
    seen = await harness.request("POST", "/introspect", form=form, headers=stranger.basic_header)
    assert seen.json == {"active": False}
    verdict = await harness.request("POST", "/validate", json={"token": token})
    assert verdict.json == {"valid": False, "reason": "revoked"}
    another = (await harness.call("token.create", user.basic, resource=JOBS)).access_token
    await harness.admin("token.revoke", token=another)
    assert (await harness.call("token.introspect", stranger.basic, token=another)).active is False


async def test_keys_are_not_revoked_but_deleted(harness: Harness) -> None:
    """Revoking a key is refused with the error of RFC 7009, section 2.2.1."""
    user = await harness.user()
    key = await user.key()
    answer = await harness.request("POST", "/revoke", form=f"token={key}", headers=user.basic_header)
    assert (answer.status, answer.json["error"]) == (400, "unsupported_token_type")
    with pytest.raises(UnsupportedTokenType):
        await harness.call("token.revoke", user.basic, token=key)
    hinted = f"token={await user.token()}&token_type_hint=refresh_token"
    assert (await harness.request("POST", "/revoke", form=hinted, headers=user.basic_header)).status == 200


async def test_the_local_admin_by_its_token_or_session_at_mcp(harness: Harness) -> None:
    """A token or session of the local admin is refused at `/mcp`, as its cookie is."""
    issued = await harness.call("token.create", LOCAL_ADMIN, ADMIN_SOURCE)
    session = await harness.call("session.create", LOCAL_ADMIN, ADMIN_SOURCE)
    cookie = {"cookie": f"herod_session={session.cookie}"}
    assert await ask_rest(harness, issued.access_token) == 200
    assert await ask_mcp(harness, bearer(issued.access_token)) == 401
    assert (await harness.request("GET", "/api/v1/whoami", headers=cookie, source=TCP)).status == 200
    assert await ask_mcp(harness, cookie) == 401
    user = await harness.user()
    assert await ask_mcp(harness, {"cookie": f"herod_session={(await user.session()).text}"}) == 200


async def test_who_presents_nothing_gets_no_token(harness: Harness) -> None:
    """A peer without a rule gets no token."""
    answer = await harness.request(
        "POST",
        "/token",
        form="grant_type=client_credentials",
        headers={"authorization": "Peer"},
        source=STRANGER,
    )
    assert (answer.status, json.loads(answer.response.body)["error"]) == (401, "invalid_client")
    assert PeerClaim().cookie is None
