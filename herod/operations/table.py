"""The table: every operation there is, by name. Protocols, documents and the matrix test are made from it."""

from collections.abc import Mapping
from types import MappingProxyType, ModuleType
from typing import Final

from herod.operations import (
    accounts,
    backups,
    explain,
    key_changes,
    keys,
    metrics,
    passwords,
    peers,
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
    accounts,
    passwords,
    keys,
    key_changes,
    supervisor,
    peers,
    explain,
    sessions,
    backups,
    metrics,
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
