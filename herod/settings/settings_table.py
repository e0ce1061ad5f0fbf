"""The one table of settings, limits and secrets.

`herod serve --help`, the variables, the keys of the file, the checks of each value, what SIGHUP applies and the tables
in docs/configuration.md are all derived from it. A new setting is one field here, and one use.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from herod.domain_names import DomainError, ascii_domain
from herod.settings.bind_addresses import DEFAULT_PORT, SYSTEM_SOCKET, Bind
from herod.settings.setting_kinds import (
    LINES,
    SWITCH,
    TEXT,
    WORDS,
    FoundSetting,
    choice,
    decimal,
    number,
    options_of,
    setting,
)
from herod.settings.systemd_sockets_and_watchdog import ServiceManager
from herod.settings.trusted_proxies import TrustedProxies, parse_trusted_proxies
from herod_client.core.errors import SettingsError
from herod_client.core.grants import MAX_NETWORKS, NETWORK_NAME

__all__ = [
    "LIMITS",
    "OPTIONS",
    "QUOTAS",
    "RELOADED",
    "SECRETS",
    "LimitSettings",
    "QuotaSettings",
    "SecretOption",
    "Settings",
]

KEY_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}\Z")  # it names a file
HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?)\Z")
# What Kubernetes and Docker put into HEROD_PORT for a service or container named herod.
SERVICE_LINK: Final = re.compile(r"(tcp|udp|sctp)://\S+\Z")
ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#@\s]+\Z")
HOST_PART: Final = re.compile(r"(?P<scheme>([A-Za-z][A-Za-z0-9+.-]*://)?)(?P<host>[^/?#@:\s\[\]]+)(?P<rest>.*)\Z")


def _key_name(found: FoundSetting) -> str | None:
    if found.value is None:
        return None
    name = str(found.value)
    if not KEY_NAME.match(name):
        raise SettingsError(
            f"{found.where}: found {name[:80]!r}, expected up to 64 letters, digits, dots, underscores and hyphens."
        )
    return name


def _url(found: FoundSetting) -> str | None:
    if found.value is None:
        return None
    url = str(found.value)
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    # It is used in headers and metadata, where a URL is ASCII (RFC 3986, section 2).
    if not is_good or not url.isascii() or set(url) & set('?#@ \\"<>'):
        raise SettingsError(f"{found.where}: found {url[:120]!r}, expected a URL like https://auth.example.org.")
    return url.rstrip("/")


def _networks(found: FoundSetting) -> frozenset[str]:
    for name in found.value:
        if name != "*" and not NETWORK_NAME.match(name):
            raise SettingsError(
                f"{found.where}: found {name[:80]!r}, expected up to 64 letters, digits and _ . : -, or *."
            )
    if len(found.value) > MAX_NETWORKS:
        raise SettingsError(
            f'{found.where}: found {len(found.value)} networks, expected at most {MAX_NETWORKS}, or ["*"] for any.'
        )
    if not found.value:
        raise SettingsError(f'{found.where}: found no network, expected at least one, or ["*"] for any.')
    return frozenset({"*"}) if "*" in found.value else frozenset(found.value)


def _with_ascii_host(text: str) -> str:
    """A host or origin as clients send it, with its host in A-labels; as it is if it has no such host."""
    parts = HOST_PART.match(text)
    if text.isascii() or parts is None:
        return text
    try:
        return f"{parts['scheme']}{ascii_domain(parts['host'])}{parts['rest'] or ''}"
    except DomainError:
        return text


def _hosts(found: FoundSetting) -> frozenset[str]:
    names = [_with_ascii_host(name).lower() for name in found.value]
    for name in names:
        if not HOST.match(name):
            raise SettingsError(f"{found.where}: found {name[:80]!r}, expected a host alone, as auth.example.org.")
    return frozenset(names)


def _origins(found: FoundSetting) -> frozenset[str]:
    origins = [_with_ascii_host(origin).lower().removesuffix("/") for origin in found.value]
    for origin in origins:
        if not ORIGIN.match(origin) or "*" in origin or not origin.isascii():
            raise SettingsError(f"{found.where}: found {origin[:80]!r}, expected one like https://app.example.org.")
    return frozenset(origins)


def _path(found: FoundSetting) -> Path | None:
    return None if found.value is None else found.base / found.value


def _legacy_secret(scope: str) -> Any:
    return setting(
        LINES,
        f"Legacy secret for scope {scope}, itself or `@FILE`; repeatable.",
        default=(),
        metavar="@FILE",
        is_secret=True,
        is_reloaded=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """The limits on clients: the file's `[limits]`. Sizes in bytes, times in seconds."""

    max_connections: int = setting(number(1, 65536), "connections at once, over all addresses", default=1024)
    head_bytes: int = setting(number(1024, 1_048_576), "a request's first line and headers", default=16384)
    head_seconds: float = setting(decimal(1, 600), "from a request's first byte to the end of its headers", default=10)
    body_seconds: float = setting(decimal(1, 600), "from the end of the headers to the end of the body", default=10)
    write_seconds: float = setting(decimal(1, 600), "for a client to read a response", default=15)
    idle_seconds: float = setting(decimal(1, 86400), "a connection may stay open without a request", default=60)
    drain_seconds: float = setting(decimal(0, 5), "for requests in progress when the daemon stops", default=4)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaSettings:
    """How much one principal may store or be issued: the file's `[quotas]`."""

    keys: int = setting(number(1, 100_000), "API keys of one account", default=100)
    service_keys: int = setting(number(1, 100_000), "service keys in all", default=1000)
    sessions: int = setting(
        number(1, 1000), "sessions of one account, service key, local user or group; the oldest ends", default=50
    )
    passkeys: int = setting(number(1, 100), "passkeys of one account", default=20)
    resources: int = setting(number(1, 10_000_000), "resources of one claimant", default=10_000)
    revocations: int = setting(
        number(1000, 1_000_000),
        "revoked tokens of one account, local user or group; one more ends all of its tokens",
        default=10_000,
    )
    accounts: int = setting(number(1, 10_000_000), "accounts in all", default=100_000)
    registered_accounts: int = setting(
        number(1, 10_000_000), "accounts in all that registered themselves", default=10_000
    )
    delegations: int = setting(number(1, 10_000), "apps that one account has connected", default=200)
    peer_rules: int = setting(number(1, 100_000), "peer rules in all", default=1000)
    apps: int = setting(number(1, 100_000), "registered apps in all", default=1000)
    issued_per_minute: int = setting(
        number(1, 1_000_000),
        "tokens, keys, client secrets, sessions and sign-in codes that one principal is issued in any minute",
        default=600,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of the daemon.

    Attributes:
        hero_secret: signs tokens with HS256.
        store_secret: opens the store instead of HERO_SECRET; None if HERO_SECRET opens it.
        former_secret: what herod 0.1 took the secret that opens the store for, if that differs.
        config: the settings file, if one was read.
        store: the database file; None keeps everything in memory.
        public_url: without a final slash; None leaves it to the addresses that herod gets (`public_names.py`).
        token_ttl: seconds; so is `app_token_ttl`.
        session_idle: seconds.
        admin_secret: the secrets themselves; also in `user_secret` and `register_secret`.
        log_format: None means text on a terminal, else json.
        networks: `*` alone allows any.
        hosts: lower case, without port, IPv6 in brackets.
        origins: lower case `scheme://host[:port]`; also in `frame_origins`.
        scopes: scope → the scopes it includes, as written: the scope graph checks them.
        folder: where the daemon's own files are, beside the store; with a store in memory, beside its socket.
        manager: what the service manager passed on.
        warnings: for the log: settings that are allowed but unwise.
    """

    hero_secret: str = field(repr=False)
    store_secret: str | None = field(default=None, repr=False)
    former_secret: str | None = field(default=None, repr=False)
    config: Path | None = setting(
        TEXT,
        "TOML file with these settings.",
        shown="`/etc/herod/herod.toml`, else `$XDG_CONFIG_HOME/herod/herod.toml`, if it exists",
        metavar="FILE",
        in_file=False,
    )
    bind: tuple[Bind, ...] = setting(
        WORDS,
        "Where to listen: `unix:/path[,mode=0660][,peer=off]`, `ADDRESS:PORT` or `fd://N`; repeatable; replaces "
        "the defaults.",
        shown="a Unix socket, `127.0.0.1:3350` and `[::1]:3350`",
        metavar="ADDR",
        is_computed=True,
    )
    port: int = setting(
        number(0, 65535),
        "Port of the default TCP addresses.",
        default=DEFAULT_PORT,
        metavar="N",
        foreign=SERVICE_LINK,
    )
    tls_cert: Path | None = setting(TEXT, "Certificate chain of the TCP addresses (PEM).", metavar="FILE", parse=_path)
    tls_key: Path | None = setting(TEXT, "Private key of that certificate (PEM).", metavar="FILE", parse=_path)
    insecure: bool = setting(SWITCH, "Allow TCP beyond loopback without TLS.", default=False)
    store: Path | None = setting(
        TEXT,
        "Where records are kept: `sqlite:/path` or `memory:`.",
        shown="`sqlite:$STATE_DIRECTORY/herod.db`, else `sqlite:$XDG_STATE_HOME/herod/herod.db` "
        "(as root `sqlite:/var/lib/herod/herod.db`)",
        metavar="URL",
        is_computed=True,
    )
    issuer: str = setting(TEXT, "Issuer (`iss`) of tokens without an audience.", default="hero_auth")
    public_url: str | None = setting(
        TEXT,
        "Where browsers and apps reach herod: issuer of the metadata and of tokens with an audience, and the origin of "
        "the pages; its host is also accepted as Host. Passkeys belong to that host: under another one nobody can use "
        "them.",
        shown="`http://localhost:PORT` of the first TCP address",
        metavar="URL",
        parse=_url,
    )
    signing: Literal["HS256", "EdDSA"] = setting(choice("HS256", "EdDSA"), "How tokens are signed.", default="HS256")
    token_ttl: int = setting(number(1, 2_592_000), "Lifetime of access tokens in seconds.", default=3600, metavar="S")
    app_token_ttl: int = setting(
        number(1, 2_592_000),
        "Lifetime of the access tokens of apps in seconds; never more than `token_ttl`.",
        default=600,
        metavar="S",
    )
    session_idle: int = setting(
        number(60, 43_200), "Seconds without use after which a browser is signed out.", default=3600, metavar="S"
    )
    registration: Literal["open", "closed"] = setting(
        choice("open", "closed"), "Whether anyone may register an account with scope read.", default="open"
    )
    second_factor: Literal["off", "admin", "all"] = setting(
        choice("off", "admin", "all"),
        "Whose accounts must have a second factor, a passkey or an authenticator app: nobody's, admins', everybody's.",
        default="off",
    )
    dynamic_apps: Literal["loopback", "off"] = setting(
        choice("loopback", "off"),
        "Whether apps may register themselves, at a loopback name or the Unix socket (RFC 7591). They get only what a "
        "person then allows.",
        default="loopback",
    )
    client_documents: Literal["on", "off"] = setting(
        choice("on", "off"),
        "Whether herod fetches the document that describes an app, from public addresses, once a person has signed in. "
        "Copies of well-known agents' documents come with herod.",
        default="on",
    )
    approve: Literal["destructive", "never", "all"] = setting(
        choice("destructive", "never", "all"),
        "What an app must let its person approve first: what removes or changes data, nothing, or every change.",
        default="destructive",
    )
    bootstrap_admin_key: str | None = setting(
        TEXT, "Create a service key of this name with scope admin, once.", metavar="NAME", parse=_key_name
    )
    admin_secret: tuple[str, ...] = _legacy_secret("admin")
    user_secret: tuple[str, ...] = _legacy_secret("user")
    register_secret: tuple[str, ...] = _legacy_secret("registrar")
    audit_keep_days: int = setting(number(1, 36_500), "Days that audit rows are kept.", default=365, metavar="N")
    audit_keep_rows: int = setting(
        number(1000, 100_000_000),
        "Most audit rows to keep; the oldest are removed first, but no recent row of an admin.",
        default=1_000_000,
        metavar="N",
    )
    audit_file: Path | None = setting(
        TEXT, "Append each audit row to this file, as a JSON line; reopened at SIGHUP.", metavar="FILE", parse=_path
    )
    audit_log: bool = setting(SWITCH, "Write each audit row to herod's own log too.", default=False)
    allow_weak_secret: bool = setting(
        SWITCH, "Accept a HERO_SECRET or HEROD_STORE_SECRET under 32 bytes.", default=False
    )
    log_format: Literal["text", "json"] | None = setting(
        choice("text", "json"), "How log lines look.", shown="`text` on a terminal, else `json`"
    )
    log_level: str = setting(choice("debug", "info", "warning", "error"), "What is logged.", default="info")
    networks: frozenset[str] = setting(
        WORDS,
        "Networks that grants may name; `*` allows any name.",
        default=("*",),
        parse=_networks,
        is_flag=False,
        is_reloaded=True,
    )
    hosts: frozenset[str] = setting(
        WORDS,
        "Names accepted in the Host header over TCP, besides loopback and the bound addresses.",
        default=(),
        parse=_hosts,
        is_flag=False,
    )
    origins: frozenset[str] = setting(
        WORDS,
        "Origins whose pages may call, besides herod's own and, for the API, those on loopback; as "
        "`scheme://host[:port]`.",
        default=(),
        parse=_origins,
        is_flag=False,
    )
    frame_origins: frozenset[str] = setting(
        WORDS,
        "Origins whose pages may show herod in a frame, as a link that opens it in a tab, and set the theme.",
        default=(),
        parse=_origins,
        is_flag=False,
    )
    trusted_proxies: TrustedProxies = setting(
        WORDS,
        "Proxies whose `Forwarded` or `X-Forwarded-For` names the client: addresses or networks over TCP, `uid:N` on a "
        "Unix socket; repeatable.",
        default=(),
        metavar="ADDR|uid:N",
        parse=parse_trusted_proxies,
    )
    scopes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    limits: LimitSettings = field(default_factory=LimitSettings)
    quotas: QuotaSettings = field(default_factory=QuotaSettings)
    folder: Path = SYSTEM_SOCKET.parent
    manager: ServiceManager = field(default_factory=ServiceManager)
    warnings: tuple[str, ...] = ()


OPTIONS: Final = options_of(Settings)
LIMITS: Final = options_of(LimitSettings)
QUOTAS: Final = options_of(QuotaSettings)
RELOADED: Final = frozenset({"scopes", "quotas", *(name for name, option in OPTIONS.items() if option.is_reloaded)})


@dataclass(frozen=True, slots=True)
class SecretOption:
    """A secret of the daemon: in its variable, in a file that `VARIABLE_FILE` names, or in a systemd credential.

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
