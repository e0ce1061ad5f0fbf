"""Routes each request to its handler, behind the Host and Origin guard. A `Router` is the server's handler."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from herod.pipeline.operation_definition import Operation
from herod.pipeline.pipeline import Pipeline
from herod.protocols.client_registration import registration_handler
from herod.protocols.cross_origin import CrossOrigin, Headers, asked_method, is_preflight, preflight_answer, readable
from herod.protocols.decode import unquote_segment
from herod.protocols.documents.document_routes import OPENAPI_PATH, OPENRPC_PATH, DocumentRoutes
from herod.protocols.documents.oauth_metadata import OAuthMetadata
from herod.protocols.documents.server_metadata import AUTHORIZE_PATH, LOGOUT_PATH
from herod.protocols.error_formats import MCP_PATH, RPC_PATH, ErrorFormats, is_form_route, without_final_slash
from herod.protocols.host_and_origin_guard import Guard, PageKind, is_at_public_https, is_same_origin
from herod.protocols.http import NO_STORE, Asked, Handler, Request, Response
from herod.protocols.jsonrpc import JsonRpc
from herod.protocols.mcp.endpoint import McpEndpoint
from herod.protocols.oauth_forms import oauth_handler
from herod.protocols.refused_requests import note_refusal
from herod.protocols.request_source import request_source
from herod.protocols.responses import json_response
from herod.protocols.rest import PathHandler, rest_handler
from herod.scopes.principal import OTHER_ORIGIN, Source
from herod.settings.trusted_proxies import NO_PROXIES, TrustedProxies
from herod.web_origins import origin_of
from herod_client.core.errors import HerodError, MethodNotAllowed, NotFound, UnsupportedEncoding

__all__ = ["Router"]

PAGES: Final = "/ui/"
# Another local user can leave a service worker in somebody's browser while herod is down, which then answers for herod.
# The browser asks for its script again whenever it has answered for a page (Service Workers, "Soft Update"): this ends
# all of this origin.
NO_SERVICE_WORKER: Final = Response(
    404,
    b"Herod has no service workers.\n",
    (("Content-Type", "text/plain; charset=utf-8"), ("Clear-Site-Data", '"storage"'), *NO_STORE),
)
# The target of OPTIONS that asks about the server itself (RFC 9110, section 9.3.7).
WHOLE_SERVER: Final = "*"


class Router:
    """All HTTP endpoints in one callable.

    Args:
        pipeline: runs every request.
        operations: the operation table.
        guard: checks each request first.
        pages: the dashboard's handler for `/`, `/ui` and below it, if there is one; it checks methods itself.
        proxies: who may name the client that a request comes from.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        operations: Mapping[str, Operation],
        guard: Guard,
        pages: Handler | None = None,
        proxies: TrustedProxies = NO_PROXIES,
    ) -> None:
        self._guard = guard
        self._pipeline = pipeline
        self._proxies = proxies
        self._formats = ErrorFormats(operations.values(), pipeline.runtime.config.version)
        self._fixed: dict[tuple[str, str], PathHandler] = {}
        self._patterns: dict[tuple[str, int], list[tuple[tuple[str, ...], PathHandler]]] = defaultdict(list)
        self._methods: dict[str, set[str]] = defaultdict(set)
        documents = DocumentRoutes(operations, pipeline.runtime)
        self._add("GET", OPENAPI_PATH, _document_handler(documents.openapi))
        self._add("GET", OPENRPC_PATH, _document_handler(documents.openrpc))
        metadata = OAuthMetadata(pipeline.runtime, pipeline.now, operations.values()).handlers()
        self._cross_origin = CrossOrigin(metadata)
        for path, handler in metadata.items():
            self._add("GET", path, handler)
        rpc = JsonRpc(pipeline, operations, documents.openrpc_result)
        self._add("POST", "/", rpc)
        self._add("POST", RPC_PATH, rpc)
        self._add("POST", MCP_PATH, McpEndpoint(pipeline, operations))
        self._pages = pages
        if pages is not None:
            self._add("GET", "/", _page_handler(pages))
            for method in ("GET", "POST"):
                self._add(method, AUTHORIZE_PATH, _page_handler(pages))
                self._add(method, LOGOUT_PATH, _page_handler(pages))
        forms: dict[tuple[str, str], list[Operation]] = defaultdict(list)
        for operation in operations.values():
            for route in operation.routes:
                if is_form_route(operation, route.path):
                    forms[route.method, route.path].append(operation)
                elif operation.members:
                    self._add(route.method, route.path, registration_handler(pipeline, operation))
                else:
                    self._add(route.method, route.path, rest_handler(pipeline, operation, route))
        for (method, path), sharing in forms.items():
            self._add(method, path, oauth_handler(pipeline, sharing))

    async def __call__(self, request: Request) -> Response:
        """Answer one request."""
        if request.path[-1:] == "/":
            request.path = without_final_slash(request.path)
        request.is_at_public_https = is_at_public_https(request, self._pipeline.runtime.config.public_url)
        allowed: Headers = ()
        if "origin" in request.headers:
            admitted = self._admit_page(request, request.headers["origin"])
            if isinstance(admitted, Response):
                return admitted
            allowed = admitted
        else:
            request.source = request_source(request, self._proxies)
            refused = self._guard.check_host(request)
            if refused is not None:
                return self.refuse(refused, Asked(request.method, request.path), request.source)
        if "service-worker" in request.headers:
            return NO_SERVICE_WORKER
        method = "GET" if request.method == "HEAD" else request.method
        handler = self._fixed.get((method, request.path))
        try:
            if "content-encoding" in request.headers:
                _check_encoding(request)
            if handler is not None:
                response = await handler(request, {})
            elif self._pages is not None and f"{request.path}/".startswith(PAGES):
                response = await self._pages(request)
            else:
                found = self._match(method, request.path)
                response = self._without_route(request) if found is None else await found[0](request, found[1])
        except HerodError as error:  # handlers answer their own errors
            response = self._formats.write(error, request.method, request.path)
        return readable(response, allowed) if allowed else response

    def _admit_page(self, request: Request, sent: str) -> Response | Headers:
        """Let a web page's request pass, without what its visitor's browser is; or the answer that it gets already.

        Args:
            request: the request, which is changed.
            sent: its Origin header.

        Returns:
            The headers that its answer needs for the page to read it; or a refusal, or the answer to a preflight.
        """
        origin, config = sent.lower(), self._pipeline.runtime.config
        kind = self._guard.kind_of(origin, request, origin_of(config.public_url) if config.has_browser_origin else None)
        request.is_from_own_page = kind is PageKind.OWN
        request.source = request_source(request, self._proxies, _page_name(kind, origin))
        refused = self._guard.check_host(request)
        if refused is not None:
            return self.refuse(refused, Asked(request.method, request.path), request.source)
        method = asked_method(request)
        foreign = self._cross_origin.check(kind, method, request.path)
        if foreign is not None:
            return self.refuse(foreign, Asked(method, request.path, sent), request.source)
        if is_same_origin(origin, request):
            return ()
        if not request.is_from_own_page:
            request.headers = {name: value for name, value in request.headers.items() if name != "cookie"}
        allowed = self._cross_origin.headers(kind, sent, method, request.path)
        return preflight_answer(request, allowed) if allowed and is_preflight(request) else allowed

    def refuse(self, error: HerodError, asked: Asked, source: Source) -> Response:
        """The response to a request that no handler gets, in the format of its path; noted if it is evidence.

        Args:
            error: why.
            asked: what is known of the request.
            source: where the request came from.
        """
        note_refusal(self._pipeline, source, error)
        response = self._formats.write(error, asked.method, asked.path)
        if asked.origin is None:
            return response
        kind = self._guard.foreign_kind_of(asked.origin.lower())
        path = without_final_slash(asked.path)
        return readable(response, self._cross_origin.headers(kind, asked.origin, asked.method, path))

    def _add(self, method: str, path: str, handler: PathHandler) -> None:
        segments = tuple(path.split("/"))
        if "{" in path:
            self._patterns[method, len(segments)].append((segments, handler))
        else:
            self._fixed[method, path] = handler
        self._methods[_shape(segments)].add(method)

    def _match(self, method: str, path: str) -> tuple[PathHandler, dict[str, str]] | None:
        asked = path.split("/")
        for segments, handler in self._patterns.get((method, len(asked)), ()):
            values = _values(segments, asked)
            if values is not None:
                return handler, values
        return None

    def _without_route(self, request: Request) -> Response:
        """The answer to OPTIONS, or to a method that the path does not take.

        Raises:
            MethodNotAllowed, NotFound: there is no such route.
        """
        allowed = self._allowed(request.path)
        if not allowed:
            raise NotFound("Not found: check the path.")
        if request.method == "OPTIONS":
            return Response(204, headers=(("Allow", ", ".join(allowed)),))
        *most, last = allowed
        raise MethodNotAllowed(f"This path takes {', '.join(most)}{' or ' if most else ''}{last}.", allowed=allowed)

    def _allowed(self, path: str) -> tuple[str, ...]:
        """The methods that a path takes; none for an unknown path."""
        asked = path.split("/")
        found = {
            method
            for shape, methods in self._methods.items()
            if path == WHOLE_SERVER or (len(shape.split("/")) == len(asked) and _fits(shape.split("/"), asked))
            for method in methods
        }
        return tuple(sorted(found | {"HEAD"} if "GET" in found else found))


