"""Resources: claimed by a service, opened with a secret, and not found for all other callers."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import trio

from herod.credentials.keyring import Keyring
from herod.identity.credential_types import Bearer, PeerClaim, Presented
from herod.pipeline.pipeline import Pipeline
from herod.records import GuessCount, Resource
from herod.scopes.principal import Peer, Source
from herod.store.memory_store import MemoryStore
from herod_client.core.errors import HerodError, InvalidRequest, MissingScope, NotFound, RateLimited
from support.herod_in_memory import ADMIN_SOURCE, COOKIE, LOCAL_ADMIN, NOW, TCP, Harness

ALICE = "alice's own secret"
BOB = "bob's own secret"
NEVER = "3d8c0f2e-1111-4222-8333-444455556666"
WINDOW = 300


@pytest.fixture
async def compute(harness: Harness) -> Bearer:
    """A service that keeps its tenants' machines in herod."""
    return Bearer(await harness.service_key("user", "compute"))


@pytest.fixture
async def storage(harness: Harness) -> Bearer:
    """A second service."""
    return Bearer(await harness.service_key("user", "storage"))


async def claim(harness: Harness, who: Presented, secret: str = ALICE, **params: Any) -> str:
    """Claim a machine; return its sid."""
    made = await harness.call("resources.claim", who, TCP, **{"kind": "vm", "name": "web 1", **params}, secret=secret)
    sid: str = made.sid
    return sid


async def said(harness: Harness, name: str, who: Presented, source: Source = TCP, /, **params: Any) -> str:
    """The outcome of an operation: ok, or the error's code."""
    try:
        await harness.call(name, who, source, **params)
    except HerodError as error:
        return error.code
    return "ok"


async def names(harness: Harness, who: Presented, secret: str, kind: str = "vm") -> list[str]:
    """The names of the resources that a secret owns."""
    page = await harness.call("resources.list", who, TCP, kind=kind, secret=secret)
    return [resource.name for resource in page.items]


async def test_a_life(harness: Harness, compute: Bearer) -> None:
    """A resource is claimed, read, changed and released with one secret; its sid is then not found."""
    made = await harness.call(
        "resources.claim", compute, TCP, kind="vm", name=" web  1", secret=ALICE, attributes={"cpus": 2}
    )
    assert (made.kind, made.name, json.loads(bytes(made.attributes))) == ("vm", "web 1", {"cpus": 2})
    ref = {"sid": made.sid, "secret": ALICE}
    assert await harness.call("resources.get", compute, TCP, **ref) == made
    checked = await harness.call("resources.check", compute, TCP, **ref)
    assert (checked.sid, checked.allowed) == (made.sid, True)
    changed = await harness.call("resources.update", compute, TCP, **ref, attributes={"cpus": 4, "on": None})
    assert (changed.name, json.loads(bytes(changed.attributes))) == ("web 1", {"cpus": 4, "on": None})
    assert (await harness.call("resources.update", compute, TCP, **ref, name="web 2")).attributes == changed.attributes
    assert await names(harness, compute, ALICE) == ["web 2"]
    released = await harness.call("resources.release", compute, TCP, **ref)
    assert (released.sid, released.released) == (made.sid, True)
    assert await said(harness, "resources.get", compute, **ref) == "not_found"
    assert await names(harness, compute, ALICE) == []
    assert harness.store.count(Resource) == 0


async def test_tenants_and_kinds_are_kept_apart(harness: Harness, compute: Bearer, storage: Bearer) -> None:
    """A list contains what this secret owns, of this kind, at this service; two may have the same name."""
    for secret, kind in ((ALICE, "vm"), (BOB, "vm"), (ALICE, "disk"), (ALICE, "vm")):
        await claim(harness, compute, secret, kind=kind, name=f"{kind} of {secret}")
    await claim(harness, storage, ALICE, name="elsewhere")
    assert await names(harness, compute, ALICE) == [f"vm of {ALICE}"] * 2
    assert await names(harness, compute, BOB) == [f"vm of {BOB}"]
    assert await names(harness, compute, ALICE, kind=" disk ") == [f"disk of {ALICE}"]
    assert await names(harness, storage, ALICE) == ["elsewhere"]
    assert await names(harness, storage, BOB) == await names(harness, compute, "") == []


async def test_words_do_not_run_together(harness: Harness, compute: Bearer) -> None:
    """Kind and secret are separated in lookups, so that the end of a kind never counts as the start of a secret."""
    await claim(harness, compute, "1:c", kind="a", name="one")
    assert await names(harness, compute, "c", kind="a1:1:") == []
    assert await names(harness, compute, "1:c", kind="a") == ["one"]


