"""What a person must approve first, asked of agents: each revision's URL elicitation, if the client declared it.

No tool of herod's own needs it, since apps may not call those that destroy. Here a resource's release is one.
"""

import dataclasses
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ElicitRequestURLParams, ElicitResult

from herod.identity.credential_types import SessionCookie
from herod.operations.operation_table import OPERATIONS
from herod.pipeline.operation_definition import Tool
from herod.protocols.host_and_origin_guard import Guard
from herod.protocols.router import Router
from herod.records import Approval, Resource
from support.connected_apps import ROOT, app_token, connect_app
from support.herod_in_memory import PASSWORD, TCP, Harness
from support.in_process_server import serving
from support.mcp_agent import INITIALIZE, META, NEW, OLD, ask

MCP = f"{ROOT}/mcp"
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
WITH_URLS: dict[str, Any] = {"elicitation": {"form": {}, "url": {}}}
WITHOUT: tuple[dict[str, Any], ...] = ({}, {"elicitation": {}}, {"elicitation": {"form": {}}}, {"sampling": {}})


@dataclasses.dataclass
class Agent:
    """An app at `/mcp`, and its person at a browser."""

    harness: Harness
    person: SessionCookie
    token: str
    sid: str

    @property
    def call(self) -> dict[str, Any]:
        return {"name": "release_resource", "arguments": {"sid": self.sid}}

    async def decide(self, url: str, *, approve: bool) -> None:
        """Decide on the page of that address."""
        given = {"id": url.rpartition("/")[2], "approve": approve}
        await self.harness.call("approvals.decide", self.person, TCP, **given)

    def is_there(self) -> bool:
        """Whether the resource is still there."""
        return self.harness.store.get(Resource, self.sid) is not None


@pytest.fixture
async def agent(harness: Harness) -> Agent:
    """An agent that may release a resource, if its person approves."""
    release = dataclasses.replace(OPERATIONS["resources.release"], tool=Tool("release_resource", destructive=True))
    operations = {**OPERATIONS, release.name: release}
    harness.router = Router(harness.pipeline, operations, Guard())
    user = await harness.user(scope="user", email="ada@example.org", password=PASSWORD)
    claimed = await harness.call("resources.claim", user.basic, TCP, kind="vm", name="web 1")
    token = app_token(harness, await connect_app(harness, user, "user", resource=MCP), audience=MCP).text
    opened = await harness.call("session.sign_in", None, TCP, email="ada@example.org", password=PASSWORD)
    return Agent(harness, SessionCookie(opened.cookie), token, claimed.sid)


async def test_by_an_error(agent: Agent) -> None:
    """2025-11-25: error -32042 with the page, for a client that said in `initialize` that it opens URLs."""
    begun = await ask(agent.harness, "initialize", {**INITIALIZE, "capabilities": WITH_URLS}, agent.token)
    session = begun.headers["mcp-session-id"]
    assert session.isascii()
    answer = await ask(agent.harness, "tools/call", agent.call, agent.token, mcp_session_id=session)
    assert answer.status == 200
    error = answer.json["error"]
    assert error["code"] == -32042
    (asked,) = error["data"]["elicitations"]
    assert asked["mode"] == "url"
    assert asked["url"] == f"http://localhost/ui/approvals/{asked['elicitationId']}"
    assert asked["message"] == error["message"]
    await agent.decide(asked["url"], approve=True)
    done = await ask(agent.harness, "tools/call", agent.call, agent.token, mcp_session_id=session)
    assert done.json["result"]["structuredContent"] == {"sid": agent.sid, "released": True}


