"""Which tokens are valid while the signing key changes, second by second."""

import base64
from operator import methodcaller
from typing import Any

import msgspec
import pytest

from herod.maintenance.retire_signing_keys import SigningChange, rotate_signing_keys
from herod.maintenance.signing_keys_at_startup import load_signing_keys
from herod.pipeline.app_signing_keys import new_signing_record
from herod.records import App, SigningKeyRecord
from herod_client.core.access_tokens import Claims, issue
from herod_client.core.signing_keys import PlainAlgorithm, hs256_key, new_private
from support.herod_in_memory import NOW, SECRET, Harness, User

TTL = 3600


async def start(harness: Harness, algorithm: PlainAlgorithm, now: int, *, ttl: int = TTL) -> None:
    """Start the daemon at that time."""
    harness.clock.now = now
    harness.runtime.signing = await harness.store.write(
        lambda tx: load_signing_keys(tx, secret=SECRET, algorithm=algorithm, ttl=ttl, now=now)
    )


async def rotate(harness: Harness, now: int, *, is_compromised: bool = False) -> SigningChange | None:
    """Run `herod secret rotate-signing` at that time."""
    return await harness.store.write(
        lambda tx: rotate_signing_keys(tx, ttl=TTL, now=now, is_compromised=is_compromised),
    )


async def reason(harness: Harness, token: str, now: int) -> str | None:
    """Why a token is refused at that time; None if it is valid."""
    harness.clock.now = now
    answer: Any = await harness.call("token.validate", token=token)
    return None if answer.valid else answer.reason


async def issued(harness: Harness, user: User, now: int) -> str:
    """A token issued at that time."""
    harness.clock.now = now
    return await user.token()


def part(token: str, index: int) -> bytes:
    """The decoded bytes of a part of a token."""
    text = token.split(".")[index]
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def kid(token: str) -> str | None:
    """The `kid` in a token's header."""
    found: str | None = msgspec.json.decode(part(token, 0)).get("kid")
    return found


def forged(token: str, *, iat: int, exp: int) -> str:
    """Another token of the same account, as a service with HERO_SECRET could create."""
    claims = msgspec.json.decode(part(token, 1), type=Claims)
    return issue(msgspec.structs.replace(claims, iat=iat, exp=exp, jti="forged"), hs256_key(SECRET))


def stops(harness: Harness) -> dict[str, int | None]:
    """The stored stop times."""
    return {record.id: record.expires_at for record in harness.store.scan(SigningKeyRecord)}


async def test_old_tokens_are_good_until_switch_and_ttl_exactly(harness: Harness) -> None:
    """The old key's last token is valid to its last second, and no token of that key after it."""
    await start(harness, "HS256", NOW)
    user = await harness.user()
    last = await issued(harness, user, NOW + 10)
    await start(harness, "EdDSA", NOW + 10)
    stop = NOW + 10 + TTL
    assert stops(harness)["hs256"] == stop
    assert [await reason(harness, last, now) is None for now in (NOW + 10, stop - 1, stop)] == [True, True, False]
    new = await issued(harness, user, NOW + 11)
    assert kid(last) is None
    assert kid(new) == harness.runtime.signing.current.kid is not None
    assert await reason(harness, new, stop) is None


async def test_what_the_old_secret_can_still_make(harness: Harness) -> None:
    """Until the stop time, tokens of the old secret that expire by then are valid; later expiry is refused forever."""
    await start(harness, "HS256", NOW)
    token = await (await harness.user()).token()
    await start(harness, "EdDSA", NOW + 10)
    stop = NOW + 10 + TTL
    within = [forged(token, iat=NOW + 10, exp=stop), forged(token, iat=NOW + 600, exp=stop)]
    beyond = [
        forged(token, iat=NOW + 11, exp=stop + 1),
        forged(token, iat=stop - 1, exp=stop + 1),
        forged(token, iat=stop + 5, exp=stop + 5 + TTL),
    ]
    for now in (NOW + 700, stop - 1):
        assert [await reason(harness, one, now) for one in within] == [None, None]
    for now in (NOW + 700, stop - 1, stop, stop + 10, NOW):
        assert None not in [await reason(harness, one, now) for one in beyond]
    assert None not in [await reason(harness, one, stop) for one in within]
    await start(harness, "EdDSA", stop + 10)
    assert None not in [await reason(harness, one, stop + 10) for one in (*within, *beyond)]


