"""Plausible values for every result type: the example answers in the documents.

The table `KNOWN` maps a field's name to its value. Nothing here is random or a real secret.
"""

import typing
from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from herod.store.store_interface import Page

__all__ = ["example_value"]

UUID: Final = "5f0c2f0e-7a0d-4c53-9d1c-0a7b1f6e2c11"
KEY_ID: Final = "0kZ3vXq81LmT"
LEGACY_ID: Final = "legacy-admin-1f0c9a52"
TIME: Final = "2026-05-01T12:00:00Z"

# field → value; by "Struct.field" where the name alone is ambiguous
KNOWN: Final[dict[str, Any]] = {
    "access_token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.…",
    "actor": UUID,
    "mac": "5f" * 32,
    "attributes": {"cpus": 2},
    "api_version": "1",
    "aud": "https://jobs.example.org",
    "client_id": UUID,
    "client_secret": "herod_c_…",
    "email": "ada@example.org",
    "email_verified": True,
    "PersonClaims.groups": ["read"],
    "preferred_username": "ada@example.org",
    "exp": 1_777_640_400,
    "expires_in": 3600,
    "gid": None,
    "first_bad": None,
    "head": "5f" * 32,
    "hint": None,
    "iat": 1_777_636_800,
    "iss": "hero_auth",
    "jti": UUID,
    "key": f"herod_s_{KEY_ID}_…",
    "kind": "user",
    "last_used_from": "uid:1000",
    "method": "jwt",
    "missing": None,
    "name": "Ada",
    "networks": ["*"],
    "next_cursor": None,
    "operation": "users.add",
    "outcome": "ok",
    "owner": UUID,
    "reason": None,
    "missing_addresses": None,
    "scope": "read",
    "service": "herod",
    "setting": "admin_secret",
    "sid": UUID,
    "source": "uid:1000",
    "status": "ok",
    "sub": UUID,
    "token_type": "Bearer",
    "uid": 1000,
    "username": "Ada",
    "version": "1.0.0",
    "warning": None,
    "id": UUID,
    "Key.id": KEY_ID,
    "IssuedKey.id": KEY_ID,
    "SupervisorKey.id": KEY_ID,
    "KeyDetails.id": KEY_ID,
    "DeletedKey.id": KEY_ID,
    "PromotedKey.id": KEY_ID,
    "PromotedKey.kind": "service",
    "PromotedKey.owner": None,
    "PromotedKey.replaces": LEGACY_ID,
    "Legacy.id": LEGACY_ID,
    "Legacy.promoted_to": None,
    "StatsAnswer.audit_file": None,
    "StatsAnswer.audit_waiting": None,
    "RegisteredApp.client_id": "herod_app_…",
    "RegisteredApp.client_id_issued_at": 1_777_636_800,
    "RegisteredApp.client_name": "Claude Code",
    "RegisteredApp.client_secret": None,  # the example's app has none
    "RegisteredApp.client_secret_expires_at": None,
    "RegisteredApp.grant_types": ["authorization_code", "refresh_token"],
    "RegisteredApp.redirect_uris": ["http://localhost:4711/callback"],
    "RegisteredApp.response_types": ["code"],
    "RegisteredApp.token_endpoint_auth_method": "none",
    "ResourceView.kind": "vm",
    "ResourceView.name": "web 1",
    "Subject.kind": "account",
    "WhoamiAnswer.grants": None,
    "WhoamiAnswer.kind": "account",
    "WhoamiAnswer.needs_second_factor": None,
    "Introspection.aud": None,
    "Introspection.networks": None,
    "app": "3f0c…",
    "app_name": "Claude Code",
    "app_origin": "dynamic",
    "resource": "http://localhost:3350/mcp",
    "Explanation.allowed": False,
    "Explanation.reason": "missing_scope",
    "Explanation.missing": "admin",
    "Explanation.hint": f"herod user scope {UUID} admin",
}


def example_value(kind: Any, *, name: str = "", holder: str = "") -> Any:
    """A value of a type, as JSON.

    Args:
        kind: a Struct, a scalar, or a list, mapping or union of such.
        name: the field that contains it.
        holder: the Struct with that field.
    """
    known = KNOWN.get(f"{holder}.{name}", KNOWN.get(name, ...))
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return example_value(parts[0], name=name, holder=holder)
    if origin is Literal:
        return parts[0]
    if known is not ... and not _is_struct(kind):
        return known
    if origin is Page:
        return {"items": [example_value(parts[0])], "next_cursor": None}
    if _is_struct(kind):
        return _sample_struct(kind)
    if origin in {list, tuple, frozenset}:
        return [example_value(parts[0])]
    if origin is dict:
        return {}
    if parts:  # a union: its most frequent type is first
        return example_value(next(part for part in parts if part is not msgspec.UnsetType), name=name, holder=holder)
    return {bool: True, int: 1, float: 1.0, str: "…", datetime: TIME, type(None): None}.get(kind)


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _sample_struct(kind: type[msgspec.Struct]) -> dict[str, Any]:
    hints = typing.get_type_hints(kind, include_extras=True)
    return {
        field.encode_name: value
        for field in msgspec.structs.fields(kind)
        if (value := example_value(hints[field.name], name=field.name, holder=kind.__name__)) is not None
        or field.required
    }
