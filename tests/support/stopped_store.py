"""A store file and settings that name it, for tests of commands that run while the daemon is stopped."""

from pathlib import Path

from herod.records import Record
from herod.settings import Settings
from herod.store.sqlite.sqlite_store import SqliteStore, open_sqlite
from herod.store.store_interface import Writer

OLD = "the secret of before, long enough for all of this"
NEW = "the secret from now on, long enough for all of this"
STORE = "what opens the store in its place, long enough too"
NOW = 1_800_000_000


def settings(path: Path, secret: str = OLD, *, store_secret: str | None = None) -> Settings:
    """The settings that `herod serve` would have."""
    return Settings(hero_secret=secret, store_secret=store_secret, bind=(), store=path, public_url="http://localhost")


def opened(path: Path, secret: str = OLD) -> SqliteStore:
    """Open the store, for `async with`."""
    return open_sqlite(path, secret, now=NOW)


async def put(store: SqliteStore, *records: Record) -> None:
    """Write records."""

    def write(tx: Writer) -> None:
        for record in records:
            tx.put(record)

    await store.write(write)


async def save(store: SqliteStore, file: Path) -> Path:
    """Write a backup to the file."""
    stream = await store.backup()
    pieces = [piece async for piece in stream]
    await stream.aclose()
    return written(file, b"".join(pieces))


def written(file: Path, content: bytes) -> Path:
    """Write the content to the file and return its path."""
    file.write_bytes(content)
    return file


def contents(folder: Path) -> dict[str, bytes]:
    """Map file name to content for every file of a folder except locks."""
    return {one.name: one.read_bytes() for one in folder.iterdir() if not one.name.endswith(".lock")}
