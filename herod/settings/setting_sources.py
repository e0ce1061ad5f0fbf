"""The sources of settings: the command line before the environment before the file, each value with its source.

It reads the settings file and checks its form only: `settings_loader.py` checks whether values are consistent. Messages
never quote a secret.
"""

import difflib
import re
import stat
import tomllib
from codecs import BOM_UTF8
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from herod.input_files import read_input
from herod.input_text import decode_text
from herod.settings.bind_addresses import xdg_folder
from herod.settings.setting_kinds import FoundSetting, Option
from herod.settings.settings_table import LIMITS, OPTIONS, QUOTAS, SECRETS, LimitSettings, QuotaSettings
from herod_client.core.errors import SettingsError
from herod_client.core.scope_graph import RESERVED

__all__ = ["SettingSources", "TextFile", "is_there", "load_text"]

MAX_FILE: Final = 1_048_576  # settings, certificates and secrets are far smaller; /dev/zero is not
SYSTEM_CONFIG: Final = Path("/etc/herod/herod.toml")
# Read by the CLI and the test suite, not by the daemon.
OTHER_VARIABLES: Final = frozenset({"HEROD_URL", "HEROD_KEY", "HEROD_TOKEN", "HEROD_SERVER_UID", "HEROD_INSECURE_HTTP"})
SERVICE_VARIABLE: Final = re.compile(
    r"HEROD_(SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)|PORT_[0-9]+_(TCP|UDP|SCTP)(_[A-Z]+)?)\Z"
)
HERO_AUTH_TABLES: Final = ("users", "user", "accounts", "clients")
HERO_AUTH_FIELDS: Final = frozenset({"client_id", "client_secret", "client_secret_hash", "password_hash"})


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file's text.

    Attributes:
        is_exposed: whether every user of the machine may read or change it.
        marks: how many byte order marks were before the text.
    """

    text: str = field(repr=False)
    is_exposed: bool
    marks: int


@dataclass(frozen=True, slots=True)
class SettingSources:
    """The three sources, read and checked for unknown names.

    Attributes:
        given: the options of the command line.
        path: the settings file, if there is one.
        table: its options.
        scopes: its `[scopes]`.
        is_exposed: whether every user of the machine may read or change it.
    """

    given: Mapping[str, object]
    environ: Mapping[str, str]
    path: Path | None = None
    table: Mapping[str, object] = field(default_factory=dict)
    scopes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    limits: LimitSettings = field(default_factory=LimitSettings)
    quotas: QuotaSettings = field(default_factory=QuotaSettings)
    is_exposed: bool = False

    @classmethod
    def load(cls, options: Mapping[str, object], environ: Mapping[str, str]) -> "SettingSources":
        """Read all sources.

        Args:
            options: option → value; None, False and empty mean that the command line did not set it.
            environ: an empty variable counts as not set.

        Raises:
            SettingsError: the file cannot be read, is not TOML, or sets something that does not exist.
        """
        if unknown := options.keys() - OPTIONS.keys():
            raise TypeError(f"no such options: {', '.join(sorted(unknown))}")
        given = {name: value for name, value in options.items() if not (value is None or value is False or value == ())}
        without_file = cls(given=given, environ=environ)
        loaded = _load_config(without_file.find("config"), environ)
        if loaded is None:
            return without_file
        path, file = loaded
        table = _parse_toml(path, file.text)
        return cls(
            given=given,
            environ=environ,
            path=path,
            scopes=_read_scopes(path, table.pop("scopes", {})),
            limits=LimitSettings(**_read_numbers(path, "limits", table, LIMITS)),
            quotas=QuotaSettings(**_read_numbers(path, "quotas", table, QUOTAS)),
            table=table,
            is_exposed=file.is_exposed,
        )

    def find(self, name: str) -> FoundSetting:
        """An option's value from the first source that sets it, or its default.

        Raises:
            SettingsError: the value is not of the option's kind.
        """
        option = OPTIONS[name]
        if name in self.given:
            return FoundSetting(option.check(self.given[name], where=option.flag), option.flag, "command line")
        text = self.environ.get(option.variable, "").strip()
        if text and not (option.foreign and option.foreign.match(text)):
            value = option.check(option.kind.from_text(text), where=option.variable)
            return FoundSetting(value, option.variable, "environment")
        if self.path is not None and name in self.table:
            where = f"{self.path}: {name}"
            return FoundSetting(option.check(self.table[name], where=where), where, "file", self.path.parent)
        return FoundSetting(option.default, "default", "default")

    def suspect_variables(self) -> Iterable[str]:
        """A warning for every variable that is empty or looks misspelt, and one for those of a service's name."""
        settings = {option.variable for option in OPTIONS.values()}
        settings.update(name for secret in SECRETS for name in (secret.variable, secret.file_variable))
        for name in sorted(settings & self.environ.keys()):
            if not self.environ[name].strip():
                yield f"{name} is empty, which counts as not set: give it a value, or unset it."
        known = settings | OTHER_VARIABLES
        if links := [name for name in sorted(self.environ) if self._is_service_link(name)]:
            yield (
                f"{', '.join(links)}: set by Kubernetes or Docker for a service named herod, and ignored: "
                "set enableServiceLinks: false, or name the service differently."
            )
        for name in sorted(self.environ):
            if not name.startswith(("HEROD_", "HERO_")) or name in known or name in links:
                continue
            if close := _close(name, known):
                yield f"{name} is not a setting; did you mean {close}?"

    def _is_service_link(self, name: str) -> bool:
        """Whether a variable comes from Kubernetes' or Docker's description of a service named herod."""
        option = OPTIONS["port"]
        if name == option.variable:
            return bool(option.foreign and option.foreign.match(self.environ[name].strip()))
        return SERVICE_VARIABLE.match(name) is not None


