"""Parses the apps of a file that `herod export` wrote, and checks each as when an admin registers it."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from herod.credentials.imported_secret_hashes import NO_HASH
from herod.maintenance.accounts_file_field_checks import (
    Fields,
    Problem,
    SecretEntry,
    read_flag,
    read_networks,
    read_secret,
    read_text,
    read_time,
)
from herod.operations.apps import ALGORITHMS, GRANT_TYPES, check_app, parse_addresses
from herod.pipeline.parameters.text_normalization import parse_name
from herod.records import App
from herod_client.core.scope_graph import ScopeGraph

__all__ = ["APP_FIELDS", "AppEntry", "app_entry"]

CONFIDENTIAL: Final = "confidential"
TYPES: Final = (CONFIDENTIAL, "public")
# Field → the names that it may have in the file, as in `accounts_file_parser.py`.
APP_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    **{
        use.exported: (use.exported,)
        for field, use in App.field_uses.items()
        if use.exported is not None and field != "secret_hash"
    },
    "secret_hash": ("client_secret_hash",),
    "type": ("type",),
}


class AppEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An app of the file.

    Attributes:
        app: as it will be kept, but without the hash of its secret.
        secret: empty for a public app, and for one that no secret matches any more.
        unknown: the names in its scope that the graph does not know.
    """

    app: App
    secret: SecretEntry
    unknown: tuple[str, ...]

    def __repr__(self) -> str:
        return f"AppEntry({self.app.id!r})"


def app_entry(
    fields: Fields,
    *,
    id: str,
    scope: tuple[tuple[str, ...], tuple[str, ...]],
    graph: ScopeGraph,
    hash_keys: Mapping[str, bytes],
    now: int,
) -> AppEntry:
    """Read an app.

    Args:
        fields: of its row, by the names of `APP_FIELDS`.
        id: its client_id, checked.
        scope: its canonical scope, and the names in it that the graph does not know.
        graph: the scopes.
        hash_keys: those of the file, by id.
        now: Unix seconds.

    Raises:
        Problem, InvalidRequest: an admin could not register it so.
    """
    name, kind = read_text(fields, "name"), read_text(fields, "type")
    if name is None:
        raise Problem("it has no name")
    if kind not in TYPES:
        raise Problem("its type is neither confidential nor public")
    names, unknown = scope
    app = App(
        id=id,
        created_at=min(read_time(fields, "created_at") or now, now),
        name=parse_name(name),
        creator=read_text(fields, "creator") or "offline",
        secret_hash=NO_HASH if kind == CONFIDENTIAL else None,
        redirect_uris=parse_addresses(_texts(fields, "redirect_uris"), (), "redirect"),
        post_logout_uris=parse_addresses(_texts(fields, "post_logout_uris"), (), "post-logout"),
        scope=names,
        networks=read_networks(fields),
        grants=tuple(_texts(fields, "grants")),
        needs_pkce=read_flag(fields, "needs_pkce", default=True),
        needs_nonce=read_flag(fields, "needs_nonce", default=True),
        id_token_algorithm=read_text(fields, "id_token_algorithm") or ALGORITHMS[0],
        remembers_consent=read_flag(fields, "remember_consent", default=False),
        admits_unconfirmed=read_flag(fields, "admit_unconfirmed", default=False),
        sends_unconfirmed_email=read_flag(fields, "send_unconfirmed_email", default=False),
        expands_scope=read_flag(fields, "expand_scope", default=False),
        enabled=read_flag(fields, "enabled", default=True),
    )
    if app.id_token_algorithm not in ALGORITHMS:
        raise Problem(f"its id_token_algorithm is none of {', '.join(ALGORITHMS)}")
    if not set(app.grants) <= set(GRANT_TYPES):
        raise Problem(f"its grants are not among {', '.join(GRANT_TYPES)}")
    check_app(graph, app)
    secret = read_secret(fields, hash_keys) if kind == CONFIDENTIAL else SecretEntry()
    return AppEntry(app=app, secret=secret, unknown=unknown)


def _texts(fields: Fields, name: str) -> list[str]:
    """A list of strings; empty if it is missing."""
    value: Any = fields.get(name, [])
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise Problem(f"its {name} is not a list of strings")
    return value
