"""Stores that herod 0.1 made with a secret as it read it: with a byte order mark, line ends, or several lines."""

from pathlib import Path
from typing import Any

import pytest

from herod.store.sqlite.sqlite_store import open_sqlite
from support.real_daemon import SECRET, environment, herod, running
from support.stopped_store import save

NOW = 1_800_000_000
MARK = "\ufeff"


async def make_store(folder: Path, secret: str) -> Path:
    """A store that this secret opens, where `running` has its own."""
    path = folder / "store" / "herod.db"
    path.parent.mkdir(parents=True, mode=0o700)
    async with open_sqlite(path, secret, now=NOW):
        return path


def keep(folder: Path, content: str) -> str:
    """Write a secret to a file."""
    path = folder / "hero_secret"
    path.write_bytes(content.encode())
    path.chmod(0o600)
    return str(path)


@pytest.mark.parametrize(
    ("content", "former"),
    [
        (f"{MARK}{SECRET}\n", MARK + SECRET),
        (f"{SECRET}\n\n", f"{SECRET}\n"),
        (f"{SECRET}\r", f"{SECRET}\r"),
        (f"{MARK}{SECRET}\r\n\r\n", f"{MARK}{SECRET}\r\n"),
    ],
)
@pytest.mark.parametrize("variable", ["HERO_SECRET", "HEROD_STORE_SECRET"])
async def test_the_same_file_opens_the_same_store(tmp_path: Path, content: str, former: str, variable: str) -> None:
    """The daemon opens it, and from then on only the secret itself does."""
    await make_store(tmp_path, former)
    other: dict[str, Any] = {} if variable == "HERO_SECRET" else {"HERO_SECRET": SECRET[::-1]}
    secrets: dict[str, Any] = {"HERO_SECRET": "", f"{variable}_FILE": keep(tmp_path, content), **other}
    with running(tmp_path, **secrets) as daemon:
        assert daemon.curl("/health")[1]["status"] == "ok"
    with running(tmp_path, **{"HERO_SECRET": "", variable: SECRET, **other}) as daemon:
        assert daemon.curl("/health")[1]["status"] == "ok"
    log = (tmp_path / "log").read_text()
    assert log.count("opens without them now") == 1
    ended = herod("serve", "--store", f"sqlite:{tmp_path}/store/herod.db",
                  env=environment(tmp_path, **{"HERO_SECRET": SECRET, **other, variable: SECRET + "x"}))  # fmt: skip
    assert "was made with another secret" in ended.stderr


@pytest.mark.parametrize("secret", [f"{SECRET}\n{SECRET}", f"{SECRET}\0", f"{SECRET}\t", f"{MARK}{SECRET}"])
async def test_rotation_accepts_it(tmp_path: Path, secret: str) -> None:
    """`herod secret rotate` takes the old secret as it was, so that a secret that is refused now can be changed."""
    path = await make_store(tmp_path, secret)
    new = tmp_path / "new_secret"
    new.write_text(SECRET[::-1])
    new.chmod(0o600)
    env = environment(tmp_path, HERO_SECRET_FILE=keep(tmp_path, f"{secret}\n"))
    options = ("--new-secret-file", str(new), "--store", f"sqlite:{path}")
    ended = herod("secret", "rotate", *options, env=env)
    assert (ended.returncode, ended.stderr) == (0, "")
    async with open_sqlite(path, SECRET[::-1], now=NOW) as store:
        assert store.audit_head[0] > 0


async def test_commands_open_it(tmp_path: Path) -> None:
    """The commands that open the store themselves do so too, and a backup of herod 0.1 can be restored."""
    path = await make_store(tmp_path, MARK + SECRET)
    async with open_sqlite(path, MARK + SECRET, now=NOW) as store:
        await save(store, tmp_path / "backup")
    env = environment(tmp_path, HERO_SECRET_FILE=keep(tmp_path, f"{MARK}{SECRET}\n"))
    where = ("--store", f"sqlite:{path}")
    for command in (
        ("import", "none", "--dry-run", *where),
        ("export", f"{tmp_path}/export", *where),
        ("import", f"{tmp_path}/export", *where),
        ("restore", f"{tmp_path}/backup", *where),
    ):
        ended = herod(*command, env=env)
        assert (ended.returncode, ended.stderr) == (0, "") or command[1] == "none", ended
    async with open_sqlite(path, SECRET, now=NOW):
        pass
