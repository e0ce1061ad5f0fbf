"""REST and OAuth routes: formats, statuses, parameters and refusals."""

import base64
from typing import Any

import pytest

from herod.credentials import passwords
from herod.credentials.passwords import OWASP_2024
from herod.identity.legacy_secrets import LegacySecrets
from herod.operations.accounts import login_and_registration
from herod.store.store_interface import Health
from support.herod_in_memory import ADMIN_SOURCE, COOKIE, NOW, PASSWORD, TCP, Harness, bearer, open_harness

ADMIN = {"authorization": f"Peer {COOKIE}"}


async def admin(harness: Harness, method: str, target: str, json: Any = None) -> Any:
    """The headers of the local admin."""
    return await harness.request(method, target, json=json, headers=ADMIN, source=ADMIN_SOURCE)


async def register(harness: Harness, email: str = "ada@example.org") -> dict[str, Any]:
    """Register; return the answer."""
    answer = await harness.request("POST", "/register", json={"email": email, "password": PASSWORD, "name": "Ada"})
    assert answer.status == 201
    body: dict[str, Any] = answer.json
    return body


async def test_a_strangers_first_minutes(harness: Harness) -> None:
    """Register, log in, get a token by Basic and by form, validate it, and be refused as an admin."""
    made = await register(harness)
    assert set(made) == {"access_token", "token_type", "expires_in", "scope", "client_id", "client_secret"}
    login = await harness.request("POST", "/login", json={"email": " ADA@example.org", "password": PASSWORD})
    assert login.status == 200
    assert login.headers["cache-control"] == "no-store"
    assert set(login.json) == {"access_token", "token_type", "expires_in", "scope", "client_id"}
    assert (login.json["token_type"], login.json["expires_in"], login.json["scope"]) == ("Bearer", 3600, "read")
    pair = base64.b64encode(f"{made['client_id']}:{made['client_secret']}".encode()).decode()
    by_basic = await harness.request(
        "POST", "/token", form="grant_type=client_credentials", headers={"authorization": f"Basic {pair}"}
    )
    by_form = await harness.request(
        "POST",
        "/token",
        form=f"grant_type=client_credentials&client_id={made['client_id']}&client_secret={made['client_secret']}",
    )
    for answer in (by_basic, by_form):
        assert answer.status == 200
        assert set(answer.json) == {"access_token", "token_type", "expires_in", "scope"}
        valid = await harness.request("POST", "/validate", json={"token": answer.json["access_token"], "scope": "read"})
        body = valid.json
        assert body.pop("jti")
        assert body == {
            "valid": True,
            "sub": made["client_id"],
            "name": "Ada",
            "scope": "read",
            "networks": ["*"],
            "exp": NOW + 3600,
            "iat": NOW,
            "iss": "hero_auth",
            "method": "jwt",
        }
        refused = await harness.request(
            "POST", "/users/add", json={"email": "x@y.z"}, headers=bearer(answer.json["access_token"])
        )
        assert refused.status == 403
        assert refused.headers["www-authenticate"] == 'Bearer error="insufficient_scope", scope="admin"'
        assert refused.json["error"]["code"] == "missing_scope"
        assert refused.json["error"]["hint"] == f"herod explain --principal {made['client_id']} --scope=admin"


async def test_an_address_in_use(harness: Harness) -> None:
    """An email in use is refused, however it is spelled."""
    await register(harness)
    for email in ("ada@example.org", "ADA@EXAMPLE.ORG ", "ａda@example.org"):
        answer = await harness.request("POST", "/register", json={"email": email, "password": PASSWORD})
        assert (answer.status, answer.json["error"]["code"]) == (409, "conflict")


async def test_login_refusals_are_the_same_bytes(harness: Harness) -> None:
    """A wrong password, an unknown email and an invalid email get identical bytes."""
    await register(harness)
    await harness.admin("users.add", email="none@example.org")  # has no password
    answers = [
        await harness.request("POST", "/login", json={"email": email, "password": "a wrong password"})
        for email in ("ada@example.org", "nobody@example.org", "none@example.org", "no email", "")
    ]
    assert {answer.status for answer in answers} == {401}
    assert len({answer.response for answer in answers}) == 1


