"""Filters audit rows: one filter for rows in memory and, as SQL, for rows in a file.

It only compares what the rows contain; `verify_audit` checks whether they are genuine.
"""

from typing import Any

import msgspec

from herod.audit_event import AuditEvent

__all__ = ["AuditFilter"]

WORDS = ("actor", "outcome", "reason", "source", "target")


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """The values that a row must have; None in a field matches every row.

    Attributes:
        operation: a name, or the beginning of names and a star: `keys.*`.
        since: Unix seconds, inclusive.
        until: Unix seconds, exclusive.
    """

    actor: str | None = None
    operation: str | None = None
    outcome: str | None = None
    reason: str | None = None
    source: str | None = None
    target: str | None = None
    since: int | None = None
    until: int | None = None

    @property
    def prefix(self) -> str | None:
        """The required beginning of the operation, if the filter ends in a star."""
        return self.operation[:-1] if self.operation is not None and self.operation.endswith("*") else None

    def matches(self, event: AuditEvent) -> bool:
        """Whether an event passes the filter."""
        for name in WORDS:
            wanted = getattr(self, name)
            if wanted is not None and wanted != getattr(event, name):
                return False
        if self.prefix is not None:
            if not event.operation.startswith(self.prefix):
                return False
        elif self.operation is not None and self.operation != event.operation:
            return False
        return (self.since is None or event.at >= self.since) and (self.until is None or event.at < self.until)

    def sql(self) -> tuple[str, list[Any]]:
        """The filter as conditions on a column `json`, each preceded by AND, and their values."""
        conditions: list[tuple[str, list[Any]]] = [
            (f"json ->> '$.{name}' = ?", [getattr(self, name)]) for name in WORDS if getattr(self, name) is not None
        ]
        if self.prefix is not None:
            conditions.append(("substr(json ->> '$.operation', 1, ?) = ?", [len(self.prefix), self.prefix]))
        elif self.operation is not None:
            conditions.append(("json ->> '$.operation' = ?", [self.operation]))
        if self.since is not None:
            conditions.append(("json ->> '$.at' >= ?", [self.since]))
        if self.until is not None:
            conditions.append(("json ->> '$.at' < ?", [self.until]))
        return "".join(f" AND {text}" for text, _ in conditions), [
            value for _, values in conditions for value in values
        ]
