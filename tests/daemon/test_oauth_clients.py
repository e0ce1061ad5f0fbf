"""Third-party OAuth clients and verifiers against a real daemon, over TCP and the Unix socket."""

import json
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import jwt
import pytest
import requests_unixsocket
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from joserfc import jwt as jose
from joserfc.jwk import KeySet
from jwt.exceptions import InvalidAudienceError
from mcp import Client as McpClient
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthToken
from oauthlib.oauth2 import BackendApplicationClient
from oauthlib.oauth2.rfc6749.errors import InvalidScopeError
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

from support.real_daemon import SECRET, Daemon, herod, running

unix: Any = requests_unixsocket  # marked as typed, but has no types
WAYS = [pytest.param(is_tcp, id="tcp" if is_tcp else "unix") for is_tcp in (True, False)]
METHODS = ["client_secret_basic", "client_secret_post"]
JOBS = "https://jobs.example.org"


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use no proxy, and allow plain HTTP on loopback, which oauthlib refuses otherwise."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with the default signing: HS256."""
    with running(tmp_path_factory.mktemp("oauth")) as started:
        yield started


@dataclass(frozen=True)
class OAuthClient:
    """A registered client."""

    id: str
    secret: str


def make_client(daemon: Daemon, scope: str = "write") -> OAuthClient:
    """Create an account as the local admin."""
    made = daemon.herod("user", "add", "--name", "client", "--scope", scope, "--output", "json")
    assert made.returncode == 0, made.stderr
    answer = json.loads(made.stdout)
    return OAuthClient(answer["client_id"], answer["client_secret"])


@pytest.fixture(scope="module")
def client(daemon: Daemon) -> OAuthClient:
    """A client with scope write."""
    return make_client(daemon)


def base_url(daemon: Daemon, *, is_tcp: bool) -> str:
    """The base address for requests."""
    return daemon.url if is_tcp else f"http+unix://{quote(str(daemon.socket), safe='')}"


def by_httpx(
    daemon: Daemon, client: OAuthClient, *, is_tcp: bool, method: str = METHODS[0]
) -> AbstractContextManager[Any]:
    """Authlib's session on httpx2."""
    made: AbstractContextManager[Any] = OAuth2Client(
        client.id,
        client.secret,
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
        base_url=daemon.url if is_tcp else "http://localhost",
        transport=httpx2.HTTPTransport(uds=None if is_tcp else str(daemon.socket)),
    )
    return made


@pytest.mark.parametrize("is_tcp", WAYS)
@pytest.mark.parametrize("method", METHODS)
def test_authlib_on_httpx(daemon: Daemon, client: OAuthClient, method: str, *, is_tcp: bool) -> None:
    """Authlib fetches, uses, introspects and revokes a token."""
    with by_httpx(daemon, client, is_tcp=is_tcp, method=method) as session:
        token = session.fetch_token("/token", grant_type="client_credentials", scope="read")
        assert (token["token_type"], token["scope"], token["expires_in"]) == ("Bearer", "read", 3600)
        assert session.get("/api/v1/whoami").json()["data"]["sub"] == client.id
        seen = session.introspect_token("/introspect", token=token["access_token"]).json()
        assert (seen["active"], seen["scope"], seen["client_id"]) == (True, "read", client.id)
        revoked = session.revoke_token("/revoke", token=token["access_token"])
        assert revoked.status_code == 200
        seen = session.introspect_token("/introspect", token=token["access_token"]).json()
        assert seen == {"active": False}


def test_authlib_finds_everything_by_the_metadata(daemon: Daemon, client: OAuthClient) -> None:
    """Authlib accepts the metadata, and its endpoints answer."""
    _, body, _ = daemon.curl("/.well-known/oauth-authorization-server", tcp=True)
    found = AuthorizationServerMetadata(body)
    secured = AuthorizationServerMetadata(json.loads(json.dumps(body).replace("http://", "https://")))
    # Authlib requires a response type, although without an authorization endpoint there is none.
    AuthorizationServerMetadata({**secured, "response_types_supported": ["none"]}).validate()
    with OAuth2Client(client.id, client.secret) as session:
        token = session.fetch_token(found["token_endpoint"], grant_type="client_credentials")["access_token"]
        assert session.introspect_token(found["introspection_endpoint"], token=token).json()["active"]
        assert session.revoke_token(found["revocation_endpoint"], token=token).status_code == 200
    resource = daemon.curl("/.well-known/oauth-protected-resource/mcp", tcp=True)[1]
    assert resource["authorization_servers"] == [found["issuer"]] == [daemon.public_url]


