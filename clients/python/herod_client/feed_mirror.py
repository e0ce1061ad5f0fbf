"""A verifier's copy of herod's subjects and of what they delegated to apps, kept current by the feed `token.changes`.

Pure: it does no I/O. A new snapshot is built separately and replaces the current one when complete, so that a partial
one is never used.
"""

from typing import Final, TypeVar

import msgspec

from herod_client.client_errors import BadAnswer
from herod_client.core.errors import SettingsError
from herod_client.core.grants import Networks
from herod_client.core.scope_graph import ScopeGraph
from herod_client.http_messages import Json

__all__ = ["FeedChanges", "FeedDelegation", "FeedMirror", "FeedRules", "FeedSnapshot", "FeedSubject", "parse_changes"]

K = TypeVar("K")

# How long a revocation is kept beyond the lifetime of tokens, by a monotonic clock: a revoked token must not be valid
# again if the system clock was ahead and is corrected, or is behind.
KEPT_SECONDS: Final = 86_400


class _Subject(msgspec.Struct, frozen=True):
    sub: str
    kind: str
    epoch: int
    scope: str
    networks: tuple[str, ...]
    enabled: bool


class _Delegated(msgspec.Struct, frozen=True):
    id: str
    sub: str
    scope: str
    networks: tuple[str, ...]
    expires: int | None = None


class _Taken(msgspec.Struct, frozen=True):
    sub: str
    jti: str
    exp: int


class FeedRules(msgspec.Struct, frozen=True):
    """The rules that tokens are verified by, from the feed."""

    issuer: str
    audience_issuer: str
    token_ttl: int
    scopes: dict[str, tuple[str, ...]]
    networks: tuple[str, ...] = ("*",)
    started_at: int | None = None


class FeedChanges(msgspec.Struct, frozen=True):
    """One answer of the feed; docs/client.md says what its parts mean."""

    cursor: str
    reset: bool
    has_more: bool
    subjects: tuple[_Subject, ...] = ()
    delegations: tuple[_Delegated, ...] = ()  # an older herod has none
    gone: tuple[str, ...] = ()
    revoked: tuple[_Taken, ...] = ()
    rules: FeedRules | None = None
    new_keys: bool = False


class FeedSubject(msgspec.Struct, frozen=True):
    """The current state of a subject of tokens."""

    kind: str
    epoch: int
    mask: int
    networks: Networks
    is_enabled: bool


class FeedDelegation(msgspec.Struct, frozen=True):
    """What an account, `sub`, lets an app do; until `expires`, in Unix seconds."""

    sub: str
    mask: int
    networks: Networks
    expires: int | None


class FeedSnapshot:
    """The complete state at one moment.

    Attributes:
        networks: the networks that the settings list, or `*` for any.
        holders: subjects by `sub`.
        delegations: by id.
        gone: deleted subjects → until when they are kept, in monotonic seconds.
        revoked: (sub, jti or family) → the same.
    """

    __slots__ = ("delegations", "gone", "graph", "holders", "networks", "revoked", "rules")

    def __init__(self, rules: FeedRules) -> None:
        self.rules = rules
        self.graph = ScopeGraph(rules.scopes)
        self.networks: Networks = frozenset(rules.networks)
        self.holders: dict[str, FeedSubject] = {}
        self.delegations: dict[str, FeedDelegation] = {}
        self.gone: dict[str, float] = {}
        self.revoked: dict[tuple[str, str], float] = {}

    def take(self, changes: FeedChanges, now: float) -> None:
        """Apply an answer of the feed that came at `now`, in monotonic seconds."""
        for one in changes.subjects:
            mask = self.graph.mask(tuple(one.scope.split()))
            self.holders[one.sub] = FeedSubject(one.kind, one.epoch, mask, frozenset(one.networks), one.enabled)
        for grant in changes.delegations:
            mask = self.graph.mask(tuple(grant.scope.split()))
            self.delegations[grant.id] = FeedDelegation(grant.sub, mask, frozenset(grant.networks), grant.expires)
        for id_ in changes.gone:
            self.delegations.pop(id_, None)
            if self.holders.pop(id_, None) is not None:
                self.gone[id_] = self._kept_until(now)
        for taken in changes.revoked:
            self.revoked[taken.sub, taken.jti] = self._kept_until(now)
        if changes.gone:
            _forget(self.gone, now)
        if changes.revoked:
            _forget(self.revoked, now)

    def inherit(self, before: "FeedSnapshot", now: float) -> None:
        """Keep in mind which subjects were deleted since the snapshot that this one replaces, or before it."""
        missing = dict.fromkeys(before.holders.keys() - self.holders.keys(), self._kept_until(now))
        self.gone = {**before.gone, **missing}
        _forget(self.gone, now)

    def _kept_until(self, now: float) -> float:
        return now + self.rules.token_ttl + KEPT_SECONDS


class FeedMirror:
    """The state received from the feed so far.

    Attributes:
        picture: the newest complete snapshot; None before the first.
        version: increases with every change.
        cursor: where to continue; None to start over.
    """

    __slots__ = ("_draft", "cursor", "picture", "version")

    def __init__(self) -> None:
        self.picture: FeedSnapshot | None = None
        self.version = 0
        self.cursor: str | None = None
        self._draft: FeedSnapshot | None = None

    def take(self, changes: FeedChanges, now: float) -> bool:
        """Apply one answer that came at `now`, in monotonic seconds; return whether the state is complete.

        Raises:
            BadAnswer: it is not an answer of the feed.
        """
        if changes.reset:
            self._draft = _begin(changes.rules)
        target = self._draft or self.picture
        if target is None:
            raise BadAnswer("The answer is not the start of a feed.", hint="check which program listens there")
        target.take(changes, now)
        self.cursor = changes.cursor
        if self._draft is None:
            is_news = bool(changes.subjects or changes.delegations or changes.gone or changes.revoked)
            self.version += is_news
            return not changes.has_more
        if changes.has_more:
            return False
        if self.picture is not None:
            self._draft.inherit(self.picture, now)
        self.picture, self._draft = self._draft, None
        self.version += 1
        return True

    def begin_anew(self) -> None:
        """Request everything next; the current state is used until that is complete."""
        self.cursor = self._draft = None


def parse_changes(answer: Json) -> FeedChanges:
    """Parse an answer of `GET /api/v1/tokens/changes`.

    Raises:
        BadAnswer: it is malformed.
    """
    try:
        return msgspec.convert(answer["data"], FeedChanges)
    except (msgspec.ValidationError, TypeError, KeyError) as error:
        raise BadAnswer(
            f"The answer is not the feed's: {error}.", hint="this library may be older than herod"
        ) from None


def _forget(kept: dict[K, float], now: float) -> None:
    for mark in [mark for mark, until in kept.items() if until <= now]:
        del kept[mark]


def _begin(rules: FeedRules | None) -> FeedSnapshot:
    if rules is None:
        raise BadAnswer("The feed starts without its rules.", hint="this library may be older than herod")
    try:
        return FeedSnapshot(rules)
    except SettingsError as error:
        raise BadAnswer(f"The feed's scopes are invalid: {error}.") from None
