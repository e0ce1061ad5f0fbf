"""An app's token is worth what its account holds now ∩ what it delegated ∩ the token, at every use, and no more."""

from functools import partial
from typing import Any

import msgspec
import pytest

from herod.identity.credential_types import Bearer
from herod.identity.runtime_state import Runtime
from herod.maintenance.restore_reconciliation import end_everything
from herod.operations.tokens import revoke_family
from herod.pipeline.operation_definition import Context
from herod.records import Account, Delegation, Revocation
from herod.scopes.principal import ANONYMOUS
from herod.settings import QuotaSettings
from herod.store.store_interface import Writer
from herod_client.core.access_tokens import Claims, issue
from herod_client.core.errors import BadToken, Disabled, ExpiredToken, RevokedToken, Unauthenticated
from herod_client.core.scope_graph import ScopeGraph
from support.connected_apps import DAYS_90, ROOT, app_token, connect_app
from support.herod_in_memory import TCP, Harness, User


def change(harness: Harness, delegation: Delegation, **changes: Any) -> Any:
    """Replace fields of a delegation in the store."""
    return harness.store.write(lambda tx: tx.put(msgspec.structs.replace(delegation, **changes)))


def claims_of(runtime: Runtime, token: Bearer, now: int) -> Claims:
    """The claims of a token."""
    return runtime.claims(token.text, now)


async def test_who_it_is(harness: Harness) -> None:
    """The token acts as the account, says which app it is of, and carries the claims of RFC 9068."""
    user = await harness.user(scope="write")
    delegation = await connect_app(harness, user, "write")
    token = app_token(harness, delegation, "read", family="f1")
    who = await harness.call("whoami", token)
    assert (who.sub, who.kind, who.method, who.scope) == (user.client_id, "account", "jwt", "read")
    claims = claims_of(harness.runtime, token, harness.clock.now)
    assert (claims.sub, claims.via) == (user.client_id, f"delegation:{delegation.id}")
    assert (claims.aud, claims.client_id, claims.iss, claims.family) == (ROOT, delegation.app, ROOT, "f1")
    assert claims.exp - claims.iat == 600


async def test_never_more_than_each_of_the_three(harness: Harness) -> None:
    """Token, delegation and account each narrow it, scope and networks alike, when they change and at once."""
    await harness.service_key("admin", name="another admin")
    user = await harness.user(scope="admin")
    delegation = await connect_app(harness, user, "admin")
    token = app_token(harness, delegation, "admin")
    assert (await harness.call("whoami", token)).scope == "admin"
    await change(harness, delegation, scope=("write",), networks=("lab", "dmz"))
    assert (await harness.call("whoami", token)).scope == "write"
    assert (await harness.call("whoami", token)).networks == ["dmz", "lab"]
    await harness.admin("users.scope", client_id=user.client_id, scope="read")
    await harness.admin("users.update", client_id=user.client_id, networks=["lab", "home"])
    who = await harness.call("whoami", token)
    assert (who.scope, who.networks) == ("read", ["lab"])


async def test_owner_is_never_delegated(harness: Harness) -> None:
    """Even a delegation and a token that say `owner` are worth admin."""
    user = await harness.user(scope="owner")
    token = app_token(harness, await connect_app(harness, user, "owner"))
    assert (await harness.call("whoami", token)).scope == "admin"


async def test_nor_is_what_includes_owner(harness: Harness) -> None:
    """A scope of the settings that is above `owner` is not delegated either."""
    harness.configure(graph=ScopeGraph({"all": ("owner",), "jobs": ("user",)}))
    user = await harness.user(scope="owner")
    token = app_token(harness, await connect_app(harness, user, "all jobs"))
    assert (await harness.call("whoami", token)).scope == "admin"
    assert not (await harness.call("token.validate", token=token.text, scope="all", resource=ROOT)).valid


async def end_by(harness: Harness, how: str, user: User, delegation: Delegation) -> None:
    """End a delegation in one of the ways there are."""
    match how:
        case "taken back":
            await harness.store.write(lambda tx: tx.delete(Delegation, delegation.id))
        case "over":
            await change(harness, delegation, expires_at=harness.clock.now)
        case "another epoch of the account":
            await harness.admin("users.rotate_secret", client_id=user.client_id)
        case "another epoch of its own":
            await change(harness, delegation, epoch=delegation.epoch + 1)
        case "another account's":
            other = await harness.user(scope="admin")
            await change(harness, delegation, account=other.client_id)
        case "off in memory":
            harness.runtime.switch_off(delegation.id)
        case "off and on again":
            await harness.admin("users.disable", client_id=user.client_id)
            await harness.admin("users.enable", client_id=user.client_id)
        case "deleted":
            await harness.admin("users.delete", client_id=user.client_id)
        case "restored":
            await harness.store.write(end_everything)


