"""Whether an account has a second factor, and whether it must have one (`--second-factor`).

A second factor is a passkey or an authenticator app. Once an account has one, its password alone signs nobody in, at
any door. API keys and client secrets are credentials of their own: nothing here concerns them.
"""

from herod.identity.config import Config
from herod.records import Account, Passkey, TotpFactor
from herod.store.store_interface import Reader
from herod_client.core.scope_graph import ADMIN

__all__ = ["MFA", "has_second_factor", "is_second_factor_due", "must_have_second_factor"]

MFA = "mfa"
"""The authentication method reference of a sign-in with more than one factor (RFC 8176)."""


def has_second_factor(reader: Reader, account_id: str) -> bool:
    """Whether the account has a passkey or an authenticator app."""
    return reader.get(TotpFactor, account_id) is not None or reader.count_owned(Passkey, account_id, limit=1) > 0


def must_have_second_factor(config: Config, account: Account) -> bool:
    """Whether the settings demand one of this account: decided anew at each use, for its scope of now."""
    if config.second_factor == "admin":
        return bool(config.graph.mask(account.scope) & config.graph.bit(ADMIN))
    return config.second_factor == "all"


def is_second_factor_due(reader: Reader, config: Config, account_id: str, amr: tuple[str, ...]) -> bool:
    """Whether a sign-in by password has shown less than its account must, because it has a factor or must have one.

    Args:
        amr: how the person proved who they are (RFC 8176).
    """
    if MFA in amr:
        return False
    account = reader.get(Account, account_id)
    return account is not None and (must_have_second_factor(config, account) or has_second_factor(reader, account_id))
