"""Registering apps: what they are given, what is shown, how they change, and how they end."""

from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import pytest

from herod.credentials.apps.dynamic_client_ids import DynamicApp, seal_client_id
from herod.identity.apps.app_credentials import app_with_secret
from herod.identity.apps.grant_types import DEVICE_CODE
from herod.identity.apps.oauth_apps import find_app
from herod.identity.apps.registered_apps import HEROD_CLI
from herod.identity.credential_types import Basic, Bearer, PublicClient
from herod.pipeline.operation_definition import Context, NoParams, query
from herod.records import App
from herod.scopes.decisions import Access
from herod.store.store_interface import Store
from herod_client.core.errors import BadCredentials, CeilingExceeded, Conflict, InvalidRequest, NotFound, TargetDenied
from herod_client.core.key_format import has_checksum
from support.connected_apps import app_token, connect_app
from support.herod_in_memory import NOW, TCP, Harness


@query("app.probe", needs=Access.AUTHENTICATED, takes_apps=True, example={})
def app_probe(store: Store, context: Context, params: NoParams) -> None:
    """Something that apps may call."""


CALLBACK: Final = "https://grafana.example.org/login/generic_oauth"


async def add(harness: Harness, name: str = "Grafana", **given: Any) -> Any:
    """Register an app, as the local admin."""
    return await harness.admin("apps.add", **{"name": name, "redirect_uris": [CALLBACK], **given})


async def test_add(harness: Harness) -> None:
    """A confidential app gets a secret with a checksum, and the careful defaults."""
    added = await add(harness)
    assert has_checksum(added.client_secret)
    assert (added.name, added.type, added.redirect_uris, added.scope) == ("Grafana", "confidential", [CALLBACK], "read")
    assert (added.networks, added.grants) == (["*"], ["authorization_code", "refresh_token"])
    assert (added.pkce, added.id_token_algorithm, added.remember_consent) == ("required", "RS256", True)
    assert (added.admit_unconfirmed, added.send_unconfirmed_email, added.enabled) == (False, False, True)
    assert app_with_secret(harness.store, harness.runtime, added.client_id, added.client_secret) is not None


async def test_the_secret_is_shown_once(harness: Harness) -> None:
    """Neither the app's details nor the store have it."""
    added = await add(harness)
    shown = await harness.admin("apps.get", client_id=added.client_id)
    assert "client_secret" not in type(shown).__struct_fields__
    record = harness.store.get(App, added.client_id)
    assert added.client_secret.encode() not in msgspec.msgpack.encode(record)


async def test_a_public_app_has_no_secret(harness: Harness) -> None:
    """It cannot keep one, and none is made later."""
    added = await add(harness, type="public")
    assert added.client_secret is None
    with pytest.raises(Conflict, match="has no secret"):
        await harness.admin("apps.rotate_secret", client_id=added.client_id)


async def test_found_by_name(harness: Harness) -> None:
    """An app is found by its client_id and by its name, whatever its case; nothing else is found."""
    added = await add(harness)
    by_id = await harness.admin("apps.get", client_id=added.client_id)
    assert by_id == await harness.admin("apps.get", client_id="grafana")
    for missing in ("Gitea", "", "\x00", "x" * 2000):
        with pytest.raises(NotFound):
            await harness.admin("apps.get", client_id=missing)


@pytest.mark.parametrize("name", ["GRAFANA", " grafana ", "herod-cli", "Herod-CLI"])
async def test_no_two_apps_have_one_name(harness: Harness, name: str) -> None:
    """Whatever its case, and not that of an app that is built in; nor can a name be taken by a change."""
    await add(harness)
    with pytest.raises(Conflict, match="exists already"):
        await add(harness, name)
    other = await add(harness, "Gitea")
    with pytest.raises(Conflict, match="exists already"):
        await harness.admin("apps.update", client_id=other.client_id, name=name)
    again = await harness.admin("apps.update", client_id=other.client_id, name="gitea")
    assert again.name == "gitea"


@pytest.mark.parametrize("name", ["herod", "", " ", "a" * 129, "a\u202eb", "\u3164"])
async def test_names_that_mislead_are_refused(harness: Harness, name: str) -> None:
    """A name is what people see when they are asked: none is herod's, invisible or reversed."""
    with pytest.raises(InvalidRequest):
        await add(harness, name)


