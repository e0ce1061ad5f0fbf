"""What the daemon runs with: the one place that reads the environment, and it reads it once.

`options.py` says what can be set, `binds.py` how an address looks, `sources.py` who said what, `secrets.py` which
secrets are there, `loading.py` what follows from it all. Knows the errors only.
"""

from herod.settings.binds import (
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

__all__ = [
    "LIMITS",
    "OPTIONS",
    "SECRETS",
    "Bind",
    "FdBind",
    "LimitSettings",
    "Settings",
    "TcpBind",
    "UnixBind",
    "default_socket_candidates",
    "load_settings",
    "parse_bind",
    "parse_binds",
]
