"""What the daemon runs with: the one place that reads the environment, and it reads it once.

`settings_table.py` says what can be set, `bind_addresses.py` how an address looks, `setting_sources.py` who said what,
`secret_settings.py` which secrets are there, `systemd_sockets_and_watchdog.py` what systemd passes on,
`settings_loader.py` what follows from it all. Knows the errors only.
"""

from herod.settings.bind_addresses import (
    Bind,
    FdBind,
    TcpBind,
    UnixBind,
    default_socket_candidates,
    parse_bind,
    parse_binds,
)
from herod.settings.secret_settings import MIN_SECRET, load_new_secret, load_old_secret
from herod.settings.settings_loader import load_settings
from herod.settings.settings_table import LIMITS, OPTIONS, RELOADED, SECRETS, LimitSettings, Settings
from herod.settings.systemd_sockets_and_watchdog import MANAGER_VARIABLES, ServiceManager

__all__ = [
    "LIMITS",
    "MANAGER_VARIABLES",
    "MIN_SECRET",
    "OPTIONS",
    "RELOADED",
    "SECRETS",
    "Bind",
    "FdBind",
    "LimitSettings",
    "ServiceManager",
    "Settings",
    "TcpBind",
    "UnixBind",
    "default_socket_candidates",
    "load_new_secret",
    "load_old_secret",
    "load_settings",
    "parse_bind",
    "parse_binds",
]
