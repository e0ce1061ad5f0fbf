"""Metadata below `/.well-known/`: where and how to get tokens, and the keys that verify them."""

import pytest

from herod.identity.own_resources import OwnResource
from herod.operations.openid.id_tokens import IdToken
from herod.operations.operation_table import OPERATIONS
from herod.protocols.documents.oauth_metadata import JWKS_PATH, OPENID_PATH, RESOURCE_PATH, SERVER_PATH, OAuthMetadata
from herod.scopes.principal import Source
from herod_client.core.signing_keys import SigningKeys, ed25519_key, hs256_key
from support.herod_in_memory import NOW, SECRET, STRANGER, TCP, Harness

NEW, OLD = ed25519_key(b"n" * 32), ed25519_key(b"o" * 32, verifies_until=NOW + 100)


@pytest.mark.parametrize("path", [SERVER_PATH, OPENID_PATH])
async def test_server_metadata(harness: Harness, path: str) -> None:
    """RFC 8414, section 2: the issuer and what it supports, and nothing that it does not, under both names."""
    answer = await harness.request("GET", path)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert answer.json == {
        "issuer": "http://localhost",
        "authorization_endpoint": "http://localhost/authorize",
        "device_authorization_endpoint": "http://localhost/device_authorization",
        "token_endpoint": "http://localhost/token",
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "introspection_endpoint": "http://localhost/introspect",
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "Bearer"],
        "revocation_endpoint": "http://localhost/revoke",
        "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "userinfo_endpoint": "http://localhost/userinfo",
        "registration_endpoint": "http://localhost/oauth/register",
        "end_session_endpoint": "http://localhost/logout",
        "client_id_metadata_document_supported": True,
        "jwks_uri": "http://localhost/.well-known/jwks.json",
        "grant_types_supported": [
            "client_credentials",
            "authorization_code",
            "refresh_token",
            "urn:ietf:params:oauth:grant-type:device_code",
        ],
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "prompt_values_supported": ["none", "login", "consent"],
        "response_modes_supported": ["query"],
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "claims_parameter_supported": False,
        "scopes_supported": [
            *("openid", "profile", "email", "groups", "offline_access"),
            *harness.runtime.config.graph.scopes,
        ],
        "claims_supported": list(IdToken.__struct_fields__),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256", "EdDSA"],
        "protected_resources": ["http://localhost", "http://localhost/mcp"],
    }


async def test_no_registration_elsewhere(harness: Harness) -> None:
    """Where apps cannot register themselves, the metadata does not say where they could."""
    for changes in ({"dynamic_apps": "off"}, {"dynamic_apps": "loopback", "public_url": "https://auth.example.org"}):
        harness.configure(**changes)
        assert "registration_endpoint" not in (await harness.request("GET", SERVER_PATH)).json


async def test_where_nobody_signs_in(harness: Harness) -> None:
    """While another program may hold the public URL, no client is sent to `/authorize`."""
    harness.configure(has_browser_origin=False)
    document = (await harness.request("GET", SERVER_PATH)).json
    assert document["response_types_supported"] == []
    assert not {"authorization_endpoint", "code_challenge_methods_supported", "prompt_values_supported"} & set(document)


@pytest.mark.parametrize("path", ["", "/mcp"])
async def test_resource_metadata(harness: Harness, path: str) -> None:
    """RFC 9728, section 2: the requested resource and its authorization server."""
    answer = await harness.request("GET", RESOURCE_PATH + path)
    assert answer.status == 200
    assert answer.json["resource"] == f"http://localhost{path}"
    assert answer.json["authorization_servers"] == ["http://localhost"]
    assert answer.json["bearer_methods_supported"] == ["header"]
    assert answer.json["scopes_supported"] == (["read"] if path else list(harness.runtime.config.graph.scopes))
    assert answer.json["resource_name"]


LOCAL = frozenset(f"http://{name}:{port}" for name in ("localhost", "127.0.0.1", "[::1]") for port in (3350, 8080))
TLS = Source(address="127.0.0.1", secure=True)


