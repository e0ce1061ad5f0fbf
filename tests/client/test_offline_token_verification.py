"""Offline verification against a mirror of the change feed: valid and invalid tokens, and missing or stale data."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from herod_client import VerifiedToken
from herod_client.client_errors import BadAnswer, InvalidInput
from herod_client.core.access_tokens import Claims, issue
from herod_client.core.errors import (
    BadToken,
    Disabled,
    ExpiredToken,
    FutureToken,
    MissingScope,
    NetworkDenied,
    RevokedToken,
    Unavailable,
)
from herod_client.core.refusal_reasons import refusal_reason
from herod_client.core.scope_graph import BUILT_IN
from herod_client.core.signing_keys import SigningKeys, hs256_key
from herod_client.feed_mirror import FeedChanges, FeedMirror, parse_changes
from herod_client.offline_token_verification import MAX_SEEN, NAME_BYTES, TokenChecker, WhenStale

NOW = 1_800_000_000
KEY = hs256_key("a secret for tests that is long enough to sign")
RULES: dict[str, Any] = {
    "issuer": "hero_auth",
    "audience_issuer": "https://herod.example",
    "token_ttl": 3600,
    "scopes": {**{name: list(included) for name, included in BUILT_IN.items()}, "jobs": ["user"]},
}


def subject(sub: str = "ada", **more: Any) -> dict[str, Any]:
    """A subject as in the feed."""
    return {
        "sub": sub, "kind": "account", "epoch": 1, "scope": "write", "networks": ["*"], "enabled": True, **more,
    }  # fmt: skip


def told(*subjects: dict[str, Any], **more: Any) -> FeedChanges:
    """An answer of the feed."""
    body = {"cursor": "c", "reset": False, "has_more": False, "subjects": subjects, "gone": [], "revoked": [],
            "rules": None, **more}  # fmt: skip
    return parse_changes({"data": body})


def everything(*subjects: dict[str, Any], **more: Any) -> FeedChanges:
    """The feed's first answer."""
    return told(*subjects, **{"reset": True, "rules": RULES, **more})


def token(**more: Any) -> str:
    """A token of ada."""
    claims = {
        "sub": "ada", "iss": "hero_auth", "iat": NOW, "exp": NOW + 3600, "scope": "write", "jti": "j", "epoch": 1,
        "via": "client_secret", **more,
    }  # fmt: skip
    return issue(Claims(**claims), KEY)


@dataclass
class Times:
    """Clocks that tests set."""

    now: float = NOW
    monotonic: float = 0.0
    checkers: list[TokenChecker] = field(default_factory=list)

    def checker(self, *changes: FeedChanges, when_stale: WhenStale = "refuse", **more: Any) -> TokenChecker:
        """A checker that has received this answer."""
        made = TokenChecker(
            clock=lambda: self.now, stopwatch=lambda: self.monotonic, when_stale=when_stale, **more
        )  # fmt: skip
        made.keys = SigningKeys(KEY)
        for one in changes or (everything(subject()),):
            made.mirror.take(one, self.monotonic)
        made.touch()
        return made


@pytest.fixture
def times() -> Times:
    """The clocks."""
    return Times()


def test_a_good_token(times: Times) -> None:
    """A verified token has its subject and scopes, with the included scopes."""
    verified = times.checker().verify(token(), scope="read")
    assert verified == VerifiedToken(
        sub="ada", kind="account", scope="write", scopes=frozenset({"read", "write"}), networks=frozenset({"*"}),
        iat=NOW, exp=NOW + 3600, jti="j", aud=None,
    )  # fmt: skip


