"""`/device_authorization`: which apps get codes, from where, how many, and that asking grants and leaves nothing."""

import pytest

from herod.operations.oauth.device import device_authorization, device_codes
from herod.operations.oauth.device.device_codes import DEVICE_CODE_SECONDS, KEPT_SECONDS
from herod.records import App, Delegation, DeviceCode, GuessCount, Session
from herod.scopes.principal import Peer, Source
from herod.throttle.rules import DEVICE
from support.device_app import DEVICE as GRANT
from support.device_app import ask_for_codes, codes_of, device_app, entered, poll, said_yes
from support.herod_in_memory import LOCAL_ADMIN, NOW, PASSWORD, Harness, basic, bearer
from support.oauth_app import MCP, AppOfTest, dynamic_app, registered_app
from support.page_visitor import open_pages, visit

VS_CODE = "https://vscode.dev/oauth/client-metadata.json"


async def refused(app: AppOfTest, headers: dict[str, str] | None = None, /, **changes: str | None) -> tuple[int, str]:
    """Status and error of a refusal."""
    answer = await ask_for_codes(app, headers, **changes)
    assert "device_code" not in answer.json
    assert answer.json["error_description"]
    return answer.status, answer.json["error"]


async def test_who_is_no_app(harness: Harness) -> None:
    """Nobody, an unknown app, a person's own credential and an app's access token get no code."""
    app = device_app(harness)
    user = await harness.user(password=PASSWORD)
    assert await refused(app, client_id=None) == (401, "invalid_client")
    assert await refused(app, client_id="nobody") == (401, "invalid_client")
    assert await refused(app, client_id=app.client_id[:-1]) == (401, "invalid_client")
    assert await refused(app, basic(user.client_id, user.secret), client_id=None) == (400, "unauthorized_client")
    assert await refused(app, bearer(await user.token()), client_id=None) == (400, "unauthorized_client")
    assert harness.store.count(DeviceCode) == 0


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"resource": "https://api.example.org"}, "invalid_target"),
        ({"scope": "mcp:x"}, "invalid_scope"),
        ({"scope": "x" * 10_000}, "invalid_scope"),
    ],
)
async def test_what_cannot_be_asked_for(harness: Harness, changes: dict[str, str | None], error: str) -> None:
    """The app is told at once what no person could allow."""
    assert await refused(device_app(harness), **changes) == (400, error)


async def test_two_resources(harness: Harness) -> None:
    """A token is for one resource (RFC 8707), and that is said."""
    form = f"client_id={device_app(harness).client_id}&resource={MCP}&resource=http://localhost"
    answer = await harness.request("POST", "/device_authorization", form=form)
    assert (answer.status, answer.json["error"]) == (400, "invalid_target")


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ("&scope=", 200),
        ("&unknown=1", 200),
        ("&scope=read&scope=read", 400),
        ("&client_id=x", 400),
        ("&grant_type=x", 200),
        ("&device_code=x&code_challenge=x", 200),
    ],
)
async def test_parameters(harness: Harness, more: str, status: int) -> None:
    """Those without a value count as omitted, unknown ones are ignored, and none is sent twice (section 3.1)."""
    form = f"client_id={device_app(harness).client_id}&resource={MCP}{more}"
    assert (await harness.request("POST", "/device_authorization", form=form)).status == status
    by_json = await harness.request("POST", "/device_authorization", json={"client_id": device_app(harness).client_id})
    assert by_json.status in {400, 415}
    assert (await harness.request("GET", f"/device_authorization?{form}")).status == 405


async def test_the_grant_must_be_registered(harness: Harness) -> None:
    """An app that registered codes alone gets none of these."""
    for app in (dynamic_app(harness), await registered_app(harness)):
        assert await refused(app) == (400, "unauthorized_client")
        answer = await poll(app, "x")
        assert (answer.status, answer.json["error"]) == (400, "unauthorized_client")


