"""Keys after their creation: rotation with and without overlap, disabling, enabling and editing."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from herod.audit_event import AuditEvent
from herod.identity.credential_types import Bearer, SessionCookie
from herod.records import ApiKey, Session
from herod_client.core.errors import (
    BadCredentials,
    CeilingExceeded,
    Conflict,
    ExpiredToken,
    InvalidRequest,
    NotFound,
    TargetDenied,
)
from support.herod_in_memory import NOW, TCP, Harness, bearer, open_harness


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    """A harness."""
    async with open_harness() as harness:
        yield harness


def id_of(text: str) -> str:
    """The id of a key."""
    return text.split("_")[2]


async def works(harness: Harness, text: str) -> bool:
    """Whether a key is valid, both at `/validate` and for herod's own operations."""
    said = await harness.call("auth.verify", None, TCP, key=text)
    answer = await harness.request("GET", "/api/v1/whoami", headers=bearer(text))
    assert said.valid == (answer.status == 200)
    codes = {"bad_credentials", "disabled", "expired_token"}
    assert said.valid or (answer.status == 401 and answer.json["error"]["code"] in codes)
    return bool(said.valid)


async def denials(harness: Harness) -> list[AuditEvent]:
    """The denials in the audit log."""
    await harness.pipeline.flush(is_last=True)
    return [row.event for row in harness.store.audit_rows() if row.event.outcome == "denied"]


async def test_rotation_keeps_the_key_and_ends_the_secret(harness: Harness) -> None:
    """Rotation keeps id, name and grant, and refuses the old secret at its next use, with a reason in the audit log."""
    old = await harness.service_key("read", "runner")
    rotated = await harness.admin("keys.rotate", id=id_of(old))
    assert (rotated.id, rotated.name, rotated.scope) == (id_of(old), "runner", "read")
    assert rotated.key != old
    assert await works(harness, rotated.key)
    assert not await works(harness, old)
    assert {event.reason for event in await denials(harness)} == {"rotated"}


async def test_an_overlap_ends_at_its_second(harness: Harness) -> None:
    """With an overlap the old secret works for exactly that many seconds."""
    old = await harness.service_key("read")
    new = (await harness.admin("keys.rotate", id=id_of(old), overlap=5)).key
    for second in range(6):
        harness.clock.now = NOW + second
        assert await works(harness, new)
        assert await works(harness, old) == (second < 5)


async def test_only_the_latest_old_secret_works(harness: Harness) -> None:
    """A second rotation ends the first secret, whatever its overlap was."""
    first = await harness.service_key("read")
    second = (await harness.admin("keys.rotate", id=id_of(first), overlap=600)).key
    third = (await harness.admin("keys.rotate", id=id_of(first), overlap=600)).key
    assert [await works(harness, text) for text in (first, second, third)] == [False, True, True]


async def test_who_has_not_switched_is_seen(harness: Harness) -> None:
    """`keys.get` shows until when the former secret works, and when and from where it was last used."""
    old = await harness.service_key("read")
    await harness.admin("keys.rotate", id=id_of(old), overlap=600)
    harness.clock.now += 10
    shown = await harness.admin("keys.get", id=id_of(old))
    assert shown.former.works_until == datetime.fromtimestamp(NOW + 600, UTC)
    assert shown.former.last_used_at is None
    await harness.request("GET", "/api/v1/whoami", headers=bearer(old))
    await harness.store.flush_usage()
    shown = await harness.admin("keys.get", id=id_of(old))
    assert shown.former.last_used_at == datetime.fromtimestamp(NOW + 10, UTC)
    assert shown.former.last_used_from == shown.last_used_from == "127.0.0.1"
    await harness.admin("keys.rotate", id=id_of(old), overlap=600)
    assert (await harness.admin("keys.get", id=id_of(old))).former.last_used_at is not None  # in the same second
    harness.clock.now += 600
    assert (await harness.admin("keys.get", id=id_of(old))).former is None


async def test_a_use_before_the_last_rotation_is_not_of_the_former_secret(harness: Harness) -> None:
    """Usage of the secret before the former one is not reported as usage of the former one."""
    first = await harness.service_key("read")
    await harness.admin("keys.rotate", id=id_of(first), overlap=600)
    await harness.request("GET", "/api/v1/whoami", headers=bearer(first))
    await harness.store.flush_usage()
    harness.clock.now += 1
    await harness.admin("keys.rotate", id=id_of(first), overlap=600)
    assert (await harness.admin("keys.get", id=id_of(first))).former.last_used_at is None


@pytest.mark.parametrize("overlap", [-1, 7 * 86_400 + 1, 10**30])
async def test_an_overlap_is_a_week_at_most(harness: Harness, overlap: int) -> None:
    """An overlap of more than a week is refused with the maximum."""
    key = await harness.service_key("read")
    answer = await harness.request(
        "POST",
        f"/api/v1/keys/{id_of(key)}/rotate",
        json={"overlap": overlap},
        headers=bearer(await harness.service_key("admin", "admin")),
    )
    assert answer.status == 400


