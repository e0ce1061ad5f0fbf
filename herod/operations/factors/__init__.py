"""Second factors: passkeys, authenticator apps and recovery codes, and what signs in with them."""

from herod.operations.factors.second_factor_codes import (
    PWD,
    OneTimeCode,
    check_code,
    code_guess_at,
    second_factor_missing,
    second_factor_needed,
)
from herod.operations.factors.unfinished_sign_ins import seal_sign_in

__all__ = [
    "PWD",
    "OneTimeCode",
    "check_code",
    "code_guess_at",
    "seal_sign_in",
    "second_factor_missing",
    "second_factor_needed",
]
