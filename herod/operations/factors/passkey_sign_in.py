"""Signing in with a passkey: one touch, and no email. Only the dashboard offers it.

The passkey names its account by itself (WebAuthn 3, section 7.2, "discoverable credential"), so a page asks for any.
"""

from typing import Final

import msgspec

from herod.credentials.factors.challenges import ChallengeFor
from herod.credentials.factors.passkeys import passkey_id, read_assertion, verify_assertion
from herod.identity.effective_principals import account_principal
from herod.operations.factors.asked_challenges import BrowserPart, ask, party_of, shown, use_challenge
from herod.operations.factors.own_passkeys import EXAMPLE_PART
from herod.operations.factors.passkey_methods import methods_of
from herod.operations.sessions import OpenedSession, Opening, open_session
from herod.pipeline.operation_definition import Context, NoParams, NoTarget, Surface, command, query
from herod.records import Account, Passkey, Session
from herod.scopes.decisions import Access
from herod.scopes.principal import AuthMethod
from herod.store.store_interface import Reader, Writer
from herod.throttle.rules import Attempt, code_guess
from herod_client.core.errors import BadCredentials

__all__ = ["session_passkey", "session_passkey_begin"]

UNKNOWN: Final = (
    "Herod does not know this passkey: it was deleted, or is of another herod. Use another one, or your password."
)


class PasskeySignIn(Opening, frozen=True, kw_only=True):
    """What the browser answered (`AuthenticatorAssertionResponse`), in base64url."""

    credential: BrowserPart
    client_data: BrowserPart
    authenticator_data: BrowserPart
    signature: BrowserPart
    user_handle: BrowserPart


class SignInOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the browser needs to ask for a passkey (`PublicKeyCredentialRequestOptions`); bytes are in base64url."""

    challenge: str
    rp_id: str


@query("session.passkey_begin", needs=Access.PUBLIC, example={}, surfaces=frozenset({Surface.DASHBOARD}))
def session_passkey_begin(reader: Reader, context: Context, params: NoParams) -> SignInOptions:
    """Make a challenge for signing in with a passkey, which is answered within five minutes."""
    party = party_of(context.runtime.config)
    return SignInOptions(challenge=shown(ask(context, ChallengeFor.SIGN_IN)), rp_id=party.id)


def _limit(reader: Reader, context: Context, params: PasskeySignIn) -> Attempt:
    return code_guess(context.source)


@command(
    "session.passkey",
    credential=True,
    gives=Session,
    counts=("sign_ins", "passkey_sign_ins"),
    issues=True,
    needs=Access.PUBLIC,
    target=NoTarget("opens a new session"),
    example=dict.fromkeys(
        ("credential", "client_data", "authenticator_data", "signature", "user_handle"), EXAMPLE_PART
    ),
    surfaces=frozenset({Surface.DASHBOARD}),
    limit=_limit,
    failures=(BadCredentials,),
)
def session_passkey(tx: Writer, context: Context, params: PasskeySignIn) -> OpenedSession:
    """Sign a browser in with a passkey, with the account's full scope."""
    runtime, party = context.runtime, party_of(context.runtime.config)
    assertion = read_assertion(
        params.credential, params.client_data, params.authenticator_data, params.signature, params.user_handle
    )
    passkey = tx.get(Passkey, passkey_id(runtime.keyring, assertion.credential))
    account = None if passkey is None else tx.get(Account, passkey.account)
    if passkey is None or account is None or assertion.user_handle != account.user_handle:
        raise BadCredentials(UNKNOWN, reason="unknown_passkey")
    context.target = account.id  # for the audit row of a refusal
    use_challenge(tx, context, assertion.answer.challenge, ChallengeFor.SIGN_IN)
    state = verify_assertion(
        party, assertion, public_key=passkey.public_key, counter=passkey.counter, is_synced=passkey.is_synced
    )
    principal = account_principal(runtime, account, AuthMethod.PASSKEY, passkey.id)
    context.principal = principal
    tx.put(
        msgspec.structs.replace(
            passkey,
            counter=state.counter,
            is_backed_up=state.is_backed_up,
            used_at=context.now,
            used_from=context.source.label,
        )
    )
    return open_session(
        tx, context, principal, Opening(browser=params.browser, former=params.former), amr=methods_of(passkey)
    )
