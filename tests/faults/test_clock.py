"""The clock jumps by an hour, or past 32 bits: nothing crashes, and no grant lasts longer than described here.

Unavoidable: a token is valid until the clock reaches its expiry, so if the clock is set back by an hour, tokens,
sessions, expiring keys and the stop times of signing keys last an hour longer in real time. No revocation is lost by
a clock that is wrong for a while: what has expired is deleted by a clock that cannot jump.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from faults.requests_under_fault import Known, add_account, admin, is_valid, know, names, token_of
from herod.identity.credential_types import Bearer, SessionCookie
from herod.records import Revocation
from herod.scopes.principal import Source
from herod_client.core.errors import BadToken, ExpiredToken, RateLimited, Unauthenticated
from herod_client.core.signing_keys import SigningKeys, hs256_key
from support.herod_in_memory import NOW, Harness, open_harness
from support.real_daemon import Daemon, running

HOUR = 3600
END_OF_31_BITS = 2**31  # 2038
END_OF_32_BITS = 2**32  # 2106
PASSWORD = "correct horse battery"


def seconds_to(moment: int) -> int:
    """Seconds from now until that time."""
    return moment - int(time.time())


@contextmanager
def skewed(folder: Path, ahead: int = 0) -> Iterator[tuple[Daemon, Callable[[int], None]]]:
    """A daemon, and a function that sets its clock, which is `ahead` at the start."""
    skew = folder / "skew"
    folder.mkdir(exist_ok=True)
    skew.write_text(str(ahead))

    def turn(seconds: int) -> None:
        new = skew.with_suffix(".new")
        new.write_text(str(seconds))
        new.rename(skew)

    command = (sys.executable, str(Path(__file__).with_name("skewed_clock.py")))
    with running(folder, command=command, HEROD_TEST_SKEW=str(skew)) as daemon:
        yield daemon, turn


def test_a_daemons_clock_jumps(tmp_path: Path) -> None:
    """Back and forth, past 2038 and 2106, tokens expire by the clock, new ones work, and no answer is a 5xx."""
    with skewed(tmp_path) as (daemon, turn):
        known = know(daemon)
        for skew in (HOUR, -HOUR, seconds_to(END_OF_31_BITS) - 5, seconds_to(END_OF_31_BITS) + 5,
                     seconds_to(END_OF_32_BITS) + 5, 0):  # fmt: skip
            turn(skew)
            assert daemon.curl("/health")[0] == 200
            assert is_valid(daemon, known.token) is (skew == 0)
            assert is_valid(daemon, known.key)
            fresh = token_of(daemon, known.client_id, known.client_secret)
            assert is_valid(daemon, fresh)
            assert add_account(daemon, f"made at {skew}")[0] == 201
            assert f"made at {skew}" in names(daemon)
            status, body, _ = daemon.curl("/api/v1/keys", *admin(daemon))
            assert status == 200
            assert body["data"][0]["last_used_at"] is not None
            assert daemon.curl("/revoke", *admin(daemon), "-d", f"token={fresh}")[0] == 200
            assert not is_valid(daemon, fresh)
        assert daemon.stop() == 0
        log = daemon.log.read_text()
        assert "Traceback" not in log
        assert '"status": 5' not in log


def test_a_store_from_the_future(tmp_path: Path) -> None:
    """A store created while the clock was in 2106 opens with all records, and its tokens are not yet valid."""
    with skewed(tmp_path) as (daemon, turn):
        turn(seconds_to(END_OF_32_BITS))
        known = know(daemon)
        assert is_valid(daemon, known.token)
    with skewed(tmp_path) as (daemon, _):
        assert not is_valid(daemon, known.token)
        assert is_valid(daemon, known.key)
        assert is_valid(daemon, token_of(daemon, known.client_id, known.client_secret))
        assert names(daemon) == {"ada"}


DAY = 86_400


@pytest.mark.parametrize("ahead", [25 * HOUR, 400 * DAY])
def test_a_revocation_while_a_daemons_clock_is_ahead(tmp_path: Path, ahead: int) -> None:
    """A token that was revoked before, or while, the clock is ahead stays revoked, also if herod restarts meanwhile."""
    with skewed(tmp_path) as (daemon, turn):
        known = know(daemon)
        other = token_of(daemon, known.client_id, known.client_secret)
        assert daemon.curl("/revoke", *admin(daemon), "-d", f"token={known.token}")[0] == 200
        turn(ahead)
        assert daemon.curl("/revoke", *admin(daemon), "-d", f"token={other}")[0] == 200
        rows = purged_at(daemon, known)
        turn(0)
        assert not is_valid(daemon, known.token)
        assert not is_valid(daemon, other)
        assert daemon.stop() == 0
    with skewed(tmp_path, ahead) as (daemon, turn):
        assert purged_at(daemon, known) >= rows
        turn(0)
        assert not is_valid(daemon, known.token)
        assert not is_valid(daemon, other)
        assert is_valid(daemon, token_of(daemon, known.client_id, known.client_secret))


def purged_at(daemon: Daemon, known: Known) -> int:
    """Wait until expired records were deleted a few times, and return how many audit rows there are."""
    time.sleep(0.5)
    status, body, _ = daemon.curl("/api/v1/audit?limit=200", *admin(daemon))
    assert status == 200
    return len(body["data"])


async def test_revoked_while_the_clock_is_ahead() -> None:
    """A token that looks expired because the clock is ahead is revoked all the same, and the feed says so."""
    async with open_harness() as home:
        user = await home.user()
        token = await user.token()
        cursor = (await home.admin("token.changes")).cursor
        home.clock.now = NOW + 25 * HOUR
        await home.admin("token.revoke", token=token)
        told = await home.admin("token.changes", cursor=cursor)
        assert [one.sub for one in told.revoked] == [user.client_id]
        home.clock.now = NOW
        assert (await home.call("token.validate", token=token)).reason == "revoked"


async def test_a_token_that_has_long_expired() -> None:
    """Revoking a token that has expired by any clock succeeds and stores nothing."""
    async with open_harness() as home:
        token = await (await home.user()).token()
        home.clock.now = NOW + HOUR
        home.pipeline.process.steady.reached = NOW + HOUR
        assert (await home.admin("token.revoke", token=token)).revoked
        assert home.store.count(Revocation) == 0


@pytest.mark.parametrize("ahead", [61, 25 * HOUR])
async def test_made_while_the_clock_was_ahead(ahead: int) -> None:
    """What is valid for a while from when it was made, and was made in the future, is refused: it would last longer."""
    async with open_harness() as home:
        home.clock.now = NOW + ahead
        key = await home.service_key("admin")
        code = (await home.call("session.code", Bearer(key))).code
        spare = (await home.call("session.code", Bearer(key))).code
        session = SessionCookie((await home.call("session.redeem", code=code)).cookie)
        rotated = await home.service_key("admin", "rotated")
        await home.admin("keys.rotate", id=rotated.split("_")[2], overlap=600)
        assert (await home.call("token.validate", token=rotated)).valid
        assert (await home.call("whoami", session)).scope == "admin"
        home.clock.now = NOW
        assert not (await home.call("token.validate", token=rotated)).valid
        assert (await home.admin("keys.get", id=rotated.split("_")[2])).former is None
        for call in (home.call("whoami", session), home.call("session.redeem", code=spare)):
            with pytest.raises(Unauthenticated):
                await call


async def test_a_little_ahead_is_taken() -> None:
    """A clock that is set back by up to a minute ends nothing."""
    async with open_harness() as home:
        home.clock.now = NOW + 60
        key = await home.service_key("admin")
        code = (await home.call("session.code", Bearer(key))).code
        rotated = await home.service_key("admin", "rotated")
        await home.admin("keys.rotate", id=rotated.split("_")[2], overlap=600)
        home.clock.now = NOW
        session = SessionCookie((await home.call("session.redeem", code=code)).cookie)
        assert (await home.call("whoami", session)).scope == "admin"
        assert (await home.call("token.validate", token=rotated)).valid


@pytest.mark.parametrize("start", [NOW, END_OF_31_BITS, END_OF_32_BITS])
async def test_tokens(start: int) -> None:
    """A token is refused over 60 s before its time of issue, also if cached, and from its expiry on."""
    async with open_harness() as home:
        home.clock.now = start
        user = await home.user()
        token = await user.token()
        for offset, is_good in ((0, True), (-60, True), (-61, False), (HOUR - 1, True), (HOUR, False), (0, True)):
            home.clock.now = start + offset
            assert (await home.call("token.validate", token=token)).valid is is_good, offset


async def test_revoked_stays_revoked() -> None:
    """A revocation purged while the clock was an hour ahead still applies when the clock is corrected."""
    async with open_harness() as home:
        user = await home.user()
        token = await user.token()
        home.clock.now = NOW + HOUR
        with pytest.raises(ExpiredToken):
            home.runtime.claims(token, home.clock.now)
        home.clock.now = NOW
        await home.admin("token.revoke", token=token)
        for offset in (HOUR, 2 * HOUR, 24 * HOUR):
            home.clock.now = NOW + offset
            home.runtime.forget_revocations(home.clock.now)
            await home.store.purge_expired(home.clock.now)
        home.clock.now = NOW
        assert home.store.count(Revocation) == 1
        assert not (await home.call("token.validate", token=token)).valid


@pytest.mark.parametrize("jump", [-HOUR, -301, -299, HOUR])
async def test_guessing_limits(jump: int) -> None:
    """A lock from before a jump ends within ten minutes at worst, and ten more attempts lock again."""
    async with open_harness() as home:
        await home.user(email="ada@example.org", password=PASSWORD)
        await lock(home)
        home.clock.now += jump
        waited = 0
        while waited < 600:
            try:
                await sign_in(home, PASSWORD)
                break
            except RateLimited as error:
                home.clock.now += error.retry_after
                waited += error.retry_after
        assert waited < 600
        await lock(home)


async def lock(home: Harness) -> None:
    """Guess until refused."""
    for _ in range(10):
        with pytest.raises(Unauthenticated):
            await sign_in(home, "a wrong password")
    with pytest.raises(RateLimited):
        await sign_in(home, "a wrong password")


async def sign_in(home: Harness, password: str) -> object:
    """By password, from one address."""
    return await home.call("login", None, Source(address="192.0.2.7"), email="ada@example.org", password=password)


async def test_keys_with_an_end_and_their_uses() -> None:
    """A key expires by the clock only, and after the clock goes back keys work and lists continue."""
    async with open_harness() as home:
        user = await home.user("write")
        issued = [await home.call("keys.create", user.basic, name=f"k{n}") for n in range(4)]
        end = NOW + HOUR
        text = (
            await home.call("keys.create", user.basic, name="ends", expires_at=datetime.fromtimestamp(end, UTC))
        ).key
        for now, is_good in ((end - 1, True), (end, False), (end + 1, False), (end - HOUR, True)):
            home.clock.now = now
            assert (await home.call("token.validate", token=text)).valid is is_good
        page = await home.call("keys.list", user.basic, limit=2)
        home.clock.now -= HOUR
        await home.call("keys.create", user.basic, name="made before the others")
        seen = {key.id for key in page.items}
        while page.next_cursor is not None:
            page = await home.call("keys.list", user.basic, limit=2, cursor=page.next_cursor)
            seen |= {key.id for key in page.items}
        assert {one.id for one in issued} <= seen
        assert (await home.call("whoami", Bearer(issued[0].key))).sub == user.client_id


async def test_hard_stop() -> None:
    """A retired signing key stops at its stop time, and tokens that expire after it were never valid."""
    async with open_harness() as home:
        user = await home.user()
        token = await user.token()
        home.runtime.signing = SigningKeys(
            hs256_key("another secret that signs from now on, long enough"),
            [hs256_key("a secret for tests that is long enough to sign", verifies_until=NOW + HOUR)],
        )
        assert (await home.call("token.validate", token=token)).valid
        home.clock.now = NOW + HOUR
        assert not (await home.call("token.validate", token=token)).valid
        home.clock.now = NOW + 10
        late = NOW + HOUR - 5
        home.runtime.signing = SigningKeys(
            hs256_key("another secret that signs from now on, long enough"),
            [hs256_key("a secret for tests that is long enough to sign", verifies_until=late)],
        )
        with pytest.raises(BadToken):
            home.runtime.claims(token, home.clock.now)
