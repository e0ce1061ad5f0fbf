"""What herod keeps about tokens, none of which are stored themselves."""

from typing import ClassVar

from herod.records.record import Record

__all__ = ["Revocation", "SigningKeyRecord"]


class Revocation(Record, frozen=True, kw_only=True):
    """A revoked token. `id` is `sub/jti`; the record is purged once the token has expired.

    Attributes:
        epoch: the token's epoch: once its subject has another one, the record is not needed. None: unknown.
    """

    kind: ClassVar[str] = "revocation"

    subject: str
    jti: str
    epoch: int | None = None

    @property
    def owner_id(self) -> str:
        """The subject of the token."""
        return self.subject


class SigningKeyRecord(Record, frozen=True, kw_only=True):
    """A key that signs or has signed tokens. `id` is its `kid`; `expires_at` is its hard stop, None while it signs."""

    kind: ClassVar[str] = "signing"

    algorithm: str
    private: bytes
