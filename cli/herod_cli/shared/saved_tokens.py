"""Tokens saved by `herod login`: one access token per daemon address, in a file that only its owner can read.

A token is presented only to the address that it was saved for.
"""

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from herod.file_ownership import require_own_path
from herod.input_files import open_regular
from herod.input_text import decode_text, parse_json
from herod_cli.exit_codes import FailureError
from herod_cli.shared.secret_files import is_private, replace_private
from herod_client.core.errors import SettingsError

__all__ = ["SavedTokens", "credentials_path"]

VERSION: Final = 1
MAX_BYTES: Final = 64 * 1024


def credentials_path(environ: Mapping[str, str]) -> Path:
    """Return `$XDG_CONFIG_HOME/herod/credentials.json`, by default below `~/.config`.

    Raises:
        FailureError: neither that variable nor HOME is an absolute path.
    """
    folder = environ.get("XDG_CONFIG_HOME", "")
    if folder.startswith("/"):  # the XDG base directory specification says to ignore relative ones
        return Path(folder) / "herod" / "credentials.json"
    if environ.get("HOME", "").startswith("/"):
        return Path(environ["HOME"]) / ".config" / "herod" / "credentials.json"
    raise FailureError("There is no folder for saved tokens.", hint="set HOME or XDG_CONFIG_HOME")


class SavedTokens:
    """The file's content: address → `{"access_token", "client_id", "email", "scope"}`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._sign_ins = _load(path)

    @property
    def addresses(self) -> list[str]:
        """The addresses that have a saved token."""
        return sorted(self._sign_ins)

    def token(self, address: str) -> str | None:
        """Return the token saved for `address`, or None."""
        match self._sign_ins.get(address):
            case {"access_token": str(token)}:
                return token
            case _:
                return None

    def keep(self, address: str, sign_in: Mapping[str, Any]) -> None:
        """Save a sign-in, replacing an earlier one."""
        self._sign_ins[address] = dict(sign_in)
        self._save()

    def forget(self, address: str) -> None:
        """Remove a sign-in, and with the last one the file."""
        self._sign_ins.pop(address, None)
        if self._sign_ins:
            self._save()
        else:
            self.check_path()
            self.path.unlink(missing_ok=True)

    def check_path(self) -> None:
        """Check that changing the file is safe.

        Raises:
            RuntimeFailure: this is root, and another user can redirect the path, as with that user's HOME.
        """
        require_own_path(self.path, "the file of saved sign-ins")

    def _save(self) -> None:
        self.check_path()
        import msgspec  # needed only to save a sign-in

        content = msgspec.json.encode({"version": VERSION, "sign_ins": self._sign_ins})
        replace_private(self.path, msgspec.json.format(content, indent=2) + b"\n")


def _load(path: Path) -> dict[str, dict[str, Any]]:
    try:
        descriptor = open_regular(path)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.EACCES}:
            return {}
        raise FailureError(f"{path} cannot be read: {error.strerror}.", hint="move it away") from error
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        content = file.read(MAX_BYTES)
    if not is_private(found) or found.st_uid not in {os.geteuid(), 0}:
        raise FailureError(
            f"{path} can be read or written by others, so it is not used.",
            hint=f"chmod 600 {path}, or delete it and run `herod login` again",
        )
    hint = "delete it and run `herod login` again"
    try:
        match parse_json(decode_text(content, str(path)), str(path)):
            case {"version": 1, "sign_ins": dict(sign_ins)} if all(
                isinstance(sign_in, dict) for sign_in in sign_ins.values()
            ):
                return sign_ins
    except SettingsError as error:
        raise FailureError(str(error), hint=hint) from None
    raise FailureError(f"{path} is damaged or of a newer version.", hint=hint)
