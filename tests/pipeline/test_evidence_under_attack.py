"""Ten minutes of many accounts' and strangers' worst: no row of others is lost, and the log names each attacker."""

from contextlib import suppress
from typing import Any

from herod.audit_event import AuditEvent
from herod.identity.credential_types import Basic, Bearer, Presented
from herod.operations.audit import AuditRetention, enforce_retention
from herod.operations.operation_table import OPERATIONS
from herod.pipeline.auditing.audit_recorder import LINES_OF_SOURCE, ROWS_OF_SOURCE
from herod.pipeline.auditing.denial_queue import MAX_KINDS_OF_SOURCE
from herod.scopes.decisions import Access
from herod.scopes.principal import Peer, Source
from herod.settings import OPTIONS
from herod_client.core.errors import HerodError
from support.herod_in_memory import PASSWORD, TCP, Harness, User
from support.soak_rounds import chance, count

MINUTES = 10
REQUESTS = count("AUDIT")
ATTACKERS = 20
# What each attacker repeats: requests that change something, that change nothing, and that are refused.
WORST: tuple[tuple[str, dict[str, Any]], ...] = (
    ("token.create", {}),
    ("token.revoke", {"token": "x"}),
    ("session.create", {}),
    ("session.code", {}),
    ("keys.create", {"name": "k"}),
    ("users.list", {}),
    ("peers.allow", {"uid": 7, "scope": "admin"}),
    ("backup", {}),
    ("resources.list", {"kind": "vm"}),
)


def events(harness: Harness) -> list[AuditEvent]:
    """All rows."""
    found: list[AuditEvent] = []
    while rows := harness.store.audit_rows(after=len(found)):
        found += [row.event for row in rows]
    return found


async def attempt(harness: Harness, name: str, /, by: Presented | None, source: Source, **params: Any) -> None:
    """Call an operation, whatever it answers."""
    with suppress(HerodError):
        await harness.call(name, by, source, **params)


async def test_ten_minutes(harness: Harness, say: Any) -> None:
    """Rows of others and of admins all stay with the default settings, and each attacker has a denial by name."""
    random = chance("evidence")
    attackers = [(await harness.user("read"), Source(peer=Peer(uid=9000 + n, gid=9))) for n in range(ATTACKERS)]
    # These share one address with an honest account.
    crowd = [await harness.user("read") for _ in range(ATTACKERS)]
    bob, honest = await harness.user("read"), Source(peer=Peer(uid=1000, gid=1000))
    start, expected = len(events(harness)), list[tuple[str, str]]()
    for minute in range(MINUTES):
        for number in range(REQUESTS // MINUTES):
            name, params = random.choice(WORST)
            if name == "keys.create":
                params = {"name": f"{minute}-{number}"}
            user, source = random.choice([*attackers, *((one, TCP) for one in crowd)])
            await attempt(harness, name, user.basic, source, **params)
            guesses: list[Presented] = [Bearer("x"), Basic(user.client_id, "wrong"), Bearer(f"herod_s_{number}")]
            await attempt(harness, "whoami", random.choice(guesses), TCP)
            await harness.request("GET", "/health", headers={"host": f"h{number}.example"})
        for user, source in attackers:
            await attempt(harness, "users.list", user.basic, source)
        issued = await harness.call("keys.create", bob.basic, honest, name=f"bob {minute}")
        added = await harness.admin("users.add", scope="read")
        expected += [("keys.create", issued.id), ("users.add", added.client_id)]
        harness.clock.now += 60
        await harness.pipeline.flush()
        kept = AuditRetention(days=default("audit_keep_days"), rows=default("audit_keep_rows"))
        assert await enforce_retention(harness.store, kept, now=harness.clock.now) == 0
    await harness.pipeline.flush(is_last=True)
    rows = events(harness)[start:]
    assert [(row.operation, row.target) for row in rows if row.actor in {bob.client_id, "local-admin"}] == expected
    assert {row.actor for row in rows if row.outcome == "denied"} >= {user.client_id for user, _ in attackers}
    theirs = [row for row in rows if row.source == TCP.label]
    most = ROWS_OF_SOURCE + LINES_OF_SOURCE + len(WORST) + 2 * MAX_KINDS_OF_SOURCE * (MINUTES + 1)
    assert len(theirs) <= most
    assert (await harness.store.verify_audit()).valid
    say(f"{3 * REQUESTS} requests: {len(rows)} rows, {len(theirs)} of them of the shared address")


async def test_open_registration(harness: Harness) -> None:
    """Accounts that one source registers share that source's rows, however many there are."""
    users: list[User] = []
    for number in range(ATTACKERS):
        answer = await harness.call("register", None, TCP, email=f"e{number}@example.org", password=PASSWORD)
        users.append(User(harness, answer.client_id, answer.client_secret))
    start = len(events(harness))
    for minute in range(MINUTES):
        for user in users:
            for number in range(max(20, REQUESTS // 50)):
                await attempt(harness, "token.create", user.basic, TCP)
                await attempt(harness, "keys.create", user.basic, TCP, name=f"{minute}-{number}")
        harness.clock.now += 60
        await harness.pipeline.flush()
    await harness.pipeline.flush(is_last=True)
    done = [row for row in events(harness)[start:] if row.outcome == "ok"]
    assert len(done) <= ROWS_OF_SOURCE + ATTACKERS + 2 * (LINES_OF_SOURCE + 1)
    assert sum(row.count for row in done if row.operation == "token.create") == MINUTES * ATTACKERS * max(
        20, REQUESTS // 50
    )


def default(name: str) -> int:
    """A setting's default."""
    value = OPTIONS[name].default
    assert isinstance(value, int)
    return value


def test_the_worst_is_open_to_anybody() -> None:
    """The list has operations of each kind that a `read` account may try."""
    needed = {OPERATIONS[name].needs for name, _ in WORST}
    assert needed >= {Access.AUTHENTICATED, "read", "admin", "user"}
