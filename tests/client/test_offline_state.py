"""What a local verifier knows and remembers: its feed's answers and their silence, and its cache of tokens."""

from typing import Any

import pytest

from herod_client.client_errors import BadAnswer
from herod_client.core.errors import (
    BadToken,
    FutureToken,
    RevokedToken,
    Unavailable,
)
from herod_client.feed_mirror import FeedChanges, FeedMirror, parse_changes
from herod_client.offline_token_verification import MAX_SEEN, NAME_BYTES, TokenChecker
from support.offline_verification import NOW, RULES, Times, everything, subject, token, told


@pytest.fixture
def times() -> Times:
    """The clocks."""
    return Times()


def test_silence(times: Times) -> None:
    """After `max_stale` seconds without the feed, tokens are refused until it answers, or accepted if configured."""
    strict, lenient = times.checker(max_stale=60), times.checker(max_stale=60, when_stale="accept")
    times.monotonic = 60.0
    strict.verify(token())
    times.monotonic = 60.1
    assert strict.is_stale
    with pytest.raises(Unavailable, match="too long"):
        strict.verify(token())
    assert lenient.verify(token()).sub == "ada"
    strict.touch()
    strict.verify(token())


def test_before_anything_was_heard() -> None:
    """Before the first answer every token is refused, even with `when_stale="accept"`."""
    checker = TokenChecker(when_stale="accept")
    with pytest.raises(Unavailable):
        checker.verify(token())


