"""Register OAuth apps: add, list, show, change, disable and delete them. A secret is shown once.

What people gave an app ends with it, and never exceeds what the app may be given now: that is looked up at every use
(`identity/effective_principals.py`), so nothing here has to find their delegations first. Those to a deleted app are
deleted step by step (`store/owned_records.py`).
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from herod.identity.apps.app_credentials import hash_app_secret
from herod.identity.apps.grant_types import GRANT_TYPES
from herod.identity.apps.registered_apps import built_in_apps, is_built_in
from herod.operations.apps.app_parameters import AddApp, AppRef, ListApps, UpdateApp
from herod.operations.apps.registration_rules import (
    app_scope,
    can_remember_consent,
    check_app,
    check_name,
    parse_addresses,
    warning_about,
)
from herod.pipeline.ceilings.privilege_ceilings import own_networks
from herod.pipeline.ceilings.quotas import Quota, check_quota
from herod.pipeline.operation_definition import Context, GivesNothing, NoTarget, command, query
from herod.pipeline.pagination import page_of, parse_limit
from herod.pipeline.parameters.parameter_types import EXAMPLE_ID
from herod.pipeline.record_references import named_app
from herod.pipeline.result_views import AppView, IssuedApp, app_view
from herod.pipeline.targets import APP, switch_off_target, switch_on_target, visible
from herod.records import App
from herod.store.owned_records import delete_app
from herod.store.page_cursors import Order, cursor_after
from herod.store.store_interface import Page, Reader, Writer
from herod_client.core.errors import Conflict, NotFound
from herod_client.core.grants import list_networks, parse_networks
from herod_client.core.key_format import new_client_secret, new_id
from herod_client.core.scope_graph import ADMIN

__all__ = [
    "apps_add",
    "apps_delete",
    "apps_disable",
    "apps_enable",
    "apps_get",
    "apps_list",
    "apps_rotate_secret",
    "apps_update",
]

EXAMPLE_REDIRECT: Final = "https://grafana.example.org/login/generic_oauth"
REDIRECT, POST_LOGOUT = "redirect", "post-logout"
APPS: Final = Quota(
    name="apps",
    most=lambda quotas: quotas.apps,
    full="There are {most} registered apps, the most there may be",
    advice="delete one that is not used",
    hint="herod app list, herod app delete APP",
    record_type=App,
)


class DeletedApp(msgspec.Struct, frozen=True):
    """The app is deleted; its tokens are refused, and nobody can sign in to it any more."""

    client_id: str
    deleted: bool


@command(
    "apps.add",
    credential=True,
    gives=App,
    issues=True,
    needs=ADMIN,
    example={"name": "Grafana", "redirect_uris": [EXAMPLE_REDIRECT], "scope": "read"},
    http=("POST /api/v1/apps",),
    creates=True,
    target=NoTarget("registers an app"),
)
def apps_add(tx: Writer, context: Context, params: AddApp) -> IssuedApp:
    """Register an app that people can sign in to with herod. A confidential app's secret is shown once."""
    client_id, scope = new_id(), app_scope(context.runtime.config.graph, params.scope)
    secret = new_client_secret() if params.type == "confidential" else None
    app = App(
        id=client_id,
        created_at=context.now,
        name=params.name,
        creator=context.principal.id,
        secret_hash=None if secret is None else hash_app_secret(context.runtime.keyring, client_id, secret),
        redirect_uris=_addresses(context, params.redirect_uris, REDIRECT),
        post_logout_uris=_addresses(context, params.post_logout_uris, POST_LOGOUT),
        scope=scope,
        networks=list_networks(own_networks(context, scope))
        if params.networks is None
        else list_networks(parse_networks(params.networks, context.runtime.config.networks)),
        grants=_grants(params.grants),
        **_pkce(params.pkce),
        id_token_algorithm=params.id_token_algorithm,
        admits_unconfirmed=params.admit_unconfirmed,
        sends_unconfirmed_email=params.send_unconfirmed_email,
        expands_scope=params.expand_scope,
    )
    remembers = can_remember_consent(app) if params.remember_consent is None else params.remember_consent
    app = msgspec.structs.replace(app, remembers_consent=remembers)
    check_app(context.runtime.config.graph, app)
    check_name(tx, context.runtime, app)
    check_quota(tx, context, APPS)
    tx.put(app)
    context.target = app.id
    return _issued(app, secret, warning_about(app))


@query("apps.list", needs=ADMIN, example={"limit": 50}, http=("GET /api/v1/apps",))
def apps_list(reader: Reader, context: Context, params: ListApps) -> Page[AppView]:
    """List registered apps: those that are built in first, then the oldest."""
    limit = parse_limit(params.limit)
    first = list(built_in_apps(context.runtime))[:limit] if params.cursor is None else []
    if len(first) == limit:
        listed = Page(first, cursor_after(first[-1], Order.OLDEST))
    else:
        found = reader.list(App, cursor=params.cursor, limit=limit - len(first))
        listed = Page([*first, *found.items], found.next_cursor)
    return page_of(listed, lambda app: _view(reader, context, app))


@query(
    "apps.get",
    needs=ADMIN,
    example={"client_id": EXAMPLE_ID},
    http=("GET /api/v1/apps/{client_id}",),
    failures=(NotFound,),
)
def apps_get(reader: Reader, context: Context, params: AppRef) -> AppView:
    """Show an app without its secret."""
    return _view(reader, context, visible(context, APP, named_app(reader, context, params.client_id)))