async def test_unknown_emails_cost_the_same_work(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown email costs one Argon2 hash, as a known one does."""
    checked: list[str] = []

    def verify(text: str, phc: str) -> bool:
        checked.append(phc)
        return False

    monkeypatch.setattr(passwords, "OWASP_2024", OWASP_2024)
    await register(harness)
    monkeypatch.setattr(login_and_registration, "verify_password", verify)
    for email in ("ada@example.org", "nobody@example.org"):
        await harness.request("POST", "/login", json={"email": email, "password": "a wrong password"})
    assert len(checked) == 2
    assert len({phc.split("$")[3] for phc in checked}) == 1  # the same parameters


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ("", "invalid_request"),
        ("grant_type=password&{client}", "unsupported_grant_type"),
        ("grant_type=client_credentials&{client}&scope=admin", "invalid_scope"),
        ("grant_type=client_credentials&{client}&scope=", None),
        ("grant_type=client_credentials&{client}&unknown=1", None),
        ("grant_type=client_credentials&grant_type=client_credentials&{client}", "invalid_request"),
        ("grant_type=client_credentials&client_secret=x", "invalid_request"),
        ("grant_type=client_credentials&client_id=x&client_secret=y", "invalid_client"),
        ("grant_type=client_credentials", "invalid_client"),
        ("grant_type=client_credentials&{client}&resource=http://x", None),
        ("grant_type=client_credentials&{client}&resource=", None),
        ("grant_type=client_credentials&{client}&resource=x", "invalid_target"),
        ("grant_type=client_credentials&{client}&resource=http://x&resource=http://y", "invalid_target"),
        ("grant_type=%ff&{client}", "invalid_request"),
        ("x", "invalid_request"),
    ],
)
async def test_token_errors(harness: Harness, form: str, error: str | None) -> None:
    """Token errors follow RFC 6749, section 5.2."""
    user = await harness.user()
    client = f"client_id={user.client_id}&client_secret={user.secret}"
    answer = await harness.request("POST", "/token", form=form.replace("{client}", client))
    assert answer.headers["cache-control"] == "no-store"
    if error is None:
        assert answer.status == 200
        return
    assert answer.status == (401 if error == "invalid_client" else 400)
    assert set(answer.json) == {"error", "error_description"}
    assert answer.json["error"] == error


async def test_two_credentials_are_refused(harness: Harness) -> None:
    """Two different credentials are a 400; the same one twice counts as one."""
    user = await harness.user()
    key = await user.key()
    token = await user.token()
    for headers, status in (
        ({"authorization": f"Bearer {key}", "x-api-key": key}, 200),
        ({"authorization": f"Bearer {token}", "x-api-key": key}, 400),
        ({"x-herod-secret": "s", "x-api-key": key}, 400),
        ({"authorization": f"Bearer {token}", "cookie": "herod_session=abc"}, 400),
        ({"authorization": f"Bearer {token}", "cookie": "other=abc"}, 200),
        ({"cookie": "herod_session=a; herod_session=b"}, 400),
        ({"authorization": "Negotiate x"}, 401),
        ({"authorization": "Basic !!!"}, 401),
        ({"authorization": "Bearer"}, 401),
    ):
        assert (await harness.request("GET", "/api/v1/whoami", headers=headers)).status == status, headers
    form = f"grant_type=client_credentials&client_id={user.client_id}&client_secret=other"
    assert (await harness.request("POST", "/token", form=form, headers=user.basic_header)).status == 400


async def test_users_by_rest(harness: Harness) -> None:
    """An account is created, read, changed and deleted under /api/v1, in the envelope."""
    await harness.service_key("admin", "spare")
    added = await admin(harness, "POST", "/api/v1/users", {"email": "eve@example.org", "scope": "write"})
    assert added.status == 201
    user = added.json["data"]
    assert set(user) == {"client_id", "client_secret", "email", "name", "scope", "networks"}
    assert added.json["meta"] == {"api_version": "1", "server_version": "0.0.test"}
    path = f"/api/v1/users/{user['client_id']}"
    shown = (await admin(harness, "GET", path)).json["data"]
    assert set(shown) == {"client_id", "email", "name", "scope", "networks", "enabled", "created_at", "confirmed"}
    assert shown["created_at"] == "2027-01-15T08:00:00Z"
    assert (await admin(harness, "PUT", f"{path}/scope", {"scope": "read"})).json["data"]["scope"] == "read"
    patched = await admin(harness, "PATCH", path, {"name": "  Eve   E. ", "networks": ["b", "a"]})
    assert (patched.json["data"]["name"], patched.json["data"]["networks"]) == ("Eve E.", ["a", "b"])
    assert (await admin(harness, "POST", f"{path}/disable")).json["data"]["enabled"] is False
    assert (await admin(harness, "POST", f"{path}/enable")).json["data"]["enabled"] is True
    assert (await admin(harness, "DELETE", path)).json["data"]["deleted"] is True
    gone = await admin(harness, "GET", path)
    assert (gone.status, gone.json["error"]["code"], "meta" in gone.json) == (404, "not_found", True)


async def test_plain_user_routes(harness: Harness) -> None:
    """Hero Auth's own user routes answer flat, by client_id or email."""
    added = await admin(harness, "POST", "/users/add", {"email": "eve@example.org"})
    assert added.status == 201
    assert set(added.json) == {"client_id", "client_secret", "email", "name", "scope", "networks"}
    scoped = await admin(harness, "POST", "/users/scope", {"email": "EVE@example.org", "scope": "member"})
    assert scoped.json["scope"] == "write"
    assert (await admin(harness, "POST", "/users/delete", {"client_id": added.json["client_id"]})).json["deleted"]
    for body in ({}, {"client_id": "a", "email": "a@b.c"}):
        assert (await admin(harness, "POST", "/users/delete", body)).status == 400


async def test_pages(harness: Harness) -> None:
    """Limit and cursor page through a list without gaps or duplicates."""
    for number in range(7):
        await harness.user(name=f"u{number}")
    names, target = [], "/api/v1/users?limit=3"
    for _ in range(3):
        body = (await admin(harness, "GET", target)).json
        names += [user["name"] for user in body["data"]]
        target = f"/api/v1/users?limit=3&cursor={body['meta']['next_cursor']}"
    assert body["meta"]["next_cursor"] is None
    assert sorted(names) == [f"u{number}" for number in range(7)]
    for bad in ("limit=0", "limit=201", "limit=x", "cursor=nonsense", "limit=3&limit=3", "what=1"):
        assert (await admin(harness, "GET", f"/api/v1/users?{bad}")).status == 400, bad


async def test_parameters_have_one_place(harness: Harness) -> None:
    """A duplicate parameter is a 400, and body parameters are not accepted in URLs."""
    user = await harness.user()
    path = f"/api/v1/users/{user.client_id}"
    for method, target, body in (
        ("PUT", f"{path}/scope", {"client_id": user.client_id, "scope": "read"}),
        ("GET", f"{path}?client_id=x", None),
        ("POST", "/validate?token=x", {"token": "x"}),
        ("PATCH", f"{path}?name=x", {"name": "x"}),
    ):
        assert (await admin(harness, method, target, body)).status == 400, target


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"token":1}',
        b'{"token":"x","more":1}',
        b'{"token":"\\ud800"}',
        b'{"token":"\xff"}',
        b"\xff\xfe{\x00}\x00",
        b'{"token":NaN}',
        b"[" * 60_000,
        b'{"token":' + b"[" * 33 + b"]" * 33 + b"}",
    ],
)
async def test_bad_bodies_are_400(harness: Harness, body: bytes) -> None:
    """A malformed body is a 400."""
    answer = await harness.request("POST", "/validate", body=body)
    assert (answer.status, answer.json["error"]["code"]) == (400, "invalid_request")


