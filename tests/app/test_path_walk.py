"""Root opens a path only as far as no other user leads it to what is not theirs."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

from herod.input_files import open_input, open_regular, read_input
from herod.path_walk import open_folder
from support import soak_rounds

ADA: Final = 4321
BOB: Final = 4322

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others; others are not led")


class Place:
    """A folder of root's with a secret, and Ada's with a file of hers."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.roots = folder(base / "roots")
        self.ada = folder(base / "ada", ADA)
        self.secret = file(self.roots / "file", "root's")
        self.own = file(self.ada / "file", "ada's", ADA)


def folder(path: Path, uid: int = 0, mode: int = 0o755) -> Path:
    """A folder of the given user."""
    path.mkdir()
    path.chmod(mode)
    os.chown(path, uid, uid)
    return path


def file(path: Path, content: str, uid: int = 0) -> Path:
    """A private file of the given user."""
    path.write_text(content)
    path.chmod(0o600)
    os.chown(path, uid, uid)
    return path


def link(path: Path, aim: Path | str, uid: int = 0) -> Path:
    """A symbolic link of the given user."""
    path.symlink_to(aim)
    os.chown(path, uid, uid, follow_symlinks=False)
    return path


@pytest.fixture
def place() -> Iterator[Place]:
    """Files and folders of root and Ada."""
    with tempfile.TemporaryDirectory(prefix="herod-test-") as name:
        Path(name).chmod(0o755)
        yield Place(Path(name).resolve())


def hard(path: Path, aim: Path) -> Path:
    """A hard link."""
    path.hardlink_to(aim)
    return path


def of_bob(place: Place) -> Path:
    """Bob's file in his folder in Ada's."""
    folder(place.ada / "bob", BOB)
    return file(place.ada / "bob" / "file", "bob's", BOB)


FOLLOWED: Final[dict[str, tuple[Callable[[Place], Path], str]]] = {
    "root's file": (lambda p: p.secret, "root's"),
    "root's link to root's file": (lambda p: link(p.roots / "link", "file"), "root's"),
    "root's absolute link to Ada's file": (lambda p: link(p.roots / "link", p.own), "ada's"),
    "Ada's file": (lambda p: p.own, "ada's"),
    "Ada's link to her file": (lambda p: link(p.ada / "link", "../ada/./file", ADA), "ada's"),
    "Ada's link to her folder": (lambda p: link(p.base / "l", p.ada, ADA) / "file", "ada's"),
    "root's file in Ada's folder": (lambda p: file(p.ada / "key", "root's"), "root's"),
    "root's folder in Ada's folder": (lambda p: file(folder(p.ada / "sub") / "f", "root's"), "root's"),
    "back by two dots": (lambda p: p.ada / ".." / "ada" / "file", "ada's"),
}

REFUSED: Final[dict[str, tuple[Callable[[Place], Path], str]]] = {
    "Ada's link to root's file": (lambda p: link(p.ada / "link", p.secret, ADA), "a file of user root"),
    "Ada's link in a folder for all": (
        lambda p: link(folder(p.base / "tmp", mode=0o1777) / "link", p.secret, ADA), "a file of user root",
    ),
    "Ada's link to root's folder": (lambda p: link(p.ada / "sub", p.roots, ADA) / "file", "a file of user root"),
    "root's link to a link of Ada's": (
        lambda p: link(p.roots / "link", link(p.ada / "link", p.secret, ADA)), "a file of user root",
    ),
    "Ada's hard link to root's file": (lambda p: hard(p.ada / "link", p.secret), "a hard link"),
    "a hard link in a folder for all": (
        lambda p: hard(folder(p.base / "tmp", mode=0o1777) / "link", p.secret), "a hard link",
    ),
    "Ada's link to a device": (lambda p: link(p.ada / "link", "/dev/zero", ADA), "a file of user root"),
    "Bob's file in Ada's folder": (lambda p: file(p.ada / "bobs", "bob's", BOB), f"a file of uid {BOB}"),
    "Bob's folder in Ada's": (of_bob, f"changed by uid {ADA} (ada) and uid {BOB} (bob)"),
    "a loop": (lambda p: link(p.ada / "link", "link", ADA), "Too many levels of symbolic links"),
    "nothing": (lambda p: p.ada / "missing", "No such file"),
    "Ada's dangling link": (lambda p: link(p.ada / "link", p.roots / "missing", ADA), "No such file"),
    "a file as a folder": (lambda p: p.own / "file", "Not a directory"),
    "a folder": (lambda p: p.ada, "Is a directory"),
}  # fmt: skip


