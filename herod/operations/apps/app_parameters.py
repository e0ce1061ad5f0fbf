"""What is said about an app when it is registered or changed, with the limits that the documents state."""

from typing import Annotated, Final, Literal, get_args

import msgspec

from herod.credentials.apps.redirect_uris import MAX_REDIRECT_CHARS
from herod.identity.apps.grant_types import AUTHORIZATION_CODE, REFRESH_TOKEN
from herod.operations.apps.registration_rules import MAX_ADDRESSES
from herod.pipeline.operation_definition import Params
from herod.pipeline.parameters.parameter_types import AppId, AppName, Cursor, Limit, NetworkNames, Scope
from herod.store.store_interface import MAX_PAGE
from herod_client.core.scope_graph import READ

__all__ = ["ALGORITHMS", "GRANT_TYPES", "AddApp", "AppRef", "GrantType", "ListApps", "UpdateApp"]

RS256: Final = "RS256"
GrantType = Literal["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"]
Algorithm = Literal["RS256", "ES256", "EdDSA"]
GRANT_TYPES: Final = get_args(GrantType)
ALGORITHMS: Final = get_args(Algorithm)
Uri = Annotated[str, msgspec.Meta(extra_json_schema={"minLength": 1, "maxLength": MAX_REDIRECT_CHARS})]
RedirectUris = Annotated[
    list[Uri],
    msgspec.Meta(
        description=f"where people return to from herod, at most {MAX_ADDRESSES}; compared character by character",
        extra_json_schema={"maxItems": MAX_ADDRESSES},
    ),
]
PostLogoutUris = Annotated[
    list[Uri],
    msgspec.Meta(
        description=f"where the app may send a browser after signing out, at most {MAX_ADDRESSES}",
        extra_json_schema={"maxItems": MAX_ADDRESSES},
    ),
]
AppType = Annotated[
    Literal["confidential", "public"],
    msgspec.Meta(description="whether it can keep a secret: a server can, a program on people's machines cannot"),
]
Grants = Annotated[
    list[GrantType],
    msgspec.Meta(description="the grant types that it may use", extra_json_schema={"minItems": 1, "maxItems": 3}),
]
DEFAULT_GRANTS: Final[tuple[GrantType, ...]] = (AUTHORIZATION_CODE, REFRESH_TOKEN)
Pkce = Annotated[
    Literal["required", "optional", "off"],
    msgspec.Meta(
        description="for a confidential app that cannot do PKCE: optional if it sends a nonce instead, off if it does "
        "neither"
    ),
]
IdTokenAlgorithm = Annotated[Algorithm, msgspec.Meta(description="signs its id_tokens; every library reads RS256")]
MostScope = Annotated[Scope, msgspec.Meta(description="the most that people may give it; never owner")]
RememberConsent = Annotated[
    bool,
    msgspec.Meta(
        description="whether people are asked only once for the same; not for a public app on people's own machines"
    ),
]
AdmitUnconfirmed = Annotated[
    bool, msgspec.Meta(description="whether accounts that registered themselves may sign in before an admin's yes")
]
SendUnconfirmedEmail = Annotated[
    bool, msgspec.Meta(description="whether it is told emails that nobody confirmed, as such")
]
ExpandScope = Annotated[
    bool,
    msgspec.Meta(description="whether its tokens for other services name every scope that theirs include"),
]


class AddApp(Params, frozen=True, kw_only=True):
    """`scope` is by default read, `networks` your own; consent is remembered where that is safe."""

    name: AppName
    redirect_uris: RedirectUris = msgspec.field(default_factory=list)
    type: AppType = "confidential"
    scope: MostScope = READ
    networks: NetworkNames | None = None
    grants: Grants = msgspec.field(default_factory=lambda: list(DEFAULT_GRANTS))
    pkce: Pkce = "required"
    id_token_algorithm: IdTokenAlgorithm = RS256
    post_logout_uris: PostLogoutUris = msgspec.field(default_factory=list)
    remember_consent: RememberConsent | None = None
    admit_unconfirmed: AdmitUnconfirmed = False
    send_unconfirmed_email: SendUnconfirmedEmail = False
    expand_scope: ExpandScope = False


class ListApps(Params, frozen=True, kw_only=True):
    """`limit` is at most 200."""

    cursor: Cursor | None = None
    limit: Limit = MAX_PAGE


class AppRef(Params, frozen=True, kw_only=True):
    """An app by its client_id or name."""

    client_id: AppId


class UpdateApp(AppRef, frozen=True, kw_only=True):
    """Omitted fields stay unchanged; lists replace the former ones."""

    name: AppName | msgspec.UnsetType = msgspec.UNSET
    redirect_uris: RedirectUris | msgspec.UnsetType = msgspec.UNSET
    scope: MostScope | msgspec.UnsetType = msgspec.UNSET
    networks: NetworkNames | msgspec.UnsetType = msgspec.UNSET
    grants: Grants | msgspec.UnsetType = msgspec.UNSET
    pkce: Pkce | msgspec.UnsetType = msgspec.UNSET
    id_token_algorithm: IdTokenAlgorithm | msgspec.UnsetType = msgspec.UNSET
    post_logout_uris: PostLogoutUris | msgspec.UnsetType = msgspec.UNSET
    remember_consent: RememberConsent | msgspec.UnsetType = msgspec.UNSET
    admit_unconfirmed: AdmitUnconfirmed | msgspec.UnsetType = msgspec.UNSET
    send_unconfirmed_email: SendUnconfirmedEmail | msgspec.UnsetType = msgspec.UNSET
    expand_scope: ExpandScope | msgspec.UnsetType = msgspec.UNSET
