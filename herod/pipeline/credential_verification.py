"""Verifying a credential that was presented to a service; the verification is counted, and the use noted."""

from herod.identity.credential_types import Audience
from herod.identity.identify import bearer_principal
from herod.pipeline.credential_last_used import note_use
from herod.pipeline.operation_definition import Context
from herod.scopes.principal import Principal
from herod.store.store_interface import Store
from herod_client.core.errors import Unauthenticated

__all__ = ["verify_credential"]


def verify_credential(store: Store, context: Context, text: str, *, audience: Audience = Audience.HEROD) -> Principal:
    """The principal of a token, an API key or a legacy secret that was presented to the calling service.

    Args:
        audience: which tokens to accept of those issued for one resource.

    Raises:
        Unauthenticated: it is invalid.
        RuntimeError: the operation does not declare what it verifies (`verifies`), so guesses at legacy secrets would
            not be counted.
    """
    if not context.may_verify:
        raise RuntimeError("an operation verifies a credential without naming it in `verifies`")
    counters = context.runtime.counters
    counters["validations"] += 1
    try:
        principal = bearer_principal(store, context.runtime, text, context.now, audience=audience)
    except Unauthenticated:
        counters["invalid"] += 1
        raise
    note_use(store, context, principal)
    return principal
