"""What this daemon is an authority over: its scopes and networks, its issuer and keys, its counters.

One object, made by the composition root and handed to every handler. Nothing here decides anything.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from herod.credentials.keyring import Keyring
from herod.identity.config import Config
from herod.identity.one_time_codes import OneTimeCodes
from herod.identity.verified_token_cache import ENTRY_BYTES, NAME_BYTES, VerifiedTokens
from herod.records import Session
from herod_client.core.access_tokens import CLOCK_SKEW, Claims, verify
from herod_client.core.bounded_cache import BoundedCache
from herod_client.core.grants import Grant
from herod_client.core.signing_keys import SigningKeys

__all__ = ["Runtime"]


# What is kept at hand and can be made again: how many, and bytes of all together.
MAX_GRANTS: Final = 4096
MAX_GRANT_BYTES: Final = 16 * 1024 * 1024
GrantKey = tuple[int, tuple[str, ...], tuple[str, ...], int | None]


def _grant_bytes(key: GrantKey, grant: Grant) -> int:
    _, scope, networks, _ = key
    return ENTRY_BYTES + NAME_BYTES * (len(scope) + len(networks))


@dataclass(slots=True, kw_only=True)
class Runtime:
    """What handlers and the identifier know besides the store.

    Attributes:
        config: what the settings say.
        boot_epoch: random at each start; tokens and sessions of the local admin name it and die with the process.
        grants: made before, by graph generation and names.
        revoked: `sub/jti` → exp of tokens revoked in this process, ahead of the store.
        waiting: how many wait for changes, in all, by source and by principal (`operations/tokens/change_feed.py`).
        is_stopping: the daemon ends: nobody is to wait any more.
        session_codes: what signs a browser in from a terminal (`operations/sessions/terminal_sign_in_codes.py`).
        first_codes: what makes the first admin (`operations/accounts/first_admin.py`).
        switched_off: ids of accounts and keys that were switched off or deleted here, ahead of the store.
    """

    config: Config
    keyring: Keyring
    signing: SigningKeys
    boot_epoch: int
    started_at: int
    counters: Counter[str] = field(default_factory=Counter)
    verified: VerifiedTokens = field(default_factory=VerifiedTokens)
    revoked: dict[str, int] = field(default_factory=dict)
    waiting: Counter[str] = field(default_factory=Counter)
    is_stopping: bool = False
    switched_off: set[str] = field(default_factory=set)
    grants: BoundedCache[GrantKey, Grant] = field(
        default_factory=lambda: BoundedCache(entries=MAX_GRANTS, total=MAX_GRANT_BYTES, size=_grant_bytes)
    )
    session_codes: OneTimeCodes[Session] = field(init=False)
    first_codes: OneTimeCodes[str] = field(init=False)

    def __post_init__(self) -> None:
        """What needs the keyring."""
        self.session_codes = OneTimeCodes(self.keyring, "session code")
        self.first_codes = OneTimeCodes(self.keyring, "first admin")

    def grant(self, scope: tuple[str, ...], networks: tuple[str, ...], expires_at: int | None = None) -> Grant:
        """A grant of stored scope and network names, under the present graph; equal ones are mostly one object."""
        key = (self.config.graph.generation, scope, networks, expires_at)
        grant = self.grants.get(key)
        if grant is None:
            grant = Grant(mask=self.config.graph.mask(scope), networks=frozenset(networks), expires_at=expires_at)
            self.grants.keep(key, grant)
        return grant

    def reload(self, config: Config) -> None:
        """Take new settings, all together.

        To be called when no handler runs, on the event loop or in the store's writer: what these know of each other
        must not change under them.
        """
        self.config = config
        self.grants.clear()

    def scope_text(self, grant: Grant) -> str:
        """A grant's scope as users see it (RFC 6749, section 3.3): the fewest names, widest first."""
        return " ".join(self.config.graph.names(grant.mask))

    def claims(self, token: str, now: int) -> Claims:
        """The claims of a token of ours, checked or remembered. For whom it is meant, `aud`, is for the caller to ask.

        Raises:
            BadToken: reason `malformed` or `signature`.
            ExpiredToken: its time is over.
        """
        claims = self.verified.get(token, self.signing)
        if claims is not None and claims.iat - CLOCK_SKEW <= now < claims.exp:  # a clock may be put back
            return claims
        claims = verify(
            token,
            self.signing,
            issuer=self.config.issuer,
            audience_issuer=self.config.public_url,
            audiences=None,
            ttl=self.config.token_ttl,
            now=now,
        )
        self.verified.add(token, self.signing, claims)
        return claims

    def forget_revocations(self, now: int) -> None:
        """Drop what was revoked in this process and has expired since."""
        for mark in [mark for mark, exp in self.revoked.items() if exp <= now]:
            del self.revoked[mark]
