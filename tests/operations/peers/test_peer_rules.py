"""Local processes: peer rules for users and groups, and the local admin."""

import os
import pwd
from collections.abc import Iterable

import pytest

from herod.identity.credential_types import Bearer, PeerClaim
from herod.maintenance.restore_reconciliation import end_everything
from herod.scopes.principal import Peer, Source
from herod_client.core.errors import BadCredentials, InvalidRequest, NotFound, RevokedToken
from support.herod_in_memory import ADMIN_SOURCE, COOKIE, LOCAL_ADMIN, Harness


def source(uid: int, gid: int = 5000, groups: Iterable[int] = ()) -> Source:
    """A process at the socket."""
    return Source(peer=Peer(uid=uid, gid=gid, groups=frozenset(groups)), cookie=COOKIE)


async def test_a_uid_is_nobody_until_a_rule_says_otherwise(harness: Harness) -> None:
    """A uid without a rule is refused, and the refusal names the command that creates one."""
    with pytest.raises(BadCredentials) as refused:
        await harness.call("whoami", PeerClaim(), source(1000))
    assert refused.value.hint == "herod peer allow --uid 1000 --scope read"
    rule = await harness.admin("peers.allow", uid=1000, scope="write")
    who = await harness.call("whoami", PeerClaim(), source(1000))
    assert (who.sub, who.kind, who.name, who.method, who.scope) == (rule.id, "peer", "uid:1000", "peer", "write")
    await harness.admin("peers.remove", id=rule.id)
    with pytest.raises(BadCredentials):
        await harness.call("whoami", PeerClaim(), source(1000))


async def test_a_uid_rule_comes_before_group_rules(harness: Harness) -> None:
    """A uid's rule takes precedence over group rules, even if it holds less."""
    await harness.admin("peers.allow", gid=5000, scope="admin")
    assert (await harness.call("whoami", PeerClaim(), source(1000))).scope == "admin"
    await harness.admin("peers.allow", uid=1000, scope="read")
    assert (await harness.call("whoami", PeerClaim(), source(1000))).scope == "read"


async def test_a_second_rule_replaces_the_first(harness: Harness) -> None:
    """A second rule for the same subject replaces the first and keeps its id."""
    first = await harness.admin("peers.allow", uid=1000, scope="admin")
    second = await harness.admin("peers.allow", uid=1000, scope="read", networks=["lab"])
    assert (first.id, second.scope, second.networks) == (second.id, "read", ["lab"])
    assert [(rule.uid, rule.gid) for rule in (await harness.admin("peers.list")).items] == [(1000, None)]


async def test_a_rule_that_is_allowed_again_keeps_its_epoch(harness: Harness) -> None:
    """Replacing a rule keeps its epoch; resetting it would revive tokens that a restore had ended."""
    rule = await harness.admin("peers.allow", uid=1000, scope="write")
    made = await harness.call("token.create", PeerClaim(), source(1000))
    await harness.store.write(end_everything)
    for _ in range(2):
        assert (await harness.admin("peers.allow", uid=1000, scope="write")).id == rule.id
        with pytest.raises(RevokedToken):
            await harness.call("whoami", Bearer(made.access_token))
    await harness.admin("peers.remove", id=rule.id)
    assert (await harness.admin("peers.allow", uid=1000, scope="write")).id != rule.id
    with pytest.raises(RevokedToken):
        await harness.call("whoami", Bearer(made.access_token))


async def test_rules_by_name(harness: Harness) -> None:
    """User and group names are resolved when the rule is created."""
    name = pwd.getpwuid(os.getuid()).pw_name
    assert (await harness.admin("peers.allow", user=name, scope="read")).uid == os.getuid()
    assert (await harness.admin("peers.allow", group="daemon", scope="read")).gid is not None


@pytest.mark.parametrize(
    "who",
    [
        {},
        {"uid": 1, "gid": 1},
        {"uid": -1},
        {"uid": 2**32 - 1},
        {"uid": 65534},
        {"gid": 65534},
        {"user": "no such user"},
        {"group": "no such group"},
    ],
)
async def test_rules_for_nobody(harness: Harness, who: dict[str, int]) -> None:
    """A rule needs exactly one subject, which exists."""
    with pytest.raises(InvalidRequest):
        await harness.admin("peers.allow", **who, scope="read")


