"""Refresh tokens: rotated for public apps, forgiving for a minute, and ended with their family when used after it."""

import base64
import json
from typing import Any

import pytest
import trio

from herod.audit_event import AuditEvent
from herod.maintenance.restore_reconciliation import end_everything
from herod.operations.oauth.consent.consent_choices import DELEGATION_SECONDS
from herod.operations.oauth.token_families import FAMILY_IDLE_SECONDS, FAMILY_SECONDS, MAX_FAMILIES
from herod.operations.tokens.refresh_token_families import ROTATION_GRACE_SECONDS
from herod.records import Delegation, Record, Revocation, TokenFamily
from herod.settings import QuotaSettings
from herod.store.store_interface import Writer
from support.herod_in_memory import TCP, Answer, Harness, bearer
from support.oauth_app import ISSUER, MCP, AppOfTest, dynamic_app, registered_app
from support.page_visitor import Visitor, open_pages, sign_in, visit

DAY = 86_400


@pytest.fixture
async def ada(harness: Harness) -> Visitor:
    """A person at a herod with pages."""
    open_pages(harness)
    return await visit(harness, scope="write")


@pytest.fixture
async def app(harness: Harness) -> AppOfTest:
    """A public app."""
    return dynamic_app(harness)


def refused(answer: Answer, error: str = "invalid_grant") -> str:
    """The description of a refusal at `/token`."""
    assert (answer.status, answer.json["error"]) == (400, error), answer.json
    return str(answer.json["error_description"])


def good(answer: Answer) -> str:
    """The refresh token of a success."""
    assert answer.status == 200, answer.json
    return str(answer.json["refresh_token"])


async def about_refreshes(harness: Harness) -> list[AuditEvent]:
    """The audit log's rows about refreshes."""
    await harness.pipeline.flush(is_last=True)
    return [row.event for row in harness.store.audit_rows() if row.event.operation == "token.refresh"]


async def test_rotation(harness: Harness, ada: Visitor, app: AppOfTest) -> None:
    """Each refresh of a public app gives a new refresh token and access token of one family; successes are counted."""
    tokens = await app.tokens(ada)
    seen = [tokens["refresh_token"]]
    for _ in range(3):
        harness.clock.now += ROTATION_GRACE_SECONDS
        answer = await app.refresh(seen[-1])
        seen.append(good(answer))
        assert (await app.call_tool(answer.json["access_token"])).status == 200
        assert (answer.json["scope"], answer.json["expires_in"]) == ("read", 600)
    assert len(set(seen)) == 4
    (family,) = harness.store.scan(TokenFamily)
    assert family.number == 3
    assert all(token.startswith(f"herod_r_{family.id}_") for token in seen)
    assert await about_refreshes(harness) == []
    assert harness.runtime.counters["refreshes"] == 3


async def test_its_use_is_shown(harness: Harness, ada: Visitor, app: AppOfTest) -> None:
    """Getting tokens is a use of what the person allowed: some apps never show theirs to herod."""
    token = (await app.tokens(ada))["refresh_token"]
    (delegation,) = harness.store.scan(Delegation)
    seen = [harness.store.usage(delegation.id)]
    harness.clock.now += DAY
    good(await app.refresh(token))
    seen.append(harness.store.usage(delegation.id))
    assert [usage and usage.at for usage in seen] == [harness.clock.now - DAY, harness.clock.now]


async def test_both_for_a_minute(harness: Harness, ada: Visitor, app: AppOfTest) -> None:
    """Within a minute of a rotation the former token and the new one answer the new one, and nothing is rotated."""
    first = (await app.tokens(ada))["refresh_token"]
    second = good(await app.refresh(first))
    for seconds in (0, 30, 29):
        harness.clock.now += seconds
        assert good(await app.refresh(first)) == second
        assert good(await app.refresh(second)) == second
    harness.clock.now += 1
    third = good(await app.refresh(second))
    assert third != second
    assert good(await app.refresh(second)) == third


async def test_five_at_once(harness: Harness, ada: Visitor, app: AppOfTest) -> None:
    """Five refreshes of one token and five of its successor at once: all good, one family, one successor."""
    first = (await app.tokens(ada))["refresh_token"]
    answers: list[Answer] = []

    async def refresh(token: str) -> None:
        answers.append(await app.refresh(token))

    for _ in range(2):
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(refresh, first if not answers else good(answers[0]))
                if answers:
                    nursery.start_soon(refresh, first)
    successors = {good(answer) for answer in answers}
    assert len(answers) == 15
    assert len(successors) == 1
    (family,) = harness.store.scan(TokenFamily)
    assert family.number == 1
    for answer in answers:
        assert (await app.call_tool(answer.json["access_token"])).status == 200


