"""Consent: who is asked, about what, and what their answer grants."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from herod.audit_event import AuditEvent
from herod.identity.apps.registered_apps import HEROD_CLI
from herod.identity.credential_types import Bearer, PeerClaim, Presented, SessionCookie
from herod.identity.people.persons import RECENT_SECONDS
from herod.operations.oauth import ConsentView
from herod.operations.oauth.consent.consent_choices import DELEGATION_SECONDS
from herod.records import Account, AuthorizationCode, Delegation
from herod.settings import QuotaSettings
from herod_client.core.errors import Conflict, ExpiredToken, HerodError, InvalidRequest, PersonNeeded
from support.herod_in_memory import ADMIN_SOURCE, LOCAL_ADMIN, NOW, TCP, Harness
from support.oauth_app import APP_SECRET, ISSUER, MCP, AppOfTest, dynamic_app, registered_app
from support.persons import Person, new_person


async def sealed(app: AppOfTest, **changes: str | None) -> str:
    """The sealed request of an app."""
    step = await app.harness.call("oauth.authorize", None, TCP, **app.asking(**changes))
    assert step.request is not None, step.redirection
    return str(step.request)


async def view(person: Person, app: AppOfTest, **changes: str | None) -> ConsentView:
    """What the person is asked."""
    found: ConsentView = await person.call("oauth.consent", request=await sealed(app, **changes))
    return found


async def offered(person: Person, app: AppOfTest, **changes: str | None) -> dict[str, bool]:
    """The scopes that the person may tick, and whether each is ticked already."""
    question = (await view(person, app, **changes)).question
    assert question is not None
    return {choice.name: choice.is_ticked for choice in question.choices}


async def allow(person: Person, app: AppOfTest, ticked: str = "read", /, **changes: str | None) -> dict[str, str]:
    """What comes back to the app when the person ticks this."""
    answer = await person.call("oauth.allow", request=await sealed(app, **changes), scope=ticked)
    return dict(parse_qsl(urlsplit(answer.location).query))


def granted(harness: Harness) -> list[Delegation]:
    """All delegations."""
    return list(harness.store.scan(Delegation))


async def rows(harness: Harness) -> list[AuditEvent]:
    """The audit log's rows about consent."""
    await harness.pipeline.flush(is_last=True)
    events = [row.event for row in harness.store.audit_rows()]
    return [event for event in events if event.operation.startswith("oauth.")]


async def test_what_is_granted(harness: Harness) -> None:
    """One delegation of the account: the app with where it comes from, the resource, what was ticked, for 180 days."""
    ada, app = await new_person(harness, scope="write"), dynamic_app(harness, name="Claude Code")
    await allow(ada, app, "read", scope="write read")
    (one,) = granted(harness)
    assert (one.account, one.app, one.app_name, one.app_origin) == (ada.id, app.client_id, "Claude Code", "dynamic")
    assert (one.resource, one.scope, one.networks) == (MCP, ("read",), ("*",))
    assert (one.created_at, one.expires_at) == (NOW, NOW + DELEGATION_SECONDS)
    assert DELEGATION_SECONDS == 180 * 86_400
    account = harness.store.get(Account, ada.id)
    assert account is not None
    assert one.epoch == account.epoch
    (code,) = harness.store.scan(AuthorizationCode)
    assert (code.delegation, code.account, code.app, code.scope) == (one.id, ada.id, app.client_id, ("read",))
    (event,) = await rows(harness)
    assert (event.operation, event.outcome, event.target, event.actor) == ("oauth.allow", "ok", one.id, ada.id)
    assert harness.runtime.counters["consents"] == 1