@command(
    "apps.update",
    credential=True,
    gives=App,
    needs=ADMIN,
    target=APP,
    example={"client_id": EXAMPLE_ID, "name": "Grafana of the lab"},
    http=("PATCH /api/v1/apps/{client_id}",),
    failures=(NotFound,),
)
def apps_update(tx: Writer, context: Context, params: UpdateApp, app: App) -> AppView:
    """Change an app. Its tokens are narrowed to the new scope at their next use."""
    changed = msgspec.structs.replace(app, **_changes(context, params))
    check_app(context.runtime.config.graph, changed)
    check_name(tx, context.runtime, changed)
    return _put(tx, context, changed)


@command(
    "apps.rotate_secret",
    credential=True,
    gives=App,
    issues=True,
    needs=ADMIN,
    target=APP,
    example={"client_id": EXAMPLE_ID},
    http=("POST /api/v1/apps/{client_id}/rotate-secret",),
    failures=(NotFound,),
)
def apps_rotate_secret(tx: Writer, context: Context, params: AppRef, app: App) -> IssuedApp:
    """Give a confidential app a new secret, which is shown once. The old one is refused at once."""
    if not app.is_confidential:
        raise Conflict("A public app has no secret: it is known by its client_id alone.", reason="public_app")
    secret = new_client_secret()
    rotated = msgspec.structs.replace(app, secret_hash=hash_app_secret(context.runtime.keyring, app.id, secret))
    tx.put(rotated)
    is_off = not app.enabled or app.id in context.runtime.switched_off
    warning = f"The app is disabled, and its secret is refused until it is enabled again: herod app enable {app.id}."
    return _issued(rotated, secret, warning if is_off else None)


@command(
    "apps.enable",
    credential=True,
    gives=App,
    needs=ADMIN,
    target=APP,
    example={"client_id": EXAMPLE_ID},
    http=("POST /api/v1/apps/{client_id}/enable",),
    written=switch_on_target,
    failures=(NotFound,),
)
def apps_enable(tx: Writer, context: Context, params: AppRef, app: App) -> AppView:
    """Enable a disabled app. What people gave it before is valid again."""
    return _put(tx, context, msgspec.structs.replace(app, enabled=True), is_on=True)


@command(
    "apps.disable",
    credential=True,
    gives=GivesNothing("ends access"),
    needs=ADMIN,
    target=APP,
    example={"client_id": EXAMPLE_ID},
    http=("POST /api/v1/apps/{client_id}/disable",),
    unwritten=switch_off_target,
    failures=(NotFound,),
)
def apps_disable(tx: Writer, context: Context, params: AppRef, app: App) -> AppView:
    """Disable an app: nobody can sign in to it, and its secret and tokens are refused, until it is enabled again."""
    return _put(tx, context, msgspec.structs.replace(app, enabled=False))


@command(
    "apps.delete",
    credential=True,
    gives=GivesNothing("ends access"),
    needs=ADMIN,
    target=APP,
    example={"client_id": EXAMPLE_ID},
    http=("DELETE /api/v1/apps/{client_id}",),
    unwritten=switch_off_target,
    failures=(NotFound,),
)
def apps_delete(tx: Writer, context: Context, params: AppRef, app: App) -> DeletedApp:
    """Delete an app. Its tokens are refused at once, and what people gave it has ended."""
    return DeletedApp(app.id, deleted=delete_app(tx, app, now=context.now))


def _changes(context: Context, params: UpdateApp) -> dict[str, Any]:
    """The fields of the record that the parameters name, with their new values."""
    config = context.runtime.config
    given: dict[str, Any] = {
        "name": params.name,
        "redirect_uris": params.redirect_uris,
        "post_logout_uris": params.post_logout_uris,
        "scope": params.scope,
        "networks": params.networks,
        "grants": params.grants,
        "id_token_algorithm": params.id_token_algorithm,
        "remembers_consent": params.remember_consent,
        "admits_unconfirmed": params.admit_unconfirmed,
        "sends_unconfirmed_email": params.send_unconfirmed_email,
        "expands_scope": params.expand_scope,
    }
    convert: dict[str, Callable[[Any], object]] = {
        "redirect_uris": lambda texts: _addresses(context, texts, REDIRECT),
        "post_logout_uris": lambda texts: _addresses(context, texts, POST_LOGOUT),
        "scope": lambda text: app_scope(config.graph, text),
        "networks": lambda names: list_networks(parse_networks(names, config.networks)),
        "grants": _grants,
    }
    changes = {field: value for field, value in given.items() if value is not msgspec.UNSET}
    changes = {field: convert[field](value) if field in convert else value for field, value in changes.items()}
    return changes if params.pkce is msgspec.UNSET else {**changes, **_pkce(params.pkce)}


def _pkce(pkce: str) -> dict[str, bool]:
    return {"needs_pkce": pkce == "required", "needs_nonce": pkce != "off"}


def _addresses(context: Context, texts: list[str], what: str) -> tuple[str, ...]:
    return parse_addresses(texts, context.runtime.config.own_origins, what)


def _grants(names: Sequence[str]) -> tuple[str, ...]:
    """Each once, in their usual order."""
    return tuple(name for name in GRANT_TYPES if name in names)


def _put(tx: Writer, context: Context, app: App, *, is_on: bool = False) -> AppView:
    tx.put(app)
    return app_view(app if is_on else context.runtime.in_force(app), tx.usage(app.id))


def _view(reader: Reader, context: Context, app: App) -> AppView:
    return app_view(context.runtime.in_force(app), reader.usage(app.id), is_built_in=is_built_in(app))


def _issued(app: App, secret: str | None, warning: str | None) -> IssuedApp:
    shown = msgspec.structs.asdict(app_view(app, None))
    return IssuedApp(**shown, client_secret=secret, warning=msgspec.UNSET if warning is None else warning)
