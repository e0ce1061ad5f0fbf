"""No stored list can exceed its bound through any operation; longer ones from earlier versions work but cannot spread.

The attack: an account with scope read created 1,200 keys with 11,000 networks each. Used once, they took 960 MB of
memory. Now they cannot be created, and 1,200 keys with 64 networks take 1 MB more than without networks.
"""

from typing import Any

import msgspec
import pytest

from herod.identity.credential_types import Bearer
from herod.operations.operation_table import OPERATIONS
from herod.records import Account, ApiKey, PeerRule
from herod_client.core.access_tokens import issue
from herod_client.core.errors import HerodError, InvalidRequest, InvalidScope
from herod_client.core.grants import MAX_NETWORKS
from herod_client.core.scope_graph import MAX_SCOPES
from store.conformance import putting
from support.herod_in_memory import NOW, PASSWORD, Harness, User

FITTING = [f"n{number}" for number in range(MAX_NETWORKS)]
TOO_MANY = [*FITTING, "one-more"]
READS = " ".join(["read"] * MAX_SCOPES)
OLD = tuple(sorted(f"old{number:03}" for number in range(100)))


async def every_way(harness: Harness, key_id: str, **given: Any) -> list[str]:
    """The outcome of each operation that has this field: "taken", or the error."""
    user = await harness.user()
    named: dict[str, dict[str, Any]] = {
        "keys.create": {"name": f"of {user.client_id[:8]}"},
        "keys.update": {"id": key_id},
        "users.add": {},
        "users.update": {"client_id": user.client_id},
        "users.scope": {"client_id": user.client_id},
        "peers.allow": {"uid": 5000, "scope": "read"},
        "auth.create_key": {"name": f"for {user.client_id[:8]}"},
    }
    said = []
    for name, params in named.items():
        if not given.keys() & set(OPERATIONS[name].params.__struct_fields__):
            continue
        try:
            await harness.admin(name, **{**params, **given})
        except HerodError as error:
            said.append(str(error))
        else:
            said.append("taken")
    return said


async def test_networks(harness: Harness) -> None:
    """Every operation takes 64 networks and refuses 65 with the number; duplicates count."""
    await harness.service_key("write", "wide")
    key_id = (await harness.admin("keys.list")).items[0].id
    for networks in (TOO_MANY, ["n1"] * len(TOO_MANY), [*TOO_MANY, "*"]):
        refusal = f'At most 64 networks can be given, not {len(networks)}: give fewer, or "*" for all.'
        assert await every_way(harness, key_id, networks=networks) == [refusal] * 5
    assert await every_way(harness, key_id, networks=FITTING) == ["taken"] * 5
    assert harness.store.get(ApiKey, key_id).networks == tuple(sorted(FITTING))  # type: ignore[union-attr]  # it exists


async def test_scopes(harness: Harness) -> None:
    """Every operation takes 64 scope names, and refuses 65 or a text of more than 4,160 characters."""
    await harness.service_key("write", "wide")
    key_id = (await harness.admin("keys.list")).items[0].id
    for scope in (f"{READS} read", "read" + " " * 4157):
        said = await every_way(harness, key_id, scope=scope)
        assert len(said) == 6
        assert all("at most 64 names, in 4160 characters" in one for one in said)
    assert await every_way(harness, key_id, scope=READS) == ["taken"] * 6


async def test_tokens(harness: Harness) -> None:
    """A token request names at most 64 scopes, and a token that names more than 64 networks is malformed."""
    user = await harness.user()
    assert (await harness.call("token.create", user.basic, scope=READS)).scope == "read"
    with pytest.raises(InvalidScope, match="at most 64 names"):
        await harness.call("token.create", user.basic, scope=f"{READS} read")
    claims = harness.runtime.claims(await user.token(), NOW)
    for networks, reason in ((FITTING, None), (TOO_MANY, "malformed")):
        token = issue(msgspec.structs.replace(claims, networks=tuple(networks)), harness.runtime.signing.current)
        answer = await harness.call("token.validate", token=token)
        assert (answer.valid, answer.reason or None) == (reason is None, reason)


