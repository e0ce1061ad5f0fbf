"""The audit chain: each row's HMAC covers the row before it, and a sealed head records where it ends.

    mac(seq) = HMAC(audit key, mac(seq - 1) ‖ seq ‖ json)       mac of the anchor = 32 zero bytes at first

So a changed, swapped, inserted or missing row breaks every HMAC after it, and a truncated chain does not reach the
head. Pure: rows and head are passed in. Only a holder of the audit key could write another chain.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from herod.audit_event import AuditEvent
from herod.credentials.keyring import Keyring, Purpose
from herod.store.store_interface import AuditVerdict

__all__ = ["GENESIS", "ChainEnd", "ChainRow", "decode_event", "encode_event", "link", "trim", "walk"]

GENESIS: Final = bytes(32)

ChainRow = tuple[int, str, bytes]
"""seq, json, mac: as stored."""

_decode: Final = msgspec.json.Decoder(AuditEvent).decode


class ChainEnd(msgspec.Struct, frozen=True):
    """An end of the chain: its last row, or the one before its first."""

    seq: int = 0
    mac: bytes = GENESIS


def encode_event(event: AuditEvent) -> str:
    """The JSON of an event, as it is stored and covered by the HMAC."""
    return msgspec.json.encode(event).decode()


def decode_event(json: str) -> AuditEvent:
    """Decode the JSON of `encode_event`.

    Raises:
        msgspec.DecodeError: it is not an audit event.
    """
    return _decode(json)


def link(keyring: Keyring, end: ChainEnd, json: str) -> ChainEnd:
    """The chain's end after appending a row with that JSON."""
    seq = end.seq + 1
    return ChainEnd(seq, keyring.mac(Purpose.AUDIT, end.mac, seq.to_bytes(8, "big"), json.encode()))


def trim(
    keyring: Keyring,
    rows: Iterable[ChainRow],
    *,
    anchor: ChainEnd,
    head: ChainEnd,
    before: int,
    through: int,
    latest: int | None = None,
) -> tuple[ChainEnd, int | None]:
    """The new anchor: after the oldest rows that are too old or too many, as long as they verify.

    Args:
        keyring: has the audit key.
        rows: the oldest rows, by seq.
        anchor: the current anchor.
        head: the chain's end.
        before: Unix seconds; older rows are removed, up to the first that is not older.
        through: rows up to this seq are removed whatever their age, up to the first action of an admin.
        latest: Unix seconds; a later row was written while the clock was ahead, and is as old as the row after it.

    Returns:
        The anchor, and the number of the row that stopped it because it does not verify, if any.
    """
    end, admins_act = anchor, False  # the end may be ahead of the anchor by rows of unknown age
    for seq, json, mac in rows:
        end = link(keyring, end, json)
        if end != ChainEnd(seq, mac) or seq > head.seq:
            return anchor, seq
        event = decode_event(json)
        admins_act = admins_act or event.by_admin
        is_surplus = seq <= through and not admins_act
        if event.at < before or is_surplus:
            anchor, admins_act = end, False
        elif latest is None or event.at <= latest:
            break
    return anchor, None


def walk(
    keyring: Keyring, rows: Iterable[ChainRow], *, anchor: ChainEnd, head: ChainEnd, expect: bytes | None = None
) -> AuditVerdict:
    """Verify the chain of all stored rows, in order.

    Args:
        keyring: has the audit key.
        rows: every stored row, by seq.
        anchor: the last row that retention has removed; the chain starts after it.
        head: the chain's end according to the sealed head.
        expect: an HMAC that was noted as the chain's last one at some time.
    """
    end, count = anchor, 0
    is_held = expect in (None, anchor.mac)
    for seq, json, mac in rows:
        count += 1
        if seq > head.seq and end.seq == head.seq:
            return _broken(anchor, head, count, seq, f"row {seq} was added after the sealed head")
        if seq != end.seq + 1:
            if seq <= anchor.seq:
                return _broken(anchor, head, count, seq, f"row {seq} is before the beginning of the chain")
            return _broken(anchor, head, count, end.seq + 1, f"row {end.seq + 1} is missing")
        end = link(keyring, end, json)
        if end.mac != mac:
            return _broken(anchor, head, count, seq, f"row {seq} was changed, moved or inserted")
        is_held = is_held or mac == expect
    if end.seq < head.seq:
        missing = f"rows {end.seq + 1} to {head.seq} are missing at the end"
        return _broken(anchor, head, count, end.seq + 1, missing)
    if end.mac != head.mac:
        return _broken(anchor, head, count, end.seq, f"row {end.seq} does not match the sealed head")
    if not is_held:
        reason = _unknown_head(anchor)
        return AuditVerdict(valid=False, rows=count, head=head.mac.hex(), removed=anchor.seq, reason=reason)
    return AuditVerdict(valid=True, rows=count, head=head.mac.hex(), removed=anchor.seq)


def _unknown_head(anchor: ChainEnd) -> str:
    """Why an intact chain does not contain the expected HMAC."""
    if anchor.seq:
        return (
            f"no row has the expected HMAC: either it is one of rows 1 to {anchor.seq}, which retention has removed, "
            "or since it was noted the end of the log was truncated, or a backup was restored"
        )
    return "no row has the expected HMAC: since it was noted the end of the log was truncated, or a backup was restored"


def _broken(anchor: ChainEnd, head: ChainEnd, rows: int, first_bad: int, reason: str) -> AuditVerdict:
    return AuditVerdict(
        valid=False, rows=rows, head=head.mac.hex(), removed=anchor.seq, first_bad=first_bad, reason=reason
    )
