"""Safe tracebacks and debug lines: no `repr` of data that passes through herod contains a secret."""

import typing
from typing import Any

import msgspec
import pytest

from herod.operations.operation_table import OPERATIONS
from herod.pipeline.operation_definition import Operation
from herod.protocols.http import Request, Response
from herod.records import RECORD_TYPES, Record
from herod_client.core.errors import quoted
from support.herod_in_memory import TCP

CANARY = "canary-in-a-repr"


def filled(struct: type[msgspec.Struct]) -> Any:
    """An instance with the canary in every field, not validated."""
    return struct(**dict.fromkeys(struct.__struct_fields__, CANARY))


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda operation: operation.name)
def test_operations(operation: Operation) -> None:
    """The `repr` of parameters shows no value, and that of results with a secret does not show it."""
    assert CANARY not in repr(filled(operation.params))
    result = operation.result
    once = {"client_secret", "key", "access_token", "cookie"}
    if isinstance(result, type) and issubclass(result, msgspec.Struct) and once & set(result.__struct_fields__):
        assert CANARY not in repr(filled(result))


@pytest.mark.parametrize("record", RECORD_TYPES)
def test_records(record: type[Record]) -> None:
    """The `repr` of a record shows its id and nothing else."""
    fields: dict[str, Any] = dict.fromkeys(typing.get_type_hints(record).keys() & set(record.__struct_fields__), CANARY)
    assert repr(record(**{**fields, "id": "the id"})) == f"{record.__name__}('the id')"


def test_requests() -> None:
    """The `repr` of a request shows no headers, query or body."""
    request = Request("GET", f"/{CANARY}", CANARY, {"authorization": CANARY}, CANARY.encode(), TCP)
    assert repr(request) == "Request(GET)"
    assert repr(Response(200, CANARY.encode(), (("Set-Cookie", CANARY),))) == "Response(200)"


def test_what_is_quoted() -> None:
    """Error messages quote short words; of longer text, which may be a secret, they give only the length."""
    assert quoted("jobs:run") == "'jobs:run'"
    assert quoted("x" * 16) == repr("x" * 16)
    assert quoted("x" * 17) == "(17 characters)"
