"""Legacy secrets and their replacement: where each is still used from, and the service key that replaces it.

Answers contain ids of secrets, never the secrets: an id is an HMAC of the secret, and stays the same as long as the
store's root key does.
"""

from typing import Annotated, Final

import msgspec

from herod.identity.legacy_secrets import LegacySecret
from herod.operations.keys import make_key, put_key
from herod.pipeline.operation_definition import Context, NoTarget, Params, Time, command, query
from herod.pipeline.pagination import fill_page, parse_limit
from herod.pipeline.parameters.parameter_types import AS_IT_IS, Cursor, ExpiresAt, KeyLabel, Limit
from herod.pipeline.parameters.text_normalization import parse_end
from herod.pipeline.result_views import IssuedKey, key_view, rfc3339
from herod.records import ApiKey, LegacyUse
from herod.store.page_cursors import encode_cursor, parse_cursor
from herod.store.store_interface import MAX_PAGE, Page, Reader, Writer
from herod_client.core.errors import Conflict, NotFound
from herod_client.core.scope_graph import ADMIN, REGISTRAR, USER

__all__ = ["legacy_promote", "legacy_status"]

EXAMPLE_LEGACY: Final = "legacy-admin-1f0c9a52"
SETTINGS: Final = {ADMIN: "admin_secret", USER: "user_secret", REGISTRAR: "register_secret"}


class Legacy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A legacy secret of the settings, by its id; `setting` is the setting that contains it.

    `uses` counts every time it was accepted, directly or when a service asked about it; `promoted_to` is the id of the
    service key that replaces it.
    """

    id: str
    scope: str
    setting: str
    uses: int
    last_used_at: Time | None
    last_used_from: str | None
    promoted_to: str | msgspec.UnsetType = msgspec.UNSET


class ListLegacy(Params, frozen=True, kw_only=True):
    """`limit` is at most 200."""

    cursor: Cursor | None = None
    limit: Limit = MAX_PAGE


class PromoteLegacy(Params, frozen=True, kw_only=True):
    """`name` is the new key's, by default the secret's id."""

    id: Annotated[str, msgspec.Meta(description="the secret's id, as `legacy.status` lists it"), AS_IT_IS]
    name: KeyLabel | None = None
    expires_at: ExpiresAt | None = None


class PromotedKey(IssuedKey, frozen=True, kw_only=True):
    """The secret `replaces` stays valid until it is removed from `setting`."""

    replaces: str
    setting: str


@query("legacy.status", needs=ADMIN, example={}, http=("GET /api/v1/legacy",))
def legacy_status(reader: Reader, context: Context, params: ListLegacy) -> Page[Legacy]:
    """List the configured legacy secrets by id, with the number of uses, the last use and its source."""
    limit = parse_limit(params.limit)
    _, last = (0, "") if params.cursor is None else parse_cursor(params.cursor)
    secrets = [secret for secret in context.runtime.config.legacy.all() if secret.id > last]
    return fill_page(
        secrets[:limit],
        lambda secret: _view(reader, context, secret),
        place=_place,
        end=_place(secrets[limit - 1]) if len(secrets) > limit else None,
    )


@command(
    "legacy.promote",
    credential=True,
    gives=ApiKey,
    issues=True,
    needs=ADMIN,
    manages_keys=True,
    target=NoTarget("creates a key"),
    example={"id": EXAMPLE_LEGACY, "name": "supervisor", "expires_at": "2030-01-31T12:00:00Z"},
    http=("POST /api/v1/legacy/{id}/promote",),
    creates=True,
)
def legacy_promote(tx: Writer, context: Context, params: PromoteLegacy) -> PromotedKey:
    """Create the service key that replaces a legacy secret, with the same scope. The key is shown once."""
    secret = context.runtime.config.legacy.get(params.id)
    if secret is None:
        raise NotFound("There is no such legacy secret.")
    use = tx.get(LegacyUse, secret.id) or LegacyUse(id=secret.id, created_at=context.now)
    if _replacement(tx, use, context.now) is not None:
        raise Conflict(
            f"Key {use.promoted_to} already replaces this secret: give it to the clients that still use the secret, "
            "rotate it if it is lost, or delete it first.",
            reason="promoted",
            hint=f"herod key rotate {use.promoted_to}",
        )
    key, text = make_key(
        context,
        name=secret.id if params.name is None else params.name,
        owner=None,
        scope=(secret.scope,),
        networks=("*",),
        expires_at=None if params.expires_at is None else parse_end(params.expires_at, context.now),
    )
    put_key(tx, context, key)
    tx.put(msgspec.structs.replace(use, promoted_to=key.id))
    view = msgspec.structs.asdict(key_view(key, None))
    return PromotedKey(**view, key=text, replaces=secret.id, setting=SETTINGS[secret.scope])


def _place(secret: LegacySecret) -> str:
    """The cursor after a secret: the list is ordered by ids alone."""
    return encode_cursor(0, secret.id)


def _view(reader: Reader, context: Context, secret: LegacySecret) -> Legacy:
    use = context.process.legacy_usage.known(reader, secret.id, now=context.now)
    replacement = _replacement(reader, use, context.now)
    return Legacy(
        id=secret.id,
        scope=secret.scope,
        setting=SETTINGS[secret.scope],
        uses=use.uses,
        last_used_at=rfc3339(use.last_used_at),
        last_used_from=use.last_used_from,
        promoted_to=msgspec.UNSET if replacement is None else replacement.id,
    )


def _replacement(reader: Reader, use: LegacyUse, now: int) -> ApiKey | None:
    """The key that replaces a secret, if it has neither been deleted nor expired."""
    key = None if use.promoted_to is None else reader.get(ApiKey, use.promoted_to)
    return None if key is None or key.has_ended(now) else key
