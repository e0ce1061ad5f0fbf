"""The change feed for local token verifiers: what each subject's tokens may do, and which tokens were revoked.

Without a cursor, or with one that the feed cannot continue from, a reader gets a new snapshot (`reset`): the subjects
that tokens may name, what accounts delegated to apps, and the revocations, a few hundred at a time. After that it gets
changes, and can wait for them. Any principal may read the feed, so it holds ids, scopes, networks and epochs, and never
a name, an email or a secret.

    cursor = generation "." rev "." instance "." unwritten [ "." kind "." page ]

generation and rev are the store's; instance changes with everything outside the store that effective scopes depend on:
a restart, other scopes. `unwritten` counts changes made while the store could not be written: revocations, accounts
that were disabled or deleted, and delegations that were taken back. kind and page say where a snapshot continues.
"""

from typing import Annotated, Final
from zlib import crc32

import msgspec
import trio

from herod.identity.runtime_state import Runtime
from herod.operations.tokens.feed_entries import (
    Delegated,
    Entry,
    Rules,
    Subject,
    Taken,
    entry_of,
    local_admin_entry,
    rules_of,
    sort,
    unwritten_revocations,
)
from herod.pipeline.operation_definition import Context, Params, query
from herod.pipeline.pagination import ByteBudget, fill_page
from herod.records import Account, App, Delegation, PeerRule, Record, Revocation, SigningKeyRecord
from herod.scopes.decisions import Access
from herod.store.page_cursors import cursor_after
from herod.store.store_interface import MAX_PAGE, Cursor, Order, Page, Reader, Store
from herod.throttle.source_ranges import range_of
from herod.throttle.source_shares import share_of
from herod_client.core.errors import InvalidRequest, RateLimited

__all__ = ["MAX_WAIT_SECONDS", "token_changes"]

MAX_WAIT_SECONDS: Final = 30
RETRY_SECONDS: Final = 5
MAX_CURSOR_CHARS: Final = 512
# What a snapshot holds, in this order.
KINDS: Final[tuple[type[Record], ...]] = (Account, PeerRule, Revocation, Delegation)
# After a change of an app, all delegations are told again: it may have ended or narrowed those to that app.
DELEGATIONS: Final = KINDS.index(Delegation)
TOLD: Final = frozenset({*(kind.kind for kind in KINDS), App.kind, SigningKeyRecord.kind})
IDS_NOT_TOLD: Final = frozenset({Revocation.kind, App.kind, SigningKeyRecord.kind})


class FollowTokens(Params, frozen=True, kw_only=True):
    """`cursor` is from the previous answer; `wait` is how many seconds to wait for changes, at most 30."""

    cursor: Annotated[str, msgspec.Meta(description="`cursor` of the previous answer")] | None = None
    wait: Annotated[
        int,
        msgspec.Meta(
            description="seconds to wait for changes, if there are none yet",
            extra_json_schema={"minimum": 0, "maximum": MAX_WAIT_SECONDS},
        ),
    ] = 0


class TokenChangesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What changed since the cursor.

    With `reset`, readers discard what they had: this answer begins a snapshot, and `rules` says how tokens are
    verified. With `has_more`, the next answer is available at once, and the state is complete only after the last one.
    With `new_keys`, the public keys at `/.well-known/jwks.json` have changed.
    """

    cursor: str
    reset: bool
    has_more: bool
    subjects: list[Subject]
    delegations: list[Delegated]
    gone: list[str]
    revoked: list[Taken]
    rules: Rules | None
    new_keys: bool = False

    @property
    def is_news(self) -> bool:
        """Whether it says anything."""
        return self.reset or bool(self.subjects or self.delegations or self.gone or self.revoked or self.new_keys)


class FeedPosition(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed cursor."""

    generation: str
    rev: int
    instance: str
    unwritten: int
    kind: int | None = None
    page: str | None = None

    def __str__(self) -> str:
        text = f"{self.generation}.{self.rev}.{self.instance}.{self.unwritten}"
        return text if self.kind is None else f"{text}.{self.kind}.{self.page or ''}"


async def _follow(store: Store, context: Context, params: FollowTokens) -> TokenChangesAnswer:
    if not 0 <= params.wait <= MAX_WAIT_SECONDS:
        raise InvalidRequest(f"The parameter 'wait' is {params.wait}: give 0 to {MAX_WAIT_SECONDS} seconds.")
    runtime = context.runtime
    place = None if params.cursor is None else _parse_place(params.cursor)
    earliest = context.process.steady.earliest(context.now)
    answer = await _read(store, runtime, place, earliest)
    if params.wait and not (answer.is_news or answer.has_more) and not runtime.is_stopping:
        source = share_of(context.source)
        with context.process.feed_places.hold(range_of(source), source, context.principal.id) as held:
            if held is None:
                raise RateLimited(
                    "Too many requests are waiting for changes: end one of yours, or ask without wait.",
                    retry_after=RETRY_SECONDS,
                    reason="too_many_waiting",
                )
            with held.scope, trio.move_on_after(params.wait):  # whoever loses the place is answered: no changes
                while not (answer.is_news or answer.has_more) and not runtime.is_stopping:
                    await store.change_notifier.wait(TOLD)
                    answer = await _read(store, runtime, _parse_place(answer.cursor), earliest)
    return answer