async def test_lists_come_in_pages(harness: Harness, compute: Bearer) -> None:
    """Lists are oldest first, and a cursor continues after its page among the caller's own resources only."""
    for number in range(5):
        await claim(harness, compute, name=f"vm {number}")
        await claim(harness, compute, BOB, name=f"other {number}")
        harness.clock.now += 1
    found: list[str] = []
    cursor = None
    while not found or cursor is not None:
        page = await harness.call("resources.list", compute, TCP, kind="vm", secret=ALICE, limit=2, cursor=cursor)
        found += [resource.name for resource in page.items]
        cursor = page.next_cursor
    assert found == [f"vm {number}" for number in range(5)]


async def test_an_accounts_credentials_are_one_claimant(harness: Harness) -> None:
    """A resource claimed with a token is visible with a key of the same account."""
    user = await harness.user("user")
    sid = await claim(harness, await user.bearer())
    key = Bearer(await user.key("user"))
    assert await said(harness, "resources.check", key, sid=sid, secret=ALICE) == "ok"


async def test_unprotected(harness: Harness, compute: Bearer, storage: Bearer) -> None:
    """An unprotected resource opens with any secret or none at the service that claimed it, and is in no list."""
    sid = await claim(harness, compute, "", name="open")
    for secret in ("", ALICE, BOB):
        assert await said(harness, "resources.check", compute, sid=sid, secret=secret) == "ok"
    assert await said(harness, "resources.check", compute, sid=sid) == "ok"
    assert await names(harness, compute, "") == ["open"]
    assert await names(harness, compute, ALICE) == []
    assert await said(harness, "resources.check", storage, sid=sid) == "not_found"
    assert await said(harness, "resources.release", compute, sid=sid, secret=BOB) == "ok"