def test_seen_again_it_is_the_same(times: Times) -> None:
    """Verifying a token again uses the cache and gives the same result."""
    checker = times.checker()
    assert checker.verify(token()) is checker.verify(token())


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"jti": "other", "sub": "nobody"}, BadToken),
        ({"epoch": 2}, RevokedToken),
        ({"via": "user_key:k"}, RevokedToken),
        ({"via": "peer"}, RevokedToken),
        ({"jti": "taken"}, RevokedToken),
        ({"sub": "off"}, Disabled),
        ({"iat": NOW - 3600, "exp": NOW}, ExpiredToken),
        ({"exp": NOW + 3601}, BadToken),
        ({"iss": "somebody"}, BadToken),
        ({"aud": "https://other.example", "client_id": "ada", "iss": "https://herod.example"}, BadToken),
    ],
)
def test_what_is_refused(times: Times, more: dict[str, Any], expected: type[Exception]) -> None:
    """Tokens that are unknown, outdated, revoked, disabled, expired, too long or foreign are refused."""
    revoked = [{"sub": "ada", "jti": "taken", "exp": NOW + 3600}]
    checker = times.checker(everything(subject(), subject("off", enabled=False), revoked=revoked))
    with pytest.raises(expected):
        checker.verify(token(**more))


def test_another_key(times: Times) -> None:
    """A signature with another secret is refused, and new keys clear the cache."""
    checker = times.checker()
    good = token()
    checker.verify(good)
    checker.keys = SigningKeys(hs256_key("another secret that is long enough, for sure"))
    with pytest.raises(BadToken):
        checker.verify(good)


def test_an_audience_of_ours(times: Times) -> None:
    """A token for this service's audience is accepted."""
    ours = token(aud="https://me.example", client_id="ada", iss="https://herod.example")
    checker = times.checker(audiences=frozenset({"https://me.example"}))
    assert checker.verify(ours).aud == "https://me.example"


@pytest.mark.parametrize(
    ("audience", "own", "asked", "is_good"),
    [
        ("https://me.example", "https://me.example/", None, True),
        ("https://me.example/mcp", "https://me.example", None, True),
        ("https://me.example", "https://me.example/mcp", None, False),
        ("https://me.example/mcp", "https://me.example", "https://me.example/mcp", True),
        ("https://me.example/ui", "https://me.example", "https://me.example/mcp", False),
        ("https://me.example", None, "https://me.example", True),
        ("https://me.example", None, None, False),
        ("https://other.example", "https://me.example", "https://other.example", True),
        (None, "https://me.example", "https://me.example/mcp", True),
    ],
)
def test_a_resource(times: Times, audience: str | None, own: str | None, asked: str | None, is_good: bool) -> None:
    """A token with `aud` is accepted at its resource and above it, by the verifier's or the call's; each time anew."""
    given = {} if audience is None else {"aud": audience, "client_id": "ada", "iss": "https://herod.example"}
    checker = times.checker(resource=own)
    for _ in range(2):  # the second time from the cache
        if is_good:
            assert checker.verify(token(**given), resource=asked).aud == audience
        else:
            with pytest.raises(BadToken, match="another resource") as refused:
                checker.verify(token(**given), resource=asked)
            assert refusal_reason(refused.value) == "audience"


def test_an_audience_and_a_resource(times: Times) -> None:
    """Other names of the service are accepted beside its resource, unless a call asks about one part of it."""
    checker = times.checker(audiences=frozenset({"jobs:"}), resource="https://me.example")
    other = token(aud="jobs:", client_id="ada", iss="https://herod.example")
    assert checker.verify(other).aud == "jobs:"
    with pytest.raises(BadToken):
        checker.verify(other, resource="https://me.example/mcp")


def test_expiry_is_looked_at_each_time(times: Times) -> None:
    """A cached token is refused once it expires; setting the clock back far does not help."""
    checker = times.checker()
    good = token()
    checker.verify(good)
    times.now = NOW + 3599.9
    checker.verify(good)
    times.now = NOW + 3600
    with pytest.raises(ExpiredToken):
        checker.verify(good)
    times.now = NOW - 61
    with pytest.raises(BadToken):
        checker.verify(good)


