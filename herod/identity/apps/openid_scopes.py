"""The scopes of OpenID Connect, which say what an app may learn about an account and give it no power.

They stand beside herod's own in what an app asks for and in what a person granted. The scope graph knows none of them,
so they pass no check.
"""

from collections.abc import Iterable
from typing import Final

__all__ = ["EMAIL", "GROUPS", "OFFLINE_ACCESS", "OPENID", "OPENID_SCOPES", "PROFILE", "openid_scopes_of"]

OPENID: Final = "openid"
PROFILE: Final = "profile"
EMAIL: Final = "email"
GROUPS: Final = "groups"
OFFLINE_ACCESS: Final = "offline_access"
OPENID_SCOPES: Final = (OPENID, PROFILE, EMAIL, GROUPS, OFFLINE_ACCESS)


def openid_scopes_of(names: Iterable[str]) -> tuple[str, ...]:
    """Those of the names that are OpenID Connect's, each once and in their usual order."""
    given = frozenset(names)
    return tuple(name for name in OPENID_SCOPES if name in given)
