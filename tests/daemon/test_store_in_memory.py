"""`--store memory:`: where the daemon's own files are, and that it needs no working directory."""

import stat
import time
from pathlib import Path

import pytest

from support.real_daemon import COMMAND, Daemon, herod, running

GONE = ("sh", "-c", 'mkdir "$0" && cd "$0" && rmdir "$0" && exec "$@"')


def wait_for(path: Path) -> None:
    """Wait until the daemon has written a file."""
    end = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < end, path
        time.sleep(0.02)


def check(daemon: Daemon) -> None:
    """Its files are beside its socket, and private."""
    code = daemon.socket.with_name("first-admin.code")
    wait_for(code)
    assert stat.S_IMODE(code.stat().st_mode) == 0o600
    daemon.logged(str(code))


@pytest.mark.parametrize("is_gone", [True, False])
def test_its_files_are_beside_the_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_gone: bool) -> None:
    """The code of the first admin is there while the daemon runs, whatever the working directory is."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    command = (*GONE, str(tmp_path / "gone"), *COMMAND) if is_gone else COMMAND
    with running(tmp_path / "d", "--store", "memory:", command=command) as daemon:
        check(daemon)
    assert not daemon.socket.with_name("first-admin.code").exists()
    assert list(here.iterdir()) == []
    assert not (tmp_path / "gone").exists()


def test_a_bootstrap_key_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first admin key is written beside the socket, and works."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    with running(tmp_path / "d", "--store", "memory:", "--bootstrap-admin-key", "first") as daemon:
        key = daemon.socket.with_name("bootstrap-first.key")
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        assert daemon.herod("whoami", "--key", f"@{key}").stdout.splitlines()[1].split() == ["kind", "service"]
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("status", 3), ("doctor", 1), ("whoami", 3), ("whoami --key @none", 1), ("key list", 3), ("logout", 1),
        ("secret generate", 0), ("secret generate --output-file s", 1), ("backup b", 1), ("export e", 2),
        ("import i --store sqlite:/dev/null/s.db", 2), ("restore r --store sqlite:/nonexistent/s.db", 2),
        ("serve --config herod.toml", 2), ("serve --port 70000", 2), ("completion bash", 0), ("smoke --list", 0),
        ("audit verify --against a", 3), ("ui", 3),
    ],
)  # fmt: skip
def test_commands_without_a_working_directory(tmp_path: Path, line: str, code: int) -> None:
    """Each command works, or ends with a message, in a folder that is gone."""
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    env["HEROD_URL"] = f"unix:{tmp_path}/none.sock"  # whatever runs on this machine
    ended = herod(*line.split(), env=env, prefix=(*GONE, str(tmp_path / "gone")))
    assert "Traceback" not in ended.stderr
    assert ended.returncode == code, ended.stderr
    assert not ended.returncode or ended.stderr.startswith("herod: ") or line == "doctor"
