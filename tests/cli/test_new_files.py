"""New files are created in the folder that was given, even if its path is redirected meanwhile."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from herod_cli.shared import replaced_file, secret_files
from herod_cli.shared.atomic_file import whole_file
from herod_cli.shared.replaced_file import replace_private
from herod_cli.shared.secret_files import SavedSecret
from support.fake_daemon import FakeDaemon

OWNER = 4321

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")


class Swap:
    """A folder whose owner replaces it with a link to root's folder, which has a file of the same name.

    Attributes:
        path: of the new file.
    """

    def __init__(self, base: Path) -> None:
        self._folder = base / "theirs"
        self._moved = base / "moved"
        self._roots = base / "roots"
        for folder in (self._folder, self._roots):
            folder.mkdir()
        self.path = self._folder / "file"
        (self._roots / "file").write_text("precious")

    def do(self) -> None:
        """Replace the folder with the link, as its owner might during a command."""
        self._folder.rename(self._moved)
        self._folder.symlink_to(self._roots)

    @property
    def made(self) -> list[str]:
        """The files in the original folder, after checking that root's is unchanged."""
        assert [(one.name, one.read_text()) for one in self._roots.iterdir()] == [("file", "precious")]
        return [one.name for one in self._moved.iterdir()]


@pytest.fixture
def swap(tmp_path: Path) -> Swap:
    """The original folder and root's."""
    return Swap(tmp_path)


def test_whole_file_in_a_folder_that_is_swapped(swap: Swap) -> None:
    """The file gets its name in the original folder, not in root's."""
    with whole_file(swap.path) as target:
        swap.do()
        target.write(b"content")
    assert swap.made == ["file"]


def test_whole_file_that_fails_in_a_folder_that_is_swapped(swap: Swap) -> None:
    """After an error no file is left, and root's is not removed."""
    with pytest.raises(KeyError), whole_file(swap.path):  # noqa: PT012 - an error inside the block
        swap.do()
        raise KeyError
    assert swap.made == []


def test_secret_that_was_not_made_in_a_folder_that_is_swapped(swap: Swap) -> None:
    """An unused file for a secret is removed from the original folder; root's file used to be removed instead."""
    with SavedSecret(str(swap.path)):
        swap.do()
    assert swap.made == []


def test_replaced_file_in_a_folder_that_is_swapped(swap: Swap, monkeypatch: pytest.MonkeyPatch) -> None:
    """A replaced file is the one in the original folder."""
    real = secret_files.write_all

    def write_all(descriptor: int, content: bytes) -> None:
        if content == b"new":
            swap.do()
        real(descriptor, content)

    monkeypatch.setattr(replaced_file, "write_all", write_all)
    swap.path.write_text("old")
    replace_private(swap.path, b"new")
    assert swap.made == ["file"]


@pytest.mark.parametrize("command", [("secret", "generate", "--output-file"), ("backup",)])
def test_link_in_the_place_of_the_file(
    machine: Path, daemon: FakeDaemon, herod: Callable[..., Any], command: tuple[str, ...]
) -> None:
    """An existing symbolic link is neither followed nor replaced, even a dangling one."""
    (machine / "victim").write_text("precious")
    for aim in ("victim", "nowhere"):
        (machine / "link").unlink(missing_ok=True)
        (machine / "link").symlink_to(aim)
        ended = herod(*command, "link")
        assert (ended.code, "exists already" in ended.err) == (1, True)
    assert (machine / "victim").read_text() == "precious"
    assert not (machine / "nowhere").exists()


def test_folder_that_may_not_be_listed(machine: Path, herod: Callable[..., Any]) -> None:
    """A folder with write permission only is enough, as for a drop folder."""
    (machine / "drop").mkdir()
    (machine / "drop").chmod(0o300)
    assert herod("secret", "generate", "--output-file", "drop/secret").code == 0
    (machine / "drop").chmod(0o700)
    assert herod("secret", "generate", "--output-file", "missing/secret").code == 1


@pytest.fixture
def home_of_another(machine: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment that `sudo -E` gives root."""
    home = machine / "theirs"
    home.mkdir()
    os.chown(home, OWNER, OWNER)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(home))
    return home


@needs_root
def test_root_in_the_home_of_another(home_of_another: Path, daemon: FakeDaemon, herod: Callable[..., Any]) -> None:
    """Root saves no sign-in and no page in another user's home, and says so before it prompts."""
    for command in (("login", "ada@example.org"), ("ui",)):
        daemon.methods["session.code"] = {"code": "abc", "page_url": "http://127.0.0.1:3350"}
        ended = herod("--url", daemon.url, *command)
        assert f"{home_of_another}, which belongs to uid {OWNER}" in ended.err
        assert ended.code == 1
    assert list(home_of_another.iterdir()) == []
