"""Passkeys of one's own: enrolled, listed, renamed and deleted by their person.

Enrolling is the browser's: only the dashboard offers it. What the authenticator says is verified in
`credentials/factors/passkeys.py`; here it is made sure that herod asked for it, in this session, and that it is new.
"""

from typing import Annotated, Final

import msgspec

from herod.credentials.factors.challenges import ChallengeFor, new_user_handle
from herod.credentials.factors.passkeys import ALGORITHMS, passkey_id, read_registration, verify_registration
from herod.identity.people.persons import RECENT_SECONDS
from herod.identity.people.second_factors import has_second_factor
from herod.operations.factors.asked_challenges import BrowserPart, ask, party_of, shown, use_challenge
from herod.operations.factors.factor_state import (
    OWN_ACCOUNT,
    Factors,
    PasskeyView,
    SetUp,
    after_last,
    factors_view,
    own_account,
    passkey_view,
    set_up,
)
from herod.operations.factors.passkey_methods import methods_of
from herod.pipeline.ceilings.quotas import Quota, check_quota
from herod.pipeline.operation_definition import (
    Context,
    GivesNothing,
    NoParams,
    Params,
    Surface,
    Target,
    command,
    query,
)
from herod.pipeline.parameters.parameter_types import AS_IT_IS, Label
from herod.records import Account, Passkey
from herod.scopes.decisions import Access
from herod.store.owned_records import owned_by
from herod.store.store_interface import Page, Reader, Writer
from herod_client.core.errors import Conflict, NotFound

__all__ = ["passkeys_begin", "passkeys_delete", "passkeys_enrol", "passkeys_list", "passkeys_rename"]

# As browsers name them (section 5.8.4); others are dropped.
TRANSPORTS: Final = frozenset({"ble", "hybrid", "internal", "nfc", "smart-card", "usb"})
MAX_TRANSPORTS: Final = 100  # characters
EXAMPLE_PASSKEY: Final = "7f" * 16
EXAMPLE_PART: Final = "eyJ0eXBlIjoi"

PASSKEYS = Quota(
    name="passkeys",
    most=lambda quotas: quotas.passkeys,
    full="This account has {most} passkeys, the most it may have",
    advice="delete one that is not used",
    record_type=Passkey,
)


class PasskeyRef(Params, frozen=True, kw_only=True):
    """A passkey of one's own, by its id."""

    id: Annotated[str, msgspec.Meta(description="the passkey's id"), AS_IT_IS]


class RenamePasskey(PasskeyRef, frozen=True, kw_only=True):
    """A passkey of one's own, and its new name."""

    name: Label


class EnrolPasskey(Params, frozen=True, kw_only=True):
    """A name, and what the browser answered (`AuthenticatorAttestationResponse`), in base64url."""

    name: Label
    client_data: BrowserPart
    attestation: BrowserPart
    transports: Annotated[str, msgspec.Meta(extra_json_schema={"maxLength": MAX_TRANSPORTS}), AS_IT_IS] = ""


class EnrolOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the browser needs to make a passkey (`PublicKeyCredentialCreationOptions`); bytes are in base64url."""

    challenge: str
    rp_id: str
    user_handle: str
    user_name: str
    algorithms: tuple[int, ...]
    exclude: list[str]


def _own_passkey(reader: Reader, context: Context, params: PasskeyRef) -> Passkey | None:
    """Nobody sees another's, whoever they are."""
    passkey = reader.get(Passkey, params.id)
    return passkey if passkey is not None and passkey.account == context.principal.id else None


OWN_PASSKEY: Final = Target(
    noun="passkey",
    find=_own_passkey,
    is_own=lambda principal, passkey: passkey.account == principal.id,
    grants=lambda reader, context, passkey: OWN_ACCOUNT.grants(reader, context, own_account(reader, context)),
)


@query(
    "passkeys.begin",
    needs=Access.AUTHENTICATED,
    person=RECENT_SECONDS,
    enrols=True,
    example={},
    surfaces=frozenset({Surface.DASHBOARD}),
)
def passkeys_begin(reader: Reader, context: Context, params: NoParams) -> EnrolOptions:
    """Make a challenge for a new passkey, which is answered within five minutes."""
    party, account, keyring = party_of(context.runtime.config), own_account(reader, context), context.runtime.keyring
    challenge = ask(context, ChallengeFor.ENROL, *_bound(context, account))
    return EnrolOptions(
        challenge=shown(challenge),
        rp_id=party.id,
        user_handle=shown(account.user_handle or new_user_handle(keyring, challenge)),
        user_name=account.email or account.name,
        algorithms=ALGORITHMS,
        exclude=[shown(passkey.credential) for passkey in owned_by(reader, Passkey, account.id)],
    )


