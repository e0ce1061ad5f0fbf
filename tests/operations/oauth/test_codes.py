"""Authorization codes: once, within a minute, and only for whom and what they were made."""

from typing import Any

import pytest
import trio

from herod.audit_event import AuditEvent
from herod.identity.credential_types import SessionCookie
from herod.operations.oauth.authorization.authorization_codes import CODE_SECONDS, MAX_CODES
from herod.records import AuthorizationCode, Delegation, Revocation, TokenFamily
from support.herod_in_memory import TCP, Answer, Harness, bearer
from support.oauth_app import CALLBACK, ISSUER, MCP, AppOfTest, dynamic_app, registered_app
from support.page_visitor import Visitor, open_pages, visit


@pytest.fixture
async def ada(harness: Harness) -> Visitor:
    """A person at a herod with pages."""
    open_pages(harness)
    return await visit(harness, scope="write")


async def code_for(app: AppOfTest, person: Visitor, **changes: str | None) -> str:
    """A code that the person allowed."""
    return (await app.connect(person, **changes))["code"]


def refused(answer: Answer, error: str = "invalid_grant") -> str:
    """The description of a refusal at `/token`, which is never about the app's own credential."""
    assert (answer.status, answer.json["error"]) == (400, error), answer.json
    assert "www-authenticate" not in answer.headers
    return str(answer.json["error_description"])


async def denials(harness: Harness) -> list[AuditEvent]:
    """The audit log's refusals."""
    await harness.pipeline.flush(is_last=True)
    return [row.event for row in harness.store.audit_rows() if row.event.outcome == "denied"]


async def test_an_exchange(harness: Harness, ada: Visitor) -> None:
    """A code gives an access token that says what it is for, and it is in the audit log with the delegation."""
    app = dynamic_app(harness)
    tokens = await app.tokens(ada, scope="read")
    claims = harness.runtime.claims(tokens["access_token"], harness.clock.now)
    (delegation,) = harness.store.scan(Delegation)
    (family,) = harness.store.scan(TokenFamily)
    assert (claims.sub, claims.aud, claims.iss, claims.client_id) == (ada.client_id, MCP, ISSUER, app.client_id)
    assert (claims.via, claims.family, claims.scope) == (f"delegation:{delegation.id}", family.id, "read")
    assert claims.exp - claims.iat == tokens["expires_in"] == 600
    await harness.pipeline.flush(is_last=True)
    event = harness.store.audit_rows()[-1].event
    assert (event.operation, event.outcome, event.target) == ("token.exchange_code", "ok", delegation.id)
    assert event.actor == ada.client_id


async def test_the_settings_say_how_long(harness: Harness, ada: Visitor) -> None:
    """Apps' access tokens live as long as `app_token_ttl` says, and never longer than other tokens."""
    app = dynamic_app(harness)
    for changes, seconds in (({"app_token_ttl": 60}, 60), ({"app_token_ttl": 9000}, 3600)):
        harness.configure(**changes)
        assert (await app.tokens(ada))["expires_in"] == seconds


async def test_a_code_is_stored_as_a_hash(harness: Harness, ada: Visitor) -> None:
    """The store has no code, and no part of one."""
    code = await code_for(dynamic_app(harness), ada)
    (record,) = harness.store.scan(AuthorizationCode)
    assert code not in str(vars(type(record))) + record.id
    assert len(code) == 43


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"code": "wrong"}, "works once"),
        ({"code_verifier": "w" * 43}, "code_verifier"),
        ({"code_verifier": None}, "code_verifier"),
        ({"code_verifier": "short"}, "code_verifier"),
        ({"code_verifier": "v" * 129}, "code_verifier"),
        ({"redirect_uri": "http://127.0.0.1:54546/callback"}, "redirect_uri"),
        ({"redirect_uri": "http://127.0.0.1/callback"}, "redirect_uri"),
        ({"redirect_uri": None}, "redirect_uri"),
    ],
)
async def test_faults_of_the_exchange(harness: Harness, ada: Visitor, changes: dict[str, Any], told: str) -> None:
    """Whatever is wrong with the code's proof is `invalid_grant`; nothing is used up by it."""
    app = dynamic_app(harness)
    code = await code_for(app, ada)
    assert told in refused(await app.exchange(**{"code": code, **changes}))
    assert (await app.exchange(code)).status == 200


async def test_code_injection(harness: Harness, ada: Visitor) -> None:
    """A code is good for the app alone that asked for it, with that request's verifier (RFC 9700, section 4.5)."""
    app, other = dynamic_app(harness), dynamic_app(harness)
    mallory = AppOfTest(harness, app.client_id, verifier="m" * 43)
    code = await code_for(app, ada)
    assert "another app" in refused(await other.exchange(code))
    assert "code_verifier" in refused(await mallory.exchange(code))
    assert (await app.exchange(code)).status == 200