def is_there(path: Path) -> bool:
    """Whether to try reading a file; True if that is unknown, because reading it then reports the error."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def load_text(path: Path, *, where: str, otherwise: str = "is it the right file?") -> TextFile:
    """Read a small text file.

    Args:
        path: the file.
        where: the setting that names it, for messages.
        otherwise: what to do if the content is something else.

    Raises:
        SettingsError: it cannot be read, is too long, or is not UTF-8.
    """
    try:
        data, status = read_input(path, MAX_FILE)
    except (OSError, ValueError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else "not a valid path"
        shown = f"{str(path)[:200]!r}"
        raise SettingsError(f"{where}: cannot read {shown}: {reason}.") from None
    if len(data) > MAX_FILE:
        raise SettingsError(f"{where}: {path} is over {MAX_FILE} bytes: {otherwise}")
    text = decode_text(data, f"{where}: {path}", otherwise=otherwise)
    is_exposed = stat.S_ISREG(status.st_mode) and bool(status.st_mode & (stat.S_IROTH | stat.S_IWOTH))
    marks = 0
    while data.startswith(BOM_UTF8, marks * len(BOM_UTF8)):
        marks += 1
    return TextFile(text, is_exposed, marks)


def _load_config(found: FoundSetting, environ: Mapping[str, str]) -> tuple[Path, TextFile] | None:
    if found.value is not None:
        path = Path(found.value)
        if not is_there(path):
            # Hero Auth, whose clients herod serves, kept its users in the file that this option named.
            raise SettingsError(
                f"{found.where}: {str(path)[:200]!r} does not exist. It names herod's settings; accounts are in the "
                "store (--store), and `herod import FILE` takes over those of a Hero Auth user file. Start without it, "
                "or name a file that exists."
            )
        hint = f"if it is an encrypted Hero Auth user file, import its accounts with `herod import {path}`."
        return path, load_text(path, where=found.where, otherwise=hint)
    home = xdg_folder(environ, "XDG_CONFIG_HOME", ".config")
    for path in (SYSTEM_CONFIG, *(() if home is None else (home / "herod" / "herod.toml",))):
        if is_there(path):
            return path, load_text(path, where="--config")
    return None


def _parse_toml(path: Path, text: str) -> dict[str, object]:
    try:
        table: dict[str, object] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise SettingsError(f"{path}: {_toml_fault(text, problem)}") from None
    except RecursionError:
        raise SettingsError(f"{path}: not a settings file: it is nested too deep.") from None
    if _is_hero_auth(table):
        raise SettingsError(
            f"{path}: this is a Hero Auth user file, not herod's settings: "
            f"import its accounts with `herod import {path}`, and start without it."
        )
    known = {name for name, option in OPTIONS.items() if option.in_file} | {"scopes", "limits", "quotas"}
    for name in table:
        if name in ("hero_secret", "store_secret", "herod_store_secret"):
            variable = SECRETS[0 if name == "hero_secret" else 1].file_variable
            raise SettingsError(f"{path}: {name}: this secret belongs in its own file: start with {variable}=FILE.")
        _require_known(name, known, where=str(path))
    return table


def _toml_fault(text: str, problem: tomllib.TOMLDecodeError) -> str:
    """What is wrong with a text that is not TOML, where the parser names only a place in which nothing can be seen."""
    before, found, _ = text.partition("\0")
    if found:
        return f"line {before.count(chr(10)) + 1} contains a NUL character: remove it."
    if "\r" in text and "\n" not in text:
        return "the lines end with CR alone: save it with line ends LF or CRLF."
    return f"not TOML: {problem}."


def _is_hero_auth(table: Mapping[str, object]) -> bool:
    """Whether a table contains accounts: under one of the names for them, or as tables with an account's fields."""
    if any(isinstance(table.get(name), dict | list) for name in HERO_AUTH_TABLES):
        return True
    return any(isinstance(value, dict) and HERO_AUTH_FIELDS & value.keys() for value in table.values())


