"""Edits to the embedded store's file by another program: tampered data is never served."""

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest
import trio

from herod.records import Account, ApiKey, Revocation, Session
from herod.store.sqlite.sqlite_store import SqliteStore, open_sqlite
from herod_client.core.errors import Unavailable
from store.conformance import putting
from store.samples import SECRET, account, event, key, revocation, session

DAY = 86_400


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed store with a few records and ten audit rows."""
    path = tmp_path / "herod.db"

    async def fill() -> None:
        async with open_sqlite(path, SECRET, now=1) as store:
            await store.write(putting(account(email="a@b.c"), account("bob"), key(), session(), revocation()))
            for number in range(1, 11):
                await store.write(lambda tx, number=number: tx.audit(event(number)))  # type: ignore[misc]

    trio.run(fill)
    return path


def edit(path: Path, *statements: str) -> None:
    """Edit the file as another program would."""
    with closing(apsw.Connection(str(path))) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.fixture
def store(path: Path) -> Iterator[Callable[[], SqliteStore]]:
    """Opens the store, and closes it at the end."""
    stores: list[SqliteStore] = []

    def open_it() -> SqliteStore:
        stores.append(open_sqlite(path, SECRET, now=1))
        return stores[-1]

    yield open_it
    for one in stores:
        one.close()


EDITS = {
    "a bit flipped": "UPDATE records SET sealed = CAST(substr(sealed, 1, 40) "
    "|| CASE substr(sealed, 41, 1) WHEN x'00' THEN x'01' ELSE x'00' END || substr(sealed, 42) AS BLOB) "
    "WHERE id = 'ada'",
    "cut short": "UPDATE records SET sealed = substr(sealed, 1, 10) WHERE id = 'ada'",
    "emptied": "UPDATE records SET sealed = x'' WHERE id = 'ada'",
    "another row's": "UPDATE records SET sealed = (SELECT sealed FROM records WHERE id = 'bob') WHERE id = 'ada'",
    "another kind's": "UPDATE records SET sealed = (SELECT sealed FROM records WHERE id = 'key1') WHERE id = 'ada'",
    "owner": "UPDATE records SET owner = 'bob' WHERE id = 'ada'",
    "created_at": "UPDATE records SET created_at = created_at + 1 WHERE id = 'ada'",
    "expires_at": "UPDATE records SET expires_at = 4000000000 WHERE id = 'ada'",
    "rev": "UPDATE records SET rev = rev + 1 WHERE id = 'ada'",
    "negative rev": "UPDATE records SET rev = -1 WHERE id = 'ada'",
    "lookup": "UPDATE records SET lookup = x'00' WHERE id = 'ada'",
    "no lookup": "UPDATE records SET lookup = NULL WHERE id = 'ada'",
}


@pytest.mark.parametrize("statement", EDITS.values(), ids=EDITS)
def test_edited_row(
    path: Path, store: Callable[[], SqliteStore], statement: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A row edited in any column is refused wherever it would appear, and logged; others are served."""
    edit(path, statement)
    opened = store()
    for read in (
        lambda: opened.get(Account, "ada"),
        lambda: opened.list(Account),
        lambda: list(opened.scan(Account)),
    ):
        with pytest.raises(Unavailable) as caught:
            read()
        assert caught.value.reason == "damaged"
        assert "restore the store from a backup" in caught.value.message
    assert "ada" not in caught.value.message
    assert caplog.records[-1].levelno == logging.ERROR
    assert opened.get(Account, "bob") == account("bob")
    assert opened.get(ApiKey, "key1") == key()


@pytest.mark.parametrize("statement", EDITS.values(), ids=EDITS)
def test_edited_row_in_the_feed(path: Path, store: Callable[[], SqliteStore], statement: str) -> None:
    """The change feed does not send an edited row."""
    edit(path, statement)
    opened = store()
    start = opened.cursor.__class__(opened.cursor.generation, 0)
    if "rev = -1" in statement:
        assert account(email="a@b.c") not in opened.changes(start).put
    else:
        with pytest.raises(Unavailable):
            opened.changes(start)


