"""The audit log: list its rows, and verify that it is complete. Rows hold ids, never a name or a secret.

Both can read for a long time, so they are awaited (`wait`) and read in a thread, with a separate connection.
"""

from typing import Annotated, Final

import msgspec

from herod.pipeline.operation_definition import Context, Params, Time, Tool, query
from herod.pipeline.pagination import fill_page, parse_limit
from herod.pipeline.parameters.parameter_types import EXAMPLE_ID, Cursor, Limit, Since, Until
from herod.pipeline.record_references import any_id
from herod.pipeline.result_views import rfc3339
from herod.store.audit_filter import AuditFilter
from herod.store.page_cursors import encode_cursor, parse_cursor
from herod.store.store_interface import MAX_PAGE, AuditRow, AuditVerdict, Page, Reader, Store
from herod.throttle.source_shares import share_of
from herod_client.core.errors import InvalidRequest
from herod_client.core.scope_graph import ADMIN
from herod_client.core.times import DAY, parse_time

__all__ = ["AuditEntry", "audit_entry", "audit_list", "audit_verify"]

MAX_SEQ: Final = 2**63 - 1
HMAC_BYTES: Final = 32
# The direction in which a cursor continues.
OLDER: Final = "older"
NEWER: Final = "newer"


class ListAudit(Params, frozen=True, kw_only=True):
    """Newest first; with `after`, a row's `seq`, the rows after it, oldest first.

    `operation` is a name, or a prefix such as `keys.*`; `since` is inclusive and `until` exclusive; `limit` is at most
    200. Rows must match every given filter.
    """

    at_most_one = ("after", "cursor")

    actor: Annotated[str, msgspec.Meta(description="who did or tried it: an id, email or unique name")] | None = None
    operation: Annotated[str, msgspec.Meta(description="its name, or a prefix such as `keys.*`")] | None = None
    outcome: Annotated[str, msgspec.Meta(description="`ok` or `denied`")] | None = None
    reason: Annotated[str, msgspec.Meta(description="why it was refused, such as `missing_scope`")] | None = None
    source: Annotated[str, msgspec.Meta(description="`uid:N` or an address")] | None = None
    target: Annotated[str, msgspec.Meta(description="what was changed or presented: as `actor`")] | None = None
    since: Since | None = None
    until: Until | None = None
    after: (
        Annotated[
            int,
            msgspec.Meta(
                description="the `seq` of a row: list the rows after it, oldest first",
                extra_json_schema={"minimum": 0, "maximum": MAX_SEQ},
            ),
        ]
        | None
    ) = None
    cursor: Cursor | None = None
    limit: Limit = MAX_PAGE


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One row. `actor` is a client_id, key id, peer rule id, legacy id, `local-admin` or `anonymous`.

    `method` is how the actor authenticated; `source` is `uid:N` or an address; `outcome` is ok or denied, `reason` why;
    `target` is the id of what was changed or presented; `count` is how many equal events the row stands for;
    `by_admin` says that the actor held admin; `mac` is the HMAC of the row in the chain, in hex.
    """

    seq: int
    at: Time | None
    actor: str
    method: str
    source: str
    operation: str
    outcome: str
    reason: str | None
    target: str | None
    count: int
    by_admin: bool
    mac: str


class VerifyAudit(Params, frozen=True, kw_only=True):
    """`expect` is a `head` of an earlier verification."""

    expect: (
        Annotated[
            str,
            msgspec.Meta(
                description="a `head` noted earlier, which the log must still contain",
                extra_json_schema={"pattern": f"^[0-9A-Fa-f]{{{2 * HMAC_BYTES}}}$"},
            ),
        ]
        | None
    ) = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`head` is the HMAC of the last row, to be noted; `first_bad` is the `seq` of the first row that is wrong.

    `removed` is the `seq` of the last row that retention has removed.
    """

    valid: bool
    rows: int
    head: str
    removed: int
    first_bad: int | None = None
    reason: str | None = None


