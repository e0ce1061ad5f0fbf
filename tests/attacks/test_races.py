"""Requests at the same moment: whatever the order, an admin remains, quotas and limits hold, and what ended has ended.

HEROD_RACES rounds in all, from HEROD_SEED, on the embedded store.
"""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
import trio

from attacks.device_races import a_device_code_is_redeemed_twice, two_people_decide_about_a_code
from attacks.ended_rights import ENDS, USES, Right, is_told
from attacks.race_scene import Scene, open_scene, won
from herod.identity.credential_types import Bearer, PeerClaim, SessionCookie
from herod.operations.accounts.first_admin import make_first_code
from herod.records import Account, ApiKey, App, PeerRule, Resource, ResourceTally, Session
from herod.scopes.principal import Peer, Source
from herod_client.core.errors import BadCredentials, HerodError, RateLimited
from support.herod_in_memory import COOKIE, LEGACY, PASSWORD, TCP
from support.soak_rounds import chance, count

ROUNDS: Final = count("RACES")
SPELLINGS: Final = ("Ada{}@Example.org", "ada{}@example.org", " ADA{}@EXAMPLE.ORG ", "\uff41da{}@example.org",
    "ada{}@example\u3002org", "ada{}@EXAMPLE.org")  # fmt: skip
QUOTA: Final = 3