async def test_where_nobody_can_sign_in(harness: Harness) -> None:
    """While another program may hold the address that browsers use, there are no codes."""
    harness.configure(has_browser_origin=False)
    assert await refused(device_app(harness)) == (400, "invalid_request")
    metadata = (await harness.request("GET", "/.well-known/oauth-authorization-server")).json
    assert "device_authorization_endpoint" not in metadata


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "herod.example.org"},
        {"x-forwarded-for": "192.0.2.7"},
        {"forwarded": "for=192.0.2.7"},
        {"via": "1.1 proxy"},
        {"x-forwarded-host": "x"},
    ],
)
async def test_dynamic_apps_from_elsewhere(harness: Harness, headers: dict[str, str]) -> None:
    """Anybody can be a dynamic app, so it must be on herod's machine, to ask and to redeem; a registered one need not.

    A host that is not herod's is refused before that.
    """
    app = device_app(harness)
    codes = await codes_of(app)
    elsewhere = [
        await ask_for_codes(app, headers),
        await harness.request(
            "POST",
            "/token",
            form=f"grant_type={GRANT}&client_id={app.client_id}&device_code={codes['device_code']}",
            headers=headers,
        ),
    ]
    for answer in elsewhere:
        if "host" in headers:
            assert answer.status == 421
        else:
            assert (answer.status, answer.json["error"]) == (400, "unauthorized_client")
            assert (
                await ask_for_codes(await registered_app(harness, name=str(headers), grants=(GRANT,)), headers)
            ).status == 200


async def test_on_the_unix_socket(harness: Harness) -> None:
    """A dynamic app may ask there, whoever it is."""
    app = device_app(harness)
    form = f"client_id={app.client_id}&scope=read&resource={MCP}"
    source = Source(peer=Peer(uid=4242, gid=4242))
    assert (await harness.request("POST", "/device_authorization", form=form, source=source)).status == 200
    (code,) = harness.store.scan(DeviceCode)
    assert code.source == "uid:4242"


async def test_dynamic_apps_that_are_off(harness: Harness) -> None:
    """When the settings allow no dynamic apps, their codes are good for nothing."""
    app = device_app(harness)
    codes = await codes_of(app)
    harness.configure(dynamic_apps="off")
    assert await refused(app) == (401, "invalid_client")
    assert (await poll(app, codes["device_code"])).json["error"] == "invalid_client"


async def test_apps_by_their_url(harness: Harness) -> None:
    """An app whose shipped document has the grant may ask. What only its document says is found out by the person."""
    known = AppOfTest(harness, VS_CODE)
    assert (await ask_for_codes(known)).status == 200
    assert (await ask_for_codes(AppOfTest(harness, "https://agent.example.org/client.json"))).status == 200
    harness.configure(client_documents="off")
    assert (await ask_for_codes(known)).status == 200
    claude = AppOfTest(harness, "https://claude.ai/oauth/claude-code-client-metadata")
    assert await refused(claude) == (400, "unauthorized_client")


async def test_the_limit_of_a_source(harness: Harness) -> None:
    """One source gets so many codes in an hour, refused ones included; another one is not affected."""
    app = device_app(harness)
    assert DEVICE.limit is not None
    for number in range(DEVICE.limit):
        assert (await ask_for_codes(app, scope="read" if number else "mcp:x")).status == (200 if number else 400)
    answer = await ask_for_codes(app)
    assert (answer.status, answer.json["error"]) == (429, "invalid_request")
    assert int(answer.headers["retry-after"]) > 3000
    form = f"client_id={app.client_id}&resource={MCP}"
    other = Source(peer=Peer(uid=4242, gid=4242))
    assert (await harness.request("POST", "/device_authorization", form=form, source=other)).status == 200


