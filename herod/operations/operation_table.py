"""The table of every operation, by name. Protocols, documents and the authorization matrix test are derived from it."""

from collections.abc import Mapping
from types import MappingProxyType, ModuleType
from typing import Final

from herod.operations.accounts import first_admin, login_and_registration, passwords_and_secrets, user_administration
from herod.operations.approvals import decisions as approvals
from herod.operations.apps import registered_apps
from herod.operations.audit import audit_log
from herod.operations.delegations import connected_apps
from herod.operations.factors import (
    account_factors,
    authenticator_app,
    confirmed_sign_in,
    own_passkeys,
    passkey_sign_in,
)
from herod.operations.keys import create_list_delete, rotate_disable_edit
from herod.operations.legacy import legacy_secret_promotion
from herod.operations.oauth import dynamic_registration, token_refresh
from herod.operations.oauth.authorization import authorize, code_exchange
from herod.operations.oauth.consent import consent_questions
from herod.operations.oauth.device import device_authorization, device_consent, device_exchange
from herod.operations.openid import app_sign_out, userinfo
from herod.operations.peers import peer_rules
from herod.operations.resources import owned_resources, resource_counts
from herod.operations.sessions import list_and_end_sessions, resumption, session_lifecycle, terminal_sign_in_codes
from herod.operations.supervisor import hero_supervisor_methods
from herod.operations.system import attention, backup, explain, health_and_whoami, metrics, overview
from herod.operations.tokens import change_feed, introspection, issue_and_validate, token_revocation
from herod.pipeline.operation_definition import Operation

__all__ = ["OPERATIONS"]

MODULES: Final[tuple[ModuleType, ...]] = (
    health_and_whoami,
    login_and_registration,
    issue_and_validate,
    token_revocation,
    code_exchange,
    token_refresh,
    device_exchange,
    device_authorization,
    introspection,
    dynamic_registration,
    change_feed,
    userinfo,
    connected_apps,
    approvals,
    app_sign_out,
    user_administration,
    passwords_and_secrets,
    create_list_delete,
    rotate_disable_edit,
    hero_supervisor_methods,
    peer_rules,
    registered_apps,
    owned_resources,
    resource_counts,
    explain,
    attention,
    session_lifecycle,
    resumption,
    terminal_sign_in_codes,
    list_and_end_sessions,
    first_admin,
    confirmed_sign_in,
    passkey_sign_in,
    own_passkeys,
    authenticator_app,
    account_factors,
    authorize,
    consent_questions,
    device_consent,
    audit_log,
    legacy_secret_promotion,
    backup,
    metrics,
    overview,
)


def _collect() -> Mapping[str, Operation]:
    found: dict[str, Operation] = {}
    for module in MODULES:
        for name in module.__all__:
            value = getattr(module, name)
            if isinstance(value, Operation):
                if value.name in found:
                    raise TypeError(f"duplicate operation name: {value.name}")
                found[value.name] = value
    return MappingProxyType(found)


OPERATIONS: Final = _collect()
