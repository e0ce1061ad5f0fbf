"""What `herod login` saved, in a file that only its owner can read: for each daemon's address, who signed in and how.

A sign-in by browser or device code **lasts**: it has a refresh token. One by password is an access token that ends
within the hour; until then it comes before the lasting one of the same address.

A credential is presented only to the address that it was saved for. All changes are made under a lock: commands run in
parallel, and each refresh token may be used once.
"""

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, get_args

from herod.file_ownership import require_own_path
from herod.input_files import open_regular
from herod.input_text import decode_text, parse_json
from herod_cli.exit_codes import FailureError
from herod_cli.shared.replaced_file import Replacement
from herod_cli.shared.secret_files import is_private
from herod_client.core.errors import SettingsError

__all__ = ["SavedSignIns", "SignIn", "changing", "credentials_path"]

VERSION: Final = 1
MAX_BYTES: Final = 64 * 1024
# An access token counts as ended so many seconds before its end: a command takes a while.
MARGIN_SECONDS: Final = 30
# How long a command waits while another one renews the sign-in.
LOCK_SECONDS: Final = 45.0
POLL_SECONDS: Final = 0.05
# More than a sign-in takes.
ROOM: Final = 16 * 1024
# Errors of file systems without locks: then nothing but herod's minute of grace helps parallel commands.
NO_LOCKS: Final = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})

Method = Literal["password", "browser", "device"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """One sign-in of a person.

    Attributes:
        expires_at: when the access token ends, in Unix seconds; None: not known.
        client_id: the account's.
        name: its email or name, for messages.
        signed_in_at: Unix seconds; None: not known.
        refresh_token: of one that lasts.
        issuer: the daemon's, for one that lasts: it is renewed there alone.
    """

    access_token: str = field(repr=False)
    expires_at: int | None = None
    client_id: str = ""
    name: str = ""
    scope: str = ""
    method: Method = "password"
    signed_in_at: int | None = None
    refresh_token: str | None = field(default=None, repr=False)
    issuer: str | None = None

    def is_live(self, now: float) -> bool:
        """Whether its access token can still be presented."""
        return self.expires_at is None or now < self.expires_at - MARGIN_SECONDS


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
    raise FailureError("There is no folder for saved sign-ins.", hint="set HOME or XDG_CONFIG_HOME")


class SavedSignIns:
    """The file's content: address → the last sign-in by password, and below `lasting` that by browser or device."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._found = _load(path)

    @property
    def addresses(self) -> list[str]:
        """The addresses at which somebody is signed in."""
        return sorted(self._found)

    def current(self, address: str, now: float) -> SignIn | None:
        """The sign-in that counts at an address; None without one.

        That by password comes first while its token lives, then the lasting one, whose token may have to be renewed.
        """
        by_password, lasting = self.by_password(address), self.lasting(address)
        return by_password if by_password and (by_password.is_live(now) or lasting is None) else lasting

    def by_password(self, address: str) -> SignIn | None:
        """The last sign-in by password at an address."""
        return _parse(self._found.get(address, {}))

    def lasting(self, address: str) -> SignIn | None:
        """The sign-in at an address that lasts."""
        found = _parse(self._found.get(address, {}).get("lasting"))
        return found if found is not None and found.refresh_token is not None else None


class Change(SavedSignIns):
    """The file while it is locked and has a `Replacement`: each change is written once."""

    def __init__(self, path: Path, replacement: Replacement) -> None:
        super().__init__(path)
        self._replacement = replacement

    def keep(self, address: str, sign_in: SignIn) -> None:
        """Save a sign-in in place of the former of its kind.

        A sign-in by password of another account ends the lasting one too: whoever signs in is meant from then on.
        """
        made = {name: value for name, value in asdict(sign_in).items() if value is not None}
        former = self._found.get(address, {})
        lasting, current = former.get("lasting"), self.lasting(address)
        if sign_in.refresh_token is not None:
            self._found[address] = {"lasting": made}
        elif current is not None and current.client_id == sign_in.client_id:
            self._found[address] = {**made, "lasting": lasting}
        else:
            self._found[address] = made
        self._save()

    def forget(self, address: str) -> None:
        """Remove all sign-ins at an address, and with the last one the file."""
        self._found.pop(address, None)
        self._save()

    def forget_lasting(self, address: str) -> None:
        """Remove the sign-in at an address that lasts."""
        former = self._found.pop(address, {})
        left = {name: value for name, value in former.items() if name != "lasting"}
        if left:
            self._found[address] = left
        self._save()

    def _save(self) -> None:
        if not self._found:
            self.path.unlink(missing_ok=True)
            return
        import msgspec  # needed only to save a sign-in

        content = msgspec.json.encode({"version": VERSION, "sign_ins": self._found})
        self._replacement.write(msgspec.json.format(content, indent=2) + b"\n")


@contextmanager
def changing(path: Path, room: int = ROOM) -> Iterator[Change]:
    """Lock the file for a change, with room for it on the disk; the block makes at most one.

    Args:
        path: from `credentials_path`.
        room: the bytes by which it may grow; 0 to remove something.

    Raises:
        RuntimeFailure: this is root, and another user can redirect the path, as with that user's HOME.
        FailureError: the file cannot be written or read, or another command holds the lock.
    """
    require_own_path(path, "the file of saved sign-ins")
    with Replacement(path, room and room + _size(path)) as replacement, _locked(path.with_suffix(".lock")):
        yield Change(path, replacement)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock of which only commands of this user know; its file stays, since others may wait on it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise FailureError(
            f"{path} cannot be opened: {error.strerror}.", hint="check the folder and its permissions"
        ) from error
    try:
        _lock(descriptor)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    end = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise FailureError(
                    "Another herod command is renewing the sign-in and does not finish.",
                    hint="end it, or try again later",
                ) from None
            time.sleep(POLL_SECONDS)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            return
        else:
            return


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return min(path.stat().st_size, MAX_BYTES)
    return 0


def _parse(found: object) -> SignIn | None:
    """A sign-in as it was saved, by this version or an older one; None if there is none."""
    if not isinstance(found, dict) or not isinstance(found.get("access_token"), str):
        return None

    def text(name: str) -> str:
        value = found.get(name)
        return value if isinstance(value, str) else ""

    def number(name: str) -> int | None:
        value = found.get(name)
        return value if isinstance(value, int) else None

    method: Method = "password"
    for known in get_args(Method):
        method = known if found.get("method") == known else method
    return SignIn(
        access_token=found["access_token"],
        expires_at=number("expires_at"),
        client_id=text("client_id"),
        name=text("name") or text("email"),
        scope=text("scope"),
        method=method,
        signed_in_at=number("signed_in_at"),
        refresh_token=text("refresh_token") or None,
        issuer=text("issuer") or None,
    )


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
    if found.st_uid not in {os.geteuid(), 0}:
        raise FailureError(
            f"{path} belongs to another user (uid {found.st_uid}), so it is not used.",
            hint="run this as that user, or set HOME or XDG_CONFIG_HOME to your own",
        )
    if not is_private(found):
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
