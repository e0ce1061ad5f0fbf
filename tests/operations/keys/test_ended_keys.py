"""Keys that have expired: they are not rotated or enabled without a new end, and their names may be used again."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from herod.records import ApiKey
from herod_client.core.errors import CeilingExceeded, Conflict
from herod_client.core.times import rfc3339_text
from support.herod_in_memory import LEGACY, LOCAL_ADMIN, NOW, TCP, Harness, bearer, open_harness
from support.mcp_agent import call

SOON = rfc3339_text(NOW + 10)
LATER = rfc3339_text(NOW + 1000)
Rotate = Callable[..., Awaitable[Any]]


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    """A harness."""
    async with open_harness() as harness:
        yield harness


def id_of(text: str) -> str:
    """The id of a key."""
    return text.split("_")[2]


async def works(harness: Harness, text: str) -> bool:
    """Whether a key is accepted."""
    return (await harness.request("GET", "/api/v1/whoami", headers=bearer(text))).status == 200


async def _rest(harness: Harness, admin: str, id_: str, **given: Any) -> Any:
    answer = await harness.request("POST", f"/api/v1/keys/{id_}/rotate", json=given, headers=bearer(admin))
    assert answer.status in {200, 409}
    return answer.json.get("data", answer.json.get("error"))


async def _scanopy(harness: Harness, admin: str, id_: str, **given: Any) -> Any:
    answer = await harness.request("POST", f"/api/auth/keys/{id_}/rotate", json=given, headers=bearer(admin))
    return answer.json.get("data", answer.json.get("error"))


async def _jsonrpc(harness: Harness, admin: str, id_: str, **given: Any) -> Any:
    answer = await harness.rpc("keys.rotate", {"id": id_, **given}, headers=bearer(admin))
    return answer["result"] if "result" in answer else {**answer["error"]["data"], **answer["error"]}


async def _by_position(harness: Harness, admin: str, id_: str, **given: Any) -> Any:
    positions = [id_, 0, *given.values()]
    answer = await harness.rpc("keys.rotate", positions, headers=bearer(admin))
    return answer["result"] if "result" in answer else {**answer["error"]["data"], **answer["error"]}


async def _mcp(harness: Harness, admin: str, id_: str, **given: Any) -> Any:
    answer = await call(harness, "rotate_key", admin, id=id_, **given)
    return answer.get("structuredContent", answer["content"][0]["text"])


@pytest.mark.parametrize("rotate", [_rest, _scanopy, _jsonrpc, _by_position, _mcp])
async def test_an_ended_key_is_not_rotated_without_a_new_end(harness: Harness, rotate: Rotate) -> None:
    """Rotating an expired key changes nothing and names the command; with a new end the new secret works."""
    admin = await harness.service_key("admin", "admin")
    old = await harness.service_key("read", expires_at=SOON)
    harness.clock.now += 10
    before = harness.store.get(ApiKey, id_of(old))
    refused = str(await rotate(harness, admin, id_of(old)))
    assert f"This API key expired on {SOON}" in refused
    assert f"herod key rotate {id_of(old)} --expires 90d" in refused
    assert "conflict" in refused
    assert harness.store.get(ApiKey, id_of(old)) == before
    rotated = await rotate(harness, admin, id_of(old), expires_at="2030-12-31")
    assert rotated["expires_at"] == "2030-12-31T23:59:59Z"
    assert await works(harness, rotated["key"])


async def test_rotation_can_give_no_end(harness: Harness) -> None:
    """Null is no end, and a live key, too, gets a new end by its rotation."""
    admin = await harness.service_key("admin", "admin")
    old = await harness.service_key("read", expires_at=SOON)
    assert (await _rest(harness, admin, id_of(old), expires_at=LATER))["expires_at"] == LATER
    assert (await _rest(harness, admin, id_of(old)))["expires_at"] == LATER
    assert (await _rest(harness, admin, id_of(old), expires_at=None))["expires_at"] is None


async def test_a_new_end_is_within_the_callers(harness: Harness) -> None:
    """A rotation's new end is no later than the caller's own credential's."""
    await harness.service_key("admin", "spare")
    ending = await harness.service_key("admin", "ending", expires_at=LATER)
    text = await harness.service_key("read", expires_at=SOON)
    refused = await harness.request(
        "POST", f"/api/v1/keys/{id_of(text)}/rotate", json={"expires_at": None}, headers=bearer(ending)
    )
    assert (refused.status, refused.json["error"]["code"]) == (403, CeilingExceeded.code)
    assert (await _rest(harness, ending, id_of(text), expires_at=LATER))["expires_at"] == LATER