def read(path: Path) -> str:
    """The content of a file, as herod reads it."""
    return read_input(path, 100)[0].decode()


@needs_root
@pytest.mark.parametrize("name", FOLLOWED)
def test_followed(place: Place, name: str) -> None:
    """Root reads what belongs to it, or to the one user who could change the path."""
    make, content = FOLLOWED[name]
    assert read(make(place)) == content


@needs_root
@pytest.mark.parametrize("name", REFUSED)
def test_refused(place: Place, name: str) -> None:
    """Root is not led by a user to what does not belong to that user."""
    make, why = REFUSED[name]
    path = make(place)
    for opening in (read, open_regular, open_input):
        with pytest.raises(OSError, match=f"{re.escape(why)}|it is not a regular file"):
            opening(path)


@needs_root
def test_folders(place: Place) -> None:
    """The same rule holds for the folder of a new file, whatever happens to its path afterwards."""
    for path in (place.roots, place.ada, link(place.roots / "l", place.ada), link(place.ada / "l", ".", ADA)):
        os.close(open_folder(path))
    for path in (
        link(place.ada / "etc", place.roots, ADA),
        place.own,
        place.ada / "missing",
        link(place.ada / "f", "file"),
    ):
        with pytest.raises(OSError, match=r"who owns etc on its path|Not a directory|No such file"):
            open_folder(path)


def test_own_descriptors() -> None:
    """A pipe of the shell, as of <(command), and standard input are read to their end."""
    code = "import pathlib; from herod.input_files import read_input; import sys; "
    code += "print(read_input(pathlib.Path(sys.argv[1]), 9)[0])"
    for script in (
        '"$0" -c "$1" <(echo here)',
        'echo here | "$0" -c "$1" /dev/stdin',
        '"$0" -c "$1" /dev/stdin <<< here',
    ):
        done = subprocess.run(["bash", "-c", script, sys.executable, code], capture_output=True, text=True, check=False)
        assert done.stdout == "b'here\\n'\n", done.stderr


def test_others_are_not_led(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any other user opens what the kernel lets them open, through anybody's links."""
    monkeypatch.setattr(os, "geteuid", lambda: ADA)
    link(place.roots / "link", place.own)
    assert read(place.roots / "link") == place.own.read_text()
    os.close(open_folder(place.ada))


# Makes a name lead to root's and to one's own, in turns, until killed.
SWAPPER: Final = """
import contextlib, os, sys
user, place, *aims = sys.argv[1:]
os.setgroups([]); os.setgid(int(user)); os.setuid(int(user))
print("ready", flush=True)
while True:
    for aim in aims:
        with contextlib.suppress(OSError):
            os.symlink(aim, place + "~")
            os.rename(place + "~", place)
"""


@contextmanager
def swapping(path: Path, *aims: Path) -> Iterator[None]:
    """Swap a link as Ada for the length of the block."""
    command = [sys.executable, "-I", "-S", "-c", SWAPPER, str(ADA), str(path), *map(str, aims)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.kill()


@needs_root
def test_swapped_in_the_middle(place: Place) -> None:
    """However often the link changes between look and use, root never reads its own file nor enters its own folder."""
    path, way = place.ada / "swapped", place.ada / "way"
    mine = place.roots.stat().st_ino
    for name, aims in ((path, (place.secret, place.own)), (way, (place.roots, place.ada))):
        seen = set()
        with swapping(name, *aims):
            for _ in range(soak_rounds.count("SWAPS")):
                with suppress(OSError):
                    seen.add(read(name if name == path else name / "file"))
                with suppress(OSError):
                    descriptor = open_folder(name)
                    assert os.fstat(descriptor).st_ino != mine
                    os.close(descriptor)
        assert seen <= {"ada's"}
