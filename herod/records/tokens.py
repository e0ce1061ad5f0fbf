"""What herod keeps about tokens, none of which are stored themselves."""

from typing import ClassVar

from herod.records.record import Record

__all__ = ["Revocation", "SigningKeyRecord"]


class Revocation(Record, frozen=True, kw_only=True):
    """A revoked token, or family of tokens. `id` is `sub/jti`; the record is purged once the token has expired.

    Attributes:
        jti: the token's id, or the id of the family, all of whose tokens it ends.
        epoch: the token's epoch: once its subject has another one, the record is not needed. None: unknown.
        delegation: the id of the delegation of an app's token: an app can fill only its own delegation's share.
    """

    kind: ClassVar[str] = "revocation"

    subject: str
    jti: str
    epoch: int | None = None
    delegation: str | None = None

    @property
    def owner_id(self) -> str:
        """The subject of the token, or the delegation of an app's."""
        return self.subject if self.delegation is None else self.delegation


class SigningKeyRecord(Record, frozen=True, kw_only=True):
    """A key that signs or has signed tokens. `id` is its `kid`; `expires_at` is its hard stop, None while it signs.

    Attributes:
        algorithm: HS256, EdDSA, RS256 or ES256.
        private: 32 bytes for EdDSA, PKCS #8 in DER for RS256 and ES256, a former HERO_SECRET for HS256, and nothing for
            the current one.
        for_apps: it signs what others verify with a public key: id_tokens, and tokens for resources other than herod.
    """

    kind: ClassVar[str] = "signing"

    algorithm: str
    private: bytes
    for_apps: bool = False
