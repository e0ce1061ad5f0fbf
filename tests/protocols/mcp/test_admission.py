"""Authentication at `/mcp`, and the tools that each credential lists and may call."""

from typing import Any

import pytest

from herod.scopes.principal import Peer, Source
from support.connected_apps import app_token, connect_app
from support.herod_in_memory import ADMIN_SOURCE, COOKIE, LEGACY, PUBLIC_URL, Harness
from support.mcp_agent import INITIALIZE, METADATA, NEW, OLD, TOOLS, ask, send


@pytest.mark.parametrize(
    "message",
    [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": INITIALIZE},
        {"jsonrpc": "2.0", "id": 1, "method": "tools/list"},
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "health"}},
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "nothing"}},
        {"jsonrpc": "2.0", "id": 1, "method": "nothing"},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        b"no json",
    ],
)
async def test_nobody_comes_in_without_a_credential(harness: Harness, message: Any) -> None:
    """Without a credential every message gets a 401 with the metadata URL, for public operations too."""
    answer = await send(harness, message)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == f'Bearer realm="herod", {METADATA}, scope="read"'
    assert answer.json["error"]["data"]["code"] == "bad_credentials"


@pytest.mark.parametrize("name", ["whoami", "health", "nothing", "get_user"])
async def test_nobody_comes_in_with_a_bad_one(harness: Harness, name: str) -> None:
    """An invalid credential gets a 401, whatever the tool and its arguments."""
    answer = await ask(harness, "tools/call", {"name": name, "arguments": {"x": 1}}, "wrong")
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == (
        f'Bearer realm="herod", error="invalid_token", {METADATA}, scope="read"'
    )
    assert answer.json["id"] == 1


@pytest.mark.parametrize("revision", [NEW, OLD])
async def test_a_token_for_no_resource(harness: Harness, revision: str) -> None:
    """A token that is not for `/mcp` is refused with how to ask for one that is; keys are accepted as before."""
    user = await harness.user("read")
    answer = await ask(harness, "tools/call", {"name": "whoami"}, await user.token(), revision=revision)
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith(f'Bearer realm="herod", error="invalid_token", {METADATA}')
    error = answer.json["error"]
    assert f"resource={PUBLIC_URL}/mcp" in error["message"]
    assert "an API key" in error["message"]
    assert error["data"]["hint"] == f"herod token issue --resource {PUBLIC_URL}/mcp"
    for key in (
        await user.token(resource=f"{PUBLIC_URL}/mcp"),
        await user.token(resource=PUBLIC_URL),
        app_token(harness, await connect_app(harness, user)).text,
        await user.key(),
        await harness.service_key("read"),
        LEGACY["admin"],
    ):
        assert (await ask(harness, "tools/call", {"name": "whoami"}, key, revision=revision)).status == 200
    await harness.pipeline.flush(is_last=True)
    assert "audience" in {row.event.reason for row in harness.store.audit_rows()}


