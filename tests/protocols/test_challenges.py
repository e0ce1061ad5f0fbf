"""The challenges of a 401 on every route, and what OAuth's errors may quote."""

import re
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote_from_bytes

import pytest

from herod.operations.operation_table import OPERATIONS
from herod.pipeline.operation_definition import Operation, Route
from herod.protocols.challenges import MAX_DESCRIPTION_CHARS, oauth_text
from herod.scopes.decisions import Access
from support.herod_in_memory import NOW, PASSWORD, Harness, User, bearer

BEARER = 'Bearer realm="herod"'
BAD_TOKEN = 'Bearer realm="herod", error="invalid_token"'
BASIC = 'Basic realm="herod"'
FORMS = ("/token", "/revoke", "/introspect", "/device_authorization")
FOR_CLIENTS = ("/token", "/device_authorization")
GRANT = "grant_type=client_credentials&token=x"
ROUTES = [
    (operation, route)
    for operation in OPERATIONS.values()
    for route in operation.routes
    if operation.needs is not Access.PUBLIC
]


def encoded(text: str) -> dict[str, str]:
    """The Basic header of a text."""
    return {"authorization": "Basic " + b64encode(text.encode()).decode()}


async def ask(harness: Harness, operation: Operation, route: Route, headers: Mapping[str, str]) -> tuple[int, str]:
    """The status and challenge of a route, asked without parameters."""
    is_form = operation.form and not route.path.startswith("/api/")
    has_body = route.method not in {"GET", "DELETE"}
    path = re.sub(r"\{\w+\}", "x", route.path)
    answer = await harness.request(
        route.method,
        path,
        headers=headers,
        form=GRANT if is_form else None,
        json={} if has_body and not is_form else None,
    )
    return answer.status, answer.headers.get("www-authenticate", "")


async def refused_tokens_and_keys(harness: Harness) -> dict[str, dict[str, str]]:
    """Credentials that were good, and some that never were, by what is wrong with them."""
    user, gone, off = [await harness.user(email=f"{name}@example.org") for name in ("a", "b", "c")]
    token, revoked = await user.token(), await user.token()
    await harness.call("token.revoke", user.basic, token=revoked)
    key, switched_off, ending = await user.key(), await user.key(name="off"), await user.key(name="ending")
    await harness.admin("keys.disable", id=switched_off[8:20])
    await harness.admin("keys.delete", id=ending[8:20])
    tokens = {"of nobody": await gone.token(), "of a disabled account": await off.token()}
    await harness.admin("users.delete", client_id=gone.client_id)
    await harness.admin("users.disable", client_id=off.client_id)
    bad = {
        **tokens,
        "revoked": revoked,
        "signature": f"{token[:-4]}AAAA",
        "malformed": "e30.e30.e30",
        "no token": "a b",
        "unknown secret": "x",
        "key off": switched_off,
        "key deleted": ending,
        "wrong key": f"{key[:-6]}AAAAAA",
    }
    keys = {f"X-API-Key: {name}": {"x-api-key": text} for name, text in bad.items() if "key" in name}
    return {
        **{name: bearer(text) for name, text in bad.items()},
        **keys,
        "empty": {"authorization": "Bearer"},
        "blank": {"authorization": "bearer  "},
        "X-Herod-Secret": {"x-herod-secret": "x"},
    }


async def test_a_bad_token_or_key_on_every_route(harness: Harness) -> None:
    """Every route says `invalid_token` after any bad token or key, and no error code to who presents nothing."""
    for name, headers in (await refused_tokens_and_keys(harness)).items():
        for operation, route in ROUTES if name == "revoked" else ROUTES[:3]:
            status, said = await ask(harness, operation, route, headers)
            assert (status, said.startswith(BAD_TOKEN)) == (401, True), (name, route)
            assert said == BAD_TOKEN if route.path not in FORMS else said == f"{BAD_TOKEN}, {BASIC}"
        for path in FORMS:
            answer = await harness.request("POST", path, form=GRANT, headers=headers)
            assert answer.headers["www-authenticate"] == f"{BAD_TOKEN}, {BASIC}", (name, path)
            assert (answer.status, answer.json["error"]) == (401, "invalid_client")
        harness.clock.now += 301  # wrong legacy secrets are counted


