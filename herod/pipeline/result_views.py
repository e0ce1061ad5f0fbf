"""Results that several operations share, and records as users see them.

Times are RFC 3339 in UTC, a scope is a space-separated string, networks are a sorted list.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from herod.identity.effective_principals import is_in_overlap
from herod.pipeline.operation_definition import Time
from herod.pipeline.parameters.parameter_annotations import SecretText
from herod.records import Account, ApiKey, App, PeerRule
from herod.store.store_interface import Usage
from herod_client.core.scope_graph import canonical_scope

__all__ = [
    "AppTokens",
    "AppView",
    "FormerSecret",
    "IssuedApp",
    "IssuedKey",
    "Key",
    "KeyDetails",
    "PeerView",
    "TokenAnswer",
    "User",
    "account_view",
    "app_view",
    "hide_values",
    "key_details",
    "key_view",
    "networks_list",
    "peer_view",
    "rfc3339",
]


def hide_values(answer: msgspec.Struct) -> str:
    """The `repr` of a result that contains a secret."""
    return f"{type(answer).__name__}(…)"


class User(msgspec.Struct, frozen=True):
    """An account as admins see it; `confirmed`: an admin created it, or confirmed that it is who it says it is."""

    client_id: str
    email: str | None
    name: str
    scope: str
    networks: list[str]
    enabled: bool
    created_at: Time
    confirmed: bool


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """An API key without its secret; `owner` is a client_id, null for a service key."""

    id: str
    kind: str
    name: str
    owner: str | None
    scope: str
    networks: list[str]
    enabled: bool
    created_at: Time
    expires_at: Time | None
    last_used_at: Time | None


class IssuedKey(Key, frozen=True, kw_only=True):
    """A newly created API key; `key` is shown only once. `warning` says what keeps it from working."""

    __repr__ = hide_values

    key: SecretText
    warning: str | msgspec.UnsetType = msgspec.UNSET


class FormerSecret(msgspec.Struct, frozen=True, kw_only=True):
    """The former secret of a rotated key: until when it works, and which client last used it."""

    works_until: Time
    last_used_at: Time | None
    last_used_from: str | None


class KeyDetails(Key, frozen=True, kw_only=True):
    """Details of one key; sources are `uid:N` or an address, `former` is null after the overlap."""

    last_used_from: str | None
    rotated_at: Time | None
    former: FormerSecret | None


class AppView(msgspec.Struct, frozen=True, kw_only=True):
    """A registered app without its secret; `type` is public or confidential, `scope` the most that it may be given.

    `built_in` apps are always there and cannot be changed; they have no `creator` and no `created_at`.
    """

    client_id: str
    name: str
    type: str
    redirect_uris: list[str]
    post_logout_uris: list[str]
    scope: str
    networks: list[str]
    grants: list[str]
    pkce: str
    id_token_algorithm: str
    remember_consent: bool
    admit_unconfirmed: bool
    send_unconfirmed_email: bool
    expand_scope: bool
    enabled: bool
    built_in: bool
    creator: str | None
    created_at: Time | None
    last_used_at: Time | None


class IssuedApp(AppView, frozen=True, kw_only=True):
    """An app with a new secret: `client_secret` is shown only once, and null for a public app, which has none."""

    __repr__ = hide_values

    client_secret: SecretText | None
    warning: str | msgspec.UnsetType = msgspec.UNSET


class PeerView(msgspec.Struct, frozen=True):
    """A peer rule: exactly one of uid and gid is set."""

    id: str
    uid: int | None
    gid: int | None
    scope: str
    networks: list[str]
    created_at: Time


class TokenAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 6749, section 5.1. `expires_in` is in seconds."""

    __repr__ = hide_values

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - a type's name
    expires_in: int
    scope: str


class AppTokens(TokenAnswer, frozen=True, kw_only=True):
    """The tokens of an app.

    It gets a `refresh_token`, shown only once, if it registered that grant type, and an `id_token` for `openid`.
    """

    __repr__ = hide_values

    refresh_token: SecretText | msgspec.UnsetType = msgspec.UNSET
    id_token: str | msgspec.UnsetType = msgspec.UNSET


def rfc3339(at: int | None) -> datetime | None:
    """Unix seconds as a UTC time, which msgspec writes as RFC 3339."""
    return None if at is None else datetime.fromtimestamp(at, UTC)


def networks_list(networks: Iterable[str]) -> list[str]:
    """Network names, sorted."""
    return sorted(networks)


# How a field's value looks to users, where it looks different.
_LOOKS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "scope": canonical_scope,
    "networks": networks_list,
    "created_at": rfc3339,
    "expires_at": rfc3339,
    "redirect_uris": list,
    "post_logout_uris": list,
    "grants": list,
}


def _shown(record: Account | ApiKey | App) -> dict[str, Any]:
    """The fields of a record that users see, as they see them."""
    found: dict[str, Any] = {}
    for field, (_, shown) in record.field_uses.items():
        if shown is not None:
            value = getattr(record, field)
            look = _LOOKS.get(field)
            found[shown] = value if look is None else look(value)
    return found


def account_view(account: Account) -> User:
    """An account as admins see it."""
    return User(**_shown(account), confirmed=account.is_confirmed)


def key_view(key: ApiKey, usage: Usage | None) -> Key:
    """A key without its secret."""
    return Key(
        **_shown(key),
        kind="service" if key.owner is None else "user",
        last_used_at=rfc3339(usage.at) if usage is not None else None,
    )


def key_details(key: ApiKey, usage: Usage | None, former_usage: Usage | None, *, now: int) -> KeyDetails:
    """A key without its secret, with its last uses.

    Args:
        usage: the last use of any of its secrets.
        former_usage: the last use of a former secret, perhaps of an older one than the last.
        now: Unix seconds.
    """
    rotated_at = key.rotated_at
    former = None
    if rotated_at is not None and is_in_overlap(key, now):
        used = former_usage if former_usage is not None and former_usage.at >= rotated_at else None
        former = FormerSecret(
            works_until=datetime.fromtimestamp(min(key.former_until, key.expires_at or key.former_until), UTC),
            last_used_at=None if used is None else rfc3339(used.at),
            last_used_from=None if used is None else used.source,
        )
    return KeyDetails(
        **msgspec.structs.asdict(key_view(key, usage)),
        last_used_from=None if usage is None else usage.source,
        rotated_at=rfc3339(rotated_at),
        former=former,
    )


def app_view(app: App, usage: Usage | None, *, is_built_in: bool = False) -> AppView:
    """A registered or built-in app without its secret."""
    shown = _shown(app)
    if is_built_in:
        shown.update(creator=None, created_at=None)
    return AppView(
        **shown,
        pkce="required" if app.needs_pkce else "optional" if app.needs_nonce else "off",
        type="confidential" if app.is_confidential else "public",
        built_in=is_built_in,
        last_used_at=None if usage is None else rfc3339(usage.at),
    )


def peer_view(rule: PeerRule) -> PeerView:
    """A peer rule, as users see it."""
    kind, _, number = rule.subject.partition(":")
    return PeerView(
        id=rule.id,
        uid=int(number) if kind == "uid" else None,
        gid=int(number) if kind == "gid" else None,
        scope=canonical_scope(rule.scope),
        networks=networks_list(rule.networks),
        created_at=datetime.fromtimestamp(rule.created_at, UTC),
    )
