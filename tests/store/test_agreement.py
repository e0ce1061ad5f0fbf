"""The two stores agree: the same random program of writes leaves both in the same state at every step."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from herod.records import RECORD_TYPES, Account, ApiKey, PeerRule, Record
from herod.store.memory_store import MemoryStore
from herod.store.sqlite.sqlite_store import SqliteStore, open_sqlite
from herod.store.store_interface import Cursor, Order, Usage, Writer
from herod_client.core.errors import Conflict, HerodError
from store.samples import SECRET, account, app, code, delegation, event, family, guess, key, revocation, rule, session

IDS = ("a", "b", "c", "d")
WORDS = ("x", "y", "z")
KEPT = 4

Step = Callable[[Writer], Any]


class Failed(Exception):
    """The program's own error."""


def put(record: Record, *, is_lenient: bool) -> Step:
    """Put the record; a lenient program continues after a Conflict."""

    def step(tx: Writer) -> Any:
        try:
            return tx.put(record)
        except Conflict:
            if is_lenient:
                return "conflict"
            raise

    return step


def fail(_tx: Writer) -> None:
    """Make the function fail and roll back."""
    raise Failed


times = st.integers(0, 3)
kinds = st.sampled_from(RECORD_TYPES)
records: st.SearchStrategy[Record] = st.one_of(
    st.builds(
        lambda id_, word, at, name: account(id_, email=word, created_at=at, name=name),
        st.sampled_from(IDS), st.none() | st.sampled_from(WORDS), times, st.sampled_from(WORDS),
    ),
    st.builds(
        lambda id_, name, owner, at: key(id_, name=name, owner=owner, created_at=at),
        st.sampled_from(IDS), st.sampled_from(WORDS), st.none() | st.sampled_from(IDS), times,
    ),
    st.builds(lambda id_, at: session(id_, subject=id_, expires_at=at), st.sampled_from(IDS), st.none() | times),
    st.builds(lambda jti, at: revocation(jti, expires_at=at), st.sampled_from(IDS), times),
    st.builds(
        lambda id_, owner, at: delegation(id_, account=owner, expires_at=at),
        st.sampled_from(IDS), st.sampled_from(IDS), times,
    ),
    st.builds(rule, st.sampled_from(IDS), st.sampled_from(WORDS)),
    st.builds(lambda id_, name: app(id_, name=name), st.sampled_from(IDS), st.sampled_from(WORDS)),
    st.builds(lambda id_, at: guess(id_, expires_at=at), st.sampled_from(IDS), times),
    st.builds(lambda id_, owner: code(id_, delegation=owner), st.sampled_from(IDS), st.sampled_from(IDS)),
    st.builds(lambda id_, owner: family(id_, delegation=owner), st.sampled_from(IDS), st.sampled_from(IDS)),
)  # fmt: skip
steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(lambda record, lenient: put(record, is_lenient=lenient), records, st.booleans()),
    st.builds(
        lambda kind, id_: lambda tx: tx.delete(kind, id_),
        kinds,
        st.sampled_from([*IDS, "ada/a"]),
    ),
    st.builds(lambda number: lambda tx: tx.audit(event(number)), times),
    st.builds(lambda kind, id_: lambda tx: tx.get(kind, id_), kinds, st.sampled_from(IDS)),
    st.just(fail),
)
programs = st.lists(
    st.one_of(
        st.lists(steps, min_size=1, max_size=6),
        st.tuples(st.sampled_from(IDS), times),  # a use
        st.integers(86_400, 86_404),  # a purge
    ),
    max_size=12,
)


async def run(store: SqliteStore | MemoryStore, turn: Any) -> Any:
    """Run one step of a program; return its result or error."""
    match turn:
        case int():
            return await store.purge_expired(turn)
        case tuple():
            return store.note_use(turn[0], Usage(turn[1], "uid:1"))
        case _:
            try:
                return await store.write(lambda tx: [step(tx) for step in turn])
            except (HerodError, Failed) as error:
                return type(error)


def state(store: SqliteStore | MemoryStore) -> dict[str, Any]:
    """Everything that can be read from the store."""
    generation, rev = msgspec.structs.astuple(store.cursor)
    seen: dict[str, Any] = {"rev": rev, "audit": [(row.seq, row.event) for row in store.audit_rows()]}
    seen["usage"] = [store.usage(id_) for id_ in IDS]
    for record_type in RECORD_TYPES:
        kind = record_type.kind
        seen[f"{kind} count"] = store.count(record_type)
        seen[f"{kind} scan"] = sorted(store.scan(record_type), key=lambda one: one.id)
        seen[f"{kind} get"] = [store.get(record_type, id_) for id_ in IDS]
        for owner in (None, *IDS):
            first = store.list(record_type, owner=owner, limit=2)
            rest = first.next_cursor and store.list(record_type, owner=owner, cursor=first.next_cursor)
            seen[f"{kind} list {owner}"] = (first, rest)
            for order in (Order.NEWEST,) if owner else (Order.NEWEST, Order.EXPIRES):
                first = store.list(record_type, owner=owner, order=order, limit=2)
                rest = first.next_cursor and store.list(record_type, owner=owner, order=order, cursor=first.next_cursor)
                seen[f"{kind} list {owner} {order}"] = (first, rest)
    for word in WORDS:
        seen[f"find {word}"] = (
            store.find(Account, "email", word),
            store.find(PeerRule, "peer", word),
            [store.find(ApiKey, "name", owner, word) for owner in ("", *IDS)],
        )
    for since in range(rev + 1):
        changes = store.changes(Cursor(generation, since), limit=3)
        seen[f"changes {since}"] = (changes.cursor.rev, changes.is_reset, changes.put, changes.deleted)
    return seen


@settings(max_examples=50)
@given(programs)
def test_memory_and_sqlite_agree(program: list[Any]) -> None:
    """After each step of a program both stores give the same answers."""

    async def main() -> None:
        async with (
            MemoryStore(SECRET, kept_tombstones=KEPT) as memory,
            open_sqlite(Path(folder) / "herod.db", SECRET, now=1, kept_tombstones=KEPT, cached_records=4) as sqlite,
        ):
            for turn in program:
                assert await run(memory, turn) == await run(sqlite, turn)
                assert state(memory) == state(sqlite)
            assert (await memory.verify_audit()).valid
            assert (await sqlite.verify_audit()).valid

    with tempfile.TemporaryDirectory() as folder:
        trio.run(main)
