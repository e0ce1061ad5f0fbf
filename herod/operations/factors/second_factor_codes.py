"""Codes that complete a sign-in by password: those of an authenticator app, and recovery codes. Each works once.

The password is checked first, always: to a wrong one, and for an unknown email, the answer is the same as for an
account without a second factor.
"""

from typing import Annotated, Final

import msgspec

from herod.audit_event import AuditEvent
from herod.credentials.factors.recovery_codes import normal_recovery_code
from herod.credentials.factors.totp import TOTP_DIGITS, totp_step
from herod.credentials.secret_hashes import hash_secret, matches
from herod.identity.people.second_factors import MFA, has_second_factor
from herod.pipeline.operation_definition import Context
from herod.pipeline.parameters.parameter_annotations import NormalForm
from herod.records import Account, Passkey, RecoveryCodes, TotpFactor
from herod.scopes.principal import AuthMethod
from herod.store.store_interface import Reader, Writer
from herod.throttle.rules import Attempt, second_factor_guess
from herod_client.core.errors import BadCredentials, SecondFactorMissing, SecondFactorNeeded

__all__ = [
    "EXAMPLE_OTP",
    "OTP",
    "PWD",
    "OneTimeCode",
    "check_code",
    "code_guess_at",
    "hash_recovery_code",
    "is_app_code",
    "second_factor_missing",
    "second_factor_needed",
]

# Authentication method references (RFC 8176).
PWD: Final = "pwd"  # noqa: S105 - the name of a method
OTP: Final = "otp"
EXAMPLE_OTP: Final = "492039"
# Longer than any code, however it is typed.
MAX_CODE_CHARS: Final = 64

OneTimeCode = Annotated[
    str,
    msgspec.Meta(
        description="six digits of the account's authenticator app, or a recovery code; each works once",
        extra_json_schema={"format": "password", "maxLength": MAX_CODE_CHARS},
    ),
    NormalForm(None, "read as digits or as a recovery code"),
]


def is_app_code(text: str) -> bool:
    """Whether it has the form of an authenticator app's code."""
    digits = _digits(text)
    return len(digits) == TOTP_DIGITS and digits.isascii() and digits.isdigit()


def code_guess_at(reader: Reader, context: Context, account: Account | None, otp: str | None) -> Attempt | None:
    """The guess that a code is, if one is needed and given; for `then_limit`."""
    if account is None or not otp or not has_second_factor(reader, account.id):
        return None
    return second_factor_guess(account.id, context.source)


def check_code(tx: Writer, context: Context, account: Account, otp: str) -> tuple[str, ...]:
    """Use up a code, and return how the person has proved who they are.

    Raises:
        BadCredentials: it is wrong, or was used.
    """
    is_right = False
    if len(otp) <= MAX_CODE_CHARS:
        is_right = (
            _use_app_code(tx, context, account, otp) if is_app_code(otp) else _use_recovery(tx, context, account, otp)
        )
    if not is_right:
        context.runtime.counters["wrong_codes"] += 1
        raise BadCredentials("This code is wrong or was used: wait for the next one.", reason="wrong_code")
    return (PWD, OTP, MFA)


def second_factor_needed(reader: Reader, account: Account, pending: str = "") -> SecondFactorNeeded:
    """The error for a right password whose account has a second factor.

    Args:
        pending: the sign-in so far, for herod's own page.
    """
    return SecondFactorNeeded(
        "This account has a second factor: send a code of its authenticator app, or a recovery code, as otp. With a "
        "passkey, sign in in a browser.",
        pending=pending,
        has_app=reader.get(TotpFactor, account.id) is not None,
        has_passkey=reader.count_owned(Passkey, account.id, limit=1) > 0,
    )


def second_factor_missing(context: Context) -> SecondFactorMissing:
    """The error for a right password whose account must have a second factor, and has none."""
    return SecondFactorMissing(
        "This account must have a second factor, and has none yet: sign in in a browser to set one up: "
        f"{context.runtime.config.public_url}."
    )


def hash_recovery_code(context: Context, account_id: str, code: str) -> bytes:
    """What is kept of a recovery code."""
    return hash_secret(context.runtime.keyring, "recovery", account_id, code)


def _use_app_code(tx: Writer, context: Context, account: Account, otp: str) -> bool:
    factor = tx.get(TotpFactor, account.id)
    if factor is None:
        return False
    step = totp_step(factor.secret, _digits(otp), now=context.now, after=factor.used_step)
    if step is None:
        return False
    tx.put(msgspec.structs.replace(factor, used_step=step))
    return True


def _use_recovery(tx: Writer, context: Context, account: Account, otp: str) -> bool:
    code, kept = normal_recovery_code(otp), tx.get(RecoveryCodes, account.id)
    if code is None or kept is None:
        return False
    computed = hash_recovery_code(context, account.id, code)
    left = tuple(one for one in kept.hashes if not matches(one, computed))
    if len(left) == len(kept.hashes):
        return False
    tx.put(msgspec.structs.replace(kept, hashes=left))
    tx.audit(
        AuditEvent(
            at=context.now,
            actor=account.id,
            method=AuthMethod.PASSWORD,
            source=context.source.label,
            operation="recovery.use",
            outcome="ok",
            target=account.id,
        )
    )
    return True


def _digits(text: str) -> str:
    """A code without the spaces that apps show in it."""
    return "".join(text.split())
