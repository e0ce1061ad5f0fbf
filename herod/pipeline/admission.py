"""Whether a principal may call an operation: checked for each request, and explained by `access.explain`."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from herod.credentials.apps.dynamic_client_ids import looks_dynamic
from herod.identity.apps.openid_scopes import OPENID
from herod.identity.apps.registered_apps import HEROD_CLI
from herod.identity.people.persons import is_person
from herod.identity.people.second_factors import has_second_factor, must_have_second_factor
from herod.pipeline.ceilings.privilege_ceilings import check_key_manager
from herod.pipeline.operation_definition import Context, Operation, name_methods
from herod.records import Account, Delegation, Session
from herod.scopes.decisions import Access, Denied, Reason, decide
from herod.scopes.principal import AuthMethod, Principal, PrincipalKind
from herod.store.store_interface import Reader
from herod_client.core.errors import (
    BadCredentials,
    CeilingExceeded,
    ExpiredToken,
    HerodError,
    MissingScope,
    NetworkDenied,
    PermissionDenied,
    PersonNeeded,
    SecondFactorMissing,
    TargetDenied,
    Unauthenticated,
)
from herod_client.core.scope_graph import READ

__all__ = [
    "APP_TOKEN",
    "SIGN_IN_AGAIN",
    "admit",
    "admitted",
    "authorize",
    "check_direct",
    "check_fresh",
    "check_own_sign_in",
    "check_person",
    "refusal",
]

FRESH_SECONDS: Final = 900
SIGN_IN_AGAIN: Final = "sign_in_again"
"""The reason of a refusal that a new sign-in cures."""
APP_TOKEN: Final = "app_token"  # noqa: S105 - a reason
"""The reason of a refusal to let an app's token make something that lasts."""


def admit(context: Context, operation: Operation, *, network: str | None = None) -> None:
    """Check that the context's principal may call an operation, on `network` if one is given.

    Raises:
        Unauthenticated: there is no principal, or its credential is not valid now.
        PermissionDenied: the principal may not, or not with this credential.
    """
    principal = context.principal
    _check_app(principal, operation)
    if principal.lacks_factor and not operation.enrols:
        raise SecondFactorMissing(
            "Your account must have a second factor: set up a passkey or an authenticator app first.",
            reason="second_factor_missing",
        )
    if operation.dynamic_direct and looks_dynamic(principal.id) and not context.source.is_direct:
        raise TargetDenied(
            "An app that registered itself may do this only on herod's own machine: ask an admin to register the app.",
            reason="not_direct",
        )
    decision = decide(context.runtime.config.graph, principal, needs=operation.needs, now=context.now, network=network)
    if isinstance(decision, Denied):
        if decision.reason is Reason.ANONYMOUS and operation.methods is not None:
            # Over TCP nobody is known by a uid.
            methods = operation.methods if context.source.peer else operation.methods - {AuthMethod.PEER}
            raise BadCredentials(
                f"This needs a credential: present {name_methods(methods or operation.methods)}.",
                reason=decision.reason,
            )
        raise refusal(decision, principal)
    if operation.methods is not None and principal.method not in operation.methods:
        presents, takes = name_methods((principal.method,)), name_methods(operation.methods)
        raise CeilingExceeded(f"This takes {takes}, not {presents}.", reason="method_not_allowed", hint=f"use {takes}")
    says_only_who = principal.delegation is not None and not principal.widest.mask
    if says_only_who and not operation.openid and not operation.takes_apps:
        raise MissingScope(
            "This token tells who signed in and holds no scope of herod's, so it is good at /userinfo alone: ask the "
            "person for a scope.",
            missing=READ,
        )
    if operation.openid and OPENID not in principal.openid:
        raise MissingScope(
            "This needs the access token of an app that asked for scope 'openid' when the person signed in.",
            missing=OPENID,
        )
    if operation.manages_keys:
        check_key_manager(context)


