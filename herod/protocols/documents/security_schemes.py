"""The credentials as OpenAPI's security schemes, and which of them each operation accepts."""

from typing import Any, Final

from herod.identity.runtime_state import Runtime
from herod.pipeline.operation_definition import Operation
from herod.scopes.decisions import Access
from herod.scopes.principal import AuthMethod

__all__ = ["SCHEMES", "needs_text", "requirement", "security_schemes"]

# method → scheme; methods missing here cannot authenticate a request
SCHEMES: Final = {
    AuthMethod.JWT: "oauth2",
    AuthMethod.USER_KEY: "user_api_key",
    AuthMethod.SERVICE_KEY: "service_api_key",
    AuthMethod.CLIENT_SECRET: "client_secret",
    AuthMethod.SESSION: "session",
    AuthMethod.LEGACY_SECRET: "legacy_secret",
    AuthMethod.PEER: "peer",
}


def security_schemes(runtime: Runtime) -> dict[str, Any]:
    """Every scheme, with the existing scopes."""
    scopes = {
        name: f"includes {', '.join(_included(runtime, name)) or 'nothing else'}"
        for name in runtime.config.graph.scopes
    }
    flow = {"tokenUrl": f"{runtime.config.public_url}/token", "scopes": scopes}
    return {
        "oauth2": {
            "type": "oauth2",
            "description": "An access token: `Authorization: Bearer TOKEN`. Programs get one at `/token`, people at"
            " `/login`.",
            "flows": {"clientCredentials": flow},
        },
        "user_api_key": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "herod_u_ID_SECRET",
            "description": "A user's API key, with at most its owner's grants. `Authorization: Bearer herod_u_…` or"
            " `X-API-Key: herod_u_…`.",
        },
        "service_api_key": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "herod_s_ID_SECRET",
            "description": "A service's API key, with its own grants. `Authorization: Bearer herod_s_…` or"
            " `X-API-Key: herod_s_…`.",
        },
        "client_secret": {
            "type": "http",
            "scheme": "basic",
            "description": "client_id and client_secret: `Authorization: Basic` (RFC 6749, section 2.3.1); at `/token`,"
            " `/introspect` and `/revoke` also as fields of the form.",
        },
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": "herod_session",
            "description": "A signed-in browser. The cookie holds one half of it; the other half is in the dashboard's"
            " own pages. `__Host-herod_session` on TLS.",
        },
        "legacy_secret": {
            "type": "apiKey",
            "in": "header",
            "name": "X-Herod-Secret",
            "description": "A secret from an older system: `X-Herod-Secret: SECRET` or `Authorization: Bearer SECRET`.",
        },
        "peer": {
            "type": "http",
            "scheme": "Peer",
            "description": "On a Unix socket: the local user that the kernel names, by a peer rule: `Authorization:"
            " Peer`. With the socket's cookie, `Authorization: Peer COOKIE`, root and the daemon's own user are admin.",
        },
    }


def needs_text(operation: Operation) -> str:
    """What a caller needs, for people."""
    if operation.person is not None:
        age = f", at most {operation.person // 60} minutes ago" if operation.person else ""
        return (
            f"Needs a person's session: opened with a passkey, or with email and password{age}. Sessions of API keys "
            "and client secrets do not count."
        )
    if operation.openid:
        return "Needs the access token of an app that asked for scope `openid`."
    if isinstance(operation.needs, str):
        return f"Needs scope `{operation.needs}`."
    return "Needs no credential." if operation.needs is Access.PUBLIC else "Needs a credential, of any scope."


def requirement(operation: Operation) -> list[dict[str, list[str]]]:
    """The schemes that an operation accepts, any one of them.

    The scope it needs is named with OAuth 2 alone: many tools take scopes nowhere else.
    """
    if operation.needs is Access.PUBLIC:
        return []
    scopes = [operation.needs] if isinstance(operation.needs, str) else []
    return [
        {scheme: scopes if method is AuthMethod.JWT else []}
        for method, scheme in SCHEMES.items()
        if (operation.methods is None or method in operation.methods)
        and not (operation.manages_keys and method is AuthMethod.USER_KEY)
    ]


def _included(runtime: Runtime, name: str) -> list[str]:
    graph = runtime.config.graph
    mask = graph.mask((name,))
    return [other for other in graph.scopes if other != name and not graph.mask((other,)) & ~mask]
