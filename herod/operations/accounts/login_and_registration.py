"""Sign-in with an email and a password, for programs and browsers, and registration."""

from dataclasses import dataclass, field
from typing import Annotated

import msgspec

from herod.credentials.passwords import DECOY_PHC, hash_password, line_end_note, needs_rehash, verify_password
from herod.identity.effective_principals import account_principal
from herod.identity.people.second_factors import has_second_factor, must_have_second_factor
from herod.operations.accounts.account_creation import account_with_secret, check_accounts, hashing
from herod.operations.factors import (
    PWD,
    OneTimeCode,
    check_code,
    code_guess_at,
    seal_sign_in,
    second_factor_missing,
    second_factor_needed,
)
from herod.operations.sessions import BrowserFamily, OpenedSession, Opening, open_session
from herod.operations.tokens import issue_token
from herod.pipeline.operation_definition import (
    Context,
    GivesNothing,
    NoTarget,
    Params,
    Surface,
    Work,
    command,
)
from herod.pipeline.parameters.email_addresses import counted_email, find_by_email
from herod.pipeline.parameters.parameter_annotations import SecretText
from herod.pipeline.parameters.parameter_types import (
    IN_ANY_SPELLING,
    AccountName,
    CurrentPassword,
    Email,
    NewPassword,
    Verbatim,
)
from herod.pipeline.result_views import TokenAnswer
from herod.records import Account, Session
from herod.scopes.decisions import Access
from herod.scopes.principal import AuthMethod, Principal
from herod.store.store_interface import Reader, Writer
from herod.throttle.rules import Attempt, guess_at, registration
from herod_client.core.errors import BadCredentials, Conflict, PermissionDenied, SecondFactorMissing, TargetDenied
from herod_client.core.scope_graph import READ

__all__ = ["login", "register", "session_sign_in"]

REFUSED = "Unknown email or wrong password."


class Login(Params, frozen=True, kw_only=True):
    """An email and its password."""

    email: Annotated[
        str,
        msgspec.Meta(description="the account's email address; neither case nor the form of its domain matters"),
        IN_ANY_SPELLING,
    ]
    password: CurrentPassword


class LoginByCode(Login, frozen=True, kw_only=True):
    """An email and its password; `otp` is needed if the account has a second factor."""

    otp: OneTimeCode | None = None


class SignIn(Login, frozen=True, kw_only=True):
    """An email and its password, typed into a browser; the other fields are those of `Opening`."""

    browser: BrowserFamily = "another"
    former: Verbatim | None = None


class LoginAnswer(TokenAnswer, frozen=True, kw_only=True):
    """An access token with the account's full scope, and the account's client_id."""

    client_id: str


class Register(Params, frozen=True, kw_only=True):
    """A password has 12 to 128 characters."""

    email: Email
    password: NewPassword
    name: AccountName | None = None


class RegisterAnswer(TokenAnswer, frozen=True, kw_only=True):
    """An access token, and the client_secret, which is shown only once."""

    client_id: str
    client_secret: SecretText


@dataclass(frozen=True, slots=True)
class Checked:
    """The stored hash that the password matched, and a newer one to replace it."""

    phc: str = field(repr=False)
    renewed: str | None = field(repr=False)


def _guess(reader: Reader, context: Context, params: Login) -> Attempt:
    return guess_at(counted_email(reader, params.email), context.source)


def _check_password(reader: Reader, context: Context, params: Login) -> Work:
    account = find_by_email(reader, params.email)
    context.target = None if account is None else account.id  # for the audit row, even of a refusal
    phc = account.password if account is not None else None

    def work() -> Checked:
        # An unknown email costs the same work and gets the same answer.
        if not verify_password(params.password, phc or DECOY_PHC) or phc is None:
            told = REFUSED + line_end_note(params.password)
            raise BadCredentials(told, reason="wrong_password" if phc is not None else "unknown_email")
        return Checked(phc, hash_password(params.password) if needs_rehash(phc) else None)

    return work


def _guess_code(reader: Reader, context: Context, params: LoginByCode) -> Attempt | None:
    return code_guess_at(reader, context, find_by_email(reader, params.email), params.otp)