@pytest.mark.parametrize("rotations", [1, 3])
async def test_a_former_one_later(harness: Harness, ada: Visitor, app: AppOfTest, rotations: int) -> None:
    """After the minute a former token, however old, ends its family, access tokens too; the delegation stays."""
    old = last = (await app.tokens(ada))["refresh_token"]
    other = await app.tokens(ada)
    access = ""
    for _ in range(rotations):
        harness.clock.now += ROTATION_GRACE_SECONDS
        answer = await app.refresh(last)
        last, access = good(answer), answer.json["access_token"]
    harness.clock.now += ROTATION_GRACE_SECONDS
    assert "used before" in refused(await app.refresh(old))
    for token in (last, old):
        refused(await app.refresh(token))
    assert (await app.call_tool(access)).status == 401
    assert good(await app.refresh(other["refresh_token"]))
    assert (harness.store.count(Delegation), harness.store.count(TokenFamily)) == (1, 1)
    (delegation,) = harness.store.scan(Delegation)
    (event,) = await about_refreshes(harness)
    assert (event.outcome, event.reason, event.target) == ("denied", "refresh_reuse", delegation.id)
    (revocation,) = harness.store.scan(Revocation)
    assert revocation.delegation == delegation.id


async def test_an_ended_family_is_in_the_feed(harness: Harness, ada: Visitor, app: AppOfTest) -> None:
    """Verifiers learn that the family's access tokens have ended, as of any revoked token."""
    first = (await app.tokens(ada))["refresh_token"]
    good(await app.refresh(first))
    harness.clock.now += ROTATION_GRACE_SECONDS
    family = next(harness.store.scan(TokenFamily)).id
    key = (await harness.user()).basic
    refused(await app.refresh(first))
    changes = await harness.call("token.changes", key, TCP)
    assert (ada.client_id, family) in {(one.sub, one.jti) for one in changes.revoked}


async def test_confidential_apps_keep_theirs(harness: Harness, ada: Visitor) -> None:
    """An app with a secret proves itself with that, and its refresh token stays the same."""
    app = await registered_app(harness)
    token = (await app.tokens(ada))["refresh_token"]
    for _ in range(3):
        harness.clock.now += DAY
        assert good(await app.refresh(token)) == token
    app.secret = None
    assert (await app.refresh(token)).json["error"] == "invalid_client"


async def test_no_refresh_token_is_stored(harness: Harness, ada: Visitor, app: AppOfTest) -> None:
    """The store has its family and number, and none of the characters that prove it."""
    token = (await app.tokens(ada))["refresh_token"]
    (family,) = harness.store.scan(TokenFamily)
    stored = "".join(str(getattr(family, name)) for name in family.__struct_fields__)
    assert token[-49:-6] not in stored
    assert token[-49:-29] not in stored


async def test_thirty_days_and_ninety(harness: Harness, ada: Visitor, app: AppOfTest) -> None:
    """Unused for 30 days it ends; used, it goes on to the end of 90 days."""
    unused = (await app.tokens(ada))["refresh_token"]
    used = (await app.tokens(ada))["refresh_token"]
    harness.clock.now += FAMILY_IDLE_SECONDS - 1
    used = good(await app.refresh(used))
    harness.clock.now += 1
    refused(await app.refresh(unused))
    for _ in range(2):
        harness.clock.now += FAMILY_IDLE_SECONDS - 2
        used = good(await app.refresh(used))
    harness.clock.now = next(harness.store.scan(TokenFamily)).created_at + FAMILY_SECONDS - 1
    answer = await app.refresh(used)
    assert answer.json["expires_in"] == 1
    harness.clock.now += 1
    refused(await app.refresh(good(answer)))


async def test_a_family_ends_with_its_delegation(harness: Harness, ada: Visitor) -> None:
    """A later sign-in for the same consent ends when the person was told, not 90 days after itself."""
    app = await registered_app(harness)
    await app.tokens(ada)
    harness.clock.now += DELEGATION_SECONDS - DAY
    again = await sign_in(harness, "ada@example.org", ada.client_id)
    answer = await again.get("/ui/consent", request=await app.request_for())
    tokens = (await app.exchange(app.came_back(answer)["code"])).json
    (delegation,) = harness.store.scan(Delegation)
    assert delegation.expires_at == harness.clock.now + DAY
    harness.clock.now += DAY - 1
    token = good(await app.refresh(tokens["refresh_token"]))
    harness.clock.now += 1
    refused(await app.refresh(token))


