"""The commands `herod backup`, `restore` and `secret rotate`: files, names and reports."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from store.samples import account, key
from support.fake_daemon import Reply, fake_daemon
from support.stopped_store import NEW, OLD, opened, put, save


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder without settings of this machine."""
    monkeypatch.chdir(tmp_path)
    for name in ("HERO_SECRET", "HERO_SECRET_FILE", "HEROD_STORE_SECRET", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_a_name_with_the_time(here: Path, herod: Callable[..., Any]) -> None:
    """Without FILE the backup is written to this folder, with the time in its name, and private."""
    with fake_daemon(here / "s") as daemon:
        daemon.routes["GET", "/api/v1/backup"] = Reply(body=b"content", content_type="application/octet-stream")
        ended = herod("--url", daemon.url, "backup")
    assert ended.code == 0, ended.err
    (made,) = here.glob("herod-*Z.backup")
    assert made.read_bytes() == b"content"
    assert made.stat().st_mode & 0o777 == 0o600
    assert made.name in ended.out


def test_what_fails_leaves_no_file(here: Path, herod: Callable[..., Any]) -> None:
    """A refusal, an unreachable daemon and a missing folder are one-line errors that leave no partial file."""
    with fake_daemon(here / "s") as daemon:
        assert herod("--url", daemon.url, "backup", "b").code == 1
        assert herod("--url", daemon.url, "backup", "missing/b").code == 1
        (here / "there").touch()
        ended = herod("--url", daemon.url, "backup", "there")
        assert (ended.code, "exists already" in ended.err) == (1, True)
        assert len(daemon.asked) == 1
    assert herod("--url", "unix:/nonexistent/s", "backup", "b").code == 3
    assert [path.name for path in here.iterdir() if path.is_file()] == ["there"]


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP])
def test_no_links(here: Path, herod: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """On a file system without hard links the file is renamed, and still overwrites nothing."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    with fake_daemon(here / "s") as daemon:
        daemon.routes["GET", "/api/v1/backup"] = Reply(body=b"content")
        assert herod("--url", daemon.url, "backup", "b").code == 0
    assert (here / "b").read_bytes() == b"content"


async def _backed_up(here: Path) -> None:
    async with opened(here / "herod.db") as store:
        await put(store, account("ada", scope=("admin",)), key("k1"), key("k2"))
        await save(store, here / "b")
        await put(store, account("ada", scope=("read",)), key("k2", enabled=False))
        await store.write(lambda tx: tx.delete(type(key()), "k1"))


async def test_restore_reports(here: Path, herod: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The report has a line each for what stays deleted, stays disabled and becomes valid again."""
    monkeypatch.setenv("HERO_SECRET", OLD)
    await _backed_up(here)
    ended = herod("restore", "b", "--store", f"sqlite:{here}/herod.db")
    assert ended.code == 0, ended.err
    assert ended.err == ""
    for line in ("stays deleted: key k1", "stays disabled: key k2", "restored: account ada has scope admin again"):
        assert line in ended.out.splitlines()


async def test_restore_warns(here: Path, herod: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The report warns if nothing could be carried forward."""
    monkeypatch.setenv("HERO_SECRET", OLD)
    await _backed_up(here)
    (here / "other.db").write_bytes(b"rubbish" * 1000)
    monkeypatch.setenv("HERO_SECRET", NEW)
    secret = here / "old"
    secret.write_text(OLD)
    ended = herod(
        "restore", "b", "--store", f"sqlite:{here}/other.db", "--backup-secret-file", secret, "--output", "json"
    )
    assert ended.code == 0, ended.err
    assert '"carried_forward": false' in ended.out
    assert "all changes since the backup are lost" in " ".join(ended.err.split())


async def test_rotate(here: Path, herod: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the next command; weak and placeholder secrets are refused, and a repetition reports that it is done."""
    monkeypatch.setenv("HERO_SECRET", OLD)
    await _backed_up(here)
    new, weak = here / "new", here / "weak"
    new.write_text(NEW + "\n")
    weak.write_text("short")
    new.chmod(0o600)
    store = ("--store", f"sqlite:{here}/herod.db")
    refused = herod("secret", "rotate", "--new-secret-file", weak, *store)
    assert (refused.code, "needs 32" in refused.err) == (2, True)
    ended = herod("secret", "rotate", "--new-secret-file", new, *store)
    assert ended.code == 0, ended.err
    assert f"HERO_SECRET_FILE={new}" in ended.out
    async with opened(here / "herod.db", NEW):
        pass
    again = herod("secret", "rotate", "--new-secret-file", new, *store, "--output", "json")
    assert (again.code, '"changed": false' in again.out) == (0, True)
