"""Everything that commands store from parameters is bounded: each schema states a maximum, and it is enforced."""

import msgspec
import pytest

from herod.identity.runtime_state import Runtime
from herod.operations.operation_table import OPERATIONS
from herod.pipeline.operation_definition import Surface
from herod.protocols.documents.json_schemas import field_schemas, known_names
from herod.records import RECORD_TYPES
from herod.store.sqlite.sealed_rows import sealed_bytes
from protocols.documents.prepared_examples import prepare
from support.herod_in_memory import Harness, bearer

COMMANDS = [one.name for one in OPERATIONS.values() if one.is_command]
OVER_RPC = [name for name in COMMANDS if Surface.RPC in OPERATIONS[name].surfaces]
# Parameters that look something up or prove something, and are never stored.
NOT_KEPT = {
    "admin_key", "client_id", "code", "code_verifier", "current", "device_code", "email of login",
    "email of session.sign_in", "former", "group", "half", "id", "key", "owner", "redirect_uri", "refresh_token",
    "request", "password of login", "password of session.sign_in", "sid", "token", "token_type_hint", "user",
}  # fmt: skip


def unbounded(name: str, runtime: Runtime) -> list[str]:
    """The strings, lists and objects of a command without a maximum in its schema."""
    operation = OPERATIONS[name]
    maxima = {"string": {"maxLength", "enum"}, "array": {"maxItems"}, "object": {"maxProperties"}}
    return [
        field
        for field, schema in field_schemas(operation, known_names(OPERATIONS.values(), runtime)).items()
        for part in (schema, *schema.get("anyOf", ()))
        if part.get("type") in maxima
        if not maxima[part["type"]] & part.keys()
    ]


@pytest.mark.parametrize("name", COMMANDS)
async def test_what_is_kept_has_a_maximum(harness: Harness, name: str) -> None:
    """Every string and list that a command may store has a maximum in its schema; the exceptions are listed above."""
    assert {field for field in unbounded(name, harness.runtime) if f"{field} of {name}" not in NOT_KEPT} <= NOT_KEPT


@pytest.mark.parametrize("name", OVER_RPC)
async def test_nothing_large_is_kept(harness: Harness, name: str) -> None:
    """Whatever any parameter contains, no record and no audit row gets larger than a resource may be."""
    operation = OPERATIONS[name]
    prepared = await prepare(harness, operation)
    for field in operation.params.__struct_fields__:
        for value in ("x" * 40_000, "a@" + "b" * 40_000, ["n"] * 9000, {f"k{n}": "v" * 9 for n in range(2000)}):
            given = {**prepared.fill(dict(operation.example)), field: value}
            await harness.rpc(name, given, headers=prepared.headers)
            await harness.rpc(name, given, headers=bearer("x" * 8000))
    await harness.pipeline.flush(is_last=True)
    sizes = [sealed_bytes(record) for kind in RECORD_TYPES for record in harness.store.scan(kind)]
    assert max(sizes) < 24 * 1024
    rows = harness.store.audit_rows()
    assert rows
    assert max(len(msgspec.json.encode(row)) for row in rows) < 1024
