"""An app's token makes nothing that lasts: by the table, on every protocol and whatever its scope."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlencode

import pytest

from herod.identity.apps.registered_apps import HEROD_CLI
from herod.identity.credential_types import Bearer
from herod.operations.operation_table import OPERATIONS
from herod.pipeline.admission import APP_TOKEN
from herod.pipeline.operation_definition import Operation, Surface
from herod.records import Delegation, Record, Revocation
from herod.scopes.decisions import Access
from herod_client.core.errors import CeilingExceeded, HerodError, RevokedToken, TargetDenied
from support.connected_apps import app_token, connect_app
from support.herod_in_memory import Answer, Harness, User, bearer

# Every command that an app's token may call: a new one that makes nothing that lasts must be added here by hand.
MAY: Final = {"token.revoke", "resources.claim", "resources.update", "resources.release"}
REFUSED: Final = sorted(
    name for name, one in OPERATIONS.items() if one.is_command and one.needs is not Access.PUBLIC and name not in MAY
)


class Scene:
    """An owner's account, an app that was granted all it can be, and the app's token."""

    def __init__(self, harness: Harness, user: User, delegation: Delegation, token: Bearer) -> None:
        self.harness = harness
        self.user = user
        self.delegation = delegation
        self.token = token
        self.headers = bearer(token.text)

    def records(self) -> dict[tuple[str, str], Record]:
        """Everything in the store."""
        state = self.harness.store.state
        return {(kind, id_): record for kind, of in state.records.items() for id_, record in of.items()}

    def params(self, operation: Operation) -> dict[str, Any]:
        """Parameters that would work: the example's, about what exists where that matters."""
        return dict(operation.example)


@pytest.fixture
async def scene(harness: Harness) -> Scene:
    """A herod with an app that acts for an owner."""
    await harness.service_key("admin", "spare")
    user = await harness.user(scope="owner", email="ada@example.org")
    delegation = await connect_app(harness, user, "admin")
    return Scene(harness, user, delegation, app_token(harness, delegation))


def test_who_makes_something_says_so() -> None:
    """What gives a record, or issues a credential, is marked as about credentials."""
    for name, one in OPERATIONS.items():
        assert one.credential or not (one.issues or isinstance(one.gives, type)), name
        assert one.is_command or not one.credential, name
    assert {name for name, one in OPERATIONS.items() if one.apps_may} == {"token.revoke"}


@pytest.mark.parametrize("name", REFUSED)
async def test_in_the_pipeline(scene: Scene, name: str) -> None:
    """Each such command is refused before anything else, and changes nothing."""
    before = scene.records()
    with pytest.raises(CeilingExceeded) as refused:
        await scene.harness.call(name, scene.token, **scene.params(OPERATIONS[name]))
    assert refused.value.reason == APP_TOKEN
    assert "give it an API key" in refused.value.message
    assert scene.records() == before


@pytest.mark.parametrize("name", REFUSED)
async def test_the_command_is_an_app_too(scene: Scene, name: str) -> None:
    """So is the `herod` command, since any program can say that it is that; the refusal says what to do."""
    delegation = await connect_app(scene.harness, scene.user, "admin", app=HEROD_CLI, app_origin="registered")
    before = scene.records()
    with pytest.raises(CeilingExceeded) as refused:
        await scene.harness.call(name, app_token(scene.harness, delegation), **scene.params(OPERATIONS[name]))
    assert (refused.value.reason, refused.value.hint) == (APP_TOKEN, "herod login --email ADDRESS")
    assert scene.records() == before


def requests_of(operation: Operation) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each route of an operation with its example: method, path and the rest."""
    for route in operation.routes:
        fields, path = dict(operation.example), route.path
        for name in [part[1:-1] for part in path.split("/") if part.startswith("{")]:
            path = path.replace(f"{{{name}}}", str(fields.pop(name)))
        yield route.method, path, fields


async def ask(scene: Scene, operation: Operation, method: str, path: str, fields: Mapping[str, Any]) -> Answer:
    """One request by REST or a form."""
    if operation.form:
        return await scene.harness.request(method, path, form=urlencode(fields), headers=scene.headers)
    if method in {"GET", "DELETE"}:
        return await scene.harness.request(method, f"{path}?{urlencode(fields)}", headers=scene.headers)
    return await scene.harness.request(method, path, json=dict(fields), headers=scene.headers)


@pytest.mark.parametrize("name", REFUSED)
async def test_by_rest_and_forms(scene: Scene, name: str) -> None:
    """Each route answers 403, or RFC 6749's 400 on its own routes, and says what to do instead."""
    operation, before = OPERATIONS[name], scene.records()
    for method, path, fields in requests_of(operation):
        answer = await ask(scene, operation, method, path, fields)
        assert answer.status == (400 if operation.form else 403), path
        text = answer.json["error_description"] if operation.form else answer.json["error"]["message"]
        assert "API key" in text
    assert scene.records() == before


