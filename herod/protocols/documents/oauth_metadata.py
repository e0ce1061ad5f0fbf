"""Metadata for OAuth clients and services below `/.well-known/`: endpoints, methods and public keys.

    oauth-authorization-server      RFC 8414: herod, which issues the tokens
    oauth-protected-resource[/mcp]  RFC 9728: herod, which accepts them
    jwks.json                       RFC 7517: the current public keys

All of it is public, and nothing in it is secret: HS256's key has no public half, so it is never listed.

A public URL with a path, which a proxy in front strips, has that path in the well-known URL *after* the suffix (RFC
8414, section 3.1): `https://example.org/auth` is described at `/.well-known/oauth-authorization-server/auth`. Both
these paths and the short ones are served.
"""

from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

from herod.identity.runtime_state import Runtime
from herod.protocols.documents.json_schemas import Schema
from herod.protocols.http import Request, Response
from herod.protocols.responses import encode
from herod.protocols.rest import PathHandler

__all__ = ["JWKS_PATH", "RESOURCE_PATH", "SERVER_PATH", "OAuthMetadata"]

SERVER_PATH: Final = "/.well-known/oauth-authorization-server"
RESOURCE_PATH: Final = "/.well-known/oauth-protected-resource"
JWKS_PATH: Final = "/.well-known/jwks.json"
MCP: Final = "/mcp"

# Seconds that others may cache an answer. A key that was retired must not stay in caches.
METADATA_AGE: Final = 300
JWKS_AGE: Final = 60

CLIENT_METHODS: Final = ("client_secret_basic", "client_secret_post")


class OAuthMetadata:
    """The documents of one runtime.

    Args:
        clock: Unix seconds.
    """

    def __init__(self, runtime: Runtime, clock: Callable[[], int]) -> None:
        self._runtime = runtime
        self._clock = clock

    def handlers(self) -> Mapping[str, PathHandler]:
        """Path → the handler of GET there."""
        suffix = urlsplit(self._runtime.config.public_url).path
        server = _handler(self.server, METADATA_AGE)
        resource = _handler(lambda: self.resource(""), METADATA_AGE)
        mcp = _handler(lambda: self.resource(MCP), METADATA_AGE)
        return {
            JWKS_PATH: _handler(self.jwks, JWKS_AGE),
            SERVER_PATH: server,
            RESOURCE_PATH: resource,
            RESOURCE_PATH + MCP: mcp,
            SERVER_PATH + suffix: server,
            RESOURCE_PATH + suffix: resource,
            RESOURCE_PATH + suffix + MCP: mcp,
        }

    def server(self) -> Schema:
        """RFC 8414, section 2: what the authorization server offers."""
        issuer = self._runtime.config.public_url
        return {
            "issuer": issuer,
            "token_endpoint": f"{issuer}/token",
            "token_endpoint_auth_methods_supported": CLIENT_METHODS,
            "introspection_endpoint": f"{issuer}/introspect",
            # Any credential may ask; Bearer is the registered name for most of them (RFC 8414, section 2).
            "introspection_endpoint_auth_methods_supported": (*CLIENT_METHODS, "Bearer"),
            "revocation_endpoint": f"{issuer}/revoke",
            "revocation_endpoint_auth_methods_supported": CLIENT_METHODS,
            "jwks_uri": f"{issuer}{JWKS_PATH}",
            "grant_types_supported": ("client_credentials",),
            "response_types_supported": (),  # there is no authorization endpoint
            "scopes_supported": self._runtime.config.graph.scopes,
            "protected_resources": (issuer, f"{issuer}{MCP}"),
        }

    def resource(self, path: str) -> Schema:
        """RFC 9728, section 2: herod as a protected resource.

        Args:
            path: which of herod's resources: empty for all of it, or `/mcp`.
        """
        issuer = self._runtime.config.public_url
        return {
            "resource": f"{issuer}{path}",
            "resource_name": "Herod MCP" if path == MCP else "Herod",
            "authorization_servers": (issuer,),
            "scopes_supported": self._runtime.config.graph.scopes,
            "bearer_methods_supported": ("header",),
        }

    def jwks(self) -> Schema:
        """RFC 7517: the current public key and the retired ones that are still valid; none with HS256."""
        now = self._clock()
        found = (key.public_jwk() for key in self._runtime.signing if key.is_live(now))
        return {"keys": [jwk for jwk in found if jwk is not None]}


def _handler(make: Callable[[], Schema], age: int) -> PathHandler:
    headers = (("Content-Type", "application/json"), ("Cache-Control", f"public, max-age={age}"))
    kept = b""  # one copy for all connections, until the document changes

    async def answer(request: Request, path: dict[str, str]) -> Response:
        nonlocal kept
        text = encode(make())
        if text != kept:
            kept = text
        return Response(200, headers=headers, shared=kept)

    return answer
