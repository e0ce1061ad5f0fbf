"""Creating an account with its client secret, and hashing its password, for every operation that creates accounts."""

from collections.abc import Callable

from herod.credentials.guessable_passwords import require_unguessable
from herod.credentials.passwords import check_password, hash_password
from herod.credentials.secret_hashes import hash_secret
from herod.pipeline.ceilings.quotas import Quota, check_quota
from herod.pipeline.operation_definition import Context
from herod.records import REGISTERED, Account
from herod.store.store_interface import Reader
from herod_client.core.key_format import new_client_secret, new_id

__all__ = ["account_with_secret", "check_accounts", "hashing"]

ACCOUNTS = Quota(
    name="accounts",
    most=lambda quotas: quotas.accounts,
    full="There are {most} accounts, the most there may be",
    advice="delete one that is not used",
    hint="herod user list, herod user delete WHO",
    record_type=Account,
)
REGISTERED_ACCOUNTS = Quota(
    name="registered_accounts",
    most=lambda quotas: quotas.registered_accounts,
    full="There are {most} accounts that registered themselves, the most there may be",
    advice="ask an admin for an account",
    hint="herod user add EMAIL",
    record_type=Account,
)


def check_accounts(reader: Reader, context: Context, *, registers: bool) -> None:
    """Refuse another account when there are as many as there may be.

    Args:
        registers: the new account registers itself.

    Raises:
        Conflict: there are.
    """
    check_quota(reader, context, ACCOUNTS)
    if registers:
        check_quota(reader, context, REGISTERED_ACCOUNTS, owner=REGISTERED)


def account_with_secret(
    context: Context,
    *,
    email: str | None,
    name: str | None,
    password: str | None,
    scope: tuple[str, ...],
    networks: tuple[str, ...],
) -> tuple[Account, str]:
    """A new account and its client secret, which is shown once and stored as an HMAC.

    Args:
        email: normalized, as is `name`.
        password: a PHC string.
    """
    client_id, secret = new_id(), new_client_secret()
    account = Account(
        id=client_id,
        created_at=context.now,
        email=email,
        name=name or email or f"client {client_id[:8]}",
        password=password,
        secret_hash=hash_secret(context.runtime.keyring, "client_secret", client_id, secret),
        scope=scope,
        networks=networks,
    )
    return account, secret


def hashing(password: str, *texts: str | None) -> Callable[[], str]:
    """Check a new password, and return the slow work: to estimate how hard it is to guess, and to hash it.

    Args:
        texts: the account's email and name, which would be easy to guess.

    Raises:
        InvalidRequest: the password is too short or too long; from the work: too easy to guess.
    """
    check_password(password)

    def work() -> str:
        require_unguessable(password, *texts)
        return hash_password(password)

    return work
