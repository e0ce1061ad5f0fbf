"""The audit chain alone: any change to its rows is detected."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herod.credentials.keyring import Keyring
from herod.store.audit_chain import ChainEnd, ChainRow, decode_event, encode_event, link, walk
from store.samples import event

KEYRING = Keyring(bytes(32))


def chain(length: int) -> tuple[list[ChainRow], ChainEnd]:
    """A chain of that length and its end."""
    rows: list[ChainRow] = []
    end = ChainEnd()
    for number in range(length):
        json = encode_event(event(number))
        end = link(KEYRING, end, json)
        rows.append((end.seq, json, end.mac))
    return rows, end


@given(length=st.integers(0, 12), data=st.data())
def test_only_the_true_rows_verify(length: int, data: st.DataObject) -> None:
    """Any selection of rows in any order, renumbered or not, is invalid unless it is the original chain."""
    rows, head = chain(length)
    assert walk(KEYRING, rows, anchor=ChainEnd(), head=head).valid
    picked = data.draw(st.lists(st.sampled_from(rows), max_size=14)) if rows else []
    if data.draw(st.booleans()):
        picked = [(number, json, mac) for number, (_, json, mac) in enumerate(picked, 1)]
    verdict = walk(KEYRING, picked, anchor=ChainEnd(), head=head)
    assert verdict.valid is (picked == rows)
    assert (verdict.first_bad is None) is verdict.valid


@pytest.mark.parametrize("cut", [0, 1, 3, 5])
def test_chain_behind_an_anchor(cut: int) -> None:
    """Rows removed by retention are replaced by an anchor, and only the genuine rest verifies against it."""
    rows, head = chain(5)
    anchor = ChainEnd(*rows[cut - 1][::2]) if cut else ChainEnd()
    verdict = walk(KEYRING, rows[cut:], anchor=anchor, head=head)
    assert verdict.valid
    assert verdict.rows == 5 - cut
    assert not walk(KEYRING, rows[cut:], anchor=ChainEnd(anchor.seq, b"x" * 32), head=head).valid
    if cut:
        assert walk(KEYRING, rows, anchor=anchor, head=head).reason == "row 1 is before the beginning of the chain"


def test_another_key_makes_another_chain() -> None:
    """Without the audit key the chain cannot be continued."""
    rows, head = chain(3)
    assert not walk(Keyring(b"x" * 32), rows, anchor=ChainEnd(), head=head).valid


def test_end_that_is_not_the_heads() -> None:
    """A valid chain of the right length that is not the one of the head is detected."""
    rows, _ = chain(3)
    verdict = walk(KEYRING, rows, anchor=ChainEnd(), head=ChainEnd(3, b"x" * 32))
    assert verdict.first_bad == 3


def test_events_are_small_and_whole() -> None:
    """An event is encoded without unset fields, and decodes equal."""
    assert encode_event(event(1)) == (
        '{"at":1,"actor":"ada","method":"jwt","source":"uid:1000","operation":"keys.create","outcome":"ok"}'
    )
    assert decode_event(encode_event(event(1, target="é", count=3))) == event(1, target="é", count=3)
