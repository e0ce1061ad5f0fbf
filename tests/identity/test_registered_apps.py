"""Apps that an admin registered: how they authenticate, and that what people gave them ends and shrinks with them."""

import dataclasses
from typing import Any, Final

import msgspec
import pytest

from herod.identity.apps.app_credentials import app_with_secret, hash_app_secret, public_app
from herod.identity.apps.grant_types import DEVICE_CODE
from herod.identity.apps.oauth_apps import AppOrigin, OAuthApp, find_app
from herod.identity.apps.registered_apps import HEROD_CLI
from herod.records import App
from herod.scopes.principal import PrincipalKind
from herod_client.core.errors import BadCredentials, RevokedToken
from herod_client.core.key_format import new_client_secret
from herod_client.core.scope_graph import ScopeGraph
from store.samples import app
from support.connected_apps import app_token, connect_app
from support.herod_in_memory import Harness

SECRET: Final = new_client_secret()


async def put(harness: Harness, record: App) -> App:
    """Keep an app."""
    await harness.store.write(lambda tx: tx.put(record))
    return record


async def confidential(harness: Harness, **changes: Any) -> App:
    """An app with the secret above."""
    return await put(harness, app(secret_hash=hash_app_secret(harness.runtime.keyring, "app1", SECRET), **changes))


async def test_find_app(harness: Harness) -> None:
    """A registered app is found with everything that its admin decided."""
    record = await confidential(
        harness,
        post_logout_uris=("https://app.example.org/",),
        scope=("write",),
        networks=("lab",),
        needs_pkce=False,
        id_token_algorithm="ES256",
        remembers_consent=False,
        admits_unconfirmed=True,
        sends_unconfirmed_email=True,
        expands_scope=True,
    )
    assert find_app(harness.store, harness.runtime, "app1") == OAuthApp(
        id="app1",
        name=record.name,
        origin=AppOrigin.REGISTERED,
        redirect_uris=record.redirect_uris,
        auth_method="client_secret_basic",
        scope=("write",),
        networks=("lab",),
        needs_pkce=False,
        post_logout_uris=record.post_logout_uris,
        id_token_algorithm="ES256",
        remembers_consent=False,
        admits_unconfirmed=True,
        sends_unconfirmed_email=True,
        expands_scope=True,
    )


async def test_defaults(harness: Harness) -> None:
    """By default an app needs PKCE, remembers consent, and takes neither accounts nor emails that nobody confirmed."""
    await put(harness, app())
    found = find_app(harness.store, harness.runtime, "app1")
    assert found is not None
    assert (found.needs_pkce, found.remembers_consent, found.is_public) == (True, True, True)
    assert (found.admits_unconfirmed, found.sends_unconfirmed_email) == (False, False)


async def test_disabled_apps_are_not_found(harness: Harness) -> None:
    """Nor is one that was disabled while the store could not be written."""
    record = await put(harness, app(enabled=False))
    assert find_app(harness.store, harness.runtime, "app1") is None
    await put(harness, msgspec.structs.replace(record, enabled=True))
    harness.runtime.switch_off("app1")
    assert find_app(harness.store, harness.runtime, "app1") is None


async def test_a_confidential_app_has_its_secret(harness: Harness) -> None:
    """It authenticates with its own secret and with nothing else."""
    await confidential(harness)
    found = app_with_secret(harness.store, harness.runtime, "app1", SECRET)
    assert found is not None
    assert (found.id, found.credential, found.kind) == ("app1", "app1", PrincipalKind.APP)
    for secret in (new_client_secret(), SECRET[:-1], "", "\ud800"):
        with pytest.raises(BadCredentials):
            app_with_secret(harness.store, harness.runtime, "app1", secret)
    with pytest.raises(BadCredentials):
        public_app(harness.store, harness.runtime, "app1")


async def test_a_public_app_has_none(harness: Harness) -> None:
    """It is known by its client_id, and a secret is refused: it would prove nothing."""
    await put(harness, app())
    assert public_app(harness.store, harness.runtime, "app1").id == "app1"
    with pytest.raises(BadCredentials):
        app_with_secret(harness.store, harness.runtime, "app1", SECRET)


async def test_herod_cli(harness: Harness) -> None:
    """The command is a public app that is always there, for people at a browser and at a terminal without one."""
    found = find_app(harness.store, harness.runtime, HEROD_CLI)
    assert found is not None
    assert (found.name, found.is_public, found.needs_pkce, found.remembers_consent) == ("herod-cli", True, True, False)
    assert found.redirect_uris == ("http://127.0.0.1/callback", "http://localhost/callback")
    assert DEVICE_CODE in found.grants
    assert found.scope == ("admin",)


@pytest.mark.parametrize(
    ("added", "most"),
    [
        ({"jobs:run": ("user",)}, ("admin",)),
        ({"root": ("admin",)}, ("root",)),  # under owner
        ({"all": ("owner",)}, ("admin",)),  # above owner
    ],
)
async def test_herod_cli_gets_all_but_owner(
    harness: Harness, added: dict[str, tuple[str, ...]], most: tuple[str, ...]
) -> None:
    """Whatever scopes the settings add, the command may be given each that is below `owner`."""
    harness.runtime.config = dataclasses.replace(harness.runtime.config, graph=ScopeGraph(added))
    found = find_app(harness.store, harness.runtime, HEROD_CLI)
    assert found is not None
    assert found.scope == most


async def test_what_was_given_shrinks_with_the_app(harness: Harness) -> None:
    """A token is worth no more than its app may be given now."""
    record = await put(harness, app(scope=("write",)))
    user = await harness.user("write", ["lab", "dmz"])
    token = app_token(harness, await connect_app(harness, user, "write", app="app1", app_origin="registered"))
    assert (await harness.call("whoami", token)).scope == "write"
    await put(harness, msgspec.structs.replace(record, scope=("read",), networks=("lab",)))
    who = await harness.call("whoami", token)
    assert (who.scope, who.networks) == ("read", ["lab"])


@pytest.mark.parametrize("how", ["disabled", "deleted", "switched off"])
async def test_what_was_given_ends_with_the_app(harness: Harness, how: str) -> None:
    """Tokens of an app that was disabled or deleted are refused."""
    record = await put(harness, app())
    token = app_token(harness, await connect_app(harness, await harness.user(), app="app1", app_origin="registered"))
    assert (await harness.call("whoami", token)).scope == "read"
    if how == "disabled":
        await put(harness, msgspec.structs.replace(record, enabled=False))
    elif how == "deleted":
        await harness.store.write(lambda tx: tx.delete(App, "app1"))
    else:
        harness.runtime.switch_off("app1")
    with pytest.raises(RevokedToken, match="disabled or deleted"):
        await harness.call("whoami", token)