@pytest.mark.parametrize(
    ("host", "source", "root"),
    [
        ("localhost:3350", TCP, "http://localhost:3350"),
        ("LocalHost:8080", TCP, "http://localhost:8080"),
        ("127.0.0.1:3350", TCP, "http://127.0.0.1:3350"),
        ("[::1]:3350", TCP, "http://[::1]:3350"),
        ("localhost:3351", TCP, "http://localhost:8080"),  # a port that was forwarded
        ("localhost:03350", TCP, "http://localhost:8080"),
        ("localhost", TCP, "http://localhost:8080"),
        ("127.0.0.1", TCP, "http://localhost:8080"),
        ("localhost:3350", TLS, "http://localhost:8080"),
        ("localhost:3350", STRANGER, "http://localhost:8080"),
        ("evil.example:3350", STRANGER, "http://localhost:8080"),
    ],
)
async def test_the_url_that_the_client_used(harness: Harness, host: str, source: Source, root: str) -> None:
    """Challenges and resources repeat an alias, every other Host gets the public URL, and the issuer is always that."""
    harness.configure(public_url="http://localhost:8080", aliases=LOCAL)
    headers = {"host": host}
    for path in ("", "/mcp"):
        told = (await harness.request("GET", RESOURCE_PATH + path, headers=headers, source=source)).json
        assert told["resource"] == root + path
        assert told["authorization_servers"] == ["http://localhost:8080"]
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    refused = await harness.request("POST", "/mcp", json=ping, headers=headers, source=source)
    assert f'resource_metadata="{root}{RESOURCE_PATH}/mcp", scope="read"' in refused.headers["www-authenticate"]
    for path in (SERVER_PATH, OPENID_PATH):
        server = (await harness.request("GET", path, headers=headers, source=source)).json
        assert server["issuer"] == "http://localhost:8080"
        assert server["token_endpoint"] == "http://localhost:8080/token"


@pytest.mark.parametrize(
    "host", ["localhost:3350@evil.example", "localhost%3a3350", "ⓛocalhost:3350", "localhost.:3350"]
)
async def test_hosts_that_look_like_an_alias(harness: Harness, host: str) -> None:
    """What only looks like an alias is not echoed: over TCP it is refused before."""
    harness.configure(public_url="http://localhost:3350", aliases=LOCAL)
    refused = await harness.request("GET", RESOURCE_PATH, headers={"host": host})
    assert refused.status == 421
    told = await harness.request("GET", RESOURCE_PATH, headers={"host": host}, source=STRANGER)
    assert told.json["resource"] == "http://localhost:3350"


async def test_port_80(harness: Harness) -> None:
    """The port of http itself is not part of the URL, whether the client writes it or not."""
    for host in ("127.0.0.1", "127.0.0.1:80"):
        told = await harness.request("GET", RESOURCE_PATH, headers={"host": host})
        assert told.json["resource"] == "http://127.0.0.1"


async def test_a_document_of_another_url(harness: Harness) -> None:
    """A document that names the public URL follows it."""
    for url in ("http://localhost:1", "http://localhost:2"):
        harness.configure(public_url=url)
        assert (await harness.request("GET", "/openapi.json")).json["servers"] == [{"url": url}]
        assert (await harness.request("GET", "/rpc/discover")).json["servers"][0]["url"] == f"{url}/rpc"


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
    for path in ("/.well-known/jwks", "/.well-known/", f"{SERVER_PATH}/x", f"{RESOURCE_PATH}/rpc"):
        answer = await harness.request("GET", path)
        assert (answer.status, answer.json["error"]["code"]) == (404, "not_found")
    posted = await harness.request("POST", SERVER_PATH, json={})
    assert (posted.status, posted.headers["allow"]) == (405, "GET, HEAD")


async def test_a_public_url_with_a_path(harness: Harness) -> None:
    """A public URL with a path has its metadata also after and before that path (RFC 8414, RFC 9728, Discovery 1.0)."""
    harness.configure(public_url="https://example.org/auth")
    metadata = OAuthMetadata(harness.runtime, harness.clock, OPERATIONS.values())
    assert set(metadata.handlers()) == {
        JWKS_PATH,
        SERVER_PATH,
        f"{SERVER_PATH}/auth",
        f"/auth{SERVER_PATH}",
        OPENID_PATH,
        f"{OPENID_PATH}/auth",
        f"/auth{OPENID_PATH}",
        RESOURCE_PATH,
        f"{RESOURCE_PATH}/auth",
        f"{RESOURCE_PATH}/mcp",
        f"{RESOURCE_PATH}/auth/mcp",
    }
    assert metadata.server()["token_endpoint"] == "https://example.org/auth/token"
    assert metadata.resource(OwnResource.MCP, "https://example.org/auth")["resource"] == "https://example.org/auth/mcp"
