"""A local process in several groups with different rules gets each grant separately, never their product.

The attack: group 5000 is admin on [test], group 6000 may read on all networks. A member of both was admin on all
networks, and created an admin account that stayed one. Now each grant is checked separately.
"""

from typing import Any

import pytest

from herod.identity.credential_types import Bearer, PeerClaim, SessionCookie
from herod.scopes.principal import Peer, Source
from herod_client.core.errors import CeilingExceeded, InvalidScope, TargetDenied
from support.herod_in_memory import COOKIE, TCP, Harness

PEER = PeerClaim()
BOTH = Source(peer=Peer(uid=1000, gid=5000, groups=frozenset({6000})), cookie=COOKIE)


async def unlike_rules(harness: Harness) -> None:
    """One rule with admin on one network, and one with read on all."""
    await harness.admin("peers.allow", gid=5000, scope="admin", networks=["test"])
    await harness.admin("peers.allow", gid=6000, scope="read", networks=["*"])


async def explained(harness: Harness, **params: Any) -> bool:
    """The engine's decision about the process, as asked by itself."""
    answer = await harness.call("access.explain", PEER, BOTH, **params)
    return bool(answer.allowed)


async def test_a_scope_of_one_rule_does_not_reach_the_networks_of_another(harness: Harness) -> None:
    """The process is admin on test and reads everywhere, but is not admin anywhere else."""
    await unlike_rules(harness)
    assert await explained(harness, scope="admin", network="test")
    assert await explained(harness, scope="read", network="prod")
    assert not await explained(harness, scope="admin", network="prod")


async def test_nothing_is_made_with_the_scope_of_one_and_the_networks_of_another(harness: Harness) -> None:
    """No account, key, rule or Supervisor key combines two rules; what one rule covers is created."""
    await unlike_rules(harness)
    for operation, params in (
        ("users.add", {"scope": "admin", "networks": ["*"]}),
        ("peers.allow", {"uid": 1000, "scope": "admin", "networks": ["*"]}),
        ("keys.create", {"name": "k", "kind": "service", "scope": "write", "networks": ["prod"]}),
    ):
        with pytest.raises(CeilingExceeded):
            await harness.call(operation, PEER, BOTH, **params)
    added = await harness.call("users.add", PEER, BOTH, scope="admin")
    assert added.networks == ["test"]
    rule = await harness.call("peers.allow", PEER, BOTH, uid=2000, scope="write")
    assert rule.networks == ["test"]
    key = await harness.call("keys.create", PEER, BOTH, name="wide", kind="service", scope="read")
    assert key.networks == ["*"]
    made = await harness.call("auth.create_key", PEER, BOTH, name="runner", scope="registrar")
    assert (await harness.call("token.validate", None, TCP, token=made.key)).networks == ["test"]


async def test_a_target_is_reached_by_one_rule_alone(harness: Harness) -> None:
    """An admin on test cannot change a principal with read on prod and write on test."""
    await unlike_rules(harness)
    theirs = await harness.user(scope="write", networks=["test"])
    others = await harness.user(scope="write", networks=["prod"])
    await harness.call("users.disable", PEER, BOTH, client_id=theirs.client_id)
    with pytest.raises(TargetDenied):
        await harness.call("users.disable", PEER, BOTH, client_id=others.client_id)
    with pytest.raises(TargetDenied):
        await harness.call("token.revoke", PEER, BOTH, token=await others.token())


async def test_unlike_rules_are_shown_side_by_side(harness: Harness) -> None:
    """`whoami` lists the grants; its scope and networks are those of one, so that they are not combined."""
    await unlike_rules(harness)
    who = await harness.call("whoami", PEER, BOTH)
    assert (who.scope, who.networks) == ("admin", ["test"])
    assert [(one.scope, one.networks) for one in who.grants] == [("admin", ["test"]), ("read", ["*"])]


async def test_one_rule_is_shown_as_ever(harness: Harness) -> None:
    """With one rule, `whoami` has no list of grants."""
    await harness.admin("peers.allow", gid=5000, scope="read")
    answer = await harness.request("GET", "/api/v1/whoami", headers={"authorization": "Peer"}, source=BOTH)
    assert set(answer.json["data"]) == {"sub", "kind", "name", "method", "scope", "networks"}


@pytest.mark.parametrize(
    ("asked", "name", "networks"),
    [("admin", "gid:5000", ["test"]), ("read", "gid:6000", ["*"]), ("write read", "gid:5000", ["test"])],
)
async def test_a_token_carries_what_one_rule_covers(
    harness: Harness, asked: str, name: str, networks: list[str]
) -> None:
    """A token takes the rule that has the scope and the most networks, and the rule is its subject."""
    await unlike_rules(harness)
    made = await harness.call("token.create", PEER, BOTH, scope=asked)
    who = await harness.call("whoami", Bearer(made.access_token), TCP)
    assert (who.name, who.scope, who.networks) == (name, asked.split(maxsplit=1)[0], networks)


