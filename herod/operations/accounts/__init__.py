"""Accounts: administration, sign-in by password, registration, the first admin."""

from herod.operations.accounts.first_admin import FIRST_CODE_SECONDS, has_admin, make_first_code

__all__ = ["FIRST_CODE_SECONDS", "has_admin", "make_first_code"]
