"""Metadata for OAuth clients and services below `/.well-known/`: endpoints, methods and public keys.

    oauth-authorization-server      RFC 8414: herod, which issues the tokens
    openid-configuration            OpenID Connect Discovery 1.0: the same document
    oauth-protected-resource[/mcp]  RFC 9728: herod, which accepts them
    jwks.json                       RFC 7517: the current public keys

All of it is public, and nothing in it is secret: HS256's key has no public half, so it is never listed.

A public URL with a path, which a proxy in front strips, has that path in the well-known URL *after* the suffix (RFC
8414, section 3.1): `https://example.org/auth` is described at `/.well-known/oauth-authorization-server/auth`. OpenID
clients look *before* it: `/auth/.well-known/openid-configuration`. Both of these and the short one are served, with
either name.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from herod.identity.own_resources import OwnResource
from herod.identity.runtime_state import Runtime
from herod.pipeline.operation_definition import Operation
from herod.protocols.asked_url import asked_root
from herod.protocols.documents.json_schemas import Schema
from herod.protocols.documents.server_metadata import JWKS_PATH, ServerFacts, server_metadata
from herod.protocols.http import Request, Response
from herod.protocols.responses import encode
from herod.protocols.rest import PathHandler
from herod_client.core.scope_graph import READ

__all__ = ["JWKS_PATH", "OPENID_PATH", "RESOURCE_PATH", "SERVER_PATH", "OAuthMetadata", "resource_metadata_url"]

SERVER_PATH: Final = "/.well-known/oauth-authorization-server"
OPENID_PATH: Final = "/.well-known/openid-configuration"
RESOURCE_PATH: Final = "/.well-known/oauth-protected-resource"

# Seconds that others may cache an answer. A key that was retired must not stay in caches.
METADATA_AGE: Final = 300
JWKS_AGE: Final = 60
# The copies of one document, by the URL that a client uses; more aliases than this are not cached.
MAX_COPIES: Final = 64

NAMES: Final = {OwnResource.ROOT: "Herod", OwnResource.MCP: "Herod MCP"}


def resource_metadata_url(root: str, own: OwnResource) -> str:
    """Where a resource of herod's is described, for clients that use herod at `root`."""
    return f"{root}{RESOURCE_PATH}{own}"


class OAuthMetadata:
    """The documents of one runtime.

    Args:
        clock: Unix seconds.
        operations: the operation table.
    """

    def __init__(self, runtime: Runtime, clock: Callable[[], int], operations: Iterable[Operation]) -> None:
        self._runtime = runtime
        self._clock = clock
        self._operations = tuple(operations)

    def handlers(self) -> Mapping[str, PathHandler]:
        """Path → the handler of GET there."""
        suffix = urlsplit(self._runtime.config.public_url).path
        server = self._handler(lambda _: self.server(), METADATA_AGE)
        found = {JWKS_PATH: self._handler(lambda _: self.jwks(), JWKS_AGE)}
        for path in (SERVER_PATH, OPENID_PATH):
            found |= dict.fromkeys((path, path + suffix, suffix + path), server)
        for own in OwnResource:
            described = self._handler(partial(self.resource, own), METADATA_AGE)
            found |= dict.fromkeys((RESOURCE_PATH + own, RESOURCE_PATH + suffix + own), described)
        return found

    def server(self) -> Schema:
        """RFC 8414, section 2: what the authorization server offers."""
        return server_metadata(ServerFacts(self._runtime.config, self._operations))

    def resource(self, own: OwnResource, root: str) -> Schema:
        """RFC 9728, section 2: herod as a protected resource.

        Args:
            own: which of herod's resources.
            root: herod's URL as the client wrote it, which `resource` must begin with (section 3.3).
        """
        config = self._runtime.config
        return {
            "resource": f"{root}{own}",
            "resource_name": NAMES[own],
            "authorization_servers": (config.public_url,),
            # Agents ask for every scope that they see here.
            "scopes_supported": (READ,) if own is OwnResource.MCP else config.graph.scopes,
            "bearer_methods_supported": ("header",),
        }

    def jwks(self) -> Schema:
        """RFC 7517: the current public key and the retired ones that are still valid; none with HS256."""
        now = self._clock()
        found = (key.public_jwk() for key in self._runtime.signing if key.is_live(now))
        return {"keys": [jwk for jwk in found if jwk is not None]}

    def _handler(self, make: Callable[[str], Schema], age: int) -> PathHandler:
        # A page of another origin gets a header more, so caches must tell the answers apart.
        headers = (
            ("Content-Type", "application/json"),
            ("Cache-Control", f"public, max-age={age}"),
            ("Vary", "Origin"),
        )
        kept: dict[str, bytes] = {}  # one copy for all connections, until the document changes

        async def answer(request: Request, path: dict[str, str]) -> Response:
            root = asked_root(request, self._runtime.config)
            text = encode(make(root))
            if text != kept.get(root):
                if len(kept) >= MAX_COPIES:
                    kept.clear()
                kept[root] = text
            return Response(200, headers=headers, shared=kept[root])

        return answer
