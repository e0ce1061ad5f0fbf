"""Creating an account with its client secret, and hashing its password, for every operation that creates accounts."""

from collections.abc import Callable

from herod.credentials.guessable_passwords import require_unguessable
from herod.credentials.passwords import check_password, hash_password
from herod.credentials.secret_hashes import hash_secret
from herod.pipeline.operation_definition import Context
from herod.records import Account
from herod_client.core.key_format import new_client_secret, new_id

__all__ = ["account_with_secret", "hashing"]


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
