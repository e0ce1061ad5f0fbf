"""The state of the running daemon: scopes and networks, issuer and keys, caches and counters.

One object, created by the composition root and passed to every handler. It makes no decisions.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final, TypeVar

import msgspec

from herod.credentials.keyring import Keyring
from herod.identity.apps.device_polls import DevicePolls
from herod.identity.client_documents import DocumentCache
from herod.identity.config import Config
from herod.identity.one_time_codes import OneTimeCodes
from herod.identity.people.session_activity import SessionActivity
from herod.identity.verified_token_cache import ENTRY_BYTES, NAME_BYTES, VerifiedTokens
from herod.records import Account, ApiKey, App, Session
from herod_client.core.access_tokens import CLOCK_SKEW, Claims, verify
from herod_client.core.bounded_cache import BoundedCache
from herod_client.core.grants import Grant
from herod_client.core.signing_keys import SigningKeys

__all__ = ["Runtime"]

R = TypeVar("R", Account, ApiKey, App)


# Bounds of the grant cache: entries, and bytes in total.
MAX_GRANTS: Final = 4096
MAX_GRANT_BYTES: Final = 16 * 1024 * 1024
GrantKey = tuple[int, tuple[str, ...], tuple[str, ...], int | None]


def _grant_bytes(key: GrantKey, grant: Grant) -> int:
    _, scope, networks, _ = key
    return ENTRY_BYTES + NAME_BYTES * (len(scope) + len(networks))


@dataclass(slots=True, kw_only=True)
class Runtime:
    """What handlers and identification need besides the store.

    Attributes:
        config: the settings in force.
        boot_epoch: random at each start; tokens and sessions of the local admin carry it and end with the process.
        store_generation: of the store (`Cursor.generation`): challenges of a replaced store end with it.
        client_documents: the documents of apps that were fetched.
        device_polls: how often apps ask about their device codes.
        grants: a cache of grants, by graph generation and names.
        revoked: `sub/jti` → exp of tokens revoked in this process, ahead of the store.
        is_stopping: the daemon is stopping: no request may keep waiting.
        session_activity: when browser sessions were last used.
        session_codes: codes that sign a browser in from a terminal (`operations/sessions/terminal_sign_in_codes.py`).
        first_codes: codes that create the first admin (`operations/accounts/first_admin.py`).
        switched_off: ids of accounts, keys, peer rules and sessions that were disabled or deleted in this process,
            ahead of the store.
        ended_sessions: `session_group` of sessions → when they were ended in this process, ahead of the store, in Unix
            seconds, and the id of the one that was not.
    """

    config: Config
    keyring: Keyring
    signing: SigningKeys
    boot_epoch: int
    started_at: int
    store_generation: str = ""
    counters: Counter[str] = field(default_factory=Counter)
    device_polls: DevicePolls = field(default_factory=DevicePolls)
    verified: VerifiedTokens = field(default_factory=VerifiedTokens)
    client_documents: DocumentCache = field(default_factory=DocumentCache)
    revoked: dict[str, int] = field(default_factory=dict)
    is_stopping: bool = False
    switched_off: set[str] = field(default_factory=set)
    ended_sessions: dict[str, tuple[int, str]] = field(default_factory=dict)
    grants: BoundedCache[GrantKey, Grant] = field(
        default_factory=lambda: BoundedCache(entries=MAX_GRANTS, total=MAX_GRANT_BYTES, size=_grant_bytes)
    )
    session_activity: SessionActivity = field(init=False)
    session_codes: OneTimeCodes[Session] = field(init=False)
    first_codes: OneTimeCodes[str] = field(init=False)

    def __post_init__(self) -> None:
        """Create what needs the keyring."""
        self.session_activity = SessionActivity(self.started_at)
        self.session_codes = OneTimeCodes(self.keyring, "session code")
        self.first_codes = OneTimeCodes(self.keyring, "first admin")

    def switch_off(self, id: str) -> None:
        """Treat an account, key, peer rule or session as disabled from now on: the store cannot be written."""
        self.switched_off.add(id)
        self.counters["unwritten"] += 1

    def in_force(self, record: R) -> R:
        """An account, key or app as it is treated: disabled, if it was disabled or deleted in memory only."""
        return msgspec.structs.replace(record, enabled=False) if record.id in self.switched_off else record

    def end_sessions(self, group: str, *, now: int, but: str) -> None:
        """Treat a group's sessions of until now as ended, but one: the store cannot be written."""
        self.ended_sessions[group] = (now, but)
        self.counters["unwritten"] += 1

    def grant(self, scope: tuple[str, ...], networks: tuple[str, ...], expires_at: int | None = None) -> Grant:
        """The grant for stored scope and network names under the current graph; equal grants are usually one object."""
        key = (self.config.graph.generation, scope, networks, expires_at)
        grant = self.grants.get(key)
        if grant is None:
            grant = Grant(mask=self.config.graph.mask(scope), networks=frozenset(networks), expires_at=expires_at)
            self.grants.keep(key, grant)
        return grant

    def reload(self, config: Config) -> None:
        """Apply new settings, all at once.

        Call it only while no handler runs, neither on the event loop nor in the store's writer: they must not see a
        mix of old and new settings.
        """
        self.config = config
        self.grants.clear()

    def scope_text(self, grant: Grant) -> str:
        """A grant's scope as users see it (RFC 6749, section 3.3): the fewest names, widest first."""
        return " ".join(self.config.graph.names(grant.mask))

    def claims(self, token: str, now: int) -> Claims:
        """The claims of a token that herod issued, verified or cached. The caller must check `aud`.

        Raises:
            BadToken: reason `malformed` or `signature`.
            FutureToken: it was issued in the future.
            ExpiredToken: the token has expired.
        """
        claims = self.verified.get(token, self.signing)
        if claims is not None and claims.iat - CLOCK_SKEW <= now < claims.exp:  # the clock may have been set back
            return claims
        claims = self.claims_at(token, now)
        self.verified.add(token, self.signing, claims)
        return claims

    def claims_at(self, token: str, at: int) -> Claims:
        """The claims of a token as of another time than now, without the cache.

        Raises:
            Unauthenticated: as `claims`.
        """
        return verify(
            token,
            self.signing,
            issuer=self.config.issuer,
            audience_issuer=self.config.public_url,
            ttl=self.config.token_ttl,
            now=at,
        )

    def forget_revocations(self, now: int) -> None:
        """Drop the revocations of tokens that have expired since."""
        for mark in [mark for mark, exp in self.revoked.items() if exp <= now]:
            del self.revoked[mark]