async def test_a_body_that_is_not_json_is_refused(harness: Harness) -> None:
    """A body must be JSON: unlike a form, a page cannot post it across origins without a preflight."""
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = await harness.request(
            "POST", "/validate", body=b'{"token":"x"}', headers={"content-type": content_type}
        )
        assert answer.status == 400
    charset = {"content-type": "application/json; charset=utf-8"}
    assert (await harness.request("POST", "/validate", body=b'{"token":"x"}', headers=charset)).status == 200


async def test_paths_and_methods(harness: Harness) -> None:
    """An unknown path is a JSON 404, and another method a 405 that lists the allowed ones."""
    for path in ("/nothing", "/.well-known/nothing", "/api/v1/users//", "/api/v1/users/a/b/c", "//", "/HEALTH"):
        answer = await harness.request("GET", path)
        assert (answer.status, answer.json["error"]["code"]) == (404, "not_found"), path
    assert (await admin(harness, "GET", "/api/v1/users?cursor")).status == 400
    answer = await harness.request("PUT", "/api/v1/users/x")
    assert (answer.status, answer.headers["allow"]) == (405, "DELETE, GET, HEAD, PATCH")
    assert (await harness.request("GET", "/rpc")).headers["allow"] == "POST"
    assert (await harness.request("HEAD", "/health")).status == 200
    assert (await admin(harness, "GET", "/api/v1/users/%ff")).status == 400
    assert (await admin(harness, "GET", "/api/v1/users/a%2Fb")).status == 404
    for method, target in (("GET", "/api/v1/nothing"), ("PUT", "/api/v1/users/x"), ("GET", "/api/v1/users/%ff")):
        answer = await harness.request(method, target)
        assert answer.json["meta"]["api_version"] == "1", target
    assert "meta" not in (await harness.request("GET", "/nothing")).json