async def test_a_flood(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """There are so many codes at a time; the oldest of the busiest source goes, never another source's."""
    monkeypatch.setattr(device_codes, "MAX_DEVICE_CODES", 20)
    app = device_app(harness)
    form = f"client_id={app.client_id}&resource={MCP}"
    quiet = Source(peer=Peer(uid=4242, gid=4242))
    mine = (await harness.request("POST", "/device_authorization", form=form, source=quiet)).json["device_code"]
    for _ in range(50):
        harness.clock.now += 1
        newest = await codes_of(app)
    assert harness.store.count(DeviceCode) == 20
    assert (await poll(app, mine)).json["error"] == "authorization_pending"
    assert (await poll(app, newest["device_code"])).json["error"] == "authorization_pending"
    harness.clock.now += DEVICE_CODE_SECONDS
    await codes_of(app)
    assert harness.store.count(DeviceCode) == 1


async def test_no_two_of_a_kind(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user code that somebody waits with is not given to another."""
    drawn = iter(["BBBB-BBBB", "BBBB-BBBB", "CCCC-CCCC"])
    monkeypatch.setattr(device_authorization, "new_user_code", lambda: next(drawn))
    app = device_app(harness)
    assert [(await codes_of(app))["user_code"] for _ in range(2)] == ["BBBB-BBBB", "CCCC-CCCC"]


async def test_nothing_is_left(harness: Harness) -> None:
    """An hour later the store has nothing of the codes, nor of their counts."""
    for _ in range(10):
        await codes_of(device_app(harness))
    await harness.store.purge_expired(NOW + DEVICE_CODE_SECONDS + KEPT_SECONDS - 1)
    assert harness.store.count(DeviceCode) == 10
    await harness.store.purge_expired(NOW + DEVICE_CODE_SECONDS + KEPT_SECONDS)
    assert harness.store.count(DeviceCode) == 0
    await harness.store.purge_expired(NOW + 3601)
    assert harness.store.count(GuessCount) == 0


async def test_a_deleted_app(harness: Harness) -> None:
    """Codes go with the app that asked for them, and another app's stay."""
    app, other = [await registered_app(harness, name=name, grants=(GRANT,)) for name in ("a", "b")]
    await codes_of(app)
    kept = await codes_of(other)
    await harness.call("apps.delete", LOCAL_ADMIN, client_id=app.client_id)
    assert [one.app for one in harness.store.scan(DeviceCode)] == [other.client_id]
    assert (await poll(other, kept["device_code"])).json["error"] == "authorization_pending"


async def test_a_deleted_account(harness: Harness) -> None:
    """What a person allowed goes with their account, before the app has redeemed it."""
    open_pages(harness)
    await harness.user("admin", name="another admin")
    ada, app = await visit(harness), device_app(harness)
    codes = await codes_of(app)
    await said_yes(ada, codes["user_code"])
    await harness.admin("users.delete", client_id=ada.client_id)
    assert harness.store.count(Delegation) == harness.store.count(DeviceCode) == harness.store.count(Session) == 0
    assert (await poll(app, codes["device_code"])).json["error"] == "invalid_grant"


async def test_the_audit_log(harness: Harness) -> None:
    """Each step has a row, with who and from where, and without a code."""
    open_pages(harness)
    ada, app = await visit(harness), await registered_app(harness, grants=(GRANT,))
    allowed, denied = [await codes_of(app) for _ in range(2)]
    await said_yes(ada, allowed["user_code"])
    await ada.send("/ui/device", request=await entered(ada, denied["user_code"]), decision="deny")
    await poll(app, allowed["device_code"])
    await harness.pipeline.flush(is_last=True)
    rows = [row.event for row in harness.store.audit_rows()]
    (delegation,) = harness.store.scan(Delegation)
    found = [(one.operation, one.actor, one.target) for one in rows if "device" in one.operation]
    assert found == [
        ("oauth.device_authorization", app.client_id, app.client_id),
        ("oauth.device_authorization", app.client_id, app.client_id),
        ("oauth.device_allow", ada.client_id, delegation.id),
        ("oauth.device_deny", ada.client_id, app.client_id),
        ("token.exchange_device_code", ada.client_id, delegation.id),
    ]
    for codes in (allowed, denied):
        for secret in (codes["device_code"], codes["user_code"], codes["user_code"].replace("-", "")):
            assert secret not in str(rows)
    counters = harness.runtime.counters
    assert [counters[name] for name in ("device_codes", "allowed_devices", "denied_devices")] == [2, 1, 1]


async def test_a_disabled_app(harness: Harness) -> None:
    """An app that an admin has disabled gets no codes, and can redeem none."""
    app = await registered_app(harness, grants=(GRANT,))
    codes = await codes_of(app)
    await harness.call("apps.disable", LOCAL_ADMIN, client_id=app.client_id)
    record = harness.store.get(App, app.client_id)
    assert record is not None
    assert not record.enabled
    assert (await poll(app, codes["device_code"])).status == 401
    assert await refused(app) == (401, "invalid_client")