@pytest.mark.parametrize("error", [-3600, 3600])
async def test_no_start_moves_the_stop(harness: Harness, error: int) -> None:
    """No later start, clock error of an hour or change of the token lifetime moves the stop time."""
    await start(harness, "HS256", NOW)
    token = await (await harness.user()).token()
    await start(harness, "EdDSA", NOW + 10)
    for now in (NOW + 500, NOW + 500 + error, NOW + 900):
        for ttl in (TTL, 2 * TTL):
            await start(harness, "EdDSA", now, ttl=ttl)
            assert stops(harness)["hs256"] == NOW + 10 + TTL
    assert await reason(harness, token, NOW + TTL - 1) is None
    assert await reason(harness, token, NOW + TTL) is not None


async def test_a_switch_while_the_clock_is_years_ahead(harness: Harness) -> None:
    """A stop time set while the clock was years ahead is corrected at the next start."""
    await start(harness, "HS256", NOW)
    token = await (await harness.user()).token()
    await start(harness, "EdDSA", 2**31)
    assert stops(harness)["hs256"] == 2**31 + TTL
    for _ in range(2):
        await start(harness, "EdDSA", NOW + 100)
        assert stops(harness)["hs256"] == NOW + 100 + TTL
    assert await reason(harness, token, NOW + 200) is None
    assert await reason(harness, forged(token, iat=NOW + 5 * TTL, exp=NOW + 6 * TTL), NOW + 5 * TTL) == "signature"


async def test_back_and_forth(harness: Harness) -> None:
    """Each key is found by its `kid` and verifies until its own stop time; a retired one never signs again."""
    user = await harness.user()
    made = {}
    for number, algorithm in enumerate(("EdDSA", "HS256", "EdDSA", "HS256", "EdDSA")):
        await start(harness, algorithm, NOW + number * 100)  # type: ignore[arg-type]
        made[number] = await issued(harness, user, NOW + number * 100)
    kids = [kid(made[number]) for number in (0, 2, 4)]
    assert len(set(kids)) == 3
    assert None not in kids
    assert [kid(made[number]) for number in (1, 3)] == [None, None]
    assert [await reason(harness, one, NOW + 500) for one in made.values()] == [None] * 5
    assert [stops(harness)[str(one)] for one in kids] == [NOW + 100 + TTL, NOW + 300 + TTL, None]
    assert stops(harness)["hs256"] == NOW + 400 + TTL
    await start(harness, "EdDSA", NOW + 100 + TTL)
    assert set(stops(harness)) == {"hs256", kids[1], kids[2]}
    good = [await reason(harness, one, NOW + 100 + TTL) is None for one in made.values()]
    assert good == [False, False, True, True, True]


async def test_rotating_keeps_what_is_live_and_forgets_what_is_over(harness: Harness) -> None:
    """After repeated rotations a key is kept exactly as long as a token of it can be valid."""
    user = await harness.user()
    await start(harness, "EdDSA", NOW)
    made = [await issued(harness, user, NOW)]
    for number in range(1, 8):
        now = NOW + number * 900
        change = await rotate(harness, now)
        assert change is not None
        assert ([one.retired for one in change.rotated], change.until) == ([kid(made[-1])], now + TTL)
        await start(harness, "EdDSA", now)
        assert harness.runtime.signing.current.kid == change.rotated[0].current
        made.append(await issued(harness, user, now))
        good = [await reason(harness, one, now) is None for one in made]
        assert good == [now < NOW + one * 900 + TTL for one in range(len(made))]
        assert len(stops(harness)) <= 1 + TTL // 900
    again = [await rotate(harness, now) for _ in range(3)]  # no key signed meanwhile, which does no harm
    assert len({one.rotated[0].current for one in again if one}) == 3
    await start(harness, "EdDSA", now)
    assert await reason(harness, made[-1], now) is None
    change = await rotate(harness, now + TTL)
    assert change is not None
    assert kid(made[-1]) in change.dropped
    assert set(stops(harness)) == {change.rotated[0].current, change.rotated[0].retired}