async def test_nothing_on_every_route(harness: Harness) -> None:
    """Who presents nothing is told the scheme alone; forms name Basic."""
    for operation, route in ROUTES:
        wants = "" if route.path not in FORMS else BASIC if route.path in FOR_CLIENTS else f"{BEARER}, {BASIC}"
        status, said = await ask(harness, operation, route, {})
        if status != 400:  # what is missing in the parameters may be the credential
            assert (status, said) == (401, wants or BEARER), route


async def test_an_expired_token(harness: Harness) -> None:
    """An expired token is an `invalid_token`, and so is an expired key."""
    user = await harness.user()
    token, key = await user.token(), await user.key(expires_at=datetime.fromtimestamp(NOW + 600, UTC))
    harness.clock.now += 100_000
    for text in (token, key):
        answer = await harness.request("GET", "/api/v1/whoami", headers=bearer(text))
        assert (answer.status, answer.headers["www-authenticate"]) == (401, BAD_TOKEN)


async def test_a_wrong_password_says_nothing_of_the_token(harness: Harness) -> None:
    """A good token is not called invalid because a password beside it is wrong, here or at sign-in."""
    user = await harness.user(email="ada@example.org", password=PASSWORD)
    change = {"client_id": user.client_id, "current": "a wrong password", "password": "quite another password"}
    path = f"/api/v1/users/{user.client_id}/password"
    fields = {name: value for name, value in change.items() if name != "client_id"}
    answer = await harness.request("POST", path, json=fields, headers=bearer(await user.token()))
    assert (answer.status, answer.headers["www-authenticate"]) == (401, BEARER)
    login = await harness.request("POST", "/login", json={"email": "ada@example.org", "password": "wrong"})
    assert (login.status, login.headers["www-authenticate"]) == (401, BEARER)


@pytest.mark.parametrize(
    "credentials",
    [
        "Basic !!!",
        "Basic",
        "Basic ",
        "basic",
        "Basic YTpi YTpi",
        "Basic YQ==",
        "Basic YTpiYw",
        "Basic /zo=",
        "Basic Og",
    ],
)
async def test_unreadable_basic_credentials(harness: Harness, credentials: str) -> None:
    """Basic that is empty, no base64, without padding, colon or UTF-8 is a failed authentication, not a bad request."""
    for path in FORMS:
        answer = await harness.request("POST", path, form=GRANT, headers={"authorization": credentials})
        assert (answer.status, answer.json["error"]) == (401, "invalid_client")
        assert answer.headers["www-authenticate"] == BASIC
    answer = await harness.request("GET", "/api/v1/whoami", headers={"authorization": credentials})
    assert (answer.status, answer.headers["www-authenticate"]) == (401, f"{BEARER}, {BASIC}")


async def test_good_basic_credentials_without_padding(harness: Harness) -> None:
    """Base64 without its padding is not guessed at (RFC 7617), and the message says so."""
    user = await harness.user()
    for blanks in range(3):  # one of them has padding
        text = f"{user.client_id}:{user.secret}{'x' * blanks}"
        if (whole := encoded(text)["authorization"]).endswith("="):
            bad = {"authorization": whole.rstrip("=")}
            answer = await harness.request("POST", "/token", form=GRANT, headers=bad)
            assert (answer.status, answer.headers["www-authenticate"]) == (401, BASIC)
            assert "padding" in answer.json["error_description"]


@pytest.mark.parametrize("pair", ["a:b", ":", "a:", ":b", "%zz:%", "%ff:%ff", "%00:x", "a%3Ab:é"])
async def test_wrong_basic_credentials(harness: Harness, pair: str) -> None:
    """Basic that can be read and is wrong is challenged in kind, by header and by form."""
    for path in FORMS:
        for form, headers in ((GRANT, encoded(pair)), (f"{GRANT}&client_id=a&client_secret=b", {})):
            answer = await harness.request("POST", path, form=form, headers=headers)
            assert (answer.status, answer.json["error"]) == (401, "invalid_client")
            assert answer.headers["www-authenticate"] == BASIC
    answer = await harness.request("GET", "/metrics", headers=encoded(pair))
    assert (answer.status, answer.headers["www-authenticate"]) == (401, f"{BEARER}, {BASIC}")


