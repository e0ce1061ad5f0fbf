"""Calls of apps that wait for a person."""

from typing import Any

from herod.pipeline.approvals import APPROVAL_SECONDS
from herod.records import Approval
from herod_client.core.key_format import new_id
from support.connected_apps import connect_app
from support.herod_in_memory import Harness, User
from support.page_visitor import Visitor

__all__ = ["waiting_call"]


async def waiting_call(harness: Harness, user: User | Visitor, app_name: str = "Agent", **changes: Any) -> str:
    """The id of the approval of a call that an app of this account waits for."""
    delegation = await connect_app(harness, user, "read", app=f"{app_name}, which waits", app_name=app_name)
    approval = Approval(
        **{
            "id": new_id(),
            "created_at": harness.clock.now,
            "expires_at": harness.clock.now + APPROVAL_SECONDS,
            "delegation": delegation.id,
            "account": user.client_id,
            "operation": "resources.claim",
            "fingerprint": "7f" * 32,
            "shown": (("kind", "vm"), ("name", "web 1")),
            "source": "127.0.0.1",
            **changes,
        }
    )
    await harness.store.write(lambda tx: tx.put(approval))
    return approval.id
