"""A house in which everything that the documents' examples name exists, for one operation at a time."""

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from herod.credentials.secret_hashes import hash_secret
from herod.operations.audit.audit_log import HMAC_BYTES
from herod.operations.keys.create_list_delete import EXAMPLE_KEY
from herod.operations.legacy.legacy_secret_promotion import EXAMPLE_LEGACY
from herod.pipeline.operation_definition import Operation
from herod.pipeline.parameter_types import EXAMPLE_ID
from herod.records import Account, ApiKey, PeerRule, Record, Resource
from herod.scopes.decisions import Access
from support.herod_in_memory import House, User

__all__ = ["Prepared", "prepare"]

EMAIL: Final = "ada@example.org"
# The operations of people who have that address already; in the others it is still free.
AT_HOME: Final = frozenset({"login"})
TENANT: Final = "what the tenant chose"


@dataclass(frozen=True)
class Prepared:
    """Who asks, and what a few values of examples stand for: what cannot be known before.

    Attributes:
        headers: of who asks, with exactly the scope that is needed.
        real: what stands in examples → what there is.
    """

    headers: dict[str, str]
    real: dict[str, str]

    def fill(self, value: Any) -> Any:
        """An example with real tokens and ids in it."""
        if isinstance(value, dict):
            return {name: self.fill(one) for name, one in value.items()}
        return self.real.get(value, value) if isinstance(value, str) else value


async def prepare(house: House, operation: Operation) -> Prepared:
    """Make all that the operation's example names."""
    await house.user("admin", name="another admin")
    example = operation.example
    needs = operation.needs if isinstance(operation.needs, str) else "read"
    added = await house.user(
        needs if needs != "admin" else "read",
        email=EMAIL if operation.name in AT_HOME else "someone@example.org",
        password=example.get("current", example.get("password")),
    )
    user = await _rename_account(house, added)
    asker = await house.user("admin") if needs == "admin" else user
    await house.call("keys.create", user.basic, name="seen in the audit log")
    is_service = operation.name.startswith("auth.")
    key = (await house.service_key("read", "nightly")) if is_service else await user.key()
    await _rename(house, ApiKey, key.split("_")[2], EXAMPLE_KEY)
    rule = await house.admin("peers.allow", uid=2000, scope="read")
    await _rename(house, PeerRule, rule.id, EXAMPLE_ID)
    owner = await house.user("user")
    claimed = await house.call(
        "resources.claim", owner.basic, kind="vm", name="web 1", secret=TENANT, attributes={"cpus": 2}
    )
    await _rename(house, Resource, claimed.sid, EXAMPLE_ID, claimant=user.client_id)
    real = {
        "eyJhbGciOiJIUzI1NiJ9.…": await user.token(),
        "herod_s_…": await house.service_key("read", "shown"),
        EXAMPLE_LEGACY: next(one.id for one in house.runtime.config.legacy.all() if one.scope == "admin"),
        "5f" * HMAC_BYTES: (await house.admin("audit.verify")).head,
    }
    return Prepared({} if operation.needs is Access.PUBLIC else asker.basic_header, real)


async def _rename_account(house: House, user: User) -> User:
    digest = hash_secret(house.runtime.keyring, "client_secret", EXAMPLE_ID, user.secret)
    await _rename(house, Account, user.client_id, EXAMPLE_ID, secret_hash=digest)
    return User(house, EXAMPLE_ID, user.secret)


async def _rename(house: House, kind: type[Record], old: str, new: str, **changes: object) -> None:
    """Give a record the id that the examples name."""
    record = house.store.get(kind, old)
    assert record is not None

    def change(tx: Any) -> None:
        tx.delete(kind, old)
        tx.put(msgspec.structs.replace(record, id=new, **changes))

    await house.store.write(change)
