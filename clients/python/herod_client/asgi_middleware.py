"""Middleware for ASGI services (Quart, Starlette, FastAPI, on trio or asyncio) that admits requests with a valid token.

`scope["herod"]` is then the `VerifiedToken` of the caller. Refused requests are answered here, as in RFC 6750 and in
herod's error format. Independent of frameworks.
"""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final, Protocol, TypeAlias

import msgspec

from herod_client.client_errors import InvalidInput
from herod_client.core.errors import (
    BadCredentials,
    BadToken,
    HerodError,
    InvalidRequest,
    MissingScope,
    PermissionDenied,
    Unavailable,
)
from herod_client.core.grants import check_required_network
from herod_client.core.resource_indicators import check_required_resource
from herod_client.core.scope_graph import split_scope
from herod_client.offline_token_verification import VerifiedToken

__all__ = ["HerodMiddleware"]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
AsgiApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

KEY: Final = "herod"
POLICY_VIOLATION: Final = 1008  # RFC 6455, section 7.4.1
RETRY_SECONDS: Final = b"1"


class Verifies(Protocol):
    """A `Verifier` or `ThreadedVerifier`."""

    def verify(self, token: str, *, scope: str | None = None, network: str | None = None) -> VerifiedToken:
        """See `Verifier.verify`."""


class HerodMiddleware:
    """Passes requests with a valid token to `app`.

    Args:
        app: the protected application.
        verifier: must be entered before the first request comes.
        scope: required of every token; routes that need more check `scope["herod"].scopes`.
        network: the network that every token must reach; by default the verifier's own.
        resource: the URI of this application: a token with `aud` is for that or for what lies below it; by default the
            verifier's own. Passed to the verifier only if it is given.
        public: paths, exactly as requested, that need no token: no `scope["herod"]` is set there.

    Raises:
        InvalidInput: the scope, network or resource is empty, blank or ill-formed. If it is unknown to herod, every
            request raises it: that is a fault of the service, which its server answers with 500.
    """

    def __init__(
        self,
        app: AsgiApp,
        verifier: Verifies,
        *,
        scope: str | None = None,
        network: str | None = None,
        resource: str | None = None,
        public: Iterable[str] = (),
    ) -> None:
        try:
            if scope is not None and not split_scope(scope):
                raise InvalidInput("The required scope is empty: give one or more, or leave it out.")
            if network is not None:
                check_required_network(network)
            if resource is not None:
                check_required_resource(resource)
        except InvalidRequest as error:
            raise InvalidInput(error.message) from None
        if isinstance(public, str):
            raise InvalidInput("public is a string: give a list of paths.")
        self._app = app
        self._verifier = verifier
        self._scope = scope
        self._network = network
        self._resource = resource
        self._public = frozenset(public)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or pass it to the application."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        inner = {name: value for name, value in scope.items() if name != KEY}
        if scope.get("path") not in self._public:
            try:
                token = _bearer(scope.get("headers", ()))
                # A verifier of the service's own may know nothing of resources.
                further = {} if self._resource is None else {"resource": self._resource}
                inner[KEY] = self._verifier.verify(token, scope=self._scope, network=self._network, **further)
            except HerodError as error:
                await _refuse(scope, receive, send, error)
                return
        await self._app(inner, receive, send)


def _bearer(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The token of a request (RFC 6750, section 2.1).

    Raises:
        BadCredentials: there is none.
        InvalidRequest: there are two.
        BadToken: it contains characters that no token has.
    """
    values = [value for name, value in headers if name.lower() == b"authorization"]
    if len(values) > 1:
        raise InvalidRequest("The request presents two credentials: send one.")
    scheme, _, token = values[0].partition(b" ") if values else (b"", b"", b"")
    if scheme.lower() != b"bearer":
        raise BadCredentials("This needs an access token from herod: send Authorization: Bearer.")
    try:
        return token.strip().decode("ascii")
    except UnicodeDecodeError:
        raise BadToken("The token is malformed: ask for a new one.", reason="malformed") from None


async def _refuse(scope: Scope, receive: Receive, send: Send, error: HerodError) -> None:
    if scope["type"] == "websocket":
        await receive()  # websocket.connect; a close before the accept is answered as a 403
        await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        return
    if scope["type"] != "http":
        return  # an unknown type cannot be refused: send nothing, and do not call `app`
    status, more = _status(error)
    body = msgspec.json.encode({"error": {"code": error.code, "message": error.message}})
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"pragma", b"no-cache"),
        *more,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def _status(error: HerodError) -> tuple[int, list[tuple[bytes, bytes]]]:
    """HTTP status and headers (RFC 6750, section 3)."""
    match error:
        case InvalidRequest():
            return 400, [(b"www-authenticate", b'Bearer realm="herod", error="invalid_request"')]
        case BadCredentials():
            return 401, [(b"www-authenticate", b'Bearer realm="herod"')]
        case MissingScope(missing=missing):
            return 403, [(b"www-authenticate", f'Bearer error="insufficient_scope", scope="{missing}"'.encode())]
        case PermissionDenied():
            return 403, []
        case Unavailable():
            return 503, [(b"retry-after", RETRY_SECONDS)]
        case _:
            return 401, [(b"www-authenticate", b'Bearer realm="herod", error="invalid_token"')]
