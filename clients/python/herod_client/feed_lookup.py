"""What the feed says about a token: its subject, and what that delegated to an app, or why the token is not valid.

Must never decide by the token alone: whatever herod has not told of is refused.
"""

from typing import Final

from herod_client.core.access_tokens import Claims, unknown_subject
from herod_client.core.errors import BadToken, Disabled, RevokedToken
from herod_client.feed_mirror import FeedDelegation, FeedSnapshot, FeedSubject

__all__ = ["DELEGATION", "find_delegation", "find_subject"]

# Kind of subject → the only parent credentials (`via`) of its tokens.
VIAS: Final = {
    "account": frozenset({"client_secret", "password"}),
    "peer": frozenset({"peer"}),
    "local_admin": frozenset({"local_admin"}),
}
# The parent credential of an app's tokens, before the id of what its account delegated.
DELEGATION: Final = "delegation:"
GONE: Final = "The credential behind this token no longer exists: sign in again."


def find_subject(picture: FeedSnapshot, claims: Claims) -> FeedSubject:
    """Return the subject of the token.

    Raises:
        BadToken: its subject is not known, and not as a deleted one.
        RevokedToken: it or its family was revoked, it has another epoch, or its subject was deleted.
        Disabled: the account is disabled.
    """
    holder, revoked = picture.holders.get(claims.sub), picture.revoked
    if (claims.sub, claims.jti) in revoked or (claims.family and (claims.sub, claims.family) in revoked):
        raise RevokedToken("This token was revoked: get a new one.")
    if holder is None and claims.sub not in picture.gone:
        raise unknown_subject()
    if holder is None or not _is_via_of(holder, claims.via):
        raise RevokedToken(GONE)
    if not holder.is_enabled:
        raise Disabled("This account is disabled: ask an admin to enable it.")
    if holder.epoch != claims.epoch:
        started_at = picture.rules.started_at
        if holder.kind == "local_admin" and started_at is not None and claims.iat > started_at:
            raise unknown_subject()  # it is not from this start of this herod, nor from one before
        raise RevokedToken(GONE)
    return holder


def _is_via_of(holder: FeedSubject, via: str) -> bool:
    """Whether tokens of such a subject may have this parent credential."""
    return via in VIAS.get(holder.kind, ()) or (holder.kind == "account" and via.startswith(DELEGATION))


def find_delegation(picture: FeedSnapshot, claims: Claims, now: int) -> FeedDelegation:
    """Return what the token's subject delegated to the token's app.

    Raises:
        BadToken: it has no audience, as herod makes none for an app.
        RevokedToken: it was taken back or has ended, or herod has told of none, as an older one would.
    """
    if claims.aud is None:
        raise BadToken("An app's token must be for one resource: ask for a new one.", reason="malformed")
    delegation = picture.delegations.get(claims.via.removeprefix(DELEGATION))
    has_ended = delegation is not None and delegation.expires is not None and delegation.expires <= now
    if delegation is None or delegation.sub != claims.sub or has_ended:
        raise RevokedToken("Access for this app has ended or was taken back: connect the app again.")
    return delegation