async def test_by_a_result(agent: Agent) -> None:
    """2026-07-28: a result that asks for it, for a client that says so in the request; asked once, it waits."""
    params = {**agent.call, "_meta": {**META, CAPABILITIES: WITH_URLS}}
    result = (await ask(agent.harness, "tools/call", params, agent.token, revision=NEW)).json["result"]
    assert result["resultType"] == "input_required"
    assert "content" not in result
    (request,) = result["inputRequests"].values()
    assert request["method"] == "elicitation/create"
    assert request["params"]["mode"] == "url"
    url = request["params"]["url"]
    answers = {name: {"action": "accept"} for name in result["inputRequests"]}
    repeated = {**params, "inputResponses": answers}
    told = (await ask(agent.harness, "tools/call", repeated, agent.token, revision=NEW)).json["result"]
    assert (told["resultType"], told["isError"]) == ("complete", True)
    assert json.loads(told["content"][0]["text"])["url"] == url
    await agent.decide(url, approve=True)
    done = (await ask(agent.harness, "tools/call", repeated, agent.token, revision=NEW)).json["result"]
    assert done["structuredContent"]["released"] is True


@pytest.mark.parametrize("capabilities", WITHOUT)
@pytest.mark.parametrize("revision", [OLD, NEW])
async def test_without_elicitation(agent: Agent, revision: str, capabilities: dict[str, Any]) -> None:
    """Every other client gets a tool result that reports an error, with the page in it."""
    begun = await ask(agent.harness, "initialize", {**INITIALIZE, "capabilities": capabilities}, agent.token)
    assert "mcp-session-id" not in begun.headers
    params = {**agent.call, **({"_meta": {**META, CAPABILITIES: capabilities}} if revision == NEW else {})}
    answer = await ask(agent.harness, "tools/call", params, agent.token, revision=revision, mcp_session_id="x")
    result = answer.json["result"]
    assert result["isError"] is True
    told = json.loads(result["content"][0]["text"])
    assert told["code"] == "approval_required"
    assert told["url"] in told["message"]
    await agent.decide(told["url"], approve=False)
    again = await ask(agent.harness, "tools/call", params, agent.token, revision=revision)
    assert json.loads(again.json["result"]["content"][0]["text"])["code"] == "target_denied"
    assert agent.is_there()


@asynccontextmanager
async def official(agent: Agent, mode: str, seen: list[Any], *, approve: bool) -> AsyncIterator[Client]:
    """The official client, whose person decides when they are sent to the page."""

    async def asked(context: Any, params: Any) -> ElicitResult:
        assert isinstance(params, ElicitRequestURLParams)
        seen.append(params.url)
        await agent.decide(params.url, approve=approve)
        return ElicitResult(action="accept")

    async with (
        serving(agent.harness.router) as running,
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {agent.token}"}) as http,
        Client(
            streamable_http_client(f"http://localhost:{running.port}/mcp", http_client=http),
            mode=mode,
            elicitation_callback=asked,
        ) as client,
    ):
        yield client


async def test_the_official_client_and_a_result(agent: Agent) -> None:
    """It sends its person to the page, repeats the call by itself, and gets the result."""
    seen: list[str] = []
    async with official(agent, NEW, seen, approve=True) as client:
        done = await client.call_tool("release_resource", {"sid": agent.sid})
    assert done.is_error is False
    assert len(seen) == 1
    assert not agent.is_there()
    assert agent.harness.store.count(Approval) == 0


async def test_the_official_client_and_a_declined_call(agent: Agent) -> None:
    """It is told that the person declined."""
    async with official(agent, NEW, [], approve=False) as client:
        told = await client.call_tool("release_resource", {"sid": agent.sid})
    assert told.is_error is True
    assert agent.is_there()


async def test_the_official_client_and_an_error(agent: Agent) -> None:
    """By the older revision it raises the error, from which an agent takes the page."""
    async with official(agent, "legacy", [], approve=True) as client:
        with pytest.raises(MCPError) as refused:
            await client.call_tool("release_resource", {"sid": agent.sid})
        assert refused.value.error.code == -32042
        (asked,) = refused.value.error.data["elicitations"]
        await agent.decide(asked["url"], approve=True)
        assert (await client.call_tool("release_resource", {"sid": agent.sid})).is_error is False
    assert not agent.is_there()
