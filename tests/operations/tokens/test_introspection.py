"""Introspection: what a service learns about a token, key or secret, and what it does not."""

from datetime import UTC, datetime
from typing import Any

import pytest

from herod.identity.credential_types import Basic, Bearer, PeerClaim
from herod_client.core.errors import BadCredentials
from support.herod_in_memory import LEGACY, NOW, STRANGER, TCP, Harness, bearer

INACTIVE = {"active": False}


async def introspect(harness: Harness, asker: Basic, token: str) -> dict[str, Any]:
    """Introspect by the OAuth route."""
    form = f"client_id={asker.client_id}&client_secret={asker.secret}&token={token}"
    answer = await harness.request("POST", "/introspect", form=form)
    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.response.is_quiet
    found: dict[str, Any] = answer.json
    return found


async def test_a_token(harness: Harness) -> None:
    """An active token has all RFC 7662 members that herod supports."""
    service, user = await harness.user(), await harness.user("write user", name="Ada")
    token = await user.token("write")
    jti = harness.runtime.claims(token, NOW).jti
    assert await introspect(harness, service.basic, token) == {
        "active": True,
        "scope": "write",
        "client_id": user.client_id,
        "username": "Ada",
        "token_type": "Bearer",
        "exp": NOW + 3600,
        "iat": NOW,
        "sub": user.client_id,
        "iss": "hero_auth",
        "jti": jti,
    }


async def test_what_it_is_good_for_now(harness: Harness) -> None:
    """A demotion and changed networks show at once, and of an ended token only `active: false`."""
    service, user = await harness.user(), await harness.user("write", networks=["lab", "field"])
    token = await user.token()
    assert (await introspect(harness, service.basic, token))["networks"] == ["field", "lab"]
    await harness.admin("users.scope", client_id=user.client_id, scope="read")
    assert (await introspect(harness, service.basic, token))["scope"] == "read"
    other = await user.token()
    await harness.call("token.revoke", user.basic, token=other)
    assert await introspect(harness, service.basic, other) == INACTIVE
    harness.clock.now += 3600
    assert await introspect(harness, service.basic, token) == INACTIVE


async def test_keys(harness: Harness) -> None:
    """A user key has its owner as subject, a service key itself, and `exp` if the key expires."""
    service, user = await harness.user(), await harness.user("write")
    ends = datetime.fromtimestamp(NOW + 600, UTC)
    key = await user.key("read", expires_at=ends)
    seen = await introspect(harness, service.basic, key)
    assert (seen["sub"], seen["client_id"], seen["scope"]) == (user.client_id, user.client_id, "read")
    assert (seen["jti"], seen["exp"], seen["iat"]) == (key.split("_")[2], NOW + 600, NOW)
    text = await harness.service_key("registrar", "runner")
    seen = await introspect(harness, service.basic, text)
    assert (seen["sub"], seen["username"], seen["scope"]) == (text.split("_")[2], "runner", "registrar")
    assert "exp" not in seen
    assert "client_id" not in seen
    harness.clock.now += 600
    assert await introspect(harness, service.basic, key) == INACTIVE


async def test_legacy_secrets(harness: Harness) -> None:
    """A configured legacy secret is active with its scope and counts as used; another one is inactive."""
    service = await harness.user()
    seen = await introspect(harness, service.basic, LEGACY["registrar"])
    assert (seen["active"], seen["scope"], "client_id" in seen) == (True, "registrar", False)
    assert await introspect(harness, service.basic, "no-such-secret") == INACTIVE


async def test_a_peers_token(harness: Harness) -> None:
    """A peer's token has the rule as subject and no client."""
    rule = await harness.admin("peers.allow", uid=1234, scope="read")
    issued = await harness.call("token.create", PeerClaim(), STRANGER)
    service = await harness.user()
    seen = await introspect(harness, service.basic, issued.access_token)
    assert (seen["sub"], seen["scope"], "client_id" in seen) == (rule.id, "read", False)


@pytest.mark.parametrize("token", ["x", "a.b.c", "herod_u_0kZ3vXq81LmT_x", "%C3%A9", "e30.e30.e30"])
async def test_what_is_none(harness: Harness, token: str) -> None:
    """Only a missing token is an error; an unknown one is inactive."""
    service = await harness.user()
    before = harness.runtime.counters["invalid"]
    assert await introspect(harness, service.basic, token) == INACTIVE
    assert harness.runtime.counters["invalid"] == before + 1


async def test_who_may_ask(harness: Harness) -> None:
    """Any authenticated principal may introspect, with any credential; others may not (RFC 7662, section 2.1)."""
    user = await harness.user()
    token, key = await user.token(), await user.key()
    form = f"token={token}"
    anonymous = await harness.request("POST", "/introspect", form=form)
    assert (anonymous.status, anonymous.json["error"]) == (401, "invalid_client")
    assert anonymous.headers["www-authenticate"].startswith("Bearer")
    wrong = await harness.request("POST", "/introspect", form=form, headers=bearer(token + "x"))
    assert (wrong.status, wrong.json["error"]) == (401, "invalid_client")
    for headers in (user.basic_header, bearer(token), bearer(key), {"x-api-key": key}):
        answer = await harness.request("POST", "/introspect", form=f"{form}&token_type_hint=nonsense", headers=headers)
        assert (answer.status, answer.json["active"]) == (200, True)
    missing = await harness.request("POST", "/introspect", form="token=", headers=user.basic_header)
    assert (missing.status, missing.json["error"]) == (400, "invalid_request")
    in_address = await harness.request("POST", f"/introspect?token={token}", form=form, headers=user.basic_header)
    assert in_address.status == 400


async def test_by_json_rpc(harness: Harness) -> None:
    """The JSON-RPC method gives the same answer."""
    user = await harness.user()
    token = await user.token()
    answer = await harness.rpc("token.introspect", {"token": token}, headers=user.basic_header)
    assert answer["result"] == await introspect(harness, user.basic, token)
    refused = await harness.rpc("token.introspect", [token])
    assert refused["error"]["code"] == 4001


async def test_it_is_counted_and_not_audited(harness: Harness) -> None:
    """Introspection is counted and not audited, like validation, and counts as a use of the key."""
    user = await harness.user()
    key = await user.key()
    rows, count = len(harness.store.audit_rows()), harness.runtime.counters["validations"]
    await harness.call("token.introspect", user.basic, TCP, token=key)
    assert harness.runtime.counters["validations"] == count + 1
    assert len(harness.store.audit_rows()) == rows
    usage = harness.store.usage(key.split("_")[2])
    assert usage is not None
    assert usage.source == TCP.label
    with pytest.raises(BadCredentials):
        await harness.call("token.introspect", Bearer("nobody"), TCP, token=key)