@pytest.mark.parametrize("claim", ["sub", "jti"])
async def test_ids_of_tokens(harness: Harness, claim: str) -> None:
    """The part of a token that a revocation stores is bounded: a token with a longer id is malformed."""
    user = await harness.user()
    claims = harness.runtime.claims(await user.token(), NOW)
    token = issue(msgspec.structs.replace(claims, **{claim: "x" * 129}), harness.runtime.signing.current)
    assert (await harness.call("token.validate", token=token)).reason == "malformed"


async def test_what_validation_asks_for(harness: Harness) -> None:
    """The scope of a validation request has the same bound, whether or not the token is valid."""
    key = await harness.service_key("read")
    assert (await harness.call("token.validate", token=key, scope=READS)).valid
    for token in (key, "nobody's"):
        with pytest.raises(InvalidRequest, match="at most 64 names"):
            await harness.call("token.validate", token=token, scope=f"{READS} read")


async def make_old(harness: Harness) -> tuple[User, str]:
    """An account and its key that name 100 networks, as an earlier version allowed."""
    user = await harness.user(email="old@example.org", password=PASSWORD)
    key = await user.key()
    account, record = harness.store.get(Account, user.client_id), harness.store.get(ApiKey, key.split("_")[2])
    assert account is not None
    assert record is not None
    await harness.store.write(putting(*(msgspec.structs.replace(one, networks=OLD) for one in (account, record))))
    return user, key


async def test_an_old_record_works(harness: Harness) -> None:
    """An account and key with 100 networks still sign in by every method, and can be listed, renamed and rotated."""
    user, key = await make_old(harness)
    signed_in = await harness.call("login", email="old@example.org", password=PASSWORD)
    session = await user.session()
    for presented in (user.basic, Bearer(await user.token()), Bearer(signed_in.access_token), Bearer(key), session):
        assert (await harness.call("whoami", presented)).networks == list(OLD)
    assert (await harness.call("token.validate", token=key, network="old007")).networks == list(OLD)
    (listed,) = (await harness.call("keys.list", user.basic)).items
    assert listed.networks == list(OLD)
    for name, given in (("update", {"name": "new"}), ("disable", {}), ("enable", {}), ("rotate", {})):
        changed = await harness.call(f"keys.{name}", user.basic, id=listed.id, **given)
        assert changed.networks == list(OLD)
    await harness.admin("users.scope", client_id=user.client_id, scope="write")
    assert (await harness.admin("users.get", client_id=user.client_id)).networks == list(OLD)


async def test_an_old_record_does_not_spread(harness: Harness) -> None:
    """Nothing new gets 100 networks, not even by default; after narrowing the account to 64 it can grant those."""
    user, _ = await make_old(harness)
    await harness.user("admin", name="another")  # the last admin could not be narrowed
    await harness.admin("users.scope", client_id=user.client_id, scope="admin")
    for name, given in (
        ("keys.create", {"name": "another"}),
        ("keys.create", {"name": "another", "kind": "service"}),
        ("users.add", {}),
        ("peers.allow", {"uid": 5000, "scope": "read"}),
        ("auth.create_key", {"name": "another", "scope": "read"}),
    ):
        with pytest.raises(InvalidRequest, match="At most 64 networks can be given, not 100"):
            await harness.call(name, user.basic, **given)
    assert harness.store.count(ApiKey) == 1
    assert harness.store.count(PeerRule) == 0
    await harness.admin("users.update", client_id=user.client_id, networks=list(OLD[:64]))
    assert (await harness.call("keys.create", user.basic, name="another")).networks == list(OLD[:64])


async def test_what_an_admin_need_not_know(harness: Harness) -> None:
    """An admin releases a resource without its secret, but a secret that is too long is refused, as documented."""
    admin = await harness.user("admin")
    answer = await harness.request(
        "DELETE", "/api/v1/resources/none", headers={**admin.basic_header, "x-resource-secret": "x" * 1025}
    )
    assert answer.status == 400