@pytest.mark.parametrize(("overlap", "is_warned"), [(60, True), (11, True), (10, False), (0, False)])
async def test_an_overlap_longer_than_the_key_lives(harness: Harness, overlap: int, is_warned: bool) -> None:
    """An overlap that the key does not live through is answered with a warning, and ends with the key."""
    old = await harness.service_key("read", expires_at=SOON)
    rotated = await harness.admin("keys.rotate", id=id_of(old), overlap=overlap)
    assert bool(rotated.warning) is is_warned
    if is_warned:
        assert f"expires on {SOON}, before the overlap ends" in rotated.warning
        former = (await harness.admin("keys.get", id=id_of(old))).former
        assert rfc3339_text(int(former.works_until.timestamp())) == SOON
    harness.clock.now += 10
    assert [await works(harness, text) for text in (old, rotated.key)] == [False, False]


async def test_secrets_that_are_refused_at_first_are_announced(harness: Harness) -> None:
    """New secrets of a disabled key, for a disabled owner, and of a disabled account come with what to do."""
    text = await harness.service_key("read")
    await harness.admin("keys.disable", id=id_of(text))
    assert f"herod key enable {id_of(text)}" in (await harness.admin("keys.rotate", id=id_of(text))).warning
    user = await harness.user()
    own = await user.key(name="own")
    await harness.admin("users.disable", client_id=user.client_id)
    enable = f"herod user enable {user.client_id}"
    assert enable in (await harness.admin("keys.rotate", id=id_of(own))).warning
    assert enable in (await harness.admin("keys.create", name="new", owner=user.client_id)).warning
    assert enable in (await harness.admin("users.rotate_secret", client_id=user.client_id)).warning


async def test_what_was_disabled_in_memory_is_announced_too(harness: Harness) -> None:
    """A key or account that was disabled while the store could not be written is refused until the restart."""
    user = await harness.user()
    text = await user.key()
    for id_ in (id_of(text), user.client_id):
        harness.runtime.switch_off(id_)
        assert "is disabled" in (await harness.admin("keys.rotate", id=id_of(text))).warning
        harness.runtime.switched_off.clear()
    harness.runtime.switch_off(user.client_id)
    assert "is disabled" in (await harness.admin("users.rotate_secret", client_id=user.client_id)).warning


async def test_no_warning_without_a_reason(harness: Harness) -> None:
    """An answer without a warning has no member for one."""
    admin = await harness.service_key("admin", "admin")
    made = await harness.request("POST", "/api/v1/keys", json={"name": "a"}, headers=bearer(admin))
    assert "warning" not in made.json["data"]
    assert "warning" not in await _rest(harness, admin, made.json["data"]["id"])


async def test_an_ended_key_is_enabled_with_a_new_end_only(harness: Harness) -> None:
    """Enabling an expired key would not make it work: it is refused until the key has a new end."""
    text = await harness.service_key("read", expires_at=SOON)
    await harness.admin("keys.disable", id=id_of(text))
    harness.clock.now += 10
    with pytest.raises(Conflict, match=f"expired on {SOON}") as caught:
        await harness.admin("keys.enable", id=id_of(text))
    assert caught.value.hint == f"herod key edit {id_of(text)} --expires 90d"
    await harness.admin("keys.update", id=id_of(text), expires_at=LATER)
    await harness.admin("keys.enable", id=id_of(text))
    assert await works(harness, text)


async def _create(harness: Harness, name: str) -> Any:
    return await harness.admin("keys.create", name=name, kind="service")


async def _supervisor(harness: Harness, name: str) -> Any:
    return await harness.call("auth.create_key", LOCAL_ADMIN, name=name, scope="read")


async def _promote(harness: Harness, name: str) -> Any:
    secret = harness.runtime.config.legacy.match(LEGACY["user"])
    assert secret is not None
    return await harness.admin("legacy.promote", id=secret.id, name=name)


