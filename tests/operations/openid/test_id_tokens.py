"""id_tokens: what they say, which key signs them, and what passes for one when an app signs somebody out."""

import base64
import hashlib
import json
from functools import partial
from typing import Any

import jwt
import msgspec
import pytest
from jwt.algorithms import get_default_algorithms

from herod.operations.openid import access_token_key, access_token_scope, prepare_id_token
from herod.operations.openid.id_tokens import at_hash, open_id_token_hint
from herod.pipeline.app_signing_keys import PreparedKey
from herod.records import TokenFamily
from herod_client.core.access_tokens import sign_jws
from herod_client.core.signing_keys import hs256_key
from support.connected_apps import app_token, connect_app
from support.herod_in_memory import NOW, SECRET, Harness
from support.sign_ins import ACCESS_TOKEN, WIKI, context_of, id_token_of, sign_in_code

ALGORITHMS = ["RS256", "ES256", "EdDSA"]


async def key_set(harness: Harness) -> jwt.PyJWKSet:
    """The published keys, as another library reads them."""
    answer = await harness.request("GET", "/.well-known/jwks.json")
    return jwt.PyJWKSet.from_dict(answer.json)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_another_library_verifies_it(harness: Harness, algorithm: str) -> None:
    """PyJWT verifies an id_token with the published key, and all claims are there."""
    user = await harness.user("write", email="ada@example.org", name="Ada")
    app = msgspec.structs.replace(WIKI, id_token_algorithm=algorithm)
    text = await id_token_of(harness, sign_in_code(user.client_id, "openid profile email groups read"), app)
    assert text is not None
    header = jwt.get_unverified_header(text)
    assert (header["alg"], header["typ"]) == (algorithm, "JWT")
    key = (await key_set(harness))[header["kid"]]
    claims = jwt.decode(
        text,
        key,
        algorithms=[algorithm],
        audience=WIKI.id,
        issuer="http://localhost",
        options={"verify_exp": False, "verify_iat": False},
    )
    assert claims == {
        "iss": "http://localhost",
        "sub": user.client_id,
        "aud": "wiki",
        "iat": NOW,
        "exp": NOW + 3600,
        "auth_time": NOW - 60,
        "nonce": "n-0S6_WzA2Mj",
        "amr": ["pwd", "otp", "mfa"],
        "sid": "5e55",
        "at_hash": claims["at_hash"],
        "name": "Ada",
        "preferred_username": "ada@example.org",
        "email": "ada@example.org",
        "email_verified": True,
        "groups": ["write", "read"],
    }
    hashed = get_default_algorithms()["EdDSA" if algorithm == "EdDSA" else algorithm]
    digest = (
        hashlib.sha512(ACCESS_TOKEN.encode()).digest()
        if algorithm == "EdDSA"
        else hashed.compute_hash_digest(ACCESS_TOKEN.encode())
    )
    assert claims["at_hash"] == base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


def test_at_hash_vector() -> None:
    """The example of OpenID Connect Core 1.0, appendix A.3."""
    assert at_hash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y", "RS256") == "77QmUPtjPfzWtF2AnpK9RQ"


async def test_only_with_openid(harness: Harness) -> None:
    """Without the scope there is no id_token, and no key is made."""
    user = await harness.user("write")
    assert await id_token_of(harness, sign_in_code(user.client_id, "profile email read")) is None
    assert (await key_set_text(harness)) == {"keys": []}


async def key_set_text(harness: Harness) -> Any:
    """The published keys."""
    return (await harness.request("GET", "/.well-known/jwks.json")).json


async def test_what_is_absent(harness: Harness) -> None:
    """Without a nonce, methods or scopes their claims are absent, not empty."""
    user = await harness.user("write")
    text = await id_token_of(harness, sign_in_code(user.client_id, nonce="", amr=()))
    assert text is not None
    claims = json.loads(base64.urlsafe_b64decode(text.split(".")[1] + "=="))
    assert set(claims) == {"iss", "sub", "aud", "iat", "exp", "auth_time", "sid", "at_hash"}


