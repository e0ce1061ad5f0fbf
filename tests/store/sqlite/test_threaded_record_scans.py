"""Long reads outside the event loop."""

import threading
from pathlib import Path

import apsw
import pytest
import trio

from herod.records import Account, ApiKey
from herod.store.sqlite.sqlite_store import open_sqlite
from herod.store.store_interface import Reader
from herod_client.core.errors import Unavailable
from store.conformance import putting
from store.samples import SECRET, account, key


async def test_the_loop_goes_on(tmp_path: Path) -> None:
    """The function runs in another thread on a snapshot, while other tasks write."""
    async with open_sqlite(tmp_path / "herod.db", SECRET, now=1) as store:
        await store.write(putting(account(), key()))
        loop = threading.get_ident()
        begun, may_go_on = threading.Event(), threading.Event()

        def look(reader: Reader) -> tuple[bool, int, int]:
            before = len(list(reader.scan(ApiKey)))
            begun.set()
            may_go_on.wait()
            return threading.get_ident() != loop, before, len(list(reader.scan(ApiKey)))

        found: list[tuple[bool, int, int]] = []

        async def survey() -> None:
            found.append(await store.survey(look))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(survey)
            await trio.to_thread.run_sync(begun.wait)
            await store.write(putting(key("key2", name="second")))
            may_go_on.set()
        assert found == [(True, 1, 1)]
        assert await store.survey(lambda reader: reader.count(ApiKey)) == 2


@pytest.mark.parametrize("statement", ["UPDATE records SET sealed = zeroblob(99)", "DELETE FROM meta"])
async def test_what_was_changed_is_not_read(tmp_path: Path, statement: str) -> None:
    """A damaged row or a missing head is an error, rather than left out."""
    path = tmp_path / "herod.db"
    async with open_sqlite(path, SECRET, now=1) as store:
        await store.write(putting(account()))
        with apsw.Connection(str(path)) as other:
            other.execute(statement)
        with pytest.raises(Unavailable):
            await store.survey(lambda reader: list(reader.scan(Account)))


async def test_a_file_that_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failing to open another connection is an error, and the store continues."""
    async with open_sqlite(tmp_path / "herod.db", SECRET, now=1) as store:

        def connect(*_: object) -> apsw.Connection:
            raise apsw.CantOpenError("no descriptor")

        monkeypatch.setattr("herod.store.sqlite.read_only_connection.connect", connect)
        with pytest.raises(Unavailable, match="try again"):
            await store.survey(lambda reader: reader.count(Account))
        assert store.count(Account) == 0
