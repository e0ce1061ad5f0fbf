"""Why a credential is refused, in one word: the `reason` of `POST /validate`, and the same for local verification.

The words tell 401 from 403, and which new credential would help. They say less than the error's own `reason`, which is
for the audit log alone.
"""

from enum import StrEnum
from typing import Final

from herod_client.core.errors import (
    BadToken,
    Disabled,
    ExpiredToken,
    FutureToken,
    HerodError,
    MissingScope,
    NetworkDenied,
    RevokedToken,
)

__all__ = ["OWNER_DISABLED", "ROTATED", "RefusalReason", "refusal_reason"]

# Reasons of errors, which are more precise than their classes.
OWNER_DISABLED: Final = "owner_disabled"
ROTATED: Final = "rotated"


class RefusalReason(StrEnum):
    """Why a token, key or secret is refused.

    - malformed: it is not one of herod's tokens.
    - signature: its signature is not by a key of herod.
    - clock: it was issued in the future: the clocks of two machines differ.
    - audience: it is for another resource, or from another herod.
    - invalid: nobody holds such a key or secret. Only who presents the whole secret of a key is told more.
    - expired: it has expired.
    - revoked: it was revoked, or what it was made with was deleted or changed; this secret of a key was replaced.
    - disabled: the key, or the account of the token, is disabled.
    - owner_disabled: the account that the key belongs to is disabled.
    - scope: it is valid, but does not have the required scope.
    - network: it is valid, but does not reach the required network.
    """

    MALFORMED = "malformed"
    SIGNATURE = "signature"
    CLOCK = "clock"
    AUDIENCE = "audience"
    INVALID = "invalid"
    EXPIRED = "expired"
    REVOKED = "revoked"
    DISABLED = "disabled"
    OWNER_DISABLED = "owner_disabled"
    SCOPE = "scope"
    NETWORK = "network"


# A precise reason of an error → the word for it; of all others the class decides.
_BY_REASON: Final = {
    "signature": RefusalReason.SIGNATURE,
    "audience": RefusalReason.AUDIENCE,
    OWNER_DISABLED: RefusalReason.OWNER_DISABLED,
    ROTATED: RefusalReason.REVOKED,
}
_BY_CLASS: Final = (
    (FutureToken, RefusalReason.CLOCK),
    (BadToken, RefusalReason.MALFORMED),
    (ExpiredToken, RefusalReason.EXPIRED),
    (RevokedToken, RefusalReason.REVOKED),
    (Disabled, RefusalReason.DISABLED),
    (MissingScope, RefusalReason.SCOPE),
    (NetworkDenied, RefusalReason.NETWORK),
)


def refusal_reason(error: HerodError) -> RefusalReason:
    """The reason that may be told for a credential that was refused with `error`."""
    precise = _BY_REASON.get(error.reason)
    if precise is not None:
        return precise
    return next((reason for kind, reason in _BY_CLASS if isinstance(error, kind)), RefusalReason.INVALID)
