"""Migration of legacy secrets: their uses are counted and stored, and a service key replaces them."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import trio

from herod.identity.credential_types import Bearer, SecretHeader
from herod.pipeline.process.legacy_secret_usage import FLUSH_SECONDS, MAX_SOURCES, LegacyUsage
from herod.records import ApiKey, LegacyUse
from herod.scopes.principal import Source
from herod.store.memory_store import MemoryStore
from herod_client.core.errors import CeilingExceeded, Conflict, NotFound, Unavailable
from support.herod_in_memory import ADMIN_SOURCE, LEGACY, NOW, STRANGER, TCP, Harness, bearer, open_harness

DAY = 86_400


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    """A harness."""
    async with open_harness() as harness:
        yield harness


async def status(harness: Harness, scope: str = "admin") -> Any:
    """The status of the legacy secret with that scope."""
    page = await harness.admin("legacy.status")
    return next(item for item in page.items if item.scope == scope)


async def test_status_of_unused(harness: Harness) -> None:
    """Every configured secret is listed by id with the setting that contains it; no secret is shown."""
    answer = await harness.request("GET", "/api/v1/legacy", headers=bearer(LEGACY["admin"]))
    items = answer.json["data"]
    assert {(item["scope"], item["setting"]) for item in items} == {
        ("admin", "admin_secret"), ("user", "user_secret"), ("registrar", "register_secret"),
    }  # fmt: skip
    assert [item["uses"] for item in items if item["scope"] != "admin"] == [0, 0]
    assert items[1]["last_used_at"] is None
    assert "promoted_to" not in items[1]
    assert all(secret not in answer.response.body.decode() for secret in LEGACY.values())


async def test_every_door_counts(harness: Harness) -> None:
    """A legacy secret counts as used in either header, in parameters, and when a service validates it."""
    secret = LEGACY["admin"]
    await harness.request("GET", "/api/v1/whoami", headers=bearer(secret))
    await harness.request("GET", "/api/v1/whoami", headers={"x-herod-secret": secret})
    await harness.rpc("auth.list_keys", {"admin_key": secret})
    await harness.rpc("auth.verify", {"key": secret})
    await harness.request("POST", "/validate", json={"token": secret})
    harness.clock.now += 5
    await harness.call("session.create", SecretHeader(secret), STRANGER)
    known = await status(harness)
    assert known.uses == 6
    assert (known.last_used_at, known.last_used_from) == (datetime.fromtimestamp(NOW + 5, UTC), "uid:1234")
    assert (await status(harness, "user")).uses == 0


async def test_a_wrong_secret_counts_nothing(harness: Harness) -> None:
    """Only accepted secrets count as used."""
    await harness.request("GET", "/api/v1/whoami", headers={"x-herod-secret": "wrong"})
    await harness.request("POST", "/validate", json={"token": "wrong"})
    assert [item.uses for item in (await harness.admin("legacy.status")).items] == [0, 0, 0]


async def test_counts_outlive_the_process(harness: Harness) -> None:
    """Stored counts are added to those after a restart."""
    for _ in range(3):
        await harness.call("whoami", Bearer(LEGACY["admin"]), TCP)
    await harness.pipeline.flush(is_last=True)
    harness.pipeline.process.legacy_usage = LegacyUsage()  # as in a new process
    await harness.call("whoami", Bearer(LEGACY["admin"]), TCP)
    assert (await status(harness)).uses == 4


async def test_uses_are_written_now_and_then(harness: Harness) -> None:
    """The first use is written at once with its audit row, later ones in batches, so that a use costs no commit."""

    async def use() -> int:
        await harness.call("whoami", Bearer(LEGACY["admin"]), TCP)
        await harness.pipeline.flush()
        [record] = harness.store.scan(LegacyUse)
        return record.uses

    assert await use() == 1
    assert await use() == 1
    harness.clock.now += FLUSH_SECONDS
    assert await use() == 3
    assert (await status(harness)).uses == 3


async def test_audit_of_uses(harness: Harness) -> None:
    """Uses write one audit row a day for each secret and source."""
    for source in (TCP, TCP, STRANGER):
        await harness.call("whoami", Bearer(LEGACY["admin"]), source)
    await harness.call("whoami", Bearer(LEGACY["user"]), TCP)
    harness.clock.now += DAY
    await harness.call("whoami", Bearer(LEGACY["admin"]), TCP)
    await harness.pipeline.flush(is_last=True)
    rows = (await harness.admin("audit.list", operation="legacy.use")).items
    admin = (await status(harness)).id
    assert [(row.actor == admin, row.source) for row in reversed(rows)] == [
        (True, "127.0.0.1"), (True, "uid:1234"), (False, "127.0.0.1"), (True, "127.0.0.1"),
    ]  # fmt: skip
    assert {row.method for row in rows} == {"legacy_secret"}


async def test_many_sources_do_not_fill_the_log(harness: Harness) -> None:
    """Beyond a number of sources in a day, uses are counted without audit rows."""
    for number in range(MAX_SOURCES + 10):
        source = Source(address=f"10.0.0.{number}")
        await harness.call("whoami", Bearer(LEGACY["admin"]), source)
    await harness.pipeline.flush()
    assert harness.store.audit_head[0] == MAX_SOURCES
    assert (await status(harness)).uses == MAX_SOURCES + 10


async def test_uses_wait_for_the_store() -> None:
    """Uses that the store could not take are kept and written with later ones."""
    store, uses = MemoryStore("secret"), LegacyUsage()
    uses.note("x", now=NOW, source="uid:1")
    assert not await uses.flush(store, now=NOW)
    uses.note("x", now=NOW + 1, source="uid:2")
    assert uses.known(store, "x", now=NOW).uses == 2
    async with store:
        with trio.CancelScope() as scope:
            scope.cancel()
            await uses.flush(store, now=NOW, is_last=True)
        assert scope.cancelled_caught
        assert await uses.flush(store, now=NOW, is_last=True)
        record = store.get(LegacyUse, "x")
        assert record is not None
        assert (record.uses, record.created_at, record.last_used_from) == (2, NOW, "uid:2")
        assert [row.event.source for row in store.audit_rows()] == ["uid:1", "uid:2"]
        assert await uses.flush(store, now=NOW, is_last=True)  # nothing pending
    assert store.audit_head[0] == 2


async def test_promote(harness: Harness) -> None:
    """The key has the secret's scope, is shown once, works, is audited, and is named in the list."""
    legacy = await status(harness)
    answer = await harness.request("POST", f"/api/v1/legacy/{legacy.id}/promote", headers=bearer(LEGACY["admin"]))
    assert answer.status == 201
    made = answer.json["data"]
    assert (made["name"], made["kind"], made["scope"], made["networks"]) == (legacy.id, "service", "admin", ["*"])
    assert (made["replaces"], made["setting"], made["expires_at"]) == (legacy.id, "admin_secret", None)
    assert (await harness.call("whoami", Bearer(made["key"]), TCP)).scope == "admin"
    assert (await harness.call("whoami", Bearer(LEGACY["admin"]), TCP)).scope == "admin"  # still valid
    assert (await status(harness)).promoted_to == made["id"]
    row = harness.store.audit_rows()[0].event
    assert (row.operation, row.actor, row.target) == ("legacy.promote", legacy.id, made["id"])


