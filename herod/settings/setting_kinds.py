"""The description of a setting, and how its value is parsed from text or TOML.

Pure. `settings_table.py` lists the settings; `setting_sources.py` reads the command line, the environment and the file.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final, Literal, get_args

from herod_client.core.errors import SettingsError

__all__ = [
    "LINES",
    "ORIGINS",
    "SWITCH",
    "TEXT",
    "WORDS",
    "FoundSetting",
    "Option",
    "OptionKind",
    "choice",
    "decimal",
    "number",
    "options_of",
    "setting",
]

Origin = Literal["command line", "environment", "file", "default"]
ORIGINS: Final[tuple[Origin, ...]] = get_args(Origin)
"""The sources of a value; the first that has one takes precedence."""


@dataclass(frozen=True, slots=True)
class OptionKind:
    """The type of a value.

    Attributes:
        expected: describes valid values, for messages.
        from_text: parses a variable's text to a value; invalid text is returned unchanged.
        accepts: whether a value from any source is valid.
        choices: all values, if there are only a few.
        bounds: least and greatest value of a number.
        is_list: whether there may be several values.
    """

    expected: str
    from_text: Callable[[str], object]
    accepts: Callable[[object], bool]
    choices: tuple[str, ...] = ()
    bounds: tuple[float, float] | None = None
    is_list: bool = False


def number(low: int, high: int) -> OptionKind:
    """A whole number between two others."""

    def from_text(text: str) -> object:
        digits = text.strip()
        return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 19 else text

    def accepts(value: object) -> bool:
        return type(value) is int and low <= value <= high  # bool is an int to isinstance

    return OptionKind(f"a whole number from {low} to {high}", from_text, accepts, bounds=(low, high))


def decimal(low: float, high: float) -> OptionKind:
    """A number between two others, with or without a fraction; for the settings file only."""

    def accepts(value: object) -> bool:
        # NaN compares false with everything, so it is refused too.
        return type(value) in (int, float) and low <= value <= high  # type: ignore[operator]

    return OptionKind(f"a number from {low} to {high}", str.strip, accepts, bounds=(low, high))


def choice(*names: str) -> OptionKind:
    """One of a few words."""
    return OptionKind(" or ".join(names), str.strip, lambda value: value in names, choices=names)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != "" and value.isprintable()


def _is_secret(value: object) -> bool:
    return isinstance(value, str) and value != ""  # what it contains is checked when it is loaded


def _list_of(accepts: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list | tuple) and all(accepts(item) for item in value)


_SWITCH_WORDS: Final[Mapping[str, bool]] = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}
TEXT: Final = OptionKind("text", str.strip, _is_text)
SWITCH: Final = OptionKind(
    "true or false",
    lambda text: _SWITCH_WORDS.get(text.strip().lower(), text),
    lambda value: isinstance(value, bool),
)
WORDS: Final = OptionKind("a list of texts", lambda text: tuple(text.split()), _list_of(_is_text), is_list=True)
LINES: Final = OptionKind(
    "a list of secrets or @FILE, one line each",
    lambda text: tuple(line for line in text.split("\n") if line.strip()),
    _list_of(_is_secret),
    is_list=True,
)


@dataclass(frozen=True, slots=True)
class FoundSetting:
    """A value of its option's kind, and its source.

    Attributes:
        value: already checked by the option's kind.
        where: for messages: `--bind`, `HEROD_BIND` or `/etc/herod/herod.toml: bind`.
        base: what a relative path in the value is relative to.
    """

    value: Any
    where: str
    origin: Origin
    base: Path = Path()


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One setting as users see it.

    Attributes:
        name: its TOML key; `flag` and `variable` are its other names.
        default: the value if it is not set; None if that depends on the environment.
        shown: the default in words, for the documentation.
        metavar: the placeholder of the value in the help of the command line.
        parse: a value of the kind → the field's value.
        is_flag: whether the command line has it.
        in_file: whether the settings file may set it.
        is_secret: never quoted in a message.
        is_reloaded: whether SIGHUP applies a changed value.
        foreign: what its variable contains if another program has set it, which counts as not set.
    """

    name: str
    kind: OptionKind
    help: str
    default: object = None
    shown: str = "none"
    metavar: str = "TEXT"
    parse: Callable[[FoundSetting], Any] = lambda found: found.value
    is_flag: bool = True
    in_file: bool = True
    is_secret: bool = False
    is_reloaded: bool = False
    foreign: re.Pattern[str] | None = None

    @property
    def flag(self) -> str:
        """Its name on the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return "HEROD_" + self.name.upper()

    def check(self, value: object, *, where: str) -> object:
        """Return a value if it is of this kind.

        Raises:
            SettingsError: it is not; the message has its source, the value and what is expected.
        """
        if isinstance(value, Path):
            value = str(value)
        if not self.kind.accepts(value):
            if self.kind in (TEXT, WORDS) and (odd := _find_unprintable(value)) is not None:
                raise SettingsError(
                    f"{where}: {_shorten(odd)} contains a character that is not UTF-8 or cannot be printed: write it "
                    "without that."
                )
            found = type(value).__name__ if self.is_secret else _shorten(value)
            raise SettingsError(f"{where}: found {found}, expected {self.kind.expected}.")
        return tuple(value) if isinstance(value, list) else value


def setting(kind: OptionKind, help: str, *, default: object = None, is_computed: bool = False, **more: Any) -> Any:
    """A dataclass field that is a setting, named after the field.

    Args:
        kind: how its value looks.
        help: one sentence, for the command line and docs/configuration.md.
        default: as `Option.default`.
        is_computed: the field has no default of its own: the loader computes it.
        more: other fields of `Option`.
    """
    option = Option(name="", kind=kind, help=help, default=default, **more)
    described: dict[str, Any] = {"repr": not option.is_secret, "metadata": {"option": option}}
    if not is_computed:
        described["default"] = option.parse(FoundSetting(default, "default", "default"))
    return field(**described)


def options_of(table: type[Any]) -> dict[str, Option]:
    """Field name → option, for all fields made by `setting`."""
    described: tuple[Field[Any], ...] = fields(table)
    return {one.name: replace(one.metadata["option"], name=one.name) for one in described if "option" in one.metadata}


def _find_unprintable(value: object) -> str | None:
    """The text, or the first of a list, that contains an unprintable character."""
    items = value if isinstance(value, list | tuple) else (value,)
    return next((item for item in items if isinstance(item, str) and not item.isprintable()), None)


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:80] + "…"