@pytest.mark.parametrize(
    ("held", "asked", "expected"),
    [
        ("write", "read", {"read": True}),
        ("write", "write read", {"read": True, "write": False}),
        ("write", None, {"read": True}),
        ("admin", "admin write read user registrar", dict.fromkeys(("registrar", "write", "user", "admin"), False)),
        ("read", "admin write read", {"read": True}),
        ("write", "admin", {"read": True, "write": False}),
        ("owner", "owner", {"read": True, "admin": False}),
        ("owner", "owner read", {"read": True, "admin": False}),
        ("write", "member viewer", {"read": True, "write": False}),
        ("read", "openid email read", {"openid": True, "email": False, "read": True}),
    ],
)
async def test_what_an_agent_is_offered(harness: Harness, held: str, asked: str | None, expected: Any) -> None:
    """What it asks for, narrowed to what the person holds, without `owner`; `read` is there too, ticked alone."""
    ada = await new_person(harness, scope=held)
    found = await offered(ada, dynamic_app(harness), scope=asked)
    assert found == ({**expected, "read": True} if asked and "read" in asked.split() else expected)


@pytest.mark.parametrize(
    ("redirect", "secret", "ticks_all"),
    [
        ("https://notes.example.org/callback", None, True),
        ("https://notes.example.org/callback", APP_SECRET, True),
        ("http://127.0.0.1:4711/callback", APP_SECRET, True),
        ("http://127.0.0.1:4711/callback", None, False),
        ("https://localhost/callback", None, False),
        ("org.example.notes:/callback", None, False),
    ],
)
async def test_which_registered_app_is_trusted_at_first(
    harness: Harness, redirect: str, secret: str | None, ticks_all: bool
) -> None:
    """All is ticked only where no other program can get the answer by saying that it is this app."""
    ada = await new_person(harness, scope="write")
    app = await registered_app(harness, secret=secret, redirect_uris=(redirect,))
    assert await offered(ada, app, scope="write") == ({"write": True} if ticks_all else {"read": True, "write": False})


async def test_the_command_is_no_more_than_who_says_so(harness: Harness) -> None:
    """Any program can say that it is the `herod` command: an admin has to tick `admin` for it."""
    ada = await new_person(harness, scope="admin")
    app = AppOfTest(harness, HEROD_CLI, "http://127.0.0.1:4711/callback")
    assert await offered(ada, app, scope=None) == {"read": True, "admin": False}


async def test_what_is_withheld_is_said(harness: Harness) -> None:
    """The page names what the person cannot give, and how much herod does not know."""
    ada = await new_person(harness, scope="write")
    question = (await view(ada, dynamic_app(harness), scope="owner admin read mcp:x mcp:y")).question
    assert question is not None
    assert (question.withheld, question.unknown) == (["owner", "admin"], 2)


async def test_who_holds_nothing_of_it(harness: Harness) -> None:
    """An app that asks for what the person does not have at all is told, after they have read it."""
    ada = await new_person(harness, scope="read")
    for scope, error in (("registrar", "access_denied"), ("mcp:x", "invalid_scope")):
        seen = await view(ada, dynamic_app(harness), scope=scope)
        assert seen.redirection is not None
        assert (seen.step, seen.redirection.error, seen.redirection.is_automatic) == ("answer", error, False)


@pytest.mark.parametrize("ticked", ["write", "admin", "owner", "email", "jobs:run", "read write"])
async def test_nothing_beyond_the_page(harness: Harness, ticked: str) -> None:
    """A form with more than the page offered is refused, and grants nothing."""
    ada = await new_person(harness, scope="owner")
    with pytest.raises(InvalidRequest, match="did not offer"):
        await allow(ada, dynamic_app(harness), ticked, scope="read")
    assert granted(harness) == []


async def test_nothing_ticked(harness: Harness) -> None:
    """Who ticks nothing is asked to tick something, or to deny."""
    ada = await new_person(harness)
    for ticked in ("", " "):
        with pytest.raises(InvalidRequest, match="Tick"):
            await allow(ada, dynamic_app(harness), ticked)


async def test_signing_in_alone(harness: Harness) -> None:
    """An app that only signs people in needs no box: that it learns who they are is what allowing means."""
    ada, app = await new_person(harness), dynamic_app(harness)
    await allow(ada, app, "", scope="openid offline_access email", resource=None)
    (one,) = granted(harness)
    assert (one.resource, one.scope) == (None, ("openid", "offline_access"))