@pytest.mark.parametrize("credentials", ["", "Digest x", "Negotiate x", "Bearer:x", "herod_u_x"])
async def test_unknown_schemes(harness: Harness, credentials: str) -> None:
    """A scheme that herod does not know is told which it knows."""
    headers = {"authorization": credentials}
    answer = await harness.request("GET", "/api/v1/whoami", headers=headers)
    assert (answer.status, answer.headers["www-authenticate"]) == (401, BEARER)
    answer = await harness.request("POST", "/token", form=GRANT, headers=headers)
    assert (answer.status, answer.headers["www-authenticate"]) == (401, BASIC)


async def _all_but_client_secrets(user: User, harness: Harness) -> dict[str, dict[str, str]]:
    cookie = await user.session()
    return {
        "an access token": bearer(await user.token()),
        "a user's API key": bearer(await user.key()),
        "a service key": {"x-api-key": await harness.service_key("admin")},
        "a legacy secret": {"x-herod-secret": "legacy-admin-secret"},
        "a browser session": {"cookie": f"herod_session={cookie.text}"},
    }


async def test_the_token_endpoint_names_what_it_takes(harness: Harness) -> None:
    """Credentials of another kind are an `unauthorized_client`, in the words of clients."""
    for name, headers in (await _all_but_client_secrets(await harness.user(), harness)).items():
        answer = await harness.request("POST", "/token", form=GRANT, headers=headers)
        assert (answer.status, answer.json["error"]) == (400, "unauthorized_client"), name
        said = answer.json["error_description"]
        assert said == (
            f"This takes a client id and secret (Authorization: Basic) or Authorization: Peer, not {name}. "
            "In the form they are client_id and client_secret."
        )
        answer = await harness.rpc("token.create", headers=headers)
        assert (answer["error"]["code"], "token.create" in answer["error"]["message"]) == (4003, False)


ODD = ['a"b', "a\\b", "é", "😀", "\x7f", "a\nb", "\x00", "\u202e", "x" * 5000, '"' * 5000, "\ud800"]


@pytest.mark.parametrize("value", ODD)
async def test_what_oauth_errors_quote(harness: Harness, value: str) -> None:
    """Descriptions and challenges have only the characters of RFC 6749, section 5.2, whatever a field contains."""
    user = await harness.user()
    odd = quote_from_bytes(value.encode(errors="surrogatepass"))
    for path in FORMS:
        for name in ("scope", "resource", "grant_type", "client_id", "token", "token_type_hint", odd):
            for form in (f"{name}={odd}", f"{GRANT}&{name}={odd}", f"{name}={odd}&{name}={odd}"):
                for headers in (user.basic_header, {}):
                    answer = await harness.request("POST", path, form=form, headers=headers)
                    if answer.status == 200:
                        continue
                    quoted = answer.json["error_description"], answer.headers.get("www-authenticate", "")
                    assert re.fullmatch(r"[\x20-\x21\x23-\x5b\x5d-\x7e]{1,1024}", quoted[0]), form
                    assert re.fullmatch(r"[\x20-\x5b\x5d-\x7e]*", quoted[1]), form


def test_how_a_text_is_made_fit() -> None:
    """Double quotes become single ones, other characters question marks, and long texts end in dots."""
    assert oauth_text('a"b\\c é\n😀\ud800~!') == "a'b?c ????~!"
    assert oauth_text("x" * MAX_DESCRIPTION_CHARS) == "x" * MAX_DESCRIPTION_CHARS
    cut = oauth_text("é" * (MAX_DESCRIPTION_CHARS + 1))
    assert (len(cut), cut[-4:]) == (MAX_DESCRIPTION_CHARS, "?...")


async def test_what_is_never_kept(harness: Harness) -> None:
    """Every answer with `no-store` has `no-cache` for the caches of HTTP/1.0, tokens and errors alike."""
    user = await harness.user()
    await harness.request("POST", "/register", json={"email": "eve@example.org", "password": PASSWORD})
    client = f"client_id={user.client_id}&client_secret={user.secret}"
    admin = bearer(await harness.service_key("admin"))
    answers = [
        await harness.request("POST", "/token", form=f"{GRANT}&{client}"),
        await harness.request("POST", "/token", form=f"{GRANT}&{client}x"),
        await harness.request("POST", "/introspect", form=f"{GRANT}&{client}"),
        await harness.request("POST", "/revoke", form=f"{GRANT}&{client}"),
        await harness.request("POST", "/login", json={"email": "eve@example.org", "password": PASSWORD}),
        await harness.request("POST", "/rpc", json={"jsonrpc": "2.0", "method": "token.create", "id": 1}),
        await harness.request("GET", "/metrics", headers=admin),
        await harness.request("GET", "/api/v1/backup", headers=admin),
        await harness.request("GET", "/nowhere"),
    ]
    for answer in answers:
        assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")


