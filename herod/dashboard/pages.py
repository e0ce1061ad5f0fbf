"""The pages: signing in, who one is, signing out. Each change is an operation, by the one road of all.

Handlers must be `async` and must never wait without a checkpoint: the server gives a page up by cancelling it.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from quart import Response as Page
from quart import abort, render_template, request, url_for
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from herod.dashboard.assets import Assets
from herod.dashboard.tickets import TICKET, check_same_origin, cookie_name, cut, is_from_own_page, join
from herod.errors import HerodError, RateLimited, Unauthenticated
from herod.operations.pipeline import Pipeline
from herod.operations.registry import Operation
from herod.protocols.codes import row_of
from herod.protocols.http import MAX_BODY, Request
from herod.protocols.reading import convert_params, read_form, read_query

__all__ = ["make_app"]

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; "
        "base-uri 'none'"
    ),
    # Other origins get no referrer, and forms still get their Origin, which `no-referrer` would make "null".
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
IMMUTABLE: Final = "public, max-age=31536000, immutable"


def make_app(pipeline: Pipeline, operations: Mapping[str, Operation]) -> QuartTrio:
    """Build the application; it expects herod's own request in `scope["state"]["request"]`."""
    app = QuartTrio("herod.dashboard", static_folder=None)
    app.debug = False  # whatever QUART_DEBUG says: a traceback is for the log
    app.config.update(MAX_CONTENT_LENGTH=MAX_BODY, PROVIDE_AUTOMATIC_OPTIONS=False)
    app.url_map.merge_slashes = False  # no redirects of Werkzeug's own
    app.url_map.strict_slashes = True
    assets = Assets()
    app.jinja_env.globals.update(
        asset=lambda name: url_for("static_file", name=assets.served_name(name)), version=pipeline.realm.version
    )
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    Dashboard(pipeline, operations, assets).add_to(app)
    return app


class Dashboard:
    """The pages of one daemon."""

    def __init__(self, pipeline: Pipeline, operations: Mapping[str, Operation], assets: Assets) -> None:
        self._pipeline = pipeline
        self._operations = operations
        self._assets = assets

    def add_to(self, app: QuartTrio) -> None:
        """Add the routes, and what holds for every answer."""
        app.add_url_rule("/", "front", self.front)
        app.add_url_rule("/ui", "enter", self.enter)
        app.add_url_rule("/ui/", "enter_folder", self.enter)
        app.add_url_rule("/ui/sign-in", "sign_in", self.front)
        app.add_url_rule("/ui/sign-in", "sign_in_post", self.sign_in, methods=["POST"])
        app.add_url_rule("/ui/home", "home", self.home)
        app.add_url_rule("/ui/sign-out", "sign_out", self.sign_out, methods=["POST"])
        app.add_url_rule("/ui/signed-out", "signed_out", self.signed_out)
        app.add_url_rule("/ui/static/<name>", "static_file", self.static_file)
        app.register_error_handler(HTTPException, self.refuse)
        app.after_request(_protect)

    async def front(self) -> Page:
        """The sign-in page."""
        return await _sign_in_page()

    async def enter(self) -> Page:
        """Where people who type an address by heart are led on."""
        return _see_other(url_for("front"))

    async def sign_in(self) -> Page:
        """Sign in by the form, and go to where one is signed in."""
        asked = _asked()
        fields: dict[str, str] = {}
        try:
            check_same_origin(asked)
            fields = read_form(asked)
            opened = await self._call("session.sign_in", fields)
        except HerodError as error:
            return await _sign_in_page(error=error, email=fields.get("email", ""))
        half, ticket = cut(opened.cookie)
        page = _see_other(f"{url_for('home')}?{TICKET}={ticket}")
        page.set_cookie(
            cookie_name(asked), half, path="/", httponly=True, samesite="Strict", secure=asked.source.secure
        )
        return page

    async def home(self) -> Page:
        """Who is signed in."""
        asked = _asked()
        try:
            ticket = read_query(asked.query).get(TICKET)
            if join(asked, ticket) is None or not is_from_own_page(asked):
                return _see_other(url_for("front"))
            who = await self._call("whoami", {}, ticket=ticket)
        except HerodError as error:
            return await _sign_in_page(error=error)
        return await _page("home.html", who=who, ticket=ticket)

    async def sign_out(self) -> Page:
        """End the session. The cookie goes even where there was none any more."""
        asked = _asked()
        try:
            check_same_origin(asked)
            await self._call("session.delete", {}, ticket=read_form(asked).get(TICKET))
        except Unauthenticated:
            pass  # it is over already
        except HerodError as error:
            return await _sign_in_page(error=error)
        page = _see_other(url_for("signed_out"))
        page.delete_cookie(cookie_name(asked), path="/", httponly=True, samesite="Strict", secure=asked.source.secure)
        return page

    async def signed_out(self) -> Page:
        """The sign-in page, saying that one is out."""
        return await _sign_in_page(notice="You are signed out.")

    async def static_file(self, name: str) -> Page:
        """A file that pages bring along."""
        asset = self._assets.find(name)
        if asset is None:
            abort(HTTPStatus.NOT_FOUND)
        headers = {"ETag": asset.etag, "Cache-Control": IMMUTABLE}
        if asset.etag in _asked().headers.get("if-none-match", ""):
            return Page(b"", HTTPStatus.NOT_MODIFIED, headers)
        return Page(asset.data, HTTPStatus.OK, headers, content_type=asset.media_type)

    async def refuse(self, error: HTTPException) -> Page:
        """What Quart itself refuses, as a page; a fault of ours says nothing of itself."""
        status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
        page = await _page("refused.html", status, status=HTTPStatus(status))
        if isinstance(error, MethodNotAllowed):
            page.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
        return page

    async def _call(self, name: str, fields: Mapping[str, str], *, ticket: str | None = None) -> Any:  # noqa: ANN401 - each operation has its own result
        asked = _asked()
        operation = self._operations[name]
        params = convert_params(operation, fields, is_text=True)
        return await self._pipeline.call(operation, params, join(asked, ticket), asked.source)


def _asked() -> Request:
    """The request as herod's own reader understood it."""
    asked: Request = request.scope["state"]["request"]
    return asked


async def _page(template: str, http_status: int = HTTPStatus.OK, /, **values: Any) -> Page:  # noqa: ANN401 - what the template shows
    return Page(await render_template(template, **values), http_status, content_type="text/html; charset=utf-8")


def _see_other(location: str) -> Page:
    """Lead a browser on by GET, so that going back or reloading sends no form twice."""
    return Page("", HTTPStatus.SEE_OTHER, {"Location": location})


async def _sign_in_page(*, error: HerodError | None = None, notice: str = "", email: str = "") -> Page:
    status = HTTPStatus.OK if error is None else row_of(error).http
    page = await _page("sign_in.html", status, error=error, notice=notice, email=email)
    if isinstance(error, Unauthenticated):
        page.headers["WWW-Authenticate"] = "Bearer"  # which a 401 must have, and no browser asks about
    elif isinstance(error, RateLimited):
        page.headers["Retry-After"] = str(error.retry_after)
    return page


async def _protect(page: Page) -> Page:
    page.headers.update(HEADERS)
    page.headers.setdefault("Cache-Control", "no-store")
    return page
