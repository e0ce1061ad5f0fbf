"""When and from where keys, apps, delegations and legacy secrets were last used: noted in memory, stored later."""

from typing import Final

from herod.identity.apps.registered_apps import registered_app
from herod.pipeline.operation_definition import Context
from herod.scopes.principal import AuthMethod, Principal
from herod.store.store_interface import Store, Usage, former_use

__all__ = ["note_use"]

# By identity: hashing an Enum member is slow, and every validation runs this.
JWT: Final = AuthMethod.JWT
USER_KEY: Final = AuthMethod.USER_KEY
SERVICE_KEY: Final = AuthMethod.SERVICE_KEY
APP: Final = AuthMethod.APP
DELEGATION: Final = AuthMethod.DELEGATION
LEGACY_SECRET: Final = AuthMethod.LEGACY_SECRET


def note_use(store: Store, context: Context, principal: Principal) -> None:
    """Note that `principal`'s key, app or legacy secret was used, directly or by a service that asked about it.

    An app's token uses its delegation, and so does the app when it gets tokens. For the event loop only.
    """
    method = principal.method
    if method is JWT or method is DELEGATION:
        if principal.delegation is not None:
            store.note_use(principal.delegation, Usage(context.now, context.source.label))
    elif method is USER_KEY or method is SERVICE_KEY:
        usage = Usage(context.now, context.source.label)
        store.note_use(principal.credential, usage)
        if principal.is_former:
            store.note_use(former_use(principal.credential), usage)
    elif method is APP:
        if registered_app(store, context.runtime, principal.id) is not None:  # others have no record, and no use of one
            store.note_use(principal.id, Usage(context.now, context.source.label))
    elif method is LEGACY_SECRET:
        context.process.legacy_usage.note(principal.id, now=context.now, source=context.source.label)