@query(
    "token.changes",
    needs=Access.AUTHENTICATED,
    example={"wait": 20},
    http=("GET /api/v1/tokens/changes",),
    wait=_follow,
    failures=(RateLimited,),
    is_quiet=True,
)
def token_changes(reader: Reader, context: Context, params: FollowTokens) -> TokenChangesAnswer:
    """Return changes for local token verifiers: current scopes of subjects and of apps' delegations, revoked tokens."""
    raise NotImplementedError  # `wait` answers


async def _read(store: Store, runtime: Runtime, place: FeedPosition | None, now: int) -> TokenChangesAnswer:
    """The answer at that position, without waiting for changes; parts without any are passed over.

    Revocations of tokens that had long expired at `now` are left out.
    """
    while True:
        answer = _read_part(store, runtime, place, now)
        if not answer.has_more or answer.is_news:
            return answer
        place = _parse_place(answer.cursor)
        await trio.lowlevel.checkpoint()


def _read_part(store: Store, runtime: Runtime, place: FeedPosition | None, now: int) -> TokenChangesAnswer:
    if place is None or place.instance != _instance(runtime) or place.generation != store.cursor.generation:
        return _snapshot(store, runtime, _begin(store, runtime), now, is_reset=True)
    if place.kind is not None:
        return _snapshot(store, runtime, place, now, is_reset=False)
    changes = store.changes(Cursor(place.generation, place.rev), limit=MAX_PAGE, kinds=TOLD)
    if changes.is_reset:
        return _snapshot(store, runtime, _begin(store, runtime), now, is_reset=True)
    unwritten = runtime.counters["unwritten"]
    put: list[Record] = [*changes.put]
    revoked: list[Taken] = []
    if unwritten != place.unwritten:
        put += [
            record
            for id_ in runtime.switched_off
            for record_type in (Account, PeerRule, App, Delegation)
            if (record := store.get(record_type, id_)) is not None
        ]
        revoked += unwritten_revocations(runtime)
    kinds = {*(record.kind for record in put), *(kind for kind, _ in changes.deleted)}
    told = sort(entry_of(store, runtime, record, now) for record in put)
    again = DELEGATIONS if App.kind in kinds else None
    return TokenChangesAnswer(
        cursor=str(msgspec.structs.replace(place, rev=changes.cursor.rev, unwritten=unwritten, kind=again)),
        reset=False,
        has_more=changes.has_more or again is not None,
        subjects=told.subjects,
        delegations=told.delegations,
        gone=[*(id_ for kind, id_ in changes.deleted if kind not in IDS_NOT_TOLD), *told.gone],
        revoked=[*told.revoked, *revoked],
        rules=None,
        new_keys=SigningKeyRecord.kind in kinds,
    )


def _snapshot(store: Store, runtime: Runtime, place: FeedPosition, now: int, *, is_reset: bool) -> TokenChangesAnswer:
    """The next part of a snapshot. Changes made meanwhile follow it, from the revision at which it began."""
    rules, unwritten, room = None, [], ByteBudget()
    told: list[Entry] = []
    if is_reset:
        rules, unwritten = rules_of(runtime), unwritten_revocations(runtime)
        told.append(local_admin_entry(runtime))
        room.takes((rules, unwritten, told))
    kind, page, count = place.kind or 0, place.page, 0
    while kind < len(KINDS) and count < MAX_PAGE and not room.is_full:
        listed = store.list(KINDS[kind], cursor=page, limit=MAX_PAGE - count)
        part: Page[Entry] = fill_page(
            listed.items,
            lambda record: entry_of(store, runtime, record, now),
            place=lambda record: cursor_after(record, Order.OLDEST),
            begin=page,
            end=listed.next_cursor,
            room=room,
        )
        told += part.items
        count += len(listed.items)
        page = part.next_cursor
        kind += page is None and not room.is_full
    is_last = kind == len(KINDS)
    sorted_ = sort(told)
    return TokenChangesAnswer(
        cursor=str(msgspec.structs.replace(place, kind=None if is_last else kind, page=None if is_last else page)),
        reset=is_reset,
        has_more=not is_last,
        subjects=sorted_.subjects,
        delegations=sorted_.delegations,
        gone=sorted_.gone,
        revoked=[*sorted_.revoked, *unwritten],
        rules=rules,
    )


def _begin(store: Store, runtime: Runtime) -> FeedPosition:
    return FeedPosition(
        generation=store.cursor.generation,
        rev=store.cursor.rev,
        instance=_instance(runtime),
        unwritten=runtime.counters["unwritten"],
    )


def _instance(runtime: Runtime) -> str:
    """What a follower's rules belong to; those of another instance are sent anew."""
    config = runtime.config
    return f"{runtime.boot_epoch:x}-{config.graph.generation}-{crc32(config.public_url.encode()):x}"


def _parse_place(text: str) -> FeedPosition:
    """Parse a cursor.

    Raises:
        InvalidRequest: it is not a cursor of the feed.
    """
    try:
        generation, rev, instance, unwritten, *rest = text[:MAX_CURSOR_CHARS].split(".")
        kind, page = rest or (None, "")
        place = FeedPosition(
            generation=generation,
            rev=int(rev),
            instance=instance,
            unwritten=int(unwritten),
            kind=None if kind is None else int(kind),
            page=page or None,
        )
    except ValueError:
        place = None
    if place is None or str(place) != text or not 0 <= (place.kind or 0) < len(KINDS):
        raise InvalidRequest("The cursor is invalid: leave it out to get a new snapshot.", reason="cursor")
    return place