async def test_networks_are_the_persons(harness: Harness) -> None:
    """What is delegated reaches no network that the session does not reach, nor one that the app may not have."""
    ada = await new_person(harness, networks=["lab", "home"])
    await allow(ada, dynamic_app(harness))
    await allow(ada, await registered_app(harness, networks=("lab", "office")))
    assert [one.networks for one in granted(harness)] == [("home", "lab"), ("lab",)]


async def test_the_most_a_registered_app_may_have(harness: Harness) -> None:
    """An admin says how much people can give an app; everything that it asks for is ticked."""
    ada, app = await new_person(harness, scope="admin"), await registered_app(harness, scope=("write",))
    assert await offered(ada, app, scope="admin write read openid") == {"openid": True, "read": True, "write": True}
    assert await offered(ada, app, scope=None) == {"write": True}


async def test_admin_needs_a_recent_sign_in(harness: Harness) -> None:
    """Letting an app act as an admin needs a sign-in of the last five minutes; less does not."""
    ada, app = await new_person(harness, scope="admin"), dynamic_app(harness)
    harness.clock.now += RECENT_SECONDS
    await allow(ada, app, "admin", scope="admin read")
    harness.clock.now += 1
    question = (await view(ada, app, scope="admin read")).question
    assert question is not None
    assert [choice.name for choice in question.choices if choice.needs_sign_in] == ["admin"]
    with pytest.raises(ExpiredToken) as refused:
        await allow(ada, app, "admin", scope="admin read")
    assert refused.value.reason == "sign_in_again"
    assert await allow(ada, app, "read", scope="admin read")


async def test_an_old_session_consents(harness: Harness) -> None:
    """Consent gives no more than the session and can be taken back, so it needs no new sign-in of its own."""
    ada, app = await new_person(harness), dynamic_app(harness)
    harness.clock.now += 3000
    assert await allow(ada, app)


async def test_consenting_again_replaces(harness: Harness) -> None:
    """The same app and resource have one delegation, whose scope is that of the last answer; others have their own."""
    ada, app = await new_person(harness, scope="write"), dynamic_app(harness)
    await allow(ada, app, "write", scope="write")
    harness.clock.now += 60
    await allow(ada, app, "read", scope="write read")
    (one,) = granted(harness)
    assert (one.scope, one.created_at) == (("read",), NOW + 60)
    await allow(ada, app, "read", resource=ISSUER)
    await allow(ada, dynamic_app(harness), "read")
    bob = await new_person(harness, "bob@example.org")
    await allow(bob, app, "read")
    assert len(granted(harness)) == 4


async def test_agents_are_asked_about_each_time(harness: Harness) -> None:
    """Nobody vouches for an app that registered itself: an earlier answer counts for nothing."""
    ada, app = await new_person(harness), dynamic_app(harness)
    await allow(ada, app)
    assert (await view(ada, app)).step == "ask"
    with pytest.raises(InvalidRequest, match="ask first"):
        await ada.call("oauth.continue", request=await sealed(app))


async def test_registered_apps_are_asked_about_once(harness: Harness) -> None:
    """For the same account, app, resource and scope, if an admin set it so; anything more is asked about."""
    ada, app = await new_person(harness, scope="write"), await registered_app(harness)
    await allow(ada, app, "read email", scope="read openid email")
    assert (await view(ada, app, scope="read openid")).step == "continue"
    assert (await view(ada, app, scope="openid email")).step == "continue"
    for changes in ({"scope": "write"}, {"scope": "read openid groups"}, {"resource": ISSUER}, {"prompt": "consent"}):
        assert (await view(ada, app, **changes)).step == "ask", changes
    assert (await view(await new_person(harness, "bob@example.org"), app)).step == "ask"
    never = await registered_app(harness, name="Strict", remembers_consent=False)
    await allow(ada, never)
    assert (await view(ada, never)).step == "ask"


