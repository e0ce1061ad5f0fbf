"""Access tokens: issue, validate, introspect and revoke them, and the change feed for local verifiers."""

from herod.operations.tokens.new_token import NewToken, issue_app_token, issue_token
from herod.operations.tokens.token_revocation import revoke_family

__all__ = ["NewToken", "issue_app_token", "issue_token", "revoke_family"]
