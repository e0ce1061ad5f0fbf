"""API keys: made, listed, rotated, disabled, deleted."""

from herod.operations.keys.api_keys import make_key, put_key, remove_key
from herod.operations.keys.key_listing import UNUSED_SECONDS

__all__ = ["UNUSED_SECONDS", "make_key", "put_key", "remove_key"]
