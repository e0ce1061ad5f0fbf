"""Random damage to the store's files: data is served as written or refused, and nothing is hidden.

HEROD_FLIPS flips, from HEROD_SEED. The image is that of a killed daemon: half of it is in the database, half in
the log beside it. Times of last use are in plaintext and not protected, because no decision depends on them.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import apsw
import pytest
import trio

from herod.credentials.sealing import SealBroken
from herod.records import Account, ApiKey, GuessCount, PeerRule, Record, Revocation, Session
from herod.store.audit_chain import walk
from herod.store.sqlite.disk import open_database
from herod.store.sqlite.disk.open_database import connect, load_head
from herod.store.sqlite.sqlite_store import SqliteStore, open_sqlite
from herod.store.store_interface import Cursor, Writer
from herod_client.core.errors import StartupError, Unavailable
from store.conformance import putting
from store.samples import SECRET, account, event, guess, key, revocation, rule, session
from support import soak_rounds

FLIPS = soak_rounds.count("FLIPS")
PARTS = 4
PAGE = 4096
RECORDS: tuple[Record, ...] = (
    *(account(f"user{n}", email=f"user{n}@example.org", enabled=n % 3 > 0) for n in range(30)),
    *(key(f"key{n}", enabled=n % 4 > 0, owner=f"user{n % 30}") for n in range(60)),
    *(session(f"session{n}") for n in range(10)),
    *(revocation(f"jti{n}") for n in range(60)),
    *(rule(f"rule{n}", f"uid:{n}") for n in range(5)),
    *(guess(f"guess{n}") for n in range(5)),
)
GONE = tuple(f"gone{n}" for n in range(10))
AUDITED = 40
WHOLE_AUDIT = "SELECT seq, json, mac FROM audit ORDER BY seq"
CLEAR_WORDS = ("damaged", "not a herod store", "has lost data", "another program", "another secret", "newer herod")
Image = dict[str, bytes]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The files of a store whose daemon was killed."""
    path = tmp_path_factory.mktemp("image") / "herod.db"
    return trio.run(make_image, path)


async def make_image(path: Path) -> Image:
    """Create the image: half of the records in the database, half in its log."""
    half = len(RECORDS) // 2
    async with open_sqlite(path, SECRET, now=1) as store:
        await store.write(putting(*RECORDS[:half], *(key(name) for name in GONE)))
    async with open_sqlite(path, SECRET, now=1) as store:
        for start in range(half, len(RECORDS), 10):
            await store.write(putting(*RECORDS[start : start + 10]))
        for name in GONE:
            await store.write(lambda tx, name=name: tx.delete(ApiKey, name))  # type: ignore[misc]
        await store.write(audit_some)
        return {suffix: path.with_name(path.name + suffix).read_bytes() for suffix in ("", "-wal", ".lock")}


def audit_some(tx: Writer) -> None:
    """Write rows of the audit log."""
    for number in range(AUDITED):
        tx.audit(event(number))


