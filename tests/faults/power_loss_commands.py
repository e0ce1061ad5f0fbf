"""What runs while the power fails: `power_loss_commands.py NAME FOLDER`. Each line that it prints is a promise."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import trio

from faults.power_loss import PROMISE
from herod.maintenance.import_accounts import import_accounts
from herod.maintenance.restore import restore
from herod.maintenance.rotate_hero_secret import rotate_secret
from herod.maintenance.rotate_signing_key import rotate_signing
from herod.private_files import write_private
from herod.store.sqlite.sqlite_store import SqliteStore
from herod.store.store_interface import Writer
from herod_cli.shared.atomic_file import whole_file
from herod_cli.shared.replaced_file import replace_private
from herod_cli.shared.secret_files import SavedSecret
from store.samples import account, event
from support.stopped_store import NEW, NOW, opened, settings

CONTENT: Final = bytes(range(256)) * 1000

SESSIONS: Final = 3
WRITERS: Final = 3
WRITES: Final = 7
"""Of each writer in each session; the end of a session moves the log into the database."""


def promise(line: str) -> None:
    """Print a line at once."""
    sys.stdout.buffer.write(PROMISE + line.encode() + b"\n")
    sys.stdout.buffer.flush()


async def write(folder: Path) -> None:
    """Write accounts with an audit row each, from several tasks, and open the store anew between."""
    for session in range(SESSIONS):
        async with opened(folder / "herod.db") as store, trio.open_nursery() as nursery:
            for writer in range(WRITERS):
                nursery.start_soon(write_some, store, f"{session}-{writer}")


async def write_some(store: SqliteStore, who: str) -> None:
    """One task: each account is promised when its write has returned."""
    for number in range(WRITES):
        id_ = f"{who}-{number}"

        def change(tx: Writer, id_: str = id_) -> None:
            tx.put(account(id_, email=f"{id_}@example.org", name="x" * 100))
            tx.audit(event(target=id_))

        await store.write(change)
        promise(id_)


def keep_sign_ins(folder: Path) -> None:
    """Replace a file some times."""
    for number in range(5):
        replace_private(folder / "config" / "credentials.json", f"{number}\n".encode() * 2000)
        promise(str(number))


def save_backup(folder: Path) -> None:
    """Save a backup in a file."""
    with whole_file(folder / "new.backup") as target:
        for start in range(0, len(CONTENT), 10_000):
            target.write(CONTENT[start : start + 10_000])
    promise("saved")


def save_secret(folder: Path) -> None:
    """Save a secret that is shown only once."""
    with SavedSecret(str(folder / "new.key")) as place:
        place.write("secret")
    promise("saved")


def save_bootstrap_key(folder: Path) -> None:
    """Save the first admin's key."""
    write_private(folder / "new.key", b"secret\n", is_durable=True)
    promise("saved")


def offline(work: Callable[[Path], object]) -> Callable[[Path], None]:
    """A command on the store that makes one promise."""

    def run(folder: Path) -> None:
        work(folder)
        promise("done")

    return run


COMMANDS: Final[dict[str, Callable[[Path], None]]] = {
    "write": lambda folder: trio.run(write, folder),
    "restore": offline(lambda folder: restore(settings(folder / "herod.db"), folder / "backup", now=NOW)),
    "rotate": offline(lambda folder: rotate_secret(settings(folder / "herod.db"), NEW, now=NOW)),
    "rotate --compromised": offline(
        lambda folder: rotate_secret(settings(folder / "herod.db"), NEW, is_compromised=True, now=NOW)
    ),
    "rotate-signing": offline(lambda folder: rotate_signing(settings(folder / "herod.db"), now=NOW)),
    "import": offline(lambda folder: import_accounts(settings(folder / "herod.db"), folder / "import", now=NOW)),
    "saved sign-ins": keep_sign_ins,
    "backup": save_backup,
    "saved secret": save_secret,
    "bootstrap key": save_bootstrap_key,
}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](Path(sys.argv[2]))
