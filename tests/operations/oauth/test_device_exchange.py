"""`/token` with a device code: what an app is told while it waits, and that what it gets is what a person allowed."""

from typing import Any
from urllib.parse import quote

import pytest

from herod.identity.apps.device_polls import MAX_POLLED, DevicePolls
from herod.maintenance.restore_reconciliation import end_everything
from herod.operations.oauth.device.device_codes import DEVICE_CODE_SECONDS, KEPT_SECONDS
from herod.records import Account, Delegation, DeviceCode, TokenFamily
from herod.throttle.rules import DEVICE_MISS
from support.device_app import DEVICE, codes_of, device_app, entered, poll, said_yes
from support.herod_in_memory import LOCAL_ADMIN, Answer, Harness
from support.oauth_app import MCP, AppOfTest, dynamic_app, registered_app
from support.page_visitor import Visitor, open_pages, visit


@pytest.fixture
async def ada(harness: Harness) -> Visitor:
    """A person at a herod with pages."""
    open_pages(harness)
    return await visit(harness, scope="admin")


async def error_of(app: AppOfTest, device_code: str, **changes: str | None) -> str:
    """The error that the app is told: a 400, never about its own credential."""
    answer = await poll(app, device_code, **changes)
    assert answer.status == 400, answer.json
    assert "access_token" not in answer.json
    return str(answer.json["error"])


async def allowed(person: Visitor, app: AppOfTest, *ticked: str, **changes: str | None) -> str:
    """The device code of an app that the person has allowed."""
    codes = await codes_of(app, **changes)
    await said_yes(person, codes["user_code"], *ticked)
    return str(codes["device_code"])


async def tokens_of(app: AppOfTest, device_code: str) -> dict[str, Any]:
    """What the app gets."""
    answer = await poll(app, device_code)
    assert answer.status == 200, answer.json
    assert answer.headers["cache-control"] == "no-store"
    found: dict[str, Any] = answer.json
    return found


async def test_who_asks_too_often(harness: Harness, ada: Visitor) -> None:
    """Each poll before the interval is over makes it 5 seconds longer, and a patient app is never slowed down."""
    app = device_app(harness)
    patient, hasty = [(await codes_of(app))["device_code"] for _ in range(2)]
    for _ in range(5):
        assert await error_of(app, patient) == "authorization_pending"
        harness.clock.now += 5
    assert await error_of(app, hasty) == "authorization_pending"
    for seconds, error in (
        (2, "slow_down"),
        (5, "slow_down"),
        (14, "authorization_pending"),
        (10, "slow_down"),
        (20, "authorization_pending"),
    ):
        harness.clock.now += seconds
        assert await error_of(app, hasty) == error


async def test_asking_writes_nothing(harness: Harness, ada: Visitor) -> None:
    """An app that asks about a code which nobody has decided about costs no write."""
    app = device_app(harness)
    code = (await codes_of(app))["device_code"]
    writes = harness.store.stats.writes
    for _ in range(5):
        await error_of(app, code)
    assert harness.store.stats.writes == writes


def test_how_much_is_remembered() -> None:
    """The last polls of so many codes are kept, and that a clock was set back slows nobody down."""
    polls = DevicePolls()
    for number in range(MAX_POLLED + 100):
        assert not polls.is_too_soon(str(number), 100)
    assert polls.is_too_soon(str(MAX_POLLED + 99), 101)
    assert not polls.is_too_soon("0", 101)
    assert not polls.is_too_soon(str(MAX_POLLED + 98), 50)
    polls.forget(str(MAX_POLLED + 99))
    assert not polls.is_too_soon(str(MAX_POLLED + 99), 102)


async def test_denied(harness: Harness, ada: Visitor) -> None:
    """After a denial the app is told so, as often as it asks, and gets nothing."""
    app = device_app(harness)
    codes = await codes_of(app)
    await ada.send("/ui/device", request=await entered(ada, codes["user_code"]), decision="deny")
    for _ in range(2):
        assert await error_of(app, codes["device_code"]) == "access_denied"
    assert harness.store.count(Delegation) == 0


async def test_expired(harness: Harness, ada: Visitor) -> None:
    """After ten minutes nobody can allow a code, and the app is told that it has expired."""
    app = device_app(harness)
    codes = await codes_of(app)
    harness.clock.now += DEVICE_CODE_SECONDS
    assert await error_of(app, codes["device_code"]) == "expired_token"
    assert (await ada.send("/ui/device", user_code=codes["user_code"])).status == 404
    harness.clock.now += KEPT_SECONDS
    await harness.store.purge_expired(harness.clock.now)
    assert await error_of(app, codes["device_code"]) == "invalid_grant"


