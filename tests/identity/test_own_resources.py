"""Which texts name herod, which its `/mcp`, and which something else."""

import pytest

from herod.identity.credential_types import Audience, Bearer
from herod.identity.own_resources import OwnResource, canonical_resource, own_resource
from herod_client.core.errors import BadToken
from support.herod_in_memory import Harness

PUBLIC = "http://localhost:3350"
ALIASES = frozenset({PUBLIC, "http://127.0.0.1:3350", "http://[::1]:3350"})


@pytest.fixture
def named(harness: Harness) -> Harness:
    """A herod that holds both loopback addresses."""
    harness.configure(public_url=PUBLIC, aliases=ALIASES)
    return harness


@pytest.mark.parametrize("root", sorted(ALIASES))
@pytest.mark.parametrize(("path", "kind"), [("", OwnResource.ROOT), ("/mcp", OwnResource.MCP)])
async def test_herods_own(named: Harness, root: str, path: str, kind: OwnResource) -> None:
    """Every alias of herod and of its `/mcp` is the same resource, with or without a final slash."""
    for text in (root + path, f"{root}{path}/"):
        assert own_resource(named.runtime.config, text) is kind
        assert canonical_resource(named.runtime.config, text) == PUBLIC + path


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "/mcp",
        "http://localhost",
        "http://localhost:3351",
        "https://localhost:3350",
        "http://localhost:03350",
        "http://LOCALHOST:3350",
        "http://localhost.:3350",
        "http://localhost:3350//",
        "http://localhost:3350/mcp//",
        "http://localhost:3350/mcp/mcp",
        "http://localhost:3350/MCP",
        "http://localhost:3350/%6dcp",
        "http://localhost:3350%2fmcp",
        "http://localhost:3350/./mcp",
        "http://localhost:3350/mcpx",
        "http://localhost:3350?x",
        "http://localhost:3350/#",
        "http://user@localhost:3350",
        "http://localhost:3350@evil.example",
        "http://evil.example/http://localhost:3350",
        "http://127.0.0.2:3350",
        "http://127.1:3350",
        "http://2130706433:3350",
        "http://[0:0:0:0:0:0:0:1]:3350",
        "http://[::ffff:127.0.0.1]:3350",
        "http://ⓛocalhost:3350",
        "http://localhost:3350\x00",
        "http://localhost:3350 ",
        " http://localhost:3350",
        "http:\\\\localhost:3350",
    ],
)
async def test_foreign_ones(named: Harness, text: str) -> None:
    """The list is closed: what merely leads to the same place, or looks like it, is not herod's."""
    assert own_resource(named.runtime.config, text) is None
    assert canonical_resource(named.runtime.config, text) == text.removesuffix("/")


async def test_a_public_url_that_ends_like_mcp(named: Harness) -> None:
    """The whole of herod may be published at a path called `/mcp`."""
    named.configure(public_url="https://example.org/mcp")
    config = named.runtime.config
    assert own_resource(config, "https://example.org/mcp") is OwnResource.ROOT
    assert own_resource(config, "https://example.org/mcp/mcp") is OwnResource.MCP
    assert own_resource(config, "https://example.org") is None
    assert canonical_resource(config, "http://127.0.0.1:3350/mcp") == "https://example.org/mcp/mcp"


async def test_where_tokens_are_accepted(named: Harness) -> None:
    """A token for the root is accepted everywhere, one for `/mcp` only there, one for others nowhere."""
    user = await named.user("read")
    for resource, taken in (
        ("http://127.0.0.1:3350/", set(Audience) - {Audience.PLAIN}),
        ("http://[::1]:3350/mcp", {Audience.MCP, Audience.ANY}),
        ("http://localhost:3351", {Audience.ANY}),
        ("http://127.0.0.1:80/mcp", {Audience.ANY}),
    ):
        token = (await named.call("token.create", user.basic, resource=resource)).access_token
        for audience in Audience:
            if audience in taken:
                assert (await named.call("whoami", Bearer(token, audience))).sub == user.client_id
            else:
                with pytest.raises(BadToken, match="another"):
                    await named.call("whoami", Bearer(token, audience))


async def test_the_audience_of_a_token(named: Harness) -> None:
    """The audience of a token for herod has one spelling, whichever alias was asked for; others are kept."""
    user = await named.user("read")
    for resource, audience in (
        ("http://127.0.0.1:3350/mcp/", f"{PUBLIC}/mcp"),
        ("http://[::1]:3350", PUBLIC),
        ("https://jobs.example.org/", "https://jobs.example.org/"),
    ):
        token = (await named.call("token.create", user.basic, resource=resource)).access_token
        said = await named.admin("token.introspect", token=token)
        assert (said.active, said.aud, said.iss) == (True, audience, PUBLIC)
        assert (await named.call("token.validate", None, token=token)).reason == "audience"
        assert (await named.call("token.validate", None, token=token, resource=resource)).valid
