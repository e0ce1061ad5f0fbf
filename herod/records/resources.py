"""Resources that services claim for their tenants."""

from typing import ClassVar

from herod.records.record import Record

__all__ = ["Resource", "ResourceTally", "resource_owner"]


class Resource(Record, frozen=True, kw_only=True):
    """A resource that a service has claimed for a tenant, who is known by a secret. `id` is the sid.

    Attributes:
        claimant: the principal that claimed it: an account, service key or peer rule; it may no longer exist.
        type: the sort of resource, in the claimant's words. Users call it the resource's kind.
        secret: the hash, in hex, of the tenant's secret, which owns the resource; empty: everyone for whom the claimant
            asks.
        attributes: a JSON object, as text.
        counted: it is part of its claimant's `ResourceTally`; older ones are not.
    """

    kind: ClassVar[str] = "resource"
    hides_owner: ClassVar[bool] = True

    claimant: str
    type: str
    secret: str
    name: str
    attributes: bytes
    counted: bool = False

    @property
    def lookup(self) -> tuple[str, ...]:
        """By everything that the caller must know: a mismatch in any part costs the same work and finds nothing."""
        return ("sid", self.id, self.claimant, self.secret)

    @property
    def owner_id(self) -> str:
        """The group of resources that one secret owns of one type at one claimant."""
        return resource_owner(self.type, self.claimant, self.secret)


def resource_owner(type: str, claimant: str, secret: str) -> str:
    """The owner column of the resources of one type, claimant and secret; the encoding is unambiguous."""
    return "".join(f"{len(word)}:{word}" for word in (type, claimant, secret))


class ResourceTally(Record, frozen=True, kw_only=True):
    """The number of resources of one claimant, whose id it has: no index counts them, as their owner is hidden."""

    kind: ClassVar[str] = "resource_tally"
    is_followed: ClassVar[bool] = False

    number: int