@pytest.mark.parametrize(
    "how",
    [
        "taken back",
        "over",
        "another epoch of the account",
        "another epoch of its own",
        "another account's",
        "off in memory",
        "off and on again",
        "deleted",
        "restored",
    ],
)
async def test_every_end(harness: Harness, how: str) -> None:
    """However a delegation ends, its tokens are refused from the next request on, and are called revoked."""
    user = await harness.user(scope="read")
    delegation = await connect_app(harness, user)
    token = app_token(harness, delegation)
    assert (await harness.call("token.validate", token=token.text, resource=ROOT)).valid
    await end_by(harness, how, user, delegation)
    with pytest.raises(RevokedToken):
        await harness.call("whoami", token)
    assert (await harness.call("token.validate", token=token.text, resource=ROOT)).reason == "revoked"


async def test_a_disabled_account(harness: Harness) -> None:
    """While its account is disabled the token says so, also if that could not be stored."""
    user = await harness.user(scope="read")
    token = app_token(harness, await connect_app(harness, user))
    harness.runtime.switch_off(user.client_id)
    with pytest.raises(Disabled):
        await harness.call("whoami", token)


async def test_it_ends_with_its_delegation(harness: Harness) -> None:
    """A token expires no later than its delegation, nor than any token does."""
    user = await harness.user(scope="read")
    delegation = await connect_app(harness, user, expires_at=harness.clock.now + 60)
    soon = app_token(harness, delegation, ttl=600)
    assert claims_of(harness.runtime, soon, harness.clock.now).exp == harness.clock.now + 60
    lasting = app_token(harness, await connect_app(harness, user, expires_at=None), ttl=DAYS_90)
    assert claims_of(harness.runtime, lasting, harness.clock.now).exp == harness.clock.now + 3600
    harness.clock.now += 61
    with pytest.raises(ExpiredToken):
        await harness.call("whoami", soon)


async def test_without_an_audience(harness: Harness) -> None:
    """Herod makes no app's token without `aud`, and takes none."""
    user = await harness.user(scope="read")
    good = claims_of(harness.runtime, app_token(harness, await connect_app(harness, user)), harness.clock.now)
    bad = msgspec.structs.replace(good, aud=None, client_id=None, iss="hero_auth")
    with pytest.raises(BadToken):
        await harness.call("whoami", Bearer(issue(bad, harness.runtime.signing.current)))


async def test_a_family_is_revoked_at_once(harness: Harness) -> None:
    """Revoking a family ends all of its tokens, and no other of the same delegation."""
    user = await harness.user(scope="read")
    delegation = await connect_app(harness, user)
    family = [app_token(harness, delegation, family="one") for _ in range(3)]
    others = [app_token(harness, delegation, family="two"), app_token(harness, delegation)]
    await harness.store.write(partial(revoke, harness, delegation, "one"))
    for token in family:
        with pytest.raises(RevokedToken):
            await harness.call("whoami", token)
    for token in others:
        assert (await harness.call("whoami", token)).sub == user.client_id


async def test_a_revoked_family_in_memory(harness: Harness) -> None:
    """While the store cannot be written, a family revoked in this process is refused as well."""
    user = await harness.user(scope="read")
    token = app_token(harness, await connect_app(harness, user), family="one")
    harness.runtime.revoked[f"{user.client_id}/one"] = harness.clock.now + 600
    with pytest.raises(RevokedToken):
        await harness.call("whoami", token)


async def test_an_app_ends_itself_and_not_the_person(harness: Harness) -> None:
    """More revocations of an app's tokens than the settings allow end its delegation alone."""
    harness.configure(quotas=QuotaSettings(revocations=1000))
    user = await harness.user(scope="read")
    delegation, other = await connect_app(harness, user), await connect_app(harness, user, app="another")
    own, token = await user.bearer(), app_token(harness, other)
    most = harness.runtime.config.quotas.revocations

    def fill(tx: Writer) -> None:
        for number in range(most):
            revoke(harness, delegation, f"family{number}", tx)

    await harness.store.write(fill)
    assert harness.store.get(Delegation, delegation.id) is not None
    assert harness.store.count(Revocation) == most
    await harness.store.write(partial(revoke, harness, delegation, "one more"))
    assert harness.store.get(Delegation, delegation.id) is None
    for presented in (user.basic, own, token):
        assert (await harness.call("whoami", presented)).sub == user.client_id
    account = harness.store.get(Account, user.client_id)
    assert account is not None
    assert account.epoch == delegation.epoch


async def test_of_another_herod(harness: Harness) -> None:
    """A token of a delegation that never was here is refused."""
    user = await harness.user(scope="read")
    delegation = await connect_app(harness, user)
    token = app_token(harness, msgspec.structs.replace(delegation, id="unknown"))
    with pytest.raises(Unauthenticated):
        await harness.call("whoami", token)


def revoke(harness: Harness, delegation: Delegation, family: str, tx: Writer) -> None:
    """Revoke a family, as an operation does."""
    context = Context(
        runtime=harness.runtime,
        process=harness.pipeline.process,
        principal=ANONYMOUS,
        source=TCP,
        now=harness.clock.now,
    )
    revoke_family(tx, context, delegation, family)