@pytest.mark.parametrize("act", ["taken back", "disabled", "new password", "deleted", "app disabled"])
async def test_what_ends_it(harness: Harness, ada: Visitor, act: str) -> None:
    """Taking the access back, and whatever ends the account's own tokens, ends its apps' refresh tokens."""
    app = await registered_app(harness)
    token = (await app.tokens(ada))["refresh_token"]
    await harness.service_key("admin")
    (delegation,) = harness.store.scan(Delegation)
    match act:
        case "taken back":
            await harness.admin("delegations.revoke", id=delegation.id)
        case "disabled":
            await harness.admin("users.disable", client_id=ada.client_id)
        case "new password":
            await harness.admin("users.password", client_id=ada.client_id, password="another horse battery")
        case "deleted":
            await harness.admin("users.delete", client_id=ada.client_id)
        case _:
            await harness.admin("apps.disable", client_id=app.client_id)
            assert (await app.refresh(token)).json["error"] == "invalid_client"
            return
    refused(await app.refresh(token))


async def test_signing_out_ends_nothing(harness: Harness, ada: Visitor, app: AppOfTest) -> None:
    """An app works on after the person's session: its maker is the account."""
    token = (await app.tokens(ada))["refresh_token"]
    await ada.send("/ui/sign-out")
    assert good(await app.refresh(token))


async def test_after_a_restore(harness: Harness, ada: Visitor, app: AppOfTest) -> None:
    """No refresh token of before is good, not even for a family that the backup has."""
    token = (await app.tokens(ada))["refresh_token"]
    kept: list[Record] = [*harness.store.scan(TokenFamily), *harness.store.scan(Delegation)]
    await harness.store.write(end_everything)
    refused(await app.refresh(token))

    def put_back(tx: Writer) -> None:
        for record in kept:
            tx.put(record)

    await harness.store.write(put_back)
    assert harness.store.count(TokenFamily) == 1
    refused(await app.refresh(token))


async def test_less_scope(harness: Harness, ada: Visitor, app: AppOfTest) -> None:
    """A narrower scope is the access token's alone; a wider one is refused, and an unknown one."""
    back = await app.connect(ada, "write", "read", scope="write read")
    token = (await app.exchange(back["code"])).json["refresh_token"]
    answer = await app.refresh(token, scope="read")
    assert answer.json["scope"] == "read"
    assert (await app.refresh(good(answer))).json["scope"] == "write read"
    for scope in ("admin", "read admin", "user", "openid", "mcp:x", "owner"):
        refused(await app.refresh(good(answer), scope=scope), "invalid_scope")


async def test_less_was_allowed_since(harness: Harness, ada: Visitor, app: AppOfTest) -> None:
    """Consenting to less narrows the tokens of earlier sign-ins of the app too."""
    back = await app.connect(ada, "write", scope="write")
    token = (await app.exchange(back["code"])).json["refresh_token"]
    await app.tokens(ada, "read", scope="write read")
    assert (await app.refresh(token)).json["scope"] == "read"


async def test_less_is_told_since(harness: Harness, ada: Visitor, app: AppOfTest) -> None:
    """Consenting to less, an app of an earlier sign-in learns no more than that, by no road."""
    asked = {"scope": "openid email read", "resource": ISSUER}
    tokens = await app.tokens(ada, "email", "read", **asked)
    assert "email" in claims_of(tokens["id_token"])
    assert "email" in (await told(harness, tokens["access_token"]))
    await app.tokens(ada, "read", **asked)
    assert set(await told(harness, tokens["access_token"])) == {"sub"}
    again = (await app.refresh(tokens["refresh_token"])).json
    assert again["scope"] == "openid read"
    assert "email" not in claims_of(again["id_token"])
    assert set(await told(harness, again["access_token"])) == {"sub"}


async def told(harness: Harness, token: str) -> dict[str, Any]:
    """What `/userinfo` says."""
    answer = await harness.request("GET", "/userinfo", headers=bearer(token))
    assert answer.status == 200, answer.json
    found: dict[str, Any] = answer.json
    return found


def claims_of(token: str) -> dict[str, Any]:
    """The claims of a token, not verified."""
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    return found