@pytest.mark.parametrize("is_tcp", WAYS)
def test_authlib_on_requests(daemon: Daemon, client: OAuthClient, *, is_tcp: bool) -> None:
    """Authlib's OAuth2Session works as well."""
    base = base_url(daemon, is_tcp=is_tcp)
    with AuthlibSession(client.id, client.secret) as session:
        session.mount("http+unix://", unix.UnixAdapter())
        token = session.fetch_token(f"{base}/token", grant_type="client_credentials")
        assert token["scope"] == "write"
        seen = session.introspect_token(f"{base}/introspect", token=token["access_token"]).json()
        assert seen["username"] == "client"
        assert session.revoke_token(f"{base}/revoke", token=token["access_token"]).status_code == 200
        assert session.get(f"{base}/api/v1/whoami").status_code == 401


def test_authlib_names_the_refusals(daemon: Daemon, client: OAuthClient) -> None:
    """Refusals have the OAuth names that clients expect."""
    with by_httpx(daemon, client, is_tcp=True) as session:
        for asked, code in (
            ({"scope": "admin"}, "invalid_scope"),
            ({"resource": "no uri"}, "invalid_target"),
        ):
            with pytest.raises(OAuthError) as refused:
                session.fetch_token("/token", grant_type="client_credentials", **asked)
            assert refused.value.error == code
    wrong = OAuthClient(client.id, client.secret[:-1] + "!")
    with by_httpx(daemon, wrong, is_tcp=True) as session, pytest.raises(OAuthError) as refused:
        session.fetch_token("/token", grant_type="client_credentials")
    assert refused.value.error == "invalid_client"


@pytest.mark.parametrize("is_tcp", WAYS)
@pytest.mark.parametrize("in_form", [False, True], ids=["basic", "form"])
def test_requests_oauthlib(daemon: Daemon, client: OAuthClient, *, in_form: bool, is_tcp: bool) -> None:
    """requests-oauthlib fetches, uses and revokes a token, with the requests that oauthlib prepares."""
    base = base_url(daemon, is_tcp=is_tcp)
    application = BackendApplicationClient(client_id=client.id, scope=["read"])
    with OAuth2Session(client=application) as session:
        session.mount("http+unix://", unix.UnixAdapter())
        basic = HTTPBasicAuth(client.id, client.secret)
        how: dict[str, Any] = (
            {"include_client_id": True, "client_secret": client.secret} if in_form else {"auth": basic}
        )
        token = session.fetch_token(f"{base}/token", **how)
        assert token["scope"] == ["read"]
        assert session.get(f"{base}/api/v1/whoami").json()["data"]["method"] == "jwt"
        asked = {"token": token["access_token"]}
        seen = session.post(f"{base}/introspect", data=asked)  # with the token itself as the credential
        assert seen.json()["active"] is True
        # oauthlib accepts only http and https addresses
        _, headers, body = application.prepare_token_revocation_request(f"{daemon.url}/revoke", token["access_token"])
        revoked = session.post(f"{base}/revoke", data=body, headers=headers, auth=basic, withhold_token=True)
        assert revoked.status_code == 200
        again = session.post(f"{base}/introspect", data=asked, auth=basic, withhold_token=True)
        assert again.json() == {"active": False}


class Kept:
    """The MCP client's token storage."""

    tokens: OAuthToken | None = None

    async def get_tokens(self) -> OAuthToken | None:
        """The stored tokens."""
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """Store the tokens."""
        self.tokens = tokens

    async def get_client_info(self) -> None:
        """None: the client is registered already."""

    async def set_client_info(self, client_info: object) -> None:
        """Never called."""


