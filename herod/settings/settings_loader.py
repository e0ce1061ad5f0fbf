"""All that was said becomes one frozen `Settings`: values are judged together here, once, before the start.

Nothing is opened for use, and nothing unsafe passes without a word.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal
from urllib.parse import urlsplit

from herod.settings.bind_addresses import (
    Bind,
    FdBind,
    TcpBind,
    UnixBind,
    clear_text_refusal,
    default_binds,
    parse_binds,
    xdg_folder,
)
from herod.settings.option_table import LimitSettings
from herod.settings.secret_settings import load_legacy_secrets, load_secrets
from herod.settings.setting_sources import FoundSetting, SettingSources, load_text
from herod.settings.systemd_sockets_and_watchdog import ServiceManager, read_manager
from herod_client.core.errors import SettingsError
from herod_client.core.grants import MAX_NETWORKS, NETWORK_NAME

__all__ = ["Settings", "load_settings"]

KEY_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}\Z")  # it names a file
HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?)\Z")
ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#@\s]+\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be said before the start.

    Attributes:
        store_secret: opens the store in place of HERO_SECRET; None where HERO_SECRET does.
        store: the database file; None keeps everything in memory.
        issuer: `iss` of plain tokens.
        public_url: where herod is reached, no final slash: `iss` of audience tokens and of the metadata.
        token_ttl: seconds.
        bootstrap_admin_key: name of the service key to create once.
        audit_keep_days: older rows of the audit log go.
        audit_keep_rows: of more rows the oldest go.
        log_format: None means text on a terminal, else json.
        scopes: scope → the scopes it includes, as written: the graph judges them.
        networks: names that grants may use; `*` among them allows any.
        hosts: further names for the Host guard: lower case, without port, IPv6 in brackets.
        origins: further origins for the Origin guard: lower case `scheme://host[:port]`.
        frame_origins: who may show the dashboard in a frame, written alike.
        config: the settings file, if one was read.
        manager: what the service manager passed on.
        warnings: for the log: what is allowed and not wise.
    """

    hero_secret: str = field(repr=False)
    store_secret: str | None = field(default=None, repr=False)
    binds: tuple[Bind, ...]
    tls_cert: Path | None = None
    tls_key: Path | None = None
    insecure: bool = False
    store: Path | None
    issuer: str = "hero_auth"
    public_url: str
    signing: Literal["HS256", "EdDSA"] = "HS256"
    token_ttl: int = 3600
    registration: Literal["open", "closed"] = "open"
    bootstrap_admin_key: str | None = None
    admin_secrets: tuple[str, ...] = field(default=(), repr=False)
    user_secrets: tuple[str, ...] = field(default=(), repr=False)
    register_secrets: tuple[str, ...] = field(default=(), repr=False)
    audit_keep_days: int = 365
    audit_keep_rows: int = 1_000_000
    log_format: Literal["text", "json"] | None = None
    log_level: str = "info"
    scopes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    networks: frozenset[str] = frozenset({"*"})
    hosts: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()
    frame_origins: frozenset[str] = frozenset()
    limits: LimitSettings = field(default_factory=LimitSettings)
    config: Path | None = None
    manager: ServiceManager = field(default_factory=ServiceManager)
    warnings: tuple[str, ...] = ()


