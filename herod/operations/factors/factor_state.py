"""What an account's second factors are, and what changes with the first and the last of them."""

from datetime import UTC, datetime
from typing import Final

import msgspec

from herod.credentials.factors.recovery_codes import RECOVERY_CODES, new_recovery_code
from herod.identity.people.second_factors import MFA, has_second_factor, must_have_second_factor
from herod.operations.factors.second_factor_codes import hash_recovery_code
from herod.operations.sessions import end_other_sessions
from herod.pipeline.operation_definition import Context, Target, Time
from herod.pipeline.parameters.parameter_annotations import SecretText
from herod.pipeline.result_views import hide_values, rfc3339
from herod.records import Account, Passkey, RecoveryCodes, Session, TotpFactor
from herod.store.owned_records import owned_by
from herod.store.store_interface import Reader, Writer
from herod_client.core.errors import Conflict, NotFound

__all__ = [
    "Factors",
    "PasskeyView",
    "SetUp",
    "after_last",
    "factors_view",
    "new_codes",
    "own_account",
    "passkey_view",
    "set_up",
]


class PasskeyView(msgspec.Struct, frozen=True):
    """A passkey: `synced` says whether it may be on several devices of its owner; times are RFC 3339."""

    id: str
    name: str
    synced: bool
    created_at: Time
    last_used_at: Time | None
    last_used_from: str | None


class Factors(msgspec.Struct, frozen=True, kw_only=True):
    """An account's second factors.

    `required` is whether it must have one; `totp_since` is null without an authenticator app; `recovery_codes` is how
    many are left.
    """

    client_id: str
    required: bool
    passkeys: list[PasskeyView]
    totp_since: Time | None
    recovery_codes: int


class SetUp(msgspec.Struct, frozen=True, kw_only=True):
    """What was set up. `recovery_codes` are shown once, with the account's first second factor; null later."""

    __repr__ = hide_values

    id: str
    recovery_codes: list[SecretText] | None


def passkey_view(passkey: Passkey) -> PasskeyView:
    """A passkey, as its owner and admins see it."""
    return PasskeyView(
        id=passkey.id,
        name=passkey.name,
        synced=passkey.is_synced,
        created_at=datetime.fromtimestamp(passkey.created_at, UTC),
        last_used_at=rfc3339(passkey.used_at),
        last_used_from=passkey.used_from or None,
    )


def factors_view(reader: Reader, context: Context, account: Account) -> Factors:
    """An account's second factors."""
    totp, codes = reader.get(TotpFactor, account.id), reader.get(RecoveryCodes, account.id)
    return Factors(
        client_id=account.id,
        required=must_have_second_factor(context.runtime.config, account),
        passkeys=[passkey_view(passkey) for passkey in owned_by(reader, Passkey, account.id)],
        totp_since=None if totp is None else rfc3339(totp.created_at),
        recovery_codes=0 if codes is None else len(codes.hashes),
    )


def own_account(reader: Reader, context: Context) -> Account:
    """The account of the person whose session calls.

    Raises:
        NotFound: it was deleted meanwhile.
    """
    account = reader.get(Account, context.principal.id)
    if account is None:
        raise NotFound("There is no such account.")
    return account


def _found(reader: Reader, context: Context, params: object) -> Account:
    return own_account(reader, context)


OWN_ACCOUNT: Final = Target(
    noun="account",
    find=_found,
    is_own=lambda principal, account: account.id == principal.id,
    grants=lambda reader, context, account: (context.runtime.grant(account.scope, account.networks),),
)
"""The target of an operation on the caller's own account."""


def set_up(tx: Writer, context: Context, account: Account, id: str, amr: tuple[str, ...], *, is_first: bool) -> SetUp:
    """What follows from a new second factor: with the first, other sessions end, and recovery codes are made.

    Args:
        tx: the transaction, with the factor in it.
        account: whose it is.
        id: the factor's.
        amr: how the person proved that they have it (RFC 8176); this session has shown it now.
        is_first: whether the account had none before.
    """
    if not is_first:
        return SetUp(id=id, recovery_codes=None)
    end_other_sessions(tx, context, account.id)
    session = tx.get(Session, context.principal.credential)
    if session is not None:
        added = tuple(one for one in (*amr, MFA) if one not in session.amr)
        tx.put(msgspec.structs.replace(session, amr=(*session.amr, *added)))
    return SetUp(id=id, recovery_codes=new_codes(tx, context, account))


def new_codes(tx: Writer, context: Context, account: Account) -> list[str]:
    """New recovery codes instead of those that the account has."""
    codes = [new_recovery_code() for _ in range(RECOVERY_CODES)]
    hashes = tuple(hash_recovery_code(context, account.id, code) for code in codes)
    tx.put(RecoveryCodes(id=account.id, created_at=context.now, hashes=hashes))
    return codes


def after_last(tx: Writer, context: Context, account: Account) -> None:
    """What follows from a factor that was removed: with the last, recovery codes go; who must have one keeps it.

    Raises:
        Conflict: it was the last, and the account must have one.
    """
    if has_second_factor(tx, account.id):
        return
    if must_have_second_factor(context.runtime.config, account):
        raise Conflict(
            "Your account must have a second factor, and this is the last: set up another one first.",
            reason="last_second_factor",
        )
    tx.delete(RecoveryCodes, account.id)
