"""Access tokens: issue, validate, introspect and revoke them, and the change feed for local verifiers."""

from herod.operations.tokens.new_token import issue_token

__all__ = ["issue_token"]
