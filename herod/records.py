"""The records that the store seals, one row each.

A record is immutable; a change replaces it. Its class defines its other key (`lookup`), its owner (`owner_id`) and its
expiry (`expires_at`): the store keeps only these unsealed, and the lookup only as an HMAC. Fields may be added with a
default; none may change its meaning.
"""

from collections.abc import Mapping
from typing import ClassVar, Final, NamedTuple

import msgspec

__all__ = [
    "RECORD_TYPES",
    "REGISTERED",
    "SERVICE_KEYS",
    "Account",
    "ApiKey",
    "ClockRecord",
    "Deletion",
    "FieldUse",
    "GuessCount",
    "HashKey",
    "LegacyUse",
    "PeerRule",
    "Record",
    "Resource",
    "ResourceTally",
    "Revocation",
    "Session",
    "SessionEpoch",
    "SigningKeyRecord",
    "resource_owner",
]


SERVICE_KEYS: Final = "service"
"""The owner column of service keys."""
REGISTERED: Final = "registered"
"""The owner column of accounts that registered themselves, so that they can be counted."""


class FieldUse(NamedTuple):
    """Where a field of a record appears outside the store.

    Attributes:
        exported: its column in the file that `herod export` writes and `herod import` reads; None: it stays here.
        shown: its name in what users see (`pipeline/result_views.py`); None: it is not shown as it is.
    """

    exported: str | None = None
    shown: str | None = None


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Abstract: a sealed record with an id. Times are Unix seconds.

    Attributes:
        kind: the row's kind column.
        is_unique: whether two records may not share a lookup.
        is_followed: whether the change feed reports its changes.
        field_uses: field → where it appears outside the store; of records that are exported.
        hides_owner: whether the owner column holds an HMAC of `owner_id`, as the lookup column does of `lookup`.
    """

    kind: ClassVar[str]
    is_unique: ClassVar[bool] = False
    is_followed: ClassVar[bool] = True
    hides_owner: ClassVar[bool] = False
    field_uses: ClassVar[Mapping[str, FieldUse]] = {}

    id: str
    created_at: int
    expires_at: int | None = None

    def __repr__(self) -> str:
        """Without sealed values: hashes, keys, emails."""
        return f"{type(self).__name__}({self.id!r})"

    @property
    def lookup(self) -> tuple[str, ...] | None:
        """The words it can be found by, besides its id."""
        return None

    def has_ended(self, now: int) -> bool:
        """Whether it has expired."""
        return self.expires_at is not None and self.expires_at <= now

    @property
    def owner_id(self) -> str | None:
        """The account it belongs to."""
        return None


class Account(Record, frozen=True, kw_only=True):
    """An account that can sign in. `id` is the OAuth2 client_id.

    Attributes:
        email: in the normal form at the time (`pipeline/email_addresses.py`); None for accounts that only use a client
            secret.
        password: an Argon2id PHC string, or a hash imported from Hero Auth; None if no password is set.
        secret_hash: of the client secret, in a form of `credentials/imported_secret_hashes.py`; empty for none.
        epoch: tokens carry the epoch they were issued in, and are invalid once it has changed.
        registered: it was created by open registration, not by an admin.
    """

    kind: ClassVar[str] = "account"
    is_unique: ClassVar[bool] = True
    field_uses: ClassVar[Mapping[str, FieldUse]] = {
        "id": FieldUse(exported="client_id", shown="client_id"),
        "created_at": FieldUse(exported="created_at", shown="created_at"),
        "expires_at": FieldUse(),  # an account does not expire
        "email": FieldUse(exported="email", shown="email"),
        "name": FieldUse(exported="name", shown="name"),
        "password": FieldUse(exported="password_hash"),
        "secret_hash": FieldUse(exported="client_secret_hash"),
        "scope": FieldUse(exported="scope", shown="scope"),
        "networks": FieldUse(exported="networks", shown="networks"),
        "enabled": FieldUse(exported="enabled", shown="enabled"),
        "epoch": FieldUse(),  # tokens of another herod are not valid here
        "registered": FieldUse(),  # whoever imports an account chose to
    }

    email: str | None
    name: str
    password: str | None
    secret_hash: bytes
    scope: tuple[str, ...]
    networks: tuple[str, ...]
    enabled: bool = True
    epoch: int = 1
    registered: bool = False

    @property
    def lookup(self) -> tuple[str, ...] | None:
        """By email."""
        return None if self.email is None else ("email", self.email)

    @property
    def owner_id(self) -> str | None:
        """Nobody; those that registered themselves share one name, so that they can be counted."""
        return REGISTERED if self.registered else None


class ApiKey(Record, frozen=True, kw_only=True):
    """An API key. `id` is the 12 characters in the key itself.

    Attributes:
        owner: the account that the key belongs to; None for a service key.
        creator: the id of the account, key or peer rule that created it.
        secret_hash: HMAC of the whole key.
        former_hash: the hash before the last rotation, valid until `former_until`.
        epoch: tokens and sessions made with the key carry its epoch, and are invalid once it has changed.
        former_epoch: the same for those made with the former secret.
        is_superseded: it has expired, and another key was given its name since.
    """

    kind: ClassVar[str] = "key"
    is_unique: ClassVar[bool] = True
    field_uses: ClassVar[Mapping[str, FieldUse]] = {
        "id": FieldUse(exported="id", shown="id"),
        "created_at": FieldUse(exported="created_at", shown="created_at"),
        "expires_at": FieldUse(exported="expires_at", shown="expires_at"),
        "name": FieldUse(exported="name", shown="name"),
        "owner": FieldUse(exported="owner", shown="owner"),
        "creator": FieldUse(exported="creator"),
        "secret_hash": FieldUse(exported="secret_hash"),
        "scope": FieldUse(exported="scope", shown="scope"),
        "networks": FieldUse(exported="networks", shown="networks"),
        "enabled": FieldUse(exported="enabled", shown="enabled"),
        # An overlap ends with the move, and so does everything that was made with the key; details show the overlap.
        "former_hash": FieldUse(),
        "former_until": FieldUse(),
        "rotated_at": FieldUse(),
        "epoch": FieldUse(),
        "former_epoch": FieldUse(),
        "is_superseded": FieldUse(),  # an import finds out again which keys of a name have expired
    }

    name: str
    owner: str | None
    creator: str
    secret_hash: bytes
    scope: tuple[str, ...]
    networks: tuple[str, ...]
    enabled: bool = True
    former_hash: bytes | None = None
    former_until: int = 0
    rotated_at: int | None = None
    epoch: int = 0
    former_epoch: int = 0
    is_superseded: bool = False

    @property
    def lookup(self) -> tuple[str, ...]:
        """By owner and name, unless another key has that name now."""
        return ("superseded", self.id) if self.is_superseded else ("name", self.owner or "", self.name)

    @property
    def owner_id(self) -> str:
        """The owner's account; all service keys share one name, so that they can be listed together."""
        return SERVICE_KEYS if self.owner is None else self.owner


