"""The doctor's look at files: secrets and settings, the store, and what `herod login` saved.

Reads what it must to judge it, and shows none of it. The settings are those that `herod serve` would find in this
shell.
"""

import os
import stat
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Final

from herod.settings import SECRETS, Settings, load_settings
from herod_cli.doctor.findings import Finding, fail, ok, warn
from herod_cli.exit_codes import FailureError
from herod_cli.shared.saved_tokens import SavedTokens, credentials_path
from herod_cli.shared.secret_files import is_private
from herod_client.connection_diagnosis import owner
from herod_client.core.errors import SettingsError

__all__ = ["check_files"]

# Long enough to pass: lets the other settings be read where the daemon's secret is not in this shell.
_STAND_IN: Final = "0" * 64


def check_files() -> Iterator[Finding]:
    """Secrets and settings, the store, saved sign-ins."""
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
            yield fail("secret-file", f"{secret.file_variable}: {path}: {error.strerror}.", "name a file you may read")
            continue
        if is_private(found) or not stat.S_ISREG(found.st_mode):
            yield ok("secret-file", f"{path} is {owner(found)}.")
        else:
            yield fail(
                "secret-file",
                f"{path} is {owner(found)}: others can read the secret.",
                f"chmod 600 {path}; if others could log in here, make a new secret",
            )


def _check_settings(environ: Mapping[str, str]) -> Generator[Finding, None, Settings | None]:
    """The settings, as `herod serve` would find them in this shell; None where they cannot be read."""
    hero = SECRETS[0]
    names = (hero.variable, hero.file_variable, "CREDENTIALS_DIRECTORY")
    is_known = any(environ.get(name) for name in names)
    try:
        settings = load_settings({}, environ if is_known else {**environ, hero.variable: _STAND_IN}, uid=os.geteuid())
    except SettingsError as error:
        if is_known:
            yield fail("settings", str(error), "mend it before `herod serve` is started from here")
        else:
            yield warn("settings", str(error))
        return None
    if not is_known:
        yield ok("secret", "HERO_SECRET is not set in this shell, so it was not looked at.")
    else:
        yield ok("secret", "The secret in this shell is long enough and no placeholder.")
        if settings.store_secret is None:
            yield ok(
                "store-secret",
                "HERO_SECRET also opens the store: where other services hold it, set HEROD_STORE_SECRET as well.",
            )
    for warning in settings.warnings:
        yield warn("settings", warning)
    return settings


def _check_store(path: Path) -> Iterator[Finding]:
    try:
        folder = path.parent.stat()
    except FileNotFoundError:
        yield ok("store", f"{path.parent} is not there yet: `herod serve` makes it.")
        return
    except OSError as error:
        yield ok("store", f"{path.parent} was not looked at: {error.strerror}.")
        return
    if folder.st_mode & 0o077:
        yield fail("store", f"{path.parent} is {owner(folder)}: others can look in.", f"chmod 700 {path.parent}")
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
        addresses = SavedTokens(path).addresses
    except FailureError as error:
        yield fail("credentials", error.message, error.hint)
        return
    if addresses:
        yield ok("credentials", f"{path} is yours alone; signed in to {', '.join(addresses)}.")
    else:
        yield ok("credentials", "`herod login` has saved nothing.")
