"""Apps' tokens at a local verifier: it follows herod's feed, and says of each what herod itself says at that moment."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from herod.identity.credential_types import Bearer
from herod.maintenance.restore_reconciliation import end_everything
from herod.operations.tokens import revoke_family
from herod.pipeline.operation_definition import Context
from herod.records import Delegation
from herod.scopes.principal import ANONYMOUS
from herod.store.store_interface import Writer
from herod_client.core.access_tokens import Claims, issue
from herod_client.core.errors import BadToken, ExpiredToken, HerodError, RevokedToken
from herod_client.core.refusal_reasons import refusal_reason
from herod_client.feed_mirror import parse_changes
from herod_client.offline_token_verification import TokenChecker, VerifiedToken
from support.connected_apps import APP, ROOT, app_token, connect_app
from support.herod_in_memory import LOCAL_ADMIN, TCP, Harness, User


class Service:
    """A service that verifies herod's tokens locally."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness
        self.checker = TokenChecker(resource=ROOT, clock=lambda: harness.clock.now, stopwatch=lambda: harness.clock.now)
        self.checker.keys = harness.runtime.signing

    async def listen(self, *, without: str = "") -> None:
        """Receive what is new, or all of it at first; `without` a part that an older herod does not send."""
        while True:
            answer = await self.harness.call("token.changes", LOCAL_ADMIN, cursor=self.checker.mirror.cursor)
            told: dict[str, Any] = msgspec.to_builtins(answer)
            told.pop(without, None)
            if self.checker.mirror.take(parse_changes({"data": told}), self.harness.clock.now):
                break
        self.checker.touch()

    async def agrees(self, token: Bearer, **required: str) -> VerifiedToken | str:
        """What both say about a token: the verified one, or the reason why not."""
        await self.listen()
        theirs = await self.harness.call("token.validate", token=token.text, resource=ROOT, **required)
        refused = None
        try:
            verified = self.checker.verify(token.text, **required)
        except HerodError as error:
            refused = refusal_reason(error)
        if refused is not None:
            assert (theirs.valid, theirs.reason) == (False, refused)
            return str(refused)
        assert theirs.valid
        assert (theirs.sub, theirs.scope) == (verified.sub, verified.scope)
        assert theirs.networks == sorted(verified.networks)
        return verified


@pytest.fixture
def service(harness: Harness) -> Service:
    """A service beside herod."""
    return Service(harness)


async def put(harness: Harness, delegation: Delegation, **changes: Any) -> None:
    """Replace fields of a delegation in the store."""
    await harness.store.write(lambda tx: tx.put(msgspec.structs.replace(delegation, **changes)))


async def test_an_apps_token(service: Service, harness: Harness) -> None:
    """It is good as soon as the feed tells of the delegation, and says which app it is."""
    user = await harness.user("write")
    await service.listen()
    token = app_token(harness, await connect_app(harness, user, "write"))
    verified = await service.agrees(token, scope="read")
    assert isinstance(verified, VerifiedToken)
    assert (verified.sub, verified.scope, verified.app, verified.aud) == (user.client_id, "write", APP, ROOT)


async def test_it_is_narrowed_as_at_herod(service: Service, harness: Harness) -> None:
    """Scope and networks follow the account's and the delegation's changes, and `owner` is never delegated."""
    await harness.service_key("admin", "spare")
    user = await harness.user("owner")
    delegation = await connect_app(harness, user, "owner")
    token = app_token(harness, delegation)
    seen: list[VerifiedToken | str] = [await service.agrees(token)]
    await put(harness, delegation, scope=("write",), networks=("lab", "dmz"))
    seen.append(await service.agrees(token))
    await harness.admin("users.scope", client_id=user.client_id, scope="read")
    await harness.admin("users.update", client_id=user.client_id, networks=["lab", "home"])
    seen.append(await service.agrees(token))
    assert [(one.scope, sorted(one.networks)) for one in seen if isinstance(one, VerifiedToken)] == [
        ("admin", ["*"]),
        ("write", ["dmz", "lab"]),
        ("read", ["lab"]),
    ]
    assert await service.agrees(token, scope="write") == "scope"
    assert await service.agrees(token, network="dmz") == "network"


