"""The 24 checks, in the order in which they run."""

from collections.abc import Callable, Mapping
from typing import Final

from herod_smoke.checks import accounts, keys, mcp, oauth, resources, scopes, system
from herod_smoke.fixtures import Fixtures

__all__ = ["CHECKS", "Check"]

Check = Callable[[Fixtures], None]

CHECKS: Final[Mapping[str, Check]] = {
    "health": system.health,
    "api-docs": system.api_docs,
    "oauth-metadata": oauth.metadata,
    "dashboard": system.dashboard,
    "admin-identity": system.admin_identity,
    "user-add": accounts.user_add,
    "user-duplicate": accounts.user_duplicate,
    "register": accounts.register,
    "login": accounts.login,
    "login-refused": accounts.login_refused,
    "token": oauth.token,
    "token-refused": oauth.token_refused,
    "validate": oauth.validate,
    "validate-tampered": oauth.validate_tampered,
    "revoke": oauth.revoke,
    "scope-denied": scopes.scope_denied,
    "scope-raise": scopes.scope_raise,
    "rpc-batch": system.rpc_batch,
    "key-lifecycle": keys.key_lifecycle,
    "key-ceiling": keys.key_ceiling,
    "legacy-secret": keys.legacy_secret,
    "ownership": resources.ownership,
    "mcp": mcp.mcp,
    "user-delete": accounts.user_delete,
}