async def test_pkce_downgrade(harness: Harness, ada: Visitor) -> None:
    """Without a challenge there is no verifier, and with one there is: no one-sided proof (RFC 9700, 4.8.2)."""
    app = await registered_app(harness, needs_pkce=False, remembers_consent=False, redirect_uris=(CALLBACK,))
    without: dict[str, str | None] = {"code_challenge": None, "code_challenge_method": None, "nonce": "n"}
    code = await code_for(app, ada, **without)
    refused(await app.exchange(code))
    assert (await app.exchange(code, code_verifier=None)).status == 200
    code = await code_for(app, ada)
    refused(await app.exchange(code, code_verifier=None))
    assert (await app.exchange(code)).status == 200


async def test_a_code_lasts_a_minute(harness: Harness, ada: Visitor) -> None:
    """After a minute it is refused, and so is one from the future, made before the clock was set back."""
    app = dynamic_app(harness)
    first, second = await code_for(app, ada), await code_for(app, ada)
    harness.clock.now += CODE_SECONDS - 1
    assert (await app.exchange(first)).status == 200
    harness.clock.now += 1
    refused(await app.exchange(second))
    third = await code_for(app, ada)
    harness.clock.now -= 3600
    refused(await app.exchange(third))


async def test_used_twice(harness: Harness, ada: Visitor) -> None:
    """A second use ends all tokens of the first, access tokens included, once, audited; the delegation stays."""
    app = dynamic_app(harness)
    code = await code_for(app, ada)
    tokens = (await app.exchange(code)).json
    other = await app.tokens(ada)
    for _ in range(3):
        assert "used before" in refused(await app.exchange(code))
    assert (await app.call_tool(tokens["access_token"])).status == 401
    refused(await app.refresh(tokens["refresh_token"]))
    assert harness.store.count(Delegation) == 1
    assert (await app.call_tool(other["access_token"])).status == 200
    assert (await app.refresh(other["refresh_token"])).status == 200
    (event,) = [event for event in await denials(harness) if event.operation.startswith("token.")]
    assert (event.operation, event.reason) == ("token.exchange_code", "code_reuse")
    (delegation,) = harness.store.scan(Delegation)
    assert event.target == delegation.id
    assert harness.store.count(Revocation) == 1


async def test_used_twice_at_once(harness: Harness, ada: Visitor) -> None:
    """Of several exchanges at the same moment one wins, and the others end what it got."""
    app = dynamic_app(harness)
    code = await code_for(app, ada)
    answers: list[Answer] = []

    async def exchange() -> None:
        answers.append(await app.exchange(code))

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(exchange)
    assert sorted(answer.status for answer in answers) == [200, 400, 400, 400, 400]
    (won,) = [answer.json for answer in answers if answer.status == 200]
    assert (await app.call_tool(won["access_token"])).status == 401
    assert harness.store.count(TokenFamily) == 0


async def test_what_ends_a_code(harness: Harness, ada: Visitor) -> None:
    """Signing out, taking the access back, disabling the account or a new password ends a code that is not used yet."""
    app = dynamic_app(harness)

    async def refuses_after(act: Any) -> None:
        code = await code_for(app, ada)
        await act()
        refused(await app.exchange(code))

    async def take_back() -> None:
        (one,) = harness.store.scan(Delegation)
        await harness.admin("delegations.revoke", id=one.id)

    await refuses_after(take_back)
    await refuses_after(lambda: harness.admin("users.disable", client_id=ada.client_id))
    await harness.admin("users.enable", client_id=ada.client_id)
    again = await visit(harness, "eve@example.org")
    code = await code_for(app, again)
    session = SessionCookie(again.cookie["cookie"].partition("=")[2] + again.ticket)
    await harness.call("session.delete", session, TCP)
    assert refused(await app.exchange(code))


async def test_the_resource_is_that_of_the_request(harness: Harness, ada: Visitor) -> None:
    """A token for another resource than the person saw is refused, several too; leaving it out means the same one."""
    app = dynamic_app(harness)
    code = await code_for(app, ada)
    for resource in (ISSUER, "http://localhost:9", "https://evil.example"):
        refused(await app.exchange(code, resource=resource), "invalid_target")
    form = f"grant_type=authorization_code&client_id={app.client_id}&code={code}&resource={MCP}&resource={ISSUER}"
    answer = await harness.request("POST", "/token", form=form)
    assert "once" in refused(answer, "invalid_target")
    for same in ("http://127.0.0.1/mcp/", None):
        assert (await app.exchange(await code_for(app, ada), resource=same)).status == 200