async def test_removing_what_is_not_there(harness: Harness) -> None:
    """Removing a rule that does not exist is answered as not found."""
    with pytest.raises(NotFound):
        await harness.admin("peers.remove", id="5a5e7f52-5a3f-4a5e-9d0e-4a9f1f3c2b11")


@pytest.mark.parametrize(
    ("claim", "at"),
    [
        (PeerClaim(), ADMIN_SOURCE),
        (PeerClaim("guess"), ADMIN_SOURCE),
        (PeerClaim("gu\xe9ss"), ADMIN_SOURCE),
        (PeerClaim(COOKIE), source(1000)),
        (PeerClaim(COOKIE), source(65534)),
        (PeerClaim(COOKIE, is_relayed=True), ADMIN_SOURCE),
        (PeerClaim(COOKIE, may_be_admin=False), ADMIN_SOURCE),
        (PeerClaim(COOKIE), Source(address="127.0.0.1")),
        (PeerClaim(COOKIE), Source()),
        (PeerClaim(COOKIE), Source(peer=Peer(uid=0, gid=0))),
    ],
)
async def test_who_is_not_local_admin(harness: Harness, claim: PeerClaim, at: Source) -> None:
    """The uid or cookie alone, a relayed request, another surface, TCP and peer=off give no local admin."""
    with pytest.raises(BadCredentials):
        await harness.call("whoami", claim, at)


@pytest.mark.parametrize("uid", [0, 990])
async def test_who_is_local_admin(harness: Harness, uid: int) -> None:
    """Root and the daemon's own user are local admin if they send the cookie."""
    who = await harness.call("whoami", LOCAL_ADMIN, source(uid))
    assert (who.kind, who.scope, who.sub) == ("local_admin", "owner", "local-admin")


async def test_a_name_that_no_system_can_hold(harness: Harness) -> None:
    """A name with a NUL is a bad request, not an internal error."""
    for who in ({"user": "a\0b"}, {"group": "a\0b"}):
        with pytest.raises(InvalidRequest):
            await harness.admin("peers.allow", **who, scope="read")


AN_EMAIL = "A peer rule is for a local group, by its Unix name; a person with an email needs an account."


@pytest.mark.parametrize(
    ("params", "message", "hint"),
    [
        (
            {"user": "ada@example.org"},
            f"This machine has no user of that name. {AN_EMAIL.replace('group', 'user')}",
            "herod user add EMAIL",
        ),
        (
            {"group": "builders@example.org"},
            f"This machine has no group of that name. {AN_EMAIL}",
            "herod user add EMAIL",
        ),
        ({"user": "1000000"}, "This machine has no user of that name: to allow a number, give it as uid.", None),
        ({"group": "1000000"}, "This machine has no group of that name: to allow a number, give it as gid.", None),
        ({"user": "no-such"}, "This machine has no user of that name: `getent passwd` lists those that it has.", None),
        ({"group": "no-such"}, "This machine has no group of that name: `getent group` lists those that it has.", None),
        ({"user": ""}, "This machine has no user of that name: `getent passwd` lists those that it has.", None),
        ({"user": "a\0b"}, "This machine has no user of that name: `getent passwd` lists those that it has.", None),
        ({"uid": -1}, "Invalid uid -1: give 0 to 4294967294.", None),
        ({"gid": 2**32 - 1}, "Invalid gid 4294967295: give 0 to 4294967294.", None),
        ({"uid": 65534}, "The uid 65534 is shared by all foreign containers: it cannot be allowed.", None),
        ({}, "Give exactly one of uid, gid, user and group.", None),
        ({"uid": 0, "user": "root"}, "Give exactly one of uid, gid, user and group.", None),
    ],
    ids=str,
)
async def test_who_cannot_be_allowed(
    harness: Harness, params: dict[str, object], message: str, hint: str | None
) -> None:
    """An email, a number for a name, an unknown name and an impossible number are told apart, with what to give."""
    with pytest.raises(InvalidRequest) as refused:
        await harness.admin("peers.allow", **params, scope="read")
    assert (refused.value.message, refused.value.hint) == (message, hint)


async def test_a_unix_name_may_have_an_at_sign(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Directory services name users like user@domain: a name that the machine knows is taken as it is."""
    root = pwd.getpwnam("root")
    monkeypatch.setattr(pwd, "getpwnam", {"root@example.org": root}.__getitem__)
    assert (await harness.admin("peers.allow", user="root@example.org", scope="read")).uid == 0
