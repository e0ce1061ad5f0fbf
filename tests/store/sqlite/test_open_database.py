"""Opening the embedded store: its files, and a one-line error with what to do for every problem."""

import errno
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from herod.records import RECORD_TYPES, Account
from herod.store.sqlite.disk import open_database
from herod.store.sqlite.sqlite_store import SqliteStore, open_sqlite
from herod_client.core.errors import RuntimeFailure, SettingsError, StartupError
from store.conformance import putting
from store.samples import SECRET, account, key


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of the store, in a folder that does not exist yet."""
    return tmp_path / "state" / "herod.db"


@pytest.fixture
def made(path: Path) -> Path:
    """A store that was created and closed."""
    open_store(path).close()
    return path


def open_store(path: Path, secret: str = SECRET) -> SqliteStore:
    """Open the store at a fixed time."""
    return open_sqlite(path, secret, now=1)


def refusal(path: Path, secret: str = SECRET, error: type[StartupError] = RuntimeFailure) -> str:
    """The one-line error of opening; also checks that no lock is left."""
    with pytest.raises(error) as caught:
        open_store(path, secret)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def edit(path: Path, sql: str) -> None:
    """Edit the file as another program would."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(sql)


def modes_in(folder: Path) -> dict[str, int]:
    """The mode of each file."""
    return {one.name: stat.S_IMODE(one.stat().st_mode) for one in folder.iterdir()}


async def fill(path: Path) -> None:
    """Write some records."""
    async with open_store(path) as store:
        await store.write(putting(*(key(f"id{n}") for n in range(200))))


async def test_files_are_closed_to_others(path: Path) -> None:
    """All files are 0600 and the folder is 0700, even under a permissive umask."""
    before = os.umask(0)
    try:
        async with open_store(path) as store:
            await store.write(putting(account()))
            modes = modes_in(path.parent)
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("herod.db", "herod.db-wal", "herod.db-shm", "herod.db.lock"), 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_open_files_are_closed_to_others_again(made: Path) -> None:
    """Opening removes others' permissions from a file."""
    made.chmod(0o644)
    open_store(made).close()
    assert stat.S_IMODE(made.stat().st_mode) == 0o600


def test_folder_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    """An existing folder keeps its mode."""
    tmp_path.chmod(0o755)
    open_store(tmp_path / "herod.db").close()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


async def test_what_was_written_is_there_after_closing(path: Path) -> None:
    """Records, feed and counts survive the process, and the log is removed by a clean shutdown."""
    async with open_store(path) as store:
        await store.write(putting(account(), key()))
        cursor = store.cursor
    assert sorted(one.name for one in path.parent.iterdir()) == ["herod.db", "herod.db.lock"]
    store = open_store(path)
    assert store.get(Account, "ada") == account()
    assert store.cursor == cursor
    assert store.count(Account) == 1
    store.close()


def test_empty_file_is_a_new_store(path: Path) -> None:
    """An empty file, as left by a crash at the very beginning, becomes a new store."""
    path.parent.mkdir()
    path.touch()
    open_store(path).close()
    open_store(path).close()


def test_generations_differ(path: Path, tmp_path: Path) -> None:
    """Two stores never share a generation or a root key."""
    with closing(open_store(path)) as one, closing(open_store(tmp_path / "other.db")) as other:
        assert one.cursor.generation != other.cursor.generation
        assert one.keyring.row_key("key", "a", 1) != other.keyring.row_key("key", "a", 1)


def test_another_secret(made: Path) -> None:
    """Another secret is refused as a wrong setting, and the right one opens the store afterwards."""
    assert "made with another secret: give that HERO_SECRET" in refusal(made, "another secret", SettingsError)
    open_store(made).close()


