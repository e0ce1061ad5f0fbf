"""A herod with people and services of every rank, and what each of them may do: the scene of the escalation suite.

Must never judge: `escalation_measure.py` does.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

from herod.identity.parent_credential import session_group
from herod.records import Passkey, Record
from herod.scopes.principal import Peer, Source
from herod.settings import QuotaSettings
from herod_client.core.grants import Grant, Grants
from support.connected_apps import app_token, connect_app
from support.herod_in_memory import (
    COOKIE,
    LEGACY,
    PASSWORD,
    PUBLIC_URL,
    TCP,
    Harness,
    User,
    basic,
    bearer,
    open_harness,
)
from support.page_visitor import Visitor, open_pages, sign_in
from support.waiting_calls import waiting_call

__all__ = ["BOSS", "TENANT", "Caller", "World", "open_world"]

BOSS: Final = "boss.7f3a@example.org"
TENANT: Final = "what the tenant of the boss chose"
UID: Final = 7000
FAR: Final = 86_400 * 30


@dataclass(frozen=True)
class Caller:
    """Somebody who wants more.

    Attributes:
        may: what the credential allows: the most that anything made with it may hold.
        owns: ids whose records are its own, to change and to delete: its account, and keys and sessions of that.
        is_admin: it may change what it covers, of others too.
    """

    name: str
    headers: Mapping[str, str]
    may: Grants
    owns: frozenset[str] = frozenset()
    is_admin: bool = False
    source: Source = TCP


@dataclass
class World:
    """The scene.

    Attributes:
        ids: names for templates → ids, emails and secrets.
        callers: by name.
        visitors: signed-in browsers of callers.
    """

    harness: Harness
    ids: dict[str, str] = field(default_factory=dict)
    callers: dict[str, Caller] = field(default_factory=dict)
    visitors: dict[str, Visitor] = field(default_factory=dict)

    def grant(self, scope: str, *networks: str) -> Grant:
        """A grant, as the daemon computes it."""
        return self.harness.runtime.grant(tuple(scope.split()), networks or ("*",))

    def records(self) -> dict[tuple[str, str], Record]:
        """Every record by kind and id."""
        state = self.harness.store.state
        return {(kind, id_): record for kind, of in state.records.items() for id_, record in of.items()}

    def add(self, name: str, headers: Mapping[str, str], *may: Grant, **more: Any) -> None:
        """Add a caller."""
        self.callers[name] = Caller(name, headers, may, **more)


@asynccontextmanager
async def open_world() -> AsyncIterator[World]:
    """Open a herod with everybody in it, and pages."""
    async with open_harness() as harness:
        open_pages(harness)
        quotas = QuotaSettings(issued_per_minute=1_000_000, keys=1000)
        harness.configure(quotas=quotas, token_ttl=FAR, session_idle=FAR)
        world = World(harness)
        await _add_targets(world)
        await _add_accounts(world)
        await _add_services(world)
        await _add_peers(world)
        world.add("nobody", {})
        for item in (await harness.admin("legacy.status")).items:
            if item.scope != "admin":
                headers = {"x-herod-secret": LEGACY[item.scope]}
                world.add(f"legacy {item.scope}", headers, world.grant(item.scope), owns=frozenset({item.id}))
        yield world


async def _add_targets(world: World) -> None:
    """What an attacker would like to have, or to take away."""
    harness, ids = world.harness, world.ids
    boss = await harness.user(scope="admin", email=BOSS, password=PASSWORD)
    ids["boss"], ids["boss_email"] = boss.client_id, BOSS
    ids["boss_key"] = (await boss.key(scope="admin", name="boss")).split("_")[2]
    ids["boss_session"] = (await boss.session()).text
    other = await harness.user(scope="read", email="other.7f3a@example.org", password=PASSWORD)
    ids["other"], ids["other_key"] = other.client_id, (await other.key(name="other")).split("_")[2]
    ids["service"] = (await harness.service_key("admin", "root service")).split("_")[2]
    ids["lab_service"] = (await harness.service_key("read", "beyond", networks=["office"])).split("_")[2]
    given = {"redirect_uris": ["https://app.example.org/callback"], "scope": "admin"}
    app = await harness.admin("apps.add", name="root app", **given)
    ids["app"] = app.client_id
    ids["lab_app"] = (await harness.admin("apps.add", name="beyond", **{**given, "networks": ["office"]})).client_id
    world.add("an app by its secret", basic(app.client_id, app.client_secret))
    ids["rule"] = (await harness.admin("peers.allow", uid=UID + 900, scope="admin")).id
    claimed = await harness.call("resources.claim", boss.basic, TCP, kind="vm", name="boss", secret=TENANT)
    ids["sid"] = claimed.sid
    status = await harness.admin("legacy.status")
    ids["legacy"] = next(item.id for item in status.items if item.scope == "admin")
    ids["boss_token"] = await boss.token(resource=PUBLIC_URL)
    ids["delegation"] = (await connect_app(harness, boss, "admin")).id
    ids["approval"] = await waiting_call(harness, boss)
    ids["passkey"] = "the passkey of the boss"
    passkey = Passkey(
        id=ids["passkey"],
        created_at=harness.clock.now,
        account=boss.client_id,
        name="laptop",
        credential=b"of a test",
        public_key=b"of a test",
    )
    await harness.store.write(lambda tx: tx.put(passkey))


async def _add_accounts(world: World) -> None:
    harness = world.harness
    for scope, networks in (("read", ()), ("write", ()), ("user", ()), ("read", ("lab",)), ("admin", ("lab",))):
        name = f"{scope} {' '.join(networks) or '*'}"
        email = f"{name.replace(' ', '-').replace('*', 'all')}@example.org"
        user = await harness.user(scope=scope, networks=list(networks) or None, email=email, password=PASSWORD)
        may, own = world.grant(scope, *networks), frozenset({user.client_id})
        more: dict[str, Any] = {"owns": own, "is_admin": scope == "admin"}
        world.ids[f"own_{scope}_{'_'.join(networks) or 'all'}"] = user.client_id
        world.add(f"{name} by client secret", user.basic_header, may, **more)
        world.add(f"{name} by token", bearer(await user.token(resource=PUBLIC_URL)), may, **more)
        if scope != "read":
            low_token = await user.token("read", resource=PUBLIC_URL)
            world.add(f"{name} by a token of read", bearer(low_token), world.grant("read", *networks),
                      owns=own)  # fmt: skip
        delegation = await connect_app(harness, user, scope)  # with it nothing that lasts is made, not even its own
        world.add(f"{name} by an app", bearer(app_token(harness, delegation, ttl=FAR).text), may,
                  owns=frozenset({delegation.id}))  # fmt: skip
        world.add(f"{name} by key", {"x-api-key": await user.key(scope=scope)}, may, **more)
        if scope != "read":
            low = {"x-api-key": await user.key(scope="read", name="low")}
            world.add(f"{name} by a key of read", low, world.grant("read", *networks), owns=own)
        cookie = await user.session()
        world.add(f"{name} by session", {"cookie": f"herod_session={cookie.text}"}, may, **more)
        world.visitors[name] = await sign_in(harness, email, user.client_id)
        world.callers[f"{name} at the pages"] = Caller(f"{name} at the pages", world.visitors[name].cookie, (may,),
            own, scope == "admin")  # fmt: skip
    await _add_former(world)


async def _add_former(world: World) -> None:
    """Credentials that were worth more once: nothing is left, or less."""
    harness = world.harness
    fallen = await harness.user(scope="admin", email="fallen@example.org", password=PASSWORD)
    made = {"token": bearer(await fallen.token(resource=PUBLIC_URL)),
            "key": {"x-api-key": await fallen.key(scope="admin")},
            "session": {"cookie": f"herod_session={(await fallen.session()).text}"}}  # fmt: skip
    await harness.admin("users.scope", client_id=fallen.client_id, scope="read")
    for name, headers in made.items():
        world.add(f"a demoted admin by {name}", headers, world.grant("read"), owns=frozenset({fallen.client_id}))
    await _add_ended(world, "disabled", "users.disable")
    await _add_ended(world, "deleted", "users.delete")
    former = User(harness, *(await _rotated(harness)))
    world.add("a former client secret", former.basic_header)
    key = await harness.service_key("admin", "rotated")
    await harness.admin("keys.rotate", id=key.split("_")[2], overlap=0)
    world.add("a former key", bearer(key))


async def _add_ended(world: World, how: str, operation: str) -> None:
    user = await world.harness.user(scope="admin", email=f"{how}@example.org")
    token, key = await user.token(resource=PUBLIC_URL), await user.key(scope="admin")
    await world.harness.admin(operation, client_id=user.client_id)
    world.add(f"a {how} admin by token", bearer(token))
    world.add(f"a {how} admin by key", {"x-api-key": key})
    world.add(f"a {how} admin by client secret", user.basic_header)


async def _rotated(harness: Harness) -> tuple[str, str]:
    user = await harness.user(scope="admin", email="rotated@example.org")
    await harness.admin("users.rotate_secret", client_id=user.client_id)
    return user.client_id, user.secret


async def _add_services(world: World) -> None:
    harness = world.harness
    for scope, networks in (("registrar", ()), ("read", ()), ("user", ()), ("admin", ("lab",)), ("read", ("lab",))):
        name = f"service {scope} {' '.join(networks) or '*'}"
        key = await harness.service_key(scope, name, networks=list(networks) or None)
        own = frozenset({key.split("_")[2]})
        world.add(name, bearer(key), world.grant(scope, *networks), owns=own, is_admin=scope == "admin")


async def _add_peers(world: World) -> None:
    """Local users with rules; one is in two groups whose grants must not multiply."""
    harness, peer = world.harness, {"authorization": "Peer"}
    for number, (scope, network) in enumerate((("read", "*"), ("user", "*"), ("admin", "lab"))):
        rule = await harness.admin("peers.allow", uid=UID + number, scope=scope, networks=[network])
        source = Source(peer=Peer(uid=UID + number, gid=UID + number), cookie=COOKIE)
        own = frozenset({rule.id, session_group(rule.id, source.label)})
        world.add(f"peer {scope} {network}", peer, world.grant(scope, network), owns=own,
                  is_admin=scope == "admin", source=source)  # fmt: skip
    first = await harness.admin("peers.allow", gid=UID + 10, scope="admin", networks=["lab"])
    second = await harness.admin("peers.allow", gid=UID + 11, scope="read", networks=["*"])
    both = Source(peer=Peer(uid=UID + 12, gid=UID + 10, groups=frozenset({UID + 11})), cookie=COOKIE)
    own = frozenset({first.id, second.id, *(session_group(rule.id, both.label) for rule in (first, second))})
    world.add("peer in two groups", peer, world.grant("admin", "lab"), world.grant("read"), owns=own, is_admin=True,
              source=both)  # fmt: skip
    root = Source(peer=Peer(uid=0, gid=0), cookie=COOKIE)
    world.add("root without the cookie", peer, source=root)
    world.add("root with a guess", {"authorization": "Peer guess"}, source=root)
    world.add("the cookie over TCP", {"authorization": f"Peer {COOKIE}"})
    world.callers["the cookie by a proxy"] = replace(
        world.callers["the cookie over TCP"], name="the cookie by a proxy", source=root,
        headers={"authorization": f"Peer {COOKIE}", "x-forwarded-for": "10.0.0.1"},
    )  # fmt: skip
