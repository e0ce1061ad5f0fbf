"""Apps that act for an account in tests: what it delegated to them, and their access tokens."""

from typing import Any

from herod.identity.credential_types import Bearer
from herod.operations.tokens import issue_app_token
from herod.pipeline.operation_definition import Context
from herod.records import Account, Delegation
from herod.scopes.principal import ANONYMOUS
from herod_client.core.key_format import new_id
from herod_client.core.signing_keys import SigningKey
from support.herod_in_memory import PUBLIC_URL, TCP, Harness, User
from support.page_visitor import Visitor

__all__ = ["APP", "DAYS_90", "ROOT", "app_token", "connect_app"]

APP = "app-of-a-test"
ROOT = PUBLIC_URL
"""The public URL of the harness: its tokens are good everywhere but at `/mcp`."""
DAYS_90 = 90 * 86_400


async def connect_app(harness: Harness, user: User | Visitor, scope: str = "read", **changes: Any) -> Delegation:
    """Let an app act for an account, as a person's consent does; it may then do what `scope` says for 90 days."""
    account = harness.store.get(Account, user.client_id)
    assert account is not None
    delegation = Delegation(
        **{
            "id": new_id(),
            "created_at": harness.clock.now,
            "expires_at": harness.clock.now + DAYS_90,
            "account": account.id,
            "epoch": account.epoch,
            "app": APP,
            "app_name": "Agent",
            "app_origin": "dynamic",
            "resource": ROOT,
            "scope": tuple(scope.split()),
            "networks": ("*",),
            **changes,
        }
    )
    await harness.store.write(lambda tx: tx.put(delegation))
    return delegation


def app_token(
    harness: Harness,
    delegation: Delegation,
    scope: str | None = None,
    *,
    audience: str = ROOT,
    family: str | None = None,
    ttl: int = 600,
    key: SigningKey | None = None,
) -> Bearer:
    """An access token of a delegation's app, by default with all of its scope."""
    token = issue_app_token(
        Context(
            runtime=harness.runtime,
            process=harness.pipeline.process,
            principal=ANONYMOUS,
            source=TCP,
            now=harness.clock.now,
        ),
        delegation,
        scope=scope or " ".join(delegation.scope),
        audience=audience,
        family=family,
        ttl=ttl,
        key=key,
    )
    return Bearer(token.text)
