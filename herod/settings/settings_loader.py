"""Combines all sources to one frozen `Settings` and checks that the values are consistent, once, before the start.

It opens nothing for use, and refuses or warns of everything unsafe.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from herod.settings.bind_addresses import (
    Bind,
    FdBind,
    TcpBind,
    UnixBind,
    clear_text_refusal,
    default_binds,
    default_socket,
    parse_binds,
    xdg_folder,
)
from herod.settings.secret_settings import load_legacy_secrets, load_secrets
from herod.settings.setting_kinds import ORIGINS, FoundSetting
from herod.settings.setting_sources import SettingSources, load_text
from herod.settings.settings_table import OPTIONS, Settings
from herod.settings.systemd_sockets_and_watchdog import ServiceManager, read_manager
from herod.settings.trusted_proxies import TrustedProxies
from herod_client.core.errors import SettingsError

__all__ = ["load_settings"]


def load_settings(
    options: Mapping[str, object],
    environ: Mapping[str, str],
    *,
    uid: int,
    pid: int = 0,
    is_secret_replaced: bool = False,
) -> Settings:
    """Load the settings and refuse invalid or unsafe ones.

    Args:
        options: option name with underscores → value from the command line. None, False and () mean not set.
        environ: the process environment.
        uid: the daemon's user; root has other defaults.
        pid: the daemon's process id, to recognize what the service manager passes to it. 0 to only read settings.
        is_secret_replaced: the secrets may contain what herod 0.1 allowed, because one of them is about to be changed.

    Raises:
        SettingsError: one line that names the setting, what was found and what to change.
    """
    warnings: list[str] = []
    sources = SettingSources.load(options, environ)
    warnings.extend(sources.suspect_variables())
    hero, store = load_secrets(sources, warnings, is_replaced=is_secret_replaced)
    manager = read_manager(environ, pid=pid)
    binds = _choose_binds(sources, uid, manager, warnings)
    values = {option.name: option.parse(sources.find(option.name)) for option in OPTIONS.values()}
    _check_tls(sources, binds, warnings)
    _check_proxies(sources.find("trusted_proxies"), values["trusted_proxies"], warnings)
    values |= load_legacy_secrets(sources, warnings)
    store_file = _choose_store(sources.find("store"), environ, uid)
    socket = next((bind for bind in binds if isinstance(bind, UnixBind)), default_socket(environ, uid=uid))
    values |= {
        "config": sources.path,
        "bind": binds,
        "store": store_file,
        "folder": (store_file or socket.path).parent,
        "hosts": values["hosts"] | _host_of(sources.find("public_url")),
    }
    _check_paths(binds, values)
    return Settings(
        hero_secret=hero.value,
        store_secret=None if store is None else store.value,
        former_secret=(store or hero).former,
        scopes=MappingProxyType(dict(sources.scopes)),
        limits=sources.limits,
        quotas=sources.quotas,
        manager=manager,
        warnings=tuple(dict.fromkeys(warnings)),
        **values,
    )


def _choose_binds(sources: SettingSources, uid: int, manager: ServiceManager, warnings: list[str]) -> tuple[Bind, ...]:
    found, port = sources.find("bind"), sources.find("port")
    if found.origin == "default":
        if not manager.sockets:
            return default_binds(sources.environ, uid=uid, port=port.value)
        if port.origin != "default":
            warnings.append(
                f"{port.where} applies to the default addresses only, and sockets were passed (LISTEN_FDS)."
            )
        return manager.sockets
    if port.origin != "default":
        _check_port(port, found, warnings)
    binds = tuple(bind for text in found.value for bind in parse_binds(text, where=found.where))
    if not binds:
        raise SettingsError(f"{found.where}: found no address, expected at least one.")
    seen: set[object] = set()
    for bind in binds:
        key = bind.path if isinstance(bind, UnixBind) else bind
        if key in seen and not (isinstance(bind, TcpBind) and bind.port == 0):
            raise SettingsError(f"{found.where}: {bind} is listed twice: keep one.")
        seen.add(key)
    return binds


def _check_paths(binds: tuple[Bind, ...], values: Mapping[str, object]) -> None:
    """Refuse paths from XDG variables and the like that neither a log nor an answer can name."""
    sockets = [bind.path for bind in binds if isinstance(bind, UnixBind)]
    for path in (*sockets, *(value for value in values.values() if isinstance(value, Path))):
        if not str(path).isprintable():
            raise SettingsError(
                f"{str(path)!r} contains a character that is not UTF-8 or cannot be printed: choose other paths with "
                "--config, --store and --bind."
            )


def _check_port(port: FoundSetting, binds: FoundSetting, warnings: list[str]) -> None:
    """Refuse a port that other addresses leave without effect; only warn if what names them takes precedence.

    Raises:
        SettingsError: the port comes from the same source as the addresses, or from one that takes precedence.
    """
    why = f"{port.where} applies to the default addresses only, and {binds.where} replaces them"
    if ORIGINS.index(port.origin) <= ORIGINS.index(binds.origin):
        raise SettingsError(f"{why}: add 127.0.0.1:{port.value} to the addresses, or remove one of the two settings.")
    warnings.append(f"{why}.")


def _check_proxies(found: FoundSetting, proxies: TrustedProxies, warnings: list[str]) -> None:
    if proxies.has_loopback:
        warnings.append(
            f"{found.where} trusts a loopback address, from which every local user can claim any client's address: let "
            "the proxy use the Unix socket, and name its uid."
        )


def _check_tls(sources: SettingSources, binds: tuple[Bind, ...], warnings: list[str]) -> None:
    cert, key = sources.find("tls_cert"), sources.find("tls_key")
    if (cert.value is None) != (key.value is None):
        given, missing = (cert, "--tls-key") if key.value is None else (key, "--tls-cert")
        raise SettingsError(f"{given.where} is given without {missing}: give both or neither.")
    tcp = [bind for bind in binds if isinstance(bind, TcpBind)]
    insecure = sources.find("insecure")
    if cert.value is None:
        _check_reach(tcp, warnings, insecure=insecure.value)
    if insecure.value and (cert.value is not None or all(bind.is_loopback for bind in tcp)):
        why = "TCP uses TLS" if cert.value is not None else "no TCP address beyond loopback is bound"
        warnings.append(f"{insecure.where} has no effect: {why}.")
    if cert.value is None:
        return
    cert_path, key_path = cert.base / cert.value, key.base / key.value
    if "-----BEGIN CERTIFICATE-----" not in load_text(cert_path, where=cert.where).text:
        raise SettingsError(f"{cert.where}: {cert_path} contains no certificate: give a PEM file.")
    file = load_text(key_path, where=key.where)
    if "PRIVATE KEY-----" not in file.text:
        raise SettingsError(f"{key.where}: {key_path} contains no private key: give a PEM file.")
    if "ENCRYPTED" in file.text:
        raise SettingsError(
            f"{key.where}: {key_path} is encrypted, and a daemon cannot ask for the password: decrypt it."
        )
    if file.is_exposed:
        warnings.append(f"{key.where}: every user of this machine can read {key_path}: chmod 600 it.")
    if not any(isinstance(bind, TcpBind | FdBind) for bind in binds):
        warnings.append(f"{cert.where} has no effect: no TCP address is bound.")


def _check_reach(tcp: list[TcpBind], warnings: list[str], *, insecure: bool) -> None:
    for bind in tcp:
        if bind.is_loopback:
            continue
        if not insecure:
            raise SettingsError(clear_text_refusal(str(bind)))
        warnings.append(f"{bind}: secrets are sent unencrypted to and from other machines (--insecure).")


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
        raise SettingsError("HOME is not set, so the store has no default path: set --store sqlite:/path/of/herod.db.")
    return folder / "herod" / "herod.db"


def _host_of(public_url: FoundSetting) -> frozenset[str]:
    """The host of the configured public URL: behind a proxy, clients send it in the Host header."""
    if public_url.value is None:
        return frozenset()
    host = urlsplit(str(public_url.value)).hostname or ""
    return frozenset({f"[{host}]" if ":" in host else host})
