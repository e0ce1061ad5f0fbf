"""The limits on guessing passwords and on registration: who is locked or delayed, and that no one locks out others."""

from collections import Counter
from math import inf
from typing import Any

import pytest
import trio
import trio.testing

from herod.identity.credential_types import Bearer
from herod.operations.accounts import login_and_registration, passwords_and_secrets
from herod.pipeline.pipeline import Pipeline
from herod.records import GuessCount
from herod.scopes.principal import Source
from herod.throttle.rules import (
    DELAYS,
    LOOPBACK,
    MAX_DELAYED,
    MAX_DELAYED_PER_SOURCE,
    guess_at,
)
from herod_client.core.errors import BadCredentials, Conflict, InvalidRequest, RateLimited, Unavailable
from support.herod_in_memory import ADMIN_SOURCE, LOCAL_ADMIN, NOW, STRANGER, TCP, Harness
from support.wrong_guesses import EMAIL, RIGHT, WINDOW, WRONG, ask, sign_in, tcp, uid


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Check passwords without Argon2; the list records them."""
    checked: list[str] = []

    def verify(text: str, phc: str) -> bool:
        checked.append(text)
        return text == RIGHT

    for module in (login_and_registration, passwords_and_secrets):
        monkeypatch.setattr(module, "verify_password", verify)
    return checked


@pytest.fixture
async def ada(harness: Harness) -> str:
    """An account with a password; its client_id."""
    return (await harness.user(email=EMAIL, password=RIGHT)).client_id


async def test_the_eleventh_is_refused(harness: Harness, ada: str, cheap: list[str]) -> None:
    """The eleventh attempt is refused, right or wrong, without hashing, with the time to wait and an audited reason."""
    assert [await sign_in(harness) for _ in range(10)] == ["bad_credentials"] * 10
    harness.clock.now += 60
    writes = harness.store.stats.writes
    for password in (WRONG, RIGHT):
        with pytest.raises(RateLimited, match="try again in 240 seconds") as refused:
            await harness.call("login", None, TCP, email=EMAIL, password=password)
        assert refused.value.retry_after == 240
    assert len(cheap) == 10
    assert harness.store.stats.writes == writes
    await harness.pipeline.flush()
    reasons = {row.event.reason: row.event.count for row in harness.store.audit_rows() if row.event.outcome == "denied"}
    assert reasons["locked_pair"] >= 1


@pytest.mark.usefixtures("cheap")
async def test_time_unlocks(harness: Harness, ada: str) -> None:
    """Each attempt counts for five minutes, and refused ones do not count."""
    for _ in range(10):
        await sign_in(harness)
        harness.clock.now += 1
    assert await sign_in(harness) == "rate_limited"
    harness.clock.now = NOW + WINDOW - 1
    assert await sign_in(harness) == "rate_limited"
    harness.clock.now = NOW + WINDOW
    assert [await sign_in(harness), await sign_in(harness)] == ["bad_credentials", "rate_limited"]
    harness.clock.now += WINDOW
    assert await sign_in(harness, RIGHT) == "ok"


async def test_twenty_at_once(harness: Harness, ada: str) -> None:
    """Of twenty concurrent attempts ten are checked, because they are counted before Argon2 begins."""
    answers: Counter[str] = Counter()

    async def guess() -> None:
        answers[await sign_in(harness)] += 1

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(guess)
    assert answers == {"bad_credentials": 10, "rate_limited": 10}


@pytest.mark.usefixtures("cheap")
@pytest.mark.parametrize(
    "spelling", ["ADA@EXAMPLE.ORG", " ada@example.org\t", "\uff41da@example.org", "Ada@Example.org "]
)
async def test_spelling_gains_nothing(harness: Harness, ada: str, spelling: str) -> None:
    """Attempts are counted by the normalized email, so other spellings gain nothing."""
    for _ in range(5):
        await sign_in(harness)
        await sign_in(harness, email=spelling)
    assert [await sign_in(harness), await sign_in(harness, email=spelling)] == ["rate_limited"] * 2


@pytest.mark.usefixtures("cheap")
async def test_others_sign_in_meanwhile(harness: Harness, ada: str) -> None:
    """Sign-ins from another address, another uid, and of other accounts from the same one still work."""
    await harness.user(email="bob@example.org", password=RIGHT)
    for _ in range(12):
        await sign_in(harness)
    for source in (tcp("127.0.0.2"), tcp("::1"), uid(1000)):
        assert await sign_in(harness, RIGHT, source=source) == "ok"
    assert await sign_in(harness, RIGHT, email="bob@example.org") == "ok"
    assert await sign_in(harness, RIGHT) == "rate_limited"


@pytest.mark.usefixtures("cheap")
async def test_all_of_loopback_is_not_millions_of_sources(
    harness: Harness, ada: str, autojump_clock: trio.testing.MockClock
) -> None:
    """All of 127.0.0.0/8, which any local user can send from, shares one higher limit, and the socket is unaffected."""
    limit = LOOPBACK.limit or 0
    answers = [await sign_in(harness, source=tcp(f"127.0.1.{number}")) for number in range(limit + 1)]
    assert answers == ["bad_credentials"] * limit + ["rate_limited"]
    assert await sign_in(harness, RIGHT, source=uid(1000)) == "ok"


async def test_nothing_tells_whether_an_account_exists(
    harness: Harness, ada: str, cheap: list[str], autojump_clock: Any
) -> None:
    """Answers and work are identical, locked or not, for existing, unknown and invalid emails."""
    seen = []
    for email in (EMAIL, "nobody@example.org", "no address"):
        cheap.clear()
        answers = [
            await harness.request("POST", "/login", json={"email": email, "password": WRONG}, source=uid(1000))
            for _ in range(12)
        ]
        assert [answer.status for answer in answers] == [401] * 10 + [429] * 2
        seen.append(([(answer.response.body, answer.headers) for answer in answers], list(cheap)))
    assert seen[0] == seen[1] == seen[2]


@pytest.mark.usefixtures("cheap")
async def test_a_success_clears_its_pair_alone(harness: Harness, ada: str, autojump_clock: Any) -> None:
    """A successful sign-in clears the count of its pair, and adds nothing to the others."""
    await harness.user(email="bob@example.org", password=RIGHT)
    for _ in range(9):
        await sign_in(harness)
        await sign_in(harness, email="bob@example.org")
    before = harness.store.count(GuessCount)
    assert [await sign_in(harness, RIGHT) for _ in range(30)] == ["ok"] * 30
    assert harness.store.count(GuessCount) == before - 1
    totals = {sum(count for _, count in record.marks) for record in harness.store.scan(GuessCount)}
    assert totals == {9, 18}  # bob's pair and all that stay; the source
    assert [await sign_in(harness) for _ in range(11)] == ["bad_credentials"] * 10 + ["rate_limited"]
    assert [await sign_in(harness, email="bob@example.org") for _ in range(2)] == ["bad_credentials", "rate_limited"]


@pytest.mark.usefixtures("cheap")
async def test_a_success_leaves_no_row(harness: Harness, ada: str) -> None:
    """A sign-in without earlier failures writes no count."""
    assert await sign_in(harness, RIGHT, source=STRANGER) == "ok"
    assert harness.store.count(GuessCount) == 0


@pytest.mark.usefixtures("cheap")
async def test_a_restart_forgets_nothing(harness: Harness, ada: str) -> None:
    """The counts are in the store, under names that disclose nothing."""
    for _ in range(10):
        await sign_in(harness)
    harness.pipeline = Pipeline(harness.store, harness.runtime, clock=harness.clock)
    assert await sign_in(harness) == "rate_limited"
    records = list(harness.store.scan(GuessCount))
    assert {len(bytes.fromhex(record.id)) for record in records} == {32}  # an HMAC
    await harness.store.purge_expired(harness.clock.now + WINDOW)
    assert harness.store.count(GuessCount) == 0


@pytest.mark.usefixtures("cheap")
async def test_a_browser_signs_in_by_the_same_count(harness: Harness, ada: str) -> None:
    """Browser sign-ins share the count of other sign-ins."""
    for _ in range(5):
        await sign_in(harness)
        assert await ask(harness, "session.sign_in", email=EMAIL, password=WRONG) == "bad_credentials"
    assert await ask(harness, "session.sign_in", email=EMAIL, password=RIGHT) == "rate_limited"


@pytest.mark.usefixtures("cheap")
async def test_the_current_password_is_guessed_at_too(harness: Harness, ada: str) -> None:
    """Wrong current passwords count as sign-in failures; admins need none, and are never locked out."""
    token = Bearer((await harness.call("login", email=EMAIL, password=RIGHT)).access_token)
    change = {"client_id": ada, "password": "another long password"}
    for _ in range(5):
        assert await ask(harness, "users.password", token, TCP, **change, current=WRONG) == "bad_credentials"
        assert await ask(harness, "users.password", token, TCP, **change) == "bad_credentials"
        await sign_in(harness)
    assert await ask(harness, "users.password", token, TCP, **change, current=RIGHT) == "rate_limited"
    for _ in range(12):
        await sign_in(harness, source=ADMIN_SOURCE)
    assert await sign_in(harness, RIGHT, source=ADMIN_SOURCE) == "rate_limited"
    assert await ask(harness, "users.password", LOCAL_ADMIN, ADMIN_SOURCE, **change) == "ok"
    assert await ask(harness, "users.list", LOCAL_ADMIN, ADMIN_SOURCE) == "ok"


@pytest.mark.usefixtures("cheap")
async def test_an_account_without_email_has_a_count(harness: Harness) -> None:
    """An account without an email is counted by its client_id."""
    user = await harness.user(password=RIGHT)
    change = {"client_id": user.client_id, "password": "another long password", "current": WRONG}
    answers = [await ask(harness, "users.password", user.basic, TCP, **change) for _ in range(11)]
    assert answers == ["bad_credentials"] * 10 + ["rate_limited"]


async def _refused() -> Any:
    raise Unavailable("the queue is full", reason="work_queue_full")


@pytest.mark.usefixtures("cheap")
async def test_what_was_not_judged_is_not_counted(harness: Harness, ada: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full queue and an invalid new password do not count as attempts."""
    user = Bearer((await harness.call("login", None, STRANGER, email=EMAIL, password=RIGHT)).access_token)
    for _ in range(12):
        answer = await ask(harness, "users.password", user, TCP, client_id=ada, password="short", current=WRONG)
        assert answer == "invalid_request"
    with monkeypatch.context() as patched:
        patched.setattr(harness.pipeline.worker, "run", lambda work, source: _refused())
        assert [await sign_in(harness) for _ in range(12)] == ["unavailable"] * 12
    assert harness.store.count(GuessCount) == 0
    assert await sign_in(harness) == "bad_credentials"


