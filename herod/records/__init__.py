"""The records that the store seals, one row each.

A record is immutable; a change replaces it. Fields may be added with a default; none may change its meaning.
"""

from herod.records.accounts_and_keys import REGISTERED, SERVICE_KEYS, Account, ApiKey
from herod.records.approvals import Approval
from herod.records.apps import App, app_lookup
from herod.records.delegations import Delegation
from herod.records.device_codes import DeviceCode
from herod.records.factors import Passkey, RecoveryCodes, TotpFactor, UsedChallenge
from herod.records.housekeeping import ClockRecord, Deletion, GuessCount, HashKey, LegacyUse
from herod.records.oauth_grants import AuthorizationCode, TokenFamily
from herod.records.peer_rules import PeerRule
from herod.records.record import FieldUse, Record
from herod.records.resources import Resource, ResourceTally, resource_owner
from herod.records.sessions import Session, SessionEpoch
from herod.records.tokens import Revocation, SigningKeyRecord

__all__ = [
    "RECORD_TYPES",
    "REGISTERED",
    "SERVICE_KEYS",
    "Account",
    "ApiKey",
    "App",
    "Approval",
    "AuthorizationCode",
    "ClockRecord",
    "Delegation",
    "Deletion",
    "DeviceCode",
    "FieldUse",
    "GuessCount",
    "HashKey",
    "LegacyUse",
    "Passkey",
    "PeerRule",
    "Record",
    "RecoveryCodes",
    "Resource",
    "ResourceTally",
    "Revocation",
    "Session",
    "SessionEpoch",
    "SigningKeyRecord",
    "TokenFamily",
    "TotpFactor",
    "UsedChallenge",
    "app_lookup",
    "resource_owner",
]

RECORD_TYPES: tuple[type[Record], ...] = (
    Account,
    ApiKey,
    Session,
    Resource,
    PeerRule,
    App,
    Revocation,
    SigningKeyRecord,
    GuessCount,
    HashKey,
    LegacyUse,
    ClockRecord,
    SessionEpoch,
    ResourceTally,
    Deletion,
    Delegation,
    AuthorizationCode,
    TokenFamily,
    DeviceCode,
    Approval,
    Passkey,
    TotpFactor,
    RecoveryCodes,
    UsedChallenge,
)
