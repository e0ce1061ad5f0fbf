"""Authorization codes: what a browser carries to an app, which exchanges it for tokens once, within a minute.

A code is bound to the app, its redirect, PKCE challenge and resource, to what was ticked, and to the session in which
that was: signing out in between ends it. Whether it was used is written in the transaction that gives the tokens, so of
two uses at once one is the second, and ends the tokens of the first (RFC 6749, section 4.1.2).
"""

from typing import Final

from herod.credentials.keyring import Purpose
from herod.identity.runtime_state import Runtime
from herod.operations.oauth.authorization.authorization_requests import AuthorizationRequest
from herod.pipeline.operation_definition import Context
from herod.records import AuthorizationCode, Delegation
from herod.store.owned_records import delete_owned
from herod.store.store_interface import Writer
from herod_client.core.key_format import new_opaque

__all__ = ["CODE_SECONDS", "MAX_CODES", "code_id", "issue_code"]

CODE_SECONDS: Final = 60
# Of one delegation, those that were used and are kept included; with more, the oldest goes.
MAX_CODES: Final = 20


def code_id(runtime: Runtime, code: str) -> str:
    """The id of the record of a code."""
    return runtime.keyring.mac(Purpose.AUTHORIZATION_CODES, code.encode("utf-8", "surrogatepass")).hex()


def issue_code(
    tx: Writer, context: Context, request: AuthorizationRequest, delegation: Delegation, scope: tuple[str, ...]
) -> str:
    """A new code for what the calling person's session lets an app have.

    Args:
        scope: what the tokens are for, within the delegation's.
    """
    principal, sealed = context.principal, request.sealed
    _make_room(tx, delegation)
    code = new_opaque()
    tx.put(
        AuthorizationCode(
            id=code_id(context.runtime, code),
            created_at=context.now,
            expires_at=context.now + CODE_SECONDS,
            delegation=delegation.id,
            account=delegation.account,
            session=principal.credential,
            app=request.app.id,
            redirect_uri=sealed.redirect_uri or "",
            challenge=sealed.challenge or "",
            resource=request.resource,
            scope=scope,
            nonce=sealed.nonce or "",
            auth_time=principal.signed_in_at or context.now,
            amr=principal.amr,
        )
    )
    return code


def _make_room(tx: Writer, delegation: Delegation) -> None:
    excess = tx.count_owned(AuthorizationCode, delegation.id, limit=MAX_CODES) - MAX_CODES + 1
    if excess > 0:
        delete_owned(tx, AuthorizationCode, delegation.id, limit=excess)
