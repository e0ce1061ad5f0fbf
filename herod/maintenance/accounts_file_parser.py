"""Parses a file of accounts, keys and apps, Hero Auth's users or from `herod export`, and checks it like a request.

It is liberal in what it accepts: the format of Hero Auth's file is only known roughly, so a field may have any of
several names, and unknown fields are reported, never silently dropped. It is strict in what it returns. It does not
access the store and does no slow hashing.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from herod.credentials.imported_secret_hashes import hash_key_id
from herod.input_text import decode_text
from herod.maintenance.accounts_file_apps import APP_FIELDS, AppEntry, app_entry
from herod.maintenance.accounts_file_field_checks import (
    Problem,
    SecretEntry,
    read_flag,
    read_networks,
    read_password,
    read_secret,
    read_text,
    read_time,
    read_words,
)
from herod.pipeline.parameters.email_addresses import parse_email, stored_email
from herod.pipeline.parameters.text_normalization import parse_name
from herod_client.core.errors import InvalidRequest, RuntimeFailure, SettingsError
from herod_client.core.scope_graph import READ, SCOPE_NAME, ScopeGraph, split_scope

__all__ = ["FORMAT", "AccountEntry", "Entries", "KeyEntry", "parse_entries"]

FORMAT: Final = "herod accounts and keys 1"
MAX_SHOWN: Final = 20

USER_TABLES: Final = ("users", "user", "accounts", "clients")
# Field → the names that it may have in the file. `herod export` writes the first.
ACCOUNT_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "id": ("client_id", "id"),
    "email": ("email", "mail"),
    "name": ("name", "display_name", "full_name", "username"),
    "password_hash": ("password_hash", "password_sha256", "hashed_password"),
    "password": ("password",),
    "secret_hash": ("client_secret_hash", "client_secret_sha256", "secret_hash"),
    "secret": ("client_secret", "secret"),
    "scope": ("scope", "scopes", "role"),
    "networks": ("networks", "network"),
    "enabled": ("enabled", "active", "is_active"),
    "disabled": ("disabled",),
    "created_at": ("created_at", "created"),
}
KEY_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    name: (name,)
    for name in ("id", "name", "owner", "creator", "secret_hash", "scope", "networks", "enabled", "created_at",
                 "expires_at")
}  # fmt: skip

# No colon, which Basic does not allow, and no slash, which separates it from a token's id.
CLIENT_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@+-]{0,127}\Z")
RESERVED_IDS: Final = frozenset({"anonymous", "local-admin", "offline", "service", "startup"})
KEY_ID: Final = re.compile(r"[0-9A-Za-z]{12}\Z")
HASH_KEY: Final = re.compile(r"[0-9a-f]{64}\Z")


class AccountEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An account of the file.

    Attributes:
        id: None if the file has none.
        password: a PHC string.
        password_sha256: Hero Auth's hash, which must be wrapped.
        unknown: the names in `scope` that the graph does not know.
    """

    id: str | None
    email: str | None
    name: str
    password: str | None
    password_sha256: str | None
    secret: SecretEntry
    scope: tuple[str, ...]
    unknown: tuple[str, ...]
    networks: tuple[str, ...]
    enabled: bool
    created_at: int

    def __repr__(self) -> str:
        return f"AccountEntry({self.id!r})"


class KeyEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An API key of the file; `unknown` as in `AccountEntry`."""

    id: str
    name: str
    owner: str | None
    creator: str
    secret: SecretEntry
    scope: tuple[str, ...]
    unknown: tuple[str, ...]
    networks: tuple[str, ...]
    enabled: bool
    created_at: int
    expires_at: int | None

    def __repr__(self) -> str:
        return f"KeyEntry({self.id!r})"

    def has_ended(self, now: int) -> bool:
        """Whether it has expired: then others may have its name."""
        return self.expires_at is not None and self.expires_at <= now


class Entries(msgspec.Struct, frozen=True, kw_only=True):
    """A whole file.

    Attributes:
        hash_keys: id → the key that the records' hashes were made with.
        unread: unknown fields, which are left out, such as `users: last_login`.
    """

    accounts: tuple[AccountEntry, ...]
    keys: tuple[KeyEntry, ...]
    apps: tuple[AppEntry, ...]
    hash_keys: Mapping[str, bytes]
    unread: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Entries({len(self.accounts)} accounts, {len(self.keys)} keys, {len(self.apps)} apps)"


def parse_entries(content: bytes, graph: ScopeGraph, *, now: int) -> Entries:
    """Parse the decrypted text of a file.

    Raises:
        RuntimeFailure: it has another format, or entries that may not be stored; the message lists them, without
            secrets.
    """
    try:
        table = tomllib.loads(decode_text(content, "the decrypted file"))
    except SettingsError as error:
        raise RuntimeFailure(str(error)) from None
    except (tomllib.TOMLDecodeError, RecursionError):
        raise RuntimeFailure("the file can be decrypted, but is not a list of accounts in TOML") from None
    return _Reading(graph, now).read(table)


class _Reading:
    """Parses one file, and collects problems and unknown fields."""

    def __init__(self, graph: ScopeGraph, now: int) -> None:
        self._graph = graph
        self._now = now
        self._problems: list[str] = []
        self._unread: dict[str, None] = {}
        self._hash_keys: dict[str, bytes] = {}
        self._is_export = False
        self._stored_emails: dict[str, str] = {}

    def read(self, table: dict[str, Any]) -> Entries:
        self._is_export = "format" in table  # Hero Auth's files have none
        written = table.pop("format", FORMAT)
        table.pop("exported_at", None)
        if written != FORMAT:
            raise RuntimeFailure("the file has the format of another herod version: import it with that version")
        self._read_hash_keys(table.pop("hash_keys", []))
        keys = self._rows("keys", table.pop("keys", [])) if "keys" in table else []
        apps = self._rows("apps", table.pop("apps", [])) if self._is_export else []
        users = [row for name in USER_TABLES if name in table for row in self._rows(name, table.pop(name))]
        users += self._loose_users(table)
        for name in table:
            self._unread[name] = None
        accounts = [made for row in users if (made := self._try("account", row, self._account)) is not None]
        made_keys = [made for row in keys if (made := self._try("key", row, self._key)) is not None]
        made_apps = [made for row in apps if (made := self._try("app", row, self._app)) is not None]
        accounts = self._as_stored(accounts)
        self._check_alone(accounts, made_keys, made_apps)
        if self._problems:
            shown = "; ".join(self._problems[:MAX_SHOWN])
            more = len(self._problems) - MAX_SHOWN
            tail = f"; and {more} more" if more > 0 else ""
            raise RuntimeFailure(f"nothing was changed: entries of the file cannot be imported: {shown}{tail}")
        return Entries(
            accounts=tuple(accounts),
            keys=tuple(made_keys),
            apps=tuple(made_apps),
            hash_keys=self._hash_keys,
            unread=tuple(self._unread),
        )

    def _read_hash_keys(self, rows: object) -> None:
        for row in self._rows("hash_keys", rows):
            text = row.get("key")
            if not isinstance(text, str) or not HASH_KEY.match(text):
                self._problems.append("hash_keys: a key does not have 64 hexadecimal digits")
                continue
            key = bytes.fromhex(text)
            self._hash_keys[hash_key_id(key)] = key  # the id is computed, not taken from the file

    def _rows(self, name: str, value: object) -> list[dict[str, Any]]:
        """An array of tables, or a table of tables by email or id."""
        match value:
            case list() if all(isinstance(row, dict) for row in value):
                return list(value)
            case dict() if all(isinstance(row, dict) for row in value.values()):
                return [_named(label, row) for label, row in value.items()]
            case dict() if _is_user(value):
                return [value]
            case _:
                self._problems.append(f"{name}: not a list of tables")
                return []

    def _loose_users(self, table: dict[str, Any]) -> list[dict[str, Any]]:
        """Top-level tables that are accounts, named by email or id."""
        found = {name: row for name, row in table.items() if isinstance(row, dict) and _is_user(row)}
        for name in found:
            del table[name]
        return [_named(name, row) for name, row in found.items()]

    def _try(self, what: str, row: dict[str, Any], make: Any) -> Any:
        label = next((str(row[name]) for name in ("client_id", "id", "email", "name") if name in row), "without a name")
        try:
            return make(row)
        except (Problem, InvalidRequest) as error:
            why = error.message if isinstance(error, InvalidRequest) else str(error)
            self._problems.append(f"{what} {label[:80]!r}: {why}")
            return None

    def _account(self, row: dict[str, Any]) -> AccountEntry:
        fields = self._fields("users", row, ACCOUNT_FIELDS)
        id_ = read_text(fields, "id")
        if id_ is not None and (not CLIENT_ID.match(id_) or id_ in RESERVED_IDS or id_.startswith("legacy-")):
            raise Problem("its client_id is not valid: use up to 128 letters, digits and _ . @ + -")
        given = read_text(fields, "email")
        email = None if given is None else self._email(given, id_)
        name = read_text(fields, "name")
        if name is not None and name not in {given, email}:
            name = parse_name(name)
        name = name or email or (None if id_ is None else f"client {id_[:8]}")
        if name is None:
            raise Problem("it has neither client_id nor email nor name")
        password, password_sha256 = read_password(fields)
        scope, unknown = self._scope(fields, default=READ)
        enabled = read_flag(fields, "enabled", default=True) and not read_flag(fields, "disabled", default=False)
        return AccountEntry(
            id=id_,
            email=email,
            name=name,
            password=password,
            password_sha256=password_sha256,
            secret=read_secret(fields, self._hash_keys),
            scope=scope,
            unknown=unknown,
            networks=read_networks(fields),
            enabled=enabled,
            created_at=min(read_time(fields, "created_at") or self._now, self._now),
        )

    def _email(self, text: str, id_: str | None) -> str:
        stored = stored_email(text) if self._is_export else None
        if stored is None or id_ is None:
            return parse_email(text)
        self._stored_emails[id_] = stored
        try:
            return parse_email(text)
        except InvalidRequest:  # an earlier version of herod accepted it
            return stored

    def _as_stored(self, accounts: list[AccountEntry]) -> list[AccountEntry]:
        """In an export, several accounts may have spellings of one address: each keeps its own, as in their store."""
        count = Counter(one.email for one in accounts)
        return [
            msgspec.structs.replace(one, email=self._stored_emails.get(one.id or "", one.email))
            if count[one.email] > 1
            else one
            for one in accounts
        ]

    def _key(self, row: dict[str, Any]) -> KeyEntry:
        fields = self._fields("keys", row, KEY_FIELDS)
        id_, name, creator = (read_text(fields, field) for field in ("id", "name", "creator"))
        owner = read_text(fields, "owner")
        if owner is None and "owner" in fields:  # it would be a service key, which no owner narrows
            raise Problem("its owner is empty: name the owner's client_id, or leave it out for a service key")
        if id_ is None or not KEY_ID.match(id_):
            raise Problem("its id is not valid: it must have 12 letters and digits")
        if name is None:
            raise Problem("it has no name")
        if creator is not None and not CLIENT_ID.match(creator):
            raise Problem("its creator is not a valid id")
        secret = read_secret(fields, self._hash_keys)
        if secret.carried is None:
            raise Problem("its secret_hash is missing")
        scope, unknown = self._scope(fields, default=None)
        return KeyEntry(
            id=id_,
            name=parse_name(name),
            owner=owner,
            creator=creator or "offline",
            secret=secret,
            scope=scope,
            unknown=unknown,
            networks=read_networks(fields),
            enabled=read_flag(fields, "enabled", default=True),
            created_at=min(read_time(fields, "created_at") or self._now, self._now),
            expires_at=read_time(fields, "expires_at"),
        )

    def _app(self, row: dict[str, Any]) -> AppEntry:
        fields = self._fields("apps", row, APP_FIELDS)
        id_ = read_text(fields, "client_id")
        if id_ is None or not CLIENT_ID.match(id_):
            raise Problem("its client_id is not valid")
        return app_entry(
            fields,
            id=id_,
            scope=self._scope(fields, default=None),
            graph=self._graph,
            hash_keys=self._hash_keys,
            now=self._now,
        )

    def _fields(self, where: str, row: dict[str, Any], known: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
        """The values of a row, by field. Of two names for one field the first counts, and the other is unread."""
        fields: dict[str, Any] = {}
        left = dict(row)
        for meaning, names in known.items():
            for name in names:
                if name in left and meaning not in fields:
                    fields[meaning] = left.pop(name)
        for name in left:
            self._unread[f"{where}: {name}"] = None
        return fields

    def _scope(self, fields: dict[str, Any], *, default: str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The canonical scope, and the names in it that the graph does not know."""
        names = split_scope(" ".join(read_words(fields, "scope", default)).lower())
        if any(not SCOPE_NAME.match(name) for name in names):
            raise Problem("its scope contains an invalid name")
        unknown = tuple(sorted({name for name in names if not self._graph.bit(name)}))
        known = self._graph.names(self._graph.mask(names))
        return (*known, *unknown), unknown

    def _check_alone(self, accounts: list[AccountEntry], keys: list[KeyEntry], apps: list[AppEntry]) -> None:
        """Check that the entries of the file have no duplicates, and that a key's owner is in the file."""
        named = [("app name", " ".join(one.app.lookup[1:])) for one in apps]
        ids = [("client_id", one.id) for one in accounts if one.id is not None]
        owners = {id_ for _, id_ in ids}
        emails = [("email", one.email) for one in accounts if one.email is not None]
        names = [("key name", f"{one.owner or 'service'}/{one.name}") for one in keys if not one.has_ended(self._now)]
        ids += [("client_id", one.app.id) for one in apps]
        for what, value in _twice([*ids, *emails, *(("key id", one.id) for one in keys), *names, *named]):
            self._problems.append(f"{what} {value!r} occurs twice")
        for key in keys:
            if key.owner is not None and key.owner not in owners:
                self._problems.append(f"key {key.id!r}: its owner is not in the file")
            if key.id in owners:
                self._problems.append(f"{key.id!r} is the id of a key and of an account")


def _named(label: str, row: dict[str, Any]) -> dict[str, Any]:
    """A row whose missing email or client_id is taken from its table's name."""
    names = ACCOUNT_FIELDS["email"] if "@" in label else ACCOUNT_FIELDS["id"]
    return row if any(name in row for name in names) else {names[0]: label, **row}


def _is_user(row: Mapping[str, object]) -> bool:
    return any(
        name in row for meaning in ("id", "email", "password_hash", "secret") for name in ACCOUNT_FIELDS[meaning]
    )


def _twice(pairs: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    seen: set[tuple[str, str]] = set()
    for pair in pairs:
        if pair in seen:
            yield pair
        seen.add(pair)