async def test_without_a_store_nobody_guesses(
    harness: Harness, cheap: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attempt that cannot be counted is not checked, and a count that cannot be removed stays."""

    async def refuse(function: object) -> None:
        raise Unavailable("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(type(harness.store), "write", lambda self, function: refuse(function))
        assert await sign_in(harness) == "unavailable"
        assert not cheap
    real = harness.pipeline.worker.run

    async def failing(work: Any, source: str) -> Any:
        monkeypatch.setattr(type(harness.store), "write", lambda self, function: refuse(function))
        await real(lambda: None, source)
        raise Unavailable("the queue is full")

    monkeypatch.setattr(harness.pipeline.worker, "run", failing)
    assert await sign_in(harness) == "unavailable"
    assert harness.store.count(GuessCount) == 4


@pytest.mark.usefixtures("cheap")
async def test_a_damaged_count_keeps_nobody_out(harness: Harness, ada: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged count is replaced; a store that cannot be read refuses the attempt."""
    for reason, answer in (("damaged", "ok"), ("unreadable", "unavailable")):
        with monkeypatch.context() as patched:
            real = type(harness.store).get

            def get(self: Any, kind: Any, id_: str, real: Any = real, reason: str = reason) -> Any:
                if kind is GuessCount:
                    raise Unavailable("broken", reason=reason)
                return real(self, kind, id_)

            patched.setattr(type(harness.store), "get", get)
            assert await sign_in(harness, RIGHT) == answer


# Delays


@pytest.mark.usefixtures("cheap")
async def test_an_attacked_account_is_slow_and_open(harness: Harness, ada: str, autojump_clock: Any) -> None:
    """An attack from many sources delays the account's owner by five seconds at most, and no other user."""
    await harness.user(email="bob@example.org", password=RIGHT)

    async def waited(email: str) -> float:
        began = trio.current_time()
        assert await sign_in(harness, RIGHT, email=email, source=uid(7)) == "ok"
        return trio.current_time() - began

    seen = []
    for number in range(200):
        if number in {0, 20, 40, 80, 160, 199}:
            seen.append(round(await waited(EMAIL), 3))
        assert await sign_in(harness, source=uid(10_000 + number)) == "bad_credentials"
    assert seen == [0, 0.5, 1, 2, 5, 5]
    assert await waited("bob@example.org") == 0


@pytest.mark.usefixtures("cheap")
async def test_a_spraying_source_is_slow_alone(harness: Harness, ada: str, mock_clock: trio.testing.MockClock) -> None:
    """A source that tries many accounts is delayed, with a bounded number waiting, and other sources are unaffected."""
    mock_clock.autojump_threshold = 0
    for number in range(40):
        assert await sign_in(harness, email=f"user{number}@example.org") == "bad_credentials"
    mock_clock.autojump_threshold = inf
    answers: Counter[str] = Counter()

    async def spray(number: int) -> None:
        answers[await sign_in(harness, email=f"other{number}@example.org")] += 1

    async with trio.open_nursery() as nursery:
        for number in range(MAX_DELAYED_PER_SOURCE + 5):
            nursery.start_soon(spray, number)
        await trio.testing.wait_all_tasks_blocked()
        assert await sign_in(harness, RIGHT, source=uid(7)) == "ok"  # and no time has passed
        with pytest.raises(RateLimited) as refused:
            await harness.call("login", None, TCP, email=EMAIL, password=RIGHT)
        mock_clock.autojump_threshold = 0
        assert (refused.value.retry_after, refused.value.reason) == (1, "too_many_delayed")
    assert answers == {"bad_credentials": MAX_DELAYED_PER_SOURCE, "rate_limited": 5}
    assert await sign_in(harness, RIGHT) == "ok"  # slowly


@pytest.mark.usefixtures("cheap")
async def test_a_burst_of_a_source_has_no_more_places(harness: Harness, autojump_clock: Any) -> None:
    """A burst of concurrent attempts, which has no delay yet, is limited to the same number of waiting ones."""
    answers: Counter[str] = Counter()

    async def spray(number: int) -> None:
        answers[await sign_in(harness, email=f"user{number}@example.org", source=uid(7))] += 1

    async with trio.open_nursery() as nursery:
        for number in range(60):
            nursery.start_soon(spray, number)
    at_once = DELAYS[0][0]
    assert answers["bad_credentials"] == at_once + MAX_DELAYED_PER_SOURCE
    assert answers["rate_limited"] == 60 - answers["bad_credentials"]
    assert (
        sum(count for one in harness.store.scan(GuessCount) for _, count in one.marks) == 3 * answers["bad_credentials"]
    )


@pytest.mark.usefixtures("cheap")
async def test_many_sources_of_one_person_hold_few_places(harness: Harness, mock_clock: trio.testing.MockClock) -> None:
    """The delays of all its sources together take a bounded number of connections, and none of another's places."""
    sources = [uid(100_000 + number) for number in range(MAX_DELAYED // MAX_DELAYED_PER_SOURCE + 4)]
    mock_clock.autojump_threshold = 0
    for source in [*sources, uid(7)]:
        for number in range(DELAYS[0][0]):
            assert await sign_in(harness, email=f"{number}.{source.label[4:]}@example.org", source=source) != "ok"
    mock_clock.autojump_threshold = inf
    answers: Counter[str] = Counter()

    async def spray(source: Source, number: int) -> None:
        answers[await sign_in(harness, email=f"more{number}.{source.label[4:]}@example.org", source=source)] += 1

    async def other() -> None:
        answers[f"other {await sign_in(harness, email='another@example.org', source=uid(7))}"] += 1

    async with trio.open_nursery() as nursery:
        for source in sources:
            for number in range(MAX_DELAYED_PER_SOURCE):
                nursery.start_soon(spray, source, number)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(other)
        await trio.testing.wait_all_tasks_blocked()
        assert answers.total() == len(sources) * MAX_DELAYED_PER_SOURCE - MAX_DELAYED + 1  # all others wait
        mock_clock.autojump_threshold = 0
    assert answers["other bad_credentials"] == 1
    assert answers["rate_limited"] == len(sources) * MAX_DELAYED_PER_SOURCE - MAX_DELAYED + 1


# Registration


async def test_twenty_registrations_an_hour(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty registrations an hour from one source; emails in use count, or they could be probed forever."""
    monkeypatch.setattr(login_and_registration, "hashing", lambda password, *_: lambda: password)

    async def register(number: int, source: Source = TCP) -> str:
        return await ask(harness, "register", None, source, email=f"user{number}@example.org", password=RIGHT)

    assert [await register(number // 2) for number in range(20)] == ["ok", "conflict"] * 10
    harness.clock.now += 600
    with pytest.raises(RateLimited) as refused:
        await harness.call("register", None, TCP, email="new@example.org", password=RIGHT)
    assert (refused.value.retry_after, refused.value.reason) == (3000, "locked_registration")
    assert await register(50, tcp("127.0.0.9")) == "rate_limited"  # one machine
    assert await register(50, uid(1000)) == "ok"
    harness.clock.now += 3000
    assert await register(51) == "ok"


async def test_where_registration_is_closed_nothing_is_counted(harness: Harness) -> None:
    """Closed registration counts nothing, because the answer never changes."""
    harness.configure(registration="closed")
    for _ in range(25):
        assert await ask(harness, "register", email=EMAIL, password=RIGHT) == "target_denied"
    assert harness.store.count(GuessCount) == 0


# For future kinds of secrets


async def test_any_subject_can_be_guarded(harness: Harness) -> None:
    """A guess at any subject is counted once before it is checked, under each of its rules."""
    attempt = guess_at("resource/7", STRANGER)
    for _ in range(10):
        with pytest.raises(BadCredentials):
            async with harness.pipeline.attempts.counting(attempt, NOW):
                raise BadCredentials("wrong")
    with pytest.raises(RateLimited):
        async with harness.pipeline.attempts.counting(attempt, NOW):
            pass
    other = guess_at("resource/8", STRANGER)
    for error in (InvalidRequest, Conflict):
        with pytest.raises(error):
            async with harness.pipeline.attempts.counting(other, NOW):
                raise error("not judged")
    async with harness.pipeline.attempts.counting(other, NOW) as counted:
        await harness.store.write(lambda tx: harness.pipeline.attempts.settle(tx, counted))
        await harness.store.write(lambda tx: harness.pipeline.attempts.settle(tx, counted))  # nothing left to remove
