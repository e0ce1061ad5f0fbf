"""What people sign in with besides a password: passkeys, authenticator apps, recovery codes.

None of them is exported: a passkey belongs to the public URL's host, and an app's secret and recovery codes work with
one herod alone. Who moves to another herod enrols there.
"""

from typing import ClassVar

from herod.records.record import Record

__all__ = ["Passkey", "RecoveryCodes", "TotpFactor", "UsedChallenge"]


class Passkey(Record, frozen=True, kw_only=True):
    """A WebAuthn credential of an account: WebAuthn 3, section 4, "credential record".

    `id` is made of the credential id (`credentials/factors/passkeys.py`), so two accounts cannot have the same passkey.

    Attributes:
        account: the account's id.
        name: by which its owner recognizes it.
        credential: the credential id that its authenticator chose; at most 1023 bytes.
        public_key: a COSE_Key (RFC 9052), in CBOR.
        counter: the signature counter of its last use; authenticators that do not count leave it 0.
        transports: how browsers may reach it, in their own words.
        is_synced: it may be copied to other devices of its owner (the flag "backup eligible").
        is_backed_up: it is (the flag "backup state").
        used_at: when it last signed somebody in, in Unix seconds.
        used_from: from where, as in the audit log.
        host: of the public URL when it was set up: browsers offer it there alone. Empty: it was set up before herod
            noted that.
    """

    kind: ClassVar[str] = "passkey"
    is_followed: ClassVar[bool] = False

    account: str
    name: str
    credential: bytes
    public_key: bytes
    counter: int = 0
    transports: tuple[str, ...] = ()
    is_synced: bool = False
    is_backed_up: bool = False
    used_at: int | None = None
    used_from: str = ""
    host: str = ""

    @property
    def owner_id(self) -> str:
        """The account."""
        return self.account


class TotpFactor(Record, frozen=True, kw_only=True):
    """An authenticator app (RFC 6238). `id` is the account's id: an account has at most one.

    Attributes:
        secret: shared with the app.
        used_step: the time step of the last code that was accepted: it and all earlier ones are refused.
    """

    kind: ClassVar[str] = "totp"
    is_followed: ClassVar[bool] = False

    secret: bytes
    used_step: int

    @property
    def owner_id(self) -> str:
        """The account."""
        return self.id


class RecoveryCodes(Record, frozen=True, kw_only=True):
    """The unused recovery codes of an account. `id` is the account's id; `created_at` is when they were shown.

    Attributes:
        hashes: HMACs of the codes.
    """

    kind: ClassVar[str] = "recovery"
    is_followed: ClassVar[bool] = False

    hashes: tuple[bytes, ...]

    @property
    def owner_id(self) -> str:
        """The account."""
        return self.id


class UsedChallenge(Record, frozen=True, kw_only=True):
    """A challenge that a passkey has answered, until it expires: it is not accepted again. `id` is its HMAC, in hex."""

    kind: ClassVar[str] = "challenge"
    is_followed: ClassVar[bool] = False
