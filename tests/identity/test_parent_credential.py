"""What was created with a stolen API key ends when the key is rotated or disabled, and is never revived.

Before, a sign-in code created before the rotation opened a session with the new key's grant for 60 seconds, and a
key's session answered 401 while the key was disabled and 200 when it was enabled again.
"""

from functools import partial

import msgspec
import pytest

from herod.identity.credential_types import Bearer, SessionCookie
from herod.records import ApiKey, Record, Session
from herod.store.store_interface import Writer
from herod_client.core.errors import CeilingExceeded, Unauthenticated, Unavailable
from support.herod_in_memory import TCP, Harness

KINDS = ("service", "user")


async def a_key(harness: Harness, kind: str) -> tuple[str, str]:
    """A key of that kind with scope write; its text and id."""
    if kind == "service":
        text = await harness.service_key("write")
    else:
        text = await (await harness.user(scope="write")).key(scope="write")
    return text, text.split("_")[2]


async def code_of(harness: Harness, text: str) -> str:
    """A sign-in code created with the key."""
    code: str = (await harness.call("session.code", Bearer(text), TCP)).code
    return code


async def redeem(harness: Harness, code: str) -> SessionCookie:
    """Redeem a code for a session."""
    return SessionCookie((await harness.call("session.redeem", None, TCP, code=code)).cookie)


async def is_open(harness: Harness, session: SessionCookie) -> bool:
    """Whether a session is valid now."""
    try:
        await harness.call("whoami", session, TCP)
    except Unauthenticated:
        return False
    return True


def put(tx: Writer, record: Record) -> None:
    """Write an older version of a record."""
    tx.put(record)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_code_ends_with_the_secret_that_made_it(harness: Harness, kind: str) -> None:
    """A sign-in code is refused after the key that created it was rotated without overlap."""
    text, key_id = await a_key(harness, kind)
    code = await code_of(harness, text)
    fresh = await harness.admin("keys.rotate", id=key_id)
    with pytest.raises(Unauthenticated):
        await harness.call("session.offer", None, TCP, code=code)
    with pytest.raises(Unauthenticated):
        await redeem(harness, code)
    assert await is_open(harness, await redeem(harness, await code_of(harness, fresh.key)))


@pytest.mark.parametrize("kind", KINDS)
async def test_a_code_of_the_former_secret_ends_with_the_overlap(harness: Harness, kind: str) -> None:
    """During the overlap a code of the former secret works, and its session ends with the overlap."""
    text, key_id = await a_key(harness, kind)
    codes = [await code_of(harness, text), await code_of(harness, text)]
    await harness.admin("keys.rotate", id=key_id, overlap=30)
    codes.append(await code_of(harness, text))
    session = await redeem(harness, codes[0])
    with pytest.raises(CeilingExceeded):  # the former secret creates nothing that outlives it
        await harness.call("keys.create", session, TCP, name="for ever", kind="service", scope="read")
    harness.clock.now += 30
    assert not await is_open(harness, session)
    for code in codes[1:]:
        with pytest.raises(Unauthenticated):
            await redeem(harness, code)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("overlap", [0, 3600])
async def test_disabled_and_enabled_again_it_is_not_what_it_was(harness: Harness, kind: str, overlap: int) -> None:
    """Disabling and enabling a key ends earlier sessions and codes, also those of a former secret in its overlap."""
    text, key_id = await a_key(harness, kind)
    fresh = (await harness.admin("keys.rotate", id=key_id, overlap=overlap)).key
    secrets = [fresh, text] if overlap else [fresh]
    sessions = [await redeem(harness, await code_of(harness, secret)) for secret in secrets]
    codes = [await code_of(harness, secret) for secret in secrets]
    assert [await is_open(harness, session) for session in sessions] == [True] * len(secrets)
    kept = list(harness.store.scan(Session))
    await harness.admin("keys.disable", id=key_id)
    await harness.admin("keys.enable", id=key_id)
    for record in kept:
        await harness.store.write(partial(put, record=record))  # restoring their rows does not revive them
    assert not any([await is_open(harness, session) for session in sessions])
    for code in codes:
        with pytest.raises(Unauthenticated):
            await redeem(harness, code)
    for secret in secrets:
        assert await is_open(harness, await redeem(harness, await code_of(harness, secret)))


async def test_disabling_twice_changes_nothing(harness: Harness) -> None:
    """Disabling a disabled key changes nothing."""
    _, key_id = await a_key(harness, "service")
    await harness.admin("keys.disable", id=key_id)
    before = harness.store.get(ApiKey, key_id)
    await harness.admin("keys.disable", id=key_id)
    assert harness.store.get(ApiKey, key_id) == before


@pytest.mark.parametrize("kind", KINDS)
async def test_switched_off_in_memory_alone_it_ends_too(
    harness: Harness, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key disabled in memory only and then enabled in the store does not revive its sessions."""
    text, key_id = await a_key(harness, kind)
    session = await redeem(harness, await code_of(harness, text))

    async def refuse(_function: object) -> None:
        raise Unavailable("The store's disk is full.", reason="disk_full")

    with monkeypatch.context() as full:
        full.setattr(harness.store, "write", refuse)
        with pytest.raises(Unavailable):
            await harness.admin("keys.disable", id=key_id)
    assert not await is_open(harness, session)
    await harness.admin("keys.enable", id=key_id)
    assert not await is_open(harness, session)
    assert await is_open(harness, await redeem(harness, await code_of(harness, text)))


async def test_an_account_switched_off_in_memory_alone_ends_too(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An account disabled in memory only and then enabled does not revive its tokens and sessions."""
    ada = await harness.user(scope="write")
    token, session = await ada.bearer(), await ada.session()

    async def refuse(_function: object) -> None:
        raise Unavailable("The store's disk is full.", reason="disk_full")

    with monkeypatch.context() as full:
        full.setattr(harness.store, "write", refuse)
        with pytest.raises(Unavailable):
            await harness.admin("users.disable", client_id=ada.client_id)
    await harness.admin("users.enable", client_id=ada.client_id)
    for presented in (token, session):
        with pytest.raises(Unauthenticated):
            await harness.call("whoami", presented, TCP)
    assert await harness.call("whoami", await ada.bearer(), TCP)


async def test_a_session_of_the_version_before_opens(harness: Harness) -> None:
    """A session from the previous version, which names its key without an epoch, is valid until the next rotation."""
    text, key_id = await a_key(harness, "service")
    session = await redeem(harness, await code_of(harness, text))
    kept = next(iter(harness.store.scan(Session)))
    former = msgspec.structs.replace(kept, via=f"service_key:{key_id}")
    await harness.store.write(lambda tx: tx.put(former))
    assert await is_open(harness, session)
    await harness.admin("keys.rotate", id=key_id)
    await harness.store.write(lambda tx: tx.put(former))
    assert not await is_open(harness, session)


@pytest.mark.parametrize("via", ["service_key:{}:x", "service_key:{}:-1", "service_key:{}:1:0", "service_key:{}: 0"])
async def test_an_epoch_that_is_none(harness: Harness, via: str) -> None:
    """A session with a malformed epoch is refused."""
    text, key_id = await a_key(harness, "service")
    session = await redeem(harness, await code_of(harness, text))
    kept = next(iter(harness.store.scan(Session)))
    await harness.store.write(lambda tx: tx.put(msgspec.structs.replace(kept, via=via.format(key_id))))
    assert not await is_open(harness, session)
