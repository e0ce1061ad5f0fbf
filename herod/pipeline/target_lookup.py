"""Which account is meant, by client_id or by email."""

from herod.pipeline.operation_definition import Params
from herod.pipeline.parameter_types import ClientId, Email
from herod.pipeline.text_normalization import parse_email
from herod.records import Account
from herod.store.store_interface import Reader
from herod_client.core.errors import InvalidRequest, NotFound

__all__ = ["AccountRef", "account_of", "find_account"]


class AccountRef(Params, frozen=True, kw_only=True):
    """Exactly one of the two."""

    exactly_one = ("client_id", "email")

    client_id: ClientId | None = None
    email: Email | None = None


def account_of(reader: Reader, ref: AccountRef) -> Account:
    """The account that is meant.

    Raises:
        InvalidRequest: neither or both of client_id and email are given.
        NotFound: there is none.
    """
    account = find_account(reader, ref)
    if account is None:
        raise NotFound("There is no such account.")
    return account


def find_account(reader: Reader, ref: AccountRef) -> Account | None:
    """The account that is meant, or None.

    Raises:
        InvalidRequest: neither or both of client_id and email are given.
    """
    if (ref.client_id is None) == (ref.email is None):
        raise InvalidRequest("Say which account: give client_id or email, one of them.")
    if ref.client_id is not None:
        return reader.get(Account, ref.client_id)
    return next(iter(reader.find(Account, "email", parse_email(ref.email or ""))), None)
