"""Requests that are refused before any operation: which leave a row in the audit log, and how many rows."""

from collections.abc import Mapping

import pytest

from herod.audit_event import AuditEvent
from herod.pipeline.auditing.denial_queue import MAX_KINDS_OF_SOURCE
from herod.scopes.principal import Peer, Source
from support.herod_in_memory import TCP, Harness, bearer

UID = Source(peer=Peer(uid=7, gid=7))
TWO = {**bearer("x"), "x-herod-secret": "y"}
BASIC = {"authorization": "Basic YTpi"}
EVIL = "https://evil.example"


async def denials(harness: Harness) -> list[AuditEvent]:
    """All denials, written."""
    await harness.pipeline.flush(is_last=True)
    return [row.event for row in harness.store.audit_rows() if row.event.outcome == "denied"]


@pytest.mark.parametrize(
    ("method", "path", "headers", "reason"),
    [
        ("GET", "/health", {"host": "evil.example"}, "host"),
        ("POST", "/rpc", {"host": "evil.example:3350"}, "host"),
        ("GET", "/nowhere", {"host": "'; DROP TABLE"}, "host"),
        ("GET", "/health", {"origin": EVIL}, "origin"),
        ("POST", "/mcp", {"origin": "null"}, "origin"),
        ("OPTIONS", "/token", {"origin": EVIL}, "origin"),
        ("GET", "/api/v1/whoami", TWO, "two_credentials"),
        ("POST", "/mcp", TWO, "two_credentials"),
    ],
)
@pytest.mark.parametrize("source", [TCP, UID], ids=["TCP", "Unix"])
async def test_evidence_is_a_row(
    harness: Harness, method: str, path: str, headers: Mapping[str, str], reason: str, source: Source
) -> None:
    """A foreign Host or Origin and a second credential leave one row with the source and without the client's text."""
    if reason == "host" and source is UID:
        return  # any Host is accepted there
    for _ in range(50):
        assert (await harness.request(method, path, headers=headers, source=source)).status in {400, 403, 421}
    first, *rest = await denials(harness)
    assert first.count + sum(event.count for event in rest) == 50
    assert len(rest) <= 1
    assert (first.actor, first.method, first.source) == ("anonymous", "anonymous", source.label)
    assert (first.operation, first.reason, first.target) == ("request", reason, None)
    assert "evil" not in str(first)


async def test_two_credentials_over_other_protocols(harness: Harness) -> None:
    """JSON-RPC and OAuth's forms note them too."""
    await harness.rpc("whoami", headers=TWO)
    form = "grant_type=client_credentials&client_id=a&client_secret=c"
    await harness.request("POST", "/token", form=form, headers=BASIC)
    assert sum(event.count for event in await denials(harness) if event.reason == "two_credentials") == 2


@pytest.mark.parametrize(
    ("method", "path", "headers", "body"),
    [
        ("GET", "/nowhere", {}, None),
        ("DELETE", "/health", {}, None),
        ("POST", "/rpc", {}, b"{"),
        ("POST", "/validate", {"content-type": "text/plain"}, b"x"),
    ],
)
async def test_noise_is_no_row(
    harness: Harness, method: str, path: str, headers: Mapping[str, str], body: bytes | None
) -> None:
    """What is malformed or does not exist reaches nothing, and leaves no row."""
    await harness.request(method, path, headers=headers, body=body)
    assert await denials(harness) == []


async def test_the_price_of_a_flood(harness: Harness) -> None:
    """Any number of refused requests of one source in a minute is a few rows, and others' rows are kept."""
    ada = await harness.user(scope="read")
    for number in range(MAX_KINDS_OF_SOURCE + 200):
        await harness.request("GET", f"/{number}", headers={"host": f"h{number}.example"})
        await harness.request("GET", f"/{number}", headers={"origin": f"https://h{number}.example"})
    await harness.request("GET", "/api/v1/users", headers=ada.basic_header, source=UID)
    denied = await denials(harness)
    assert {event.source for event in denied} == {"127.0.0.1", "uid:7"}
    assert len([event for event in denied if event.source == "127.0.0.1"]) <= 4
    assert harness.runtime.counters["denials"] == 2 * (MAX_KINDS_OF_SOURCE + 200) + 1