def test_second_opening(made: Path) -> None:
    """An open store is refused with its holder until it is closed, also by another path to it."""
    link = made.with_name("link.db")
    link.symlink_to(made)
    with closing(open_store(made)):
        message = refusal(made)
        with pytest.raises(RuntimeFailure, match="in use"):
            open_store(link)
    assert f"in use by the herod with process id {os.getpid()}: stop that process first" in message
    open_store(made).close()


@pytest.fixture
def other_process(made: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the store open."""
    code = (
        "import sys; from pathlib import Path; from herod.store.sqlite.sqlite_store import open_sqlite;"
        f"store = open_sqlite(Path({str(made)!r}), {SECRET!r}, now=1); print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield process
        process.kill()


def test_second_process(made: Path, other_process: subprocess.Popen[str]) -> None:
    """Only one process can open a store, and when it dies the next one can."""
    assert f"process id {other_process.pid}" in refusal(made)
    other_process.send_signal(signal.SIGKILL)
    other_process.wait()
    open_store(made).close()


def test_newer_format(made: Path) -> None:
    """A format of a newer version is refused and left unchanged."""
    edit(made, "PRAGMA user_version = 99")
    assert "made by a newer herod (its format is 99, this one has 2): install the newer" in refusal(made)
    with closing(sqlite3.connect(made)) as connection:
        assert connection.execute("PRAGMA user_version").fetchall() == [(99,)]


def database(path: Path, *statements: str) -> None:
    """A database of another program."""
    edit(path, "; ".join(statements))


def logged_database(path: Path) -> None:
    """A database of another program that was killed and left its latest rows in the write-ahead log."""
    made = path.with_name("made.db")
    with closing(sqlite3.connect(made)) as connection:
        connection.executescript("PRAGMA journal_mode = wal; CREATE TABLE t (x); PRAGMA wal_checkpoint(TRUNCATE)")
        connection.executescript("INSERT INTO t VALUES (1)")
        for suffix in ("", "-wal"):
            shutil.copy(f"{made}{suffix}", f"{path}{suffix}")


STRANGE: dict[str, Callable[[Path], object]] = {
    "a program": lambda path: path.write_text("#!/bin/sh\n"),
    "a long text": lambda path: path.write_text("users: []\n" * 500),
    "a database": lambda path: database(path, "CREATE TABLE t (x)"),
    "a database with an id": lambda path: database(path, "PRAGMA application_id = 1"),
    "a database with a version": lambda path: database(path, "PRAGMA user_version = 1"),
    "a database with a log": logged_database,
    "the beginning of one": lambda path: path.write_bytes(b"SQLite format 3\0" + bytes(40)),
}


@pytest.mark.parametrize("make", STRANGE.values(), ids=STRANGE)
def test_what_is_no_store(path: Path, make: Callable[[Path], object]) -> None:
    """A file that is not a store is refused in one line, with mode, setuid bit, bytes and log unchanged.

    Before, the mode was changed to 0600 before the file was read, and another program's log was checkpointed into its
    database.
    """
    path.parent.mkdir()
    make(path)
    path.chmod(0o4755)
    before = {one: (one.read_bytes(), one.stat().st_mode) for one in path.parent.iterdir()}
    message = refusal(path)
    assert "choose another store" in message
    assert ("database of another program" in message) == path.read_bytes().startswith(b"SQLite format 3\0" + b"\x10")
    path.with_name("herod.db.lock").unlink()
    assert {one: (one.read_bytes(), one.stat().st_mode) for one in path.parent.iterdir()} == before


def test_store_that_was_only_begun(path: Path) -> None:
    """A store whose creation was killed, with a first page that is empty or still in the log, opens."""
    begun = path.with_name("begun.db")
    path.parent.mkdir()
    edit(begun, "PRAGMA journal_mode = wal")
    shutil.copy(begun, path)
    open_store(path).close()
    whole, copy = path.with_name("whole.db"), path.with_name("copy.db")
    with closing(open_store(whole)):
        for suffix in ("", "-wal"):
            shutil.copy(f"{whole}{suffix}", f"{copy}{suffix}")
    assert copy.stat().st_size == 4096, "the store is in its log"
    open_store(copy).close()


DAMAGE: dict[str, Callable[[Path], None]] = {
    "head changed": lambda path: edit(path, "UPDATE meta SET value = zeroblob(80) WHERE name = 'head'"),
    "head short": lambda path: edit(path, "UPDATE meta SET value = x'01' WHERE name = 'head'"),
    "head of another revision": lambda path: edit(path, "UPDATE meta SET rev = rev - 1 WHERE name = 'head'"),
    "head of a strange revision": lambda path: edit(path, "UPDATE meta SET rev = -1 WHERE name = 'head'"),
    "no head": lambda path: edit(path, "DELETE FROM meta WHERE name = 'head'"),
    "no wraps": lambda path: edit(path, "DELETE FROM meta WHERE name = 'wraps'"),
    "no table": lambda path: edit(path, "DROP TABLE meta"),
    "no audit table": lambda path: edit(path, "DROP TABLE audit"),
    "format 0": lambda path: edit(path, "PRAGMA user_version = 0"),
    "rows behind the head": lambda path: edit(path, "INSERT INTO tombstones VALUES (100000, 'account', 'ada')"),
    "torn page": lambda path: tear(path, 5),
    "torn first page": lambda path: tear(path, 1),
    "cut in half": lambda path: os.truncate(path, path.stat().st_size // 2),
}


def tear(path: Path, page: int) -> None:
    """Overwrite most of a page, except the file header on the first one."""
    with path.open("r+b") as file:
        file.seek(100 if page == 1 else (page - 1) * 4096)
        file.write(b"\xa5" * 3900)


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
async def test_damaged(path: Path, damage: Callable[[Path], None]) -> None:
    """A damaged store is refused with a message that says so and what to do."""
    await fill(path)
    damage(path)
    message = refusal(path)
    assert "damaged" in message
    assert "restore a backup" in message


async def test_large_stores_are_not_read_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above a size, startup does not check the whole file."""
    await fill(path)
    tear(path, 5)
    monkeypatch.setattr(open_database, "CHECKED_BYTES", 4096)
    open_store(path).close()


def test_a_folder(tmp_path: Path) -> None:
    """A folder is refused, and the message names a file in it."""
    assert f"is a folder: give a file in it, such as {tmp_path / 'herod.db'}" in refusal(tmp_path, error=SettingsError)


def test_a_device() -> None:
    """Anything else that is not a regular file is refused."""
    assert "is not a regular file" in refusal(Path("/dev/null"), error=SettingsError)


def test_below_a_file(made: Path) -> None:
    """A path below a regular file has its own message."""
    assert "a part of that path is a file" in refusal(made / "herod.db")


def test_a_loop_of_links(tmp_path: Path) -> None:
    """A cycle of symbolic links is refused."""
    (tmp_path / "a.db").symlink_to("b.db")
    (tmp_path / "b.db").symlink_to("a.db")
    assert "remove the link" in refusal(tmp_path / "a.db")


@pytest.fixture
def as_another() -> Iterator[int]:
    """Run a test as a user other than root."""
    if os.geteuid() != 0:
        pytest.skip("only root can make links of other users")
    os.seteuid(4711)
    try:
        yield 4711
    finally:
        os.seteuid(0)


def test_link_of_another_user(as_another: int) -> None:
    """A symbolic link is followed if it belongs to this user or root, and otherwise refused with its path."""
    with tempfile.TemporaryDirectory(prefix="herod-test-") as name:
        made = Path(name) / "state" / "herod.db"
        open_store(made).close()
        link = Path(name) / "link.db"
        link.symlink_to(made)
        open_store(link).close()
        os.seteuid(0)
        os.chown(link, 0, 0, follow_symlinks=False)
        os.seteuid(as_another)
        open_store(link).close()
        os.seteuid(0)
        os.chown(link, 4712, 4712, follow_symlinks=False)
        os.seteuid(as_another)
        assert f"{link}, a symbolic link of uid 4712: give the path of the file" in refusal(link)


def test_lock_is_no_link(made: Path) -> None:
    """A lock file that is a symbolic link is not followed, because another user may have planted it."""
    made.with_name("herod.db.lock").unlink()
    made.with_name("herod.db.lock").symlink_to("elsewhere")
    assert "remove the link" in refusal(made)
    assert not made.with_name("elsewhere").exists()


@pytest.fixture
def closed_folder() -> Iterator[Path]:
    """A folder that this process may not write to; as root, the test switches to another user."""
    uid = os.geteuid()
    with tempfile.TemporaryDirectory(prefix="herod-test-") as name:
        folder = Path(name)
        folder.chmod(0o555)
        if uid == 0:
            os.seteuid(4711)
        try:
            yield folder
        finally:
            os.seteuid(uid)
            folder.chmod(0o700)


def test_folder_not_writable(closed_folder: Path) -> None:
    """In a folder without write permission, the message says which user needs it."""
    for path in (closed_folder / "herod.db", closed_folder / "new" / "herod.db"):
        message = refusal(path)
        assert "Permission denied" in message
        assert f"let uid {os.geteuid()} write to {path.parent}" in message


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (apsw.SQLITE_FULL, "is full: free some space and start again"),
        (apsw.SQLITE_IOERR_FSYNC, "check its disk"),
        (apsw.SQLITE_BUSY, "another program has locked"),
        (apsw.SQLITE_CANTOPEN, "let herod's user write to"),
        (apsw.SQLITE_CORRUPT, "is damaged"),
    ],
)
def test_disk_says_no(path: Path, monkeypatch: pytest.MonkeyPatch, code: int, words: str) -> None:
    """SQLite errors during creation are reported in plain words, and a retry succeeds."""

    def fail(*arguments: object) -> None:
        raise apsw.exception_for(code)

    with monkeypatch.context() as patch:
        patch.setattr(open_database, "write_head", fail)
        assert words in refusal(path)
    open_store(path).close()