async def test_promote_with_name_and_end(harness: Harness) -> None:
    """Name and expiry of the key can be given; the use counts stay."""
    await harness.call("whoami", Bearer(LEGACY["registrar"]), TCP)
    await harness.pipeline.flush()
    legacy = await status(harness, "registrar")
    end = datetime.fromtimestamp(NOW + DAY, UTC)
    made = await harness.admin("legacy.promote", id=legacy.id, name="supervisor", expires_at=end)
    assert (made.name, made.scope, made.expires_at) == ("supervisor", "registrar", end)
    after = await status(harness, "registrar")
    assert (after.uses, after.promoted_to) == (1, made.id)


async def test_promote_twice(harness: Harness) -> None:
    """A second key for a secret is refused while the first one exists."""
    legacy = await status(harness, "user")
    made = await harness.admin("legacy.promote", id=legacy.id)
    with pytest.raises(Conflict, match=made.id) as caught:
        await harness.admin("legacy.promote", id=legacy.id, name="other")
    assert caught.value.hint == f"herod key rotate {made.id}"
    await harness.admin("keys.delete", id=made.id)
    assert not hasattr(await status(harness, "user"), "promoted_to") or not isinstance(
        (await status(harness, "user")).promoted_to, str
    )
    assert (await harness.admin("legacy.promote", id=legacy.id)).id != made.id


async def test_promote_what_is_not_there(harness: Harness) -> None:
    """An unknown id is answered with 404."""
    with pytest.raises(NotFound):
        await harness.admin("legacy.promote", id="legacy-admin-00000000")


async def test_promote_is_under_the_ceiling(harness: Harness) -> None:
    """A caller that holds less than the secret, in networks or time, cannot create a key with all of it."""
    user = await harness.user(scope="admin", networks=["lab"])
    legacy = await status(harness, "user")
    with pytest.raises(CeilingExceeded):
        await harness.call("legacy.promote", user.basic, TCP, id=legacy.id)
    assert harness.store.count(ApiKey) == 0


async def test_a_full_store_keeps_the_daemon_going(harness: Harness) -> None:
    """A failed flush does not stop the daemon, and is repeated with the next one."""
    await harness.call("whoami", Bearer(LEGACY["admin"]), ADMIN_SOURCE)
    harness.store.close()
    await harness.pipeline.flush()
    with pytest.raises(Unavailable):
        await harness.store.write(lambda tx: None)
    assert harness.pipeline.process.legacy_usage.known(harness.store, (await status(harness)).id, now=NOW).uses == 1
