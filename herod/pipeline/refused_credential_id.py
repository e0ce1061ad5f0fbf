"""Whose credential a refused request brought, for the audit: "an expired key" helps nobody who has forty.

Answers with ids of what is stored, never with what was presented: a stranger must not choose what the log says.
"""

from herod.identity.credential_types import ApiKeyHeader, Basic, Bearer, Presented
from herod.records import Account, ApiKey
from herod.store.store_interface import Reader
from herod_client.core.errors import Unauthenticated, Unavailable
from herod_client.core.key_format import looks_like_key, parse_key

__all__ = ["presented_id"]


def presented_id(reader: Reader, presented: Presented | None) -> str | None:
    """The id of the key or account that was named, right or wrong its secret; None when there is none of that id."""
    found: Account | ApiKey | None = None
    try:
        match presented:
            case Basic(client_id):
                found = reader.get(Account, client_id)
            case Bearer(text) | ApiKeyHeader(text) if looks_like_key(text):
                found = reader.get(ApiKey, parse_key(text).id)
            case _:
                pass
    except (Unauthenticated, Unavailable):  # a typing error; a damaged row
        return None
    return None if found is None else found.id
