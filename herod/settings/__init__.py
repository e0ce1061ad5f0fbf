"""What the daemon runs with: the one place that reads the environment, and it reads it once.

`options.py` says what can be set, `bind_addresses.py` how an address looks, `precedence.py` who said what,
`startup_secrets.py` which secrets are there, `service_manager.py` what systemd passes on, `loading.py` what follows
from it all. Knows the errors only.
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
from herod.settings.loading import Settings, load_settings
from herod.settings.options import LIMITS, OPTIONS, SECRETS, LimitSettings
from herod.settings.service_manager import MANAGER_VARIABLES, ServiceManager
from herod.settings.startup_secrets import MIN_SECRET, load_new_secret, load_old_secret

__all__ = [
    "LIMITS",
    "MANAGER_VARIABLES",
    "MIN_SECRET",
    "OPTIONS",
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