class Session(Record, frozen=True, kw_only=True):
    """A signed-in browser. `id` is the HMAC, in hex, of the cookie's value.

    Attributes:
        subject: the `sub` of the principal that signed in.
        via: the credential that signed in, as `identity/parent_credential.py` writes it; the session never exceeds it.
        epoch: the subject's epoch when the session began.
        source: where it began, as in the audit log; empty if unknown.
        browser: the browser's family, without its version.
        half: HMAC, in hex, of the secret's part in the browser's cookie: its next sign-in ends this session.
        boot: the run of the daemon that it ends with; None for a session over TLS, which outlasts it.
        epochs: the session epochs of its subject and of everyone when it began (`SessionEpoch`).
        maker: whose share of the limits it uses, if several local users sign in as its subject; else empty.
    """

    kind: ClassVar[str] = "session"

    subject: str
    via: str
    epoch: int
    scope: tuple[str, ...]
    networks: tuple[str, ...]
    source: str = ""
    browser: str = ""
    half: str = ""
    boot: int | None = None
    epochs: tuple[int, int] = (0, 0)
    maker: str = ""

    @property
    def lookup(self) -> tuple[str, ...] | None:
        """By the browser's cookie."""
        return ("half", self.half) if self.half else None

    @property
    def owner_id(self) -> str:
        """Who signed in."""
        return self.subject


class SessionEpoch(Record, frozen=True, kw_only=True):
    """Ends all earlier sessions of a subject at once, however many. `id` is the subject, or `*` for everyone."""

    kind: ClassVar[str] = "session_epoch"
    is_followed: ClassVar[bool] = False

    epoch: int


