"""The verifier with a fake daemon: one that falls silent, has no place for it, or answers nonsense."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from herod_client import (
    BadAnswer,
    Verifier,
)
from herod_client.core.errors import BadToken, Unavailable
from herod_client.core.scope_graph import BUILT_IN
from support.fake_daemon import FakeDaemon, Reply, fake_daemon, json_reply
from support.real_daemon import SECRET

FEED: dict[str, Any] = {
    "cursor": "c", "reset": True, "has_more": False, "gone": [], "revoked": [],
    "subjects": [
        {"sub": "ada", "kind": "account", "epoch": 1, "scope": "write", "networks": ["*"], "enabled": True}
    ],
    "rules": {
        "issuer": "hero_auth", "audience_issuer": "http://localhost", "token_ttl": 3600,
        "scopes": {name: list(included) for name, included in BUILT_IN.items()},
    },
}  # fmt: skip


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeDaemon]:
    """A fake daemon whose feed answers once with everything and then fails."""
    with fake_daemon(tmp_path / "s") as made:
        made.routes["GET", "/api/v1/tokens/changes?wait=1"] = json_reply({"data": FEED})
        yield made


async def test_when_herod_falls_silent(fake: FakeDaemon, autojump_clock: MockClock) -> None:
    """While herod is down the verifier retries; its state is used for `max_stale` seconds and then refused."""
    stopwatch = 0.0
    autojump_clock.autojump_threshold = 0.1  # the answers come from a separate thread
    async with Verifier(fake.url, secret=SECRET, max_stale=2) as verifier:
        verifier.checker.stopwatch = lambda: stopwatch
        verifier.checker.touch()
        asked = len(fake.asked)
        await trio.sleep(60)
        assert len(fake.asked) > asked + 1
        with pytest.raises(BadToken):
            verifier.verify("a.b.c")
        stopwatch = 2.1
        with pytest.raises(Unavailable):
            verifier.verify("a.b.c")
        assert verifier.is_stale


async def test_no_place_among_those_who_wait(fake: FakeDaemon, autojump_clock: MockClock) -> None:
    """While herod has no place for a request that waits, the verifier asks without waiting, and never goes stale."""
    error = {"code": "rate_limited", "message": "Too many requests are waiting for changes."}
    refused = Reply(429, json.dumps({"error": error}).encode(), headers=(("Retry-After", "1"),))
    fake.routes["GET", "/api/v1/tokens/changes?wait=1&cursor=c"] = refused
    unchanged = json_reply({"data": {**FEED, "reset": False, "subjects": [], "rules": None}})
    fake.routes["GET", "/api/v1/tokens/changes?wait=0&cursor=c"] = unchanged
    autojump_clock.autojump_threshold = 0.1  # the answers come from a separate thread
    async with Verifier(fake.url, secret=SECRET, max_stale=2) as verifier:
        verifier.checker.stopwatch = trio.current_time
        verifier.checker.touch()
        asked = len(fake.asked)
        for _ in range(20):
            await trio.sleep(1)
            assert not verifier.is_stale
        assert 20 <= len(fake.asked) - asked <= 90  # two a second at most, with jitter
        gone = {**FEED, "reset": False, "subjects": [], "rules": None, "gone": ["ada"], "cursor": "d"}
        fake.routes["GET", "/api/v1/tokens/changes?wait=0&cursor=c"] = json_reply({"data": gone})
        version = verifier.version
        assert await verifier.changed(version) > version


async def test_no_place_and_no_answer(fake: FakeDaemon, autojump_clock: MockClock) -> None:
    """Without a Retry-After the verifier pauses too, and another error during a poll is handled like any other."""
    error = {"code": "rate_limited", "message": "Too many requests are waiting for changes."}
    fake.routes["GET", "/api/v1/tokens/changes?wait=1&cursor=c"] = json_reply({"error": error}, 429)
    autojump_clock.autojump_threshold = 0.1
    async with Verifier(fake.url, secret=SECRET, max_stale=2):
        asked = len(fake.asked)
        await trio.sleep(20)
        polls = [one.path for one in fake.asked[asked:]]
        assert {"/api/v1/tokens/changes?wait=0&cursor=c"} < set(polls)
        assert len(polls) < 60
        fake.routes["GET", "/api/v1/tokens/changes?wait=0&cursor=c"] = json_reply(
            {"data": {**FEED, "reset": False, "subjects": [], "rules": None}}
        )
        await trio.sleep(20)
        assert len(fake.asked) - asked < 120


async def test_a_cursor_that_is_no_longer_understood(fake: FakeDaemon, autojump_clock: MockClock) -> None:
    """A cursor that a replaced herod refuses makes the verifier start over."""
    refused = json_reply({"error": {"code": "invalid_request", "message": "The cursor is strange."}}, 400)
    fake.routes["GET", "/api/v1/tokens/changes?wait=1&cursor=c"] = refused
    autojump_clock.autojump_threshold = 0.1
    async with Verifier(fake.url, secret=SECRET, max_stale=2) as verifier:
        await verifier.changed(1)
        assert verifier.version == 2


@pytest.mark.parametrize("body", [{}, {"data": {**FEED, "rules": None}}])
async def test_a_feed_that_is_none(fake: FakeDaemon, body: Any) -> None:
    """The verifier does not start with a malformed feed."""
    fake.routes["GET", "/api/v1/tokens/changes?wait=1"] = json_reply(body)
    with pytest.raises(BadAnswer):
        async with Verifier(fake.url, secret=SECRET, max_stale=2):
            pass


@pytest.mark.parametrize(
    "keys", [{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "other", "x": "A" * 43}]}, {"keys": 1}, {}]
)
async def test_keys_that_are_none(fake: FakeDaemon, keys: Any) -> None:
    """A malformed key set and a key under a wrong `kid` are refused."""
    fake.routes["GET", "/.well-known/jwks.json"] = json_reply(keys)
    with pytest.raises(BadAnswer):
        async with Verifier(fake.url, jwks=True, max_stale=2):
            pass


async def test_the_bodys_errors_come_out_as_they_are(fake: FakeDaemon) -> None:
    """Errors of the body are raised unchanged, not in a group."""
    with pytest.raises(BadToken):
        async with Verifier(fake.url, secret=SECRET, max_stale=2) as verifier:
            verifier.verify("no token")


async def test_cancelled_from_outside(fake: FakeDaemon) -> None:
    """Cancellation of its task ends the verifier."""
    with trio.move_on_after(0.05) as scope:
        async with Verifier(fake.url, secret=SECRET, max_stale=2):
            await trio.sleep(3600)
    assert scope.cancelled_caught