def _read_scopes(path: Path, table: object) -> dict[str, tuple[str, ...]]:
    expected = '"jobs:run" = { includes = ["user"] }'
    if not isinstance(table, dict):
        raise SettingsError(f"{path}: scopes: found {table!r:.80}, expected [scopes] with {expected}.")
    scopes: dict[str, tuple[str, ...]] = {}
    for name, entry in table.items():
        if name in RESERVED:
            raise SettingsError(
                f"{path}: scopes: {name!r} is OpenID Connect's, and gives apps no power: choose another name."
            )
        match entry:
            case {**rest} if not rest:
                scopes[name] = ()
            case {"includes": [*includes], **rest} if not rest and all(isinstance(i, str) for i in includes):
                scopes[name] = tuple(includes)
            case _:
                raise SettingsError(f"{path}: scopes: {name!r:.80} is {entry!r:.80}, expected {expected}.")
    return scopes


def _read_numbers(path: Path, name: str, file: dict[str, object], options: Mapping[str, Option]) -> dict[str, Any]:
    """Take the table of that name out of the file, and check its numbers."""
    table = file.pop(name, {})
    if not isinstance(table, dict):
        raise SettingsError(f"{path}: {name}: found {table!r:.80}, expected a table such as [{name}].")
    for key in table:
        _require_known(key, options.keys(), where=f"{path}: {name}")
    return {key: options[key].check(value, where=f"{path}: {name}.{key}") for key, value in table.items()}


def _require_known(name: str, known: Iterable[str], *, where: str) -> None:
    names = set(known)
    if name not in names:
        close = _close(name, names)
        hint = f"did you mean {close}?" if close else f"the keys are {', '.join(sorted(names))}."
        raise SettingsError(f"{where}: unknown key {name[:80]!r}: {hint}")


def _close(name: str, known: Iterable[str]) -> str | None:
    return next(iter(difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.75)), None)
