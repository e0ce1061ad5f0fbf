"""The limits on guessing legacy secrets, and random credentials, which need no limit."""

from typing import Any

import pytest

from herod.identity.credential_types import ApiKeyHeader, Bearer, PeerClaim, SecretHeader
from herod.identity.legacy_secrets import LegacySecrets
from herod.pipeline.pipeline import Pipeline
from herod.records import GuessCount
from herod.throttle import limiter
from herod_client.core.errors import BadToken, RateLimited, Unavailable
from herod_client.core.key_format import KeyKind, new_key, new_key_id
from support.herod_in_memory import ADMIN_SOURCE, LEGACY, LOCAL_ADMIN, NOW, STRANGER, TCP, Harness
from support.wrong_guesses import ask, uid


async def test_legacy_secrets_are_guessed_ten_times(harness: Harness) -> None:
    """After ten guesses in any header a source is locked, even with a right secret, without a commit for each guess."""
    writes = harness.store.stats.writes
    for number in range(5):
        assert await ask(harness, "whoami", Bearer(f"guess {number}")) == "bad_credentials"
        assert await ask(harness, "auth.list_keys", None, TCP, admin_key=f"guess {number}") == "bad_credentials"
    assert harness.store.stats.writes == writes
    harness.clock.now += 100
    for presented in (SecretHeader("guess"), Bearer("guess"), Bearer(LEGACY["user"]), SecretHeader(LEGACY["admin"])):
        with pytest.raises(RateLimited) as refused:
            await harness.call("whoami", presented, TCP)
        assert (refused.value.retry_after, refused.value.reason) == (200, "locked_legacy")
    assert await ask(harness, "users.list", Bearer(LEGACY["user"])) == "rate_limited"  # not 403: it would confirm it
    assert await ask(harness, "whoami", Bearer(LEGACY["user"]), STRANGER) == "ok"
    assert await ask(harness, "whoami", LOCAL_ADMIN, ADMIN_SOURCE) == "ok"
    harness.clock.now += 200
    assert await ask(harness, "whoami", Bearer(LEGACY["user"])) == "ok"


async def test_a_right_legacy_secret_clears_nothing(harness: Harness) -> None:
    """A right legacy secret does not clear the count, so a holder of one cannot guess another without limit."""
    for _ in range(10):
        assert await ask(harness, "whoami", Bearer("guess")) == "bad_credentials"
        if _ < 9:
            assert await ask(harness, "whoami", Bearer(LEGACY["user"])) == "ok"
    assert await ask(harness, "whoami", Bearer(LEGACY["user"])) == "rate_limited"


async def test_a_restart_forgets_no_guess_at_a_legacy_secret(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guesses are written within a second, later if the store cannot, and not again without changes."""

    async def refuse(function: object) -> None:
        raise Unavailable("the disk is full")

    for _ in range(5):
        await ask(harness, "whoami", Bearer("guess"))
    with monkeypatch.context() as patched:
        patched.setattr(type(harness.store), "write", lambda self, function: refuse(function))
        await harness.pipeline.flush()
    await harness.pipeline.flush()
    for _ in range(5):
        await ask(harness, "whoami", Bearer("guess"))
    await harness.pipeline.flush(is_last=True)
    writes = harness.store.stats.writes
    await harness.pipeline.attempts.flush()
    assert harness.store.stats.writes == writes
    harness.pipeline = Pipeline(harness.store, harness.runtime, clock=harness.clock)
    assert await ask(harness, "whoami", Bearer("guess")) == "rate_limited"


async def test_a_guess_while_the_others_are_written_stays(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """A guess counted during a write is kept for the next write."""
    await ask(harness, "whoami", Bearer("guess"))
    real = harness.store.write

    async def slow(function: Any) -> Any:
        await ask(harness, "whoami", Bearer("guess"))
        return await real(function)

    with monkeypatch.context() as patched:
        patched.setattr(harness.store, "write", slow)
        await harness.pipeline.attempts.flush()
    await harness.pipeline.attempts.flush()
    (record,) = harness.store.scan(GuessCount)
    assert record.marks == ((NOW, 2),)


async def test_counts_in_memory_are_bounded(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """With too many sources and a read-only store, the oldest count is evicted."""
    monkeypatch.setattr(limiter, "MAX_UNWRITTEN", 3)
    for number in range(5):
        await ask(harness, "whoami", Bearer("guess"), uid(number))
    await harness.pipeline.flush()
    assert harness.store.count(GuessCount) == 3


async def test_what_is_random_is_not_counted(harness: Harness) -> None:
    """Random 256-bit credentials, peers and validation are not counted, nor anything without legacy secrets."""
    token = await (await harness.user()).token()
    for _ in range(12):
        for presented in (
            Bearer(new_key(KeyKind.SERVICE, new_key_id())),
            ApiKeyHeader("guess"),
            Bearer(token[:-1] + ("A" if token[-1] != "A" else "B")),
            PeerClaim("guess"),
        ):
            assert await ask(harness, "whoami", presented) in {"bad_credentials", "bad_token"}
        assert not (await harness.call("token.validate", None, TCP, token="guess")).valid
        assert not (await harness.call("auth.verify", None, TCP, key="guess")).valid
    user = await harness.user()
    for _ in range(12):
        wrong = type(user.basic)(user.client_id, "guess")
        assert await ask(harness, "token.create", wrong) == "bad_credentials"
    harness.configure(legacy=LegacySecrets(harness.runtime.keyring, []))
    for legacy in (Bearer("guess"), SecretHeader("guess")):
        assert [await ask(harness, "whoami", legacy) for _ in range(12)] == ["bad_credentials"] * 12
    await harness.pipeline.flush()
    assert harness.store.count(GuessCount) == 0


async def test_a_secret_that_looks_like_a_token_is_guarded(harness: Harness) -> None:
    """If a legacy secret looks like a token, bad tokens count as guesses at it, and valid tokens are unaffected."""
    harness.configure(legacy=LegacySecrets(harness.runtime.keyring, [("user", "our.old.secret")]))
    token = await (await harness.user()).token()
    for _ in range(10):
        with pytest.raises(BadToken):
            await harness.call("whoami", Bearer("our.new.secret"), TCP)
    assert await ask(harness, "whoami", Bearer("our.old.secret")) == "rate_limited"
    assert await ask(harness, "whoami", Bearer(token)) == "ok"
