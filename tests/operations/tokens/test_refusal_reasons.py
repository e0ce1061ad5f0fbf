"""Why `/validate` refuses a credential: a reason for each cause, and what tells a service 401 from 403."""

from collections.abc import Awaitable, Callable

import pytest
from msgspec import UNSET

from herod_client.core.access_tokens import Claims, issue
from herod_client.core.key_format import KeyKind, new_key, new_key_id, parse_key
from herod_client.core.refusal_reasons import RefusalReason
from herod_client.core.signing_keys import hs256_key
from support.ended_keys import disabled_key, expired_key, key_of_a_disabled_owner
from support.herod_in_memory import LEGACY, NOW, SECRET, TCP, Harness, open_harness
from support.mcp_agent import call

Make = Callable[[Harness], Awaitable[str]]


async def reason(harness: Harness, text: str, **asked: str) -> str:
    """The reason for refusing a credential, which other protocols and operations must agree with."""
    said = await harness.call("token.validate", None, TCP, token=text, **asked)
    assert said.valid is False
    rest = (await harness.request("POST", "/validate", json={"token": text, **asked})).json
    assert rest == {"valid": False, "reason": said.reason}
    agent = await harness.service_key("read", f"agent {len(asked)}")
    assert (await call(harness, "validate_token", agent, token=text, **asked))["structuredContent"] == rest
    if not asked:
        assert (await harness.rpc("auth.verify", {"key": text}))["result"] == {"valid": False}
        seen = await harness.call("token.introspect", (await harness.user()).basic, token=text)
        assert seen.active is (said.reason == "audience" and seen.aud is not UNSET)  # introspection returns which
    await harness.admin("keys.delete", id=agent.split("_")[2])
    return str(said.reason)


async def _rotated_key(harness: Harness) -> str:
    text = await harness.service_key("read", "rotated")
    await harness.admin("keys.rotate", id=text.split("_")[2])
    return text


async def _rotated_after_the_overlap(harness: Harness) -> str:
    text = await harness.service_key("read", "rotated")
    await harness.admin("keys.rotate", id=text.split("_")[2], overlap=60)
    harness.clock.now += 60
    return text


async def _deleted_key(harness: Harness) -> str:
    text = await harness.service_key("read", "deleted")
    await harness.admin("keys.delete", id=text.split("_")[2])
    return text


async def _key_of_a_deleted_owner(harness: Harness) -> str:
    user = await harness.user()
    text = await user.key()
    await harness.admin("users.delete", client_id=user.client_id)
    return text


async def _unknown_key(harness: Harness) -> str:
    return new_key(KeyKind.SERVICE, new_key_id())


async def _constant(text: str) -> str:
    return text


async def _expired_token(harness: Harness) -> str:
    text = await (await harness.user()).token()
    harness.clock.now += 3600
    return text


async def _token_of_a_disabled_account(harness: Harness) -> str:
    user = await harness.user()
    text = await user.token()
    await harness.admin("users.disable", client_id=user.client_id)
    return text


async def _token_of_a_deleted_account(harness: Harness) -> str:
    user = await harness.user()
    text = await user.token()
    await harness.admin("users.delete", client_id=user.client_id)
    return text


async def _revoked_token(harness: Harness) -> str:
    user = await harness.user()
    text = await user.token()
    await harness.call("token.revoke", user.basic, token=text)
    return text


async def _tampered_token(harness: Harness) -> str:
    return (await (await harness.user()).token())[:-4] + "AAAA"


async def _token_for_another(harness: Harness) -> str:
    user = await harness.user()
    issued = await harness.call("token.create", user.basic, resource="https://jobs.example.org")
    return str(issued.access_token)


async def _token_of_the_future(harness: Harness) -> str:
    text = await (await harness.user()).token()
    harness.clock.now -= 3600
    return text


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (expired_key, "expired"),
        (disabled_key, "disabled"),
        (key_of_a_disabled_owner, "owner_disabled"),
        (_rotated_key, "revoked"),
        (_rotated_after_the_overlap, "revoked"),
        (_deleted_key, "invalid"),
        (_key_of_a_deleted_owner, "invalid"),
        (_unknown_key, "invalid"),
        (lambda _: _constant("herod_s_"), "invalid"),
        (lambda _: _constant("wrong"), "invalid"),
        (lambda _: _constant(""), "invalid"),
        (lambda _: _constant("a.b.c"), "malformed"),
        (_tampered_token, "signature"),
        (_token_of_the_future, "clock"),
        (_expired_token, "expired"),
        (_revoked_token, "revoked"),
        (_token_of_a_deleted_account, "revoked"),
        (_token_of_a_disabled_account, "disabled"),
        (_token_for_another, "audience"),
    ],
)
async def test_each_cause_has_its_reason(harness: Harness, make: Make, expected: str) -> None:
    """Each cause has the same reason on every protocol; `auth.verify` and introspection say none."""
    assert await reason(harness, await make(harness)) == expected


