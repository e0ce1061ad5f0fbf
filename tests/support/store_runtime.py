"""A runtime for an opened store, for tests that authenticate against it without a daemon."""

from herod.identity.config import Config
from herod.identity.legacy_secrets import LegacySecrets
from herod.identity.runtime_state import Runtime
from herod.store.sqlite.sqlite_store import SqliteStore
from herod_client.core.scope_graph import ScopeGraph
from herod_client.core.signing_keys import SigningKeys, hs256_key
from support.stopped_store import NOW, OLD

__all__ = ["runtime_of"]


def runtime_of(store: SqliteStore) -> Runtime:
    """The runtime of a daemon with the store's keys and default settings."""
    return Runtime(
        config=Config(
            version="0",
            graph=ScopeGraph({}),
            issuer="hero_auth",
            public_url="http://localhost",
            token_ttl=3600,
            registration="closed",
            legacy=LegacySecrets(store.keyring, []),
            daemon_uid=1,
        ),
        keyring=store.keyring,
        signing=SigningKeys(hs256_key(OLD)),
        boot_epoch=1,
        started_at=NOW,
    )
