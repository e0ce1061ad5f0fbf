"""Apps that register themselves (RFC 7591): agents and other programs that herod's person has never heard of.

Registration keeps nothing and grants nothing. The client id contains what was registered
(`credentials/apps/dynamic_client_ids.py`), and the app gets what a person then ticks. So a flood of registrations
leaves nothing behind, and no client finds its registration expired.
"""

from typing import Annotated, Final

import msgspec

from herod.credentials.apps.dynamic_client_ids import (
    MAX_CLIENT_ID_BYTES,
    DynamicApp,
    client_id_prefix,
    dynamic_secret,
    seal_client_id,
)
from herod.credentials.apps.redirect_uris import (
    MAX_REDIRECT_CHARS,
    RedirectUri,
    parse_redirect_uri,
    refuse_own_origin,
)
from herod.identity.apps.grant_types import AUTHORIZATION_CODE, DEVICE_CODE, GRANT_TYPES, REFRESH_TOKEN
from herod.identity.apps.oauth_apps import NO_SECRET
from herod.pipeline.operation_definition import Context, GivesNothing, NoTarget, Params, command
from herod.pipeline.parameters.app_names import parse_app_name
from herod.pipeline.parameters.parameter_annotations import NormalForm, SecretText
from herod.pipeline.parameters.parameter_types import NAME, Verbatim
from herod.pipeline.result_views import hide_values
from herod.scopes.decisions import Access
from herod.store.store_interface import Reader, Writer
from herod.throttle.rules import Attempt, app_registration
from herod_client.core.errors import InvalidClientMetadata, InvalidRedirectUri, InvalidRequest, TargetDenied

__all__ = ["AUTH_METHODS", "oauth_register"]

CODE: Final = "code"
SECRET_METHODS: Final = ("client_secret_basic", "client_secret_post")
AUTH_METHODS: Final = (*SECRET_METHODS, NO_SECRET)
MAX_LISTED: Final = 32  # entries in each list
# RFC 7591, section 2: what an app means that says nothing.
DEFAULT_METHOD: Final = "client_secret_basic"
DEFAULT_GRANTS: Final = (AUTHORIZATION_CODE,)


def _parse_name(text: str) -> str:
    try:
        return parse_app_name(text)
    except InvalidRequest as error:
        raise InvalidClientMetadata(error.message) from None


class RegisterApp(Params, frozen=True, kw_only=True):
    """RFC 7591, section 2. Other members are ignored."""

    redirect_uris: Annotated[
        list[
            Annotated[
                str, msgspec.Meta(extra_json_schema={"format": "uri", "minLength": 1, "maxLength": MAX_REDIRECT_CHARS})
            ]
        ],
        msgspec.Meta(
            description="https, or http on localhost, 127.0.0.1 and [::1] with any port; others are left out. "
            "Needed for authorization_code alone",
            extra_json_schema={"maxItems": MAX_LISTED},
        ),
    ] = msgspec.field(default_factory=list)
    client_name: (
        Annotated[
            str,
            msgspec.Meta(description="for the person who is asked", extra_json_schema=NAME),
            NormalForm(_parse_name),
        ]
        | None
    ) = None
    grant_types: (
        Annotated[
            list[str],
            msgspec.Meta(
                description=f"authorization_code, {DEVICE_CODE} without a browser, and refresh_token to stay signed in",
                extra_json_schema={"maxItems": MAX_LISTED, "contains": {"enum": [AUTHORIZATION_CODE, DEVICE_CODE]}},
            ),
        ]
        | None
    ) = None
    response_types: (
        Annotated[
            list[str],
            msgspec.Meta(description=CODE, extra_json_schema={"maxItems": MAX_LISTED, "contains": {"const": CODE}}),
        ]
        | None
    ) = None
    token_endpoint_auth_method: (
        Annotated[Verbatim, msgspec.Meta(extra_json_schema={"enum": list(AUTH_METHODS)})] | None
    ) = None


class RegisteredApp(msgspec.Struct, frozen=True, omit_defaults=True):
    """RFC 7591, section 3.2.1: the app as it is registered. A public app has no secret."""

    __repr__ = hide_values

    client_id: str
    client_id_issued_at: int
    redirect_uris: list[str]
    grant_types: list[str]
    response_types: list[str]
    token_endpoint_auth_method: str
    client_name: str | msgspec.UnsetType = msgspec.UNSET
    client_secret: SecretText | msgspec.UnsetType = msgspec.UNSET
    client_secret_expires_at: int | msgspec.UnsetType = msgspec.UNSET


def _limit(reader: Reader, context: Context, params: RegisterApp) -> Attempt | None:
    return app_registration(context.source) if context.runtime.config.takes_dynamic_apps else None


