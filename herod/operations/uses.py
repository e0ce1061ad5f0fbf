"""When and from where keys were last used: noted in memory, written to the store with its next write."""

from typing import Final

from herod.operations.registry import Context
from herod.scopes.principals import AuthMethod, Principal
from herod.store.base import Store, Usage

__all__ = ["note_use"]

# By identity: hashing an Enum member is slow, and every validation comes by here.
USER_KEY: Final = AuthMethod.USER_KEY
SERVICE_KEY: Final = AuthMethod.SERVICE_KEY


def note_use(store: Store, context: Context, principal: Principal) -> None:
    """Note that `principal`'s key was used, by itself or by a service that asked about it. For the event loop only."""
    method = principal.method
    if method is USER_KEY or method is SERVICE_KEY:
        store.note_use(principal.credential, Usage(context.now, context.source.label))