def test_moved_row(path: Path, store: Callable[[], SqliteStore]) -> None:
    """A row moved to another id or kind is refused; done while open, because startup would notice the missing row."""
    opened = store()
    edit(
        path,
        "UPDATE records SET id = 'eve' WHERE id = 'bob'",
        "UPDATE records SET kind = 'session' WHERE id = 'key1'",
    )
    with pytest.raises(Unavailable):
        opened.get(Account, "eve")
    assert opened.get(ApiKey, "key1") is None
    with pytest.raises(Unavailable):
        opened.get(Session, "key1")


def test_swapped_rows(path: Path, store: Callable[[], SqliteStore]) -> None:
    """Two accounts whose rows are swapped are both refused."""
    edit(
        path,
        "UPDATE records SET id = 'swap' WHERE id = 'ada'",
        "UPDATE records SET id = 'ada' WHERE id = 'bob'",
        "UPDATE records SET id = 'bob' WHERE id = 'swap'",
    )
    opened = store()
    for id_ in ("ada", "bob"):
        with pytest.raises(Unavailable):
            opened.get(Account, id_)


def test_row_of_an_unknown_kind(path: Path, store: Callable[[], SqliteStore]) -> None:
    """An unknown kind of record stops the feed."""
    opened = store()
    edit(path, "UPDATE records SET kind = 'strange' WHERE id = 'bob'")
    with pytest.raises(Unavailable):
        opened.changes(opened.cursor.__class__(opened.cursor.generation, 0))


def test_row_of_another_store(path: Path, tmp_path: Path, store: Callable[[], SqliteStore]) -> None:
    """A row of another store with the same secret is refused."""

    async def make() -> None:
        async with open_sqlite(tmp_path / "other.db", SECRET, now=1) as other:
            await other.write(putting(account(scope=("owner",))))

    trio.run(make)
    edit(
        path,
        f"ATTACH '{tmp_path / 'other.db'}' AS other",
        "INSERT OR REPLACE INTO records SELECT * FROM other.records",
    )
    opened = store()
    with pytest.raises(Unavailable):
        opened.get(Account, "ada")


async def test_damaged_row_can_be_replaced(path: Path) -> None:
    """A row that does not open does not stop other writes, and can be replaced or deleted."""
    edit(path, EDITS["a bit flipped"], "UPDATE records SET sealed = x'' WHERE id = 'bob'")
    async with open_sqlite(path, SECRET, now=1) as store:
        with pytest.raises(Unavailable):
            await store.write(lambda tx: tx.get(Account, "ada"))
        await store.write(putting(account(name="anew")))
        assert store.get(Account, "ada") == account(name="anew")
        assert await store.write(lambda tx: tx.delete(Account, "bob"))


async def test_edited_end_purges_nothing(path: Path) -> None:
    """A revocation whose plaintext expiry was edited is not purged."""
    edit(path, "UPDATE records SET expires_at = 1 WHERE kind = 'revocation'")
    async with open_sqlite(path, SECRET, now=1) as store:
        assert await store.purge_expired(DAY + 199) == 0
        assert store.count(Revocation) == 1
        with pytest.raises(Unavailable):
            store.get(Revocation, "ada/jti1")


async def test_head_changed_while_open(path: Path) -> None:
    """A head edited under a running daemon is found by verification and stops the feed."""
    async with open_sqlite(path, SECRET, now=1) as store:
        edit(path, "UPDATE meta SET value = zeroblob(90) WHERE name = 'head'")
        verdict = await store.verify_audit()
        assert not verdict.valid
        assert verdict.reason is not None
        assert "sealed head" in verdict.reason
        with pytest.raises(Unavailable):
            store.changes(store.cursor)
        edit(path, "DELETE FROM meta WHERE name = 'head'")
        assert not (await store.verify_audit()).valid


