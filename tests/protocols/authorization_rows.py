"""Who may call what: the rows of the authorization matrix, written by hand and not read from the operation table.

A new operation is one more name in a set. Must never import what decides in herod.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from herod.scopes.principal import Source
from support.herod_in_memory import TCP

__all__ = ["EVERY", "PUBLIC", "Case", "is_admitted", "is_an_app"]

# needed scope → all scopes that include it
PASSES: Final = {
    "read": {"read", "write", "user", "admin", "owner"},
    "user": {"user", "admin", "owner"},
    "admin": {"admin", "owner"},
}
PUBLIC: Final = {"health", "version", "login", "register", "token.validate", "auth.verify", "session.sign_in",
    "session.offer", "session.redeem", "session.status", "first_admin.status", "first_admin.create", "oauth.register",
    "openid.logout", "openid.sign_out", "oauth.authorize", "oauth.login_required",
    "session.confirm", "session.passkey", "session.passkey_begin",
}  # fmt: skip
AUTHENTICATED: Final = {
    "whoami", "token.introspect", "token.revoke", "users.password", "users.rotate_secret", "access.explain",
    "token.create", "session.create", "session.delete", "token.changes",
    "session.code", "session.list", "session.end", "session.end_all", "delegations.list", "delegations.get",
    "delegations.revoke",
    "session.resume", "approvals.list", "approvals.get",
    "factors.get",
}  # fmt: skip
# only by the session of a person
PERSON: Final = {
    "passkeys.begin", "passkeys.enrol", "passkeys.list", "passkeys.rename", "passkeys.delete", "totp.begin",
    "totp.enable", "totp.disable", "recovery.renew", "oauth.consent", "oauth.allow", "oauth.continue", "oauth.deny",
    "approvals.decide", "oauth.enter_user_code", "oauth.device", "oauth.device_allow", "oauth.device_deny",
}  # fmt: skip
OPENID: Final = {"openid.userinfo"}
# An app calls them, authenticated as one, and nobody else.
BY_APPS: Final = {
    "token.exchange_code", "token.refresh", "oauth.device_authorization", "token.exchange_device_code",
}  # fmt: skip
# An app may call them beside others: about its own tokens.
BY_APPS_TOO: Final = {"token.introspect", "token.revoke"}
READ: Final = {"stats", "metrics", "keys.create", "keys.list", "keys.get", "keys.delete", "keys.rotate", "keys.enable",
    "keys.disable", "keys.update",
}  # fmt: skip
USER: Final = {
    "resources.claim", "resources.list", "resources.get", "resources.check", "resources.update", "resources.release",
}  # fmt: skip
ADMIN: Final = {
    "users.list", "users.get", "users.add", "users.delete", "users.scope", "users.update", "users.enable",
    "users.disable", "auth.create_key", "auth.list_keys", "auth.remove_key", "peers.allow", "peers.list",
    "peers.remove", "backup", "audit.list", "audit.verify", "legacy.status", "legacy.promote",
    "overview", "attention", "resources.count",
    "apps.add", "apps.list", "apps.get", "apps.update", "apps.rotate_secret",
    "apps.enable", "apps.disable", "apps.delete", "factors.reset",
}  # fmt: skip
ONLY: Final = {
    "token.create": {"client_secret", "peer"},
    "session.create": {"client_secret", "user_key", "service_key", "legacy_secret", "peer"},
    "session.delete": {"session"},
    "session.code": {"client_secret", "user_key", "service_key", "legacy_secret", "peer"},
    "session.list": {"session"},
    "session.resume": {"session"},
    "session.end": {"session"},
}
# denied to requests that a relay passed on
ONLY_DIRECT: Final = {"oauth.register"}
# denied to user keys and to everything created with one
NOT_BY_USER_KEYS: Final = {
    "keys.create", "keys.delete", "keys.rotate", "keys.enable", "keys.disable", "keys.update", "auth.create_key",
    "auth.remove_key", "legacy.promote",
}  # fmt: skip
# denied to the tokens of apps that act for an account
NOT_BY_APPS: Final = {
    "users.add", "users.delete", "users.disable", "users.enable", "users.scope", "users.update", "users.password",
    "users.rotate_secret", "keys.create", "keys.delete", "keys.disable", "keys.enable", "keys.rotate", "keys.update",
    "auth.create_key", "auth.remove_key", "peers.allow", "peers.remove", "legacy.promote", "token.create",
    "session.create", "session.delete", "session.code", "session.end", "session.end_all", "apps.add", "apps.update",
    "apps.rotate_secret", "apps.enable", "apps.disable", "apps.delete", "delegations.revoke",
    "factors.reset", "backup",
}  # fmt: skip
# refused to them until their person has approved the call
APPROVED: Final = {"resources.update", "resources.release"}
RELAYED: Final = {"x-forwarded-for", "via", "forwarded"}
# Every operation that has a row.
EVERY: Final = frozenset(PUBLIC | AUTHENTICATED | OPENID | PERSON | BY_APPS | READ | USER | ADMIN)


@dataclass(frozen=True)
class Case:
    """A credential as sent, `later` seconds after its creation; `scope` is None if it is refused."""

    kind: str
    state: str
    headers: Mapping[str, str]
    scope: str | None
    networks: tuple[str, ...] = ("*",)
    source: Source = TCP
    later: int = 0
    made_with: str = ""


def is_admitted(name: str, case: Case) -> bool:
    """Whether a caller with this credential may call the operation."""
    if name in ONLY_DIRECT and RELAYED & case.headers.keys():
        return False
    if name in PUBLIC:
        return True
    if name in BY_APPS or case.kind == "app":
        return is_an_app(case) and name in BY_APPS | BY_APPS_TOO
    if case.scope is not None and name in PERSON:
        return (case.kind, case.made_with) == ("session", "password")
    if case.scope is None or (name in ONLY and case.kind not in ONLY[name]) or _is_narrower(name, case):
        return False
    if name in OPENID:
        return case.state == "openid"
    if name in READ:
        return case.scope in PASSES["read"]
    if name in USER:
        return case.scope in PASSES["user"]
    return name in AUTHENTICATED or case.scope in PASSES["admin"]


def _is_narrower(name: str, case: Case) -> bool:
    """Whether the credential may not call it although its scope would do."""
    is_by_user_key = "user_key" in {case.kind, case.made_with}
    is_by_app = case.made_with == "delegation"
    return (name in NOT_BY_USER_KEYS and is_by_user_key) or (name in NOT_BY_APPS | APPROVED and is_by_app)


def is_an_app(case: Case) -> bool:
    """Whether it is an app, as one, and not the token of an account for it."""
    return case.kind == "app" and case.state != "wrong secret"
