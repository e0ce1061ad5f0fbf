"""The daemon's settings: the only code that reads the environment, and it reads it once.

`settings_table.py` lists the settings, `bind_addresses.py` parses addresses, `setting_sources.py` finds each value and
its source, `secret_settings.py` loads the secrets, `systemd_sockets_and_watchdog.py` reads what systemd passes on, and
`settings_loader.py` puts it all together. Depends on the error classes only.
"""

from herod.settings.bind_addresses import (
    Bind,
    FdBind,
    TcpBind,
    UnixBind,
    parse_bind,
    parse_binds,
)
from herod.settings.secret_settings import MIN_SECRET, load_new_secret, load_old_secret
from herod.settings.settings_loader import load_settings
from herod.settings.settings_table import (
    LIMITS,
    OPTIONS,
    QUOTAS,
    RELOADED,
    SECRETS,
    LimitSettings,
    QuotaSettings,
    Settings,
)
from herod.settings.systemd_sockets_and_watchdog import MANAGER_VARIABLES, ServiceManager

__all__ = [
    "LIMITS",
    "MANAGER_VARIABLES",
    "MIN_SECRET",
    "OPTIONS",
    "QUOTAS",
    "RELOADED",
    "SECRETS",
    "Bind",
    "FdBind",
    "LimitSettings",
    "QuotaSettings",
    "ServiceManager",
    "Settings",
    "TcpBind",
    "UnixBind",
    "load_new_secret",
    "load_old_secret",
    "load_settings",
    "parse_bind",
    "parse_binds",
]
