"""Who has more access than they need, for the attention list, and who has lost some: apps, admins, passkeys.

One reading of apps, delegations, accounts and passkeys, in a thread with a reader of its own: it must not use what the
event loop changes. What is only in memory, such as a use that is not yet written, is looked at afterwards, in
`AccessSurvey.still`.
"""

from collections.abc import Callable, Iterator
from typing import Final, TypeVar

import msgspec

from herod.identity.apps.registered_apps import HEROD_CLI
from herod.identity.people.second_factors import has_second_factor
from herod.identity.runtime_state import Runtime
from herod.operations.keys import UNUSED_SECONDS
from herod.operations.system.admin_warnings import AccessFacts, WarningTopic
from herod.pipeline.result_views import rfc3339
from herod.records import Account, App, Delegation, Passkey, Record
from herod.store.store_interface import Reader
from herod_client.core.scope_graph import ADMIN, ScopeGraph

__all__ = ["AccessSurvey", "survey_access"]

R = TypeVar("R", bound=Record)

# Records of each kind that are read.
MAX_RECORDS: Final = 10_000
# Subjects that a survey keeps, and that a warning names.
KEPT: Final = 20
NAMED: Final = 5


class _Found(msgspec.Struct, frozen=True):
    """Some of what was found, how much there is, and whether all records were read."""

    topics: tuple[WarningTopic, ...]
    count: int
    is_all: bool


class AccessSurvey(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in the store."""

    admin_apps: _Found
    admin_delegations: _Found
    unused_delegations: _Found
    bare_admins: _Found
    stranded_passkeys: _Found

    def still(self, reader: Reader, runtime: Runtime, *, now: int) -> AccessFacts:
        """What is true now of what a survey up to a minute ago found."""

        def has_unused(topic: WarningTopic) -> bool:
            usage = reader.usage(topic.id)
            return topic.id not in runtime.switched_off and (usage is None or usage.at <= now - UNUSED_SECONDS)

        apps = _filtered(self.admin_apps, lambda topic: topic.id not in runtime.switched_off)
        admins = _filtered(self.admin_delegations, lambda topic: topic.id not in runtime.switched_off)
        unused = _filtered(self.unused_delegations, has_unused)
        bare = _filtered(
            self.bare_admins,
            lambda topic: topic.id not in runtime.switched_off and not has_second_factor(reader, topic.id),
        )
        return AccessFacts(
            admin_apps=apps.topics[:NAMED],
            admin_apps_count=apps.count,
            are_all_admin_apps=apps.is_all,
            admin_delegations=admins.topics[:NAMED],
            admin_delegations_count=admins.count,
            are_all_admin_delegations=admins.is_all,
            unused_delegations=unused.topics[:NAMED],
            unused_delegations_count=unused.count,
            are_all_unused_delegations=unused.is_all,
            bare_admins=bare.topics[:NAMED],
            bare_admins_count=bare.count,
            are_all_bare_admins=bare.is_all,
            stranded_passkeys=self.stranded_passkeys.topics[:NAMED],
            stranded_passkeys_count=self.stranded_passkeys.count,
            are_all_stranded_passkeys=self.stranded_passkeys.is_all,
        )


def survey_access(reader: Reader, graph: ScopeGraph, host: str, now: int) -> AccessSurvey:
    """Read apps, delegations, accounts and passkeys.

    Args:
        reader: of the survey's thread.
        graph: the scopes there are.
        host: of the public URL.
        now: Unix seconds.
    """

    def is_admin(scope: tuple[str, ...]) -> bool:
        return bool(graph.mask(scope) & graph.bit(ADMIN))

    live, are_all = _live_delegations(reader, now)
    admin_delegations = (_topic(reader, one, None) for one in live if one.app != HEROD_CLI and is_admin(one.scope))
    return AccessSurvey(
        admin_apps=_collect(
            reader,
            App,
            lambda app: WarningTopic(id=app.id, name=app.name) if app.enabled and is_admin(app.scope) else None,
        ),
        admin_delegations=_kept(admin_delegations, is_all=are_all),
        unused_delegations=_kept(_unused(reader, live, now), is_all=are_all),
        bare_admins=_collect(
            reader,
            Account,
            lambda one: (
                WarningTopic(id=one.id, name=one.email or one.name)
                if one.enabled and one.password and is_admin(one.scope) and not has_second_factor(reader, one.id)
                else None
            ),
        ),
        stranded_passkeys=_collect(
            reader,
            Passkey,
            lambda one: (
                WarningTopic(id=one.account, name=f"{one.name} of {_whose(reader, one.account)}, at {one.host}")
                if one.host not in ("", host)
                else None
            ),
        ),
    )


def _live_delegations(reader: Reader, now: int) -> tuple[list[Delegation], bool]:
    """Those whose account still stands behind them, and whether all were read."""
    found, is_all = _read(reader, Delegation)
    live = []
    for one in found:
        account = reader.get(Account, one.account)
        if account is not None and account.enabled and account.epoch == one.epoch and not one.has_ended(now):
            live.append(one)
    return live, is_all


def _unused(reader: Reader, live: list[Delegation], now: int) -> Iterator[WarningTopic]:
    for one in live:
        usage = reader.usage(one.id)
        if max(one.created_at, 0 if usage is None else usage.at) <= now - UNUSED_SECONDS:
            yield _topic(reader, one, None if usage is None else usage.at)


def _topic(reader: Reader, delegation: Delegation, used_at: int | None) -> WarningTopic:
    name = f"{delegation.app_name} of {_whose(reader, delegation.account)}"
    return WarningTopic(id=delegation.id, name=name, at=rfc3339(used_at))


def _whose(reader: Reader, account_id: str) -> str:
    account = reader.get(Account, account_id)
    return account_id if account is None else account.email or account.name


def _collect(reader: Reader, record_type: type[R], judge: Callable[[R], WarningTopic | None]) -> _Found:
    """What `judge` names, of the records of a type."""
    found, is_all = _read(reader, record_type)
    return _kept((topic for one in found if (topic := judge(one)) is not None), is_all=is_all)


def _read(reader: Reader, record_type: type[R]) -> tuple[list[R], bool]:
    """The records of a type, and whether these are all."""
    found: list[R] = []
    cursor: str | None = None
    while len(found) < MAX_RECORDS:
        page = reader.list(record_type, cursor=cursor)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found, True
    return found, False


def _kept(topics: Iterator[WarningTopic], *, is_all: bool) -> _Found:
    found = list(topics)
    return _Found(tuple(found[:KEPT]), len(found), is_all)


def _filtered(found: _Found, is_so: Callable[[WarningTopic], bool]) -> _Found:
    topics = tuple(topic for topic in found.topics if is_so(topic))
    return _Found(topics, found.count - (len(found.topics) - len(topics)), found.is_all)
