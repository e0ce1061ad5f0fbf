"""The settings as the running daemon uses them: an immutable snapshot that SIGHUP replaces as a whole."""

from dataclasses import dataclass, field
from typing import Literal

from herod.identity.legacy_secrets import LegacySecrets
from herod.settings import QuotaSettings
from herod_client.core.grants import ALL_NETWORKS, Networks
from herod_client.core.scope_graph import ScopeGraph

__all__ = ["Config"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Scopes, networks, issuer and the secrets of older systems.

    Attributes:
        networks: the names in the settings, or `*` for any.
        token_ttl: seconds.
        session_idle: seconds without use after which a browser session ends.
        daemon_uid: the uid whose processes are local admin if they send the cookie; so are root's.
        quotas: how much one principal may store or be issued.
    """

    version: str
    graph: ScopeGraph
    networks: Networks = ALL_NETWORKS
    issuer: str
    public_url: str
    token_ttl: int
    session_idle: int = 3600
    registration: Literal["open", "closed"]
    legacy: LegacySecrets
    daemon_uid: int
    quotas: QuotaSettings = field(default_factory=QuotaSettings)
