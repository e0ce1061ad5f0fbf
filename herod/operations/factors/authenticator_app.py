"""Setting up an authenticator app (TOTP), and recovery codes: by a person, for their own account.

`totp.begin` makes a secret and stores nothing; `totp.enable` stores it once the app has shown a right code. The secret
travels sealed in between, so that it can only be one that herod made, for this account.
"""

from typing import Annotated

import msgspec

from herod.credentials.factors.totp import new_totp_secret, totp_address, totp_secret_text, totp_step
from herod.identity.people.persons import RECENT_SECONDS
from herod.identity.people.second_factors import has_second_factor
from herod.operations.factors.factor_state import (
    OWN_ACCOUNT,
    Factors,
    SetUp,
    after_last,
    factors_view,
    new_codes,
    own_account,
    set_up,
)
from herod.operations.factors.second_factor_codes import EXAMPLE_OTP, OTP, OneTimeCode
from herod.operations.factors.unfinished_sign_ins import MAX_SEALED_CHARS, open_setup, seal_setup
from herod.pipeline.operation_definition import Context, GivesNothing, NoParams, Params, command, query
from herod.pipeline.parameters.parameter_annotations import SecretText
from herod.pipeline.parameters.parameter_types import AS_IT_IS
from herod.pipeline.result_views import hide_values
from herod.records import Account, TotpFactor
from herod.scopes.decisions import Access
from herod.store.store_interface import Reader, Writer
from herod_client.core.errors import BadCredentials, Conflict

__all__ = ["recovery_renew", "totp_begin", "totp_disable", "totp_enable"]

ISSUER = "herod"

Setup = Annotated[
    str,
    msgspec.Meta(description="`setup` of the answer to totp.begin", extra_json_schema={"maxLength": MAX_SEALED_CHARS}),
    AS_IT_IS,
]


class BeginTotp(Params, frozen=True, kw_only=True):
    """`setup` shows the same secret again."""

    setup: Setup | None = None


class TotpSetup(msgspec.Struct, frozen=True):
    """The secret to enter into an app, as text and as an `otpauth:` address; `setup` is for totp.enable."""

    __repr__ = hide_values

    secret: SecretText
    address: SecretText
    setup: SecretText


class EnableTotp(Params, frozen=True, kw_only=True):
    """What totp.begin answered, and the code that the app shows."""

    setup: Setup
    otp: OneTimeCode


class NewCodes(msgspec.Struct, frozen=True):
    """Ten recovery codes, shown once. Earlier ones do not work any more."""

    __repr__ = hide_values

    recovery_codes: list[SecretText]


@query(
    "totp.begin",
    needs=Access.AUTHENTICATED,
    person=RECENT_SECONDS,
    enrols=True,
    example={},
    http=("POST /api/v1/account/totp/begin",),
)
def totp_begin(reader: Reader, context: Context, params: BeginTotp) -> TotpSetup:
    """Make a secret for an authenticator app. Nothing changes until totp.enable."""
    account, runtime = own_account(reader, context), context.runtime
    known = None if params.setup is None else open_setup(runtime, account, params.setup, context.now)
    secret = known or new_totp_secret()
    return TotpSetup(
        secret=totp_secret_text(secret),
        address=totp_address(secret, account=account.email or account.name, issuer=ISSUER),
        setup=params.setup if known and params.setup else seal_setup(runtime, account, secret, context.now),
    )


@command(
    "totp.enable",
    credential=True,
    gives=GivesNothing("a code opens nothing without the password"),
    issues=True,
    needs=Access.AUTHENTICATED,
    person=RECENT_SECONDS,
    enrols=True,
    target=OWN_ACCOUNT,
    example={"setup": "A" * 64, "otp": EXAMPLE_OTP},
    http=("POST /api/v1/account/totp",),
    failures=(BadCredentials, Conflict),
)
def totp_enable(tx: Writer, context: Context, params: EnableTotp, account: Account) -> SetUp:
    """Set up an authenticator app instead of the one before. From then on, the password alone signs nobody in.

    With the account's first second factor, its other browsers are signed out.
    """
    secret = open_setup(context.runtime, account, params.setup, context.now)
    if secret is None:
        raise BadCredentials("Setting up took too long: begin again.", reason="setup_over")
    step = totp_step(secret, "".join(params.otp.split()), now=context.now, after=-1)
    if step is None:
        raise BadCredentials(
            "This code is wrong: enter the current one. If it is refused again, the clocks of the app and of herod "
            "differ.",
            reason="wrong_code",
        )
    known = tx.get(TotpFactor, account.id)
    if known is not None and known.secret == secret:
        raise Conflict("This authenticator app is set up already.", reason="totp_exists")
    is_first = not has_second_factor(tx, account.id)
    tx.put(TotpFactor(id=account.id, created_at=context.now, secret=secret, used_step=step))
    return set_up(tx, context, account, account.id, (OTP,), is_first=is_first)


@command(
    "totp.disable",
    credential=True,
    gives=GivesNothing("takes a way to sign in away"),
    needs=Access.AUTHENTICATED,
    person=RECENT_SECONDS,
    target=OWN_ACCOUNT,
    example={},
    http=("DELETE /api/v1/account/totp",),
    failures=(Conflict,),
)
def totp_disable(tx: Writer, context: Context, params: NoParams, account: Account) -> Factors:
    """Remove the authenticator app. With the last second factor, the recovery codes go too."""
    if not tx.delete(TotpFactor, account.id):
        raise Conflict("This account has no authenticator app.", reason="no_totp")
    after_last(tx, context, account)
    return factors_view(tx, context, account)


@command(
    "recovery.renew",
    credential=True,
    gives=GivesNothing("a code opens nothing without the password"),
    issues=True,
    needs=Access.AUTHENTICATED,
    person=RECENT_SECONDS,
    target=OWN_ACCOUNT,
    example={},
    http=("POST /api/v1/account/recovery-codes",),
    failures=(Conflict,),
)
def recovery_renew(tx: Writer, context: Context, params: NoParams, account: Account) -> NewCodes:
    """Make ten new recovery codes, which are shown once, instead of the earlier ones."""
    if not has_second_factor(tx, account.id):
        raise Conflict(
            "Recovery codes replace a second factor: set up a passkey or an authenticator app first.",
            reason="no_second_factor",
        )
    return NewCodes(new_codes(tx, context, account))