@pytest.fixture
async def scene(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    """An empty store."""
    async with open_scene(tmp_path / "herod.db", chance("races", request.node.name)) as opened:
        yield opened


async def admins_end_each_other(scene: Scene) -> None:
    """Two admins, and sometimes a service key, end each other and themselves: one remains."""
    people = [await scene.admin(), await scene.admin()]
    kept = [one.client_id for one in people]
    credentials = [one.basic for one in people]
    ways: list[Callable[[str], tuple[str, dict[str, Any]]]] = [
        lambda one: ("users.delete", {"client_id": one}),
        lambda one: ("users.disable", {"client_id": one}),
        lambda one: ("users.scope", {"client_id": one, "scope": "read"}),
    ]
    calls = [
        scene.calling(name, actor, **params)
        for actor in credentials
        for name, params in (scene.draw.choice(ways)(one) for one in kept)
    ]
    if scene.draw.random() < 0.5:
        key = await scene.harness.service_key("admin", f"service {scene.number}")
        kept.append(key.split("_")[2])
        name = scene.draw.choice(("keys.delete", "keys.disable"))
        calls += [scene.calling(name, actor, id=kept[2]) for actor in credentials]
        calls.append(scene.calling(name, Bearer(key), id=kept[2]))
        calls += [scene.calling("users.delete", Bearer(key), client_id=one) for one in kept[:2]]
    await scene.only_admins(*kept)
    await scene.at_once(calls)
    assert scene.admins()


async def two_keys_are_made(scene: Scene) -> None:
    """Of two keys of one name one is made."""
    ada = await scene.harness.user()
    results = await scene.at_once([scene.calling("keys.create", ada.basic, name="one", scope="read")] * 4)
    assert len(won(results)) == 1


async def keys_reach_the_quota(scene: Scene) -> None:
    """Keys of one account never exceed the quota."""
    ada = await scene.harness.user()
    calls = [scene.calling("keys.create", ada.basic, name=f"{n}", scope="read") for n in range(QUOTA * 3)]
    assert len(won(await scene.at_once(calls))) == QUOTA
    assert scene.harness.store.count_owned(ApiKey, ada.client_id, limit=100) == QUOTA


async def two_apps_are_added(scene: Scene) -> None:
    """Of two apps of one name, in whatever case, one is added; and one name is not given to two."""
    admin, number = await scene.admin(), scene.number
    given = {"redirect_uris": ["https://app.example.org/callback"]}
    calls = [scene.calling("apps.add", admin.basic, name=f"{name}{number}", **given) for name in ("app", "APP", "App")]
    assert len(won(await scene.at_once(calls))) == 1
    others = [await scene.harness.admin("apps.add", name=f"other {number} {n}", **given) for n in range(2)]
    renames = [
        scene.calling("apps.update", admin.basic, client_id=one.client_id, name=f"taken{number}") for one in others
    ]
    assert len(won(await scene.at_once(renames))) == 1


async def apps_reach_the_quota(scene: Scene) -> None:
    """Registered apps never exceed the quota."""
    admin, number = await scene.admin(), scene.number
    for app in [*scene.harness.store.scan(App)]:
        await scene.harness.admin("apps.delete", client_id=app.id)
    given = {"redirect_uris": ["https://app.example.org/callback"]}
    calls = [scene.calling("apps.add", admin.basic, name=f"{number} {n}", **given) for n in range(QUOTA * 3)]
    await scene.at_once(calls)
    assert scene.harness.store.count(App) == QUOTA


async def resources_reach_the_quota(scene: Scene) -> None:
    """Resources of one claimant never exceed the quota, and are counted as many as there are."""
    ada = await scene.harness.user("user")
    calls = [
        scene.calling("resources.claim", ada.basic, kind="vm", name=f"{n}", secret=f"secret {n % 2}")
        for n in range(QUOTA * 3)
    ]
    made = won(await scene.at_once(calls))
    assert len(made) == QUOTA
    releases = [scene.calling("resources.release", ada.basic, sid=made[0].sid, secret=f"secret {n}") for n in (0, 1)]
    assert len(won(await scene.at_once(releases * 3))) == 1
    tally = scene.harness.store.get(ResourceTally, ada.client_id)
    held = [one for one in scene.harness.store.scan(Resource) if one.claimant == ada.client_id]
    assert tally is not None
    assert tally.number == len(held) == QUOTA - 1


async def peer_rules_reach_the_quota(scene: Scene) -> None:
    """Peer rules in all never exceed the quota, and those of one uid are one."""
    admin = await scene.admin()
    for rule in [*scene.harness.store.scan(PeerRule)]:
        await scene.harness.admin("peers.remove", id=rule.id)
    calls = [scene.calling("peers.allow", admin.basic, uid=20_000 + n // 2, scope="read") for n in range(QUOTA * 4)]
    await scene.at_once(calls)
    rules = [*scene.harness.store.scan(PeerRule)]
    assert len(rules) == QUOTA == len({rule.subject for rule in rules})


async def sessions_reach_the_quota(scene: Scene) -> None:
    """Sessions of one account never exceed the quota."""
    ada = await scene.harness.user()
    await scene.at_once([scene.calling("session.create", ada.basic)] * (QUOTA * 3))
    assert scene.harness.store.count_owned(Session, ada.client_id, limit=100) <= QUOTA


async def a_code_is_used_twice(scene: Scene) -> None:
    """A sign-in code opens one session."""
    ada = await scene.harness.user()
    code = (await scene.harness.call("session.code", ada.basic, TCP)).code
    assert len(won(await scene.at_once([scene.calling("session.redeem", code=code)] * 4))) == 1


async def a_code_outlives_its_maker(scene: Scene) -> None:
    """A code that races with the end of the key that made it leaves no session of that key."""
    key = await scene.harness.service_key("admin", f"service {scene.number}")
    code = (await scene.harness.call("session.code", Bearer(key), TCP)).code
    ways: list[tuple[str, dict[str, Any]]] = [
        ("keys.rotate", {"overlap": 0}),
        ("keys.disable", {}),
        ("keys.delete", {}),
    ]
    name, more = scene.draw.choice(ways)
    redeem, end = scene.calling("session.redeem", code=code), partial(scene.harness.admin, name)
    results = await scene.at_once([redeem, redeem, partial(end, id=key.split("_")[2], **more)])
    for opened in won(results[:2]):
        with pytest.raises(HerodError):
            await scene.harness.call("whoami", SessionCookie(opened.cookie), TCP)


async def an_email_is_registered_twice(scene: Scene) -> None:
    """One email in several spellings is registered once."""
    number = scene.number
    calls = [scene.calling("register", email=one.format(number), password="a quite long password") for one in SPELLINGS]
    results = won(await scene.at_once(calls))
    emails = [one.email for one in scene.harness.store.scan(Account) if (one.email or "").startswith(f"ada{number}@")]
    assert len(results) == 1 == len(emails)


async def a_password_is_guessed(scene: Scene) -> None:
    """Of parallel guesses at one password, from one source, exactly ten are judged."""
    email = f"guessed{scene.number}@example.org"
    await scene.harness.user(email=email, password=PASSWORD)
    guess = scene.calling("login", None, scene.source(), email=email, password="a wrong password")
    judged = Counter(type(one) for one in await scene.at_once([guess] * 16))
    assert judged == {BadCredentials: 10, RateLimited: 6}


async def a_legacy_secret_is_guessed(scene: Scene) -> None:
    """Wrong legacy secrets from one source lock it, by whichever way: at the eleventh the right one is refused, too."""
    source = scene.source()
    guesses = [
        scene.calling("whoami", Bearer("a guess"), source),
        scene.calling("token.validate", None, source, token="a guess"),
        scene.calling("auth.verify", None, source, key="a guess"),
    ]
    await scene.at_once([scene.draw.choice(guesses) for _ in range(12)])
    with pytest.raises(RateLimited):
        await scene.harness.call("whoami", Bearer(LEGACY["user"]), source)


async def a_resource_is_guessed(scene: Scene) -> None:
    """Of parallel guesses at the secret of a resource, ten are judged."""
    ada, source = await scene.harness.user("user"), scene.source()
    made = await scene.harness.call("resources.claim", ada.basic, source, kind="vm", name="a", secret="the right one")
    names = ("resources.get", "resources.check", "resources.release")
    calls = [scene.calling(names[n % 3], ada.basic, source, sid=made.sid, secret=f"wrong {n}") for n in range(16)]
    results = Counter(type(one) is RateLimited for one in await scene.at_once(calls))
    assert results == {False: 10, True: 6}


async def a_key_is_rotated_twice(scene: Scene) -> None:
    """After two rotations at once, one secret of three is valid, and whatever was opened with another has ended."""
    key = await scene.harness.service_key("admin", f"service {scene.number}")
    rotate = partial(scene.harness.admin, "keys.rotate", id=key.split("_")[2], overlap=0)
    opening = scene.calling("session.create", Bearer(key))
    results = await scene.at_once([rotate, rotate, opening, opening])
    texts = [key, *(one.key for one in won(results[:2]))]
    valid = [(await scene.harness.call("token.validate", None, TCP, token=one)).valid for one in texts]
    assert (valid[0], sum(valid)) == (False, 1)
    for opened in won(results[2:]):
        with pytest.raises(HerodError):
            await scene.harness.call("whoami", SessionCookie(opened.cookie), TCP)


async def an_account_makes_while_it_is_deleted(scene: Scene) -> None:
    """Nothing that an account made while it was deleted is valid afterwards, or there at all."""
    ada = await scene.admin()
    calls: list[Callable[[], Awaitable[Any]]] = [
        partial(scene.harness.admin, "users.delete", client_id=ada.client_id),
        scene.calling("token.create", ada.basic),
        scene.calling("keys.create", ada.basic, name="a", scope="admin"),
        scene.calling("session.create", ada.basic),
        scene.calling("session.code", ada.basic),
    ]
    _, token, key, session, code = await scene.at_once(calls)
    for made in won([token]):
        assert not (await scene.harness.call("token.validate", None, TCP, token=made.access_token)).valid
    for made in won([key]):
        assert not (await scene.harness.call("token.validate", None, TCP, token=made.key)).valid
    for made in won([session]):
        with pytest.raises(HerodError):
            await scene.harness.call("whoami", SessionCookie(made.cookie), TCP)
    for made in won([code]):
        with pytest.raises(HerodError):
            await scene.harness.call("session.redeem", None, scene.source(), code=made.code)
    left = [one for one in scene.harness.store.scan(ApiKey) if one.owner == ada.client_id]
    assert left + [one for one in scene.harness.store.scan(Session) if one.subject == ada.client_id] == []


async def an_account_is_disabled_and_enabled(scene: Scene) -> None:
    """A token from before an account was disabled is never valid again, however enabling races with it."""
    ada = await scene.harness.user()
    token = await ada.token()
    enable = partial(scene.harness.admin, "users.enable", client_id=ada.client_id)
    disable = partial(scene.harness.admin, "users.disable", client_id=ada.client_id)
    await scene.at_once([enable, disable, enable, scene.calling("token.create", ada.basic)])
    await enable()
    assert not (await scene.harness.call("token.validate", None, TCP, token=token)).valid
    await ada.token()


async def a_rule_is_removed_and_made(scene: Scene) -> None:
    """A token from before a peer rule was removed is never valid again, however a new rule races with that."""
    uid = 10_000 + scene.number
    source = Source(peer=Peer(uid=uid, gid=uid), cookie=COOKIE)
    rule = await scene.harness.admin("peers.allow", uid=uid, scope="admin")
    token = (await scene.harness.call("token.create", PeerClaim(""), source)).access_token
    remove = partial(scene.harness.admin, "peers.remove", id=rule.id)
    allow = partial(scene.harness.admin, "peers.allow", uid=uid, scope="admin")
    use = scene.calling("whoami", PeerClaim(""), source)
    results = await scene.at_once([remove, allow, use, allow, remove])
    await allow()
    if won([results[0], results[4]]):
        assert not (await scene.harness.call("token.validate", None, TCP, token=token)).valid
    await scene.harness.admin("peers.remove", id=(await allow()).id)


async def passwords_are_set_at_once(scene: Scene) -> None:
    """Of two changes that know the current password, one is made, and its password is the one that signs in."""
    email = f"owner{scene.number}@example.org"
    ada = await scene.harness.user(email=email, password=PASSWORD)
    words = ["the first new password", "the second new password"]
    session = [await ada.session(), await ada.session()]
    calls = [
        scene.calling("users.password", session[n], client_id=ada.client_id, password=word, current=PASSWORD)
        for n, word in enumerate(words)
    ]
    results = await scene.at_once(calls)
    assert len(won(results)) == 1
    for word, result in zip(words, results, strict=True):
        answer = scene.harness.call("login", None, scene.source(), email=email, password=word)
        if isinstance(result, HerodError):
            with pytest.raises(BadCredentials):
                await answer
        else:
            await answer


RACES: Final[tuple[Callable[[Scene], Awaitable[None]], ...]] = (
    admins_end_each_other, two_keys_are_made, two_apps_are_added, apps_reach_the_quota,
    keys_reach_the_quota, resources_reach_the_quota,
    peer_rules_reach_the_quota, sessions_reach_the_quota, a_code_is_used_twice, a_code_outlives_its_maker,
    an_email_is_registered_twice, a_password_is_guessed, a_legacy_secret_is_guessed, a_resource_is_guessed,
    a_key_is_rotated_twice, an_account_makes_while_it_is_deleted, an_account_is_disabled_and_enabled,
    a_rule_is_removed_and_made, passwords_are_set_at_once, a_device_code_is_redeemed_twice,
    two_people_decide_about_a_code,
)  # fmt: skip
QUOTAS: Final[Mapping[str, int]] = {
    "keys": QUOTA,
    "resources": QUOTA,
    "peer_rules": QUOTA,
    "sessions": QUOTA,
    "apps": QUOTA,
}


def rounds(number: int) -> int:
    """So many rounds for each of this number of races: half of all are races, half are rights that end."""
    return max(1, -(-ROUNDS // 2 // number))


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
async def test_race(tmp_path: Path, race: Callable[[Scene], Awaitable[None]], say: Callable[[str], None]) -> None:
    """The race has one outcome that is allowed, in every round."""
    quotas = QUOTAS if "quota" in race.__name__ else {}
    async with open_scene(tmp_path / "herod.db", chance("races", race.__name__), **quotas) as scene:
        await scene.harness.service_key("admin", "stays")
        for _ in range(rounds(len(RACES))):
            await race(scene)
    say(f"{rounds(len(RACES))} rounds of {race.__name__}")


async def use(scene: Scene, right: Right, name: str, ended: trio.Event, stale: list[str]) -> None:
    """Use the right until it has ended, and three times more: one that begins after its end and is granted is stale."""
    left = 3
    while left:
        has_ended = ended.is_set()
        left -= has_ended
        scope = await USES[name](scene, right)
        scene.asked += 1
        if has_ended and "admin" in scope:
            stale.append(name)
        await scene.wait()


@pytest.mark.parametrize("name", ENDS)
async def test_ended_is_ended(scene: Scene, name: str, say: Callable[[str], None]) -> None:
    """Once herod has answered that a right has ended, no request that begins later is granted it, in any protocol."""
    await scene.harness.service_key("admin", "stays")
    for _ in range(rounds(len(ENDS))):
        right = await ENDS[name](scene)
        names = right.uses
        for one in names:
            assert "admin" in await USES[one](scene, right), one
        cursor = (await scene.harness.admin("token.changes")).cursor
        ended, stale = trio.Event(), list[str]()
        async with trio.open_nursery() as nursery:
            for one in names:
                nursery.start_soon(use, scene, right, one, ended, stale)
            await scene.wait()
            await right.end()
            ended.set()
        assert stale == []
        if right.subject:
            assert await is_told(scene, right, cursor)
    say(f"{rounds(len(ENDS))} rounds, {scene.asked} requests, 0 stale")


async def test_the_first_admin(tmp_path: Path) -> None:
    """Of several first admins with one code or two, one is made."""
    for number in range(max(1, ROUNDS // 60)):
        async with open_scene(tmp_path / f"{number}.db", chance("races", "first", number)) as scene:
            codes = [make_first_code(scene.harness.runtime, now=scene.harness.clock.now) for _ in range(2)]
            calls = [
                scene.calling("first_admin.create", code=codes[n % 2], email=f"ada{n}@example.org", password=PASSWORD)
                for n in range(4)
            ]
            assert len(won(await scene.at_once(calls))) == 1
            assert len(scene.admins()) == 1


async def test_the_measure(scene: Scene) -> None:
    """The control: a right that does not end is noticed as stale, and one that nobody ended is not told of."""
    right = await ENDS["token, account deleted"](scene)
    cursor = (await scene.harness.admin("token.changes")).cursor
    ended, stale = trio.Event(), list[str]()
    ended.set()
    for name in right.uses:
        await use(scene, right, name, ended, stale)
    assert set(stale) == set(right.uses)
    assert not await is_told(scene, right, cursor)
