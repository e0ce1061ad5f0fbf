"""The number of sessions is bounded, and all of them can be ended at once."""

import pytest

from herod.identity.credential_types import Bearer, PeerClaim, SessionCookie
from herod.records import Session
from herod.scopes.principal import Peer, Source
from herod.settings import QuotaSettings
from herod.store.owned_records import DELETED_AT_ONCE, owned_by
from herod_client.core.errors import NotFound, TargetDenied, Unauthenticated, Unavailable
from support.herod_in_memory import PASSWORD, TCP, Harness, bearer


async def test_the_oldest_session_ends(harness: Harness) -> None:
    """A sign-in over the number of sessions ends the oldest session, and none of others."""
    harness.configure(quotas=QuotaSettings(sessions=3))
    ada, eve = await harness.user(), await harness.user()
    other = await eve.session()
    opened: list[SessionCookie] = []
    for _ in range(5):
        harness.clock.now += 1
        opened.append(await ada.session())
    assert len(list(owned_by(harness.store, Session, ada.client_id))) == 3
    for cookie in opened[:2]:
        with pytest.raises(Unauthenticated):
            await harness.call("whoami", cookie)
    for cookie in (*opened[2:], other):
        await harness.call("whoami", cookie)


async def test_too_many_sessions_of_an_earlier_version(harness: Harness) -> None:
    """A sign-in ends a bounded number of surplus sessions."""
    ada = await harness.user()
    harness.configure(quotas=QuotaSettings(sessions=DELETED_AT_ONCE * 2 + 10))
    for _ in range(DELETED_AT_ONCE * 2):
        await ada.session()
        harness.clock.now += 1
    harness.configure(quotas=QuotaSettings(sessions=10))
    await ada.session()
    assert len(list(owned_by(harness.store, Session, ada.client_id))) == DELETED_AT_ONCE
    await ada.session()
    assert len(list(owned_by(harness.store, Session, ada.client_id))) == 10


async def test_end_all_own_sessions(harness: Harness) -> None:
    """A session ends all others of its account and stays; any other credential ends all of them. Tokens stay."""
    ada, eve = await harness.user(), await harness.user()
    here, there, other = await ada.session(), await ada.session(), await eve.session()
    token = await ada.bearer()
    await harness.call("session.end_all", here)
    await harness.call("whoami", here)
    with pytest.raises(Unauthenticated):
        await harness.call("whoami", there)
    later = await ada.session()
    answer = await harness.request("POST", "/api/v1/sessions/end-all", json={}, headers=bearer(token.text))
    assert answer.json["data"] == {"sub": ada.client_id, "ended": True}
    for cookie in (here, later):
        with pytest.raises(Unauthenticated):
            await harness.call("whoami", cookie)
    for presented in (token, other, await ada.session()):
        await harness.call("whoami", presented)


async def test_any_number_of_sessions_ends_at_once(harness: Harness) -> None:
    """More sessions than one transaction deletes end in one, and none comes back."""
    ada = await harness.user()
    harness.configure(quotas=QuotaSettings(sessions=1000))
    cookies = [await ada.session() for _ in range(DELETED_AT_ONCE + 50)]
    await harness.call("session.end_all", ada.basic)
    for cookie in cookies:
        with pytest.raises(Unauthenticated):
            await harness.call("whoami", cookie)
    here = await ada.session()
    assert len((await harness.call("session.list", here, limit=200)).items) <= 1


async def test_end_all_of_others(harness: Harness) -> None:
    """Admins end the sessions of accounts that hold no more than they do, by client_id or email; others see none."""
    ada, eve, admin = await harness.user(email="ada@example.org"), await harness.user(), await harness.user("admin")
    owner = await harness.user("owner")
    cookie, above = await ada.session(), await owner.session()
    with pytest.raises(NotFound):
        await harness.call("session.end_all", eve.basic, client_id=ada.client_id)
    with pytest.raises(TargetDenied):
        await harness.call("session.end_all", admin.basic, client_id=owner.client_id)
    for presented in (cookie, above):
        await harness.call("whoami", presented)
    await harness.call("session.end_all", admin.basic, email="ada@example.org")
    with pytest.raises(Unauthenticated):
        await harness.call("whoami", cookie)