async def test_going_on_grants_nothing_new(harness: Harness) -> None:
    """A remembered answer gives a code under the same delegation, with its end and scope."""
    ada, app = await new_person(harness, scope="write"), await registered_app(harness)
    await allow(ada, app, "write", scope="write")
    before = granted(harness)
    harness.clock.now += 3600
    answer = await ada.call("oauth.continue", request=await sealed(app))
    assert granted(harness) == before
    code = dict(parse_qsl(urlsplit(answer.location).query))["code"]
    tokens = (await app.exchange(code)).json
    assert tokens["scope"] == "read"
    assert harness.runtime.counters["repeated_consents"] == 1


async def test_taking_back_is_forgetting(harness: Harness) -> None:
    """After the access was taken back, and after a new password, the app is asked about again."""
    ada, app = await new_person(harness), await registered_app(harness)
    await allow(ada, app)
    await ada.call("delegations.revoke", id=granted(harness)[0].id)
    assert (await view(ada, app)).step == "ask"
    await allow(ada, app)
    await harness.admin("users.password", client_id=ada.id, password="correct horse battery staple")
    opened = await harness.call("session.sign_in", None, TCP, email=ada.email, password="correct horse battery staple")
    ada.cookie = SessionCookie(opened.cookie)
    assert (await view(ada, app)).step == "ask"


async def test_remembered_admin_needs_a_recent_sign_in(harness: Harness) -> None:
    """What was allowed before is not given to whoever sits at an old session."""
    ada, app = await new_person(harness, scope="admin"), await registered_app(harness, scope=("admin",))
    await allow(ada, app, "admin", scope="admin")
    assert (await view(ada, app, scope="admin")).step == "continue"
    harness.clock.now += RECENT_SECONDS + 1
    assert (await view(ada, app, scope="admin")).step == "sign_in"
    assert (await view(ada, app, scope="read")).step == "continue"


async def test_a_new_sign_in_is_asked_for(harness: Harness) -> None:
    """With `prompt=login` and `max_age` the session must be newer than the request, or than its age."""
    ada, app = await new_person(harness), dynamic_app(harness)
    harness.clock.now += 100
    request = await sealed(app, prompt="login")
    for changes in ({"prompt": "login"}, {"max_age": "0"}, {"max_age": "99"}):
        assert (await view(ada, app, **changes)).step == "sign_in"
    assert (await view(ada, app, max_age="100")).step == "ask"
    with pytest.raises(ExpiredToken):
        await ada.call("oauth.allow", request=request, scope="read")
    harness.clock.now += 1
    await ada.sign_in()
    assert (await ada.call("oauth.consent", request=request)).step == "ask"
    assert await ada.call("oauth.allow", request=request, scope="read")


async def test_without_a_page(harness: Harness) -> None:
    """With `prompt=none` the app is told what would have to be asked; for a remembered answer it gets its code."""
    ada, app = await new_person(harness), await registered_app(harness)

    async def error(**changes: str) -> str:
        seen = await view(ada, app, prompt="none", **changes)
        assert seen.redirection is not None
        assert seen.redirection.is_automatic
        return seen.redirection.error

    assert await error() == "consent_required"
    await allow(ada, app)
    assert (await view(ada, app, prompt="none")).step == "continue"
    harness.clock.now += 10
    assert await error(max_age="5") == "login_required"
    nobody = await harness.call("oauth.login_required", None, TCP, request=await sealed(app, prompt="none"))
    assert nobody.redirection.error == "login_required"
    asked = await harness.call("oauth.login_required", None, TCP, request=await sealed(app))
    assert asked.redirection is None


async def test_unconfirmed_accounts(harness: Harness) -> None:
    """A registered app admits accounts that an admin made or confirmed, unless it is set otherwise; an agent all."""
    await harness.call("register", None, TCP, email="eve@example.org", password="correct horse battery")
    opened = await harness.call("session.sign_in", None, TCP, email="eve@example.org", password="correct horse battery")
    eve = SessionCookie(opened.cookie)
    strict, open_ = await registered_app(harness), await registered_app(harness, name="B", admits_unconfirmed=True)

    async def step(app: AppOfTest) -> ConsentView:
        found: ConsentView = await harness.call("oauth.consent", eve, TCP, request=await sealed(app))
        return found

    refused = await step(strict)
    assert refused.redirection is not None
    assert (refused.redirection.error, refused.redirection.is_automatic) == ("access_denied", False)
    with pytest.raises(InvalidRequest):
        await harness.call("oauth.allow", eve, TCP, request=await sealed(strict), scope="read")
    assert (await step(open_)).step == "ask"
    assert (await step(dynamic_app(harness))).step == "ask"
    await harness.admin("users.update", client_id="eve@example.org", confirmed=True)
    assert (await step(strict)).step == "ask"