def _makes_nothing_that_lasts(principal: Principal) -> CeilingExceeded:
    """The refusal of an app's token, the `herod` command's among them."""
    if principal.app == HEROD_CLI:
        return CeilingExceeded(
            "Signed in by a browser or a code, the herod command cannot make, change or end accounts, keys, secrets, "
            "sessions or anything else that lasts: sign in with your password for that, or use the dashboard.",
            reason=APP_TOKEN,
            hint="herod login --email ADDRESS",
        )
    return CeilingExceeded(
        "An app's token cannot make, change or end keys, secrets, sessions or anything else that lasts, whatever its "
        "scope. Do it yourself; if the app is to do it, give it an API key.",
        reason=APP_TOKEN,
        hint="herod key create NAME",
    )


def _check_app(principal: Principal, operation: Operation) -> None:
    """Refuse an app without a person whatever is not for apps, and an app's token whatever makes something that lasts.

    Raises:
        BadCredentials, CeilingExceeded: it is such a call.
    """
    if principal.kind is PrincipalKind.APP and not operation.takes_apps:
        if operation.form:  # `invalid_client` would make agents throw their registration away
            raise CeilingExceeded(
                "An app gets tokens only for a person who lets it act for them: send the person to /authorize.",
                reason="app_alone",
            )
        raise BadCredentials(
            "An app has no access of its own: present a credential of a person or a service, or let a person connect "
            "the app.",
            reason="app_alone",
        )
    if principal.delegation is not None and operation.credential and not operation.apps_may:
        raise _makes_nothing_that_lasts(principal)


def authorize(context: Context, operation: Operation, principal: Principal) -> None:
    """Make the principal the context's caller, and refuse whatever it may not do: called before every handler.

    Raises:
        Unauthenticated, PermissionDenied: as `admit`, `check_person` and `check_fresh`.
    """
    context.principal = principal
    admit(context, operation)
    check_person(context, operation)
    check_fresh(context, operation)


def check_direct(context: Context, operation: Operation) -> None:
    """Refuse a request from another machine, or through a proxy, to an operation for this machine alone.

    Raises:
        TargetDenied: it is one.
    """
    if operation.only_direct and not context.source.is_direct:
        raise TargetDenied(
            "This is only for programs on herod's own machine: send it to http://localhost or the Unix socket, without "
            "a proxy in between.",
            reason="not_direct",
        )


def check_fresh(context: Context, operation: Operation) -> None:
    """Refuse to give lasting access for a browser that signed in long ago: somebody else may sit there now.

    By the table: the operations concerned are those that give an account, a key or a peer rule something (OWASP ASVS
    5.0, 7.5.1). A menu shows them all the same. What people let apps do is asked for in one step, and says itself which
    part of it needs a recent sign-in (`operations/oauth/consent/consent_questions.py`).

    Raises:
        ExpiredToken: the sign-in is older than `FRESH_SECONDS`, or than the operation's own limit.
    """
    principal = context.principal
    if principal.method is not AuthMethod.SESSION or operation.gives in (None, Session, Delegation):
        return
    limit = FRESH_SECONDS if operation.fresh is None else operation.fresh
    if isinstance(operation.gives, type) and context.now - (principal.signed_in_at or 0) > limit:
        raise ExpiredToken(
            f"To give or change access, you must have signed in within the last {_minutes(limit)}: sign in again.",
            reason=SIGN_IN_AGAIN,
        )


def check_person(context: Context, operation: Operation) -> None:
    """Refuse what only a person does to a session that no person opened, or opened too long ago.

    By the table: an operation's `person`. A menu shows them all the same, since signing in cures it.

    Raises:
        PersonNeeded: the caller is not a person's session.
        ExpiredToken: its sign-in is older than the operation admits.
    """
    if operation.person is None:
        return
    principal = context.principal
    is_enrolling = principal.lacks_factor and operation.enrols
    if not is_enrolling and not is_person(principal):
        raise PersonNeeded(
            "Only a person may do this: sign in with a passkey, or with your email and password.",
            reason="person_needed",
        )
    if operation.person and context.now - (principal.signed_in_at or 0) > operation.person:
        raise ExpiredToken(
            f"To do this, you must have signed in within the last {_minutes(operation.person)}: sign in again.",
            reason=SIGN_IN_AGAIN,
        )