def test_scope_is_what_both_hold(times: Times) -> None:
    """The scope is the intersection of token and subject at every use, including scopes of the settings."""
    checker = times.checker()
    good = token()
    checker.mirror.take(told(subject(scope="read")), NOW)
    assert checker.verify(good).scope == "read"
    with pytest.raises(MissingScope) as refused:
        checker.verify(good, scope="read write")
    assert refused.value.missing == "write"
    checker.mirror.take(told(subject(scope="admin jobs")), NOW)
    assert checker.verify(good).scope == "write"
    assert checker.verify(token(scope="jobs"), scope="user").scope == "jobs"
    assert checker.verify(token(scope=""), scope=None).scopes == frozenset()


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"scope": ""}, "required scope is empty"),
        ({"scope": " "}, "required scope is empty"),
        ({"scope": "launch"}, "Unknown scope 'launch'"),
        ({"scope": "read launch"}, "Unknown scope 'launch'"),
        ({"network": ""}, "required network is empty"),
        ({"network": "\t"}, "required network is empty"),
        ({"network": "a b"}, "not a network name"),
        ({"network": "attic"}, "Unknown network 'attic'"),
        ({"scope": "read", "network": ""}, "required network is empty"),
        ({"resource": ""}, "resource is empty"),
        ({"resource": "me.example"}, "absolute URI"),
    ],
    ids=str,
)
def test_a_requirement_that_is_a_mistake_never_passes(times: Times, asked: dict[str, str], problem: str) -> None:
    """An empty, blank or unknown requirement is the service's mistake, whatever the token: not a refusal of it."""
    checker = times.checker(everything(subject(), rules={**RULES, "networks": ["lab", "prod"]}), network="prod")
    for text in (token(), token(), "a.b.c"):
        with pytest.raises(InvalidInput, match=problem) as mistaken:
            checker.verify(text, **asked)
        assert isinstance(mistaken.value, ValueError)
    assert checker.verify(token(), scope="read", network="lab").sub == "ada"


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"network": ""}, "required network is empty"),
        ({"network": " "}, "required network is empty"),
        ({"network": "a b"}, "not a network name"),
        ({"audiences": frozenset({""})}, "audience is empty"),
        ({"audiences": frozenset({" "})}, "audience is empty"),
        ({"resource": " "}, "resource is empty"),
        ({"resource": "https://"}, "absolute URI"),
        ({"max_stale": 1.9}, "max_stale is 1.9"),
        ({"max_stale": float("nan")}, "max_stale is nan"),
        ({"when_stale": ""}, "when_stale is ''"),
        ({"when_stale": "Refuse"}, "when_stale is 'Refuse'"),
    ],
    ids=str,
)
def test_settings_from_an_unset_variable(settings: dict[str, Any], problem: str) -> None:
    """An empty or misspelled argument does not switch a check off: the verifier is not made."""
    with pytest.raises(InvalidInput, match=problem):
        TokenChecker(**settings)


def test_an_alias_may_be_asked_for(times: Times) -> None:
    """A scope may be requested by an alias of older systems."""
    times.checker().verify(token(), scope="member")


@pytest.mark.parametrize(
    ("theirs", "own", "network", "is_good"),
    [
        (["*"], None, "lab", True),
        (["lab"], None, "lab", True),
        (["lab"], None, "attic", False),
        (["*"], ("lab",), "attic", False),
        (["lab"], ("attic",), "lab", False),
        (["lab"], None, None, True),
    ],
)
def test_networks(times: Times, theirs: list[str], own: Any, network: str | None, is_good: bool) -> None:
    """Both token and subject must cover the requested network."""
    checker = times.checker(everything(subject(networks=theirs)))
    text = token(networks=own)
    if is_good:
        checker.verify(text, network=network)
    else:
        with pytest.raises(NetworkDenied):
            checker.verify(text, network=network)


def test_the_services_own_network(times: Times) -> None:
    """A network given to the checker applies to every token."""
    checker = times.checker(everything(subject(networks=["lab"])), network="attic")
    with pytest.raises(NetworkDenied):
        checker.verify(token())
    checker.verify(token(), network="lab")


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
