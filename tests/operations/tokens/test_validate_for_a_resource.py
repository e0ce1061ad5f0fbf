"""Validation by a service that says which resource it is: tokens with an audience are good only there."""

import pytest

from herod_client.core.errors import InvalidRequest
from support.connected_apps import app_token, connect_app
from support.herod_in_memory import TCP, Harness

JOBS = "https://jobs.example.org"


async def token_for(harness: Harness, resource: str | None, scope: str = "read") -> str:
    """A token of a new account, for one resource or for all."""
    user = await harness.user(scope)
    answer = await harness.call("token.create", user.basic, resource=resource)
    text: str = answer.access_token
    return text


async def reason(harness: Harness, token: str, resource: str | None) -> str | None:
    """Why it is refused; None if it is valid."""
    verdict = await harness.call("token.validate", None, TCP, token=token, resource=resource)
    return None if verdict.valid else str(verdict.reason)


@pytest.mark.parametrize(
    ("asked", "resource", "expected"),
    [
        (JOBS, JOBS, None),
        (f"{JOBS}/", JOBS, None),
        (f"{JOBS}/mcp", JOBS, None),
        (JOBS, f"{JOBS}/mcp", "audience"),
        (f"{JOBS}/apple", f"{JOBS}/app", "audience"),
        (f"{JOBS}/a/../b", f"{JOBS}/a", "audience"),
        (JOBS, None, "audience"),
        (None, JOBS, None),
        (None, None, None),
        ("http://localhost", None, "audience"),  # herod's own: it asks nobody
        ("http://localhost/mcp", "http://localhost", None),
        ("http://localhost", JOBS, "audience"),
    ],
)
async def test_the_audience(harness: Harness, asked: str | None, resource: str | None, expected: str | None) -> None:
    """A token with `aud` needs a resource that is that or above it; one without is good everywhere."""
    assert await reason(harness, await token_for(harness, asked), resource) == expected


async def test_aliases_of_herod(harness: Harness) -> None:
    """Herod's own resources are one, whatever loopback name they are called by."""
    harness.configure(public_url="http://localhost:3350", aliases=frozenset({"http://127.0.0.1:3350"}))
    token = await token_for(harness, "http://127.0.0.1:3350/mcp")
    for resource in ("http://localhost:3350/mcp", "http://127.0.0.1:3350/mcp/", "http://127.0.0.1:3350"):
        assert await reason(harness, token, resource) is None
    assert await reason(harness, token, "http://[::1]:3350/mcp") == "audience"


async def test_keys_and_secrets_have_no_audience(harness: Harness) -> None:
    """They are good at every resource, as before."""
    assert await reason(harness, await (await harness.user()).key(), JOBS) is None


async def test_an_apps_token(harness: Harness) -> None:
    """An app's token is valid at its resource alone, and so never without one."""
    user = await harness.user()
    delegation = await connect_app(harness, user, resource=JOBS)
    token = app_token(harness, delegation, audience=JOBS).text
    assert await reason(harness, token, JOBS) is None
    assert await reason(harness, token, None) == "audience"
    assert await reason(harness, token, "http://localhost") == "audience"
    who_is_it = app_token(harness, delegation, audience=delegation.app).text  # good at /userinfo alone
    for resource in (None, JOBS, f"urn:{delegation.app}"):
        assert await reason(harness, who_is_it, resource) == "audience"


async def test_scope_and_network_come_after_it(harness: Harness) -> None:
    """A token for another resource is never said to lack a scope."""
    token = await token_for(harness, JOBS)
    verdict = await harness.call("token.validate", None, TCP, token=token, scope="admin")
    assert verdict.reason == "audience"
    verdict = await harness.call("token.validate", None, TCP, token=token, scope="admin", resource=JOBS)
    assert verdict.reason == "scope"


@pytest.mark.parametrize("resource", ["", " ", "jobs", "https://", f"{JOBS}#x"])
async def test_a_requirement_that_is_a_mistake(harness: Harness, resource: str) -> None:
    """An empty or ill-formed resource is a 400 that names it, and never passes, not even a plain token."""
    token = await token_for(harness, None)
    with pytest.raises(InvalidRequest, match="resource"):
        await reason(harness, token, resource)
    answer = await harness.request("POST", "/validate", json={"token": token, "resource": resource})
    assert answer.status == 400
    assert "resource" in answer.json["error"]["message"]


async def test_by_supervisor(harness: Harness) -> None:
    """`auth.verify`, which has no resource, takes no token that is for one; not even for herod's own."""
    for resource in (JOBS, "http://localhost"):
        assert (await harness.call("auth.verify", key=await token_for(harness, resource))).valid is False
    assert (await harness.call("auth.verify", key=await token_for(harness, None))).valid