async def test_two_credentials(harness: Harness) -> None:
    """Two different credentials are a 400, as in the other protocols."""
    answer = await ask(harness, "tools/list", None, "one", x_api_key="two")
    assert (answer.status, answer.json["error"]["data"]["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("cookie", [COOKIE, "guess", ""])
@pytest.mark.parametrize("uid", [0, ADMIN_SOURCE.peer.uid if ADMIN_SOURCE.peer else -1])
async def test_never_the_local_admin(harness: Harness, cookie: str, uid: int) -> None:
    """Neither root nor the daemon's own uid is local admin at `/mcp`, even with the cookie: agents run there too."""
    source = Source(peer=Peer(uid=uid, gid=uid), cookie=COOKIE)
    for method, params in (("tools/list", {}), ("tools/call", {"name": "whoami"}), ("initialize", INITIALIZE)):
        answer = await ask(harness, method, params, source=source, authorization=f"Peer {cookie}".strip())
        assert answer.status == 401
        assert answer.headers["www-authenticate"].startswith(f'Bearer realm="herod", {METADATA}')


async def test_a_peer_with_a_rule(harness: Harness) -> None:
    """A peer with a rule gets the rule's grant and no more, even if it also sends the cookie."""
    await harness.admin("peers.allow", uid=0, scope="read")
    source = Source(peer=Peer(uid=0, gid=0), cookie=COOKIE)
    answer = await ask(harness, "tools/call", {"name": "whoami"}, source=source, authorization=f"Peer {COOKIE}")
    who = answer.json["result"]["structuredContent"]
    assert (who["method"], who["scope"]) == ("peer", "read")


async def test_wrong_legacy_secrets_are_counted(harness: Harness) -> None:
    """Wrong legacy secrets are counted as in the other protocols, up to a 429 with Retry-After."""
    for _ in range(10):
        assert (await ask(harness, "tools/list", None, x_herod_secret="wrong")).status == 401
    answer = await ask(harness, "tools/list", None, x_herod_secret=LEGACY["admin"])
    assert answer.status == 429
    assert int(answer.headers["retry-after"]) > 0


async def names(harness: Harness, key: str, revision: str = OLD) -> list[str]:
    """The tools that a key lists."""
    answer = await ask(harness, "tools/list", None, key, revision=revision)
    return [tool["name"] for tool in answer.json["result"]["tools"]]


@pytest.mark.parametrize("revision", [NEW, OLD])
async def test_the_list_is_what_the_credential_admits(harness: Harness, revision: str) -> None:
    """An admin lists all tools, others those they may call, always in the same order."""
    everything = await names(harness, await harness.service_key("admin"), revision)
    assert everything == list(TOOLS)
    reader = await names(harness, await (await harness.user("read")).token(resource=PUBLIC_URL), revision)
    assert reader == [name for name in everything if name in reader]
    assert {"whoami", "health", "create_key", "list_keys", "explain"} <= set(reader)
    assert not {"list_users", "add_user", "delete_user"} & set(reader)
    nothing = await names(harness, await harness.service_key("registrar", "low"), revision)
    assert "list_keys" not in nothing
    assert "whoami" in nothing


async def test_a_key_is_not_shown_what_keys_may_not_do(harness: Harness) -> None:
    """A user key does not list `create_key`, because user keys cannot create keys."""
    user = await harness.user("write")
    assert "create_key" not in await names(harness, await user.key())


async def test_what_is_listed_can_be_called_and_nothing_else(harness: Harness) -> None:
    """For each kind of credential, the listed tools are exactly those that can be called."""
    user = await harness.user("read")
    for key in (await harness.service_key("registrar"), await user.token(resource=PUBLIC_URL), await user.key()):
        shown = await names(harness, key)
        for name, tool in TOOLS.items():
            arguments = dict(tool.operation.example)
            answer = await ask(harness, "tools/call", {"name": name, "arguments": arguments}, key)
            refused = answer.status == 403 or (
                "ceiling_exceeded" in answer.response.body.decode() and answer.json["result"]["isError"]
            )
            assert refused == (name not in shown), name


@pytest.mark.parametrize("revision", [NEW, OLD])
async def test_a_scope_too_low(harness: Harness, revision: str) -> None:
    """A missing scope is a 403 that names it, in the header for programs and in the message for agents."""
    key = await harness.service_key("read")
    answer = await ask(harness, "tools/call", {"name": "list_users"}, key, revision=revision)
    assert answer.status == 403
    assert answer.headers["www-authenticate"] == f'Bearer error="insufficient_scope", scope="admin", {METADATA}'
    error = answer.json["error"]
    assert error["code"] == 4003
    assert error["data"]["code"] == "missing_scope"
    assert "admin" in error["message"]
    assert answer.json["id"] == 1


async def test_denials_are_noted(harness: Harness) -> None:
    """Denials are recorded with the operation, as in the other protocols."""
    key = await harness.service_key("read")
    before = harness.runtime.counters["denials"]
    await ask(harness, "tools/call", {"name": "delete_user", "arguments": {"client_id": "x"}}, key)
    await ask(harness, "tools/list")
    assert harness.runtime.counters["denials"] == before + 2
    assert [event.operation for event in harness.pipeline.denials.take(None)] == ["users.delete", "whoami"]


async def test_a_list_is_no_denial(harness: Harness) -> None:
    """Tools left out of a list are not recorded as denials."""
    key = await harness.service_key("read")
    before = harness.runtime.counters["denials"]
    await ask(harness, "tools/list", None, key)
    assert harness.runtime.counters["denials"] == before