@pytest.mark.parametrize("asked", [None, "registrar write", "admin"])
async def test_a_token_that_no_rule_covers_is_refused(harness: Harness, asked: str | None) -> None:
    """A token request that no single rule covers is refused, and the error lists the rules' grants."""
    one = await harness.admin("peers.allow", gid=5000, scope="registrar", networks=["a"])
    other = await harness.admin("peers.allow", gid=6000, scope="write", networks=["b"])
    with pytest.raises(InvalidScope) as refused:
        await harness.call("token.create", PEER, BOTH, scope=asked)
    assert f"registrar on a (rule {one.id}), write on b (rule {other.id})" in refused.value.message


async def test_a_token_of_an_unknown_scope_is_refused(harness: Harness) -> None:
    """The error names the scopes that herod knows."""
    await harness.admin("peers.allow", gid=5000, scope="read", networks=["a"])
    with pytest.raises(InvalidScope, match="Unknown scope 'unheard-of': herod knows owner admin"):
        await harness.call("token.create", PEER, BOTH, scope="unheard-of")


async def test_a_token_needs_no_scope_where_one_rule_covers_all(harness: Harness) -> None:
    """If one rule covers the others, a token request without a scope gets that rule."""
    await harness.admin("peers.allow", gid=5000, scope="read", networks=["a"])
    await harness.admin("peers.allow", gid=6000, scope="write", networks=["a", "b"])
    made = await harness.call("token.create", PEER, BOTH)
    who = await harness.call("whoami", Bearer(made.access_token), TCP)
    assert (who.name, who.scope, who.networks) == ("gid:6000", "write", ["a", "b"])


async def test_a_session_is_one_rule_alone(harness: Harness) -> None:
    """A session gets the one rule with the most scopes, as does a sign-in code."""
    await unlike_rules(harness)
    made = await harness.call("session.code", PEER, BOTH)
    offer = await harness.call("session.offer", None, TCP, code=made.code)
    assert (offer.scope, offer.networks) == ("admin", ["test"])
    opened = await harness.call("session.redeem", None, TCP, code=made.code)
    who = await harness.call("whoami", SessionCookie(opened.cookie), TCP)
    assert (who.name, who.scope, who.networks) == ("gid:5000", "admin", ["test"])
    with pytest.raises(CeilingExceeded):
        await harness.call("users.add", SessionCookie(opened.cookie), TCP, scope="admin", networks=["*"])


async def test_the_hint_extends_one_rule(harness: Harness) -> None:
    """The hint extends the rule that has the scope or the network already, and removes nothing."""
    await harness.admin("peers.allow", gid=5000, scope="write", networks=["test"])
    await harness.admin("peers.allow", gid=6000, scope="read", networks=["prod"])
    denied = await harness.call("access.explain", PEER, BOTH, scope="write", network="prod")
    assert denied.hint == "herod peer allow --gid=5000 --scope=write --network=prod --network=test"
    denied = await harness.call("access.explain", PEER, BOTH, scope="user", network="prod")
    assert denied.hint == "herod peer allow --gid=6000 --scope=user --network=prod"


async def test_whoami_lists_what_fits(harness: Harness) -> None:
    """With very many large rules `whoami` lists as many as fit, instead of failing."""
    networks = [f"{number:02}{'n' * 62}" for number in range(64)]
    for gid in range(5000, 5060):
        await harness.admin("peers.allow", gid=gid, scope="read", networks=networks)
    many = Source(peer=Peer(uid=1000, gid=5000, groups=frozenset(range(5000, 5060))), cookie=COOKIE)
    answer = await harness.request("GET", "/api/v1/whoami", headers={"authorization": "Peer"}, source=many)
    assert 10 < len(answer.json["data"]["grants"]) < 20


async def test_it_revokes_its_own_tokens(harness: Harness) -> None:
    """A token by any of its rules is its own."""
    await harness.admin("peers.allow", gid=5000, scope="read", networks=["test"])
    await harness.admin("peers.allow", gid=6000, scope="write", networks=["*"])
    for scope in ("read", "write"):
        token = (await harness.call("token.create", PeerClaim(), BOTH, scope=scope)).access_token
        await harness.call("token.revoke", PeerClaim(), BOTH, token=token)
        assert (await harness.call("token.validate", token=token)).reason == "revoked"
