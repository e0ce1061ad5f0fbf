"""The power fails at any moment: what was acknowledged is there, and every file is whole or was never named."""

import os
import shutil
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

import apsw
import pytest
import trio

from faults.power_loss import MODES, Recording, images, record
from faults.power_loss_commands import COMMANDS, CONTENT
from faults.test_broken_disk import can_trace
from herod.credentials.accounts_file_encryption import encrypt_users
from herod.credentials.sealing import SealBroken
from herod.maintenance.signing_keys_at_startup import load_signing_keys
from herod.records import Account
from herod.store.sqlite.disk.open_database import open_file
from herod.store.sqlite.offline_transaction import check_all, readable
from herod.store.sqlite.sqlite_store import open_sqlite
from herod_client.core.errors import HerodError, SettingsError, StartupError
from store.samples import account
from support import soak_rounds
from support.stopped_store import NEW, NOW, OLD, opened, put, save

pytestmark = pytest.mark.skipif(not can_trace(), reason="takes strace, and the right to trace")

Check = Callable[[Path, tuple[str, ...]], None]

ROOT: Final = Path(__file__).parents[2]
PATHS: Final = [str(ROOT / part) for part in ("tests", "cli", "clients/python", "smoke")]
COMMANDS_FILE: Final = str(Path(__file__).with_name("power_loss_commands.py"))
OFFLINE: Final = ("restore", "rotate", "rotate --compromised", "rotate-signing", "import")


async def prepare(folder: Path) -> None:
    """A store with an account, its backup, and a second account that came after it."""
    path = folder / "herod.db"
    async with opened(path) as store:
        await store.write(partial(load_signing_keys, secret=OLD, algorithm="EdDSA", ttl=3600, now=NOW))
        await put(store, account("before", email="before@example.org"))
        await save(store, folder / "backup")
        await put(store, account("after", email="after@example.org"))
    (folder / "import").write_bytes(encrypt_users('[[users]]\nemail = "eve@example.org"\n', OLD))


def found(path: Path, *secrets: str) -> set[str]:
    """The emails in the store, opened with the first secret that opens it; every row and the audit log are verified."""
    for secret in secrets:
        try:
            open_sqlite(path, secret, now=NOW).close()
        except SettingsError:
            continue
        file = open_file(path, secret)
        with closing(file.connection):
            assert check_all(file).first_bad is None
            return {str(one.email).removesuffix("@example.org") for one in readable(file, Account)}
    raise AssertionError("no secret opens the store")


def check_writes(folder: Path, said: tuple[str, ...]) -> None:
    """Every acknowledged account is there."""
    assert set(said) <= found(folder / "herod.db", OLD)


def check_restore(folder: Path, said: tuple[str, ...]) -> None:
    """The old store or the backup is in place; after the command's end the backup."""
    assert found(folder / "herod.db", OLD) in ([{"before"}] if said else [{"before"}, {"before", "after"}])


def check_rotation(folder: Path, said: tuple[str, ...]) -> None:
    """One of both secrets opens the whole store; after the command's end the new one."""
    assert found(folder / "herod.db", NEW, *(() if said else (OLD,))) == {"before", "after"}


def check_same(folder: Path, _: tuple[str, ...]) -> None:
    """The store is whole."""
    assert found(folder / "herod.db", OLD) == {"before", "after"}


def check_import(folder: Path, said: tuple[str, ...]) -> None:
    """All is imported, or nothing; after the command's end all."""
    both = {"before", "after"}
    assert found(folder / "herod.db", OLD) in ([both | {"eve"}] if said else [both, both | {"eve"}])


def check_sign_ins(folder: Path, said: tuple[str, ...]) -> None:
    """The file is one of the versions as a whole, at least the last that was promised."""
    file = folder / "config" / "credentials.json"
    versions = [f"{number}\n".encode() * 2000 for number in range(5)]
    assert (not said and not file.exists()) or file.read_bytes() in versions[max(0, len(said) - 1) :]


def check_new(name: str, content: bytes, folder: Path, said: tuple[str, ...]) -> None:
    """The file is there after the command's end."""
    assert not said or (folder / name).read_bytes() == content


def check_whole(name: str, content: bytes, folder: Path, said: tuple[str, ...]) -> None:
    """The file is whole, or there is none; after the command's end it is there."""
    assert (folder / name).read_bytes() == content if said or (folder / name).exists() else True


CHECKS: Final[dict[str, Check]] = {
    "write": check_writes,
    "restore": check_restore,
    "rotate": check_rotation,
    "rotate --compromised": check_rotation,
    "rotate-signing": check_same,
    "import": check_import,
    "saved sign-ins": check_sign_ins,
    "backup": partial(check_whole, "new.backup", CONTENT),
    "saved secret": partial(check_new, "new.key", b"secret\n"),
    "bootstrap key": partial(check_new, "new.key", b"secret\n"),
}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Recording]]:
    """The folder and the recording of a command, made once."""
    known: dict[str, tuple[Path, Recording]] = {}

    def get(name: str) -> tuple[Path, Recording]:
        if name not in known:
            base = tmp_path_factory.mktemp("power")
            folder = base / "folder"
            folder.mkdir(mode=0o700)
            if name in OFFLINE:
                trio.run(prepare, folder)
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("PYTHONPATH", os.pathsep.join(PATHS))
                known[name] = folder, record(folder, [COMMANDS_FILE, name, str(folder)], base / "trace")
        return known[name]

    return get


def failures(folder: Path, recording: Recording, name: str, count: int, *, syncs_count: bool = True) -> list[str]:
    """What is wrong with which of so many images."""
    wrong = []
    chance = soak_rounds.chance("power", name, syncs_count)
    for image in images(recording, count, chance, syncs_count=syncs_count):
        shutil.rmtree(folder)
        folder.mkdir(mode=0o700)
        image.lay_out(folder)
        try:
            CHECKS[name](folder, image.said)
        except (AssertionError, HerodError, StartupError, SealBroken, apsw.Error, OSError) as error:
            wrong.append(f"{image.mode} at {image.moment} after {len(image.said)} promises: {error!r:.300}")
    return wrong


@pytest.mark.parametrize("name", COMMANDS)
def test_power_loss(recorded: Callable[[str], tuple[Path, Recording]], name: str) -> None:
    """Whatever reached the disk, everything that was promised holds."""
    count = soak_rounds.count("IMAGES")
    share = count // 2 if name == "write" else max(len(MODES), -(-count // 2 // (len(COMMANDS) - 1)))
    assert failures(*recorded(name), name, share) == []


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "rotate-signing"])
def test_disk_that_lies(recorded: Callable[[str], tuple[Path, Recording]], name: str) -> None:
    """The control: if syncs had no effect, promises would be broken, and this suite would notice."""
    assert failures(*recorded(name), name, 30, syncs_count=False) != []
