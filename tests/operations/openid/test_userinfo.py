"""`/userinfo`: which tokens it takes, and what it tells whom."""

from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from herod.identity.apps.openid_scopes import OPENID_SCOPES
from herod.operations.operation_table import OPERATIONS
from herod.records import Account, App
from herod.scopes.decisions import Access
from herod_client.core.scope_graph import RESERVED, ScopeGraph
from support.connected_apps import APP, ROOT, app_token, connect_app
from support.herod_in_memory import TCP, Answer, Harness, User, bearer

ALL = "openid profile email groups"


async def asked(harness: Harness, token: str, method: str = "GET") -> Answer:
    """Ask with a token in the header."""
    return await harness.request(method, "/userinfo", headers=bearer(token))


async def told(harness: Harness, user: User, scope: str, **changes: Any) -> Any:
    """What an app with this scope is told."""
    delegation = await connect_app(harness, user, f"read {scope}", **changes)
    answer = await asked(harness, app_token(harness, delegation, scope).text)
    assert answer.status == 200
    return answer.json


async def registered(harness: Harness, **changes: Any) -> User:
    """An account that registered itself."""
    made = await harness.call(
        "register", email="eve@example.org", password="correct horse battery", name="admin", **changes
    )
    return User(harness, made.client_id, made.client_secret)


@pytest.mark.parametrize(
    ("scope", "claims"),
    [
        ("openid", set()),
        ("openid profile", {"name", "preferred_username"}),
        ("openid email", {"email", "email_verified"}),
        ("openid groups", {"groups"}),
        ("openid offline_access read", set()),
        (ALL, {"name", "preferred_username", "email", "email_verified", "groups"}),
    ],
)
async def test_each_scope_adds_its_claims(harness: Harness, scope: str, claims: set[str]) -> None:
    """Without a scope its claims are absent; `sub` is always the account's id."""
    user = await harness.user("write", email="ada@example.org", name="Ada")
    body = await told(harness, user, scope)
    assert set(body) == {"sub", *claims}
    assert body["sub"] == user.client_id


async def test_a_confirmed_account(harness: Harness) -> None:
    """An account that an admin made has a verified email; groups are all scopes that its own include."""
    user = await harness.user("write", email="ada@example.org", name="Ada")
    assert await told(harness, user, ALL) == {
        "sub": user.client_id,
        "name": "Ada",
        "preferred_username": "ada@example.org",
        "email": "ada@example.org",
        "email_verified": True,
        "groups": ["write", "read"],
    }


async def test_no_email_under_another_name(harness: Harness) -> None:
    """Who lets an app see their name and not their email is known to it by id: the username tells no email either."""
    user = await harness.user("write", email="ada@example.org", name="Ada")
    assert await told(harness, user, "openid profile") == {
        "sub": user.client_id,
        "name": "Ada",
        "preferred_username": user.client_id,
    }


async def test_an_unconfirmed_account(harness: Harness) -> None:
    """The email of an account that registered itself is told once an admin confirms it; its name is no username."""
    user = await registered(harness)
    body = await told(harness, user, ALL)
    assert body == {
        "sub": user.client_id,
        "name": "admin",
        "preferred_username": user.client_id,
        "groups": ["read"],
    }
    await harness.admin("users.update", client_id=user.client_id, confirmed=True)
    body = await told(harness, user, ALL)
    assert (body["email"], body["email_verified"], body["preferred_username"]) == (
        "eve@example.org",
        True,
        "eve@example.org",
    )


async def test_an_app_that_is_told_unconfirmed_emails(harness: Harness) -> None:
    """An app that an admin set so is told such an email, as not verified, and never as a username."""
    user = await registered(harness)
    app = App(id="wiki", created_at=0, name="Wiki", creator="test", scope=("read",), sends_unconfirmed_email=True)
    await harness.store.write(lambda tx: tx.put(app))
    body = await told(harness, user, ALL, app="wiki", app_origin="registered")
    assert (body["email"], body["email_verified"]) == ("eve@example.org", False)
    assert body["preferred_username"] == user.client_id


async def test_an_account_without_email_and_name(harness: Harness) -> None:
    """What an account does not have is absent, not empty."""
    user = await harness.user("read", email=None)
    account = harness.store.get(Account, user.client_id)
    assert account is not None
    await harness.store.write(lambda tx: tx.put(msgspec.structs.replace(account, name="", email=None)))
    assert await told(harness, user, ALL) == {
        "sub": user.client_id,
        "preferred_username": user.client_id,
        "groups": ["read"],
    }