def load_settings(options: Mapping[str, object], environ: Mapping[str, str], *, uid: int, pid: int = 0) -> Settings:
    """Read what was set and refuse what cannot be or should not.

    Args:
        options: option name with underscores → value, as the command line gave it. None, False and () mean
            that it did not.
        environ: the process environment.
        uid: who the daemon runs as; root has other defaults.
        pid: the daemon's: the service manager says whom it means. 0 for those who only look at the settings.

    Raises:
        SettingsError: one line that names the setting, what was found and what to change.
    """
    warnings: list[str] = []
    sources = SettingSources.load(options, environ)
    warnings.extend(sources.misspelt())
    hero_secret, store_secret = load_secrets(sources, warnings)
    legacy = load_legacy_secrets(sources, warnings)
    manager = read_manager(environ, pid=pid)
    binds = _choose_binds(sources, uid, manager, warnings)
    tls_cert, tls_key = _load_tls(sources, binds, warnings)
    public_url = sources.find("public_url")
    base_url = _default_url(binds, tls_cert) if public_url.value is None else _check_url(public_url)
    return Settings(
        hero_secret=hero_secret,
        store_secret=store_secret,
        binds=binds,
        tls_cert=tls_cert,
        tls_key=tls_key,
        insecure=sources.find("insecure").value,
        store=_choose_store(sources.find("store"), environ, uid),
        issuer=sources.find("issuer").value,
        public_url=base_url,
        signing=sources.find("signing").value,
        token_ttl=sources.find("token_ttl").value,
        registration=sources.find("registration").value,
        bootstrap_admin_key=_check_key_name(sources.find("bootstrap_admin_key")),
        admin_secrets=legacy["admin_secret"],
        user_secrets=legacy["user_secret"],
        register_secrets=legacy["register_secret"],
        audit_keep_days=sources.find("audit_keep_days").value,
        audit_keep_rows=sources.find("audit_keep_rows").value,
        log_format=sources.find("log_format").value,
        log_level=sources.find("log_level").value,
        scopes=MappingProxyType(dict(sources.scopes)),
        networks=_check_networks(sources.find("networks")),
        hosts=_check_hosts(sources.find("hosts")) | _host_of(public_url),
        origins=_check_origins(sources.find("origins")),
        frame_origins=_check_origins(sources.find("frame_origins")),
        limits=sources.limits,
        config=sources.path,
        manager=manager,
        warnings=tuple(dict.fromkeys(warnings)),
    )


def _choose_binds(sources: SettingSources, uid: int, manager: ServiceManager, warnings: list[str]) -> tuple[Bind, ...]:
    found, port = sources.find("bind"), sources.find("port")
    if found.origin == "default":
        if not manager.sockets:
            return default_binds(sources.environ, uid=uid, port=port.value)
        if port.origin != "default":
            warnings.append(
                f"{port.where} counts for the default addresses only, and sockets were passed (LISTEN_FDS)."
            )
        return manager.sockets
    if port.origin != "default":
        warnings.append(f"{port.where} counts for the default addresses only, and {found.where} replaces them.")
    binds = tuple(bind for text in found.value for bind in parse_binds(text, where=found.where))
    if unused := [str(bind) for bind in manager.sockets if bind not in binds]:
        warnings.append(
            f"{found.where} names other addresses, so nobody is answered on {', '.join(unused)} (LISTEN_FDS)."
        )
    if not binds:
        raise SettingsError(f"{found.where}: found no address, expected at least one.")
    seen: set[object] = set()
    for bind in binds:
        key = bind.path if isinstance(bind, UnixBind) else bind
        if key in seen and not (isinstance(bind, TcpBind) and bind.port == 0):
            raise SettingsError(f"{found.where}: {bind} stands there twice: keep one.")
        seen.add(key)
    return binds


def _load_tls(sources: SettingSources, binds: tuple[Bind, ...], warnings: list[str]) -> tuple[Path | None, Path | None]:
    cert, key = sources.find("tls_cert"), sources.find("tls_key")
    if (cert.value is None) != (key.value is None):
        given, missing = (cert, "--tls-key") if key.value is None else (key, "--tls-cert")
        raise SettingsError(f"{given.where} is given without {missing}: give both or neither.")
    tcp = [bind for bind in binds if isinstance(bind, TcpBind)]
    if cert.value is None:
        _check_reach(tcp, warnings, insecure=sources.find("insecure").value)
        return None, None
    cert_path, key_path = cert.base / cert.value, key.base / key.value
    if "-----BEGIN CERTIFICATE-----" not in load_text(cert_path, where=cert.where).text:
        raise SettingsError(f"{cert.where}: {cert_path} holds no certificate: give a PEM file.")
    file = load_text(key_path, where=key.where)
    if "PRIVATE KEY-----" not in file.text:
        raise SettingsError(f"{key.where}: {key_path} holds no private key: give a PEM file.")
    if "ENCRYPTED" in file.text:
        raise SettingsError(f"{key.where}: {key_path} is encrypted, and a daemon cannot ask: decrypt it.")
    if file.is_exposed:
        warnings.append(f"{key.where}: everybody on this machine may read {key_path}: chmod 600 it.")
    if not any(isinstance(bind, TcpBind | FdBind) for bind in binds):
        warnings.append(f"{cert.where} has no effect: no TCP address is bound.")
    return cert_path, key_path