async def test_both_addresses_rotate(harness: Harness) -> None:
    """The Scanopy-compatible route rotates as the one under `/api/v1` does."""
    admin = bearer(await harness.service_key("admin", "admin"))
    text = await harness.service_key("read")
    for path in (f"/api/auth/keys/{id_of(text)}/rotate", f"/api/v1/keys/{id_of(text)}/rotate"):
        answer = await harness.request("POST", path, headers=admin)
        assert answer.status == 200
        assert await works(harness, answer.json["data"]["key"])


async def test_rotation_signs_browsers_out(harness: Harness) -> None:
    """Rotation ends all sessions opened with the old secret; other sessions stay."""
    user = await harness.user(scope="write")
    key = await user.key(scope="read")
    with_key, with_secret = await user.session(Bearer(key)), await user.session()
    await harness.call("keys.rotate", Bearer(await user.token()), TCP, id=id_of(key))
    assert harness.store.count(Session) == 1
    with pytest.raises(Exception, match="session has ended"):
        await harness.call("whoami", with_key, TCP)
    assert (await harness.call("whoami", with_secret, TCP)).scope == "write"


async def test_a_key_is_switched_off_and_on(harness: Harness) -> None:
    """A disabled key is refused with its reason in the audit log, and works unchanged once enabled again."""
    text = await harness.service_key("read")
    assert not (await harness.admin("keys.disable", id=id_of(text))).enabled
    assert not await works(harness, text)
    assert (await harness.admin("keys.enable", id=id_of(text))).enabled
    assert await works(harness, text)
    assert {event.reason for event in await denials(harness)} == {"disabled"}


async def test_the_last_admin_stays(harness: Harness) -> None:
    """The last admin key can be neither disabled nor narrowed."""
    text = await harness.service_key("admin", "last")
    with pytest.raises(Conflict, match="last enabled admin"):
        await harness.admin("keys.disable", id=id_of(text))
    with pytest.raises(Conflict, match="last enabled admin"):
        await harness.admin("keys.update", id=id_of(text), scope="read")
    await harness.admin("keys.rotate", id=id_of(text))  # the caller of a rotation gets the new secret


async def test_a_key_is_changed(harness: Harness) -> None:
    """Name, expiry, scope and networks can be changed; omitted parameters stay unchanged."""
    text = await harness.service_key("write", "old name", networks=["a", "b"])
    later = datetime.fromtimestamp(NOW + 3600, UTC)
    changed = await harness.admin("keys.update", id=id_of(text), name=" new  name ", expires_at=later)
    assert (changed.name, changed.expires_at, changed.scope) == ("new name", later, "write")
    changed = await harness.admin("keys.update", id=id_of(text), scope="read", networks=["b"], expires_at=None)
    assert (changed.name, changed.expires_at, changed.scope, changed.networks) == ("new name", None, "read", ["b"])
    assert await works(harness, text)


@pytest.mark.parametrize(
    "change", [{"scope": "admin"}, {"scope": "write user"}, {"networks": ["*"]}, {"networks": ["a", "c"]}]
)
async def test_a_key_only_shrinks(harness: Harness, change: dict[str, Any]) -> None:
    """A key's grant can only shrink, even for admins."""
    text = await harness.service_key("write", networks=["a", "b"])
    with pytest.raises(CeilingExceeded):
        await harness.admin("keys.update", id=id_of(text), **change)


async def test_a_key_lives_no_longer_than_who_prolongs_it(harness: Harness) -> None:
    """An admin with an expiring credential cannot extend another key beyond it, by editing or by rotating."""
    soon, later = (datetime.fromtimestamp(NOW + seconds, UTC) for seconds in (600, 6000))
    await harness.service_key("admin", "spare")
    admin = Bearer(await harness.service_key("admin", "ending", expires_at=soon))
    text = await harness.service_key("read", "short", expires_at=datetime.fromtimestamp(NOW + 60, UTC))
    for end in (later, None):
        with pytest.raises(CeilingExceeded):
            await harness.call("keys.update", admin, TCP, id=id_of(text), expires_at=end)
    endless = await harness.service_key("read", "endless")
    with pytest.raises(CeilingExceeded):
        await harness.call("keys.rotate", admin, TCP, id=id_of(endless))
    assert (await harness.call("keys.rotate", admin, TCP, id=id_of(text))).id == id_of(text)


async def test_names_are_unique_per_owner(harness: Harness) -> None:
    """A key name is unique per owner; another owner may use it, and setting a key's own name again succeeds."""
    first = await harness.service_key("read", "first")
    await harness.service_key("read", "second")
    with pytest.raises(Conflict, match="exists already"):
        await harness.admin("keys.update", id=id_of(first), name="second")
    assert (await harness.admin("keys.update", id=id_of(first), name="first")).name == "first"
    user = await harness.user()
    assert id_of(await user.key(name="second"))