@pytest.mark.parametrize(
    ("code", "words"),
    [(errno.ENOSPC, "free some space on that disk"), (errno.EMFILE, "fix that"), (errno.EROFS, "write to")],
)
@pytest.mark.parametrize("suffix", [".db", ".lock"])
def test_file_cannot_be_made(path: Path, monkeypatch: pytest.MonkeyPatch, code: int, words: str, suffix: str) -> None:
    """If a file cannot be created, the message has the reason and what to do."""
    real = os.open

    def fail(name: Path, *arguments: int) -> int:
        if name.suffix == suffix:
            raise OSError(code, "")
        return real(name, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", fail)
        message = refusal(path)
    assert os.strerror(code) in message
    assert words in message
    open_store(path).close()


def test_lock_without_a_number(made: Path) -> None:
    """The holder of the lock may not have written its pid."""
    with closing(open_store(made)):
        made.with_name("herod.db.lock").write_text("")
        assert "in use by another herod" in refusal(made)


def test_no_write_ahead_log(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without support for write-ahead logs is named as the cause."""

    class Connection(apsw.Connection):
        def pragma(self, name: str, value: object = None, **more: object) -> str:
            return "delete" if name == "journal_mode" else super().pragma(name)

    monkeypatch.setattr(apsw, "Connection", Connection)
    assert "put the store on a local disk" in refusal(path)


def test_unique_kinds() -> None:
    """The schema's unique index covers exactly the unique kinds."""
    schema = Path(open_database.__file__).with_name("schema.sql").read_text()
    kinds = ", ".join(f"'{record_type.kind}'" for record_type in RECORD_TYPES if record_type.is_unique)
    assert f"WHERE kind IN ({kinds});" in schema
