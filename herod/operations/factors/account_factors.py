"""The second factors of an account, for its owner and for admins, and putting a lost one right."""

from typing import Final

import msgspec

from herod.operations.factors.factor_state import Factors, factors_view
from herod.operations.sessions import end_other_sessions
from herod.pipeline.ceilings.privilege_ceilings import owns
from herod.pipeline.operation_definition import Context, GivesNothing, command, query
from herod.pipeline.parameters.parameter_types import EXAMPLE_ID
from herod.pipeline.targets import ACCOUNT, AccountRef, find_account, visible
from herod.records import Account, Passkey, Record, RecoveryCodes, TotpFactor
from herod.scopes.decisions import Access
from herod.store.owned_records import delete_owned
from herod.store.store_interface import Reader, Writer
from herod_client.core.errors import CeilingExceeded, NotFound
from herod_client.core.scope_graph import ADMIN

__all__ = ["factors_get", "factors_reset"]

_ALL: Final[tuple[type[Record], ...]] = (Passkey, TotpFactor, RecoveryCodes)


class ResetFactors(msgspec.Struct, frozen=True, kw_only=True):
    """What was removed."""

    client_id: str
    passkeys: int
    totp: bool
    recovery_codes: bool


@query(
    "factors.get",
    needs=Access.AUTHENTICATED,
    enrols=True,
    example={"client_id": EXAMPLE_ID},
    http=("GET /api/v1/users/{client_id}/factors",),
    failures=(NotFound,),
)
def factors_get(reader: Reader, context: Context, params: AccountRef) -> Factors:
    """Show an account's passkeys, and whether it has an authenticator app and recovery codes: your own, or as admin."""
    return factors_view(reader, context, visible(context, ACCOUNT, find_account(reader, context, params)))


@command(
    "factors.reset",
    credential=True,
    gives=GivesNothing("whoever signs in next still needs the account's password"),
    needs=ADMIN,
    target=ACCOUNT,
    example={"client_id": EXAMPLE_ID},
    http=("POST /api/v1/users/{client_id}/reset-factors",),
    failures=(NotFound,),
)
def factors_reset(tx: Writer, context: Context, params: AccountRef, account: Account) -> ResetFactors:
    """Remove all passkeys, the authenticator app and the recovery codes of an account, and sign its browsers out.

    For who has lost them: the account signs in by its password again. Your own you change on your account page.
    """
    if owns(context.principal, account.id):
        raise CeilingExceeded(
            "Your own second factor is changed by you in person: on your account page, or by another admin.",
            reason="own_factors",
        )
    gone = {record_type: delete_owned(tx, record_type, account.id) for record_type in _ALL}
    if any(gone.values()):
        end_other_sessions(tx, context, account.id)
    return ResetFactors(
        client_id=account.id,
        passkeys=len(gone[Passkey]),
        totp=bool(gone[TotpFactor]),
        recovery_codes=bool(gone[RecoveryCodes]),
    )
