"""Is this token good, and what may it do? Answered from memory: the strict door, then what the feed has told.

Does no I/O and never waits; any thread may ask. The answer is herod's own as of the feed's last word: a token's scope
is what it says ∩ what its subject holds now, and where nothing is known the answer is no.
"""

import time
from collections.abc import Callable
from typing import Final, Literal

import msgspec

from herod_client.core.access_tokens import CLOCK_SKEW, Claims, verify
from herod_client.core.bounded_cache import BoundedCache
from herod_client.core.errors import Disabled, MissingScope, NetworkDenied, RevokedToken, Unavailable
from herod_client.core.grants import ALL_NETWORKS, Networks, intersect_networks
from herod_client.core.signing_keys import SigningKeys
from herod_client.feed_mirror import FeedMirror, FeedRules, FeedSnapshot, FeedSubject

__all__ = ["TokenChecker", "VerifiedToken", "WhenStale"]

WhenStale = Literal["refuse", "accept"]

# Tokens that are remembered: how many, and bytes of all together.
MAX_SEEN: Final = 16_384
MAX_SEEN_BYTES: Final = 32 * 1024 * 1024
# What Python takes for what a token said and was worth, and for a network's name in a tuple and two sets.
SEEN_BYTES: Final = 1024
NAME_BYTES: Final = 256
MAX_NEEDED: Final = 256
# What makes tokens of which kind of subject; nothing else does.
VIAS: Final = {
    "account": frozenset({"client_secret", "password"}),
    "peer": frozenset({"peer"}),
    "local_admin": frozenset({"local_admin"}),
}


class VerifiedToken(msgspec.Struct, frozen=True):
    """A good token.

    Attributes:
        sub: whose it is: a client_id, a peer rule's id, or `local-admin`.
        kind: account, peer or local_admin.
        scope: what it may do now, the fewest names, widest first.
        scopes: the same with everything included, for `"read" in verified.scopes`.
        networks: `*` for all.
        iat, exp: Unix seconds.
        jti: the token's own id.
        aud: the audience it was made for, if any.
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
    """A token that has passed the strict door, by which keys and rules, and what it was worth then.

    Attributes:
        worth: the mirror's version, the answer and its scopes as bits; one value, for threads replace it at any time.
    """

    __slots__ = ("claims", "keys", "rules", "worth")

    def __init__(self, claims: Claims, keys: SigningKeys, rules: FeedRules) -> None:
        self.claims = claims
        self.keys = keys
        self.rules = rules
        self.worth: _Worth | None = None


class TokenChecker:
    """Verifies tokens by keys and a mirror that somebody else keeps fresh.

    Args:
        audiences: every `aud` that means this service; tokens for another are refused.
        network: the network this service is on, if every token must reach it.
        max_stale: seconds after the feed's last word until nothing is known any more.
        when_stale: refuse everything then, or go on with what was known.
        clock: Unix seconds.
        stopwatch: seconds that never go back.
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
        # What scopes need, by the graph that says so.
        self._needed: tuple[FeedSnapshot | None, dict[str, int]] = (None, {})

    @property
    def is_stale(self) -> bool:
        """Whether the feed's last word is older than `max_stale`."""
        return self.stopwatch() > self._fresh_until

    @property
    def remembered(self) -> int:
        """How many verified tokens are kept."""
        return len(self._seen)

    def now(self) -> int:
        """Unix seconds."""
        return int(self._clock())

    def touch(self) -> None:
        """The feed has spoken: what is known is true now."""
        self._fresh_until = self.stopwatch() + self._max_stale

    def verify(self, token: str, *, scope: str | None = None, network: str | None = None) -> VerifiedToken:
        """Whether a token is good now and reaches what is asked for.

        Args:
            token: an access token as presented, without `Bearer`.
            scope: what it must hold: a scope, or several with spaces between.
            network: what it must reach; by default the service's own.

        Raises:
            BadToken: it is malformed, not herod's, or for another audience.
            ExpiredToken: its time is over.
            RevokedToken: it was taken back, or its subject is gone.
            Disabled: its account is switched off.
            MissingScope: it, or its subject by now, does not hold the scope; `missing` names it.
            NetworkDenied: it does not reach the network.
            Unavailable: nothing was heard of herod for too long.
        """
        if self.stopwatch() > self._fresh_until and self._is_strict:
            raise Unavailable("Nothing was heard of herod for too long to trust any token.", reason="stale")
        # The version before the picture: what is judged by a newer picture than it says is only judged once more.
        version = self.mirror.version
        picture, keys = self.mirror.picture, self.keys
        if picture is None or keys is None:
            raise Unavailable("Herod has not been heard of yet: no token can be verified.", reason="stale")
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
        if not bits or not all(bits):  # a service that asks for what nobody can hold lets nobody in
            raise MissingScope(f"No token holds {scope!r}: herod knows no such scope.", missing=scope)
        needed = sum(set(bits))
        known, remembered = self._needed
        if known is not picture or len(remembered) >= MAX_NEEDED:
            self._needed = (picture, remembered := {})
        remembered[scope] = needed
        return needed


def _seen_bytes(token: str, seen: _Seen) -> int:
    return SEEN_BYTES + 2 * len(token) + NAME_BYTES * len(seen.claims.networks or ())


def _judge(claims: Claims, picture: FeedSnapshot, version: int) -> _Worth:
    """What a token is worth now."""
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
    """The refusal that names the first scope which the token does not have."""
    missing = next((name for name in scope.split() if not mask & picture.graph.bit(name)), scope)
    return MissingScope(f"This needs scope {missing!r}, which this token does not have.", missing=missing)


def _holder(picture: FeedSnapshot, claims: Claims) -> FeedSubject:
    """Whom the token names.

    Raises:
        RevokedToken: it was taken back, is of another epoch, or names nobody.
        Disabled: the account is switched off.
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
