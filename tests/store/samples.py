"""Records and events for tests of the store."""

from typing import Any

from herod.audit_event import AuditEvent
from herod.records import (
    Account,
    ApiKey,
    App,
    AuthorizationCode,
    Delegation,
    DeviceCode,
    GuessCount,
    PeerRule,
    Resource,
    Revocation,
    Session,
    TokenFamily,
)

SECRET = "a secret for tests that is long enough"


def account(id: str = "ada", *, email: str | None = None, **changes: Any) -> Account:
    """An account."""
    return Account(
        **{
            "id": id,
            "created_at": 100,
            "email": email,
            "name": "Ada",
            "password": None,
            "secret_hash": b"hash",
            "scope": ("read",),
            "networks": ("*",),
            **changes,
        }
    )


def key(id: str = "key1", **changes: Any) -> ApiKey:
    """A key with a unique name."""
    return ApiKey(
        **{
            "id": id,
            "created_at": 100,
            "name": f"name of {id}",
            "owner": "ada",
            "creator": "ada",
            "secret_hash": b"hash",
            "scope": ("read",),
            "networks": ("*",),
            **changes,
        }
    )


def session(id: str = "session1", **changes: Any) -> Session:
    """A session."""
    return Session(
        **{
            "id": id,
            "created_at": 100,
            "expires_at": 200,
            "subject": "ada",
            "via": "account:ada",
            "epoch": 1,
            "scope": ("read",),
            "networks": ("*",),
            **changes,
        }
    )


def revocation(
    jti: str = "jti1", *, expires_at: int = 200, subject: str = "ada", delegation: str | None = None
) -> Revocation:
    """A revoked token."""
    return Revocation(
        id=f"{subject}/{jti}",
        created_at=100,
        expires_at=expires_at,
        subject=subject,
        jti=jti,
        delegation=delegation,
    )


def delegation(id: str = "delegation1", **changes: Any) -> Delegation:
    """What an account lets an app do."""
    return Delegation(
        **{
            "id": id,
            "created_at": 100,
            "expires_at": 200,
            "account": "ada",
            "epoch": 1,
            "app": "app1",
            "app_name": "Agent",
            "app_origin": "dynamic",
            "resource": "http://localhost:3350/mcp",
            "scope": ("read",),
            "networks": ("*",),
            **changes,
        }
    )


def rule(id: str = "rule1", subject: str = "uid:1000") -> PeerRule:
    """A peer rule."""
    return PeerRule(id=id, created_at=100, subject=subject, creator="ada", scope=("read",), networks=("*",))


def app(id: str = "app1", **changes: Any) -> App:
    """A public app with a unique name."""
    return App(
        **{
            "id": id,
            "created_at": 100,
            "name": f"name of {id}",
            "creator": "ada",
            "redirect_uris": ("https://app.example.org/callback",),
            "scope": ("read",),
            **changes,
        }
    )


def resource(id: str = "sid1", **changes: Any) -> Resource:
    """A resource."""
    return Resource(
        **{
            "id": id,
            "created_at": 100,
            "claimant": "compute",
            "type": "vm",
            "secret": "a tenant's own",
            "name": "web 1",
            "attributes": b"{}",
            **changes,
        }
    )


def guess(id: str = "guess1", *, expires_at: int = 200) -> GuessCount:
    """A count of guesses."""
    return GuessCount(id=id, created_at=100, expires_at=expires_at, marks=((100, 1),))


def code(id: str = "code1", **changes: Any) -> AuthorizationCode:
    """A code that is not used yet."""
    return AuthorizationCode(
        **{
            "id": id,
            "created_at": 100,
            "expires_at": 160,
            "delegation": "delegation1",
            "account": "ada",
            "session": "session1",
            "app": "app1",
            "redirect_uri": "http://127.0.0.1/callback",
            "challenge": "c",
            "resource": "http://localhost/mcp",
            "scope": ("read",),
            "nonce": "",
            "auth_time": 90,
            **changes,
        }
    )


def device_code(id: str = "device1", **changes: Any) -> DeviceCode:
    """A device code that nobody has decided about."""
    return DeviceCode(
        **{
            "id": id,
            "created_at": 100,
            "expires_at": 1300,
            "user_code": f"user code of {id}",
            "ends_at": 700,
            "app": "app1",
            "resource": "http://localhost/mcp",
            "scope": "read",
            "source": "127.0.0.1",
            "place": "here",
            "share": "127.0.0.0/8",
            **changes,
        }
    )


def family(id: str = "family1", **changes: Any) -> TokenFamily:
    """A family whose tokens may be refreshed."""
    return TokenFamily(
        **{
            "id": id,
            "created_at": 100,
            "expires_at": 200,
            "delegation": "delegation1",
            "account": "ada",
            "session": "session1",
            "app": "app1",
            "resource": "http://localhost/mcp",
            "scope": ("read",),
            "auth_time": 90,
            "epoch": 1,
            "is_rotated": True,
            "used_at": 100,
            "ends_at": 300,
            **changes,
        }
    )


def event(number: int = 1, **changes: Any) -> AuditEvent:
    """An audit event, distinguished by the number."""
    return AuditEvent(
        **{
            "at": number,
            "actor": "ada",
            "method": "jwt",
            "source": "uid:1000",
            "operation": "keys.create",
            "outcome": "ok",
            **changes,
        }
    )