@pytest.mark.parametrize("name", ["get", "check", "update", "release"])
async def test_every_miss_is_the_same(
    harness: Harness, compute: Bearer, storage: Bearer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A foreign resource, a wrong secret and an unknown sid get the same error from the same lookups."""
    sid = await claim(harness, compute)
    seen: Counter[str] = Counter()

    def spy(kind: type, method: str) -> None:
        real: Callable[..., Any] = getattr(kind, method)

        def spied(self: Any, *args: Any, **kwargs: Any) -> Any:
            seen[method if args[0] is not Resource else f"{method} resource"] += 1
            return real(self, *args, **kwargs)

        monkeypatch.setattr(kind, method, spied)

    for method in ("get", "find", "list", "scan", "usage"):
        for kind in (MemoryStore, type(MemoryStore("x" * 40)).__mro__[1]):
            if method in vars(kind):
                spy(kind, method)
    spy(Keyring, "mac")
    for who in (compute, storage):  # from here on, the cache is warm
        await said(harness, f"resources.{name}", who, sid=NEVER, secret=BOB)
    outcomes = []
    for who, missed, secret in (
        (storage, sid, ALICE),
        (compute, sid, BOB),
        (compute, sid, ""),
        (compute, NEVER, ALICE),
    ):
        seen.clear()
        with pytest.raises(NotFound) as refused:
            await harness.call(f"resources.{name}", who, TCP, sid=missed, secret=secret)
        outcomes.append((refused.value.message, refused.value.hint, refused.value.reason, dict(seen)))
    assert outcomes[0][3]["find resource"] == 5
    assert "get resource" not in outcomes[0][3]
    assert all(outcome == outcomes[0] for outcome in outcomes)
    assert await said(harness, "resources.check", compute, sid=sid, secret=ALICE) == "ok"


async def test_guesses_are_limited(harness: Harness, compute: Bearer) -> None:
    """After ten misses of any kind by one service from one source, the eleventh attempt is refused, right or wrong."""
    sid = await claim(harness, compute)
    for _ in range(2):
        for name in ("get", "check", "update", "release"):
            assert await said(harness, f"resources.{name}", compute, sid=sid, secret=BOB) == "not_found"
    assert await said(harness, "resources.get", compute, sid=NEVER, secret=ALICE) == "not_found"
    assert await names(harness, compute, BOB) == []
    harness.clock.now += 60
    for name in ("get", "check", "update", "release"):
        for tried, secret in ((sid, ALICE), (sid, BOB), (NEVER, ALICE)):
            with pytest.raises(RateLimited, match="try again in 240 seconds") as refused:
                await harness.call(f"resources.{name}", compute, TCP, sid=tried, secret=secret)
            assert refused.value.reason == "locked_ownership"
    for secret in (ALICE, BOB):
        assert await said(harness, "resources.list", compute, kind="vm", secret=secret) == "rate_limited"
    assert await said(harness, "resources.claim", compute, kind="vm", name="web 2", secret=ALICE) == "ok"
    harness.clock.now = NOW + WINDOW
    assert await said(harness, "resources.get", compute, sid=sid, secret=ALICE) == "ok"


async def test_only_this_service_from_this_source_is_locked(harness: Harness, compute: Bearer, storage: Bearer) -> None:
    """Other services, and the same one from another source, are not locked; 127.0.0.0/8 is one source."""
    sid, other = await claim(harness, compute), await claim(harness, storage)
    for _ in range(10):
        await said(harness, "resources.get", compute, sid=NEVER)
    assert await said(harness, "resources.get", compute, sid=sid, secret=ALICE) == "rate_limited"
    loopback = Source(address="127.0.0.77")
    assert await said(harness, "resources.get", compute, loopback, sid=sid, secret=ALICE) == "rate_limited"
    assert await said(harness, "resources.get", storage, sid=other, secret=ALICE) == "ok"
    assert await said(harness, "resources.get", compute, ADMIN_SOURCE, sid=sid, secret=ALICE) == "ok"


async def test_who_never_misses_is_never_held_back(harness: Harness, compute: Bearer) -> None:
    """Successful calls neither count nor write, and do not reset the misses."""
    sid = await claim(harness, compute)
    writes = harness.store.stats.writes
    for _ in range(40):
        assert await said(harness, "resources.check", compute, sid=sid, secret=ALICE) == "ok"
        assert await said(harness, "resources.get", compute, sid=sid, secret=ALICE) == "ok"
    assert harness.store.stats.writes == writes
    for _ in range(10):
        assert await said(harness, "resources.check", compute, sid=sid, secret=BOB) == "not_found"
        await said(harness, "resources.check", compute, sid=sid, secret=ALICE)
    assert await said(harness, "resources.check", compute, sid=sid, secret=ALICE) == "rate_limited"


@pytest.mark.parametrize("name", ["check", "update", "release"])
async def test_twenty_guesses_at_once(harness: Harness, compute: Bearer, name: str) -> None:
    """Of twenty concurrent guesses exactly ten are checked, by reads and changes alike."""
    sid = await claim(harness, compute)
    answers: Counter[str] = Counter()

    async def guess(secret: str) -> None:
        answers[await said(harness, f"resources.{name}", compute, sid=sid, secret=secret)] += 1

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(guess, f"guess {number}")
    assert answers == {"not_found": 10, "rate_limited": 10}


async def test_a_restart_forgets_nothing(harness: Harness, compute: Bearer) -> None:
    """Misses are stored within a second, under a name that discloses nothing."""
    for _ in range(10):
        await said(harness, "resources.check", compute, sid=NEVER)
    await harness.pipeline.flush()
    [count] = harness.store.scan(GuessCount)
    assert len(bytes.fromhex(count.id)) == 32
    harness.pipeline = Pipeline(harness.store, harness.runtime, clock=harness.clock)
    assert await said(harness, "resources.check", compute, sid=NEVER) == "rate_limited"


async def test_an_admin_of_one_network_releases_only_there(harness: Harness, compute: Bearer) -> None:
    """An admin whose networks are fewer than the claimant's cannot release its resources without their secret."""
    sid = await claim(harness, compute)
    admin = Bearer(await harness.service_key("admin", "lab admin", networks=["lab"]))
    assert await said(harness, "resources.release", admin, sid=sid) == "target_denied"
    assert harness.store.count(Resource) == 1
    there = Bearer(await harness.service_key("user", "lab service", networks=["lab"]))
    assert await said(harness, "resources.release", admin, sid=await claim(harness, there)) == "ok"


async def test_an_admin_releases_what_nobody_can(harness: Harness, compute: Bearer) -> None:
    """Resources of a deleted service stay until an admin releases them by the sid from the audit log."""
    sid = await claim(harness, compute)
    await harness.admin("keys.delete", id=compute.text.split("_")[2])
    assert harness.store.count(Resource) == 1
    for name in ("get", "check", "update"):
        assert await said(harness, f"resources.{name}", LOCAL_ADMIN, ADMIN_SOURCE, sid=sid) == "not_found"
    [claimed] = [row.event for row in harness.store.audit_rows() if row.event.operation == "resources.claim"]
    assert claimed.target == sid
    assert (await harness.admin("resources.release", sid=claimed.target)).released
    for _ in range(12):
        assert await said(harness, "resources.release", LOCAL_ADMIN, ADMIN_SOURCE, sid=sid) == "not_found"
    assert harness.store.count(Resource) == 0


async def test_a_deleted_account_leaves_its_resources(harness: Harness) -> None:
    """Resources of a deleted account stay, because they belong to its tenants."""
    user = await harness.user("user")
    sid = await claim(harness, user.basic)
    await harness.admin("users.delete", client_id=user.client_id)
    assert harness.store.count(Resource) == 1
    assert await said(harness, "resources.release", LOCAL_ADMIN, ADMIN_SOURCE, sid=sid) == "ok"


async def test_misses_are_in_the_audit_log(harness: Harness, compute: Bearer) -> None:
    """Misses are audited with actor and source, without the tried values; changes are audited with the sid."""
    sid = await claim(harness, compute)
    await said(harness, "resources.update", compute, sid=sid, secret=ALICE, name="web 2")
    await said(harness, "resources.get", compute, sid=sid, secret=BOB)
    await said(harness, "resources.get", compute, sid=NEVER, secret=ALICE)
    await said(harness, "resources.release", compute, sid=sid, secret=ALICE)
    await harness.pipeline.flush(is_last=True)
    events = [row.event for row in harness.store.audit_rows() if row.event.operation.startswith("resources.")]
    assert [(one.operation.split(".")[1], one.outcome, one.reason, one.target, one.count) for one in events] == [
        ("claim", "ok", None, sid, 1),
        ("update", "ok", None, sid, 1),
        ("release", "ok", None, sid, 1),
        ("get", "denied", "not_owned", None, 2),
    ]
    assert {one.actor for one in events} == {compute.text.split("_")[2]}


async def test_scope_user_is_needed(harness: Harness) -> None:
    """Scopes read and write do not include `user`; a key of an admin narrowed to `user` has it."""
    for scope in ("read", "write"):
        with pytest.raises(MissingScope):
            await claim(harness, Bearer(await harness.service_key(scope, scope)))
    user = await harness.user("admin")
    assert await claim(harness, await user.bearer("user"))


@pytest.mark.parametrize(
    "params",
    [
        {"kind": ""},
        {"kind": "v\x00m"},
        {"name": "   "},
        {"name": "a\u202eb"},
        {"secret": " spaced "},
        {"secret": "two\nlines"},
        {"secret": "x" * 1025},
        {"attributes": {str(number): 0 for number in range(65)}},
        {"attributes": {"text": "x" * 16 * 1024}},
    ],
)
async def test_what_cannot_be_claimed(harness: Harness, compute: Bearer, params: dict[str, Any]) -> None:
    """An empty, unprintable or oversized claim is refused."""
    with pytest.raises(InvalidRequest):
        await claim(harness, compute, **{"secret": ALICE, **params})
    assert harness.store.count(Resource) == 0


@pytest.mark.parametrize(
    "attributes", [{}, {"big": 10**30, "none": None, "deep": [{"a": [1.5, "ä"]}]}, {"x": "y" * 16_000}]
)
async def test_attributes_come_back_as_they_went(harness: Harness, compute: Bearer, attributes: dict[str, Any]) -> None:
    """Attributes are any JSON object within the limits, and are returned unchanged."""
    sid = await claim(harness, compute, attributes=attributes)
    got = await harness.call("resources.get", compute, TCP, sid=sid, secret=ALICE)
    assert json.loads(bytes(got.attributes)) == attributes


async def test_a_secret_is_only_itself(harness: Harness, compute: Bearer) -> None:
    """A secret matches in every Unicode form, and not in another case, shortened, extended or without its accents."""
    sid = await claim(harness, compute, "Schlüssel")
    for same in ("Schlüssel", "Schlu\u0308ssel", "Ｓchlüssel"):
        assert await said(harness, "resources.check", compute, sid=sid, secret=same) == "ok"
    for other in ("schlüssel", "Schlussel", "Schlüsse", "Schlüssel1"):
        assert await said(harness, "resources.check", compute, sid=sid, secret=other) == "not_found"


async def test_group_rules_do_not_share_resources(harness: Harness) -> None:
    """A process in several groups claims by the rule that grants it the scope, not by another that it shares."""
    for gid, scope in ((5000, "read"), (6000, "user"), (7000, "user")):
        await harness.admin("peers.allow", gid=gid, scope=scope)

    def member(*gids: int) -> Source:
        return Source(peer=Peer(uid=1000 + sum(gids), gid=5000, groups=frozenset(gids)), cookie=COOKIE)

    claimed = await harness.call("resources.claim", PeerClaim(), member(6000), kind="vm", name="one", secret="")
    with pytest.raises(NotFound):
        await harness.call("resources.get", PeerClaim(), member(7000), sid=claimed.sid)
    assert (await harness.call("resources.list", PeerClaim(), member(7000), kind="vm")).items == []
    assert (await harness.call("resources.get", PeerClaim(), member(6000), sid=claimed.sid)).name == "one"