@pytest.mark.parametrize("name", REFUSED)
async def test_by_json_rpc(scene: Scene, name: str) -> None:
    """Each method is refused, in a batch too, and if the token is among the parameters."""
    operation, before = OPERATIONS[name], scene.records()
    if Surface.RPC not in operation.surfaces:
        return
    call = {"jsonrpc": "2.0", "id": 1, "method": name, "params": scene.params(operation)}
    batch = await scene.harness.request("POST", "/rpc", json=[call, call], headers=scene.headers)
    answers = [*batch.json]
    if operation.credential_field is not None:
        params = {**scene.params(operation), operation.credential_field: scene.token.text}
        answers.append(await scene.harness.rpc(name, params))
    for answer in answers:
        assert answer["error"]["code"] == 4003
        assert "API key" in answer["error"]["message"]
    assert scene.records() == before


@pytest.mark.parametrize("name", [name for name in REFUSED if OPERATIONS[name].tool is not None])
async def test_by_mcp(scene: Scene, name: str) -> None:
    """Each tool is refused with a result that the agent can read, and is not listed for it."""
    tool, before = OPERATIONS[name].tool, scene.records()
    assert tool is not None

    async def mcp(method: str, params: Mapping[str, Any]) -> Any:
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return (await scene.harness.request("POST", "/mcp", json=message, headers=scene.headers)).json["result"]

    result = await mcp("tools/call", {"name": tool.name, "arguments": dict(OPERATIONS[name].example)})
    assert result["isError"]
    said = json.loads(result["content"][0]["text"])
    assert said["code"] == "ceiling_exceeded"
    assert "API key" in said["message"]
    listed = {one["name"] for one in (await mcp("tools/list", {}))["tools"]}
    assert tool.name not in listed
    assert {"whoami", "list_users", "revoke_token"} <= listed
    assert scene.records() == before


async def test_at_the_pages(scene: Scene) -> None:
    """No session is opened with it, and none can be asked for by a code."""
    for name in ("session.create", "session.code"):
        with pytest.raises(HerodError):
            await scene.harness.call(name, scene.token)


async def test_it_is_explained(scene: Scene) -> None:
    """`access.explain` gives the same reason."""
    explained = await scene.harness.call("access.explain", scene.token, operation="keys.create")
    assert (explained.allowed, explained.reason) == (False, APP_TOKEN)
    assert (await scene.harness.call("access.explain", scene.token, operation="users.list")).allowed


async def test_its_own_token_can_be_revoked(scene: Scene) -> None:
    """An app may end its own token, and neither its account's nor another app's, though its scope is admin."""
    harness = scene.harness
    other = app_token(harness, await connect_app(harness, scene.user, app="another app"))
    for foreign in (other.text, await scene.user.token(), await (await harness.user()).token()):
        with pytest.raises(TargetDenied):
            await harness.call("token.revoke", scene.token, token=foreign)
    assert harness.store.count(Revocation) == 0
    answer = await harness.request("POST", "/revoke", form=f"token={scene.token.text}", headers=scene.headers)
    assert answer.status == 200
    with pytest.raises(RevokedToken):
        await harness.call("whoami", scene.token)
    (revocation,) = harness.store.scan(Revocation)
    assert revocation.owner_id == scene.delegation.id


async def test_the_account_revokes_an_apps_token(scene: Scene) -> None:
    """The person behind it can revoke a single token of an app as well."""
    await scene.harness.call("token.revoke", scene.user.basic, token=scene.token.text)
    with pytest.raises(RevokedToken):
        await scene.harness.call("whoami", scene.token)