async def _list(store: Store, context: Context, params: ListAudit) -> Page[AuditEntry]:
    limit = parse_limit(params.limit)
    after, before = _ends(params)
    wanted = AuditFilter(
        actor=None if params.actor is None else any_id(store, context, params.actor),
        operation=params.operation,
        outcome=params.outcome,
        reason=params.reason,
        source=params.source,
        target=None if params.target is None else any_id(store, context, params.target),
        since=None if params.since is None else parse_time(params.since, what="The parameter 'since'", of_day=0),
        until=None if params.until is None else parse_time(params.until, what="The parameter 'until'", of_day=DAY),
    )
    async with context.process.scan_turns.turn(share_of(context.source)):
        rows = await store.find_audit(wanted, after=after, before=before, limit=limit + 1)
    way = OLDER if after is None else NEWER
    cursor = encode_cursor(rows[limit - 1].seq, way) if len(rows) > limit else None
    return fill_page(rows[:limit], audit_entry, place=lambda row: encode_cursor(row.seq, way), end=cursor)


@query(
    "audit.list",
    needs=ADMIN,
    example={"actor": EXAMPLE_ID, "operation": "keys.*", "limit": 50},
    http=("GET /api/v1/audit",),
    tool=Tool("list_audit"),
    wait=_list,
)
def audit_list(reader: Reader, context: Context, params: ListAudit) -> Page[AuditEntry]:
    """List audit events, newest first: actor, credential, source, operation, outcome and reason."""
    raise NotImplementedError  # `wait` answers


async def _verify(store: Store, context: Context, params: VerifyAudit) -> Verdict:
    expect = _parse_head(params.expect)
    async with context.process.scan_turns.turn(share_of(context.source)):
        verdict: AuditVerdict = await store.verify_audit(expect=expect)
    return Verdict(**msgspec.structs.asdict(verdict))


@query(
    "audit.verify",
    needs=ADMIN,
    example={"expect": "5f" * HMAC_BYTES},
    http=("GET /api/v1/audit/verify",),
    wait=_verify,
)
def audit_verify(reader: Reader, context: Context, params: VerifyAudit) -> Verdict:
    """Verify that the audit log is complete and unchanged, and that it still contains an earlier head."""
    raise NotImplementedError  # `wait` answers


def _ends(params: ListAudit) -> tuple[int | None, int | None]:
    """The rows that the page lies between, as (after, before)."""
    if params.cursor is None:
        if params.after is not None and not 0 <= params.after <= MAX_SEQ:
            raise InvalidRequest(f"The parameter 'after' is {params.after}: give the seq of a row, or 0.")
        return params.after, None
    if params.after is not None:
        raise InvalidRequest("Give after or cursor, not both: the cursor continues where its page ended.")
    seq, way = parse_cursor(params.cursor)
    if way not in (OLDER, NEWER) or seq < 0:
        raise InvalidRequest("The cursor belongs to another list: leave it out to start over.", reason="cursor")
    return (seq, None) if way == NEWER else (None, seq)


def _parse_head(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        mac = bytes.fromhex(text)
    except ValueError:
        mac = b""
    if len(mac) != HMAC_BYTES:
        raise InvalidRequest(f"A head is {2 * HMAC_BYTES} characters of 0-9 and a-f, as audit.verify returns it.")
    return mac


def audit_entry(row: AuditRow) -> AuditEntry:
    """A row as `audit.list` shows it, and as a line of its copies."""
    event = row.event
    return AuditEntry(
        seq=row.seq,
        at=rfc3339(event.at),
        actor=event.actor,
        method=event.method,
        source=event.source,
        operation=event.operation,
        outcome=event.outcome,
        reason=event.reason,
        target=event.target,
        count=event.count,
        by_admin=event.by_admin,
        mac=row.mac,
    )
