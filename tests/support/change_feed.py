"""A reader of the change feed in tests."""

from typing import Any

from herod.identity.credential_types import Presented
from herod.operations.tokens.change_feed import TokenChangesAnswer
from herod.scopes.principal import Source
from herod_client.core.access_tokens import Claims
from support.herod_in_memory import ADMIN_SOURCE, LOCAL_ADMIN, Harness

__all__ = ["LOCAL", "changes", "claims_of", "told"]

LOCAL = "local-admin"


async def changes(harness: Harness, cursor: str | None = None, wait: int = 0, **more: Any) -> TokenChangesAnswer:
    """Ask once, as the local admin by default."""
    presented: Presented = more.get("presented", LOCAL_ADMIN)
    source: Source = more.get("source", ADMIN_SOURCE)
    answer: TokenChangesAnswer = await harness.call("token.changes", presented, source, cursor=cursor, wait=wait)
    return answer


def claims_of(harness: Harness, token: str) -> Claims:
    """The claims of a token."""
    return harness.runtime.claims(token, harness.clock.now)


def told(answer: TokenChangesAnswer) -> dict[str, Any]:
    """The subjects of an answer by id, without the local admin."""
    return {one.sub: one for one in answer.subjects if one.sub != LOCAL}
