"""Accounts and API keys."""

from collections.abc import Mapping
from typing import ClassVar, Final

from herod.records.record import FieldUse, Record

__all__ = ["REGISTERED", "SERVICE_KEYS", "Account", "ApiKey"]


SERVICE_KEYS: Final = "service"
"""The owner column of service keys."""
REGISTERED: Final = "registered"
"""The owner column of accounts that registered themselves, so that they can be counted."""


class Account(Record, frozen=True, kw_only=True):
    """An account that can sign in. `id` is the OAuth2 client_id.

    Attributes:
        email: in the normal form at the time (`pipeline/parameters/email_addresses.py`); None for accounts that only
            use a client secret.
        password: an Argon2id PHC string, or a hash imported from Hero Auth; None if no password is set.
        secret_hash: of the client secret, in a form of `credentials/imported_secret_hashes.py`; empty for none.
        epoch: tokens carry the epoch they were issued in, and are invalid once it has changed.
        registered: it was created by open registration, not by an admin.
        confirmed: what an admin said about it since; None: nothing (`is_confirmed`).
        user_handle: 64 random bytes by which its passkeys name it (WebAuthn 3, section 14.6.1); empty until it enrols
            one.
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
        "confirmed": FieldUse(),  # the same; views show `is_confirmed`
        "user_handle": FieldUse(),  # passkeys stay here
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
    confirmed: bool | None = None
    user_handle: bytes = b""

    @property
    def lookup(self) -> tuple[str, ...] | None:
        """By email."""
        return None if self.email is None else ("email", self.email)

    @property
    def owner_id(self) -> str | None:
        """Nobody; those that registered themselves share one name, so that they can be counted."""
        return REGISTERED if self.registered else None

    @property
    def is_confirmed(self) -> bool:
        """Whether an admin vouches for who it is: they created it, or confirmed it since.

        Apps are told an email as verified only then (`email_verified` of OpenID Connect).
        """
        return not self.registered if self.confirmed is None else self.confirmed


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