async def test_a_narrower_credential_does_not_sign_its_owner_out(harness: Harness) -> None:
    """A key that holds less than its account cannot end the account's sessions."""
    ada = await harness.user("write")
    cookie, narrow = await ada.session(), Bearer(await ada.key("read"))
    with pytest.raises(TargetDenied):
        await harness.call("session.end_all", narrow)
    await harness.call("whoami", cookie)


async def test_end_everyones_sessions(harness: Harness) -> None:
    """Who holds owner ends all sessions at once, except the calling one; an admin cannot, as some may hold more."""
    cookies = [await (await harness.user()).session() for _ in range(3)]
    admin = await harness.user("admin")
    with pytest.raises(TargetDenied):
        await harness.call("session.end_all", admin.basic, everyone=True)
    here = await (await harness.user("owner")).session()
    await harness.call("session.end_all", here, everyone=True)
    await harness.call("whoami", here)
    for cookie in cookies:
        with pytest.raises(Unauthenticated):
            await harness.call("whoami", cookie)
    await harness.admin("session.end_all", everyone=True)
    with pytest.raises(Unauthenticated):
        await harness.call("whoami", here)


async def test_a_new_password_ends_all_sessions(harness: Harness) -> None:
    """Setting a password ends all sessions of the account, also more than one transaction deletes."""
    ada = await harness.user(email="ada@example.org", password=PASSWORD)
    harness.configure(quotas=QuotaSettings(sessions=1000))
    cookies = [await ada.session() for _ in range(DELETED_AT_ONCE + 20)]
    await harness.call(
        "users.password", ada.basic, client_id=ada.client_id, password="another battery", current=PASSWORD
    )
    for cookie in cookies:
        with pytest.raises(Unauthenticated):
            await harness.call("whoami", cookie)


async def test_local_users_of_one_group_do_not_end_each_others_sessions(harness: Harness) -> None:
    """A member of a group who signs in often ends his own sessions, not those of other members."""
    harness.configure(quotas=QuotaSettings(sessions=3))
    await harness.admin("peers.allow", gid=4242, scope="read")
    mine, other = (Source(peer=Peer(uid=uid, gid=4242)) for uid in (4242, 4243))
    theirs = SessionCookie((await harness.call("session.create", PeerClaim(), other)).cookie)
    opened: list[SessionCookie] = []
    for _ in range(5):
        harness.clock.now += 1
        code = (await harness.call("session.code", PeerClaim(), mine)).code
        opened.append(SessionCookie((await harness.call("session.redeem", None, TCP, code=code)).cookie))
    for cookie in (theirs, *opened[2:]):
        await harness.call("whoami", cookie)
    for cookie in opened[:2]:
        with pytest.raises(Unauthenticated):
            await harness.call("whoami", cookie)


@pytest.mark.parametrize("is_written", [True, False])
async def test_a_local_user_of_a_group_signs_out_its_own_browsers(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, is_written: bool
) -> None:
    """Ending all of one's sessions does not end those of others whom the same rule admits."""
    await harness.admin("peers.allow", gid=4242, scope="read")
    mine, other = (Source(peer=Peer(uid=uid, gid=4242)) for uid in (4242, 4243))
    theirs = SessionCookie((await harness.call("session.create", PeerClaim(), other)).cookie)
    first, here = [SessionCookie((await harness.call("session.create", PeerClaim(), mine)).cookie) for _ in range(2)]
    if is_written:
        await harness.call("session.end_all", here, TCP)
    else:

        async def refuse(_: object) -> None:
            raise Unavailable("The store's disk is full.", reason="full")

        monkeypatch.setattr(harness.store, "write", refuse)
        with pytest.raises(Unavailable):
            await harness.call("session.end_all", here, TCP)
    for cookie in (theirs, here):
        await harness.call("whoami", cookie)
    with pytest.raises(Unauthenticated):
        await harness.call("whoami", first)