@command(
    "login",
    credential=True,
    gives=GivesNothing("a token expires no later than its maker"),
    counts=("tokens", "sign_ins"),
    issues=True,
    needs=Access.PUBLIC,
    target=NoTarget("issues a token"),
    example={"email": "ada@example.org", "password": "correct horse battery"},
    http=("POST /login",),
    limit=_guess,
    prepare=_check_password,
    then_limit=_guess_code,
    failures=(BadCredentials, SecondFactorMissing),
    always_audited=True,
)
def login(tx: Writer, context: Context, params: LoginByCode) -> LoginAnswer:
    """Sign in with email and password, and get an access token with the account's scope.

    An account with a second factor also needs `otp`, a code of its authenticator app or a recovery code.
    """
    account, principal = _sign_in(tx, context, params)
    if has_second_factor(tx, account.id):
        if not params.otp:
            raise second_factor_needed(tx, account)
        check_code(tx, context, account, params.otp)
    elif must_have_second_factor(context.runtime.config, account):
        raise second_factor_missing(context)
    scope = context.runtime.scope_text(principal.widest)
    token = issue_token(context, principal, scope)
    return LoginAnswer(
        access_token=token.text,
        expires_in=token.expires_in,
        scope=scope,
        client_id=principal.id,
    )


@command(
    "session.sign_in",
    credential=True,
    gives=Session,
    counts=("sign_ins",),
    issues=True,
    needs=Access.PUBLIC,
    target=NoTarget("opens a new session"),
    example={"email": "ada@example.org", "password": "correct horse battery"},
    surfaces=frozenset({Surface.DASHBOARD}),
    limit=_guess,
    prepare=_check_password,
    failures=(BadCredentials,),
)
def session_sign_in(tx: Writer, context: Context, params: SignIn) -> OpenedSession:
    """Sign a browser in with email and password, with the account's full scope.

    An account with a second factor is asked for it next: `session.confirm`.
    """
    account, principal = _sign_in(tx, context, params)
    if has_second_factor(tx, account.id):
        raise second_factor_needed(tx, account, seal_sign_in(context.runtime, account, context.now))
    opening = Opening(browser=params.browser, former=params.former)
    return open_session(tx, context, principal, opening, amr=(PWD,))


def _sign_in(tx: Writer, context: Context, params: Login) -> tuple[Account, Principal]:
    """The account whose password was verified, and its principal, if the password has not changed since."""
    account = find_by_email(tx, params.email)
    checked: Checked = context.prepared
    if account is None or account.password != checked.phc:  # changed while we were hashing
        raise BadCredentials(REFUSED, reason="wrong_password")
    principal = account_principal(context.runtime, account, AuthMethod.PASSWORD)
    if checked.renewed is not None:
        tx.put(msgspec.structs.replace(account, password=checked.renewed))
    context.principal = principal
    return account, principal


def _limit_registration(reader: Reader, context: Context, params: Register) -> Attempt | None:
    return None if context.runtime.config.registration == "closed" else registration(context.source)


def _hash_new_password(reader: Reader, context: Context, params: Register) -> Work:
    if context.runtime.config.registration == "closed":
        raise registration_closed()
    if find_by_email(reader, params.email) is not None:
        raise address_in_use()
    check_accounts(reader, context, registers=True)
    return hashing(params.password, params.email, params.name)


@command(
    "register",
    credential=True,
    gives=Account,
    counts=("tokens",),
    issues=True,
    needs=Access.PUBLIC,
    target=NoTarget("creates an account"),
    example={"email": "ada@example.org", "password": "correct horse battery", "name": "Ada"},
    http=("POST /register",),
    limit=_limit_registration,
    prepare=_hash_new_password,
    creates=True,
)
def register(tx: Writer, context: Context, params: Register) -> RegisterAnswer:
    """Register an account with scope read, where registration is open."""
    if context.runtime.config.registration == "closed":
        raise registration_closed()
    account, secret = account_with_secret(
        context,
        email=params.email,
        name=params.name,
        password=context.prepared,
        scope=(READ,),
        networks=("*",),
    )
    account = msgspec.structs.replace(account, registered=True)
    if find_by_email(tx, params.email) is not None:
        raise address_in_use()
    check_accounts(tx, context, registers=True)
    tx.put(account)
    principal = account_principal(context.runtime, account, AuthMethod.PASSWORD)
    context.principal = principal
    context.target = account.id
    token = issue_token(context, principal, READ)
    return RegisterAnswer(
        access_token=token.text,
        expires_in=token.expires_in,
        scope=READ,
        client_id=account.id,
        client_secret=secret,
    )


def registration_closed() -> PermissionDenied:
    """The error where registration is closed."""
    return TargetDenied(
        "Registration is closed here: ask an admin for an account.",
        reason="registration_closed",
        hint="herod user add EMAIL",
    )


def address_in_use() -> Conflict:
    """The error for a second account with the same email."""
    return Conflict("An account with this email exists already.", reason="email_in_use")