async def test_validate_answers_for_every_kind(harness: Harness) -> None:
    """`/validate` answers for keys and secrets too, with sub, jti and method; an unknown one is just invalid."""
    user = await harness.user(scope="write", networks=["lab"])
    key, service = await user.key(scope="read"), await harness.service_key("registrar")

    async def ask(**body: str) -> Any:
        return (await harness.request("POST", "/validate", json=body)).json

    by_key = await ask(token=key)
    assert (by_key["sub"], by_key["jti"], by_key["method"]) == (user.client_id, key.split("_")[2], "user_key")
    assert (by_key["scope"], by_key["networks"], by_key["exp"]) == ("read", ["lab"], None)
    by_service = await ask(token=service)
    assert by_service["sub"] == by_service["jti"] == service.split("_")[2]
    legacy = await ask(token="legacy-admin-secret")
    assert (legacy["scope"], legacy["method"], legacy["exp"]) == ("admin", "legacy_secret", None)
    assert await ask(token=key, scope="write") == {"valid": False, "reason": "scope"}
    assert await ask(token=key, network="prod") == {"valid": False, "reason": "network"}
    assert (await ask(token=key, network="lab", scope="read"))["valid"]
    token = await user.token()
    assert await ask(token=token, scope="admin") == {"valid": False, "reason": "scope"}
    assert await ask(token=token, network="prod") == {"valid": False, "reason": "network"}
    assert await ask(token=token[:-4] + "AAAA") == {"valid": False, "reason": "signature"}
    assert await ask(token=token + "=") == {"valid": False, "reason": "malformed"}
    assert await ask(token="a.b.c") == {"valid": False, "reason": "malformed"}
    await harness.admin("users.disable", client_id=user.client_id)
    assert await ask(token=token) == {"valid": False, "reason": "disabled"}
    assert await ask(token=key) == {"valid": False, "reason": "owner_disabled"}
    for bad in (key[:-1] + "x", "herod_u_", "", "wrong"):
        assert await ask(token=bad) == {"valid": False, "reason": "invalid"}


async def test_a_legacy_secret_beyond_ascii(harness: Harness) -> None:
    """A legacy secret may contain any text, in a header as in JSON."""
    secret = "пароль от старой системы"
    harness.configure(legacy=LegacySecrets(harness.runtime.keyring, [("user", secret)]))
    sent = secret.encode().decode("latin-1")
    for headers in ({"x-herod-secret": sent}, bearer(sent)):
        assert (await harness.request("GET", "/api/v1/whoami", headers=headers)).json["data"]["scope"] == "user"
    assert (await harness.request("GET", "/api/v1/whoami", headers=bearer("\xff"))).status == 401


async def test_closed_registration() -> None:
    """Closed registration is refused before any hashing."""
    async with open_harness(registration="closed") as harness:
        answer = await harness.request("POST", "/register", json={"email": "a@b.c", "password": PASSWORD})
        assert answer.status == 403
        assert "ask an admin" in answer.json["error"]["message"]


async def test_health_says_what_is_wrong(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """`/health` answers 503 while the store cannot be written."""
    assert (await harness.request("GET", "/health")).json == {"status": "ok", "service": "herod", "version": "0.0.test"}
    monkeypatch.setattr(type(harness.store), "health", property(lambda _: (Health.READ_ONLY, "the disk failed")))
    answer = await harness.request("GET", "/health", source=TCP)
    assert (answer.status, answer.json["status"], answer.json["reason"]) == (503, "read-only", "the disk failed")


async def test_a_backup_of_a_store_in_memory(harness: Harness) -> None:
    """A backup of `memory:` is a valid request that conflicts with the store that the daemon has."""
    answer = await harness.request("GET", "/api/v1/backup", headers=bearer(await harness.service_key("admin")))
    assert (answer.status, answer.json["error"]["code"]) == (409, "conflict")
