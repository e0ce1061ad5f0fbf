"""`/userinfo`: what an app may know about the account that it acts for (OpenID Connect Core 1.0, section 5.3)."""

from herod.identity.apps.oauth_apps import find_app
from herod.operations.openid.person_claims import PersonClaims, person_claims
from herod.pipeline.operation_definition import Context, NoParams, query
from herod.records import Account
from herod.scopes.decisions import Access
from herod.scopes.principal import AuthMethod
from herod.store.store_interface import Reader
from herod_client.core.errors import RevokedToken

__all__ = ["openid_userinfo"]


@query(
    "openid.userinfo",
    needs=Access.AUTHENTICATED,
    methods=frozenset({AuthMethod.JWT}),
    openid=True,
    example={},
    http=("GET /userinfo", "POST /userinfo"),
)
def openid_userinfo(reader: Reader, context: Context, params: NoParams) -> PersonClaims:
    """Return what an app may know about the person who signed in to it.

    Needs the app's access token with the scope `openid`. The scopes `profile`, `email` and `groups` add claims.
    """
    principal = context.principal
    account = reader.get(Account, principal.id)
    if account is None:
        raise RevokedToken("The account behind this token no longer exists: sign in again.")
    app = None if principal.app is None else find_app(reader, context.runtime, principal.app)
    return person_claims(context.runtime, account, principal.openid, app)
