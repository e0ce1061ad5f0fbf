"""Metadata below `/.well-known/`: where and how to get tokens, and the keys that verify them."""

import pytest

from herod.protocols.documents.oauth_metadata import JWKS_PATH, RESOURCE_PATH, SERVER_PATH, OAuthMetadata
from herod_client.core.signing_keys import SigningKeys, ed25519_key, hs256_key
from support.herod_in_memory import NOW, SECRET, Harness

NEW, OLD = ed25519_key(b"n" * 32), ed25519_key(b"o" * 32, verifies_until=NOW + 100)


async def test_server_metadata(harness: Harness) -> None:
    """RFC 8414, section 2: the issuer and what it supports, and nothing that it does not."""
    answer = await harness.request("GET", SERVER_PATH)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert answer.json == {
        "issuer": "http://localhost",
        "token_endpoint": "http://localhost/token",
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "introspection_endpoint": "http://localhost/introspect",
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "Bearer"],
        "revocation_endpoint": "http://localhost/revoke",
        "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "jwks_uri": "http://localhost/.well-known/jwks.json",
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": [],
        "scopes_supported": list(harness.runtime.config.graph.scopes),
        "protected_resources": ["http://localhost", "http://localhost/mcp"],
    }


@pytest.mark.parametrize("path", ["", "/mcp"])
async def test_resource_metadata(harness: Harness, path: str) -> None:
    """RFC 9728, section 2: the requested resource and its authorization server."""
    answer = await harness.request("GET", RESOURCE_PATH + path)
    assert answer.status == 200
    assert answer.json["resource"] == f"http://localhost{path}"
    assert answer.json["authorization_servers"] == ["http://localhost"]
    assert answer.json["bearer_methods_supported"] == ["header"]
    assert answer.json["scopes_supported"] == list(harness.runtime.config.graph.scopes)
    assert answer.json["resource_name"]


async def test_a_401_leads_there(harness: Harness) -> None:
    """The metadata URL in the challenge of `/mcp` exists (RFC 9728, section 5.1)."""
    refused = await harness.request("POST", "/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "ping"})
    where = refused.headers["www-authenticate"].partition('resource_metadata="')[2].partition('"')[0]
    answer = await harness.request("GET", where.removeprefix("http://localhost"))
    assert answer.json["resource"] == "http://localhost/mcp"


async def test_jwks_without_public_keys(harness: Harness) -> None:
    """With HS256 the key set is empty: the secret is never published in any form."""
    answer = await harness.request("GET", JWKS_PATH)
    assert (answer.status, answer.json) == (200, {"keys": []})
    assert answer.headers["cache-control"] == "public, max-age=60"


async def test_jwks(harness: Harness) -> None:
    """The key set has the current key and retired ones until their stop time, without private parts (RFC 8037)."""
    harness.runtime.signing = SigningKeys(NEW, [OLD, hs256_key(SECRET, verifies_until=NOW + 100)])
    keys = (await harness.request("GET", JWKS_PATH)).json["keys"]
    assert [key["kid"] for key in keys] == [NEW.kid, OLD.kid]
    for key in keys:
        assert set(key) == {"kty", "crv", "x", "kid", "alg", "use"}
        assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("OKP", "Ed25519", "EdDSA", "sig")
    harness.clock.now = NOW + 100
    assert [key["kid"] for key in (await harness.request("GET", JWKS_PATH)).json["keys"]] == [NEW.kid]


async def test_what_is_not_there(harness: Harness) -> None:
    """Unknown paths are a JSON 404; other methods are a 405 that lists the allowed ones."""
    for path in ("/.well-known/openid-configuration", "/.well-known/", f"{SERVER_PATH}/x", f"{RESOURCE_PATH}/rpc"):
        answer = await harness.request("GET", path)
        assert (answer.status, answer.json["error"]["code"]) == (404, "not_found")
    posted = await harness.request("POST", SERVER_PATH, json={})
    assert (posted.status, posted.headers["allow"]) == (405, "GET, HEAD")


async def test_a_public_url_with_a_path(harness: Harness) -> None:
    """A public URL with a path has its metadata also at the address by RFC 8414, as has its `/mcp` (RFC 9728)."""
    harness.configure(public_url="https://example.org/auth")
    metadata = OAuthMetadata(harness.runtime, harness.clock)
    assert set(metadata.handlers()) == {
        JWKS_PATH,
        SERVER_PATH,
        f"{SERVER_PATH}/auth",
        RESOURCE_PATH,
        f"{RESOURCE_PATH}/auth",
        f"{RESOURCE_PATH}/mcp",
        f"{RESOURCE_PATH}/auth/mcp",
    }
    assert metadata.server()["token_endpoint"] == "https://example.org/auth/token"
    assert metadata.resource("/mcp")["resource"] == "https://example.org/auth/mcp"
