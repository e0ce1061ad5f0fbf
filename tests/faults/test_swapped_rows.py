"""Rows of a stopped daemon's store are exchanged, as an attacker with write access would to become admin.

They are refused and named in the log, and no principal gains anything.
"""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from faults.requests_under_fault import add_account, admin, is_valid, know, start_in_vain, token_of
from support.real_daemon import running

EDITS = {
    "the admin key's content put under a weaker key": (
        "UPDATE records SET sealed = (SELECT sealed FROM saved) WHERE id = '{1}'"
    ),
    "with its revision and lookup": (
        "UPDATE records SET lookup = NULL, rev = 0 WHERE id = '{0}'; "
        "UPDATE records SET sealed = (SELECT sealed FROM saved), rev = (SELECT rev FROM saved), "
        "lookup = (SELECT lookup FROM saved) WHERE id = '{1}'"
    ),
    "the two keys' ids exchanged": (
        "UPDATE records SET id = 'x' WHERE id = '{0}'; UPDATE records SET id = '{0}' WHERE id = '{1}'; "
        "UPDATE records SET id = '{1}' WHERE id = 'x'"
    ),
    "the weaker key made a service's": "UPDATE records SET owner = 'service' WHERE id = '{1}'",
}


def edit(path: Path, script: str) -> None:
    """Edit the file as another program would."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


@pytest.mark.parametrize("statements", EDITS.values(), ids=EDITS)
def test_a_key_becomes_no_admin(tmp_path: Path, statements: str) -> None:
    """The daemon starts, refuses the edited rows, and names them in the log."""
    with running(tmp_path) as daemon:
        known = know(daemon)
        strong = known.key.split("_")[2]
        made = {"name": "weak", "kind": "user", "owner": known.client_id, "scope": "read"}
        weak = daemon.curl("/api/v1/keys", "--json", json.dumps(made), *admin(daemon))[1]["data"]
    path = tmp_path / "store" / "herod.db"
    saved = f"CREATE TEMP TABLE saved AS SELECT * FROM records WHERE id = '{strong}'; "  # noqa: S608 - our own ids
    edit(path, saved + statements.format(strong, weak["id"]))
    with running(tmp_path) as again:
        bearer = ("-H", f"Authorization: Bearer {weak['key']}")
        status, body, _ = again.curl("/api/v1/users", *bearer)
        assert status == 503, body
        assert "A stored key record is damaged and cannot be used" in body["error"]["message"]
        assert again.curl("/validate", "--json", json.dumps({"token": weak["key"]}))[0] == 503
        assert again.curl("/api/v1/keys", *admin(again))[0] == 503  # a list without it would be wrong
        assert is_valid(again, token_of(again, known.client_id, known.client_secret))
        assert add_account(again, "bob")[0] == 201
        again.logged("a stored row does not open: it was changed outside herod or by the disk", f'"id": "{weak["id"]}"')


@pytest.mark.parametrize("is_put_back", [False, True], ids=["as it was", "under another's id"])
def test_a_deleted_key_put_back(tmp_path: Path, is_put_back: bool) -> None:
    """An extra row contradicts the sealed head, or does not open: the start exits with 1, or the row is refused."""
    path = tmp_path / "store" / "herod.db"
    with running(tmp_path) as daemon:
        known = know(daemon)
        deleted = known.key.split("_")[2]
        spare = {"name": "spare", "kind": "service", "scope": "admin"}
        other = daemon.curl("/api/v1/keys", "--json", json.dumps(spare), *admin(daemon))[1]["data"]["id"]
    with closing(sqlite3.connect(path)) as connection:
        row = connection.execute("SELECT * FROM records WHERE id = ?", (deleted,)).fetchone()
    with running(tmp_path) as daemon:
        assert daemon.curl(f"/api/v1/keys/{deleted}", "-X", "DELETE", *admin(daemon))[0] == 200
    with closing(sqlite3.connect(path)) as connection, connection:
        if is_put_back:
            connection.execute("DELETE FROM records WHERE id = ?", (other,))
            row = (row[0], other, *row[2:])
        connection.execute("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    if is_put_back:
        with running(tmp_path) as again:
            assert not is_valid(again, known.key)
            assert again.curl(f"/api/v1/keys/{other}", *admin(again))[0] == 503
        return
    binds = ("--bind", f"unix:{tmp_path}/x.sock", "--store", f"sqlite:{path}")
    message = start_in_vain(tmp_path, *binds)
    assert "has 2 records of kind 'key', but should have 1" in message
    assert "restore a backup" in message


def test_audit_rows_exchanged(tmp_path: Path) -> None:
    """Exchanged rows at the end of the log are reported, and the daemon starts, because the log is evidence."""
    with running(tmp_path) as daemon:
        know(daemon)
        add_account(daemon, "bob")
    edit(
        tmp_path / "store" / "herod.db",
        "CREATE TEMP TABLE two AS SELECT * FROM audit ORDER BY seq DESC LIMIT 2; "
        "UPDATE audit SET (json, mac) = (SELECT json, mac FROM two WHERE two.seq != audit.seq) "
        "WHERE seq IN (SELECT seq FROM two)",
    )
    with running(tmp_path) as again:
        assert again.curl("/health")[0] == 200
        again.logged("the audit log does not match its sealed head:")