class Resource(Record, frozen=True, kw_only=True):
    """A resource that a service has claimed for a tenant, who is known by a secret. `id` is the sid.

    Attributes:
        claimant: the principal that claimed it: an account, service key or peer rule; it may no longer exist.
        type: the sort of resource, in the claimant's words. Users call it the resource's kind.
        secret: the hash, in hex, of the tenant's secret, which owns the resource; empty: everyone for whom the claimant
            asks.
        attributes: a JSON object, as text.
        counted: it is part of its claimant's `ResourceTally`; older ones are not.
    """

    kind: ClassVar[str] = "resource"
    hides_owner: ClassVar[bool] = True

    claimant: str
    type: str
    secret: str
    name: str
    attributes: bytes
    counted: bool = False

    @property
    def lookup(self) -> tuple[str, ...]:
        """By everything that the caller must know: a mismatch in any part costs the same work and finds nothing."""
        return ("sid", self.id, self.claimant, self.secret)

    @property
    def owner_id(self) -> str:
        """The group of resources that one secret owns of one type at one claimant."""
        return resource_owner(self.type, self.claimant, self.secret)


def resource_owner(type: str, claimant: str, secret: str) -> str:
    """The owner column of the resources of one type, claimant and secret; the encoding is unambiguous."""
    return "".join(f"{len(word)}:{word}" for word in (type, claimant, secret))


class ResourceTally(Record, frozen=True, kw_only=True):
    """The number of resources of one claimant, whose id it has: no index counts them, as their owner is hidden."""

    kind: ClassVar[str] = "resource_tally"
    is_followed: ClassVar[bool] = False

    number: int


class PeerRule(Record, frozen=True, kw_only=True):
    """What a local uid or gid may do without another credential.

    Attributes:
        subject: `uid:1000` or `gid:1000`.
        epoch: as an account's; changed only when all tokens are ended at once.
    """

    kind: ClassVar[str] = "peer"
    is_unique: ClassVar[bool] = True

    subject: str
    creator: str
    scope: tuple[str, ...]
    networks: tuple[str, ...]
    epoch: int = 0

    @property
    def lookup(self) -> tuple[str, ...]:
        """By uid or gid."""
        return ("peer", self.subject)


class Revocation(Record, frozen=True, kw_only=True):
    """A revoked token. `id` is `sub/jti`; the record is purged once the token has expired.

    Attributes:
        epoch: the token's epoch: once its subject has another one, the record is not needed. None: unknown.
    """

    kind: ClassVar[str] = "revocation"

    subject: str
    jti: str
    epoch: int | None = None

    @property
    def owner_id(self) -> str:
        """The subject of the token."""
        return self.subject


class SigningKeyRecord(Record, frozen=True, kw_only=True):
    """A key that signs or has signed tokens. `id` is its `kid`; `expires_at` is its hard stop, None while it signs."""

    kind: ClassVar[str] = "signing"

    algorithm: str
    private: bytes


class HashKey(Record, frozen=True, kw_only=True):
    """A hash key that came with imported records. `id` is its `hash_key_id`.

    Attributes:
        key: 32 bytes; verifies hashes that were made with it elsewhere, and makes no new ones.
    """

    kind: ClassVar[str] = "hash_key"

    key: bytes


class GuessCount(Record, frozen=True, kw_only=True):
    """The failed attempts of one counter (`throttle/rules.py`). `id` is an HMAC, so that the record names nobody.

    They change with every sign-in and only the next one reads them, so the feed leaves them out.

    Attributes:
        marks: (Unix seconds, number of attempts), oldest first.
    """

    kind: ClassVar[str] = "guess"
    is_followed: ClassVar[bool] = False

    marks: tuple[tuple[int, int], ...]


class LegacyUse(Record, frozen=True, kw_only=True):
    """The uses of a legacy secret. `id` is the secret's id; `created_at` is when it was first seen in the settings.

    Attributes:
        promoted_to: the service key that replaces it.
    """

    kind: ClassVar[str] = "legacy_use"
    is_followed: ClassVar[bool] = False

    uses: int = 0
    last_used_at: int | None = None
    last_used_from: str | None = None
    promoted_to: str | None = None


class ClockRecord(Record, frozen=True, kw_only=True):
    """How far the clock by which expired records are deleted has come (`pipeline/process/steady_clock.py`).

    Attributes:
        reached: Unix seconds.
    """

    kind: ClassVar[str] = "clock"
    is_followed: ClassVar[bool] = False

    reached: int


class Deletion(Record, frozen=True, kw_only=True):
    """A deleted record, by its `id`, that owned more than one transaction deletes: the rest is deleted step by step.

    Attributes:
        of: the kind of the deleted record.
    """

    kind: ClassVar[str] = "deletion"
    is_followed: ClassVar[bool] = False

    of: str


RECORD_TYPES: tuple[type[Record], ...] = (
    Account,
    ApiKey,
    Session,
    Resource,
    PeerRule,
    Revocation,
    SigningKeyRecord,
    GuessCount,
    HashKey,
    LegacyUse,
    ClockRecord,
    SessionEpoch,
    ResourceTally,
    Deletion,
)
