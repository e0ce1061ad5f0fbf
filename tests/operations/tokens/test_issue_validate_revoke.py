"""Access tokens: which credential gets which token, how `/validate` answers, and revocation."""

from urllib.parse import urlencode

import pytest

from herod.identity.credential_types import Bearer
from herod_client.core.errors import (
    InvalidRequest,
    InvalidScope,
    MissingScope,
    NotFound,
    PermissionDenied,
    RevokedToken,
)
from support.herod_in_memory import LEGACY, TCP, Harness


async def say(harness: Harness, token: str, **asked: str) -> tuple[bool, str | None]:
    """The answer to a service: whether the token is valid, and the reason if not."""
    said = await harness.call("token.validate", None, TCP, token=token, **asked)
    return said.valid, getattr(said, "reason", None) or None


async def test_all_that_one_holds(harness: Harness) -> None:
    """Without a scope a token has everything that the account holds, on the account's networks."""
    user = await harness.user("write", ["lab"])
    said = await harness.call("token.validate", None, TCP, token=await user.token())
    assert (said.valid, said.sub, said.scope, said.networks) == (True, user.client_id, "write", ["lab"])
    assert (said.iss, said.method, said.exp - said.iat) == ("hero_auth", "jwt", 3600)


async def test_less_than_one_holds(harness: Harness) -> None:
    """A narrower scope is issued, a wider one is refused."""
    user = await harness.user("write")
    assert await say(harness, await user.token("read"), scope="write") == (False, "scope")
    with pytest.raises(InvalidScope):
        await user.token("admin")


async def test_a_token_makes_no_token(harness: Harness) -> None:
    """A token cannot be used to get another one, because it would never expire."""
    user = await harness.user()
    with pytest.raises(PermissionDenied):
        await harness.call("token.create", await user.bearer())


@pytest.mark.parametrize("kind", ["user key", "service key", "legacy secret"])
async def test_validate_whatever_is_presented(harness: Harness, kind: str) -> None:
    """Validation accepts each kind of credential that a service may receive."""
    text = {
        "user key": await (await harness.user()).key(),
        "service key": await harness.service_key("read"),
        "legacy secret": LEGACY["registrar"],
    }[kind]
    said = await harness.call("token.validate", None, TCP, token=text)
    assert (said.valid, said.method) == (True, kind.replace(" ", "_"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "invalid"), ("a.b.c", "malformed"), ("herod_u_x", "invalid"), ("nothing", "invalid")],
)
async def test_validate_what_is_nothing(harness: Harness, text: str, reason: str) -> None:
    """An invalid token gets an answer rather than an error, because the caller is not the one refused."""
    assert await say(harness, text) == (False, reason)


async def test_validate_asks_for_scope_and_network(harness: Harness) -> None:
    """Scope and network both have to be covered."""
    token = await (await harness.user("write", ["lab"])).token()
    assert await say(harness, token, scope="read", network="lab") == (True, None)
    assert await say(harness, token, scope="read write") == (True, None)
    assert (await say(harness, token, scope="admin"))[0] is False
    assert (await say(harness, token, network="main"))[0] is False


async def test_expired(harness: Harness) -> None:
    """A token is refused from the second of its expiry on."""
    token = await (await harness.user()).token()
    harness.clock.now += 3599
    assert await say(harness, token) == (True, None)
    harness.clock.now += 1
    assert await say(harness, token) == (False, "expired")


async def test_revoke_ones_own(harness: Harness) -> None:
    """Users revoke their own token, which is refused everywhere; other tokens stay valid."""
    user = await harness.user()
    token, other = await user.token(), await user.token()
    assert (await harness.call("token.revoke", user.basic, token=token)).revoked
    assert await say(harness, token) == (False, "revoked")
    assert await say(harness, other) == (True, None)
    with pytest.raises(RevokedToken):
        await harness.call("whoami", Bearer(token))
    assert (await harness.call("token.revoke", user.basic, token=token)).revoked  # not an error (RFC 7009)


async def test_revoke_a_foreign_one(harness: Harness) -> None:
    """Only admins revoke others' tokens, and the refusal does not disclose the holder (RFC 7009, section 2.1)."""
    user, other = await harness.user(), await harness.user("write")
    token = await user.token()
    with pytest.raises((NotFound, MissingScope, PermissionDenied)):
        await harness.call("token.revoke", other.basic, token=token)
    assert await say(harness, token) == (True, None)
    await harness.admin("token.revoke", token=token)
    assert await say(harness, token) == (False, "revoked")


@pytest.mark.parametrize("text", ["", " ", "\t\n"])
async def test_revoke_nothing(harness: Harness, text: str) -> None:
    """An empty token, such as of an unset variable, is an error: nothing was revoked."""
    user = await harness.user("read")
    says = "The parameter 'token' is empty: give the token to revoke."
    with pytest.raises(InvalidRequest, match=says):
        await harness.call("token.revoke", user.basic, TCP, token=text)
    if text.strip() != text:
        form = urlencode({"token": text})
        answer = await harness.request("POST", "/revoke", form=form, headers=user.basic_header)
        assert answer.json == {"error": "invalid_request", "error_description": says}
