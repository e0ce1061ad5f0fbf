"""API keys that are refused although nobody deleted them: expired, disabled, or of a disabled account."""

from datetime import UTC, datetime

from support.herod_in_memory import NOW, Harness

__all__ = ["disabled_key", "expired_key", "key_of_a_disabled_owner"]


async def expired_key(harness: Harness) -> str:
    """The text of a service key that has just expired, ten seconds after it was made."""
    text = await harness.service_key("read", "short", expires_at=datetime.fromtimestamp(NOW + 10, UTC))
    harness.clock.now += 10
    return text


async def disabled_key(harness: Harness) -> str:
    """The text of a service key that an admin disabled."""
    text = await harness.service_key("read", "disabled")
    await harness.admin("keys.disable", id=text.split("_")[2])
    return text


async def key_of_a_disabled_owner(harness: Harness) -> str:
    """The text of a user's key whose account is disabled."""
    user = await harness.user()
    text = await user.key()
    await harness.admin("users.disable", client_id=user.client_id)
    return text
