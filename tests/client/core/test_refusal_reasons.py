"""The public reason of each error that refuses a credential."""

import pytest

from herod_client.core.errors import (
    BadCredentials,
    BadToken,
    Disabled,
    ExpiredToken,
    FutureToken,
    HerodError,
    MissingScope,
    NetworkDenied,
    RevokedToken,
    Unauthenticated,
)
from herod_client.core.refusal_reasons import OWNER_DISABLED, ROTATED, refusal_reason


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (BadToken("x", reason="malformed"), "malformed"),
        (BadToken("x"), "malformed"),
        (BadToken("x", reason="signature"), "signature"),
        (BadToken("x", reason="audience"), "audience"),
        (FutureToken("x", begins=9), "clock"),
        (ExpiredToken("x"), "expired"),
        (ExpiredToken("x", reason="session_over"), "expired"),
        (RevokedToken("x"), "revoked"),
        (BadCredentials("x", reason=ROTATED), "revoked"),
        (Disabled("x"), "disabled"),
        (Disabled("x", reason=OWNER_DISABLED), "owner_disabled"),
        (BadCredentials("x"), "invalid"),
        (BadCredentials("x", reason="malformed"), "invalid"),
        (BadCredentials("x", reason="wrong_secret"), "invalid"),
        (Unauthenticated("x"), "invalid"),
        (MissingScope("x", missing="write"), "scope"),
        (NetworkDenied("x", missing="lab"), "network"),
    ],
    ids=repr,
)
def test_each_error_has_a_reason(error: HerodError, expected: str) -> None:
    """The class decides, unless the error is more precise; what nobody may know is `invalid`."""
    assert refusal_reason(error) == expected
