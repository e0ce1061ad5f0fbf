"""Times as parameters: RFC 3339 or a date, wherever one is taken, on every protocol."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from herod.operations.operation_table import OPERATIONS
from herod.protocols.documents.json_schemas import field_schemas, known_names
from support.herod_in_memory import LEGACY, Harness, bearer, open_harness
from support.mcp_agent import call

Make = Callable[[Harness, str, Any], Awaitable[Any]]
END_OF_2030 = "2030-12-31T23:59:59Z"


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    """A harness."""
    async with open_harness() as harness:
        yield harness


async def _rest(harness: Harness, admin: str, end: Any) -> Any:
    made = await harness.request("POST", "/api/v1/keys", json={"name": "a", "expires_at": end}, headers=bearer(admin))
    return made.json.get("data", made.json.get("error"))


async def _patched(harness: Harness, admin: str, end: Any) -> Any:
    id_ = (await harness.service_key("read", "a")).split("_")[2]
    changed = await harness.request("PATCH", f"/api/v1/keys/{id_}", json={"expires_at": end}, headers=bearer(admin))
    return changed.json.get("data", changed.json.get("error"))


async def _promoted(harness: Harness, admin: str, end: Any) -> Any:
    [secret, *_] = (await harness.rpc("legacy.status", headers=bearer(admin)))["result"]["items"]
    made = await harness.request(
        "POST", f"/api/v1/legacy/{secret['id']}/promote", json={"expires_at": end}, headers=bearer(admin)
    )
    return made.json.get("data", made.json.get("error"))


async def _jsonrpc(harness: Harness, admin: str, end: Any) -> Any:
    answer = await harness.rpc("keys.create", {"name": "a", "expires_at": end}, headers=bearer(admin))
    return answer.get("result", answer.get("error"))


async def _by_position(harness: Harness, admin: str, end: Any) -> Any:
    answer = await harness.rpc("auth.create_key", [admin, "a", "read", end])
    return answer.get("result", answer.get("error"))


async def _supervisor(harness: Harness, admin: str, end: Any) -> Any:
    params = {"admin_key": LEGACY["admin"], "name": "a", "scope": "read", "expires_at": end}
    answer = await harness.rpc("auth.create_key", params)
    return answer.get("result", answer.get("error"))


async def _mcp(harness: Harness, admin: str, end: Any) -> Any:
    answer = await call(harness, "create_key", admin, name="a", expires_at=end)
    return answer.get("structuredContent", answer["content"])


MAKERS: list[Make] = [_rest, _patched, _promoted, _jsonrpc, _by_position, _supervisor, _mcp]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    ("given", "end"),
    [
        ("2030-12-31", END_OF_2030),
        ("2028-02-29", "2028-02-29T23:59:59Z"),
        ("2030-12-31t12:00:00z", "2030-12-31T12:00:00Z"),
        ("2030-12-31T12:00:00.5+02:00", "2030-12-31T10:00:00Z"),
        (None, None),
    ],
)
async def test_an_end_is_a_time_or_a_date(harness: Harness, make: Make, given: str | None, end: str | None) -> None:
    """A key ends at a time, at the end of a day in UTC, or never, whatever made or changed it."""
    answer = await make(harness, await harness.service_key("admin", "admin"), given)
    assert answer["expires_at"] == end


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("never", "Write it like 2030-01-31T12:00:00Z (RFC 3339), or a date like 2030-01-31."),
        ("90d", " is not a time: "),
        ("", " is not a time: "),
        ("1893456000", " is not a time: "),
        (1893456000, "must be a string or null, not an integer"),
        ("2030-02-30", " has an impossible date"),
        ("10000-01-01", " is not a time: "),
        ("2030-12-31T24:00:00Z", " has an impossible time of day"),
        ("2030-12-31T12:00:00", " needs a time zone"),
        ("2020-01-01", " is in the past, 2020-01-01: "),
        ("0001-01-01", " is in the past, 0001-01-01: "),
        ("0001-01-01T00:00:00+01:00", " is in the past, 0001-01-01T00:00:00+01:00: "),  # which is before year 1 in UTC
        ("9999-12-31T23:59:59-01:00", " is beyond the year 9999"),
    ],
)
async def test_what_is_no_end_is_named(harness: Harness, make: Make, given: Any, problem: str) -> None:
    """Anything else is refused with the parameter's name and what is taken."""
    answer = await make(harness, await harness.service_key("admin", "admin"), given)
    assert problem in str(answer)


async def test_supervisor_lists_the_end(harness: Harness) -> None:
    """The end of a key that `auth.create_key` made is in its list, too."""
    await _supervisor(harness, "", "2030-12-31")
    listed = (await harness.rpc("auth.list_keys", {"admin_key": LEGACY["admin"]}))["result"]
    assert [one["expires_at"] for one in listed] == [END_OF_2030]


def times() -> list[tuple[str, str]]:
    """Each operation's parameters that are named like a time."""
    named = re.compile(r"\w+_at|since|until")
    return [
        (one.name, field) for one in OPERATIONS.values() for field in one.params.__struct_fields__ if named.match(field)
    ]


@pytest.mark.parametrize(("name", "field"), times())
async def test_every_time_is_one_kind(harness: Harness, name: str, field: str) -> None:
    """Every parameter that is a time is described as a time or a date, and reads both."""
    operation = OPERATIONS[name]
    schema = field_schemas(operation, known_names(OPERATIONS.values(), harness.runtime))[field]
    assert {"date-time", "date"} == set(re.findall(r"'format': '([a-z-]+)'", str(schema)))
    given = {**operation.example, field: "soon"}
    error = (await harness.rpc(name, given, headers=bearer(await harness.service_key("admin", "admin"))))["error"]
    assert error["data"]["code"] in {"invalid_request", "not_found"}
    if error["data"]["code"] == "invalid_request":
        assert f"The parameter '{field}' is not a time: 'soon'" in error["message"]


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("since=2027-01-15", 1),
        ("since=2027-01-16", 0),
        ("until=2027-01-15", 1),
        ("until=2027-01-14", 0),
        ("since=2027-01-15&until=2027-01-15", 1),
    ],
)
async def test_dates_in_the_audit_log(harness: Harness, query: str, rows: int) -> None:
    """`since` a date begins with that day, and `until` one ends with it."""
    headers = bearer(await harness.service_key("admin", "admin"))  # the one row, on 2027-01-15
    answer = await harness.request("GET", f"/api/v1/audit?{query}", headers=headers)
    assert len(answer.json["data"]) == rows
