"""Offline verification against a mirror of the change feed: valid and invalid tokens, and missing or stale data."""

from typing import Any

import pytest

from herod_client import VerifiedToken
from herod_client.client_errors import InvalidInput
from herod_client.core.errors import (
    BadToken,
    Disabled,
    ExpiredToken,
    MissingScope,
    NetworkDenied,
    RevokedToken,
)
from herod_client.core.refusal_reasons import refusal_reason
from herod_client.core.signing_keys import SigningKeys, hs256_key
from herod_client.offline_token_verification import TokenChecker
from support.offline_verification import NOW, RULES, Times, everything, subject, token, told


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
