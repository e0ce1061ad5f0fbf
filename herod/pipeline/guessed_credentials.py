"""Which presented credentials may be guesses at secrets that people chose, and where such guesses are counted."""

from herod.credentials.imported_secret_hashes import HASH_BYTES
from herod.identity.credential_types import Basic, Bearer, Presented, SecretHeader
from herod.identity.runtime_state import Runtime
from herod.records import Account
from herod.scopes.principal import Source
from herod.store.store_interface import Reader
from herod.throttle.rules import Counter, client_secret_counters, legacy_counters
from herod_client.core.key_format import has_checksum

__all__ = ["guess_counters"]


def guess_counters(
    reader: Reader, runtime: Runtime, presented: Presented | None, source: Source
) -> tuple[Counter, ...]:
    """The counters of a credential that may be a guess at a secret that somebody chose."""
    match presented:
        case Bearer(text) if runtime.config.legacy.could_be(text):
            return legacy_counters(source)
        case SecretHeader() if runtime.config.legacy:
            return legacy_counters(source)
        case Basic(client_id, secret) if not has_checksum(secret) and _is_imported(reader.get(Account, client_id)):
            return client_secret_counters(source)
        case _:
            return ()


def _is_imported(account: Account | None) -> bool:
    """Whether the client secret may be one that a person chose: herod's own are random."""
    return account is not None and len(account.secret_hash) > HASH_BYTES