async def test_the_resource_stays(harness: Harness, ada: Visitor, app: AppOfTest) -> None:
    """A refresh is for the resource that the person saw."""
    token = (await app.tokens(ada))["refresh_token"]
    for resource in (ISSUER, "http://localhost:9"):
        refused(await app.refresh(token, resource=resource), "invalid_target")
    token = good(await app.refresh(token, resource=f"{MCP}/"))
    assert good(await app.refresh(token, resource=MCP))


async def test_whose_it_is(harness: Harness, ada: Visitor, app: AppOfTest) -> None:
    """Another app cannot use it, and does not end it by trying."""
    token = (await app.tokens(ada))["refresh_token"]
    assert "another app" in refused(await dynamic_app(harness).refresh(token))
    assert good(await app.refresh(token))


@pytest.mark.parametrize("text", ["", "x", "herod_r_", "herod_r_AAAAAAAAAAAA_" + "0" * 53])
async def test_what_is_none(harness: Harness, ada: Visitor, app: AppOfTest, text: str) -> None:
    """Anything else is refused, and so is a token with another number or family."""
    token = (await app.tokens(ada))["refresh_token"]
    refused(await app.refresh(text), "invalid_grant" if text else "invalid_request")
    refused(await app.refresh(token[:-1]))
    assert good(await app.refresh(token))


async def test_an_app_without_the_grant(harness: Harness, ada: Visitor) -> None:
    """An app that an admin took the grant from refreshes no more."""
    app = await registered_app(harness)
    token = (await app.tokens(ada))["refresh_token"]
    await harness.admin("apps.update", client_id=app.client_id, grants=["authorization_code"])
    refused(await app.refresh(token), "unauthorized_client")


async def test_an_account_that_is_not_confirmed_any_more(harness: Harness, ada: Visitor) -> None:
    """Whom an app takes is asked at each refresh and exchange too: not an account that lost its confirmation."""
    app = await registered_app(harness)
    token, back = (await app.tokens(ada))["refresh_token"], await app.connect(ada, prompt="consent")
    await harness.admin("users.update", client_id=ada.client_id, confirmed=False)
    for answer in (await app.refresh(token), await app.exchange(back["code"])):
        assert "confirm" in refused(answer)
    await harness.admin("apps.update", client_id=app.client_id, admit_unconfirmed=True)
    assert good(await app.refresh(token)) == token
    assert good(await app.exchange(back["code"]))


async def test_families_are_bounded(harness: Harness, ada: Visitor, app: AppOfTest) -> None:
    """An app that signs in again and again keeps a bounded number of families: the oldest ends."""
    seen = []
    for _ in range(MAX_FAMILIES + 2):
        harness.clock.now += 1
        seen.append((await app.tokens(ada))["refresh_token"])
    assert harness.store.count(TokenFamily) == MAX_FAMILIES
    refused(await app.refresh(seen[0]))
    assert good(await app.refresh(seen[-1]))


async def test_while_the_clock_is_set_back(harness: Harness, ada: Visitor, app: AppOfTest) -> None:
    """A rotation from the future does not let both tokens stay good until then."""
    first = (await app.tokens(ada))["refresh_token"]
    harness.clock.now += 7200
    second = good(await app.refresh(first))
    harness.clock.now -= 3600
    third = good(await app.refresh(second))
    assert third != second
    harness.clock.now += ROTATION_GRACE_SECONDS
    refused(await app.refresh(first))


async def test_an_id_token_again(harness: Harness, ada: Visitor, app: AppOfTest) -> None:
    """A refresh tells of the same sign-in (OpenID Connect Core, section 12.2), with `openid` alone."""
    tokens = await app.tokens(ada, scope="openid read", nonce="n")
    again = (await app.refresh(tokens["refresh_token"])).json
    assert "id_token" in tokens
    assert "id_token" in again
    assert "id_token" not in (await app.refresh(again["refresh_token"], scope="read")).json


async def test_refreshing_leaves_room_for_the_person(harness: Harness, ada: Visitor, app: AppOfTest) -> None:
    """What an app is issued counts for it alone: its account can sign in however often the app refreshes."""
    token = (await app.tokens(ada))["refresh_token"]
    harness.configure(quotas=QuotaSettings(issued_per_minute=5))
    statuses = [(await app.refresh(token)).status for _ in range(8)]
    assert (statuses[0], statuses[-1]) == (200, 429)
    assert (await ada.get("/ui/home")).status == 200
    assert await app.request_for()
