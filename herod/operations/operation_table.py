"""The table: every operation there is, by name. Protocols, documents and the matrix test are made from it."""

from collections.abc import Mapping
from types import MappingProxyType, ModuleType
from typing import Final

from herod.operations import (
    accounts,
    audit,
    backups,
    explain,
    feed,
    first_admin,
    introspection,
    key_changes,
    keys,
    legacy,
    metrics,
    overview,
    passwords,
    peers,
    resource_counts,
    resources,
    session_codes,
    session_list,
    sessions,
    signin,
    supervisor,
    system,
    tokens,
)
from herod.operations.registry import Operation

__all__ = ["OPERATIONS"]

MODULES: Final[tuple[ModuleType, ...]] = (
    system,
    signin,
    tokens,
    introspection,
    feed,
    accounts,
    passwords,
    keys,
    key_changes,
    supervisor,
    peers,
    resources,
    resource_counts,
    explain,
    sessions,
    session_codes,
    session_list,
    first_admin,
    audit,
    legacy,
    backups,
    metrics,
    overview,
)


def _collect() -> Mapping[str, Operation]:
    found: dict[str, Operation] = {}
    for module in MODULES:
        for name in module.__all__:
            value = getattr(module, name)
            if isinstance(value, Operation):
                if value.name in found:
                    raise TypeError(f"two operations are called {value.name}")
                found[value.name] = value
    return MappingProxyType(found)


OPERATIONS: Final = _collect()
