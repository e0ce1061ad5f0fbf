"""Explain an authorization decision: why, and how to change it. It is made by the engine that decides real requests."""

from typing import Annotated

import msgspec

from herod.identity.effective_principals import (
    LOCAL_ADMIN_ID,
    account_principal,
    key_principal,
    local_admin,
    rule_principal,
)
from herod.pipeline.admission import admit, check_person
from herod.pipeline.ceilings.privilege_ceilings import is_admin
from herod.pipeline.operation_definition import Context, Operation, Params, Tool, query
from herod.pipeline.parameters.parameter_types import KnownScope, Network, OperationName
from herod.pipeline.record_references import any_id
from herod.records import Account, ApiKey, PeerRule
from herod.scopes.decisions import Access, Denied, decide
from herod.scopes.principal import AuthMethod, Principal
from herod.store.store_interface import Reader
from herod_client.core.errors import (
    ExpiredToken,
    HerodError,
    InvalidRequest,
    MissingScope,
    NotFound,
    Unauthenticated,
    quoted,
)
from herod_client.core.grants import check_required_network
from herod_client.core.scope_graph import ADMIN, canonical_scope

__all__ = ["access_explain"]


class Explain(Params, frozen=True, kw_only=True):
    """`principal` is a client_id, email, key id, peer rule id, unique name, `uid:N` or `gid:N`; you by default."""

    at_most_one = ("operation", "scope")

    principal: (
        Annotated[
            str,
            msgspec.Meta(
                description="a client_id, email, key id, peer rule id, unique name, `uid:N` or `gid:N`; default you"
            ),
        ]
        | None
    ) = None
    operation: OperationName | None = None
    scope: KnownScope | None = None
    network: Network | None = None


class Explanation(msgspec.Struct, frozen=True, omit_defaults=True):
    """The decision; for a denial also the reason, what is missing, and how to fix it."""

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
    """Explain whether a principal may call an operation or holds a scope, on a network if one is given."""
    operation = _operation(context, params)
    named = None if params.principal is None else any_id(reader, context, params.principal)
    if named is None or named == context.principal.id:
        principal = context.principal
    elif is_admin(context):
        try:
            principal = _principal(reader, context, named)
        except Unauthenticated as error:
            return Explanation(allowed=False, reason=error.reason, hint=error.hint or "enable it, or its owner, first")
    else:
        raise MissingScope("Only admins can explain the access of others.", missing=ADMIN)
    if operation is not None:
        try:
            asked = msgspec.structs.replace(context, principal=principal)
            admit(asked, operation, network=params.network)
            check_person(asked, operation)
        except HerodError as error:
            return Explanation(
                allowed=False, reason=error.reason, missing=getattr(error, "missing", None), hint=error.hint
            )
        return Explanation(allowed=True)
    needs = Access.AUTHENTICATED if params.scope is None else canonical_scope((params.scope,))
    decision = decide(context.runtime.config.graph, principal, needs=needs, now=context.now, network=params.network)
    if isinstance(decision, Denied):
        return Explanation(allowed=False, reason=decision.reason, missing=decision.missing, hint=decision.hint)
    return Explanation(allowed=True)


def _operation(context: Context, params: Explain) -> Operation | None:
    """The operation asked about, if any.

    Raises:
        InvalidRequest: there is no such operation, scope or network, or both an operation and a scope are given.
    """
    if params.network is not None:
        check_required_network(params.network, context.runtime.config.networks)
    if params.operation is not None and params.scope is not None:
        raise InvalidRequest("Ask about an operation or a scope, not both.")
    if params.operation is not None:
        operation: Operation | None = context.process.operations.get(params.operation)
        if operation is None:
            raise InvalidRequest(f"There is no operation {quoted(params.operation)}: /rpc/discover lists them.")
        return operation
    graph = context.runtime.config.graph
    if params.scope is not None and not graph.bit(params.scope):
        graph.required(params.scope)  # refuses what is empty or unknown
        raise InvalidRequest("Ask about one scope at a time: give its name alone.")
    return None


def _principal(reader: Reader, context: Context, id_: str) -> Principal:
    """The principal of that id with its current grants.

    Raises:
        NotFound: there is none.
        Unauthenticated: it has expired, or it or its owner is disabled.
    """
    runtime = context.runtime
    if id_ == LOCAL_ADMIN_ID:
        return local_admin(runtime)
    if (account := reader.get(Account, id_)) is not None:
        return account_principal(runtime, account, AuthMethod.CLIENT_SECRET)
    if (key := reader.get(ApiKey, id_)) is not None:
        if key.has_ended(context.now):
            raise ExpiredToken(
                "This API key has expired.", reason="expired", hint=f"herod key edit {key.id} --expires 90d"
            )
        return key_principal(reader, runtime, key)
    if (rule := reader.get(PeerRule, id_)) is not None:
        return rule_principal(runtime, [rule])
    raise NotFound("No principal has that name: give a client_id, email, key id, unique name, uid:N or gid:N.")