async def _protocols(
    harness: Harness, headers: Mapping[str, str], admin_key: str | None = None
) -> dict[str, tuple[int, str]]:
    """The outcome of requests that have a wrong parameter: status and code, by protocol."""
    plain = await harness.request("POST", "/users/add", json={"nonsense": 1}, headers=headers)
    bare = await harness.request("POST", "/users/add", body=b"{", headers=headers)
    api = await harness.request("GET", "/api/v1/keys?nonsense=1", headers=headers)
    rpc = await harness.rpc("users.add", {"nonsense": 1}, headers=headers)
    batch = [{"jsonrpc": "2.0", "id": 1, "method": "users.add", "params": {"nonsense": 1}}]
    [item] = (await harness.request("POST", "/rpc", json=batch, headers=headers)).json
    old = {"nonsense": 1} | ({} if admin_key is None else {"admin_key": admin_key})
    supervisor = await harness.rpc("auth.list_keys", old, headers=headers if admin_key is None else None)
    call = {"name": "add_user", "arguments": {"nonsense": 1}}
    mcp_call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    mcp = await harness.request("POST", "/mcp", json=mcp_call, headers=headers)
    broken = await harness.request("POST", "/mcp", json={"jsonrpc": "2.0", "id": 1}, headers=headers)
    return {
        **{
            name: (one.status, one.json["error"]["code"])
            for name, one in (("plain", plain), ("bare", bare), ("api", api))
        },
        **{
            name: (200, one["error"]["data"]["code"])
            for name, one in (("rpc", rpc), ("batch", item), ("supervisor", supervisor))
        },
        **{name: (one.status, str(one.json["error"]["code"])) for name, one in (("mcp", mcp), ("broken", broken))},
    }


@pytest.mark.parametrize(
    "credentials", ["Bearer", "Bearer x", "Bearer herod_s_x", "Basic !!!", "Basic YTpi", "Digest x"]
)
async def test_credentials_are_judged_before_the_parameters(harness: Harness, credentials: str) -> None:
    """A credential that is refused is what the answer is about, whatever is wrong with the parameters."""
    outcomes = await _protocols(harness, {"authorization": credentials}, admin_key=credentials.removeprefix("Bearer "))
    for name in ("plain", "bare", "api"):
        assert outcomes[name] == (401, "bad_credentials"), name
    for name in ("rpc", "batch", "supervisor"):
        assert outcomes[name] == (200, "bad_credentials"), name
    for name in ("mcp", "broken"):
        assert outcomes[name] == (401, "4001"), name


async def test_rights_are_judged_before_the_parameters(harness: Harness) -> None:
    """A credential that may not call the operation learns nothing about its parameters."""
    key = await harness.service_key("registrar")
    outcomes = await _protocols(harness, bearer(key), admin_key=key)
    assert {outcomes[name] for name in ("plain", "bare", "api")} == {(403, "missing_scope")}
    assert {outcomes[name] for name in ("rpc", "batch", "supervisor")} == {(200, "missing_scope")}
    assert (outcomes["mcp"], outcomes["broken"]) == ((403, "4003"), (400, "-32600"))


@pytest.mark.parametrize(
    "form", ["%ff=1", "grant_type=x", "grant_type=a&grant_type=b", "", "token=a&token=b", "resource=a&resource=b"]
)
async def test_credentials_are_judged_before_the_form(harness: Harness, form: str) -> None:
    """So it is with forms, by header and in the form itself."""
    sent = [(form, {"authorization": "Basic YTpi"}), (form, {"authorization": "Bearer"})]
    sent += [(f"{form}&client_id=a&client_secret=b", {})] if form and "%ff" not in form else []
    for body, headers in sent:
        for path in FORMS:
            answer = await harness.request("POST", path, form=body, headers=headers)
            assert (answer.status, answer.json["error"]) == (401, "invalid_client"), (path, body)