@command(
    "passkeys.enrol",
    credential=True,
    gives=GivesNothing("a passkey signs in as the account that enrols it in person, and no more"),
    issues=True,
    needs=Access.AUTHENTICATED,
    person=RECENT_SECONDS,
    enrols=True,
    target=OWN_ACCOUNT,
    example={"name": "laptop", "client_data": EXAMPLE_PART, "attestation": EXAMPLE_PART},
    surfaces=frozenset({Surface.DASHBOARD}),
)
def passkeys_enrol(tx: Writer, context: Context, params: EnrolPasskey, account: Account) -> SetUp:
    """Enrol a passkey of one's own. From then on, the password alone signs nobody in.

    With the account's first second factor, its other browsers are signed out.
    """
    runtime = context.runtime
    answer, data = read_registration(params.client_data, params.attestation)
    use_challenge(tx, context, answer.challenge, ChallengeFor.ENROL, *_bound(context, account))
    party = party_of(runtime.config)
    made = verify_registration(party, answer, data)
    check_quota(tx, context, PASSKEYS, owner=account.id)
    id_ = passkey_id(runtime.keyring, made.credential)
    if tx.get(Passkey, id_) is not None:
        raise Conflict("This passkey is enrolled already.", reason="passkey_exists")
    is_first = not has_second_factor(tx, account.id)
    passkey = Passkey(
        id=id_,
        created_at=context.now,
        account=account.id,
        name=params.name,
        credential=made.credential,
        public_key=made.public_key,
        counter=made.counter,
        transports=tuple(sorted(TRANSPORTS.intersection(params.transports[:MAX_TRANSPORTS].split(",")))),
        is_synced=made.is_synced,
        is_backed_up=made.is_backed_up,
        host=party.id,
    )
    tx.put(passkey)
    if not account.user_handle:
        handle = new_user_handle(runtime.keyring, answer.challenge)
        tx.put(msgspec.structs.replace(account, user_handle=handle))
    context.target = id_
    return set_up(tx, context, account, id_, methods_of(passkey), is_first=is_first)


@query(
    "passkeys.list",
    needs=Access.AUTHENTICATED,
    person=0,
    example={},
    http=("GET /api/v1/account/passkeys",),
)
def passkeys_list(reader: Reader, context: Context, params: NoParams) -> Page[PasskeyView]:
    """List one's own passkeys, oldest first."""
    return Page([passkey_view(passkey) for passkey in owned_by(reader, Passkey, context.principal.id)])


@command(
    "passkeys.rename",
    credential=True,
    gives=GivesNothing("a name opens nothing"),
    needs=Access.AUTHENTICATED,
    person=RECENT_SECONDS,
    target=OWN_PASSKEY,
    example={"id": EXAMPLE_PASSKEY, "name": "old laptop"},
    http=("PATCH /api/v1/account/passkeys/{id}",),
    failures=(NotFound,),
)
def passkeys_rename(tx: Writer, context: Context, params: RenamePasskey, passkey: Passkey) -> PasskeyView:
    """Give one of one's own passkeys another name."""
    renamed = msgspec.structs.replace(passkey, name=params.name)
    tx.put(renamed)
    return passkey_view(renamed)


@command(
    "passkeys.delete",
    credential=True,
    gives=GivesNothing("takes a way to sign in away"),
    needs=Access.AUTHENTICATED,
    person=RECENT_SECONDS,
    target=OWN_PASSKEY,
    example={"id": EXAMPLE_PASSKEY},
    http=("DELETE /api/v1/account/passkeys/{id}",),
    failures=(NotFound, Conflict),
)
def passkeys_delete(tx: Writer, context: Context, params: PasskeyRef, passkey: Passkey) -> Factors:
    """Delete one of one's own passkeys. The sessions that it opened end."""
    account = own_account(tx, context)
    tx.delete(Passkey, passkey.id)
    after_last(tx, context, account)
    return factors_view(tx, context, account)


def _bound(context: Context, account: Account) -> tuple[str, ...]:
    """What a challenge is bound to: this session, and the user handle, which two browsers might set at once."""
    return (context.principal.credential, account.id, account.user_handle.hex())
