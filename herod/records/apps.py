"""OAuth clients that an admin registered."""

from collections.abc import Mapping
from typing import ClassVar

from herod.records.record import FieldUse, Record

__all__ = ["App", "app_lookup"]


def app_lookup(name: str) -> tuple[str, str]:
    """The lookup of the app with this name, whatever its case."""
    return ("app", name.casefold())


class App(Record, frozen=True, kw_only=True):
    """An OAuth client that is not itself an account. `id` is its client_id.

    Two apps never have one name, whatever its case: people would consent to the wrong one. Not unique in the store:
    whoever names one looks for the other in the same transaction.

    Attributes:
        creator: the id of the account, key or peer rule that registered it.
        secret_hash: HMAC of its secret; None for a public app, which has none (RFC 6749, section 2.1).
        redirect_uris: in the form of `credentials/apps/redirect_uris.py`.
        post_logout_uris: where it may send a browser after signing out (OpenID Connect RP-Initiated Logout 1.0).
        scope: the most that people may give it; never `owner`.
        networks: the most networks that people may give it.
        grants: its grant types, as in `grant_types` of RFC 7591.
        needs_pkce: only a confidential app may do without PKCE.
        needs_nonce: without PKCE it must send `nonce`, or whoever gets hold of a code could sign in with it.
        id_token_algorithm: signs its id_tokens.
        remembers_consent: people are asked once for what they allowed already, not each time.
        admits_unconfirmed: accounts that registered themselves may sign in to it before an admin has confirmed them.
        sends_unconfirmed_email: it is told their emails too.
        expands_scope: its tokens for resources other than herod name every scope that theirs include, since other
            verifiers do not know that `admin` includes `read`.
    """

    kind: ClassVar[str] = "app"
    field_uses: ClassVar[Mapping[str, FieldUse]] = {
        "id": FieldUse(exported="client_id", shown="client_id"),
        "created_at": FieldUse(exported="created_at", shown="created_at"),
        "expires_at": FieldUse(),  # an app does not expire
        "name": FieldUse(exported="name", shown="name"),
        "creator": FieldUse(exported="creator", shown="creator"),
        "secret_hash": FieldUse(exported="client_secret_hash"),
        "redirect_uris": FieldUse(exported="redirect_uris", shown="redirect_uris"),
        "post_logout_uris": FieldUse(exported="post_logout_uris", shown="post_logout_uris"),
        "scope": FieldUse(exported="scope", shown="scope"),
        "networks": FieldUse(exported="networks", shown="networks"),
        "grants": FieldUse(exported="grants", shown="grants"),
        "needs_pkce": FieldUse(exported="needs_pkce"),  # views show both as `pkce`
        "needs_nonce": FieldUse(exported="needs_nonce"),
        "id_token_algorithm": FieldUse(exported="id_token_algorithm", shown="id_token_algorithm"),
        "remembers_consent": FieldUse(exported="remember_consent", shown="remember_consent"),
        "admits_unconfirmed": FieldUse(exported="admit_unconfirmed", shown="admit_unconfirmed"),
        "sends_unconfirmed_email": FieldUse(exported="send_unconfirmed_email", shown="send_unconfirmed_email"),
        "expands_scope": FieldUse(exported="expand_scope", shown="expand_scope"),
        "enabled": FieldUse(exported="enabled", shown="enabled"),
    }

    name: str
    creator: str
    secret_hash: bytes | None = None
    redirect_uris: tuple[str, ...] = ()
    post_logout_uris: tuple[str, ...] = ()
    scope: tuple[str, ...] = ()
    networks: tuple[str, ...] = ("*",)
    grants: tuple[str, ...] = ("authorization_code", "refresh_token")
    needs_pkce: bool = True
    needs_nonce: bool = True
    id_token_algorithm: str = "RS256"  # noqa: S105 - an algorithm's name
    remembers_consent: bool = True
    admits_unconfirmed: bool = False
    sends_unconfirmed_email: bool = False
    expands_scope: bool = False
    enabled: bool = True

    @property
    def lookup(self) -> tuple[str, ...]:
        """By name, whatever its case."""
        return app_lookup(self.name)

    @property
    def is_confidential(self) -> bool:
        """Whether it has a secret."""
        return self.secret_hash is not None