def check_own_sign_in(reader: Reader, context: Context, account: Account, limit: int) -> None:
    """Refuse to change what one signs in with oneself by a credential that was proved too long ago, or is no sign-in.

    A session counts from its sign-in, a token from its issue, and a client secret is proved by each request. An account
    that has a second factor, or must have one, changes them in the session of its person alone: a secret or a token
    has not shown that factor (`docs/decisions/0013-own-password-and-secret.md`).

    Raises:
        CeilingExceeded: an API key, or a session that one opened.
        PersonNeeded: it takes a person's session.
        ExpiredToken: the sign-in is older than `limit` seconds.
    """
    principal = context.principal
    if principal.made_with is AuthMethod.USER_KEY:
        raise CeilingExceeded(
            "An API key cannot change its owner's password or client secret: sign in instead.",
            reason="key_cannot_change_secrets",
        )
    config = context.runtime.config
    has_factor = has_second_factor(reader, account.id) or must_have_second_factor(config, account)
    if has_factor and not is_person(principal):
        raise PersonNeeded(
            "Your account has a second factor: sign in to the dashboard with it to change your password or client "
            "secret.",
            reason="person_needed",
        )
    proved_at = {
        AuthMethod.SESSION: principal.signed_in_at,
        AuthMethod.JWT: principal.issued_at,
    }.get(principal.method, context.now)
    if context.now - (proved_at or 0) > limit:
        raise ExpiredToken(
            f"To change your own password or client secret, you must have signed in within the last {_minutes(limit)}: "
            "sign in again.",
            reason=SIGN_IN_AGAIN,
            hint=None if principal.method is AuthMethod.SESSION else "herod login --email EMAIL",
        )


def _minutes(seconds: int) -> str:
    return f"{seconds // 60} minutes" if seconds >= 120 else "minute"


def admitted(context: Context, operations: Iterable[Operation]) -> frozenset[str]:
    """The names of those that `admit` lets the context's principal call: for menus and lists of tools."""
    groups: dict[object, list[Operation]] = {}
    for operation in operations:  # those that ask for the same are decided together
        is_lasting = operation.credential and not operation.apps_may
        asked = (
            operation.needs,
            operation.methods,
            operation.openid,
            operation.manages_keys,
            operation.takes_apps,
            is_lasting,
            operation.enrols,
            operation.dynamic_direct,
        )
        groups.setdefault(asked, []).append(operation)
    names: set[str] = set()
    for group in groups.values():
        with suppress(Unauthenticated, PermissionDenied):
            if group[0].needs is not Access.PUBLIC:
                admit(context, group[0])
            names.update(operation.name for operation in group)
    return frozenset(names)


def refusal(decision: Denied, principal: Principal) -> HerodError:
    """The error that reports a denial to the caller."""
    match decision.reason:
        case Reason.ANONYMOUS:
            return BadCredentials(
                "This needs a credential: send Authorization: Bearer with a token or an API key, Authorization: Basic "
                "with a client id and secret, or, on the Unix socket, Authorization: Peer.",
                reason="anonymous",
            )
        case Reason.OUTSIDE_WINDOW:
            return ExpiredToken("This credential is not valid now: get a new one.", reason="outside_window")
        case Reason.NETWORK_DENIED:
            return NetworkDenied(
                f"{_who(principal)} has no access to network {decision.missing!r}.",
                missing=decision.missing,
                hint=decision.hint,
            )
        case _:
            return MissingScope(
                f"This needs scope {decision.missing!r}, which {_who(principal)} does not have.",
                missing=decision.missing,
                hint=decision.hint,
            )


def _who(principal: Principal) -> str:
    return {
        AuthMethod.JWT: "this token",
        AuthMethod.USER_KEY: "this API key",
        AuthMethod.SERVICE_KEY: "this API key",
        AuthMethod.SESSION: "this session",
        AuthMethod.PEER: "this local user",
    }.get(principal.method, "this account")
