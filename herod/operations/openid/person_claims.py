"""What an app is told about the account behind a sign-in (OpenID Connect Core 1.0, section 5): one answer for all.

An address is told only if an admin vouches for it, since many apps give whoever has an address what is there under it.
The name is whatever somebody typed, so nothing to recognize anybody by is made of it.
"""

import msgspec

from herod.identity.apps.oauth_apps import OAuthApp
from herod.identity.apps.openid_scopes import EMAIL, GROUPS, PROFILE
from herod.identity.runtime_state import Runtime
from herod.records import Account

__all__ = ["PersonClaims", "person_claims"]


class PersonClaims(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The claims of an account; those that the app did not ask for are absent.

    `sub` is the account's client_id, which never changes and is never given to another account; `preferred_username`
    is the email where the app is told a confirmed one, else `sub`; `groups` are the account's scopes with all that they
    include.
    """

    sub: str
    name: str | msgspec.UnsetType = msgspec.UNSET
    preferred_username: str | msgspec.UnsetType = msgspec.UNSET
    email: str | msgspec.UnsetType = msgspec.UNSET
    email_verified: bool | msgspec.UnsetType = msgspec.UNSET
    groups: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET


def person_claims(runtime: Runtime, account: Account, scope: tuple[str, ...], app: OAuthApp | None) -> PersonClaims:
    """The claims of an account.

    Args:
        runtime: has the scope graph.
        account: who signed in.
        scope: what was granted, of which only OpenID Connect's scopes count.
        app: whom it is for; None for one that is not known any more.
    """
    claims: dict[str, object] = {"sub": account.id}
    email = account.email if account.is_confirmed else None
    if PROFILE in scope:
        claims["preferred_username"] = (email if EMAIL in scope else None) or account.id
        if account.name:
            claims["name"] = account.name
    if EMAIL in scope:
        if email is not None:
            claims |= {"email": email, "email_verified": True}
        elif account.email is not None and app is not None and app.sends_unconfirmed_email:
            claims |= {"email": account.email, "email_verified": False}
    if GROUPS in scope:
        graph = runtime.config.graph
        held = graph.mask(account.scope)
        claims["groups"] = tuple(name for name in graph.scopes if graph.bit(name) & held)
    return msgspec.convert(claims, PersonClaims)