async def test_compromised(harness: Harness) -> None:
    """After a compromise no token of an Ed25519 key is valid, and those of HERO_SECRET are."""
    user = await harness.user()
    await start(harness, "HS256", NOW)
    shared = await issued(harness, user, NOW)
    await start(harness, "EdDSA", NOW)
    first = await issued(harness, user, NOW)
    await rotate(harness, NOW)
    await start(harness, "EdDSA", NOW)
    second = await issued(harness, user, NOW)
    change = await rotate(harness, NOW + 1, is_compromised=True)
    assert change is not None
    assert [one.retired for one in change.rotated] == [None]
    assert set(change.dropped) == {kid(first), kid(second)}
    await start(harness, "EdDSA", NOW + 1)
    assert harness.runtime.signing.current.kid == change.rotated[0].current
    assert [await reason(harness, one, NOW + 2) for one in (shared, first, second)] == [None, "signature", "signature"]


async def test_where_the_secret_signs(harness: Harness) -> None:
    """With HS256 there is no key to rotate, but retired keys can be dropped after a compromise."""
    assert await rotate(harness, NOW) is None
    await start(harness, "HS256", NOW)
    assert await rotate(harness, NOW) is None
    assert await rotate(harness, NOW, is_compromised=True) is None
    user = await harness.user()
    await start(harness, "EdDSA", NOW)
    token = await issued(harness, user, NOW)
    await start(harness, "HS256", NOW)
    assert await rotate(harness, NOW) is None
    assert await reason(harness, token, NOW) is None
    assert await rotate(harness, NOW, is_compromised=True) == SigningChange(dropped=(str(kid(token)),))
    await start(harness, "HS256", NOW)
    assert await reason(harness, token, NOW) == "signature"
    assert stops(harness) == {"hs256": None}


async def test_keys_for_apps(harness: Harness) -> None:
    """Each key for apps is replaced by one of its algorithm, also where HERO_SECRET signs plain tokens."""
    await start(harness, "HS256", NOW)
    for algorithm in ("RS256", "ES256", "EdDSA"):
        app = App(id=algorithm, created_at=NOW, name=algorithm, creator="test", id_token_algorithm=algorithm)
        record = new_signing_record(algorithm, new_private(algorithm), now=NOW, for_apps=True)
        for one in (app, record):
            await harness.store.write(methodcaller("put", one))
    await start(harness, "HS256", NOW)
    before = {key.algorithm: key for key in harness.runtime.signing if key.kid}
    change = await rotate(harness, NOW + 10)
    assert change is not None
    assert {(one.algorithm, one.for_apps, one.retired) for one in change.rotated} == {
        (algorithm, True, key.kid) for algorithm, key in before.items()
    }
    await start(harness, "HS256", NOW + 10)
    signing = harness.runtime.signing
    assert signing.current.algorithm == "HS256"
    for algorithm, old in before.items():
        new, retired = signing.for_apps(algorithm), signing.find(old.kid)  # type: ignore[arg-type]
        assert new is not None
        assert retired is not None
        assert (new.kid in {one.current for one in change.rotated}, retired.verifies_until) == (True, NOW + 10 + TTL)
    change = await rotate(harness, NOW + 20, is_compromised=True)
    assert change is not None
    assert (len(change.rotated), len(change.dropped), change.until) == (3, 6, None)
    assert len(stops(harness)) == 4
