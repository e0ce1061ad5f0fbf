"""Rules for local processes."""

from typing import ClassVar

from herod.records.record import Record

__all__ = ["PeerRule"]


class PeerRule(Record, frozen=True, kw_only=True):
    """What a local uid or gid may do without another credential.

    Attributes:
        subject: `uid:1000` or `gid:1000`.
        epoch: as an account's; changed only when all tokens are ended at once.
    """

    kind: ClassVar[str] = "peer"
    is_unique: ClassVar[bool] = True

    subject: str
    creator: str
    scope: tuple[str, ...]
    networks: tuple[str, ...]
    epoch: int = 0

    @property
    def lookup(self) -> tuple[str, ...]:
        """By uid or gid."""
        return ("peer", self.subject)
