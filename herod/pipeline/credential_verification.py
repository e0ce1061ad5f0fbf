"""Verifying a credential that was presented to a service; the verification is counted, and the use noted."""

from contextlib import suppress

from herod.identity.credential_types import ApiKeyHeader, Audience, Bearer, Presented
from herod.identity.identify import bearer_principal, identify
from herod.pipeline.credential_last_used import note_use
from herod.pipeline.operation_definition import Context
from herod.scopes.principal import ANONYMOUS, AuthMethod, Principal
from herod.store.store_interface import Store
from herod.throttle.limiter import AttemptLimiter
from herod.throttle.rules import legacy_counters, service_counter
from herod_client.core.errors import Unauthenticated
from herod_client.core.key_format import looks_like_key

__all__ = ["allow_verification", "verify_credential"]


def allow_verification(
    store: Store, attempts: AttemptLimiter, context: Context, presented: Presented | None, text: str
) -> None:
    """Let a handler verify somebody else's credential, unless too many wrong legacy secrets were tried.

    Raises:
        RateLimited: there were too many; the answer is the same for a right one.
    """
    legacy = context.runtime.config.legacy
    if legacy.could_be(text):  # nothing else is ever compared with a legacy secret
        is_right = legacy.match(text) is not None
        service = _service(store, context, presented)
        if service is None:
            counters = legacy_counters(context.source)
        else:
            counters = (service_counter(service.id, context.source),)
        (attempts.check if is_right else attempts.count)(*counters, now=context.now)
    context.may_verify = True


def verify_credential(
    store: Store, context: Context, text: str, *, audience: Audience | str = Audience.PLAIN
) -> Principal:
    """The principal of a token, an API key or a legacy secret that was presented to the calling service.

    Args:
        audience: which tokens to accept of those issued for one resource; a text is the caller's resource. By default
            none: whoever got such a token must not be able to use it elsewhere.

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


def _service(store: Store, context: Context, presented: Presented | None) -> Principal | None:
    """The caller, if it presents a service key: only admins give those out."""
    principal = context.principal
    match presented:
        case Bearer(text) | ApiKeyHeader(text) if principal is ANONYMOUS and looks_like_key(text):
            with suppress(Unauthenticated):  # an operation for everybody takes no notice of a bad key
                principal = identify(store, context.runtime, presented, context.source, context.now)
    return principal if principal.method is AuthMethod.SERVICE_KEY else None
