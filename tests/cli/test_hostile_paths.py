"""Every path that a command reads or writes, with everything that can be there instead of a file.

No command waits for ever, follows a link to write, or changes what was there; it ends with a message.
"""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from support.certificates import make_certificate
from support.fake_daemon import FakeDaemon, fake_daemon
from support.planted_things import THINGS, folder_of_user
from support.stopped_store import OLD

NOWHERE: Final = ("--url", "unix:/nonexistent/herod.sock")
STORE: Final = ("--store", "sqlite:HERE/store/herod.db")

READING: Final[dict[str, tuple[str, ...]]] = {
    "--key": (*NOWHERE, "--key", "@PATH", "key", "list"),
    "--token": (*NOWHERE, "--token", "@PATH", "key", "list"),
    "login --password-file": (*NOWHERE, "login", "ada@example.org", "--password-file", "PATH"),
    "user add --password-file": (*NOWHERE, "user", "add", "ada@example.org", "--password-file", "PATH"),
    "token validate": (*NOWHERE, "token", "validate", "@PATH"),
    "token inspect": (*NOWHERE, "token", "inspect", "@PATH"),
    "resource --secret": (*NOWHERE, "resource", "check", "sid", "--secret", "@PATH"),
    "restore": ("restore", "PATH", *STORE),
    "restore --backup-secret-file": ("restore", "secret", "--backup-secret-file", "PATH", *STORE),
    "import": ("import", "PATH", *STORE),
    "import --from-secret": ("import", "secret", "--from-secret", "@PATH", *STORE),
    "export --to-secret": ("export", "--to-secret", "@PATH", "new", *STORE),
    "secret rotate": ("secret", "rotate", "--new-secret-file", "PATH", *STORE),
    "serve --config": ("serve", "--config", "PATH", *STORE),
    "serve --user-secret": ("serve", "--user-secret", "@PATH", *STORE),
    "serve --tls-cert": ("serve", "--bind", "127.0.0.1:0", "--tls-cert", "PATH", "--tls-key", "cert.key", *STORE),
    "serve --tls-key": ("serve", "--bind", "127.0.0.1:0", "--tls-cert", "cert.pem", "--tls-key", "PATH", *STORE),
    "smoke --admin-key": ("smoke", "--insecure-http", "--url", "http://127.0.0.1:1", "--admin-key", "@PATH"),
    "smoke --legacy-secret": (
        "smoke", "--insecure-http", "--url", "http://127.0.0.1:1", "--admin-key", "k", "--legacy-secret", "@PATH",
    ),
    "smoke --ca-file": ("smoke", "--url", "https://127.0.0.1:1", "--admin-key", "k", "--ca-file", "PATH"),
}  # fmt: skip

WRITING: Final[dict[str, tuple[str, ...]]] = {
    "secret generate": ("secret", "generate", "--output-file", "PATH"),
    "backup": ("backup", "PATH"),
    "export": ("export", "PATH", "--store", "sqlite:HERE/good/herod.db"),
    "user add --save": ("user", "add", "ada@example.org", "--save", "PATH"),
    "user rotate-secret --save": ("user", "rotate-secret", "ada@example.org", "--save", "PATH"),
    "key create --save": ("key", "create", "ci", "--save", "PATH"),
    "key rotate --save": ("key", "rotate", "ci", "--save", "PATH"),
}


@pytest.fixture(params=["root", "user"])
def acting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of one's own and the current one: as root, and as another user."""
    with folder_of_user(request.param, monkeypatch) as base:
        for variable in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "STATE_DIRECTORY"):
            monkeypatch.setenv(variable, str(base / variable.lower()))
        monkeypatch.setenv("HERO_SECRET", OLD)
        for seconds in ("herod.input_files.OPENING_SECONDS", "herod_smoke.files.PIPE_SECONDS"):
            monkeypatch.setattr(seconds, 0)
        for file in ("secret", "precious"):
            (base / file).write_text("precious")
            (base / file).chmod(0o600)
        yield base
        monkeypatch.chdir("/")


@pytest.mark.parametrize("command", READING.values(), ids=READING)
def test_reading(acting: Path, herod: Callable[..., Any], command: tuple[str, ...]) -> None:
    """Whatever is at the path, the command ends with a message, and nothing was changed."""
    make_certificate(acting, name="cert")
    for number, (kind, make) in enumerate(THINGS.items()):
        if kind in {"link to a file", "hard link"}:  # which may be read
            continue
        path = acting / f"thing{number}"
        make(path)
        before = path.lstat()
        ended = herod(*(word.replace("PATH", str(path)).replace("HERE", str(acting)) for word in command))
        assert ended.code in {1, 2, 3}, (kind, ended)
        assert str(path) in ended.err or "too long" in ended.err, (kind, ended)
        assert "Traceback" not in ended.err
        assert (path.lstat().st_ino, path.lstat().st_mode) == (before.st_ino, before.st_mode)
        (acting / "pipe").unlink(missing_ok=True)
    assert (acting / "secret").read_text() == "precious"


@pytest.fixture
def served(acting: Path) -> Iterator[FakeDaemon]:
    """A daemon for the user's commands."""
    (acting / "xdg_runtime_dir" / "herod").mkdir(parents=True)
    with fake_daemon(acting / "xdg_runtime_dir" / "herod" / "herod.sock") as made:
        yield made


@pytest.mark.parametrize("command", WRITING.values(), ids=WRITING)
def test_writing(acting: Path, served: FakeDaemon, herod: Callable[..., Any], command: tuple[str, ...]) -> None:
    """Whatever is at the path stays as it is, and no request was sent."""
    for number, (kind, make) in enumerate(THINGS.items()):
        path = acting / f"thing{number}"
        make(path)
        before = path.lstat()
        ended = herod(*(word.replace("PATH", str(path)).replace("HERE", str(acting)) for word in command))
        assert (ended.code, "exists already" in ended.err) == (1, True), (kind, ended)
        assert path.lstat() == before
        assert (acting / "precious").read_text() == "precious"
        assert not (acting / "nowhere").exists()
        (acting / "pipe").unlink(missing_ok=True)
    assert served.asked == []


@pytest.mark.parametrize("kind", THINGS)
def test_saved_sign_ins(acting: Path, herod: Callable[..., Any], kind: str) -> None:
    """Only a regular file of one's own is read as the file of saved sign-ins, and a pipe is not waited for."""
    path = acting / "xdg_config_home" / "herod" / "credentials.json"
    path.parent.mkdir(parents=True)
    os.chdir(path.parent)
    (path.parent / "precious").write_text("precious")
    (path.parent / "precious").chmod(0o600)
    THINGS[kind](path)
    ended = herod(*NOWHERE, "key", "list")
    assert ended.code in {1, 3}
    assert str(path) in ended.err or kind == "dangling link"
    assert (path.parent / "precious").read_text() == "precious"


@pytest.mark.parametrize("kind", THINGS)
def test_smoke_report(acting: Path, kind: str) -> None:
    """A report replaces a regular file as a whole, and nothing else; its target is never written through a link."""
    from herod_smoke.files import save

    path = acting / "report"
    THINGS[kind](path)
    if kind == "hard link":
        save(path, b"report")
        assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"report", 0o644)
    else:
        with pytest.raises(OSError, match="there is something else of that name"):
            save(path, b"report")
    assert (acting / "precious").read_text() == "precious"
    assert not (acting / "nowhere").exists()
