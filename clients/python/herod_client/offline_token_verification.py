"""Verifies tokens in memory: first as in `access_tokens`, then against the state from the feed.

Does no I/O and never waits; any thread may call it. The result is herod's own as of the feed's last answer: a token's
scope is its own ∩ what its subject holds now ∩ what that delegated, if the token is an app's. Unknown subjects are
refused, and so are tokens of delegations that herod has not told of.
"""

import time
from collections.abc import Callable
from typing import Final, Literal, get_args

import msgspec

from herod_client.client_errors import InvalidInput
from herod_client.core.access_tokens import CLOCK_SKEW, Claims, verify, wrong_audience
from herod_client.core.bounded_cache import BoundedCache
from herod_client.core.errors import (
    InvalidRequest,
    MissingScope,
    NetworkDenied,
    Unavailable,
)
from herod_client.core.grants import ALL_NETWORKS, Networks, check_required_network, intersect_networks
from herod_client.core.resource_indicators import check_required_resource, is_meant_for
from herod_client.core.scope_graph import canonical_scope
from herod_client.core.signing_keys import SigningKeys
from herod_client.feed_lookup import DELEGATION, find_delegation, find_subject
from herod_client.feed_mirror import FeedMirror, FeedRules, FeedSnapshot

__all__ = ["TokenChecker", "VerifiedToken", "WhenStale"]

WhenStale = Literal["refuse", "accept"]

# Cached tokens: how many, and bytes of all together.
MAX_SEEN: Final = 16_384
MAX_SEEN_BYTES: Final = 32 * 1024 * 1024
# Memory of a token's claims and result, and of a network's name in a tuple and two sets.
SEEN_BYTES: Final = 1024
NAME_BYTES: Final = 256


class VerifiedToken(msgspec.Struct, frozen=True):
    """A valid token.

    Attributes:
        sub: its subject: a client_id, a peer rule's id, or `local-admin`.
        kind: account, peer or local_admin.
        scope: its scope now, the fewest names, widest first.
        scopes: the same with everything included, for `"read" in verified.scopes`.
        networks: `*` for all.
        iat, exp: Unix seconds.
        jti: the token's own id.
        aud: its audience, if any.
        app: the client_id of the app that acts for its subject; None if it is the subject's own token.
    """

    sub: str
    kind: str
    scope: str
    scopes: frozenset[str]
    networks: Networks
    iat: int
    exp: int
    jti: str
    aud: str | None
    app: str | None = None


_Worth = tuple[int, VerifiedToken, int]


class _Seen:
    """A token that has passed `access_tokens.verify`, with the keys and rules used, and its last result.

    Attributes:
        until: when it expires, or what its subject delegated ends, in Unix seconds.
        worth: the mirror's version, the result and its scopes as bits; one value, since threads replace it at any time.
    """

    __slots__ = ("claims", "keys", "rules", "until", "worth")

    def __init__(self, claims: Claims, keys: SigningKeys, rules: FeedRules) -> None:
        self.claims = claims
        self.keys = keys
        self.rules = rules
        self.until = claims.exp
        self.worth: _Worth | None = None