def lay_out(image: Image, folder: Path) -> Path:
    """Write the image to an empty folder; return the path of the database."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path = folder / "herod.db"
    for suffix, content in image.items():
        path.with_name(path.name + suffix).write_bytes(content)
        path.with_name(path.name + suffix).chmod(0o600)
    return path


def outcome(path: Path, what: str, *, may_hide: bool = False) -> str:
    """Classify a damaged store: refused, served in part, or served whole. Anything else fails the test."""
    try:
        store = open_sqlite(path, SECRET, now=1)
    except StartupError as error:
        message = str(error)
        assert "\n" not in message, what
        assert str(path) in message, what
        assert any(word in message for word in CLEAR_WORDS), f"{what}: {message}"
        return "refused"
    try:
        exact = [is_exact(read, expected, what, may_hide=may_hide) for read, expected in reads(store)]
        return "whole" if all(exact) else "in part"
    finally:
        store.close()


def reads(store: SqliteStore) -> Iterator[tuple[Callable[[], list[object]], list[object]]]:
    """Every way to read everything, with the written data."""
    for record in RECORDS:
        kind, lookup = type(record), record.lookup
        yield partial(get, store, kind, record.id), [record]
        if lookup is not None:
            yield lambda kind=kind, lookup=lookup: [*store.find(kind, *lookup)], [record]  # type: ignore[misc]
    for name in GONE:
        yield partial(get, store, ApiKey, name), []
    for kind in (Account, ApiKey, Session, Revocation, PeerRule, GuessCount):
        expected = sorted((one for one in RECORDS if isinstance(one, kind)), key=lambda one: one.id)
        yield lambda kind=kind: [*store.list(kind).items], [*expected]  # type: ignore[misc]
        yield lambda kind=kind: [*store.scan(kind)], [*expected]  # type: ignore[misc]
    start = Cursor(store.cursor.generation, 0)
    yield lambda: [*sorted(id_ for _, id_ in store.changes(start).deleted)], [*GONE]
    yield partial(audited, store), [event(number) for number in range(AUDITED)]


def get(store: SqliteStore, kind: type[Record], name: str) -> list[object]:
    """The record of that id, if it exists."""
    found = store.get(kind, name)
    return [] if found is None else [found]


def audited(store: SqliteStore) -> list[object]:
    """The audit log, if it verifies."""
    try:
        with closing(connect(store.path, apsw.SQLITE_OPEN_READONLY)) as connection:
            head = load_head(connection, store.keyring)
            is_whole = walk(store.keyring, connection.execute(WHOLE_AUDIT), anchor=head.anchor, head=head.audit).valid
    except (SealBroken, apsw.Error):
        is_whole = False
    if not is_whole:
        raise Unavailable("The audit log is damaged.")
    return [row.event for row in store.audit_rows()]


def is_exact(read: Callable[[], list[object]], expected: list[object], what: str, *, may_hide: bool) -> bool:
    """Whether data was served as written; False if it was refused or, where allowed, hidden."""
    try:
        found = read()
    except Unavailable:
        return False
    if may_hide and found != expected and not any(isinstance(one, Revocation) for one in expected):
        assert all(one in expected for one in found), what
        return False
    assert found == expected, what
    return True


def test_the_image_is_whole(image: Image, tmp_path: Path) -> None:
    """Without damage everything is served, from the database and from the log."""
    assert outcome(lay_out(image, tmp_path / "s"), "no damage") == "whole"
    assert min(len(image[""]), len(image["-wal"])) > 10 * PAGE


@pytest.mark.parametrize("part", range(PARTS))
def test_flipped_bytes(image: Image, tmp_path: Path, part: int) -> None:
    """A flipped byte alters, hides or revives nothing, and every refusal says what to do."""
    assert outcomes_of_flips(image, tmp_path, f"part {part}", FLIPS // PARTS) >= {"refused"}


def test_flipped_bytes_of_a_large_store(image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store too large for a full check may hide a record, which grants nothing, but never a revocation."""
    monkeypatch.setattr(open_database, "CHECKED_BYTES", 0)
    assert outcomes_of_flips(image, tmp_path, "large", FLIPS // PARTS, may_hide=True) >= {"refused", "in part"}


def outcomes_of_flips(image: Image, folder: Path, name: str, count: int, *, may_hide: bool = False) -> set[str]:
    """The outcomes of so many flips, each in a new image."""
    chance = soak_rounds.chance("flips", name)
    suffixes = [suffix for suffix in ("", "-wal") for _ in range(len(image[suffix]) // PAGE)]
    outcomes = set()
    for _ in range(count):
        suffix = chance.choice(suffixes)
        place, mask = chance.randrange(len(image[suffix])), chance.randrange(1, 256)
        damaged = bytearray(image[suffix])
        damaged[place] ^= mask
        what = f"byte {place} of herod.db{suffix} ^ {mask:#x} ({name}, {soak_rounds.describe()})"
        path = lay_out({**image, suffix: bytes(damaged)}, folder / "s")
        outcomes.add(outcome(path, what, may_hide=may_hide))
    return outcomes


def pages(content: bytes) -> list[bytes]:
    """The pages of a database."""
    return [content[at : at + PAGE] for at in range(0, len(content), PAGE)]


@pytest.fixture(scope="module")
def closed(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The same store after a clean shutdown: everything in the database."""
    path = lay_out(image, tmp_path_factory.mktemp("closed") / "s")
    open_sqlite(path, SECRET, now=1).close()
    return {suffix: path.with_name(path.name + suffix).read_bytes() for suffix in ("", ".lock")}


def test_zeroed_pages(closed: Image, tmp_path: Path) -> None:
    """Zeroing any single page is detected."""
    for number, page in enumerate(pages(closed[""])):
        if any(page):
            damaged = closed[""][: number * PAGE] + bytes(PAGE) + closed[""][(number + 1) * PAGE :]
            path = lay_out({**closed, "": damaged}, tmp_path / "s")
            what = f"page {number + 1} zeroed"
            if number == 0:  # SQLite takes an empty first page for an empty database
                with pytest.raises(StartupError, match="herod"):
                    open_sqlite(path, SECRET, now=1)
            else:
                assert outcome(path, what) == "refused", what


def test_swapped_pages(closed: Image, tmp_path: Path) -> None:
    """Swapping neighboring pages is detected; free pages may be swapped."""
    whole = pages(closed[""])
    for number in range(1, len(whole) - 1):
        damaged = [*whole]
        damaged[number], damaged[number + 1] = whole[number + 1], whole[number]
        if damaged != whole:
            path = lay_out({**closed, "": b"".join(damaged)}, tmp_path / "s")
            assert outcome(path, f"pages {number + 1} and {number + 2} swapped") in {"refused", "whole"}


@pytest.mark.parametrize("suffix", ["", "-wal"])
def test_cut_files(image: Image, tmp_path: Path, suffix: str) -> None:
    """Database and log truncated anywhere or missing: a missing acknowledged end is detected."""
    size = len(image[suffix])
    for length in (*range(1, size, size // 7), size - PAGE, size - 1):
        path = lay_out({**image, suffix: image[suffix][:length]}, tmp_path / "s")
        assert outcome(path, f"herod.db{suffix} cut to {length} bytes") in {"refused", "whole"}
    without = {name: content for name, content in image.items() if name != suffix}
    if suffix:
        assert outcome(lay_out(without, tmp_path / "s"), "no log") == "refused"
    with pytest.raises(StartupError, match="has lost data"):
        open_sqlite(lay_out({**without, "": b""}, tmp_path / "s"), SECRET, now=1)


async def test_old_pages_put_back(closed: Image, tmp_path: Path) -> None:
    """Old pages, one or all of them, do not revive what was revoked since."""
    path = lay_out(closed, tmp_path / "s")
    async with open_sqlite(path, SECRET, now=1) as store:
        await store.write(putting(revocation("late"), account("user1", email="user1@example.org", enabled=False)))
        await store.write(lambda tx: tx.delete(ApiKey, "key1"))
    lock = path.with_name("herod.db.lock").read_bytes()
    old, new = pages(closed[""]), pages(path.read_bytes())
    for number in range(len(old)):
        if old[number] != new[number]:
            mixed = b"".join([*new[:number], old[number], *new[number + 1 :]])
            again = lay_out({"": mixed, ".lock": lock}, tmp_path / "again")
            with suppress(StartupError), closing(open_sqlite(again, SECRET, now=1)) as opened:
                # a page of the audit log, or unused space of an index
                assert opened.get(Revocation, "ada/late") is not None
                assert opened.get(ApiKey, "key1") is None
                assert is_enabled(opened) in {False, None}
    with pytest.raises(StartupError, match="replaced with an older copy"):
        open_sqlite(lay_out({**closed, ".lock": lock}, tmp_path / "again"), SECRET, now=1)


def is_enabled(store: SqliteStore) -> bool | None:
    """Whether user1 is enabled; None if that cannot be read."""
    try:
        user = store.get(Account, "user1")
    except Unavailable:
        return None
    return user is not None and user.enabled


def test_the_way_out(image: Image, tmp_path: Path) -> None:
    """Without a backup, the fix in the message works; a damaged mark is ignored."""
    without_log = {"": image[""], ".lock": image[".lock"]}
    path = lay_out(without_log, tmp_path / "s")
    with pytest.raises(StartupError, match=r"remove .*herod\.db\.lock and repeat recent revocations"):
        open_sqlite(path, SECRET, now=1)
    path.with_name("herod.db.lock").unlink()
    open_sqlite(path, SECRET, now=1).close()
    flipped = image[".lock"].replace(b" 40 ", b" 41 ")
    assert outcome(lay_out({**image, ".lock": flipped}, tmp_path / "s"), "damaged mark") == "whole"