async def test_denying(harness: Harness) -> None:
    """Denying grants nothing, tells the app at once, and is in the audit log."""
    ada, app = await new_person(harness), dynamic_app(harness, "https://app.example.org/callback")
    answer = await ada.call("oauth.deny", request=await sealed(app))
    assert (answer.error, answer.is_automatic) == ("access_denied", True)
    assert granted(harness) == []
    (event,) = await rows(harness)
    assert (event.operation, event.outcome, event.actor) == ("oauth.deny", "ok", ada.id)
    assert harness.runtime.counters["refused_consents"] == 1


async def test_only_a_persons_session(harness: Harness) -> None:
    """No key, secret, code, rule, token or other session sees or answers a question, through any operation."""
    ada, app = await new_person(harness, scope="admin"), dynamic_app(harness)
    request = await sealed(app)
    key = await ada.user.key(scope="admin")
    code = (await harness.call("session.code", ada.user.basic)).code
    redeemed = await harness.call("session.redeem", None, TCP, code=code)
    await harness.admin("peers.allow", uid=ADMIN_SOURCE.peer.uid if ADMIN_SOURCE.peer else 0, scope="admin")
    tokens = await app.exchange((await allow(ada, app))["code"])
    others: list[Presented] = [
        ada.user.basic,
        await ada.user.bearer(),
        Bearer(key),
        await ada.user.session(),
        await ada.user.session(Bearer(key)),
        SessionCookie(redeemed.cookie),
        LOCAL_ADMIN,
        PeerClaim(),
        Bearer(tokens.json["access_token"]),
    ]
    before = granted(harness)
    for presented in others:
        for name in ("oauth.consent", "oauth.allow", "oauth.continue", "oauth.deny"):
            params = {"request": request, **({"scope": "read"} if name == "oauth.allow" else {})}
            with pytest.raises(HerodError) as refused:
                await harness.call(name, presented, ADMIN_SOURCE, **params)
            assert not isinstance(refused.value, InvalidRequest), presented
    with pytest.raises(PersonNeeded):
        await harness.call("oauth.allow", await ada.user.session(), TCP, request=request, scope="read")
    assert granted(harness) == before


async def test_the_app_may_be_gone(harness: Harness) -> None:
    """What was good at `/authorize` is checked again: an app that was disabled or changed gets nothing."""
    ada, app = await new_person(harness), await registered_app(harness)
    request = await sealed(app)
    await harness.admin("apps.update", client_id=app.client_id, redirect_uris=["https://other.example.org/"])
    for name in ("oauth.consent", "oauth.deny"):
        with pytest.raises(InvalidRequest):
            await ada.call(name, request=request)
    await harness.admin("apps.update", client_id=app.client_id, redirect_uris=[app.redirect])
    await harness.admin("apps.disable", client_id=app.client_id)
    with pytest.raises(InvalidRequest):
        await ada.call("oauth.allow", request=request, scope="read")


async def test_how_many_apps(harness: Harness) -> None:
    """One account connects a bounded number of apps; connecting one again is none more."""
    harness.configure(quotas=QuotaSettings(delegations=2))
    ada, apps = await new_person(harness), [dynamic_app(harness) for _ in range(3)]
    for app in apps[:2]:
        await allow(ada, app)
    with pytest.raises(Conflict, match="2 apps"):
        await allow(ada, apps[2])
    await allow(ada, apps[0])
    await ada.call("delegations.revoke", id=granted(harness)[0].id)
    await allow(ada, apps[2])
