"""What the change feed tells local verifiers about each record: ids, scopes, networks and epochs.

Any principal may read it, so an entry must never hold a name, an email, a secret, or which app somebody uses.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from herod.identity.effective_principals import LOCAL_ADMIN_ID, grant_of_app
from herod.identity.runtime_state import Runtime
from herod.pipeline.result_views import networks_list
from herod.records import Account, Delegation, PeerRule, Record, Revocation
from herod.scopes.principal import PrincipalKind
from herod.store.store_interface import Reader
from herod_client.core.grants import Grant
from herod_client.core.scope_graph import ADMIN

__all__ = [
    "KEPT_SECONDS",
    "Delegated",
    "Entry",
    "Gone",
    "Rules",
    "Sorted",
    "Subject",
    "Taken",
    "entry_of",
    "local_admin_entry",
    "rules_of",
    "sort",
    "unwritten_revocations",
]

# How long a revocation is listed after its token expired: a reader whose clock is slow must not accept the token.
KEPT_SECONDS: Final = 3600


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """A subject of tokens. `kind` is account, peer or local_admin; `scope` is what it holds now, and limits its tokens.

    A token with another epoch is not valid.
    """

    sub: str
    kind: str
    epoch: int
    scope: str
    networks: list[str]
    enabled: bool


class Delegated(msgspec.Struct, frozen=True, kw_only=True):
    """What the account `sub` lets an app do: the limit of tokens whose `via` is `delegation:` and this id.

    It ends at `expires` (RFC 7519, NumericDate). Such a token is not valid without it.
    """

    id: str
    sub: str
    scope: str
    networks: list[str]
    expires: int | None


class Taken(msgspec.Struct, frozen=True):
    """A token that was revoked; it would expire at `exp` (RFC 7519, NumericDate).

    `jti` may also be the `family` of tokens, all of which were revoked.
    """

    sub: str
    jti: str
    exp: int


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """How to verify tokens: their two issuers, their longest lifetime in seconds, and what each scope includes.

    `networks` are those that a service may require: the ones of the settings, or `*` for any. `started_at` is when this
    herod started, in Unix seconds: an unknown local admin's token from since then is another herod's.
    """

    issuer: str
    audience_issuer: str
    token_ttl: int
    scopes: dict[str, list[str]]
    networks: list[str]
    started_at: int


class Gone(msgspec.Struct, frozen=True):
    """What was told before and is not valid now, by its id."""

    id: str


Entry = Subject | Delegated | Taken | Gone


class Sorted(NamedTuple):
    """Entries by their kind; of those that are gone the ids."""

    subjects: list[Subject]
    delegations: list[Delegated]
    revoked: list[Taken]
    gone: list[str]


def entry_of(reader: Reader, runtime: Runtime, record: Record, now: int) -> Entry | None:
    """A record's entry in the feed, if it has one."""
    match record:
        case Account():
            return _subject(runtime, record, PrincipalKind.ACCOUNT, is_enabled=_is_enabled(runtime, record))
        case PeerRule():
            return _subject(runtime, record, PrincipalKind.PEER, is_enabled=record.id not in runtime.switched_off)
        case Revocation(expires_at=int(exp)) if now < exp + KEPT_SECONDS:
            return Taken(record.subject, record.jti, exp)
        case Delegation():
            grant = None if record.id in runtime.switched_off else grant_of_app(reader, runtime, record)
            return Gone(record.id) if grant is None else _delegated(runtime, record, grant)
        case _:
            return None


def sort(told: Iterable[Entry | None]) -> Sorted:
    """Divide entries by their kind."""
    found = Sorted([], [], [], [])
    for one in told:
        match one:
            case Subject():
                found.subjects.append(one)
            case Delegated():
                found.delegations.append(one)
            case Taken():
                found.revoked.append(one)
            case Gone(id_):
                found.gone.append(id_)
            case None:
                pass
    return found


def _subject(runtime: Runtime, record: Account | PeerRule, kind: PrincipalKind, *, is_enabled: bool) -> Subject:
    return Subject(
        sub=record.id,
        kind=kind,
        epoch=record.epoch,
        scope=runtime.scope_text(runtime.grant(record.scope, record.networks)),
        networks=networks_list(record.networks),
        enabled=is_enabled,
    )


def _delegated(runtime: Runtime, delegation: Delegation, grant: Grant) -> Delegated:
    return Delegated(
        id=delegation.id,
        sub=delegation.account,
        scope=runtime.scope_text(grant),
        networks=networks_list(grant.networks),
        expires=grant.expires_at,
    )


def _is_enabled(runtime: Runtime, account: Account) -> bool:
    return account.enabled and account.id not in runtime.switched_off


def local_admin_entry(runtime: Runtime) -> Subject:
    """The local admin is not in the store, and its tokens end with the process."""
    return Subject(
        sub=LOCAL_ADMIN_ID,
        kind=PrincipalKind.LOCAL_ADMIN,
        epoch=runtime.boot_epoch,
        scope=ADMIN,
        networks=["*"],
        enabled=True,
    )


def unwritten_revocations(runtime: Runtime) -> list[Taken]:
    """The revocations that only this process knows, because the store could not be written."""
    found = ((mark.rpartition("/"), exp) for mark, exp in runtime.revoked.items())
    return [Taken(sub, jti, exp) for (sub, _, jti), exp in found]


def rules_of(runtime: Runtime) -> Rules:
    """The rules in force."""
    graph = runtime.config.graph
    names = graph.scopes
    return Rules(
        issuer=runtime.config.issuer,
        audience_issuer=runtime.config.public_url,
        token_ttl=runtime.config.token_ttl,
        scopes={
            name: [other for other in names if other != name and graph.bit(other) & graph.mask((name,))]
            for name in names
        },
        networks=networks_list(runtime.config.networks),
        started_at=runtime.started_at,
    )
