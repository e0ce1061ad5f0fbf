"""The commands `herod export` and `herod import`: files, secrets and reports."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from herod.credentials.accounts_file_encryption import decrypt_users, encrypt_users
from herod.maintenance.export_accounts import export_accounts
from store.samples import account, key
from support.stopped_store import NEW, OLD, opened, put, settings


@pytest.fixture
def store(machine: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """A store with an account and a key, and the options that name it."""
    monkeypatch.setenv("HERO_SECRET", OLD)

    async def fill() -> None:
        async with opened(machine / "herod.db") as made:
            await put(made, account("ada", scope=("admin",)), key("A" * 12, secret_hash=b"h" * 32))

    trio.run(fill)
    return "--store", f"sqlite:{machine}/herod.db"


def test_a_name_with_the_time(machine: Path, store: tuple[str, str], herod: Callable[..., Any]) -> None:
    """Without FILE a private file is created here; an existing file or missing folder is refused, with nothing left."""
    ended = herod("export", *store)
    assert ended.code == 0, ended.err
    (made,) = machine.glob("herod-*Z.export")
    assert made.stat().st_mode & 0o777 == 0o600
    assert "1 account and 1 key" in " ".join(ended.out.split())
    assert herod("export", made, *store).code == 1
    assert herod("export", "missing/file", *store).code == 1
    assert not list(machine.glob(".*.part"))


def test_standard_output(
    store: tuple[str, str], herod: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Exporting to a pipe works; a terminal is refused."""
    with (tmp_path / "piped").open("w+b") as file:
        piped = io.TextIOWrapper(file)
        monkeypatch.setattr(sys, "stdout", piped)
        ended = herod("export", "-", *store)
        monkeypatch.undo()
        file.seek(0)
        assert b"client_id" in decrypt_users(file.read(), OLD)
    assert (ended.code, ended.err.startswith("1 account and")) == (0, True)


def test_no_terminal(store: tuple[str, str], herod: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """An encrypted export to a terminal is refused."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    ended = herod("export", "-", *store)
    assert (ended.code, "terminal" in ended.err, ended.out) == (1, True, "")


def test_secret_for_the_export(machine: Path, store: tuple[str, str], herod: Callable[..., Any]) -> None:
    """The secret for an export comes from a file only, and a weak one is refused."""
    (machine / "new").write_text(NEW + "\n")
    (machine / "weak").write_text("short")
    assert herod("export", "f", "--to-secret", "@weak", *store).code == 2
    ended = herod("export", "f", "--to-secret", NEW, *store)
    assert (ended.code, NEW in ended.out + ended.err.replace(f"'{NEW}'", "")) == (2, False)
    assert herod("export", "f", "--to-secret", "@new", *store).code == 0
    assert b"ada" in decrypt_users((machine / "f").read_bytes(), NEW)


@pytest.mark.parametrize(
    ("given", "stdin", "warns"),
    [("@old", b"", False), ("old", b"", False), ("-", OLD.encode(), False), (OLD, b"", True)],
)
def test_secret_of_the_file(
    machine: Path, store: tuple[str, str], herod: Callable[..., Any], monkeypatch: pytest.MonkeyPatch,
    given: str, stdin: bytes, warns: bool,
) -> None:  # fmt: skip
    """The secret of the file comes from a file, standard input or, with a warning, an argument."""
    (machine / "old").write_text(OLD + "\n")
    (machine / "f").write_bytes(export_accounts(settings(machine / "herod.db")).content)
    monkeypatch.setenv("HERO_SECRET", NEW)
    other = ("--store", f"sqlite:{machine}/other.db")
    ended = herod("import", "f", "--from-secret", given, *other, stdin=stdin)
    assert ended.code == 0, ended.err
    assert ("every user" in ended.err) is warns
    assert "ADMIN: account ada" in ended.err


def test_reports(machine: Path, store: tuple[str, str], herod: Callable[..., Any]) -> None:
    """The report has a line each for skipped, secretless and unknown entries, and scripts get everything."""
    text = """
[[users]]
client_id = "ada"
[[users]]
client_id = "new"
scope = "ships:sail"
networks = ["lab"]
shoe_size = 5
"""
    (machine / "users.toml").write_bytes(encrypt_users(text, OLD))
    (machine / "herod.toml").write_text('networks = ["home"]\n')
    arguments = ("import", "users.toml", *store, "--config", "herod.toml")
    assert herod(*arguments).code == 1
    dry = herod(*arguments, "--skip-existing", "--dry-run")
    assert dry.out.startswith("Would import 1 account and 0 keys")
    for line in (
        "skipped: account ada: its client_id exists already",
        "no client secret: `herod user rotate-secret new` creates one",
    ):
        assert line in dry.out.splitlines()
    for part in ("grants nothing: ships:sail", "do not list: lab", "ignored: users: shoe_size"):
        assert part in dry.err
    answer = json.loads(herod(*arguments, "--skip-existing", "--output", "json").out)
    assert (answer["accounts"], answer["without_secret"], answer["dry_run"]) == (["new"], ["new"], False)
    assert answer["skipped"] == [{"kind": "account", "id": "ada", "why": "its client_id exists already"}]
