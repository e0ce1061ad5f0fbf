"""An account's own secrets: its password and its client secret. Changing either ends its tokens and sessions."""

from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from herod.credentials.passwords import DECOY_PHC, line_end_note, verify_password
from herod.credentials.secret_hashes import hash_secret
from herod.identity.people.persons import RECENT_SECONDS
from herod.operations.accounts.account_creation import hashing
from herod.pipeline.ceilings.privilege_ceilings import is_admin
from herod.pipeline.operation_definition import Context, Work, command
from herod.pipeline.parameters.parameter_annotations import SecretText
from herod.pipeline.parameters.parameter_types import EXAMPLE_ID, CurrentPassword, NewPassword
from herod.pipeline.result_views import User, account_view, hide_values
from herod.pipeline.targets import ACCOUNT, AccountRef
from herod.records import Account, Session
from herod.scopes.decisions import Access
from herod.store.owned_records import delete_owned
from herod.store.store_interface import Reader, Writer
from herod.throttle.rules import Attempt, guess_at
from herod_client.core.errors import BadCredentials, NotFound
from herod_client.core.key_format import new_client_secret

__all__ = ["users_password", "users_rotate_secret"]


SIGN_IN_SECRETS: Final = replace(ACCOUNT, own_sign_in=RECENT_SECONDS)
"""An account whose password or client secret changes: one's own only shortly after a sign-in."""


class SetPassword(AccountRef, frozen=True, kw_only=True):
    """`current` is required unless you are an admin; the new password has 12 to 128 characters."""

    password: NewPassword
    current: CurrentPassword | None = None


class RotatedSecret(msgspec.Struct, frozen=True):
    """`client_secret` is shown only once; `warning` says why it is refused."""

    __repr__ = hide_values

    client_id: str
    client_secret: SecretText
    warning: str | msgspec.UnsetType = msgspec.UNSET


@dataclass(frozen=True, slots=True)
class NewHash:
    """The new hash, and the old one that `current` matched."""

    phc: str = field(repr=False)
    checked: str | None = field(repr=False)


def _guess(reader: Reader, context: Context, params: SetPassword) -> Attempt | None:
    account: Account = context.record
    # Counted with the sign-ins to this account. Without `current`, no password is guessed.
    return None if params.current is None else guess_at(account.email or account.id, context.source)


def _hash_password(reader: Reader, context: Context, params: SetPassword) -> Work:
    account: Account = context.record
    hash_new = hashing(params.password, account.email, account.name)
    must_check = params.current is not None or not is_admin(context)
    old, current = account.password, params.current or ""

    def work() -> NewHash:
        if must_check and (not verify_password(current, old or DECOY_PHC) or old is None):
            told = "The current password is wrong." + line_end_note(current)
            raise BadCredentials(told, reason="wrong_password")
        return NewHash(hash_new(), old if must_check else None)

    return work


@command(
    "users.password",
    credential=True,
    gives=Account,
    fresh=RECENT_SECONDS,
    needs=Access.AUTHENTICATED,
    target=SIGN_IN_SECRETS,
    example={"client_id": EXAMPLE_ID, "password": "correct horse battery", "current": "an old long password"},
    http=("POST /api/v1/users/{client_id}/password",),
    limit=_guess,
    prepare=_hash_password,
    failures=(NotFound,),
)
def users_password(tx: Writer, context: Context, params: SetPassword, account: Account) -> User:
    """Set a password: your own with the current one, or any as admin. The account's tokens and sessions end.

    Your own changes only within five minutes of your sign-in; if you have a second factor, only in the dashboard.
    """
    prepared: NewHash = context.prepared
    if prepared.checked is not None and prepared.checked != account.password:  # changed while we were hashing
        raise BadCredentials("The current password is wrong.", reason="wrong_password")
    if prepared.checked is None and not is_admin(context):
        raise BadCredentials("Give the current password too.", reason="wrong_password")
    return account_view(_renew(tx, context, account, password=prepared.phc))


@command(
    "users.rotate_secret",
    credential=True,
    gives=Account,
    fresh=RECENT_SECONDS,
    issues=True,
    needs=Access.AUTHENTICATED,
    target=SIGN_IN_SECRETS,
    example={"client_id": EXAMPLE_ID},
    http=("POST /api/v1/users/{client_id}/rotate-secret",),
    failures=(NotFound,),
)
def users_rotate_secret(tx: Writer, context: Context, params: AccountRef, account: Account) -> RotatedSecret:
    """Rotate an account's client secret, which is shown once. The account's tokens and sessions end.

    Your own changes only within five minutes of your sign-in; if you have a second factor, only in the dashboard.
    """
    secret = new_client_secret()
    _renew(tx, context, account, secret_hash=hash_secret(context.runtime.keyring, "client_secret", account.id, secret))
    warning = (
        msgspec.UNSET
        if account.enabled and account.id not in context.runtime.switched_off
        else f"The account is disabled, and its secret is refused until it is enabled: herod user enable {account.id}."
    )
    return RotatedSecret(account.id, secret, warning)


def _renew(tx: Writer, context: Context, account: Account, **changes: object) -> Account:
    renewed: Account = msgspec.structs.replace(account, epoch=account.epoch + 1, **changes)
    tx.put(renewed)
    delete_owned(tx, Session, account.id)  # the new epoch has ended them all
    return renewed
