"""OpenID Connect: what an app learns about the person who signs in, and signing out at its request."""

from herod.operations.openid.app_sign_out import SignOutAnswer
from herod.operations.openid.id_tokens import issue_id_token, prepare_id_token
from herod.operations.openid.token_keys import access_token_key, access_token_scope

__all__ = ["SignOutAnswer", "access_token_key", "access_token_scope", "issue_id_token", "prepare_id_token"]
