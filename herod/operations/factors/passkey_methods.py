"""How a passkey proves who somebody is, in the words of RFC 8176."""

from typing import Final

from herod.identity.people.second_factors import MFA
from herod.records import Passkey

__all__ = ["methods_of"]

# A key that never leaves its device, and one that is copied between the devices of its owner.
DEVICE_KEY: Final = "hwk"
SYNCED_KEY: Final = "swk"
USER: Final = "user"  # present; verified by a PIN or a fingerprint, which makes it more than one factor


def methods_of(passkey: Passkey) -> tuple[str, ...]:
    """The authentication method references of a sign-in with this passkey."""
    return (SYNCED_KEY if passkey.is_synced else DEVICE_KEY, USER, MFA)