@pytest.mark.parametrize("make", [expired_key, disabled_key, key_of_a_disabled_owner, _rotated_key])
async def test_half_a_secret_is_told_nothing(harness: Harness, make: Make) -> None:
    """The id of an ended key with another secret is as invalid as any."""
    parsed = parse_key(await make(harness))
    assert await reason(harness, new_key(parsed.kind, parsed.id)) == "invalid"


@pytest.mark.parametrize("kind", ["token", "user key", "service key", "legacy secret"])
async def test_good_but_not_enough(harness: Harness, kind: str) -> None:
    """Too little scope or another network has a reason of its own for every kind of credential: a 403, not a 401."""
    user = await harness.user("write", ["lab"])
    text = {
        "token": await user.token(),
        "user key": await user.key("write"),
        "service key": await harness.service_key("write", networks=["lab"]),
        "legacy secret": LEGACY["registrar"],
    }[kind]
    assert await reason(harness, text, scope="admin") == "scope"
    assert await reason(harness, text, scope="admin", network="lab") == "scope"
    if kind != "legacy secret":
        assert await reason(harness, text, network="prod") == "network"
        assert await reason(harness, text, scope="read", network="prod") == "network"
        assert (await harness.call("token.validate", None, TCP, token=text, scope="read write", network="lab")).valid


async def test_another_herods_token(harness: Harness) -> None:
    """A token of another herod with the same secret was never revoked here: it is not meant for this one."""
    async with open_harness() as other:
        user = await other.user()
        text = await user.token()
        key = await other.service_key("read")
    assert await reason(harness, text) == "audience"
    assert await reason(harness, key) == "invalid"
    answer = await harness.request("GET", "/api/v1/whoami", headers={"authorization": f"Bearer {text}"})
    assert (answer.status, answer.json["error"]["code"]) == (401, "bad_token")
    assert "another herod" in answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("via", "expected"),
    [
        ("client_secret", "audience"),
        ("password", "audience"),
        ("peer", "audience"),
        ("service_key:abc:1", "audience"),
        ("user_key:abc:1", "audience"),
        ("legacy_secret", "revoked"),  # it may have been removed from the settings
        ("", "revoked"),
    ],
)
async def test_a_subject_that_was_never_here(harness: Harness, via: str, expected: str) -> None:
    """A subject that neither exists nor was deleted is told apart from one that was, whatever made the token."""
    claims = Claims(
        sub="nobody", iss="hero_auth", iat=NOW, exp=NOW + 60, scope="read", jti="j", epoch=1, via=via
    )  # fmt: skip
    assert await reason(harness, issue(claims, hs256_key(SECRET))) == expected


@pytest.mark.parametrize(("later", "expected"), [(-1, "revoked"), (0, "revoked"), (1, "audience")])
async def test_another_processes_local_admin(harness: Harness, later: int, expected: str) -> None:
    """Herods call their local admins the same: a token from before this start may be of this one, a later one not."""
    iat = harness.runtime.started_at + later
    harness.clock.now = iat
    claims = Claims(
        sub="local-admin", iss="hero_auth", iat=iat, exp=iat + 60, scope="admin", jti="j",
        epoch=harness.runtime.boot_epoch + 1, via="local_admin",
    )  # fmt: skip
    assert await reason(harness, issue(claims, hs256_key(SECRET))) == expected


async def test_a_clock_that_is_ahead(harness: Harness) -> None:
    """Herod's own door says that the clocks differ, and by how much."""
    text = await _token_of_the_future(harness)
    answer = await harness.request("GET", "/api/v1/whoami", headers={"authorization": f"Bearer {text}"})
    assert (answer.status, answer.json["error"]["code"]) == (401, "bad_token")
    assert "3600 seconds in the future" in answer.json["error"]["message"]
    assert "clock" in answer.json["error"]["message"]


async def test_a_token_of_the_future_can_be_revoked(harness: Harness) -> None:
    """A revocation of a token that is not valid yet is in force when it would be."""
    user = await harness.user()
    text = await user.token()
    harness.clock.now -= 3600
    assert (await harness.call("token.revoke", user.basic, token=text)).revoked
    harness.clock.now += 3600
    assert await reason(harness, text) == "revoked"


async def test_the_documents_list_the_reasons(harness: Harness) -> None:
    """OpenAPI and OpenRPC enumerate the reasons, and say what each means."""
    for path in ("/openapi.json", "/rpc/discover"):
        schemas = (await harness.request("GET", path)).json["components"]["schemas"]
        assert schemas["Validated"]["properties"]["reason"] == {"$ref": "#/components/schemas/RefusalReason"}
        listed = schemas["RefusalReason"]
        assert set(listed["enum"]) == set(RefusalReason)
        assert all(f"- {reason}: " in listed["description"] for reason in RefusalReason)