class TokenChecker:
    """Verifies tokens with keys and a mirror that its owner keeps current.

    Args:
        audiences: every `aud` that means this service; tokens for another are refused.
        resource: this service's URI: tokens for that or for what lies below it are accepted too.
        network: the network this service is on, if every token must reach it.
        max_stale: seconds after the feed's last answer until the state is stale.
        when_stale: refuse everything then, or continue with the last known state.
        clock: Unix seconds.
        stopwatch: monotonic seconds.

    Raises:
        InvalidInput: an audience, the resource or the network is empty, or `when_stale` or `max_stale` is not one of
            the possible values: a check that was configured by mistake must not be left out.
    """

    def __init__(
        self,
        *,
        audiences: frozenset[str] = frozenset(),
        resource: str | None = None,
        network: str | None = None,
        max_stale: float = 60.0,
        when_stale: WhenStale = "refuse",
        clock: Callable[[], float] = time.time,
        stopwatch: Callable[[], float] = time.monotonic,
    ) -> None:
        _check_settings(audiences, resource, network, max_stale, when_stale)
        self.mirror = FeedMirror()
        self.keys: SigningKeys | None = None
        self._audiences = audiences
        self._resource = resource
        self._network = network
        self._max_stale = max_stale
        self._is_strict = when_stale == "refuse"
        self._clock = clock
        self.stopwatch = stopwatch
        self._fresh_until = float("-inf")
        self._seen: BoundedCache[str, _Seen] = BoundedCache(entries=MAX_SEEN, total=MAX_SEEN_BYTES, size=_seen_bytes)

    @property
    def is_stale(self) -> bool:
        """Whether the feed's last answer is older than `max_stale`."""
        return self.stopwatch() > self._fresh_until

    @property
    def remembered(self) -> int:
        """How many verified tokens are cached."""
        return len(self._seen)

    def touch(self) -> None:
        """Record that the state is current now."""
        self._fresh_until = self.stopwatch() + self._max_stale

    def verify(
        self, token: str, *, scope: str | None = None, network: str | None = None, resource: str | None = None
    ) -> VerifiedToken:
        """Verify a token, that it is for this service, and that it has the scope and network that are required.

        Args:
            token: an access token as presented, without `Bearer`.
            scope: the required scope, or several separated by spaces.
            network: the required network; by default the service's own.
            resource: the URI of the part of the service that is asked; by default the service's own.

        Raises:
            InvalidInput: the required scope, network or resource is empty, blank or unknown, which no token passes.
            BadToken: it is malformed, not herod's, or for another resource.
            FutureToken: it was issued in the future.
            ExpiredToken: it has expired.
            RevokedToken: it was revoked, or its subject was deleted.
            Disabled: its account is disabled.
            MissingScope: it, or its subject now, does not have the scope; `missing` names it.
            NetworkDenied: it does not reach the network.
            Unavailable: herod has not answered for too long.
        """
        if self.stopwatch() > self._fresh_until and self._is_strict:
            raise Unavailable("Herod has not answered for too long: no token can be verified.", reason="stale")
        # The version before the picture: a result from a picture newer than its version is only computed once more.
        version = self.mirror.version
        picture, keys = self.mirror.picture, self.keys
        if picture is None or keys is None:
            raise Unavailable("Herod has not answered yet: no token can be verified.", reason="stale")
        if network is None:
            network = self._network
        needed = 0 if scope is None and network is None else _required(picture, scope, network)
        if resource is not None:
            _check_resource(resource)
        now = self._clock()
        seen = self._seen.get(token)
        if (
            seen is None
            or seen.keys is not keys
            or seen.rules is not picture.rules
            or not seen.claims.iat - CLOCK_SKEW <= now < seen.until
        ):
            seen = self._open(token, picture, keys, int(now))
        worth = seen.worth
        if worth is None or worth[0] != version:
            worth = seen.worth = self._judge(seen, picture, version, int(now))
        _, verified, mask = worth
        if verified.aud is not None:
            self._check_audience(verified.aud, resource)
        if mask & needed != needed:
            raise _lacking(mask, picture, scope or "")
        if network is not None and "*" not in verified.networks and network not in verified.networks:
            raise NetworkDenied(f"This token has no access to network {network!r}.", missing=network)
        return verified

    def _open(self, token: str, picture: FeedSnapshot, keys: SigningKeys, now: int) -> _Seen:
        rules = picture.rules
        claims = verify(
            token,
            keys,
            issuer=rules.issuer,
            audience_issuer=rules.audience_issuer,
            ttl=rules.token_ttl,
            now=now,
        )
        seen = _Seen(claims, keys, rules)
        self._seen.keep(token, seen)
        return seen

    def _check_audience(self, audience: str, resource: str | None) -> None:
        """Refuse a token for another service."""
        if resource is None:
            if audience in self._audiences:
                return
            resource = self._resource
        if resource is None or not is_meant_for(audience, resource):
            raise wrong_audience()

    def _judge(self, seen: _Seen, picture: FeedSnapshot, version: int, now: int) -> _Worth:
        """Compute the result for a token from the current state, for whatever resource it is.

        Raises:
            BadToken: its subject is not known, or it is an app's without an audience.
            RevokedToken, Disabled: as `find_subject` and `find_delegation`.
        """
        claims, graph = seen.claims, picture.graph
        holder = find_subject(picture, claims)
        mask = graph.mask(tuple(claims.scope.split())) & holder.mask
        own = ALL_NETWORKS if claims.networks is None else frozenset(claims.networks)
        networks = intersect_networks(holder.networks, own)
        app = None
        if claims.via.startswith(DELEGATION):
            delegation = find_delegation(picture, claims, now)
            mask, networks = mask & delegation.mask, intersect_networks(networks, delegation.networks)
            app = claims.client_id
            if delegation.expires is not None:
                seen.until = min(claims.exp, delegation.expires)
        verified = VerifiedToken(
            sub=claims.sub,
            kind=holder.kind,
            scope=" ".join(graph.names(mask)),
            scopes=frozenset(name for name in graph.scopes if graph.bit(name) & mask),
            networks=networks,
            iat=claims.iat,
            exp=claims.exp,
            jti=claims.jti,
            aud=claims.aud,
            app=app,
        )
        return version, verified, mask


def _required(picture: FeedSnapshot, scope: str | None, network: str | None) -> int:
    """The bits of a required scope; of no scope 0."""
    try:
        if network is not None:
            check_required_network(network, picture.networks)
        return 0 if scope is None else picture.graph.required(scope)
    except InvalidRequest as error:
        raise InvalidInput(error.message) from None


def _check_resource(resource: str) -> None:
    try:
        check_required_resource(resource)
    except InvalidRequest as error:
        raise InvalidInput(error.message) from None


def _check_settings(
    audiences: frozenset[str], resource: str | None, network: str | None, max_stale: float, when_stale: WhenStale
) -> None:
    if not all(audience.strip() for audience in audiences):
        raise InvalidInput("An audience is empty: give the URI of this service, or leave it out.")
    if resource is not None:
        _check_resource(resource)
    if network is not None:
        try:
            check_required_network(network)
        except InvalidRequest as error:
            raise InvalidInput(error.message) from None
    if not max_stale >= 2:  # NaN compares as neither
        raise InvalidInput(f"max_stale is {max_stale:g}: give 2 seconds or more.")
    if when_stale not in get_args(WhenStale):
        raise InvalidInput(f"when_stale is {when_stale!r}: give 'refuse' or 'accept'.")


def _seen_bytes(token: str, seen: _Seen) -> int:
    return SEEN_BYTES + 2 * len(token) + NAME_BYTES * len(seen.claims.networks or ())


def _lacking(mask: int, picture: FeedSnapshot, scope: str) -> MissingScope:
    """Return the error that names the first scope that the token does not have."""
    missing = canonical_scope([next((name for name in scope.split() if not mask & picture.graph.bit(name)), scope)])
    return MissingScope(f"This needs scope {missing!r}, which this token does not have.", missing=missing)
