"""Secrets in files and on terminals: read, prompted for, and written so that only the owner can read them.

A secret is never part of a message, and one given as a plain argument causes a warning.
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

from herod import path_walk, private_files
from herod.input_files import read_input
from herod.input_text import decode_text, parse_secret
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
    "sync_folder",
    "write_all",
]

MAX_SECRET: Final = 64 * 1024
STANDARD_INPUT: Final = "Standard input"
# Errors of file systems without hard links.
NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


def read_secret(text: str, what: str, *, option: str | None = None) -> str:
    """Read a key, token or secret: the text itself, `@FILE`, or `-` for standard input; white space is stripped.

    Args:
        text: the argument.
        what: its name in messages, such as `key`.
        option: the option that it is the value of; None for an argument.
    """
    if text in {"-", "@-"} or text.startswith("@"):
        return read_named(text, what)
    place = f"{option} @FILE" if option else "@FILE or -"
    print_notice(f"herod: warning: a {what} on the command line can be seen by every user of this machine: use {place}")
    return read_named(text, what)


def read_named(text: str, what: str) -> str:
    """Read a secret that was not on the command line: like `read_secret`, without the warning.

    Raises:
        FailureError: the file cannot be read.
        SettingsError: it has no secret of one line.
    """
    if text in {"-", "@-"}:
        return _parse(_read_input(), STANDARD_INPUT)
    if text.startswith("@"):
        return _parse(read_bounded(text[1:]), text[1:])
    return parse_secret(text.strip(), what if what.isupper() else f"The {what}")


def read_password(path: str) -> str:
    """Read a password from a file, or from standard input for `-`, without the line end.

    Raises:
        FailureError, SettingsError: as `read_named`.
    """
    name = STANDARD_INPUT if path == "-" else path
    return parse_secret(decode_text(_read_input() if path == "-" else read_bounded(path), name), name)


def read_bounded(path: str) -> bytes:
    """Return a small file's content.

    Raises:
        FailureError: it cannot be read or is too big to be a secret.
    """
    try:
        content, _ = read_input(Path(path), MAX_SECRET)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FailureError(f"{path} cannot be read: {reason}.", hint="check the path and its permissions") from error
    return _bounded(content, path)


def _read_input() -> bytes:
    try:
        return _bounded(sys.stdin.buffer.read(MAX_SECRET + 1), STANDARD_INPUT)
    except OSError as error:
        raise FailureError(f"Standard input cannot be read: {error.strerror}.", hint="give a file or a pipe") from error


def _bounded(content: bytes, where: str) -> bytes:
    if len(content) > MAX_SECRET:
        raise FailureError(f"{where} is larger than {MAX_SECRET} bytes: it is not a secret.", hint="check the path")
    return content


def _parse(content: bytes, name: str) -> str:
    return parse_secret(decode_text(content, name).strip(), name)


def has_terminal() -> bool:
    """Whether there is a terminal to prompt on."""
    return sys.stdin.isatty()


def ask_password(prompt: str, *, twice: bool, option: str) -> str:
    """Ask for a password without showing it.

    Args:
        prompt: the prompt.
        twice: ask again and compare.
        option: what to write before FILE if there is no terminal, such as `--password-file `.
    """
    if not has_terminal():
        raise click.UsageError(f"There is no terminal to prompt for the {prompt.lower()}: use {option}FILE.")
    while True:
        password = getpass.getpass(f"{prompt}: ")
        if not password:
            print_notice("The input is empty. Try again, or cancel with Ctrl-C.")
        elif twice and getpass.getpass("Again: ") != password:
            print_notice("The two inputs differ. Try again, or cancel with Ctrl-C.")
        else:
            return password


def confirm(question: str, *, yes: bool) -> None:
    """Ask for confirmation before something that cannot be undone, if there is a terminal.

    Raises:
        FailureError: the answer was no.
    """
    if yes or not has_terminal():
        return
    if not click.confirm(clean(question), err=True):
        raise FailureError("Nothing was changed.")


class SavedSecret:
    """A new file (0600), created before the secret, so that no secret is created that cannot be saved.

    Use as a context manager around the call that creates the secret; leaving it without `write` removes the file.
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
        """Write the secret and a line end; return False, with a warning, if that fails."""
        try:
            write_all(self._descriptor, secret.encode() + b"\n")
            sync_folder(self._folder)
        except OSError as error:
            print_notice(f"herod: warning: {self.path} could not be written: {error.strerror}")
            return False
        self._is_written = True
        return True


def open_folder(path: Path) -> int:
    """Open the folder of a new file, so that its names stay in it even if the path is changed meanwhile.

    Raises:
        FailureError: it does not exist, or may not be entered; or this is root, and another user leads it elsewhere.
    """
    try:
        return path_walk.open_folder(path.parent)
    except (OSError, ValueError) as error:
        raise _cannot_create(path, error) from error


def create_private(path: Path, *, folder: int) -> int:
    """Create a file that only its owner can read, and open it for writing.

    Args:
        path: only its name is used; messages show all of it.
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
    return FailureError(f"{path!s:.200} cannot be created: {reason}.", hint="check the folder and its permissions")


def give_name(temporary: Path, path: Path, *, folder: int) -> None:
    """Give a temporary file the name `path`, atomically and without replacing another file.

    Args:
        temporary: only its name is used, as that of `path`.
        folder: the folder of both, from `open_folder`.

    Raises:
        FailureError: the name exists.
        OSError: the file cannot be renamed or synced.
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
    sync_folder(folder)


def sync_folder(folder: int) -> None:
    """Make the names in a folder durable, if it may be read: a drop folder may not."""
    try:
        readable = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    except PermissionError:
        return
    try:
        os.fsync(readable)
    finally:
        os.close(readable)


def is_taken(path: Path, *, folder: int) -> bool:
    """Whether the name exists in a folder, even as a broken link.

    Raises:
        FailureError: no file can have that name.
    """
    try:
        os.stat(path.name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        raise _cannot_create(path, error) from error
    return True


def exists_already(path: Path) -> FailureError:
    """Return the error for a file that exists already."""
    return FailureError(f"{path} exists already and was not changed.", hint="give another name, or move that file away")


def write_all(descriptor: int, content: bytes) -> None:
    """Write everything and sync it to disk."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a pipe or a terminal cannot be synced
            raise


def is_private(found: os.stat_result) -> bool:
    """Whether only its owner (and root) may access a file."""
    return not stat.S_IMODE(found.st_mode) & 0o077
