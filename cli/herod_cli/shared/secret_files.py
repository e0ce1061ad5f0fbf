"""Files and terminals that hold secrets: read, asked for, and written for their owner's eyes alone.

A secret is never part of a message, and one given as a plain argument earns a warning.
"""

import contextlib
import errno
import getpass
import os
import stat
import sys
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import click

from herod import private_files
from herod_cli.exit_codes import FailureError
from herod_cli.shared.output import clean, print_notice

__all__ = [
    "SavedSecret",
    "ask_password",
    "confirm",
    "create_private",
    "exists_already",
    "give_name",
    "has_terminal",
    "is_private",
    "is_taken",
    "open_folder",
    "read_bounded",
    "read_named",
    "read_password",
    "read_secret",
    "replace_private",
    "write_all",
]

MAX_SECRET: Final = 64 * 1024
# What file systems without hard links say.
NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


def read_secret(text: str, what: str, *, option: str | None = None) -> str:
    """A key, token or secret: itself, `@FILE`, or `-` for standard input, without white space around it.

    Args:
        text: what was written.
        what: its name in messages, such as `key`.
        option: the option it was given to; None for an argument.
    """
    if text in {"-", "@-"} or text.startswith("@"):
        return read_named(text, what)
    place = f"{option} @FILE" if option else "@FILE or -"
    print_notice(f"herod: warning: a {what} on the command line can be seen by every user of this machine: use {place}")
    return read_named(text, what)


def read_named(text: str, what: str) -> str:
    """As `read_secret`, for what did not stand on the command line: no warning."""
    if text in {"-", "@-"}:
        content = _strip(_read_input())
    elif text.startswith("@"):
        content = _strip(read_bounded(text[1:]))
    else:
        content = text.strip()
    if not content:
        raise click.UsageError(f"The {what} is empty.")
    return content


def read_password(path: str) -> str:
    """A password from a file, or from standard input for `-`: everything but one trailing line end."""
    content = _read_input() if path == "-" else read_bounded(path)
    return _decode(content).removesuffix("\n").removesuffix("\r")


def read_bounded(path: str) -> bytes:
    """A small file's content.

    Raises:
        FailureError: it cannot be read or is too big to be a secret.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_SECRET + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FailureError(f"{path} cannot be read: {reason}.", hint="check the path and who may read it") from error
    return _bounded(content, path)


def _read_input() -> bytes:
    return _bounded(sys.stdin.buffer.read(MAX_SECRET + 1), "standard input")


def _bounded(content: bytes, where: str) -> bytes:
    if len(content) > MAX_SECRET:
        raise FailureError(f"{where} holds over {MAX_SECRET} bytes: that is no secret.", hint="check the path")
    return content


def _strip(content: bytes) -> str:
    return _decode(content).strip()


def _decode(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise FailureError("The secret is not UTF-8 text.", hint="check the path") from None


def has_terminal() -> bool:
    """Whether somebody is there to ask."""
    return sys.stdin.isatty()


def ask_password(prompt: str, *, twice: bool, option: str) -> str:
    """Ask for a password without showing it.

    Args:
        prompt: what to ask.
        twice: ask again and compare.
        option: what to use where there is no terminal.
    """
    if not has_terminal():
        raise click.UsageError(f"There is no terminal to ask for a password on: use {option} FILE.")
    while True:
        password = getpass.getpass(f"{prompt}: ")
        if not password:
            print_notice("It is empty. Try again, or end with Ctrl-C.")
        elif twice and getpass.getpass("Again: ") != password:
            print_notice("The two are not the same. Try again, or end with Ctrl-C.")
        else:
            return password


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something that cannot be undone, when somebody is there to answer.

    Raises:
        FailureError: the answer was no.
    """
    if yes or not has_terminal():
        return
    if not click.confirm(clean(question), err=True):
        raise FailureError("Nothing was changed.")


class SavedSecret:
    """A new file, 0600, made before the secret is, so that a secret is never made and then has no place.

    Use as a context manager around the call that makes the secret; leaving it without `write` removes the file.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._folder = open_folder(Path(path))
        try:
            self._descriptor = create_private(Path(path), folder=self._folder)
        except BaseException:
            os.close(self._folder)
            raise
        self._is_written = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)
        if not self._is_written:
            with contextlib.suppress(OSError):
                os.unlink(Path(self.path).name, dir_fd=self._folder)
        os.close(self._folder)

    def write(self, secret: str) -> bool:
        """Write the secret and its line end; False, with a warning, when the file does not take it."""
        try:
            write_all(self._descriptor, secret.encode() + b"\n")
        except OSError as error:
            print_notice(f"herod: warning: {self.path} could not be written: {error.strerror}")
            return False
        self._is_written = True
        return True


def open_folder(path: Path) -> int:
    """Open the folder of a new file: names that belong to it then stay in it, wherever its path leads meanwhile.

    Raises:
        FailureError: there is none, or it may not be entered.
    """
    try:
        return os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise _cannot_create(path, error) from error


def create_private(path: Path, *, folder: int) -> int:
    """Create a file that only its owner can read, and open it for writing.

    Args:
        path: its name counts, and for messages the rest.
        folder: from `open_folder`.

    Raises:
        FailureError: it exists, or cannot be created.
    """
    try:
        return private_files.create_private(path, folder=folder)
    except FileExistsError:
        raise exists_already(path) from None
    except (OSError, ValueError) as error:
        raise _cannot_create(path, error) from error


def _cannot_create(path: Path, error: Exception) -> FailureError:
    reason = getattr(error, "strerror", None) or str(error)
    return FailureError(f"{path} cannot be created: {reason}.", hint="check the folder and who may write there")


def replace_private(path: Path, content: bytes) -> None:
    """Put a file that only its owner can read in the place of `path`, whole or not at all.

    Raises:
        FailureError: it cannot be written.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.ExitStack() as opened:
            folder = open_folder(path)
            opened.callback(os.close, folder)
            descriptor = create_private(temporary, folder=folder)
            opened.callback(os.close, descriptor)
            try:
                write_all(descriptor, content)
                os.rename(temporary.name, path.name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                os.unlink(temporary.name, dir_fd=folder)
                raise
    except OSError as error:
        raise FailureError(
            f"{path} cannot be written: {error.strerror}.", hint="check the folder and who may write there"
        ) from error


def give_name(temporary: Path, path: Path, *, folder: int) -> None:
    """Let a temporary file be `path`: all of it appears at once, and in no other file's place.

    Args:
        temporary: its name counts, as that of `path` does.
        folder: of both, from `open_folder`.

    Raises:
        FailureError: something has that name.
        OSError: the disk says no.
    """
    try:
        os.link(temporary.name, path.name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        raise exists_already(path) from None
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        if is_taken(path, folder=folder):
            raise exists_already(path) from None
        os.rename(temporary.name, path.name, src_dir_fd=folder, dst_dir_fd=folder)
    readable = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.fsync(readable)
    finally:
        os.close(readable)


def is_taken(path: Path, *, folder: int) -> bool:
    """Whether something has that name in a folder, be it a link that leads nowhere."""
    try:
        os.stat(path.name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def exists_already(path: Path) -> FailureError:
    """The refusal to take a file's place."""
    return FailureError(f"{path} exists already and is left as it is.", hint="name another file, or move that one away")


def write_all(descriptor: int, content: bytes) -> None:
    """Write everything and see it to the disk."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a pipe or a terminal has no disk
            raise


def is_private(found: os.stat_result) -> bool:
    """Whether nobody but its owner (and root) may read or write a file."""
    return not stat.S_IMODE(found.st_mode) & 0o077
