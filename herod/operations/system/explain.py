"""Why may someone do something, or not, and what would mend it. Answers with the engine that decides for real."""

from typing import Annotated

import msgspec

from herod.identity.effective_principals import (
    LOCAL_ADMIN_ID,
    account_principal,
    key_principal,
    local_admin,
    rule_principal,
)
from herod.pipeline.operation_definition import Context, Params, Tool, name_methods, query
from herod.pipeline.parameter_types import KnownScope, Network, OperationName
from herod.pipeline.privilege_ceilings import check_key_manager, is_admin
from herod.pipeline.targets import AccountRef, find_account
from herod.records import ApiKey, PeerRule
from herod.scopes.decisions import Access, Denied, Needs, decide
from herod.scopes.principal import AuthMethod, Principal
from herod.store.store_interface import Reader
from herod_client.core.errors import CeilingExceeded, InvalidRequest, MissingScope, NotFound, Unauthenticated, quoted
from herod_client.core.scope_graph import ADMIN

__all__ = ["access_explain"]


class Explain(Params, frozen=True, kw_only=True):
    """`principal` is a client_id, email, key id, peer rule id, `uid:N` or `gid:N`; you yourself if left out."""

    at_most_one = ("operation", "scope")

    principal: (
        Annotated[
            str, msgspec.Meta(description="whom: a client_id, email, key id, peer rule id, `uid:N` or `gid:N`; you")
        ]
        | None
    ) = None
    operation: OperationName | None = None
    scope: KnownScope | None = None
    network: Network | None = None


class Explanation(msgspec.Struct, frozen=True, omit_defaults=True):
    """The decision; when it is no, why, what is missing, and the command that would mend it."""

    allowed: bool
    reason: str | None = None
    missing: str | None = None
    hint: str | None = None


@query(
    "access.explain",
    needs=Access.AUTHENTICATED,
    example={"operation": "users.list"},
    http=("POST /api/v1/explain",),
    tool=Tool("explain"),
    failures=(NotFound,),
)
def access_explain(reader: Reader, context: Context, params: Explain) -> Explanation:
    """Explain whether someone may do an operation or passes a scope, and on which network."""
    needs = _needs(context, params)
    if params.principal is None or params.principal == context.principal.id:
        principal = context.principal
    elif is_admin(context):
        try:
            principal = _principal(reader, context, params.principal)
        except Unauthenticated as error:
            return Explanation(allowed=False, reason=error.reason, hint="enable it, or its owner, first")
    else:
        raise MissingScope("Explaining others' access takes admin.", missing=ADMIN)
    decision = decide(context.runtime.config.graph, principal, needs=needs, now=context.now, network=params.network)
    if isinstance(decision, Denied):
        return Explanation(allowed=False, reason=decision.reason, missing=decision.missing, hint=decision.hint)
    methods = context.runtime.methods.get(params.operation or "")
    if methods is not None and principal.method not in methods:
        return Explanation(allowed=False, reason="method_not_allowed", hint=f"use a {name_methods(methods)}")
    if params.operation in context.runtime.key_operations:
        return _explain_key_manager(msgspec.structs.replace(context, principal=principal))
    return Explanation(allowed=True)


def _explain_key_manager(context: Context) -> Explanation:
    """Whether who is asked about may manage keys at all."""
    try:
        check_key_manager(context)
    except CeilingExceeded as error:
        hint = "sign in as the key's owner" if error.missing is None else "use a key with scope admin"
        return Explanation(allowed=False, reason=error.reason, missing=error.missing, hint=hint)
    return Explanation(allowed=True)


def _needs(context: Context, params: Explain) -> Needs:
    if params.operation is not None and params.scope is not None:
        raise InvalidRequest("Ask about an operation or a scope, not both.")
    if params.operation is not None:
        needs = context.runtime.needs.get(params.operation)
        if needs is None:
            raise InvalidRequest(f"There is no operation {quoted(params.operation)}.")
        return needs
    if params.scope is None:
        return Access.AUTHENTICATED
    if not context.runtime.config.graph.bit(params.scope):
        raise InvalidRequest(
            f"Unknown scope {quoted(params.scope)}: known are {', '.join(context.runtime.config.graph.scopes)}."
        )
    return params.scope


def _principal(reader: Reader, context: Context, name: str) -> Principal:
    """Anybody, with what they hold right now.

    Raises:
        NotFound: nobody is called that.
        Unauthenticated: they are switched off.
    """
    runtime = context.runtime
    if name == LOCAL_ADMIN_ID:
        return local_admin(runtime)
    account = find_account(reader, AccountRef(email=name) if "@" in name else AccountRef(client_id=name))
    if account is not None:
        return account_principal(runtime, account, AuthMethod.CLIENT_SECRET)
    key = reader.get(ApiKey, name)
    if key is not None:
        return key_principal(reader, runtime, key)
    rule = reader.get(PeerRule, name)
    rules = [rule] if rule is not None else reader.find(PeerRule, "peer", name)
    if rules:
        return rule_principal(runtime, rules)
    raise NotFound("Nobody is called that: give a client_id, email, key id, peer rule id, uid:N or gid:N.")
