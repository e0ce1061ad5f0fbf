"""What can be set: the one table of options, limits and secrets, and how a value is read from text or TOML.

The environment's names, the file's keys and the table in docs/configuration.md all follow from it. Nothing is
looked up here: `settings/setting_sources.py` asks the command line, the environment and the file.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final, cast

from herod_client.core.errors import SettingsError

__all__ = ["LIMITS", "OPTIONS", "SECRETS", "LimitSettings", "Option", "SecretOption", "read_limits"]


@dataclass(frozen=True, slots=True)
class OptionKind:
    """How a value looks.

    Attributes:
        expected: what a value is, for messages.
        from_text: a variable's text as the value it stands for; text that is none comes back as it is.
        accepts: whether a value, from any source, is one.
    """

    expected: str
    from_text: Callable[[str], object]
    accepts: Callable[[object], bool]


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != "" and value.isprintable()


def _is_secret(value: object) -> bool:
    # A secret may hold any character that a line of a file can.
    return isinstance(value, str) and value != "" and "\n" not in value and "\0" not in value


def _list_of(accepts: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list | tuple) and all(accepts(item) for item in value)


def _number(low: int, high: int) -> OptionKind:
    def from_text(text: str) -> object:
        digits = text.strip()
        return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 19 else text

    def accepts(value: object) -> bool:
        return type(value) is int and low <= value <= high  # bool is an int to isinstance

    return OptionKind(f"a whole number from {low} to {high}", from_text, accepts)


def _choice(*names: str) -> OptionKind:
    return OptionKind(" or ".join(names), str.strip, lambda value: value in names)


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
WORDS: Final = OptionKind("a list of texts", lambda text: tuple(text.split()), _list_of(_is_text))
LINES: Final = OptionKind(
    "a list of secrets or @FILE, one line each",
    lambda text: tuple(line for line in text.split("\n") if line.strip()),
    _list_of(_is_secret),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One thing that can be set.

    Attributes:
        name: its TOML key; `flag` and `variable` are its other names.
        default: what holds when nobody says anything; None where that depends on who runs it.
        shown: that default in words, where it needs some.
        is_flag: whether the command line has it.
        in_file: whether the file may say it.
        is_secret: never quoted in a message.
    """

    name: str
    kind: OptionKind
    help: str
    default: object = None
    shown: str = "none"
    is_flag: bool = True
    in_file: bool = True
    is_secret: bool = False

    @property
    def flag(self) -> str:
        """Its name on the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return "HEROD_" + self.name.upper()

    def check(self, value: object, *, where: str) -> object:
        """Let a value through that is of this kind.

        Raises:
            SettingsError: it is not; the message says where it stood, what was found and what is expected.
        """
        if isinstance(value, Path):
            value = str(value)
        if not self.kind.accepts(value):
            found = type(value).__name__ if self.is_secret else _shorten(value)
            raise SettingsError(f"{where}: found {found}, expected {self.kind.expected}.")
        return tuple(value) if isinstance(value, list) else value


OPTIONS: Final[Mapping[str, Option]] = {
    option.name: option
    for option in (
        Option(
            name="config",
            kind=TEXT,
            help="TOML file with these settings.",
            shown="`/etc/herod/herod.toml`, else `$XDG_CONFIG_HOME/herod/herod.toml`, if there",
            in_file=False,
        ),
        Option(
            name="bind",
            kind=WORDS,
            help="Where to listen; repeatable, and naming any replaces all.",
            shown="a Unix socket, `127.0.0.1:3350` and `[::1]:3350`",
        ),
        Option(name="port", kind=_number(0, 65535), help="Port of the default TCP addresses.", default=3350),
        Option(name="tls_cert", kind=TEXT, help="Certificate chain of the TCP addresses (PEM)."),
        Option(name="tls_key", kind=TEXT, help="Its private key (PEM)."),
        Option(
            name="insecure",
            kind=SWITCH,
            help="Allow TCP beyond loopback without TLS.",
            default=False,
        ),
        Option(
            name="store",
            kind=TEXT,
            help="Where records are kept: `sqlite:/path` or `memory:`.",
            shown="`sqlite:$STATE_DIRECTORY/herod.db`, else `sqlite:$XDG_STATE_HOME/herod/herod.db` "
            "(as root `sqlite:/var/lib/herod/herod.db`)",
        ),
        Option(name="issuer", kind=TEXT, help="Issuer (`iss`) of plain tokens.", default="hero_auth"),
        Option(
            name="public_url",
            kind=TEXT,
            help="Issuer of audience tokens and of the metadata; its host is also accepted as Host.",
            shown="the first TCP address",
        ),
        Option(name="signing", kind=_choice("HS256", "EdDSA"), help="How tokens are signed.", default="HS256"),
        Option(
            name="token_ttl",
            kind=_number(1, 2_592_000),
            help="Seconds an access token lives.",
            default=3600,
        ),
        Option(
            name="registration",
            kind=_choice("open", "closed"),
            help="Whether anybody may register, with scope read.",
            default="open",
        ),
        Option(
            name="bootstrap_admin_key",
            kind=TEXT,
            help="Create a service key of this name with scope admin, once.",
        ),
        *(
            Option(
                name=f"{scope}_secret",
                kind=LINES,
                help=f"Legacy secret for scope {stands_for}, itself or `@FILE`; repeatable.",
                default=(),
                is_secret=True,
            )
            for scope, stands_for in (("admin", "admin"), ("user", "user"), ("register", "registrar"))
        ),
        Option(
            name="audit_keep_days",
            kind=_number(1, 36_500),
            help="Days the audit log goes back.",
            default=365,
        ),
        Option(
            name="audit_keep_rows",
            kind=_number(1000, 100_000_000),
            help="Rows the audit log is to have at most; the oldest go, up to an admin's.",
            default=1_000_000,
        ),
        Option(
            name="allow_weak_secret",
            kind=SWITCH,
            help="Accept a HERO_SECRET or HEROD_STORE_SECRET under 32 bytes.",
            default=False,
        ),
        Option(
            name="log_format",
            kind=_choice("text", "json"),
            help="How log lines look.",
            shown="`text` on a terminal, else `json`",
        ),
        Option(
            name="log_level",
            kind=_choice("debug", "info", "warning", "error"),
            help="What is logged.",
            default="info",
        ),
        Option(
            name="networks",
            kind=WORDS,
            help="Networks that grants may name; `*` allows any name.",
            default=("*",),
            is_flag=False,
        ),
        Option(
            name="hosts",
            kind=WORDS,
            help="Names accepted in the Host header over TCP, besides loopback and the bound addresses.",
            default=(),
            is_flag=False,
        ),
        Option(
            name="origins",
            kind=WORDS,
            help="Origins accepted besides herod's own, as `scheme://host[:port]`.",
            default=(),
            is_flag=False,
        ),
        Option(
            name="frame_origins",
            kind=WORDS,
            help="Origins whose pages may show the dashboard in a frame, and tell it their theme.",
            default=(),
            is_flag=False,
        ),
    )
}


@dataclass(frozen=True, slots=True)
class SecretOption:
    """A secret that starts the daemon: in its variable, in a file that `VARIABLE_FILE` names, or by systemd.

    Attributes:
        credential: the systemd credential's name (systemd.exec(5), "CREDENTIALS").
    """

    variable: str
    credential: str

    @property
    def file_variable(self) -> str:
        """The variable that names a file."""
        return f"{self.variable}_FILE"


SECRETS: Final = (
    SecretOption("HERO_SECRET", "hero_secret"),
    SecretOption("HEROD_STORE_SECRET", "herod_store_secret"),
)


def _limit(default: int, *, low: int, high: int, what: str) -> int:
    # The field's annotation decides whether fractions are possible.
    return field(default=default, metadata={"low": low, "high": high, "help": what})


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """What one client may take of the server. Times are in seconds."""

    max_connections: int = _limit(1024, low=1, high=65536, what="connections at once, over all addresses")
    head_bytes: int = _limit(16384, low=1024, high=1_048_576, what="a request's first line and headers")
    head_seconds: float = _limit(10, low=1, high=600, what="from a request's first byte to the end of its headers")
    body_seconds: float = _limit(10, low=1, high=600, what="from the end of the headers to the end of the body")
    write_seconds: float = _limit(15, low=1, high=600, what="for a client to take an answer")
    idle_seconds: float = _limit(60, low=1, high=86400, what="a connection may stay open without a request")
    drain_seconds: float = _limit(4, low=0, high=5, what="for requests under way when the daemon stops")


LIMITS: Final = {limit.name: limit for limit in fields(LimitSettings)}


def read_limits(table: Mapping[str, object], *, where: str) -> LimitSettings:
    """Read the file's `[limits]`, whose keys are known to be of `LIMITS`.

    Raises:
        SettingsError: a value is no number, or outside what is possible.
    """
    for name, value in table.items():
        limit = LIMITS[name]
        low, high = limit.metadata["low"], limit.metadata["high"]
        types: tuple[type, ...] = (int,) if limit.type is int else (int, float)
        # NaN compares false with everything, so it is refused too.
        if type(value) not in types or not low <= cast("float", value) <= high:
            what = "a whole number" if limit.type is int else "a number"
            raise SettingsError(
                f"{where}: limits.{name}: found {_shorten(value)}, expected {what} from {low} to {high}."
            )
    return LimitSettings(**cast("dict[str, int]", dict(table)))


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:80] + "…"