def _check_reach(tcp: list[TcpBind], warnings: list[str], *, insecure: bool) -> None:
    for bind in tcp:
        if bind.is_loopback:
            continue
        if not insecure:
            raise SettingsError(clear_text_refusal(str(bind)))
        warnings.append(f"{bind}: secrets pass in the clear to and from other machines (--insecure).")


def _choose_store(found: FoundSetting, environ: Mapping[str, str], uid: int) -> Path | None:
    if found.value is None:
        return _default_store(environ, uid)
    url = str(found.value)
    if url == "memory:":
        return None
    if url.startswith(("postgresql:", "postgres:")):
        raise SettingsError(f"{found.where}: PostgreSQL is not supported yet: use sqlite:/path or memory:.")
    path = url.removeprefix("sqlite:")
    if path.startswith("///"):  # as in sqlite:///path
        path = path[2:]
    if path == url or not path.startswith("/") or path.startswith("//") or path.endswith("/"):
        raise SettingsError(f"{found.where}: found {url[:120]!r}, expected sqlite:/path/of/herod.db or memory:.")
    return Path(path)


def _default_store(environ: Mapping[str, str], uid: int) -> Path:
    state = environ.get("STATE_DIRECTORY", "").split(":")[0]  # systemd may pass several
    if state.startswith("/"):
        return Path(state) / "herod.db"
    folder = Path("/var/lib") if uid == 0 else xdg_folder(environ, "XDG_STATE_HOME", ".local/state")
    if folder is None:
        raise SettingsError("There is no HOME to keep the store in: say --store sqlite:/path/of/herod.db.")
    return folder / "herod" / "herod.db"


def _default_url(binds: tuple[Bind, ...], tls_cert: Path | None) -> str:
    tcp = next((bind for bind in binds if isinstance(bind, TcpBind)), None)
    if tcp is None:
        return "http://localhost"
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - compared, not bound
    return f"{'http' if tls_cert is None else 'https'}://{everywhere.get(tcp.host, tcp.url_host)}:{tcp.port}"


def _check_url(found: FoundSetting) -> str:
    url = str(found.value)
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good or set(url) & set("?#@ \\"):
        raise SettingsError(f"{found.where}: found {url[:120]!r}, expected a URL like https://auth.example.org.")
    return url.rstrip("/")


def _host_of(public_url: FoundSetting) -> frozenset[str]:
    """A configured URL's host is a configured name; behind a proxy it is what clients send."""
    if public_url.value is None:
        return frozenset()
    host = urlsplit(str(public_url.value)).hostname or ""
    return frozenset({f"[{host}]" if ":" in host else host})


def _check_key_name(found: FoundSetting) -> str | None:
    if found.value is None:
        return None
    name = str(found.value)
    if not KEY_NAME.match(name):
        raise SettingsError(f"{found.where}: found {name[:80]!r}, expected up to 64 letters, digits and . _ -")
    return name


def _check_networks(found: FoundSetting) -> frozenset[str]:
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


def _check_hosts(found: FoundSetting) -> frozenset[str]:
    names = [name.lower() for name in found.value]
    for name in names:
        if not HOST.match(name):
            raise SettingsError(f"{found.where}: found {name[:80]!r}, expected a host alone, as auth.example.org.")
    return frozenset(names)


def _check_origins(found: FoundSetting) -> frozenset[str]:
    origins = [origin.lower().removesuffix("/") for origin in found.value]
    for origin in origins:
        if not ORIGIN.match(origin) or "*" in origin:
            raise SettingsError(f"{found.where}: found {origin[:80]!r}, expected one like https://app.example.org.")
    return frozenset(origins)
