"""Scopes have herod's own names in every claim and answer, whatever names older systems gave them."""

import msgspec
import pytest

from herod.records import Account, ApiKey, PeerRule
from herod.store.store_interface import Writer
from herod_client.core.access_tokens import Claims
from herod_client.core.scope_graph import ALIASES
from support.herod_in_memory import LEGACY, NOW, PASSWORD, TCP, Harness, bearer

NAMES = pytest.mark.parametrize(("written", "name"), [*ALIASES.items(), ("read", "read")])


def claims_of(harness: Harness, token: str) -> Claims:
    """What is signed."""
    return harness.runtime.claims(token, NOW)


@NAMES
async def test_tokens(harness: Harness, written: str, name: str) -> None:
    """The answer, the claim and what herod says of the token later have the one name."""
    user = await harness.user("admin", email="ada@example.org", password=PASSWORD)
    form = f"grant_type=client_credentials&scope={written}+{written}"
    made = (await harness.request("POST", "/token", form=form, headers=user.basic_header)).json
    token = made["access_token"]
    assert (made["scope"], claims_of(harness, token).scope) == (name, name)
    by_rpc = await harness.rpc("token.create", {"scope": written}, headers=user.basic_header)
    assert by_rpc["result"]["scope"] == name
    validated = await harness.request("POST", "/validate", json={"token": token, "scope": written})
    assert (validated.json["valid"], validated.json["scope"]) == (True, name)
    introspected = await harness.request("POST", "/introspect", form=f"token={token}", headers=bearer(token))
    assert introspected.json["scope"] == name
    assert (await harness.request("GET", "/api/v1/whoami", headers=bearer(token))).json["data"]["scope"] == name


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("viewer read", "read"),
        ("read viewer member", "read write"),
        ("write read", "write read"),
        ("User Registrar user", "user registrar"),
        ("  member   member ", "write"),
    ],
)
async def test_several_names(harness: Harness, asked: str, answered: str) -> None:
    """Each name stands once, in the order of the request: OAuth clients compare what they asked for."""
    user = await harness.user("admin")
    made = await harness.call("token.create", user.basic, scope=asked)
    assert (made.scope, claims_of(harness, made.access_token).scope) == (answered, answered)


@NAMES
async def test_accounts_keys_and_rules(harness: Harness, written: str, name: str) -> None:
    """What is made with an alias is kept, answered and listed with the name."""
    added = await harness.admin("users.add", email="eve@example.org", password=PASSWORD, scope=written)
    assert added.scope == name
    login = await harness.request("POST", "/login", json={"email": "eve@example.org", "password": PASSWORD})
    assert (login.json["scope"], claims_of(harness, login.json["access_token"]).scope) == (name, name)
    assert (await harness.admin("users.scope", client_id=added.client_id, scope=written)).scope == name
    key = await harness.admin("keys.create", name="k", kind="service", scope=written)
    assert key.scope == name
    assert (await harness.admin("keys.update", id=key.id, scope=written)).scope == name
    assert (await harness.admin("peers.allow", uid=4321, scope=written)).scope == name
    made = await harness.rpc("auth.create_key", {"admin_key": LEGACY["admin"], "name": "s", "scope": written})
    assert made["result"]["scope"] == name
    said = await harness.rpc("auth.verify", {"key": made["result"]["key"]})
    assert said["result"] == {"valid": True, "name": "s", "scope": name}
    listed = await harness.rpc("auth.list_keys", {"admin_key": LEGACY["admin"]})
    assert {one["scope"] for one in listed["result"]} == {name}


async def test_what_is_stored_with_an_alias(harness: Harness) -> None:
    """Records that have an alias already are answered with the name."""
    user, key = await harness.user("read"), await harness.admin("keys.create", name="k", kind="service", scope="read")
    rule = await harness.admin("peers.allow", uid=4321, scope="read")

    def rename(tx: Writer) -> None:
        for kind, id_ in ((Account, user.client_id), (ApiKey, key.id), (PeerRule, rule.id)):
            record = tx.get(kind, id_)
            assert record is not None
            tx.put(msgspec.structs.replace(record, scope=("viewer", "read", "Admin", "jobs:gone")))

    await harness.store.write(rename)
    wanted = "read admin jobs:gone"
    assert (await harness.admin("users.get", client_id=user.client_id)).scope == wanted
    assert (await harness.admin("keys.get", id=key.id)).scope == wanted
    assert [one.scope for one in (await harness.admin("peers.list")).items] == [wanted]
    assert [one.scope for one in await harness.admin("auth.list_keys")] == [wanted]
    assert (await harness.call("whoami", user.basic)).scope == "admin"


@NAMES
async def test_refusals(harness: Harness, written: str, name: str) -> None:
    """What is missing has the name, in explanations, challenges and errors."""
    rule = await harness.admin("peers.allow", uid=4321, scope="registrar" if name != "registrar" else "read")
    explained = await harness.admin("access.explain", principal=rule.id, scope=written)
    assert (explained.allowed, explained.missing) == (False, name)


async def test_unknown_capitals(harness: Harness) -> None:
    """Only the names of older systems may be written in capitals: scopes are case-sensitive (RFC 6749, section 3.3)."""
    user = await harness.user("admin")
    for written in ("READ", "Read", "Owner", "ADMIN", "Viewer"):
        form = f"grant_type=client_credentials&scope={written}"
        answer = await harness.request("POST", "/token", form=form, headers=user.basic_header, source=TCP)
        assert (answer.status, answer.json["error"]) == (400, "invalid_scope")