async def test_of_a_refresh(harness: Harness) -> None:
    """A refreshed id_token tells of the same sign-in, at a new time and without the nonce (section 12.2)."""
    user = await harness.user("write")
    shared = msgspec.structs.asdict(sign_in_code(user.client_id))
    own = {"epoch": 1, "is_rotated": True, "used_at": NOW, "ends_at": NOW + 86_400}
    family = msgspec.convert({**shared, **own}, TokenFamily)
    harness.clock.now = NOW + 900
    text = await id_token_of(harness, family)
    assert text is not None
    claims = json.loads(base64.urlsafe_b64decode(text.split(".")[1] + "=="))
    assert (claims["iat"], claims["auth_time"], claims["sid"]) == (NOW + 900, NOW - 60, "5e55")
    assert "nonce" not in claims


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_which_key_signs_access_tokens(harness: Harness, algorithm: str) -> None:
    """Tokens for herod, and those for the app alone, are signed with the plain key; others with the app's algorithm."""
    app = msgspec.structs.replace(WIKI, id_token_algorithm=algorithm)
    context = context_of(harness)
    for audience in ("http://localhost", "http://localhost/", "http://localhost/mcp", app.id):
        key = await harness.store.write(partial(access_token_key, context=context, app=app, audience=audience))
        assert key is harness.runtime.signing.current
    key = await harness.store.write(lambda tx: access_token_key(tx, context, app, "http://localhost:9000"))
    assert key.algorithm == algorithm


async def test_prepared(harness: Harness) -> None:
    """The key is made before the transaction, and not at all once there is one."""
    work = prepare_id_token(harness.runtime, WIKI)
    assert work is not None
    prepared = work()
    assert isinstance(prepared, PreparedKey)
    user = await harness.user("read")
    await id_token_of(harness, sign_in_code(user.client_id))
    assert prepare_id_token(harness.runtime, WIKI) is None


async def test_a_hint(harness: Harness) -> None:
    """An id_token says whose signing out an app asks for, also long after it has expired."""
    user = await harness.user("read")
    text = await id_token_of(harness, sign_in_code(user.client_id))
    assert text is not None
    harness.clock.now = NOW + 10**7
    hint = open_id_token_hint(harness.runtime, text)
    assert hint is not None
    assert (hint.aud, hint.sub, hint.sid) == ("wiki", user.client_id, "5e55")


async def test_what_is_no_hint(harness: Harness) -> None:
    """Other texts, damaged ones, access tokens and what HERO_SECRET signed are none."""
    user = await harness.user("read")
    text = await id_token_of(harness, sign_in_code(user.client_id))
    assert text is not None
    payload = base64.urlsafe_b64decode(text.split(".")[1] + "==")
    key = harness.runtime.signing.for_apps("RS256")
    assert key is not None
    other = json.dumps({**json.loads(payload), "iss": "http://localhost:3351"}).encode()
    connected = await connect_app(harness, user, "read")
    for wrong in (
        "",
        "x",
        "a.b.c",
        text[:-2],
        text + "A",
        text.replace(".", "..", 1),
        sign_jws(payload, hs256_key(SECRET), typ="JWT"),
        sign_jws(payload, key, typ="at+jwt"),
        sign_jws(payload, key, typ="logout+jwt"),
        sign_jws(other, key, typ="JWT"),
        sign_jws(b'{"iss":"http://localhost","aud":"wiki","sub":"a"}', key, typ="JWT"),
        sign_jws(b"[]", key, typ="JWT"),
        sign_jws(payload[:-1] + b',"sid":"another"}', key, typ="JWT"),
        await user.token(),
        app_token(harness, connected, "openid").text,
        app_token(harness, connected, "openid", audience="http://localhost:9000", key=key).text,
    ):
        assert open_id_token_hint(harness.runtime, wrong) is None


async def test_an_id_token_is_no_credential(harness: Harness) -> None:
    """An id_token is accepted nowhere as a token."""
    user = await harness.user("admin")
    text = await id_token_of(harness, sign_in_code(user.client_id, "openid admin read"))
    assert text is not None
    headers = {"authorization": f"Bearer {text}"}
    for path in ("/api/v1/whoami", "/userinfo"):
        assert (await harness.request("GET", path, headers=headers)).status == 401
    assert (await harness.call("token.validate", token=text)).reason == "malformed"


@pytest.mark.parametrize(
    ("audience", "is_set", "written"),
    [
        ("http://localhost:9000", True, "openid email write read"),
        ("http://localhost:9000", False, "write openid email"),
        ("http://localhost", True, "write openid email"),
        ("http://localhost/mcp", True, "write openid email"),
        (WIKI.id, True, "write openid email"),
    ],
)
async def test_scopes_for_other_verifiers(harness: Harness, audience: str, is_set: bool, written: str) -> None:
    """Tokens for others name all included scopes, if the app is set so; herod knows them by itself."""
    app = msgspec.structs.replace(WIKI, expands_scope=is_set)
    assert access_token_scope(harness.runtime, app, audience, "write openid email") == written