async def test_only_its_owner_and_admins_change_a_key(harness: Harness) -> None:
    """A key is changed by its owner, not found by other users, and cannot change itself."""
    user, other = await harness.user(), await harness.user()
    text = await user.key()
    for name in ("keys.rotate", "keys.disable", "keys.enable", "keys.update"):
        with pytest.raises(NotFound):
            await harness.call(name, Bearer(await other.token()), TCP, id=id_of(text))
        with pytest.raises(CeilingExceeded):
            await harness.call(name, Bearer(text), TCP, id=id_of(text))
    assert (await harness.call("keys.rotate", Bearer(await user.token()), TCP, id=id_of(text))).key


async def test_an_admin_of_a_network_cannot_take_over_a_key_of_all(harness: Harness) -> None:
    """Rotating creates a credential, so the key's grant must be within the actor's."""
    await harness.service_key("admin", "spare")
    admin = Bearer(await harness.service_key("admin", "lab admin", networks=["lab"]))
    text = await harness.service_key("read", "everywhere")
    with pytest.raises(TargetDenied):
        await harness.call("keys.rotate", admin, TCP, id=id_of(text))


async def test_patch_is_by_name_only(harness: Harness) -> None:
    """PATCH takes parameters by name only, because omitted ones could not be told apart by position."""
    with pytest.raises(InvalidRequest):
        await harness.admin("keys.update", id=id_of(await harness.service_key("read")), name="\x00")
    answer = await harness.request(
        "POST", "/rpc", json={"jsonrpc": "2.0", "id": 1, "method": "keys.update", "params": ["x"]}
    )
    assert answer.json["error"]["data"]["code"] == "invalid_request"


async def test_a_stolen_checksum_is_no_key(harness: Harness) -> None:
    """The old secret's hash, kept to give the audit log a reason, authenticates no one."""
    old = await harness.service_key("read")
    await harness.admin("keys.rotate", id=id_of(old))
    record = harness.store.get(ApiKey, id_of(old))
    assert record is not None
    assert record.former_hash is not None
    with pytest.raises(BadCredentials):
        await harness.call("whoami", Bearer(old), TCP)
    assert msgspec.structs.asdict(record)["former_until"] == 0


async def test_no_clock_brings_a_former_secret_back(harness: Harness) -> None:
    """After a rotation without overlap the old secret stays refused when the clock goes back before it."""
    old = await harness.service_key("read")
    await harness.admin("keys.rotate", id=id_of(old))
    harness.clock.now -= 3600
    assert not await works(harness, old)


async def test_what_a_former_secret_makes_ends_with_it(harness: Harness) -> None:
    """A session and a key created during the overlap end with the former secret that created them."""
    old = await harness.service_key("admin")
    await harness.admin("keys.rotate", id=id_of(old), overlap=60)
    assert (await harness.call("token.validate", None, TCP, token=old)).exp == NOW + 60
    session = SessionCookie((await harness.call("session.create", Bearer(old), TCP)).cookie)
    soon = datetime.fromtimestamp(NOW + 60, UTC)
    await harness.call("keys.create", Bearer(old), TCP, name="short", kind="service", scope="read", expires_at=soon)
    with pytest.raises(CeilingExceeded, match="expires at"):
        await harness.call("keys.create", Bearer(old), TCP, name="lasting", kind="service", scope="read")
    assert (await harness.call("whoami", session, TCP)).scope == "admin"
    harness.clock.now += 60
    with pytest.raises(ExpiredToken):
        await harness.call("whoami", session, TCP)


async def test_a_former_secret_rotates_nothing_that_lasts(harness: Harness) -> None:
    """A former secret cannot rotate the key away from its current holder; the key's own expiry still applies."""
    old = await harness.service_key("admin", expires_at=datetime.fromtimestamp(NOW + 30, UTC))
    new = (await harness.admin("keys.rotate", id=id_of(old), overlap=60)).key
    assert (await harness.call("token.validate", None, TCP, token=old)).exp == NOW + 30
    lasting = await harness.service_key("admin", "lasting")
    await harness.admin("keys.rotate", id=id_of(lasting), overlap=60)
    with pytest.raises(CeilingExceeded):
        await harness.call("keys.rotate", Bearer(lasting), TCP, id=id_of(lasting))
    assert await works(harness, new)


@pytest.mark.parametrize("change", [{"expires_at": datetime.fromtimestamp(NOW + 5, UTC)}, {"networks": ["lab"]}])
async def test_the_last_admin_is_not_put_on_the_way_out(harness: Harness, change: dict[str, Any]) -> None:
    """The last admin gets neither an expiry nor a network limit, unless another admin holds all that it did."""
    text = await harness.service_key("admin", "last")
    await harness.service_key("admin", "lesser", expires_at=datetime.fromtimestamp(NOW + 9, UTC), networks=["lab"])
    with pytest.raises(Conflict, match="last enabled admin"):
        await harness.admin("keys.update", id=id_of(text), **change)
    other = await harness.user(scope="admin")
    await harness.admin("keys.update", id=id_of(text), **change)
    with pytest.raises(Conflict, match="last enabled admin"):
        await harness.admin("users.update", client_id=other.client_id, networks=["lab"])
    assert (await harness.admin("users.update", client_id=other.client_id, name="Ada")).name == "Ada"