async def test_post(harness: Harness) -> None:
    """POST answers the same (section 5.3.1), without a body."""
    user = await harness.user("read")
    token = app_token(harness, await connect_app(harness, user, "openid")).text
    assert (await asked(harness, token, "POST")).json == (await asked(harness, token)).json == {"sub": user.client_id}


async def test_for_the_app_alone(harness: Harness) -> None:
    """A token without a resource has the app as audience: it is good here, and nowhere else."""
    user = await harness.user("admin")
    delegation = await connect_app(harness, user, "openid email", resource=None)
    token = app_token(harness, delegation, "openid email", audience=APP).text
    assert (await asked(harness, token)).json["sub"] == user.client_id
    for path in ("/api/v1/whoami", "/api/v1/stats"):
        assert (await harness.request("GET", path, headers=bearer(token))).status == 401
    answer = await harness.rpc("whoami", {}, headers=bearer(token))
    assert answer["error"]["data"]["code"] == "bad_token"
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    assert (await harness.request("POST", "/mcp", json=call, headers=bearer(token))).status == 401
    assert (await harness.call("token.validate", token=token)).reason == "audience"


@pytest.mark.parametrize("audience", [f"{ROOT}/mcp", "http://localhost:9000", "another-app", ""])
async def test_tokens_for_others(harness: Harness, audience: str) -> None:
    """A token for another resource, `/mcp` included, or for another app is refused."""
    user = await harness.user("read")
    token = app_token(harness, await connect_app(harness, user, "openid"), audience=audience).text
    answer = await asked(harness, token)
    assert answer.status == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_without_openid(harness: Harness) -> None:
    """An app's token without `openid` is refused with the scope that it lacks, and so is a token of no app."""
    user = await harness.user("admin")
    delegated = app_token(harness, await connect_app(harness, user, "admin profile email")).text
    for token in (delegated, await user.token()):
        answer = await asked(harness, token)
        assert answer.status == 403
        assert 'error="insufficient_scope", scope="openid"' in answer.headers["www-authenticate"]


async def test_other_credentials(harness: Harness) -> None:
    """Nothing but an access token is taken."""
    user = await harness.user("admin")
    for headers in (user.basic_header, {"x-api-key": await user.key()}):
        assert (await harness.request("GET", "/userinfo", headers=headers)).status == 403
    answer = await harness.request("GET", "/userinfo")
    assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Bearer realm="herod"')


async def test_what_ends_it(harness: Harness) -> None:
    """With the delegation taken back, the account disabled or deleted, nothing is told."""
    for change in ("users.disable", "users.delete"):
        user = await harness.user("read")
        token = app_token(harness, await connect_app(harness, user, "openid")).text
        assert (await asked(harness, token)).status == 200
        await harness.admin(change, client_id=user.client_id)
        assert (await asked(harness, token)).status == 401


async def test_openid_gives_no_power(harness: Harness) -> None:
    """OpenID Connect's scopes are in no grant: a token with them alone opens `/userinfo`, and tells about itself."""
    user = await harness.user("admin")
    token = app_token(harness, await connect_app(harness, user, f"admin {ALL}"), ALL)
    operations = [one for one in OPERATIONS.values() if one.needs is not Access.PUBLIC]
    assert harness.pipeline.admitted(operations, token, TCP) == {"openid.userinfo", "token.introspect", "token.revoke"}
    for path in ("whoami", "tokens/changes", "delegations", "approvals", f"users/{user.client_id}/factors", "stats"):
        answer = await harness.request("GET", f"/api/v1/{path}", headers=bearer(token.text))
        assert (answer.status, answer.json["error"]["code"]) == (403, "missing_scope"), path


@pytest.mark.parametrize(("scope", "is_told"), [("openid", False), ("openid profile", True), ("openid read", True)])
async def test_who_hears_the_name(harness: Harness, scope: str, is_told: bool) -> None:
    """An app that was allowed `openid` alone does not get the name by another door."""
    user = await harness.user("read", name="Ada")
    delegation = await connect_app(harness, user, "openid profile read")
    token = app_token(harness, delegation, scope).text
    validated = await harness.request("POST", "/validate", json={"token": token, "resource": ROOT})
    assert (validated.json["valid"], validated.json.get("name")) == (True, "Ada" if is_told else None)
    form = urlencode({"token": token, "resource": ROOT})
    introspected = await harness.request("POST", "/introspect", form=form, headers=bearer(token))
    assert (introspected.json["active"], introspected.json.get("username")) == (True, "Ada" if is_told else None)


def test_no_scope_of_herods_has_such_a_name() -> None:
    """The settings refuse what OpenID Connect calls its scopes, so none of them ever gives power."""
    assert frozenset(OPENID_SCOPES) == RESERVED
    assert not RESERVED & set(ScopeGraph({}).scopes)
