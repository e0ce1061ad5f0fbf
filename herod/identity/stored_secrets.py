"""Whether a presented secret is the one whose hash a record keeps: made by this store, or imported with the record."""

from herod.credentials.imported_secret_hashes import HASH_BYTES, OWN_KEY, matches_imported, parse_hash
from herod.credentials.keyring import Purpose
from herod.credentials.secret_hashes import matches
from herod.identity.runtime_state import Runtime
from herod.records import HashKey
from herod.store.store_interface import Reader

__all__ = ["is_stored_secret"]


def is_stored_secret(
    reader: Reader, runtime: Runtime, label: str, id: str, *, stored: bytes, computed: bytes, text: str
) -> bool:
    """Whether `text` is a record's secret, in constant time.

    Args:
        reader: has the keys of imported hashes.
        runtime: has the store's own.
        label: the kind of secret, as for `hash_secret`.
        id: of the record.
        stored: the record's hash.
        computed: the hash of `text` under this store's key: most hashes need no other.
        text: the secret as presented, whole.
    """
    if len(stored) == HASH_BYTES:
        return matches(stored, computed)
    carried = parse_hash(stored)  # imported from another store or Hero Auth
    if carried is None:
        return False
    if carried.key_id == OWN_KEY:
        key = runtime.keyring.key(Purpose.KEY_HASHES)
    else:
        kept = reader.get(HashKey, carried.key_id)
        if kept is None:
            return False
        key = kept.key
    return matches_imported(carried, key, label, id, text)
