"""Ends the sessions of legacy secrets that the settings no longer have.

At the start and at a reload. Without it, such a session would be valid again once the same secret is configured again.
"""

from herod.identity.legacy_secrets import LegacySecrets
from herod.records import Session
from herod.scopes.principal import AuthMethod
from herod.store.store_interface import Reader, Writer

__all__ = ["end_sessions_of_removed_secrets", "sessions_of_removed_secrets"]


def sessions_of_removed_secrets(reader: Reader, legacy: LegacySecrets) -> list[str]:
    """The ids of sessions that were opened with a legacy secret that is not among these."""
    return [
        session.id
        for session in reader.scan(Session)
        if session.via == AuthMethod.LEGACY_SECRET and legacy.get(session.subject) is None
    ]


def end_sessions_of_removed_secrets(tx: Writer, legacy: LegacySecrets) -> None:
    """Delete those sessions."""
    for id_ in sessions_of_removed_secrets(tx, legacy):
        tx.delete(Session, id_)
