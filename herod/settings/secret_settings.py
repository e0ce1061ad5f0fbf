"""Loads the secrets that the daemon starts with, checks their strength and collects warnings.

No message quotes a secret, and no secret is read from anywhere but where the operator put it.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from herod.settings.setting_kinds import FoundSetting
from herod.settings.setting_sources import SettingSources, is_there, load_text
from herod.settings.settings_table import SECRETS, SecretOption
from herod_client.core.errors import MissingSecret, SettingsError

__all__ = ["MIN_SECRET", "load_legacy_secrets", "load_new_secret", "load_old_secret", "load_secrets"]

MIN_SECRET: Final = 32  # bytes: the minimum for HS256 (RFC 7518, section 3.2)
MIN_LEGACY: Final = 16  # bytes; a hundred thousand guesses a second would find a much shorter one
# Values from examples and templates, compared without case and punctuation.
PLACEHOLDERS: Final = frozenset({
    "admin", "default", "example", "hero_secret", "my_secret", "mysecret", "password", "secret",
    "super_secret", "supersecret", "test", "todo", "xxx",
})  # fmt: skip
PLACEHOLDER_PARTS: Final = (
    "change_me", "change_this", "changeit", "changeme", "example_secret", "insert_secret", "placeholder",
    "replace_me", "replace_this", "replaceme", "your_256_bit_secret", "your_hero_secret", "your_secret",
    "your_super_secret", "yoursecret",
)  # fmt: skip


def load_secrets(sources: SettingSources, warnings: list[str]) -> tuple[str, str | None]:
    """HERO_SECRET, and HEROD_STORE_SECRET if it is set.

    Raises:
        SettingsError: there is no HERO_SECRET, or one of them is unreadable, a placeholder or weak.
    """
    hero, store = SECRETS
    hero_secret = _load_secret(hero, sources.environ, warnings)
    if hero_secret is None:
        raise MissingSecret(
            "No HERO_SECRET is set: make one with `herod secret generate --output-file FILE` "
            "and start with HERO_SECRET_FILE=FILE."
        )
    is_weak_allowed = bool(sources.find("allow_weak_secret").value)
    _check_strength(hero, hero_secret, warnings, is_weak_allowed=is_weak_allowed)
    store_secret = _load_secret(store, sources.environ, warnings)
    if store_secret is not None:
        _check_strength(store, store_secret, warnings, is_weak_allowed=is_weak_allowed)
        if store_secret == hero_secret:
            warnings.append("HEROD_STORE_SECRET equals HERO_SECRET, so it protects nothing: make another.")
    return hero_secret, store_secret


def load_new_secret(path: Path, warnings: list[str], *, is_weak_allowed: bool, where: str = "--new-secret-file") -> str:
    """The new value of HERO_SECRET or HEROD_STORE_SECRET, or a new secret for a file.

    Raises:
        SettingsError: it is unreadable, a placeholder or weak.
    """
    value = _read_secret(path, where, warnings)
    _check_strength(SecretOption(where, ""), value, warnings, is_weak_allowed=is_weak_allowed)
    return value


def load_old_secret(path: Path, *, where: str) -> str:
    """A secret used before, without a check of its strength.

    Raises:
        SettingsError: it is unreadable.
    """
    return _read_secret(path, where, [])


def _check_strength(secret: SecretOption, value: str, warnings: list[str], *, is_weak_allowed: bool) -> None:
    plain = re.sub(r"[^a-z0-9]+", "_", value.lower()).strip("_")
    if plain in PLACEHOLDERS or any(part in plain for part in PLACEHOLDER_PARTS):
        raise SettingsError(
            f"{secret.variable} is a placeholder from an example: make one with `herod secret generate`."
        )
    if (length := len(value.encode())) < MIN_SECRET:
        if not is_weak_allowed:
            raise SettingsError(
                f"{secret.variable} has {length} bytes and needs {MIN_SECRET}: make one with "
                "`herod secret generate`, or set --allow-weak-secret."
            )
        warnings.append(f"{secret.variable} has {length} bytes: anyone who sees one token can guess it.")


def load_legacy_secrets(sources: SettingSources, warnings: list[str]) -> dict[str, tuple[str, ...]]:
    """Option name → its legacy secrets.

    Raises:
        SettingsError: a file cannot be read or does not hold exactly one secret, or a secret is given for two scopes.
    """
    loaded: dict[str, tuple[str, ...]] = {}
    owners: dict[str, str] = {}
    for name in ("admin_secret", "user_secret", "register_secret"):
        found = sources.find(name)
        values = []
        for item in found.value:
            value = _load_legacy_secret(item, found, warnings, is_exposed=sources.is_exposed)
            if owners.setdefault(value, name) != name:
                raise SettingsError(f"The same secret is given as {owners[value]} and {name}: keep one of them.")
            if len(value.encode()) < MIN_LEGACY:
                warnings.append(
                    f"{found.where}: a legacy secret under {MIN_LEGACY} bytes can be guessed: guesses at /validate and "
                    "auth.verify are not limited."
                )
            values.append(value)
        loaded[name] = tuple(dict.fromkeys(values))
    return loaded


def _load_legacy_secret(item: str, found: FoundSetting, warnings: list[str], *, is_exposed: bool) -> str:
    if not item.startswith("@"):
        if found.origin == "command line":
            warnings.append(f"{found.where}: every user of this machine can read a command line: use @FILE.")
        if found.origin == "file" and is_exposed:
            warnings.append(
                f"{found.where}: every user of this machine can read this file: chmod 600 it, or use @FILE."
            )
        return item
    path = found.base / item[1:]
    value = _read_secret(path, found.where, warnings)
    if "\n" in value:
        raise SettingsError(f"{found.where}: {path} has more than one line: give each secret its own file.")
    return value


def _load_secret(secret: SecretOption, environ: Mapping[str, str], warnings: list[str]) -> str | None:
    """The value of a secret from its sources, or None.

    Raises:
        SettingsError: a file cannot be read, a source is empty or not UTF-8, or two sources differ.
    """
    found: list[tuple[str, str]] = []
    if value := environ.get(secret.variable, ""):
        found.append((secret.variable, value))
    if path := environ.get(secret.file_variable, ""):
        found.append((secret.file_variable, _read_secret(Path(path), secret.file_variable, warnings)))
    if folder := environ.get("CREDENTIALS_DIRECTORY", ""):
        credential = Path(folder) / secret.credential
        if is_there(credential):
            where = f"systemd credential {secret.credential}"
            found.append((where, _read_secret(credential, where, warnings)))
    if not found:
        return None
    (where, value), *others = found
    for other, also in others:
        if also != value:
            raise SettingsError(f"{where} and {other} have different secrets: keep one of them.")
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise SettingsError(f"{where} is not text (UTF-8): make one with `herod secret generate`.")
    if value != value.strip():
        warnings.append(f"{where} begins or ends with white space, which counts as part of the secret.")
    return value


def _read_secret(path: Path, where: str, warnings: list[str]) -> str:
    file = load_text(path, where=where)
    value = file.text[:-2] if file.text.endswith("\r\n") else file.text.removesuffix("\n")
    if not value:
        raise SettingsError(f"{where}: {path} is empty: put the secret in it.")
    if file.is_exposed:
        warnings.append(f"{where}: every user of this machine can read {path}: chmod 600 it.")
    return value
