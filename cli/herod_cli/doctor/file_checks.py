"""Doctor checks of files: secrets and settings, the store, and the tokens that `herod login` saved.

Never shows what it reads. The settings are those that `herod serve` would find in this shell.
"""

import os
import stat
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Final

from herod.settings import SECRETS, Settings, load_settings
from herod_cli.doctor.findings import Finding, fail, ok, warn
from herod_cli.exit_codes import FailureError
from herod_cli.shared.secret_files import is_private
from herod_cli.sign_in.saved_sign_ins import SavedSignIns, credentials_path
from herod_client.connection_diagnosis import owner
from herod_client.core.errors import SettingsError

__all__ = ["check_files"]

# Long enough to be accepted: lets the other settings load if this shell has no secret.
_STAND_IN: Final = "0" * 64


def check_files() -> Iterator[Finding]:
    """Check secrets and settings, the store, and saved tokens."""
    yield from _check_secret_files(os.environ)
    settings = yield from _check_settings(os.environ)
    if settings is not None and settings.store is not None:
        yield from _check_store(settings.store)
    yield from _check_credentials(os.environ)


def _check_secret_files(environ: Mapping[str, str]) -> Iterator[Finding]:
    for secret in SECRETS:
        path = environ.get(secret.file_variable)
        if not path:
            continue
        try:
            found = Path(path).stat()
        except OSError as error:
            yield fail(
                "secret-file", f"{secret.file_variable}: {path}: {error.strerror}.", "give a file that you can read"
            )
            continue
        if is_private(found) or not stat.S_ISREG(found.st_mode):
            yield ok("secret-file", f"{path} is {owner(found)}.")
        else:
            yield fail(
                "secret-file",
                f"{path} is {owner(found)}: others can read the secret.",
                f"chmod 600 {path}; if others could log in here, create a new secret",
            )


def _check_settings(environ: Mapping[str, str]) -> Generator[Finding, None, Settings | None]:
    """Load the settings as `herod serve` would in this shell; None if they cannot be loaded."""
    hero = SECRETS[0]
    names = (hero.variable, hero.file_variable, "CREDENTIALS_DIRECTORY")
    is_known = any(environ.get(name) for name in names)
    try:
        settings = load_settings({}, environ if is_known else {**environ, hero.variable: _STAND_IN}, uid=os.geteuid())
    except SettingsError as error:
        if is_known:
            yield fail("settings", str(error), "fix it before you start `herod serve` from here")
        else:
            yield warn("settings", str(error))
        return None
    if not is_known:
        yield ok("secret", "HERO_SECRET is not set in this shell, so it was not checked.")
    else:
        yield ok("secret", "The secret in this shell is long enough and not a placeholder.")
        if settings.store_secret is None:
            yield ok(
                "store-secret",
                "HERO_SECRET also opens the store: if other services have it, set HEROD_STORE_SECRET as well.",
            )
    for warning in settings.warnings:
        yield warn("settings", warning)
    return settings


def _check_store(path: Path) -> Iterator[Finding]:
    try:
        folder = path.parent.stat()
    except FileNotFoundError:
        yield ok("store", f"{path.parent} does not exist yet: `herod serve` creates it.")
        return
    except OSError as error:
        yield ok("store", f"{path.parent} was not checked: {error.strerror}.")
        return
    if folder.st_mode & 0o077:
        yield fail("store", f"{path.parent} is {owner(folder)}: others can enter it.", f"chmod 700 {path.parent}")
    else:
        yield ok("store", f"{path.parent} is {owner(folder)}.")
    for file in (path, *(path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))):
        try:
            found = file.stat()
        except OSError:
            continue
        if is_private(found):
            yield ok("store", f"{file} is {owner(found)}.")
        else:
            yield fail("store", f"{file} is {owner(found)}: others can read it.", f"chmod 600 {file}")


def _check_credentials(environ: Mapping[str, str]) -> Iterator[Finding]:
    try:
        path = credentials_path(environ)
        addresses = SavedSignIns(path).addresses
    except FailureError as error:
        yield fail("credentials", error.message, error.hint)
        return
    if addresses:
        yield ok("credentials", f"Only you can read {path}; signed in to {', '.join(addresses)}.")
    else:
        yield ok("credentials", "`herod login` has saved no sign-in.")
