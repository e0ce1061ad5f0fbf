"""Every frequent statement uses an index, so that it does not slow down as the store grows."""

import re
from contextlib import closing
from pathlib import Path

import pytest

from herod.store.sqlite import sql_reader, sqlite_store, write_transaction
from herod.store.sqlite.disk import open_database
from herod.store.sqlite.sqlite_store import open_sqlite
from store.samples import SECRET

# The first reads all rows on purpose; the second is a prefix of other statements.
EXCEPT = {"_ALL_AUDIT_ROWS", "SELECT_ROWS"}

STATEMENTS = {
    f"{module.__name__.rsplit('.', 1)[1]}{name}": value
    for module in (open_database, sql_reader, sqlite_store, write_transaction)
    for name, value in vars(module).items()
    if isinstance(value, str) and re.match(r"(SELECT|UPDATE|DELETE) ", value) and name not in EXCEPT
}


def plan(path: Path, sql: str) -> list[str]:
    """SQLite's query plan for a statement, step by step."""
    with closing(open_sqlite(path, SECRET, now=1)) as store:
        rows = store.opened.writer.execute(f"EXPLAIN QUERY PLAN {sql}", (1,) * sql.count("?")).fetchall()
    return [str(row[3]) for row in rows]


@pytest.mark.parametrize("sql", STATEMENTS.values(), ids=STATEMENTS)
def test_no_statement_walks_a_table(tmp_path: Path, sql: str) -> None:
    """Each step is a search; a scan is of constants or sub-selects, or is limited."""
    for step in plan(tmp_path / "herod.db", sql):
        if step.startswith("SCAN") and "CONSTANT" not in step:
            assert "LIMIT" in sql
            assert "TEMP B-TREE" not in step


@pytest.mark.parametrize("name", [name for name in STATEMENTS if name.startswith("sql_reader_LIST")])
def test_no_list_is_sorted(tmp_path: Path, name: str) -> None:
    """Each list comes in index order, so the cost of a page does not depend on the length of the list."""
    assert "TEMP B-TREE" not in " ".join(plan(tmp_path / "herod.db", STATEMENTS[name]))


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("sql_reader_GET", "sqlite_autoindex_records_1 (kind=? AND id=?)"),
        ("sql_reader_FIND", "records_lookup (lookup=?)"),
        ("sql_reader_FIND_ANY", "records_lookup (lookup=?)"),
        ("sql_reader_LIST", "records_age (kind=? AND (created_at,id)>(?,?))"),
        ("sql_reader_LIST_NEWEST", "records_age (kind=? AND (created_at,id)<(?,?))"),
        ("sql_reader_LIST_OWNED", "records_owner (kind=? AND owner=? AND (created_at,id)>(?,?))"),
        ("sql_reader_LIST_OWNED_NEWEST", "records_owner (kind=? AND owner=? AND (created_at,id)<(?,?))"),
        ("sql_reader_LIST_EXPIRES", "records_end (kind=? AND (expires_at,id)>(?,?))"),
        ("sql_reader_SCAN", "sqlite_autoindex_records_1 (kind=? AND id>?)"),
        ("write_transaction_UPDATE", "sqlite_autoindex_records_1 (kind=? AND id=?)"),
        ("write_transaction_EXPIRED", "records_end (kind=? AND expires_at<?)"),
    ],
)
def test_index_of_each(tmp_path: Path, name: str, index: str) -> None:
    """Statements over growing tables use the index intended for them."""
    assert index in " ".join(plan(tmp_path / "herod.db", STATEMENTS[name]))