@pytest.mark.filterwarnings("ignore:Omitting `issuer`")  # with it, this client requires an authorization endpoint
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
async def test_the_mcp_client_finds_its_way(daemon: Daemon, client: OAuthClient, host: str) -> None:
    """The MCP client gets from the 401 of `/mcp` to a token for it by metadata and a client secret, under any alias."""
    kept = Kept()
    url = f"http://{host}:{daemon.port}/mcp"
    auth = ClientCredentialsOAuthProvider(url, storage=kept, client_id=client.id, client_secret=client.secret)
    async with (
        httpx2.AsyncClient(auth=auth) as http,
        McpClient(streamable_http_client(url, http_client=http)) as session,
    ):
        answer = await session.call_tool("whoami", {})
        assert answer.structured_content is not None
        assert answer.structured_content["sub"] == client.id
    assert kept.tokens is not None
    audience = f"{daemon.public_url}/mcp"
    claims = jwt.decode(
        kept.tokens.access_token, SECRET, algorithms=["HS256"], audience=audience, issuer=daemon.public_url
    )
    assert claims["client_id"] == client.id


def test_requests_oauthlib_names_the_refusals(daemon: Daemon, client: OAuthClient) -> None:
    """Too wide a scope raises oauthlib's own error."""
    application = BackendApplicationClient(client_id=client.id, scope=["admin"])
    with OAuth2Session(client=application) as session, pytest.raises(InvalidScopeError):
        session.fetch_token(f"{daemon.url}/token", auth=HTTPBasicAuth(client.id, client.secret))


def test_pyjwt_with_the_shared_secret(daemon: Daemon, client: OAuthClient) -> None:
    """PyJWT with HERO_SECRET verifies a plain token, and one for a resource only as that resource."""
    with by_httpx(daemon, client, is_tcp=False) as session:
        plain = session.fetch_token("/token", grant_type="client_credentials")["access_token"]
        meant = session.fetch_token("/token", grant_type="client_credentials", resource=JOBS)["access_token"]
        assert session.get("/api/v1/whoami").status_code == 401  # herod is another resource
        seen = session.introspect_token("/introspect", token=meant).json()
    assert jwt.decode(plain, SECRET, algorithms=["HS256"], issuer="hero_auth")["sub"] == client.id
    assert (
        jwt.decode(meant, SECRET, algorithms=["HS256"], audience=JOBS, issuer=daemon.public_url)["client_id"]
        == client.id
    )
    assert (seen["active"], seen["aud"]) == (True, JOBS)
    for audience in (None, "https://other.example.org"):
        with pytest.raises(InvalidAudienceError):
            jwt.decode(meant, SECRET, algorithms=["HS256"], audience=audience)


def test_a_local_process_by_its_uid(daemon: Daemon) -> None:
    """`Authorization: Peer` is the client credential of a process with a rule, and of no other."""
    form = ("-d", "grant_type=client_credentials", "-d", f"resource={JOBS}", "-H", "Authorization: Peer")
    status, body, headers = daemon.curl("/token", *form)
    assert (status, body["error"]) == (401, "invalid_client")
    assert headers["www-authenticate"] == 'Basic realm="herod"'
    assert daemon.herod("peer", "allow", "--uid", str(os.getuid()), "--scope", "read").returncode == 0
    status, body, headers = daemon.curl("/token", *form)
    assert (status, body["scope"], headers["cache-control"]) == (200, "read", "no-store")
    status, seen, _ = daemon.curl("/introspect", "-d", f"token={body['access_token']}", "-H", "Authorization: Peer")
    assert (status, seen["active"], seen["aud"], seen["scope"]) == (200, True, JOBS, "read")
    assert seen["username"] == f"uid:{os.getuid()}"
    assert daemon.curl("/token", *form, tcp=True)[0] == 401
    status, _, _ = daemon.curl("/revoke", "-d", f"token={body['access_token']}", "-H", "Authorization: Peer")
    assert status == 200


