"""Access tokens: what each credential gets, what `/validate` says of them, and taking them back."""

import pytest

from herod.identity.credential_types import Bearer
from herod_client.core.errors import InvalidScope, MissingScope, NotFound, PermissionDenied, RevokedToken
from support.herod_in_memory import LEGACY, TCP, House


async def say(house: House, token: str, **asked: str) -> tuple[bool, str | None]:
    """What a service is told: whether it is good, and the reason if not."""
    said = await house.call("token.validate", None, TCP, token=token, **asked)
    return said.valid, getattr(said, "reason", None) or None


async def test_all_that_one_holds(house: House) -> None:
    """Without a scope a token carries everything, on the account's networks."""
    user = await house.user("write", ["lab"])
    said = await house.call("token.validate", None, TCP, token=await user.token())
    assert (said.valid, said.sub, said.scope, said.networks) == (True, user.client_id, "write", ["lab"])
    assert (said.iss, said.method, said.exp - said.iat) == ("hero_auth", "jwt", 3600)


async def test_less_than_one_holds(house: House) -> None:
    """A narrower scope may be asked for, a wider one not."""
    user = await house.user("write")
    assert await say(house, await user.token("read"), scope="write") == (False, "scope")
    with pytest.raises(InvalidScope):
        await user.token("admin")


async def test_a_token_makes_no_token(house: House) -> None:
    """Else it would never end."""
    user = await house.user()
    with pytest.raises(PermissionDenied):
        await house.call("token.create", await user.bearer())


@pytest.mark.parametrize("kind", ["user key", "service key", "legacy secret"])
async def test_validate_whatever_is_presented(house: House, kind: str) -> None:
    """Services hand on what they were shown, of whichever kind it is."""
    text = {
        "user key": await (await house.user()).key(),
        "service key": await house.service_key("read"),
        "legacy secret": LEGACY["registrar"],
    }[kind]
    said = await house.call("token.validate", None, TCP, token=text)
    assert (said.valid, said.method) == (True, kind.replace(" ", "_"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "invalid"), ("a.b.c", "malformed"), ("herod_u_x", "invalid"), ("nothing", "invalid")],
)
async def test_validate_what_is_nothing(house: House, text: str, reason: str) -> None:
    """An answer and no error: the one who asks is not the one who is refused."""
    assert await say(house, text) == (False, reason)


async def test_validate_asks_for_scope_and_network(house: House) -> None:
    """Both have to be covered."""
    token = await (await house.user("write", ["lab"])).token()
    assert await say(house, token, scope="read", network="lab") == (True, None)
    assert await say(house, token, scope="read write") == (True, None)
    assert (await say(house, token, scope="admin"))[0] is False
    assert (await say(house, token, network="main"))[0] is False


async def test_expired(house: House) -> None:
    """From the very second on."""
    token = await (await house.user()).token()
    house.clock.now += 3599
    assert await say(house, token) == (True, None)
    house.clock.now += 1
    assert await say(house, token) == (False, "expired")


async def test_revoke_ones_own(house: House) -> None:
    """Refused everywhere from then on; another token of the same account stays good."""
    user = await house.user()
    token, other = await user.token(), await user.token()
    assert (await house.call("token.revoke", user.basic, token=token)).revoked
    assert await say(house, token) == (False, "revoked")
    assert await say(house, other) == (True, None)
    with pytest.raises(RevokedToken):
        await house.call("whoami", Bearer(token))
    assert (await house.call("token.revoke", user.basic, token=token)).revoked  # again is no error (RFC 7009)


async def test_revoke_a_foreign_one(house: House) -> None:
    """Nobody but an admin; the answer does not tell whose it is (RFC 7009, section 2.1)."""
    user, other = await house.user(), await house.user("write")
    token = await user.token()
    with pytest.raises((NotFound, MissingScope, PermissionDenied)):
        await house.call("token.revoke", other.basic, token=token)
    assert await say(house, token) == (True, None)
    await house.admin("token.revoke", token=token)
    assert await say(house, token) == (False, "revoked")
