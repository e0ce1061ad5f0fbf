"""The settings as the running daemon uses them: an immutable snapshot that SIGHUP replaces as a whole."""

from dataclasses import dataclass, field
from typing import Literal

from herod.identity.legacy_secrets import LegacySecrets
from herod.settings import QuotaSettings
from herod.web_origins import is_loopback_origin, origin_of
from herod_client.core.grants import ALL_NETWORKS, Networks
from herod_client.core.scope_graph import ScopeGraph

__all__ = ["Config"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Scopes, networks, issuer and the secrets of older systems.

    Attributes:
        networks: the names in the settings, or `*` for any.
        token_ttl: seconds.
        app_token_ttl: seconds, of the access tokens of apps; `token_ttl` limits it.
        session_idle: seconds without use after which a browser session ends.
        public_url: the issuer of the metadata and of tokens with an audience; without a final slash.
        has_browser_origin: browsers reach herod, and nobody else, at the public URL: people can sign in at `/authorize`
            and use passkeys there. False while another process may hold it, or herod has no TCP address.
        aliases: other URLs of the same herod: `http://localhost:3350` and the two loopback addresses with that port,
            while herod holds both addresses.
        own_origins: all origins that lead to herod's pages, aliases and addresses that are not open now included: no
            redirect of an app may lead there.
        second_factor: whose accounts must have a second factor (`identity/people/second_factors.py`).
        dynamic_apps: whether apps may register themselves; see `takes_dynamic_apps`.
        client_documents: whether documents of apps may be fetched, for people who signed in.
        approve: what an app must let its person approve first (`pipeline/approvals.py`).
        daemon_uid: the uid whose processes are local admin if they send the cookie; so are root's.
        quotas: how much one principal may store or be issued.
    """

    version: str
    graph: ScopeGraph
    networks: Networks = ALL_NETWORKS
    issuer: str
    public_url: str
    has_browser_origin: bool = False
    aliases: frozenset[str] = frozenset()
    own_origins: frozenset[str] = frozenset()
    token_ttl: int
    app_token_ttl: int = 600
    session_idle: int = 3600
    registration: Literal["open", "closed"]
    second_factor: Literal["off", "admin", "all"] = "off"
    dynamic_apps: Literal["loopback", "off"] = "loopback"
    client_documents: Literal["on", "off"] = "on"
    approve: Literal["destructive", "never", "all"] = "destructive"
    legacy: LegacySecrets
    daemon_uid: int
    quotas: QuotaSettings = field(default_factory=QuotaSettings)

    @property
    def takes_dynamic_apps(self) -> bool:
        """Whether apps may register themselves, and those that did are known: never behind a public URL."""
        return self.dynamic_apps == "loopback" and is_loopback_origin(origin_of(self.public_url))

    @property
    def fetches_documents(self) -> bool:
        """Whether documents of apps may be fetched, for people who signed in."""
        return self.client_documents == "on"