def move_audit_rows(rows: range, *, by: int) -> list[str]:
    """Renumber audit rows, one after the other."""
    return [f"UPDATE audit SET seq = {row + by} WHERE seq = {row}" for row in rows]  # noqa: S608 - numbers


AUDIT_EDITS = {
    "flipped": (["UPDATE audit SET json = replace(json, 'ada', 'eve') WHERE seq = 4"], 4, "changed"),
    "mac flipped": (["UPDATE audit SET mac = zeroblob(32) WHERE seq = 4"], 4, "changed"),
    "deleted": (["DELETE FROM audit WHERE seq = 4"], 4, "row 4 is missing"),
    "first deleted": (["DELETE FROM audit WHERE seq = 1"], 1, "row 1 is missing"),
    "deleted and closed up": (
        ["DELETE FROM audit WHERE seq = 4", *move_audit_rows(range(5, 11), by=-1)],
        4,
        "changed, moved",
    ),
    "swapped": (
        [
            "UPDATE audit SET seq = 99 WHERE seq = 4",
            "UPDATE audit SET seq = 4 WHERE seq = 5",
            "UPDATE audit SET seq = 5 WHERE seq = 99",
        ],
        4,
        "moved",
    ),
    "inserted": (
        [
            *move_audit_rows(range(10, 3, -1), by=1),
            "INSERT INTO audit SELECT 4, json, mac FROM audit WHERE seq = 3",
        ],
        4,
        "inserted",
    ),
    "inserted before": (["INSERT INTO audit SELECT 0, json, mac FROM audit WHERE seq = 3"], 0, "before"),
    "tail cut": (["DELETE FROM audit WHERE seq > 7"], 8, "rows 8 to 10 are missing at the end"),
    "all gone": (["DELETE FROM audit"], 1, "rows 1 to 10 are missing"),
    "appended": (["INSERT INTO audit SELECT 11, json, mac FROM audit WHERE seq = 3"], 11, "after the sealed head"),
    "appended behind a gap": (
        ["INSERT INTO audit SELECT 99, json, mac FROM audit WHERE seq = 3"],
        99,
        "after the sealed head",
    ),
    "mac cut": (["UPDATE audit SET mac = x'' WHERE seq = 10"], 10, "changed"),
}


@pytest.mark.parametrize(("statements", "first_bad", "reason"), AUDIT_EDITS.values(), ids=AUDIT_EDITS)
async def test_audit_edited(path: Path, statements: list[str], first_bad: int, reason: str) -> None:
    """Verification names the first bad row; the daemon starts and keeps auditing, and the edit stays detectable."""
    edit(path, *statements)
    async with open_sqlite(path, SECRET, now=1) as store:
        verdict = await store.verify_audit()
        assert not verdict.valid
        assert verdict.first_bad == first_bad
        assert verdict.reason is not None
        assert reason in verdict.reason
        await store.write(lambda tx: tx.audit(event(99)))
        again = await store.verify_audit()
        # A row forged after the head is replaced by the real one; a chain with edited rows never verifies again.
        assert again.valid is (first_bad == 11)
        assert again.first_bad in {None, first_bad}


@pytest.mark.parametrize("name", ["tail cut", "all gone", "appended", "mac cut"])
def test_audit_end_is_checked_at_start(
    path: Path, store: Callable[[], SqliteStore], name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Opening the store reports an audit log that does not end at its sealed head."""
    edit(path, *AUDIT_EDITS[name][0])
    store()
    assert "the audit log does not match its sealed head" in caplog.text
    assert str(path) in caplog.text


def test_audit_row_that_is_no_event(path: Path, store: Callable[[], SqliteStore]) -> None:
    """An audit row that is not a valid event cannot be listed."""
    edit(path, "UPDATE audit SET json = '{' WHERE seq = 4")
    with pytest.raises(Unavailable, match="audit"):
        store().audit_rows()
