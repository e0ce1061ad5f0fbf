"""Access tokens: issue, validate, introspect and revoke them, and the change feed for local verifiers."""

from herod.operations.tokens.new_token import NewToken, issue_app_token, issue_token
from herod.operations.tokens.refresh_token_families import end_family, family_mark, find_family, is_current, is_in_grace
from herod.operations.tokens.revocation_records import revoke_family

__all__ = [
    "NewToken",
    "end_family",
    "family_mark",
    "find_family",
    "is_current",
    "is_in_grace",
    "issue_app_token",
    "issue_token",
    "revoke_family",
]
