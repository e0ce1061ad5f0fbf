"""Form fields for scopes, networks and expiry. Forms offer what the visitor may grant; the operations decide."""

from collections.abc import Mapping
from typing import Final

from herod.dashboard.pipeline_gateway import NULL, Gateway, Null, texts, words
from herod_client.core.errors import InvalidRequest
from herod_client.core.times import DAY, rfc3339_text

__all__ = ["ENDS", "end_of", "given_networks", "given_scope", "scopes_to_give", "ticked"]

# The lifetimes of a new key that the form offers.
ENDS: Final = (
    ("30", "In 30 days"),
    ("90", "In 90 days"),
    ("365", "In a year"),
    ("date", "On a date, below"),
    ("never", "Never"),
)


def scopes_to_give(gateway: Gateway, scope: str) -> list[str]:
    """Each scope that `scope` includes, widest first."""
    graph = gateway.pipeline.runtime.config.graph
    mask = graph.mask(tuple(scope.split()))
    return [name for name in graph.scopes if graph.bit(name) & mask]


def ticked(fields: Mapping[str, str] | None) -> list[str]:
    """The scopes whose boxes are ticked."""
    return texts(fields or {}, "scope")


def given_scope(fields: Mapping[str, str]) -> str:
    """The scope of the ticked boxes.

    Raises:
        InvalidRequest: none is ticked.
    """
    names = ticked(fields)
    if not names:
        raise InvalidRequest("Tick at least one scope.")
    return " ".join(names)


def given_networks(fields: Mapping[str, str]) -> list[str] | None:
    """The networks in the form; None if there are none.

    Raises:
        InvalidRequest: there are too many.
    """
    return words(fields.get("networks", "")) or None


def end_of(fields: Mapping[str, str], *, now: int) -> str | Null:
    """When a key expires, as operations take it: RFC 3339, a date, or `NULL` for never.

    Raises:
        InvalidRequest: it is not a choice of the form, or there is no date.
    """
    choice = fields.get("ends", "")
    if choice == "never":
        return NULL
    if choice == "date":
        day = fields.get("until", "").strip()
        if not day:
            raise InvalidRequest("Give the date on which the key expires, like 2030-01-31.")
        return day
    if choice not in dict(ENDS):
        raise InvalidRequest("Choose when the key expires.")
    return rfc3339_text(now + int(choice) * DAY)
