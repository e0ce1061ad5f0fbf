"""What `herod login` keeps: one access token for each daemon's address, in a file for its owner's eyes alone.

A token is presented to the address it was saved for and to no other.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from herod.file_ownership import require_own_path
from herod_cli.exit_codes import FailureError
from herod_cli.shared.secret_files import is_private, read_bounded, replace_private

__all__ = ["SavedTokens", "credentials_path"]

VERSION: Final = 1


def credentials_path(environ: Mapping[str, str]) -> Path:
    """`$XDG_CONFIG_HOME/herod/credentials.json`.

    Raises:
        FailureError: neither that variable nor HOME says where it would be.
    """
    folder = environ.get("XDG_CONFIG_HOME", "")
    if folder.startswith("/"):  # the XDG base directory specification says to ignore relative ones
        return Path(folder) / "herod" / "credentials.json"
    if environ.get("HOME", "").startswith("/"):
        return Path(environ["HOME"]) / ".config" / "herod" / "credentials.json"
    raise FailureError("There is no place for credentials.", hint="set HOME or XDG_CONFIG_HOME")


class SavedTokens:
    """The file's content: address → `{"access_token", "client_id", "email", "scope"}`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._sign_ins = _load(path)

    @property
    def addresses(self) -> list[str]:
        """Where one is signed in."""
        return sorted(self._sign_ins)

    def token(self, address: str) -> str | None:
        """The token for `address`."""
        match self._sign_ins.get(address):
            case {"access_token": str(token)}:
                return token
            case _:
                return None

    def keep(self, address: str, sign_in: Mapping[str, Any]) -> None:
        """Save a sign-in in the place of an earlier one."""
        self._sign_ins[address] = dict(sign_in)
        self._save()

    def forget(self, address: str) -> None:
        """Drop a sign-in; without any left the file goes too."""
        self._sign_ins.pop(address, None)
        if self._sign_ins:
            self._save()
        else:
            self.check_path()
            self.path.unlink(missing_ok=True)

    def check_path(self) -> None:
        """See that the file may be changed.

        Raises:
            RuntimeFailure: this is root, and another user can change where its path leads, as with that user's HOME.
        """
        require_own_path(self.path, "the file of saved sign-ins")

    def _save(self) -> None:
        self.check_path()
        import msgspec  # only a sign-in pays for it

        content = msgspec.json.encode({"version": VERSION, "sign_ins": self._sign_ins})
        replace_private(self.path, msgspec.json.format(content, indent=2) + b"\n")


def _load(path: Path) -> dict[str, dict[str, Any]]:
    try:
        found = path.stat()
    except OSError:
        return {}
    if not is_private(found) or found.st_uid not in {os.geteuid(), 0}:
        raise FailureError(
            f"{path} can be read or written by others, so what it holds is not used.",
            hint=f"chmod 600 {path}, or delete it and run `herod login` again",
        )
    import msgspec  # only a saved sign-in pays for it

    try:
        match msgspec.json.decode(read_bounded(str(path))):
            case {"version": 1, "sign_ins": dict(sign_ins)} if all(
                isinstance(sign_in, dict) for sign_in in sign_ins.values()
            ):
                return sign_ins
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    raise FailureError(f"{path} is damaged or of a newer version.", hint="delete it and run `herod login` again")
