"""The id of a refused request's credential, for the audit: "an expired key" does not help an admin who has forty.

Returns ids of stored records, never what was presented: a stranger must not choose what the log contains.
"""

from herod.identity.credential_types import ApiKeyHeader, Basic, Bearer, Presented
from herod.records import Account, ApiKey
from herod.store.store_interface import Reader
from herod_client.core.errors import Unauthenticated, Unavailable
from herod_client.core.key_format import looks_like_key, parse_key

__all__ = ["presented_id"]


def presented_id(reader: Reader, presented: Presented | None) -> str | None:
    """The id of the presented key or account, with a right or wrong secret; None if there is none with that id."""
    found: Account | ApiKey | None = None
    try:
        match presented:
            case Basic(client_id):
                found = reader.get(Account, client_id)
            case Bearer(text) | ApiKeyHeader(text) if looks_like_key(text):
                found = reader.get(ApiKey, parse_key(text).id)
            case _:
                pass
    except (Unauthenticated, Unavailable):  # a mistyped key; a damaged row
        return None
    return None if found is None else found.id
