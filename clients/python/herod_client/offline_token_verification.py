"""Verifies tokens in memory: first as in `access_tokens`, then against the state from the feed.

Does no I/O and never waits; any thread may call it. The result is herod's own as of the feed's last answer: a token's
scope is its own ∩ what its subject holds now, and unknown subjects are refused.
"""

import time
from collections.abc import Callable
from typing import Final, Literal

import msgspec

from herod_client.core.access_tokens import CLOCK_SKEW, Claims, verify
from herod_client.core.bounded_cache import BoundedCache
from herod_client.core.errors import Disabled, MissingScope, NetworkDenied, RevokedToken, Unavailable
from herod_client.core.grants import ALL_NETWORKS, Networks, intersect_networks
from herod_client.core.scope_graph import canonical_scope
from herod_client.core.signing_keys import SigningKeys
from herod_client.feed_mirror import FeedMirror, FeedRules, FeedSnapshot, FeedSubject

__all__ = ["TokenChecker", "VerifiedToken", "WhenStale"]

WhenStale = Literal["refuse", "accept"]

# Cached tokens: how many, and bytes of all together.
MAX_SEEN: Final = 16_384
MAX_SEEN_BYTES: Final = 32 * 1024 * 1024
# Memory of a token's claims and result, and of a network's name in a tuple and two sets.
SEEN_BYTES: Final = 1024
NAME_BYTES: Final = 256
MAX_NEEDED: Final = 256
# Kind of subject → the only parent credentials (`via`) of its tokens.
VIAS: Final = {
    "account": frozenset({"client_secret", "password"}),
    "peer": frozenset({"peer"}),
    "local_admin": frozenset({"local_admin"}),
}


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


_Worth = tuple[int, VerifiedToken, int]


class _Seen:
    """A token that has passed `access_tokens.verify`, with the keys and rules used, and its last result.

    Attributes:
        worth: the mirror's version, the result and its scopes as bits; one value, since threads replace it at any time.
    """

    __slots__ = ("claims", "keys", "rules", "worth")

    def __init__(self, claims: Claims, keys: SigningKeys, rules: FeedRules) -> None:
        self.claims = claims
        self.keys = keys
        self.rules = rules
        self.worth: _Worth | None = None


class TokenChecker:
    """Verifies tokens with keys and a mirror that its owner keeps current.

    Args:
        audiences: every `aud` that means this service; tokens for another are refused.
        network: the network this service is on, if every token must reach it.
        max_stale: seconds after the feed's last answer until the state is stale.
        when_stale: refuse everything then, or continue with the last known state.
        clock: Unix seconds.
        stopwatch: monotonic seconds.
    """

    def __init__(
        self,
        *,
        audiences: frozenset[str] = frozenset(),
        network: str | None = None,
        max_stale: float = 60.0,
        when_stale: WhenStale = "refuse",
        clock: Callable[[], float] = time.time,
        stopwatch: Callable[[], float] = time.monotonic,
    ) -> None:
        self.mirror = FeedMirror()
        self.keys: SigningKeys | None = None
        self._audiences = audiences
        self._network = network
        self._max_stale = max_stale
        self._is_strict = when_stale == "refuse"
        self._clock = clock
        self.stopwatch = stopwatch
        self._fresh_until = float("-inf")
        self._seen: BoundedCache[str, _Seen] = BoundedCache(entries=MAX_SEEN, total=MAX_SEEN_BYTES, size=_seen_bytes)
        # Bits of required scopes, with the snapshot that they are from.
        self._needed: tuple[FeedSnapshot | None, dict[str, int]] = (None, {})

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

    def verify(self, token: str, *, scope: str | None = None, network: str | None = None) -> VerifiedToken:
        """Verify a token, and that it has the scope and network that are required.

        Args:
            token: an access token as presented, without `Bearer`.
            scope: the required scope, or several separated by spaces.
            network: the required network; by default the service's own.

        Raises:
            BadToken: it is malformed, not herod's, or for another audience.
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
        now = self._clock()
        seen = self._seen.get(token)
        if (
            seen is None
            or seen.keys is not keys
            or seen.rules is not picture.rules
            or not seen.claims.iat - CLOCK_SKEW <= now < seen.claims.exp
        ):
            seen = self._open(token, picture, keys, int(now))
        worth = seen.worth
        if worth is None or worth[0] != version:
            worth = seen.worth = _judge(seen.claims, picture, version)
        _, verified, mask = worth
        if scope is not None:
            known, bits = self._needed
            needed = bits.get(scope, 0) if known is picture else 0
            if not needed:
                needed = self._bits(picture, scope)
            if mask & needed != needed:
                raise _lacking(mask, picture, scope)
        network = network or self._network
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
            audiences=self._audiences,
            ttl=rules.token_ttl,
            now=now,
        )
        seen = _Seen(claims, keys, rules)
        self._seen.keep(token, seen)
        return seen

    def _bits(self, picture: FeedSnapshot, scope: str) -> int:
        bits = [picture.graph.bit(name) for name in scope.split()]
        if not bits or not all(bits):  # a scope that nobody can hold admits nobody
            raise MissingScope(f"No token has scope {scope!r}: there is no such scope.", missing=scope)
        needed = sum(set(bits))
        known, remembered = self._needed
        if known is not picture or len(remembered) >= MAX_NEEDED:
            self._needed = (picture, remembered := {})
        remembered[scope] = needed
        return needed


def _seen_bytes(token: str, seen: _Seen) -> int:
    return SEEN_BYTES + 2 * len(token) + NAME_BYTES * len(seen.claims.networks or ())


def _judge(claims: Claims, picture: FeedSnapshot, version: int) -> _Worth:
    """Compute the result for a token from the current state."""
    holder = _holder(picture, claims)
    graph = picture.graph
    mask = graph.mask(tuple(claims.scope.split())) & holder.mask
    own = ALL_NETWORKS if claims.networks is None else frozenset(claims.networks)
    verified = VerifiedToken(
        sub=claims.sub,
        kind=holder.kind,
        scope=" ".join(graph.names(mask)),
        scopes=frozenset(name for name in graph.scopes if graph.bit(name) & mask),
        networks=intersect_networks(holder.networks, own),
        iat=claims.iat,
        exp=claims.exp,
        jti=claims.jti,
        aud=claims.aud,
    )
    return version, verified, mask


def _lacking(mask: int, picture: FeedSnapshot, scope: str) -> MissingScope:
    """Return the error that names the first scope that the token does not have."""
    missing = canonical_scope([next((name for name in scope.split() if not mask & picture.graph.bit(name)), scope)])
    return MissingScope(f"This needs scope {missing!r}, which this token does not have.", missing=missing)


def _holder(picture: FeedSnapshot, claims: Claims) -> FeedSubject:
    """Return the subject of the token.

    Raises:
        RevokedToken: it was revoked, has another epoch, or its subject does not exist.
        Disabled: the account is disabled.
    """
    holder = picture.holders.get(claims.sub)
    if (claims.sub, claims.jti) in picture.revoked:
        raise RevokedToken("This token was revoked: get a new one.")
    if holder is None or claims.via not in VIAS.get(holder.kind, ()):
        raise RevokedToken("The credential behind this token no longer exists: sign in again.")
    if not holder.is_enabled:
        raise Disabled("This account is disabled: ask an admin to enable it.")
    if holder.epoch != claims.epoch:
        raise RevokedToken("The credential behind this token no longer exists: sign in again.")
    return holder