def test_the_command(daemon: Daemon, client: OAuthClient, tmp_path: Path) -> None:
    """`token issue --resource`, `token inspect` and `token revoke` work together."""
    (tmp_path / "secret").write_text(client.secret)
    who = ("--client-id", client.id, "--secret", f"@{tmp_path}/secret")
    issued = daemon.herod("token", "issue", *who, "--resource", JOBS)
    assert issued.returncode == 0, issued.stderr
    inspected = daemon.herod("token", "inspect", "-", "--output", "json", stdin=issued.stdout)
    assert (inspected.returncode, json.loads(inspected.stdout)["aud"]) == (0, JOBS)
    assert daemon.herod("token", "validate", "-", stdin=issued.stdout).stdout == "not valid: audience\n"
    revoked = daemon.herod("token", "revoke", "-", stdin=issued.stdout)
    assert (revoked.returncode, revoked.stdout) == (0, "The token is revoked.\n")
    inspected = daemon.herod("token", "inspect", "-", stdin=issued.stdout)
    assert (inspected.returncode, inspected.stdout) == (1, "not valid\n")


def fetch(daemon: Daemon, client: OAuthClient, **asked: str) -> str:
    """Fetch a new token."""
    with by_httpx(daemon, client, is_tcp=True) as session:
        text: str = session.fetch_token("/token", grant_type="client_credentials", **asked)["access_token"]
        return text


def verify(daemon: Daemon, token: str) -> dict[str, Any]:
    """Its claims, verified by PyJWT and joserfc for its audience with the current key set."""
    keys = jwt.PyJWKClient(f"{daemon.url}/.well-known/jwks.json")
    key = keys.get_signing_key_from_jwt(token)
    claims = jwt.decode(token, key, algorithms=["EdDSA"], audience=JOBS, issuer=daemon.public_url)
    with httpx2.Client(base_url=daemon.url, trust_env=False) as http:
        published = KeySet.import_key_set(http.get("/.well-known/jwks.json").json())
    read = jose.decode(token, published, algorithms=["EdDSA"])
    jose.JWTClaimsRegistry(aud={"essential": True, "value": JOBS}, iss={"value": daemon.public_url}).validate(
        read.claims
    )
    assert read.header["typ"] == "at+jwt"
    assert read.claims == claims
    found: dict[str, Any] = claims
    return found


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated via RFC 9864")  # a typ that few verifiers know yet
def test_from_hs256_to_eddsa_and_to_the_next_key(tmp_path: Path) -> None:
    """Services verify by JWKS alone; it contains a retired key until its stop time, and no earlier ones."""
    with running(tmp_path) as daemon:
        client = make_client(daemon)
        old = fetch(daemon, client)
        assert daemon.curl("/.well-known/jwks.json")[1] == {"keys": []}
    with running(tmp_path, "--signing", "EdDSA") as daemon:
        assert daemon.curl("/introspect", "-u", f"{client.id}:{client.secret}", "-d", f"token={old}")[1]["active"]
        first = fetch(daemon, client, resource=JOBS)
        claims = verify(daemon, first)
        assert (claims["sub"], claims["aud"]) == (client.id, JOBS)
        (key,) = daemon.curl("/.well-known/jwks.json")[1]["keys"]
        address = daemon.public_url
    rotated = herod("secret", "rotate-signing", "--store", f"sqlite:{tmp_path}/store/herod.db", env=daemon.env)
    assert rotated.returncode == 0, rotated.stderr
    with running(tmp_path, "--signing", "EdDSA", "--public-url", address) as daemon:
        kids = [one["kid"] for one in daemon.curl("/.well-known/jwks.json")[1]["keys"]]
        assert len(kids) == 2
        assert kids[1] == key["kid"]
        keys = jwt.PyJWKClient(f"{daemon.url}/.well-known/jwks.json")
        for token, kid in ((first, kids[1]), (fetch(daemon, client, resource=JOBS), kids[0])):
            found = keys.get_signing_key_from_jwt(token)
            assert found.key_id == kid
            assert jwt.decode(token, found, algorithms=["EdDSA"], audience=JOBS, issuer=address)["sub"] == client.id