@command(
    "oauth.register",
    credential=True,
    gives=GivesNothing("an app gets only what a person allows it later"),
    counts=("app_registrations",),
    needs=Access.PUBLIC,
    target=NoTarget("keeps nothing: the client id contains the app"),
    example={
        "client_name": "Claude Code",
        "redirect_uris": ["http://localhost:4711/callback"],
        "grant_types": [AUTHORIZATION_CODE, REFRESH_TOKEN],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    },
    http=("POST /oauth/register",),
    surfaces=frozenset(),
    only_direct=True,
    members=True,
    limit=_limit,
    creates=True,
    failures=(InvalidRedirectUri, InvalidClientMetadata),
    always_audited=True,
)
def oauth_register(tx: Writer, context: Context, params: RegisterApp) -> RegisteredApp:
    """Register an app that asks people for access (RFC 7591), if the settings allow it (`--dynamic-apps`).

    Only for programs on herod's own machine. Redirects that are not acceptable are left out one by one; the answer
    lists those that were taken. Herod keeps nothing: the `client_id` contains the registration and does not expire.
    """
    config = context.runtime.config
    if not config.takes_dynamic_apps:
        raise TargetDenied(
            "Apps cannot register themselves here: ask an admin to register the app.", reason="dynamic_apps_off"
        )
    grants = _grants(params)
    app = DynamicApp(
        name=params.client_name or "",
        redirect_uris=_redirects(params.redirect_uris, config.own_origins) if AUTHORIZATION_CODE in grants else (),
        grants=grants,
        auth_method=_auth_method(params.token_endpoint_auth_method),
    )
    keyring = context.runtime.keyring
    try:
        client_id = seal_client_id(keyring, app)
    except ValueError:
        raise InvalidClientMetadata(
            f"The client_id, which contains the name and the redirect URIs, would exceed {MAX_CLIENT_ID_BYTES} bytes: "
            "register fewer or shorter ones."
        ) from None
    context.target = client_id_prefix(client_id)
    has_secret = app.auth_method != NO_SECRET
    return RegisteredApp(
        client_id=client_id,
        client_id_issued_at=context.now,
        redirect_uris=list(app.redirect_uris),
        grant_types=list(app.grants),
        response_types=[CODE] if AUTHORIZATION_CODE in grants else [],
        token_endpoint_auth_method=app.auth_method,
        client_name=app.name or msgspec.UNSET,
        client_secret=dynamic_secret(keyring, client_id) if has_secret else msgspec.UNSET,
        client_secret_expires_at=0 if has_secret else msgspec.UNSET,
    )


def _redirects(texts: list[str], own_origins: frozenset[str]) -> tuple[str, ...]:
    """The redirect URIs that will do, each once.

    Raises:
        InvalidRedirectUri: there is none; it says what is wrong with the first.
    """
    if len(texts) > MAX_LISTED:
        raise InvalidRedirectUri(f"The parameter 'redirect_uris' has more than {MAX_LISTED} entries: give fewer.")
    taken: dict[str, None] = {}
    faults = []
    for text in texts:
        try:
            taken[_acceptable(text, own_origins).text] = None
        except InvalidRequest as error:
            faults.append(error.message)
    if not taken:
        raise InvalidRedirectUri(faults[0] if faults else "The parameter 'redirect_uris' is empty: give at least one.")
    return tuple(taken)


def _acceptable(text: str, own_origins: frozenset[str]) -> RedirectUri:
    redirect = parse_redirect_uri(text)
    if not redirect.is_for_anybody:
        raise InvalidRedirectUri(
            "An app that registers itself has redirect URIs with https, or with http on localhost, 127.0.0.1 or [::1]: "
            "ask an admin to register one with another scheme or host."
        )
    refuse_own_origin(redirect, own_origins)
    return redirect


def _grants(params: RegisterApp) -> tuple[str, ...]:
    """The grant types that herod supports, of those that were asked for.

    Raises:
        InvalidClientMetadata: with none of them anybody could sign in.
    """
    asked = DEFAULT_GRANTS if params.grant_types is None else params.grant_types
    if max(len(asked), len(params.response_types or ())) > MAX_LISTED:
        raise InvalidClientMetadata(f"'grant_types' and 'response_types' have at most {MAX_LISTED} entries each.")
    grants = tuple(grant for grant in GRANT_TYPES if grant in asked)
    if not {AUTHORIZATION_CODE, DEVICE_CODE} & set(grants):
        raise InvalidClientMetadata(f"The parameter 'grant_types' must include {AUTHORIZATION_CODE} or {DEVICE_CODE}.")
    if AUTHORIZATION_CODE in grants and params.response_types is not None and CODE not in params.response_types:
        raise InvalidClientMetadata(f"The parameter 'response_types' must include {CODE}.")
    return grants


def _auth_method(asked: str | None) -> str:
    method = DEFAULT_METHOD if asked is None else asked
    if method not in AUTH_METHODS:
        raise InvalidClientMetadata(
            f"The parameter 'token_endpoint_auth_method' must be one of {', '.join(AUTH_METHODS)}."
        )
    return method
