"""Access tokens: issued, validated, introspected, revoked, and the feed for local verifiers."""

from herod.operations.tokens.new_token import issue_token

__all__ = ["issue_token"]