async def _rename(harness: Harness, name: str) -> Any:
    text = await harness.service_key("read", "another")
    return await harness.admin("keys.update", id=id_of(text), name=name)


@pytest.mark.parametrize("give", [_create, _supervisor, _promote, _rename])
async def test_the_name_of_an_ended_key_may_be_used_again(
    harness: Harness, give: Callable[[Harness, str], Awaitable[Any]]
) -> None:
    """A name is taken as long as its key has not expired, also while it is disabled."""
    text = await harness.service_key("read", "runner", expires_at=SOON)
    await harness.admin("keys.disable", id=id_of(text))
    with pytest.raises(Conflict, match="exists already"):
        await give(harness, "runner")
    harness.clock.now += 10
    for key in harness.store.scan(ApiKey):
        if key.name == "another":
            await harness.admin("keys.delete", id=key.id)
    assert (await give(harness, "runner")).name == "runner"
    assert [key.name for key in harness.store.scan(ApiKey)] == ["runner", "runner"]
    with pytest.raises(Conflict, match="exists already"):
        await harness.admin("keys.create", name="runner", kind="service")


async def test_a_name_given_anew_is_not_taken_back(harness: Harness) -> None:
    """A key whose name another one has since gets a new end only with a new name."""
    old = await harness.service_key("read", "runner", expires_at=SOON)
    harness.clock.now += 10
    new = await harness.service_key("read", "runner")
    for name in ("keys.update", "keys.rotate"):
        with pytest.raises(Conflict, match="Another key was given this one's name") as caught:
            await harness.admin(name, id=id_of(old), expires_at=LATER)
        assert caught.value.hint == f"herod key edit {id_of(old)} --name NAME"
    changed = await harness.admin("keys.update", id=id_of(old), name="runner 0", expires_at=LATER)
    assert changed.name == "runner 0"
    assert await works(harness, old)
    assert await works(harness, new)


async def test_a_name_that_is_free_again_is_taken_back(harness: Harness) -> None:
    """If the later key was deleted or expired, too, the earlier one gets its name again with its new end."""
    first = await harness.service_key("read", "runner", expires_at=SOON)
    harness.clock.now += 10
    second = await harness.service_key("read", "runner", expires_at=LATER)
    harness.clock.now += 1000
    await harness.admin("keys.update", id=id_of(first), expires_at=None)
    with pytest.raises(Conflict):
        await harness.admin("keys.update", id=id_of(second), expires_at=None)
    await harness.admin("keys.delete", id=id_of(first))
    await harness.admin("keys.update", id=id_of(second), expires_at=None)
    with pytest.raises(Conflict, match="exists already"):
        await harness.admin("keys.create", name="runner", kind="service")


async def test_a_secret_whose_key_ended_can_be_promoted_again(harness: Harness) -> None:
    """A legacy secret is replaced by a key that works: after that expired, by another one."""
    secret = harness.runtime.config.legacy.match(LEGACY["user"])
    assert secret is not None
    first = await harness.admin("legacy.promote", id=secret.id, expires_at=SOON)
    with pytest.raises(Conflict, match=first.id):
        await harness.admin("legacy.promote", id=secret.id)
    harness.clock.now += 10
    [status] = [one for one in (await harness.admin("legacy.status")).items if one.id == secret.id]
    assert not status.promoted_to
    assert (await harness.admin("legacy.promote", id=secret.id)).name == secret.id


async def test_users_names_are_their_own(harness: Harness) -> None:
    """An expired key of one user gives its name up to that user's keys alone."""
    ada, eve = await harness.user(), await harness.user()
    text = await ada.key(name="laptop", expires_at=SOON)
    await eve.key(name="laptop")
    harness.clock.now += 10
    await ada.key(name="laptop")
    assert (await harness.call("keys.get", ada.basic, TCP, id=id_of(text))).name == "laptop"


async def test_explain_says_that_a_key_has_expired(harness: Harness) -> None:
    """The explanation for an expired key is that, with the command for a new end."""
    text = await harness.service_key("read", "runner", expires_at=SOON)
    harness.clock.now += 10
    explained = await harness.admin("access.explain", principal="runner", scope="read")
    assert (explained.allowed, explained.reason) == (False, "expired")
    assert explained.hint == f"herod key edit {id_of(text)} --expires 90d"
