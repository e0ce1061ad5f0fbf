"""Loads the secrets that the daemon starts with, checks their strength and collects warnings.

No message quotes a secret, and no secret is read from anywhere but where the operator put it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from herod.input_text import MARK, parse_secret
from herod.settings.setting_kinds import FoundSetting
from herod.settings.setting_sources import SettingSources, TextFile, is_there, load_text
from herod.settings.settings_table import SECRETS, SecretOption
from herod_client.core.errors import MissingSecret, SettingsError

__all__ = ["MIN_SECRET", "LoadedSecret", "load_legacy_secrets", "load_new_secret", "load_old_secret", "load_secrets"]

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


# A secret that opens a store cannot just be corrected.
REPLACE: Final = (
    "make another with `herod secret generate`, and if a store was made with this one, change it with "
    "`herod secret rotate`."
)


@dataclass(frozen=True, slots=True)
class LoadedSecret:
    """A secret, and what herod 0.1 took its source for, if that differs.

    It counted a byte order mark, all line ends but one, and those of variables, as parts of the secret.
    """

    value: str = field(repr=False)
    former: str | None = field(default=None, repr=False)


def load_secrets(
    sources: SettingSources, warnings: list[str], *, is_replaced: bool
) -> tuple[LoadedSecret, LoadedSecret | None]:
    """HERO_SECRET, and HEROD_STORE_SECRET if it is set.

    Args:
        sources: of all settings.
        warnings: receives what is allowed but unwise.
        is_replaced: they may contain what only secrets of herod 0.1 do, because they are about to be changed.

    Raises:
        SettingsError: there is no HERO_SECRET, or one of them is unreadable, a placeholder or weak.
    """
    hero, store = SECRETS
    hero_secret = _load_secret(hero, sources.environ, warnings, is_replaced=is_replaced)
    if hero_secret is None:
        raise MissingSecret(
            "No HERO_SECRET is set: make one with `herod secret generate --output-file FILE` "
            "and start with HERO_SECRET_FILE=FILE."
        )
    is_weak_allowed = bool(sources.find("allow_weak_secret").value)
    _check_strength(hero, hero_secret.value, warnings, is_weak_allowed=is_weak_allowed)
    store_secret = _load_secret(store, sources.environ, warnings, is_replaced=is_replaced)
    if store_secret is not None:
        _check_strength(store, store_secret.value, warnings, is_weak_allowed=is_weak_allowed)
        if store_secret.value == hero_secret.value:
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
        return parse_secret(item, found.where)
    return _read_secret(found.base / item[1:], found.where, warnings)


def _load_secret(
    secret: SecretOption, environ: Mapping[str, str], warnings: list[str], *, is_replaced: bool
) -> LoadedSecret | None:
    """A secret from its sources, or None.

    Raises:
        SettingsError: a file cannot be read, a source has no secret of one line, or two sources differ.
    """
    found: list[tuple[str, LoadedSecret]] = []
    if value := environ.get(secret.variable, ""):
        found.append((secret.variable, _parse(value, secret.variable, former=value, is_replaced=is_replaced)))
    if path := environ.get(secret.file_variable, ""):
        where = secret.file_variable
        found.append((where, _load_file(Path(path), where, warnings, is_replaced=is_replaced)))
    if folder := environ.get("CREDENTIALS_DIRECTORY", ""):
        credential = Path(folder) / secret.credential
        if is_there(credential):
            where = f"systemd credential {secret.credential}"
            found.append((where, _load_file(credential, where, warnings, is_replaced=is_replaced)))
    if not found:
        return None
    (where, loaded), *others = found
    for other, also in others:
        if also.value != loaded.value:
            raise SettingsError(f"{where} and {other} have different secrets: keep one of them.")
    if loaded.value != loaded.value.strip():
        warnings.append(f"{where} begins or ends with white space, which counts as part of the secret.")
    elif not loaded.value.isprintable():
        warnings.append(f"{where} contains invisible characters, which count as part of the secret.")
    return loaded


def _load_file(path: Path, where: str, warnings: list[str], *, is_replaced: bool) -> LoadedSecret:
    file = _read_file(path, where, warnings)
    whole = MARK * file.marks + file.text
    former = whole[:-2] if whole.endswith("\r\n") else whole.removesuffix("\n")
    return _parse(file.text, f"{where}: {path}", former=former, is_replaced=is_replaced)


def _parse(text: str, name: str, *, former: str, is_replaced: bool) -> LoadedSecret:
    try:
        value = parse_secret(text, name, otherwise=REPLACE)
    except SettingsError:
        if not (is_replaced and former.strip() and _is_utf8(former)):
            raise
        value = former
    return LoadedSecret(value, None if former == value else former)


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _read_secret(path: Path, where: str, warnings: list[str]) -> str:
    return parse_secret(_read_file(path, where, warnings).text, f"{where}: {path}")


def _read_file(path: Path, where: str, warnings: list[str]) -> TextFile:
    file = load_text(path, where=where)
    if file.is_exposed:
        warnings.append(f"{where}: every user of this machine can read {path}: chmod 600 it.")
    return file