async def test_allowed_at_the_last_moment(harness: Harness, ada: Visitor) -> None:
    """The app has a minute to redeem what was allowed when its time was over, and no more."""
    app = device_app(harness)
    for later, is_good in ((59, True), (60, False)):
        codes = await codes_of(app)
        harness.clock.now += DEVICE_CODE_SECONDS - 1
        await said_yes(ada, codes["user_code"])
        harness.clock.now += later
        if is_good:
            await tokens_of(app, codes["device_code"])
        else:
            assert await error_of(app, codes["device_code"]) == "expired_token"


async def test_made_while_the_clock_was_ahead(harness: Harness, ada: Visitor) -> None:
    """A code from the future is no good."""
    app = device_app(harness)
    code = await allowed(ada, app)
    harness.clock.now -= 3600
    assert await error_of(app, code) == "expired_token"


async def test_used_twice(harness: Harness, ada: Visitor) -> None:
    """A second use ends the tokens of the first, and is in the audit log; the delegation stays."""
    app = device_app(harness)
    code = await allowed(ada, app)
    tokens = await tokens_of(app, code)
    assert await error_of(app, code) == "invalid_grant"
    assert (await app.call_tool(tokens["access_token"])).status == 401
    assert (await app.refresh(tokens["refresh_token"])).json["error"] == "invalid_grant"
    assert harness.store.count(Delegation) == 1
    await harness.pipeline.flush(is_last=True)
    denied = [row.event for row in harness.store.audit_rows() if row.event.outcome == "denied"]
    assert ("token.exchange_device_code", "code_reuse") in [(one.operation, one.reason) for one in denied]


async def test_another_apps_code(harness: Harness, ada: Visitor) -> None:
    """A code is good for the app alone that asked for it."""
    app, other = device_app(harness, name="One"), device_app(harness, name="Two")
    code = await allowed(ada, app)
    assert await error_of(other, code) == "invalid_grant"
    await tokens_of(app, code)


@pytest.mark.parametrize("code", ["x", "", "x" * 5000, "ä"])
async def test_what_is_no_code(harness: Harness, ada: Visitor, code: str) -> None:
    """Anything else is an invalid grant, or a parameter that is missing."""
    app = device_app(harness)
    form = f"grant_type={DEVICE}&client_id={app.client_id}&device_code="
    answer = await harness.request("POST", "/token", form=form + quote(code))
    assert (answer.status, answer.json["error"]) == (400, "invalid_grant" if code else "invalid_request")


async def test_guesses_are_counted(harness: Harness, ada: Visitor) -> None:
    """After too many unknown codes of a source its next one is refused, while codes that there are go on."""
    app = device_app(harness)
    mine = (await codes_of(app))["device_code"]
    assert DEVICE_MISS.limit is not None
    for number in range(DEVICE_MISS.limit):
        assert await error_of(app, f"guess {number}") == "invalid_grant"
    assert (await poll(app, "one more")).status == 429
    assert await error_of(app, mine) == "authorization_pending"
    harness.clock.now += DEVICE_MISS.window + 1
    assert await error_of(app, "one more") == "invalid_grant"


async def test_another_resource(harness: Harness, ada: Visitor) -> None:
    """The tokens are for the resource that the person saw; another one is refused, and the code stays good."""
    app = device_app(harness)
    code = await allowed(ada, app)
    assert await error_of(app, code, resource="http://localhost") == "invalid_target"
    answer = await poll(app, code, resource=f"{MCP}/")
    assert harness.runtime.claims(answer.json["access_token"], harness.clock.now).aud == MCP


async def test_without_refresh(harness: Harness, ada: Visitor) -> None:
    """An app that did not register the grant gets no refresh token."""
    app = device_app(harness, grants=(DEVICE,))
    assert "refresh_token" not in await tokens_of(app, await allowed(ada, app))
    assert harness.store.count(TokenFamily) == 0


async def test_never_admin(harness: Harness, ada: Visitor) -> None:
    """An admin who ticks all that the page offers gives no `admin`, nor a form that asks for it all the same."""
    app = await registered_app(harness, grants=(DEVICE, "refresh_token"), scope=("admin",))
    codes = await codes_of(app, scope="owner admin write read")
    request = await entered(ada, codes["user_code"])
    for name in ("admin", "owner"):
        boxes = {f"scope:{name}": "on"}
        answer = await ada.send("/ui/device", request=request, decision="allow", is_mine="on", **boxes)
        assert answer.status == 400
    assert await error_of(app, codes["device_code"]) == "authorization_pending"
    tokens = await tokens_of(app, await allowed(ada, app, "write", "read", "user", "registrar", scope="owner read"))
    assert set(tokens["scope"].split()) <= {"write", "read", "user", "registrar"}
    assert (
        harness.runtime.config.graph.mask(tuple(tokens["scope"].split())) & harness.runtime.config.graph.bit("admin")
        == 0
    )


