"""The audit chain: each row's HMAC covers the row before it, and a sealed head remembers where it ends.

The law:

    mac(seq) = HMAC(audit key, mac(seq - 1) ‖ seq ‖ json)       mac of the anchor = 32 zero bytes at first

So a changed, swapped, inserted or missing row breaks every HMAC after it, and a cut tail does not reach the head.
Pure: rows and head are passed in. Who holds the audit key could write another chain; nobody else can.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from herod.credentials.keyring import Keyring, Purpose
from herod.records import AuditEvent
from herod.store.store_interface import AuditVerdict

__all__ = ["GENESIS", "ChainEnd", "ChainRow", "decode_event", "encode_event", "link", "trim", "walk"]

GENESIS: Final = bytes(32)

ChainRow = tuple[int, str, bytes]
"""seq, json, mac: as stored."""

_decode: Final = msgspec.json.Decoder(AuditEvent).decode


class ChainEnd(msgspec.Struct, frozen=True):
    """An end of the chain: the last row it holds, or the one before its first."""

    seq: int = 0
    mac: bytes = GENESIS


def encode_event(event: AuditEvent) -> str:
    """The JSON of an event, as it is stored and covered by the HMAC."""
    return msgspec.json.encode(event).decode()


def decode_event(json: str) -> AuditEvent:
    """Read what `encode_event` wrote.

    Raises:
        msgspec.DecodeError: somebody else wrote it.
    """
    return _decode(json)


def link(keyring: Keyring, end: ChainEnd, json: str) -> ChainEnd:
    """The chain's end after a row of that JSON."""
    seq = end.seq + 1
    return ChainEnd(seq, keyring.mac(Purpose.AUDIT, end.mac, seq.to_bytes(8, "big"), json.encode()))


def trim(
    keyring: Keyring, rows: Iterable[ChainRow], *, anchor: ChainEnd, head: ChainEnd, before: int, through: int
) -> tuple[ChainEnd, int | None]:
    """Where the anchor may move: behind the oldest rows that are too old or too many, and are what was written.

    Args:
        keyring: gives the audit key.
        rows: the oldest rows, by seq.
        anchor: the present one.
        head: the chain's end.
        before: Unix seconds; older rows go, up to the first that is not.
        through: rows up to that seq go whatever their age, up to the first of what an admin did.

    Returns:
        The anchor, and the number of the row that stopped it because it is not what was written.
    """
    for seq, json, mac in rows:
        after = link(keyring, anchor, json)
        if after != ChainEnd(seq, mac) or seq > head.seq:
            return anchor, seq
        event = decode_event(json)
        if event.at >= before and (seq > through or event.by_admin):
            break
        anchor = after
    return anchor, None


def walk(
    keyring: Keyring, rows: Iterable[ChainRow], *, anchor: ChainEnd, head: ChainEnd, expect: bytes | None = None
) -> AuditVerdict:
    """Compare all stored rows, in order, with the chain they should be.

    Args:
        keyring: gives the audit key.
        rows: every stored row, by seq.
        anchor: the end of what retention has removed; the chain starts after it.
        head: where the sealed head says that the chain ends.
        expect: an HMAC that somebody noted as the chain's last one at the time.
    """
    end, count = anchor, 0
    is_held = expect in (None, anchor.mac)
    for seq, json, mac in rows:
        count += 1
        if seq > head.seq and end.seq == head.seq:
            return _broken(head, count, seq, f"row {seq} was added behind the sealed head")
        if seq != end.seq + 1:
            if seq <= anchor.seq:
                return _broken(head, count, seq, f"row {seq} stands before the chain's beginning")
            return _broken(head, count, end.seq + 1, f"row {end.seq + 1} is missing")
        end = link(keyring, end, json)
        if end.mac != mac:
            return _broken(head, count, seq, f"row {seq} was changed, moved or put in")
        is_held = is_held or mac == expect
    if end.seq < head.seq:
        return _broken(head, count, end.seq + 1, f"rows {end.seq + 1} to {head.seq} are missing at the end")
    if end.mac != head.mac:
        return _broken(head, count, end.seq, f"row {end.seq} is not the one that the sealed head names")
    if not is_held:
        return AuditVerdict(valid=False, rows=count, head=head.mac.hex(), reason=_unknown_head(anchor))
    return AuditVerdict(valid=True, rows=count, head=head.mac.hex())


def _unknown_head(anchor: ChainEnd) -> str:
    """Why a chain that is whole does not hold the HMAC that was noted."""
    if anchor.seq:
        return (
            f"no row has the expected HMAC: either it is one of rows 1 to {anchor.seq}, which retention has removed, "
            "or the end of the log was cut off, or a backup was restored, since it was noted"
        )
    return "no row has the expected HMAC: the end of the log was cut off, or a backup was restored, since it was noted"


def _broken(head: ChainEnd, rows: int, first_bad: int, reason: str) -> AuditVerdict:
    return AuditVerdict(valid=False, rows=rows, head=head.mac.hex(), first_bad=first_bad, reason=reason)
