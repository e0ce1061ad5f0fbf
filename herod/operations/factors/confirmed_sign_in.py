"""The second step of signing a browser in: a code, after the right password."""

from typing import Final

from herod.identity.effective_principals import account_principal
from herod.operations.factors.second_factor_codes import EXAMPLE_OTP, OneTimeCode, check_code
from herod.operations.factors.unfinished_sign_ins import Sealed, account_of_sign_in
from herod.operations.sessions import OpenedSession, Opening, open_session
from herod.pipeline.operation_definition import Context, NoTarget, Surface, command
from herod.records import Session
from herod.scopes.decisions import Access
from herod.scopes.principal import AuthMethod
from herod.store.store_interface import Reader, Writer
from herod.throttle.rules import Attempt, second_factor_guess
from herod_client.core.errors import BadCredentials

__all__ = ["session_confirm"]

SIGN_IN_OVER: Final = "Signing in took too long: begin again."


class ConfirmSignIn(Opening, frozen=True, kw_only=True):
    """The sign-in so far, and a code of the account's second factor."""

    pending: Sealed
    otp: OneTimeCode


def _guess_confirmation(reader: Reader, context: Context, params: ConfirmSignIn) -> Attempt:
    account = account_of_sign_in(reader, context.runtime, params.pending, context.now)
    if account is None:
        raise BadCredentials(SIGN_IN_OVER, reason="sign_in_over")
    context.target = account.id
    return second_factor_guess(account.id, context.source)


@command(
    "session.confirm",
    credential=True,
    gives=Session,
    counts=("sign_ins",),
    issues=True,
    needs=Access.PUBLIC,
    target=NoTarget("opens a new session"),
    example={"pending": "A" * 64, "otp": EXAMPLE_OTP},
    surfaces=frozenset({Surface.DASHBOARD}),
    limit=_guess_confirmation,
    failures=(BadCredentials,),
)
def session_confirm(tx: Writer, context: Context, params: ConfirmSignIn) -> OpenedSession:
    """Sign a browser in whose password was right, with a code of the account's second factor."""
    account = account_of_sign_in(tx, context.runtime, params.pending, context.now)
    if account is None:
        raise BadCredentials(SIGN_IN_OVER, reason="sign_in_over")
    context.principal = account_principal(context.runtime, account, AuthMethod.PASSWORD)
    amr = check_code(tx, context, account, params.otp)
    opening = Opening(browser=params.browser, former=params.former)
    return open_session(tx, context, context.principal, opening, amr=amr)