def test_no_more_bytes_are_remembered_than_so_many(times: Times, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens with many networks are verified, and their cache stays within its bytes."""
    monkeypatch.setattr("herod_client.offline_token_verification.MAX_SEEN_BYTES", 100_000)
    checker = times.checker()
    networks = tuple(f"{number}" for number in range(100))
    for number in range(10):
        assert checker.verify(token(jti=str(number), networks=networks)).jti == str(number)
    assert 0 < checker.remembered * 100 * NAME_BYTES <= 100_000


def test_no_more_is_remembered_than_so_much(times: Times, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache evicts the oldest tokens, and never contains forged ones."""
    monkeypatch.setattr("herod_client.offline_token_verification.MAX_SEEN", 2)
    assert MAX_SEEN > 2
    checker = times.checker()
    for number in range(4):
        checker.verify(token(jti=str(number)))
        with pytest.raises(BadToken):
            checker.verify(f"{token(jti=str(number))}x")
    assert checker.remembered == 2


def test_a_snapshot_counts_when_it_is_whole(times: Times) -> None:
    """A new snapshot takes effect when it is complete; until then the previous one applies."""
    checker = times.checker(everything(subject()))
    assert not checker.mirror.take(everything(subject("bob"), has_more=True), NOW)
    checker.verify(token())
    assert checker.mirror.take(told(subject("eve")), NOW)
    with pytest.raises(RevokedToken):
        checker.verify(token())
    assert checker.verify(token(sub="bob")).sub == "bob"
    assert checker.verify(token(sub="eve")).sub == "eve"


def test_who_is_gone(times: Times) -> None:
    """Tokens of a deleted subject are revoked, also after a restart of herod; of one that was never there, foreign."""
    checker = times.checker(everything(subject(), subject("bob")))
    checker.mirror.take(told(gone=["ada", "unknown"]), times.monotonic)
    for _ in range(2):
        with pytest.raises(RevokedToken):
            checker.verify(token())
        with pytest.raises(BadToken, match="another herod") as refused:
            checker.verify(token(sub="unknown"))
        assert refused.value.reason == "audience"
        checker.mirror.take(everything(subject("eve")), times.monotonic)
    with pytest.raises(RevokedToken):
        checker.verify(token(sub="bob"))
    times.monotonic += 3600 + 86_400
    checker.mirror.take(told(gone=["eve"]), times.monotonic)
    checker.touch()
    with pytest.raises(BadToken):
        checker.verify(token())


@pytest.mark.parametrize(
    ("started_at", "expected"),
    [(NOW, BadToken), (NOW + 9, RevokedToken), (NOW + 10, RevokedToken), (None, RevokedToken)],
)
def test_another_herods_local_admin(times: Times, started_at: int | None, expected: type[Exception]) -> None:
    """A local admin's token of another process is foreign if it was issued since herod started, and else revoked."""
    rules = {**RULES, **({} if started_at is None else {"started_at": started_at})}
    here = subject("local-admin", kind="local_admin", epoch=7)
    times.now = NOW + 10
    checker = times.checker(everything(here, rules=rules))
    there = token(sub="local-admin", via="local_admin", epoch=8, iat=NOW + 9)
    with pytest.raises(expected):
        checker.verify(there)
    assert checker.verify(token(sub="local-admin", via="local_admin", epoch=7)).kind == "local_admin"


def test_a_clock_that_is_ahead(times: Times) -> None:
    """A token of the future is refused with how far the clocks differ, until its time has come."""
    checker = times.checker()
    times.now = NOW - 3600
    with pytest.raises(FutureToken, match="3600 seconds in the future"):
        checker.verify(token())
    times.now = NOW
    assert checker.verify(token()).sub == "ada"


def test_revocations_are_forgotten_when_they_are_long_over() -> None:
    """A revocation is forgotten a day after the longest lifetime of a token, by a monotonic clock."""
    mirror = FeedMirror()
    first, second = ({"sub": "a", "jti": jti, "exp": NOW} for jti in ("1", "2"))
    mirror.take(everything(revoked=[first]), 50.0)
    mirror.take(told(revoked=[second]), 50.0 + 3600 + 86_399)
    assert mirror.picture is not None
    assert set(mirror.picture.revoked) == {("a", "1"), ("a", "2")}
    mirror.take(told(revoked=[second]), 50.0 + 3600 + 86_400)
    assert set(mirror.picture.revoked) == {("a", "2")}


def test_a_revoked_token_while_the_clock_was_ahead(times: Times) -> None:
    """A token that was revoked, before or while the clock was a day ahead, is refused after it is corrected."""
    revoked = [{"sub": "ada", "jti": "taken", "exp": NOW + 3600}]
    checker = times.checker(everything(subject(), revoked=revoked))
    times.now += 25 * 3600
    checker.mirror.take(told(revoked=[{"sub": "ada", "jti": "later", "exp": NOW + 3600}]), times.monotonic)
    times.now -= 25 * 3600
    for jti in ("taken", "later"):
        with pytest.raises(RevokedToken):
            checker.verify(token(jti=jti))


@pytest.mark.parametrize(
    "changes",
    [
        told(subject()),
        everything(rules=None),
        everything(rules={**RULES, "scopes": {"a": ["b"], "b": ["a"]}}),
    ],
)
def test_answers_that_make_no_sense(changes: FeedChanges) -> None:
    """A continuation without a start, a start without rules and a scope cycle are refused."""
    with pytest.raises(BadAnswer):
        FeedMirror().take(changes, NOW)


@pytest.mark.parametrize("answer", [None, {}, {"data": {}}, {"data": {"cursor": 1}}, []])
def test_answers_of_something_else(answer: Any) -> None:
    """An answer that is not in the format of the feed is refused."""
    with pytest.raises(BadAnswer):
        parse_changes(answer)


def test_news_has_a_version() -> None:
    """A change advances the version; an empty answer does not."""
    mirror = FeedMirror()
    mirror.take(everything(subject()), NOW)
    version = mirror.version
    mirror.take(told(cursor="d"), NOW)
    assert (mirror.version, mirror.cursor) == (version, "d")
    mirror.take(told(subject()), NOW)
    assert mirror.version == version + 1
    mirror.begin_anew()
    assert mirror.cursor is None


class Overtaken(FeedMirror):
    """A mirror that changes during a verification, right after `name` was read."""

    def __init__(self, name: str, told: FeedChanges) -> None:
        super().__init__()
        self._name = name
        self._told = told
        self.is_armed = False

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name in ("picture", "version") and super().__getattribute__("is_armed") and name == self._name:
            self.is_armed = False
            self.take(self._told, NOW)
        return found


@pytest.mark.parametrize("name", ["picture", "version"])
def test_news_that_come_while_a_token_is_looked_at(times: Times, name: str) -> None:
    """A change during a verification applies to the next one at the latest: outdated state is not cached as new."""
    checker = times.checker()
    mirror = Overtaken(name, everything(subject(scope="read")))
    mirror.take(everything(subject()), NOW)
    checker.mirror = mirror
    mirror.is_armed = True
    checker.verify(token())
    assert checker.verify(token()).scope == "read"


def test_other_rules(times: Times) -> None:
    """When herod's issuer changes, a cached token of the former issuer is checked again."""
    checker = times.checker()
    checker.verify(token())
    checker.mirror.take(everything(subject(), rules={**RULES, "issuer": "another"}), NOW)
    with pytest.raises(BadToken):
        checker.verify(token())
