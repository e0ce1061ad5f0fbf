"""Apps and their credentials: who is known, who is refused, and that no operation is open to an app by accident."""

from typing import Any, Final

import msgspec
import pytest

from herod.credentials.apps.dynamic_client_ids import (
    SHORT_CHARS,
    DynamicApp,
    dynamic_secret,
    seal_client_id,
)
from herod.credentials.keyring import Keyring
from herod.identity.apps.app_credentials import hash_app_secret
from herod.identity.apps.oauth_apps import UNNAMED, AppOrigin, OAuthApp, find_app
from herod.identity.credential_types import Basic, Presented, PublicClient
from herod.operations.operation_table import OPERATIONS
from herod.pipeline.operation_definition import Context, NoParams, query
from herod.records import App
from herod.scopes.decisions import Access
from herod.scopes.principal import Principal, PrincipalKind
from herod.store.store_interface import Store, Writer
from herod_client.core.errors import BadCredentials, CeilingExceeded
from herod_client.core.key_format import new_client_secret
from support.herod_in_memory import NOW, TCP, Harness

PUBLIC: Final = DynamicApp("Agent", ("http://localhost/callback",), ("authorization_code",), "none")
CONFIDENTIAL: Final = msgspec.structs.replace(PUBLIC, auth_method="client_secret_basic")


class Seen(msgspec.Struct):
    """Who called."""

    principal: Principal


@query("app.probe", needs=Access.AUTHENTICATED, takes_apps=True, example={})
def app_probe(store: Store, context: Context, params: NoParams) -> Seen:
    """Say who calls."""
    return Seen(context.principal)


async def _seen(harness: Harness, presented: Presented) -> Principal:
    answer: Any = await harness.pipeline.call(app_probe, NoParams(), presented, TCP)
    principal: Principal = answer.principal
    return principal


async def test_find_app(harness: Harness) -> None:
    """A dynamic client id is found as the app that registered, without anything in the store."""
    client_id = seal_client_id(harness.store.keyring, PUBLIC)
    assert find_app(harness.store, harness.runtime, client_id) == OAuthApp(
        id=client_id,
        name="Agent",
        origin=AppOrigin.DYNAMIC,
        redirect_uris=PUBLIC.redirect_uris,
        grants=PUBLIC.grants,
    )
    unnamed = seal_client_id(harness.store.keyring, msgspec.structs.replace(PUBLIC, name=""))
    app = find_app(harness.store, harness.runtime, unnamed)
    assert app is not None
    assert app.name == UNNAMED


@pytest.mark.parametrize("client_id", ["", "x", "herod_app_", seal_client_id(Keyring(bytes(32)), PUBLIC)])
async def test_unknown(harness: Harness, client_id: str) -> None:
    """Ids that herod did not make are nobody's, with and without a secret."""
    assert find_app(harness.store, harness.runtime, client_id) is None
    for presented in (PublicClient(client_id), Basic(client_id, "x"), Basic(client_id, "")):
        with pytest.raises(BadCredentials):
            await _seen(harness, presented)


async def test_public_app(harness: Harness) -> None:
    """A public app is known by its id alone, holds no scope, and is refused with a secret."""
    client_id = seal_client_id(harness.store.keyring, PUBLIC)
    for presented in (PublicClient(client_id), Basic(client_id, "")):
        principal = await _seen(harness, presented)
        assert (principal.id, principal.kind, principal.name) == (client_id, PrincipalKind.APP, "Agent")
        assert principal.widest.mask == 0
    for secret in ("x", dynamic_secret(harness.store.keyring, client_id)):
        with pytest.raises(BadCredentials, match="has no client secret"):
            await _seen(harness, Basic(client_id, secret))


async def test_confidential_app(harness: Harness) -> None:
    """A confidential app must send its own secret."""
    keyring = harness.store.keyring
    client_id, other = seal_client_id(keyring, CONFIDENTIAL), seal_client_id(keyring, CONFIDENTIAL)
    secret = dynamic_secret(keyring, client_id)
    assert (await _seen(harness, Basic(client_id, secret))).id == client_id
    for presented in (
        PublicClient(client_id),
        Basic(client_id, ""),
        Basic(client_id, dynamic_secret(keyring, other)),
        Basic(client_id, secret[:-1]),
        Basic(client_id, "\ud800"),
    ):
        with pytest.raises(BadCredentials):
            await _seen(harness, presented)


async def test_registered_app(harness: Harness) -> None:
    """An app that an admin registered is found and authenticated by its record, while it is enabled."""
    keyring = harness.store.keyring
    secret = new_client_secret()
    confidential = App(
        id="app-1", name="Grafana", created_at=NOW, creator="x", secret_hash=hash_app_secret(keyring, "app-1", secret)
    )
    public = App(id="app-2", name="CLI", created_at=NOW, creator="x", scope=("read",))
    off = msgspec.structs.replace(confidential, id="app-3", name="Off", enabled=False)

    def put(tx: Writer) -> None:
        for record in (confidential, public, off):
            tx.put(record)

    await harness.store.write(put)
    app = find_app(harness.store, harness.runtime, "app-2")
    assert app is not None
    assert (app.origin, app.is_public, app.scope) == (AppOrigin.REGISTERED, True, ("read",))
    assert (await _seen(harness, Basic("app-1", secret))).name == "Grafana"
    assert (await _seen(harness, PublicClient("app-2"))).name == "CLI"
    for presented in (
        Basic("app-1", new_client_secret()),
        Basic("app-1", ""),
        PublicClient("app-1"),
        Basic("app-2", secret),
        Basic("app-3", secret),
    ):
        with pytest.raises(BadCredentials):
            await _seen(harness, presented)


async def test_no_other_operation_takes_an_app(harness: Harness) -> None:
    """Every operation that needs a credential refuses an app's as unknown, whatever it needs; `/token` as its own."""
    keyring = harness.store.keyring
    client_id = seal_client_id(keyring, CONFIDENTIAL)
    basic = Basic(client_id, dynamic_secret(keyring, client_id))
    public = PublicClient(seal_client_id(keyring, PUBLIC))
    asked = [one for one in OPERATIONS.values() if one.needs is not Access.PUBLIC and not one.takes_apps]
    assert len(asked) > 50
    for operation in asked:
        params = msgspec.convert(dict(operation.example), operation.params)
        error, told = (
            (CeilingExceeded, "only for a person") if operation.form else (BadCredentials, "no access of its own")
        )
        for presented in (basic, public):
            with pytest.raises(error, match=told):
                await harness.pipeline.call(operation, params, presented, TCP)


async def test_the_audit_log_names_an_app_briefly(harness: Harness) -> None:
    """A refused app is in the audit log with the beginning of its id."""
    client_id = seal_client_id(harness.store.keyring, PUBLIC)
    with pytest.raises(BadCredentials):
        await harness.call("whoami", PublicClient(client_id))
    await harness.pipeline.flush(is_last=True)
    rows = (await harness.admin("audit.list")).items
    assert [row.actor for row in rows if row.operation == "whoami"] == [client_id[:SHORT_CHARS]]