async def test_list(harness: Harness) -> None:
    """Built-in apps come first, then the others, oldest first; pages of any size have each of them once."""
    made = [HEROD_CLI]
    for number in range(4):
        harness.clock.now += 1
        made.append((await add(harness, f"app {number}")).client_id)
    for limit in (1, 2, 3, 5, 200):
        found, cursor = [], None
        while True:
            page = await harness.admin("apps.list", limit=limit, cursor=cursor)
            assert len(page.items) <= limit
            found += [one.client_id for one in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert found == made


async def test_what_is_built_in_stays(harness: Harness) -> None:
    """The command's own app is shown as built in, and is neither changed nor deleted."""
    shown = await harness.admin("apps.get", client_id=HEROD_CLI)
    assert (shown.built_in, shown.type, shown.creator, shown.created_at) == (True, "public", None, None)
    for name, given in (
        ("apps.update", {"name": "mine"}), ("apps.delete", {}), ("apps.disable", {}), ("apps.enable", {}),
        ("apps.rotate_secret", {}),
    ):  # fmt: skip
        with pytest.raises(Conflict, match="built in"):
            await harness.admin(name, client_id="HEROD-CLI", **given)


async def test_update(harness: Harness) -> None:
    """Omitted fields stay unchanged, lists are replaced."""
    added = await add(harness)
    changes = {
        "name": "Grafana of the lab", "redirect_uris": ["http://127.0.0.1:9000/cb", CALLBACK], "scope": "write",
        "networks": ["lab"], "grants": ["authorization_code", DEVICE_CODE], "pkce": "optional",
        "id_token_algorithm": "EdDSA", "post_logout_uris": ["https://grafana.example.org/"],
        "remember_consent": False, "admit_unconfirmed": True, "send_unconfirmed_email": True,
        "expand_scope": True,
    }  # fmt: skip
    for field, value in changes.items():
        before = msgspec.structs.asdict(await harness.admin("apps.get", client_id=added.client_id))
        changed = msgspec.structs.asdict(
            await harness.admin("apps.update", client_id=added.client_id, **{field: value})
        )
        assert changed == {**before, field: value}
    assert app_with_secret(harness.store, harness.runtime, added.client_id, added.client_secret) is not None


async def test_rotate(harness: Harness) -> None:
    """The new secret works at once, and the old one no longer."""
    added = await add(harness)
    rotated = await harness.admin("apps.rotate_secret", client_id="Grafana")
    assert rotated.client_id == added.client_id
    assert app_with_secret(harness.store, harness.runtime, added.client_id, rotated.client_secret) is not None
    with pytest.raises(BadCredentials):
        app_with_secret(harness.store, harness.runtime, added.client_id, added.client_secret)


async def test_disable_enable_delete(harness: Harness) -> None:
    """A disabled app is unknown to clients until it is enabled again; a deleted one for good, and so is its id."""
    added = await add(harness)
    ref = {"client_id": added.client_id}
    assert not (await harness.admin("apps.disable", **ref)).enabled
    assert find_app(harness.store, harness.runtime, added.client_id) is None
    assert "is disabled" in (await harness.admin("apps.rotate_secret", **ref)).warning
    assert (await harness.admin("apps.enable", **ref)).enabled
    assert find_app(harness.store, harness.runtime, added.client_id) is not None
    assert (await harness.admin("apps.delete", **ref)).deleted
    assert find_app(harness.store, harness.runtime, added.client_id) is None
    assert (await add(harness)).client_id != added.client_id
    with pytest.raises(NotFound):
        await harness.admin("apps.get", **ref)


@pytest.mark.parametrize("name", ["apps.disable", "apps.delete"])
async def test_tokens_end_with_their_app(harness: Harness, name: str) -> None:
    """What a person gave an app is refused as soon as an admin ends the app."""
    added, user = await add(harness), await harness.user()
    given = await connect_app(harness, user, app=added.client_id, app_origin="registered")
    token = app_token(harness, given)
    assert (await harness.call("whoami", token)).scope == "read"
    await harness.admin(name, client_id=added.client_id)
    with pytest.raises(Exception, match="disabled or deleted"):
        await harness.call("whoami", token)


async def test_nobody_makes_an_app_that_may_have_more(harness: Harness) -> None:
    """An admin of one network registers apps for that network, and none with more; it cannot change those of others."""
    wide = await add(harness, "wide")
    admin = await (await harness.user("admin", ["lab"])).bearer()
    given = {"name": "narrow", "redirect_uris": [CALLBACK]}
    with pytest.raises(CeilingExceeded):
        await harness.call("apps.add", admin, **given, networks=["*"])
    made = await harness.call("apps.add", admin, **given, scope="admin")
    assert (made.networks, made.scope) == (["lab"], "admin")
    with pytest.raises(CeilingExceeded):
        await harness.call("apps.update", admin, client_id=made.client_id, networks=["lab", "dmz"])
    for name, changes in (("apps.update", {"redirect_uris": ["https://eve.example.org/"]}), ("apps.rotate_secret", {})):
        with pytest.raises(TargetDenied):
            await harness.call(name, admin, client_id=wide.client_id, **changes)


async def test_an_app_never_gets_owner(harness: Harness) -> None:
    """Not even from who holds it."""
    owner = Bearer(await (await harness.user("owner")).token())
    with pytest.raises(InvalidRequest, match="'owner'"):
        await harness.call("apps.add", owner, name="all", redirect_uris=[CALLBACK], scope="owner")
    added = await add(harness)
    with pytest.raises(InvalidRequest, match="'owner'"):
        await harness.call("apps.update", owner, client_id=added.client_id, scope="owner read")


async def test_last_use(harness: Harness) -> None:
    """When an app authenticated last is shown; apps that registered themselves leave no such trace in the store."""
    added = await add(harness)
    assert (await harness.admin("apps.get", client_id=added.client_id)).last_used_at is None
    dynamic = seal_client_id(harness.store.keyring, DynamicApp("Agent", (CALLBACK,), ("authorization_code",), "none"))
    for presented in (Basic(added.client_id, added.client_secret), PublicClient(HEROD_CLI), PublicClient(dynamic)):
        await harness.pipeline.call(app_probe, NoParams(), presented, TCP)
    await harness.store.flush_usage()
    for used in (added.client_id, HEROD_CLI):
        shown = await harness.admin("apps.get", client_id=used)
        assert shown.last_used_at == datetime.fromtimestamp(NOW, UTC)
    assert harness.store.usage(dynamic) is None
    assert harness.store.usage(dynamic[:26]) is None