async def test_what_was_allowed_before_stays(harness: Harness, ada: Visitor) -> None:
    """A terminal beside a browser sign-in of the same app takes nothing from that, and gets nothing of it."""
    grants = ("authorization_code", "refresh_token", DEVICE)
    app = await registered_app(harness, grants=grants, scope=("admin",))
    first = await app.tokens(ada, "admin", scope="admin")
    code = await allowed(ada, app)
    second = await tokens_of(app, code)
    (delegation,) = harness.store.scan(Delegation)
    assert set(delegation.scope) == {"admin", "read"}
    assert second["scope"] == "read"
    assert (await app.refresh(second["refresh_token"])).json["scope"] == "read"
    assert (await app.refresh(second["refresh_token"], scope="admin")).json["error"] == "invalid_scope"
    assert (await app.refresh(first["refresh_token"])).json["scope"] == "admin"


async def test_the_person_signs_out(harness: Harness, ada: Visitor) -> None:
    """Who allows in a browser that is not theirs may sign out of it at once: the app gets its tokens all the same."""
    app = device_app(harness)
    code = await allowed(ada, app)
    await ada.send("/ui/sign-out")
    await tokens_of(app, code)


async def _disable(harness: Harness, ada: Visitor) -> None:
    await harness.admin("users.disable", client_id=ada.client_id)


async def _demote(harness: Harness, ada: Visitor) -> None:
    await harness.admin("users.password", client_id=ada.client_id, password="another long password")


async def _take_back(harness: Harness, ada: Visitor) -> None:
    (delegation,) = harness.store.scan(Delegation)
    await harness.call("delegations.revoke", LOCAL_ADMIN, id=delegation.id)


@pytest.mark.parametrize("end", [_disable, _demote, _take_back])
async def test_what_ended_in_between(harness: Harness, ada: Visitor, end: Any) -> None:
    """What was allowed ends with the account, its epoch and the delegation, before it is redeemed and after."""
    await harness.user("admin", name="another admin")
    app = device_app(harness)
    later, now = await allowed(ada, app), await allowed(ada, app)
    tokens = await tokens_of(app, now)
    await end(harness, ada)
    assert await error_of(app, later) == "invalid_grant"
    assert (await app.refresh(tokens["refresh_token"])).json["error"] == "invalid_grant"


async def test_a_demoted_person(harness: Harness, ada: Visitor) -> None:
    """Tokens are narrowed to what the account holds when the code is redeemed."""
    await harness.user("admin", name="another admin")
    app = device_app(harness)
    code = await allowed(ada, app, "write", scope="write")
    await harness.admin("users.scope", client_id=ada.client_id, scope="read")
    assert (await tokens_of(app, code))["scope"] == "read"


async def test_after_a_restore(harness: Harness, ada: Visitor) -> None:
    """No code of before is good: neither one that waits, nor one that was allowed."""
    app = device_app(harness)
    waiting, given = await codes_of(app), await allowed(ada, app)
    await harness.store.write(end_everything)
    assert harness.store.count(DeviceCode) == 0
    for code in (waiting["device_code"], given):
        assert await error_of(app, code) == "invalid_grant"


async def test_signing_in_alone(harness: Harness, ada: Visitor) -> None:
    """An app that asks who somebody is gets an id_token of the sign-in, without a nonce."""
    app = await registered_app(harness, grants=(DEVICE,), scope=("read",))
    code = await allowed(ada, app, "openid", scope="openid email", resource=None)
    tokens = await tokens_of(app, code)
    assert tokens["id_token"].count(".") == 2
    answer = await harness.request("GET", "/userinfo", headers={"authorization": f"Bearer {tokens['access_token']}"})
    assert answer.json["sub"] == ada.client_id


async def test_the_epoch(harness: Harness, ada: Visitor) -> None:
    """The tokens are for the account as it is: its epoch is in them."""
    app = device_app(harness)
    tokens = await tokens_of(app, await allowed(ada, app))
    account = harness.store.get(Account, ada.client_id)
    assert account is not None
    assert harness.runtime.claims(tokens["access_token"], harness.clock.now).epoch == account.epoch


async def test_codes_of_the_other_flow(harness: Harness, ada: Visitor) -> None:
    """A device code is no authorization code, nor the other way round, and a user code is neither."""
    grants = ("authorization_code", "refresh_token", DEVICE)
    app = dynamic_app(harness, grants=grants)
    codes = await codes_of(app)
    await said_yes(ada, codes["user_code"])

    def is_refused(answer: Answer) -> bool:
        return bool(answer.json.get("error") == "invalid_grant")

    assert is_refused(await app.exchange(codes["device_code"]))
    assert is_refused(await app.exchange(codes["user_code"]))
    assert is_refused(await poll(app, codes["user_code"]))
    assert is_refused(await poll(app, (await app.connect(ada))["code"]))
    assert is_refused(await app.refresh(codes["device_code"]))
    await tokens_of(app, codes["device_code"])