def _document_handler(get: Callable[[], Awaitable[bytes]]) -> PathHandler:
    async def answer(request: Request, path: dict[str, str]) -> Response:
        return json_response(b"", shared=await get())

    return answer


def _page_name(kind: PageKind, origin: str) -> str:
    """The name of a foreign page for limits; all that the guard does not know have one."""
    if kind is PageKind.OWN:
        return ""
    return OTHER_ORIGIN if kind is PageKind.FOREIGN else origin


def _page_handler(pages: Handler) -> PathHandler:
    return lambda request, path: pages(request)


def _values(segments: tuple[str, ...], asked: list[str]) -> dict[str, str] | None:
    values: dict[str, str] = {}
    for segment, text in zip(segments, asked, strict=True):
        if segment.startswith("{"):
            if not text:
                return None
            values[segment[1:-1]] = unquote_segment(text)
        elif segment != text:
            return None
    return values


def _shape(segments: tuple[str, ...]) -> str:
    return "/".join("{}" if segment.startswith("{") else segment for segment in segments)


def _fits(shape: list[str], asked: list[str]) -> bool:
    return all(segment == text or (segment == "{}" and text) for segment, text in zip(shape, asked, strict=True))


def _check_encoding(request: Request) -> None:
    """Refuse what was compressed on its way: the limits on a body's size would not hold.

    Raises:
        UnsupportedEncoding: it was.
    """
    if request.headers["content-encoding"].lower() not in {"", "identity"}:
        raise UnsupportedEncoding("Compressed bodies are not supported: send the body without Content-Encoding.")
