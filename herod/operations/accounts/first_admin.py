"""The first admin, created in a browser with a code from a file (mode 0600) on this machine.

Accounts and service keys count as admins, as they do for the rule that the last admin cannot be removed. While there is
no enabled admin, the daemon keeps a code in that file (`herod/first_admin_code_file.py`). The code is worthless once
there is one, which the transaction that creates the account checks. Connecting first is not enough.
"""

from typing import Final

import msgspec

from herod.identity.effective_principals import account_principal
from herod.identity.runtime_state import Runtime
from herod.operations.accounts.account_creation import account_with_secret, hashing
from herod.operations.accounts.login_and_registration import address_in_use
from herod.operations.sessions import OpenedSession, Opening, open_session
from herod.pipeline.ceilings.privilege_ceilings import is_standing_admin, possible_admins
from herod.pipeline.operation_definition import Context, NoTarget, Params, Surface, Work, command, query
from herod.pipeline.parameters.email_addresses import find_by_email
from herod.pipeline.parameters.parameter_types import AccountName, Email, NewPassword, Verbatim
from herod.pipeline.process.admin_presence import AdminPresence
from herod.records import Account, ApiKey
from herod.scopes.decisions import Access
from herod.scopes.principal import AuthMethod
from herod.store.store_interface import Reader, Store, Writer
from herod.throttle.rules import Attempt, code_guess
from herod_client.core.errors import BadCredentials, Conflict
from herod_client.core.scope_graph import ADMIN

__all__ = [
    "FIRST_CODE_SECONDS",
    "first_admin_create",
    "first_admin_status",
    "has_admin",
    "make_first_code",
]

FIRST_CODE_SECONDS: Final = 15 * 60
HOLDER: Final = "first-admin"
EXAMPLE_CODE: Final = "4fZ0" * 10 + "4fZ"


class AskStatus(Params, frozen=True, kw_only=True):
    """No parameters."""


class FirstAdminStatus(msgspec.Struct, frozen=True):
    """Whether there is no enabled admin, and whether there are accounts, which may sign in all the same."""

    is_needed: bool
    has_accounts: bool


class CreateFirstAdmin(Opening, frozen=True, kw_only=True):
    """The code from the file, and the new account; a password has 12 to 128 characters."""

    code: Verbatim
    email: Email
    password: NewPassword
    name: AccountName | None = None


def has_admin(store: Store, runtime: Runtime, admins: AdminPresence, now: int) -> bool:
    """Whether there is an enabled admin; fast enough for the event loop."""
    return admins.has_any(
        store,
        find=lambda: _find_admin(store, runtime, now),
        stands=lambda record: is_standing_admin(runtime, record, now),
    )


def make_first_code(runtime: Runtime, *, now: int) -> str:
    """A new code for the first admin, valid for 15 minutes; earlier codes stay valid until they expire."""
    return runtime.first_codes.make(HOLDER, holder=HOLDER, now=now, expires_at=now + FIRST_CODE_SECONDS)


@query("first_admin.status", needs=Access.PUBLIC, example={}, surfaces=frozenset({Surface.DASHBOARD}))
def first_admin_status(store: Store, context: Context, params: AskStatus) -> FirstAdminStatus:
    """Report whether there is no admin yet."""
    is_needed = not has_admin(store, context.runtime, context.process.admins, context.now)
    return FirstAdminStatus(is_needed=is_needed, has_accounts=store.count(Account) > 0)


def _limit(reader: Reader, context: Context, params: CreateFirstAdmin) -> Attempt:
    return code_guess(context.source)


def _hash_password(reader: Reader, context: Context, params: CreateFirstAdmin) -> Work:
    """Report every error before the code is used up."""
    if not context.runtime.first_codes.look(params.code, now=context.now):
        raise _wrong_code()
    if find_by_email(reader, params.email) is not None:
        raise address_in_use()
    return hashing(params.password, params.email, params.name)


@command(
    "first_admin.create",
    credential=True,
    gives=Account,
    counts=("sign_ins",),
    issues=True,
    needs=Access.PUBLIC,
    target=NoTarget("creates an account"),
    example={"code": EXAMPLE_CODE, "email": "ada@example.org", "password": "correct horse battery"},
    surfaces=frozenset({Surface.DASHBOARD}),
    limit=_limit,
    prepare=_hash_password,
)
def first_admin_create(tx: Writer, context: Context, params: CreateFirstAdmin) -> OpenedSession:
    """Create the first admin account with the code from the daemon's file, and sign the browser in."""
    runtime = context.runtime
    if not runtime.first_codes.take(params.code, now=context.now):
        raise _wrong_code()
    if _find_admin(tx, runtime, context.now) is not None:
        raise Conflict("An admin exists already: sign in, or ask an admin for an account.", reason="admin_exists")
    account, _ = account_with_secret(
        context,
        email=params.email,
        name=params.name,
        password=context.prepared,
        scope=(ADMIN,),
        networks=("*",),
    )
    account = msgspec.structs.replace(account, secret_hash=b"")  # nobody has seen its client secret, so it gets none
    if find_by_email(tx, params.email) is not None:
        raise address_in_use()
    tx.put(account)
    runtime.first_codes.clear()
    context.principal = account_principal(runtime, account, AuthMethod.PASSWORD)
    opened = open_session(tx, context, context.principal, params, amr=("pwd",))
    context.target = account.id
    return opened


def _find_admin(reader: Reader, runtime: Runtime, now: int) -> Account | ApiKey | None:
    return next((one for one in possible_admins(reader) if is_standing_admin(runtime, one, now)), None)


def _wrong_code() -> BadCredentials:
    return BadCredentials(
        "The code is wrong or has expired: read the file again, it contains a new one.",
        reason="wrong_code",
    )