async def test_without_a_resource(harness: Harness, ada: Visitor) -> None:
    """Such a token is for the app itself: good at `/userinfo` alone, and nowhere without `aud`."""
    app = dynamic_app(harness)
    tokens = await app.tokens(ada, "email", scope="openid email read", resource=None)
    claims = harness.runtime.claims(tokens["access_token"], harness.clock.now)
    assert (claims.aud, claims.scope) == (app.client_id, "openid email")
    token = bearer(tokens["access_token"])
    assert (await harness.request("GET", "/userinfo", headers=token)).json["sub"] == ada.client_id
    for method, path in (("GET", "/api/v1/whoami"), ("GET", "/api/v1/keys"), ("POST", "/rpc")):
        answer = await harness.request(method, path, json={} if method == "POST" else None, headers=token)
        assert answer.status in {200, 401}
        assert answer.status == 401 or "error" in answer.json
    assert (await app.call_tool(tokens["access_token"])).status == 401
    refused(await app.refresh(tokens["refresh_token"], resource=MCP), "invalid_target")


@pytest.mark.parametrize(
    ("scope", "given"), [(None, "openid"), ("read", "openid"), ("profile email", "openid email profile")]
)
async def test_without_a_resource_and_openid(harness: Harness, ada: Visitor, scope: str | None, given: str) -> None:
    """An app that says neither learns who signs in: the token is for the app itself, and has no scope of herod's."""
    app = dynamic_app(harness)
    tokens = await app.tokens(ada, *given.split(), scope=scope, resource=None)
    claims = harness.runtime.claims(tokens["access_token"], harness.clock.now)
    assert claims.aud == app.client_id
    assert set(tokens["scope"].split()) == set(claims.scope.split()) == set(given.split())
    answer = await harness.request("GET", "/userinfo", headers=bearer(tokens["access_token"]))
    assert answer.json["sub"] == ada.client_id
    assert (await harness.request("GET", "/api/v1/whoami", headers=bearer(tokens["access_token"]))).status == 401
    refusal = await app.call_tool(tokens["access_token"])
    assert (refusal.status, "resource_metadata" in refusal.headers["www-authenticate"]) == (401, True)


async def test_another_service_on_this_machine(harness: Harness, ada: Visitor) -> None:
    """A token for it is refused by herod's own doors, and its key is one that others verify."""
    app, resource = dynamic_app(harness), "http://localhost:8000/mcp"
    tokens = await app.tokens(ada, resource=resource)
    claims = harness.runtime.claims(tokens["access_token"], harness.clock.now)
    assert claims.aud == resource
    assert (await app.call_tool(tokens["access_token"])).status == 401
    validated = await harness.call("token.validate", None, TCP, token=tokens["access_token"], resource=resource)
    assert validated.valid


async def test_apps_that_do_not_refresh(harness: Harness, ada: Visitor) -> None:
    """An app that did not register the grant gets no refresh token, and its code still ends its tokens when reused."""
    app = dynamic_app(harness, grants=("authorization_code",))
    code = await code_for(app, ada)
    tokens = (await app.exchange(code)).json
    assert "refresh_token" not in tokens
    assert harness.store.count(TokenFamily) == 0
    refused(await app.exchange(code))
    assert (await app.call_tool(tokens["access_token"])).status == 401


async def test_who_exchanges(harness: Harness, ada: Visitor) -> None:
    """The app proves itself as it registered; its fault alone is `invalid_client`, 401."""
    app = dynamic_app(harness, auth_method="client_secret_basic")
    code = await code_for(app, ada)
    secret, app.secret = app.secret, None
    for wrong in (None, "herod_c_wrong"):
        app.secret = wrong
        answer = await app.exchange(code)
        assert (answer.status, answer.json["error"]) == (401, "invalid_client")
        assert answer.headers["www-authenticate"].startswith("Basic")
    user = await harness.user()
    mistaken = AppOfTest(harness, user.client_id, secret=user.secret)
    refused(await mistaken.exchange(code), "unauthorized_client")
    app.secret = secret
    assert (await app.exchange(code)).status == 200
    unknown = AppOfTest(harness, "herod_app_unknown")
    assert (await unknown.exchange(code)).json["error"] == "invalid_client"


async def test_what_is_left_of_a_demoted_account(harness: Harness, ada: Visitor) -> None:
    """A token has no more than the account holds when it is issued; if nothing is left there is none."""
    app = dynamic_app(harness)
    back = await app.allow(ada, await app.request_for(scope="write"), "write")
    await harness.admin("users.scope", client_id=ada.client_id, scope="read")
    assert (await app.exchange(back["code"])).json["scope"] == "read"
    await harness.admin("users.scope", client_id=ada.client_id, scope="write")
    back = await app.allow(ada, await app.request_for(scope="write"), "write")
    await harness.admin("users.scope", client_id=ada.client_id, scope="registrar")
    assert "nothing left" in refused(await app.exchange(back["code"]))


async def test_codes_are_bounded(harness: Harness, ada: Visitor) -> None:
    """However often a person allows an app, a bounded number of its codes is kept, the newest ones."""
    app = dynamic_app(harness)
    request = await app.request_for()
    codes = []
    for _ in range(MAX_CODES + 3):
        harness.clock.now += 1
        codes.append((await app.allow(ada, request))["code"])
    assert harness.store.count(AuthorizationCode) == MAX_CODES
    refused(await app.exchange(codes[0]))
    assert (await app.exchange(codes[-1])).status == 200
