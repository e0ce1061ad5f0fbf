"""A harness that contains everything that the documents' examples name, for one operation at a time."""

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from herod.credentials.ownership_secrets import hash_ownership_secret
from herod.credentials.secret_hashes import hash_secret
from herod.operations.audit.audit_log import HMAC_BYTES
from herod.operations.keys.create_list_delete import EXAMPLE_KEY
from herod.operations.legacy.legacy_secret_promotion import EXAMPLE_LEGACY
from herod.operations.operation_table import OPERATIONS
from herod.pipeline.operation_definition import Operation
from herod.pipeline.parameters.parameter_types import EXAMPLE_ID
from herod.records import Account, ApiKey, App, Approval, Delegation, PeerRule, Record, Resource
from herod.scopes.decisions import Access
from support.connected_apps import app_token, connect_app
from support.herod_in_memory import Harness, User, bearer
from support.oauth_app import TOGETHER, Connecting, connecting
from support.persons import equipped_person, params_of_person
from support.waiting_calls import waiting_call

__all__ = ["Prepared", "prepare"]

EMAIL: Final = "ada@example.org"
# Operations on an existing account with that address; for all others the address is still free.
EXAMPLE_REQUEST: Final = str(OPERATIONS["oauth.allow"].example["request"])
EXAMPLE_CODE: Final = str(OPERATIONS["token.exchange_code"].example["code"])
EXAMPLE_USER_CODE: Final = str(OPERATIONS["oauth.enter_user_code"].example["user_code"])
EXAMPLE_DEVICE_REQUEST: Final = str(OPERATIONS["oauth.device_allow"].example["request"])
EXAMPLE_DEVICE_CODE: Final = str(OPERATIONS["token.exchange_device_code"].example["device_code"])
EXAMPLE_REFRESH: Final = str(OPERATIONS["token.refresh"].example["refresh_token"])
AT_HOME: Final = frozenset({"login"})
TENANT: Final = "what the tenant chose"


@dataclass(frozen=True)
class Prepared:
    """The caller of an example, and real values for the parts of examples that cannot be fixed in advance.

    Attributes:
        headers: the caller's headers, with exactly the needed scope.
        real: value in the example → real value.
    """

    headers: dict[str, str]
    real: dict[str, str]

    def fill(self, value: Any) -> Any:
        """Replace the example's tokens and ids with real ones."""
        if isinstance(value, dict):
            return {name: self.fill(one) for name, one in value.items()}
        return self.real.get(value, value) if isinstance(value, str) else value


async def prepare(harness: Harness, operation: Operation) -> Prepared:
    """Create everything that the operation's example names."""
    await harness.user("admin", name="another admin")
    example = operation.example
    needs = operation.needs if isinstance(operation.needs, str) else "read"
    added = await harness.user(
        needs if needs != "admin" else "read",
        email=EMAIL if operation.name in AT_HOME else "someone@example.org",
        password=example.get("current", example.get("password")),
    )
    user = await _rename_account(harness, added)
    asker = await harness.user("admin") if needs == "admin" else user
    await harness.call("keys.create", user.basic, name="seen in the audit log")
    is_service = operation.name.startswith("auth.")
    key = (await harness.service_key("read", "nightly")) if is_service else await user.key()
    await _rename(harness, ApiKey, key.split("_")[2], EXAMPLE_KEY)
    rule = await harness.admin("peers.allow", uid=2000, scope="read")
    await _rename(harness, PeerRule, rule.id, EXAMPLE_ID)
    app = await harness.admin("apps.add", name="an app", redirect_uris=["https://app.example.org/callback"])
    await _rename(harness, App, app.client_id, EXAMPLE_ID)
    await _rename(harness, Delegation, (await connect_app(harness, user)).id, EXAMPLE_ID)
    await _rename(harness, Approval, await waiting_call(harness, user), EXAMPLE_ID)
    owner = await harness.user("user")
    claimed = await harness.call(
        "resources.claim", owner.basic, kind="vm", name="web 1", secret=TENANT, attributes={"cpus": 2}
    )
    await _rename(
        harness,
        Resource,
        claimed.sid,
        EXAMPLE_ID,
        claimant=user.client_id,
        secret=hash_ownership_secret(harness.runtime.keyring, user.client_id, TENANT),
    )
    connected_app = await _connecting(harness, operation)
    real = {
        "eyJhbGciOiJIUzI1NiJ9.eyJ….4fZ0…": await user.token(),
        "herod_s_…": await harness.service_key("read", "shown"),
        EXAMPLE_LEGACY: next(one.id for one in harness.runtime.config.legacy.all() if one.scope == "admin"),
        "5f" * HMAC_BYTES: (await harness.admin("audit.verify")).head,
    }
    if connected_app is not None:
        real[EXAMPLE_REQUEST], real[EXAMPLE_CODE] = connected_app.request, connected_app.code
        real[EXAMPLE_REFRESH] = connected_app.refresh_token
        real[EXAMPLE_USER_CODE] = connected_app.user_code
        real[EXAMPLE_DEVICE_REQUEST], real[EXAMPLE_DEVICE_CODE] = (
            connected_app.device_request,
            connected_app.device_code,
        )
    headers = {} if operation.needs is Access.PUBLIC else asker.basic_header
    if operation.openid:
        connected = await connect_app(harness, user, "openid profile email groups")
        headers = bearer(app_token(harness, connected).text)
    if connected_app is not None:
        return Prepared(connected_app.headers if operation.takes_apps else connected_app.by_person, real)
    if operation.person is not None:
        return await _for_person(harness, operation)
    return Prepared(headers, real)


async def _for_person(harness: Harness, operation: Operation) -> Prepared:
    """The session of a person, and their passkey or app in the place of the example's."""
    person = await equipped_person(harness, "person@example.org")
    params = await params_of_person(person, operation.name, dict(operation.example))
    return Prepared(person.headers, {str(value): params[name] for name, value in operation.example.items()})


async def _connecting(harness: Harness, operation: Operation) -> Connecting | None:
    """An app and a person, for what the two do together."""
    return await connecting(harness) if operation.name in TOGETHER else None


async def _rename_account(harness: Harness, user: User) -> User:
    digest = hash_secret(harness.runtime.keyring, "client_secret", EXAMPLE_ID, user.secret)
    await _rename(harness, Account, user.client_id, EXAMPLE_ID, secret_hash=digest)
    return User(harness, EXAMPLE_ID, user.secret)


async def _rename(harness: Harness, kind: type[Record], old: str, new: str, **changes: object) -> None:
    """Give a record the id that the examples use."""
    record = harness.store.get(kind, old)
    assert record is not None

    def change(tx: Any) -> None:
        tx.delete(kind, old)
        tx.put(msgspec.structs.replace(record, id=new, **changes))

    await harness.store.write(change)