async def end_by(harness: Harness, how: str, user: User, delegation: Delegation) -> None:
    """End a delegation in one of the ways there are."""
    if how.endswith("a new snapshot"):
        harness.runtime.boot_epoch += 1
    if how.startswith("off in memory"):
        harness.runtime.switch_off(delegation.id)
    elif how.startswith("taken back"):
        await harness.store.write(lambda tx: tx.delete(Delegation, delegation.id))
    elif how.startswith("users."):
        await harness.admin(how, client_id=user.client_id)
    elif how == "ended sooner":
        await put(harness, delegation, expires_at=harness.clock.now)
    elif how == "another's":
        await put(harness, delegation, account=(await harness.user()).client_id)
    else:
        await harness.store.write(end_everything)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("taken back", "revoked"),
        ("ended sooner", "revoked"),
        ("another's", "revoked"),
        ("users.rotate_secret", "revoked"),
        ("users.disable", "disabled"),
        ("users.delete", "revoked"),
        ("restored", "revoked"),
        ("off in memory", "revoked"),
        ("off in memory, in a new snapshot", "revoked"),
        ("taken back, in a new snapshot", "revoked"),
    ],
)
async def test_every_end(service: Service, harness: Harness, how: str, reason: str) -> None:
    """However a delegation ends, the verifier refuses its tokens with the next answer of the feed, as herod does."""
    user = await harness.user()
    delegation, other = await connect_app(harness, user), await connect_app(harness, await harness.user())
    token, control = app_token(harness, delegation), app_token(harness, other)
    assert isinstance(await service.agrees(token), VerifiedToken)
    await end_by(harness, how, user, delegation)
    assert await service.agrees(token) == reason
    if how != "restored":
        assert isinstance(await service.agrees(control), VerifiedToken)


async def test_its_end_comes_without_news(service: Service, harness: Harness) -> None:
    """A delegation that ends before its token is no longer accepted, though the feed is silent and the token cached."""
    user = await harness.user()
    delegation = await connect_app(harness, user)
    token = app_token(harness, delegation, ttl=3600)
    await put(harness, delegation, expires_at=harness.clock.now + 10)
    assert isinstance(await service.agrees(token), VerifiedToken)
    harness.clock.now += 10
    service.checker.touch()
    with pytest.raises(RevokedToken):
        service.checker.verify(token.text)
    assert await service.agrees(token) == "revoked"
    harness.clock.now += 3600
    service.checker.touch()
    with pytest.raises(ExpiredToken):
        service.checker.verify(token.text)


async def test_a_delegation_without_an_end(service: Service, harness: Harness) -> None:
    """One that never ends is accepted as well."""
    token = app_token(harness, await connect_app(harness, await harness.user(), expires_at=None))
    assert isinstance(await service.agrees(token), VerifiedToken)


async def test_a_revoked_family(service: Service, harness: Harness) -> None:
    """Revoking a family ends all of its tokens at the verifier too, and no others."""
    user = await harness.user()
    delegation = await connect_app(harness, user)
    one, two = app_token(harness, delegation, family="one"), app_token(harness, delegation, family="two")

    def revoke(tx: Writer) -> None:
        context = Context(
            runtime=harness.runtime,
            process=harness.pipeline.process,
            principal=ANONYMOUS,
            source=TCP,
            now=harness.clock.now,
        )
        revoke_family(tx, context, delegation, "one")

    await service.listen()
    await harness.store.write(revoke)
    assert await service.agrees(one) == "revoked"
    assert isinstance(await service.agrees(two), VerifiedToken)


async def test_an_older_herod(service: Service, harness: Harness) -> None:
    """A herod whose feed says nothing about delegations is followed, and no app's token is accepted."""
    user = await harness.user()
    token = app_token(harness, await connect_app(harness, user))
    await service.listen(without="delegations")
    assert service.checker.verify(await user.token()).sub == user.client_id
    with pytest.raises(RevokedToken):
        service.checker.verify(token.text)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"aud": None, "client_id": None, "iss": "hero_auth"}, BadToken),
        ({"via": "delegation:"}, RevokedToken),
        ({"via": "delegation:unknown"}, RevokedToken),
        ({"via": "delegation"}, RevokedToken),
        ({"via": "client_secret", "scope": "admin"}, None),  # the account's own, with an audience
    ],
)
async def test_claims_that_do_not_fit(
    service: Service, harness: Harness, changes: Mapping[str, Any], expected: type[HerodError] | None
) -> None:
    """Without an audience or a known delegation an app's token is refused, whoever signed it."""
    user = await harness.user()
    await service.listen()
    good = harness.runtime.claims(app_token(harness, await connect_app(harness, user)).text, harness.clock.now)
    claims: Claims = msgspec.structs.replace(good, **changes)
    await service.listen()
    text = issue(claims, harness.runtime.signing.current)
    if expected is None:
        assert service.checker.verify(text).scope == "read"
        return
    with pytest.raises(expected):
        service.checker.verify(text)
    assert not (await harness.call("token.validate", token=text, resource=ROOT)).valid


async def test_another_subjects_delegation(service: Service, harness: Harness) -> None:
    """A token that names a delegation of another account, or of a peer rule, is refused."""
    delegation = await connect_app(harness, await harness.user())
    other = await harness.user()
    rule = await harness.admin("peers.allow", uid=77, scope="read")
    good = harness.runtime.claims(app_token(harness, delegation).text, harness.clock.now)
    await service.listen()
    for sub, epoch in ((other.client_id, 1), (rule.id, 0), ("local-admin", harness.runtime.boot_epoch)):
        text = issue(msgspec.structs.replace(good, sub=sub, epoch=epoch), harness.runtime.signing.current)
        with pytest.raises(RevokedToken):
            service.checker.verify(text)
        assert not (await harness.call("token.validate", token=text, resource=ROOT)).valid
