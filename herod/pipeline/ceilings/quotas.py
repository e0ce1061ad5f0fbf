"""Quotas: how many records one principal may have (`[quotas]` in the settings).

Checked inside the write's transaction, so that parallel requests cannot exceed one, and counted by index or by a
counter, never by reading the records. They hold in every protocol and for admins; only the local admin, who could
change the settings too, is not bound by them. What exists already is not affected by a quota.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from herod.pipeline.operation_definition import Context
from herod.records import Record
from herod.scopes.principal import AuthMethod, Principal, PrincipalKind
from herod.settings import QuotaSettings
from herod.store.store_interface import Reader
from herod.throttle.source_shares import share_of
from herod_client.core.errors import Conflict

__all__ = ["Quota", "check_quota", "is_bound", "own_share", "quota_reached"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """The most records of one type, of one owner or in all.

    Attributes:
        name: its name in the settings.
        most: the number.
        full: the message's beginning; `{most}` is the number.
        advice: what the caller can do.
        hint: a command that does.
        record_type: the type that is counted; None if the operation counts.
    """

    name: str
    most: Callable[[QuotaSettings], int]
    full: str
    advice: str
    hint: str | None = None
    record_type: type[Record] | None = None


def is_bound(context: Context) -> bool:
    """Whether quotas hold for the caller."""
    return context.principal.kind is not PrincipalKind.LOCAL_ADMIN


# Several local users or programs present these as one principal.
_SHARED: Final = frozenset({AuthMethod.PEER, AuthMethod.LEGACY_SECRET})


def own_share(context: Context, principal: Principal) -> str:
    """Whose share of the principal's quotas the caller uses, if several may be that principal; else empty."""
    return share_of(context.source) if principal.made_with in _SHARED else ""


def check_quota(reader: Reader, context: Context, quota: Quota, *, owner: str | None = None) -> None:
    """Refuse another record when there are as many as the quota allows.

    Args:
        owner: whose records count; None for those of all owners.

    Raises:
        Conflict: the quota is reached.
    """
    if quota.record_type is None or not is_bound(context):
        return
    most = quota.most(context.runtime.config.quotas)
    if owner is None:
        held = reader.count(quota.record_type)
    else:
        held = reader.count_owned(quota.record_type, owner, limit=most)
    if held >= most:
        raise quota_reached(quota, most)


def quota_reached(quota: Quota, most: int) -> Conflict:
    """The error for a stock that is full."""
    return Conflict(
        f"{quota.full.format(most=most)}: {quota.advice}, or ask whoever runs herod to raise {quota.name} under "
        "[quotas] in its settings.",
        reason=f"quota_{quota.name}",
        hint=quota.hint,
    )
