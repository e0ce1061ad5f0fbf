"""Signing in and out, with email and password or an API key. Each is an operation in the same pipeline as all others.

Must never show a typed secret again.
"""

from http import HTTPStatus
from typing import Any, Final

from quart import Response as Page
from quart import url_for
from quart_trio import QuartTrio

from herod.dashboard.csrf import cookie_half, cookie_name
from herod.dashboard.page_security import FORGET_ALL, FORGET_STORAGE, is_framed
from herod.dashboard.pages.signing_in.first_run import first_run_page
from herod.dashboard.pages.signing_in.second_step import second_step_page
from herod.dashboard.pipeline_gateway import Gateway, SignInNeeded, asked
from herod.dashboard.rendering import render, see_other
from herod.dashboard.signing_in.landing import LANDING, landing_of
from herod.dashboard.signing_in.sign_in_outcome import opening, refused, signed_in
from herod.identity.credential_types import Bearer
from herod.protocols.decode import read_form
from herod.protocols.http import Request
from herod_client.core.errors import HerodError, InvalidRequest, SecondFactorNeeded, Unauthenticated, Unavailable

__all__ = ["add_routes", "forget_session", "framed_page", "sign_in_page"]

_TOKEN: Final = "Not an API key: paste an API key, or sign in with email and password."  # noqa: S105 - a message


def add_routes(app: QuartTrio, gateway: Gateway) -> None:
    """Add the pages of this area."""
    pages = SignInPage(gateway)
    app.add_url_rule("/", "front", pages.front)
    app.add_url_rule("/ui", "enter", pages.enter)
    app.add_url_rule("/ui/", "enter_folder", pages.enter)
    app.add_url_rule("/ui/sign-in", "sign_in", pages.show)
    app.add_url_rule("/ui/sign-in", "sign_in_post", pages.sign_in, methods=["POST"])
    app.add_url_rule("/ui/sign-in/key", "sign_in_key", pages.sign_in_with_key, methods=["POST"])
    app.add_url_rule("/ui/sign-out", "sign_out", pages.sign_out, methods=["POST"])
    app.add_url_rule("/ui/signed-out", "signed_out", pages.signed_out)


class SignInPage:
    """The pages that visitors see without signing in."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def front(self) -> Page:
        """The sign-in page; before there is an account, how to create the first admin."""
        received, back = asked(), landing_of(asked())
        if is_framed(received):
            return await framed_page(back=back)
        try:
            status = await self._gateway.call_public("first_admin.status", {}, received.source)
        except Unavailable:  # signing in will say why
            return await sign_in_page(back=back)
        can_resume = await self._can_resume(received)
        if status.is_needed and not status.has_accounts:
            page = await first_run_page(back=back)
        else:
            page = await sign_in_page(back=back, can_resume=can_resume, lacks_admin=status.is_needed)
        # Nobody is signed in here since herod's start, so nothing is lost: only service workers, and void proofs.
        if not can_resume and not received.source.secure:
            page.headers["Clear-Site-Data"] = FORGET_STORAGE
        return page

    async def _can_resume(self, received: Request) -> bool:
        """Whether this browser may have a session, so that it is worth asking for the proof."""
        half = cookie_half(received)
        if half is None:  # a browser that comes from another site keeps the cookie back, until our own page asks
            return received.headers.get("sec-fetch-site") == "cross-site"
        status = await self._gateway.call_public("session.status", {"half": half}, received.source)
        is_open: bool = status.is_open
        return is_open

    async def show(self) -> Page:
        """The sign-in page."""
        return await sign_in_page(back=landing_of(asked()))

    async def enter(self) -> Page:
        """Redirect people who type the URL."""
        return see_other(url_for("front"))

    async def sign_in(self) -> Page:
        """Sign in by the form, and redirect to the first page."""
        received = asked()
        fields: dict[str, str] = {}
        back = None
        try:
            self._gateway.check_form(received)
            fields = read_form(received)
            back = fields.pop(LANDING, None)
            opened = await self._gateway.call_public(
                "session.sign_in", {**fields, **opening(received)}, received.source
            )
        except SecondFactorNeeded as needed:
            return await second_step_page(needed, back=back)
        except HerodError as error:
            return await sign_in_page(error=error, email=fields.get("email", ""), back=back)
        return signed_in(self._gateway, opened.cookie, back=back)

    async def sign_in_with_key(self) -> Page:
        """Sign in with a pasted API key: the session may do what the key may."""
        received = asked()
        back = None
        try:
            self._gateway.check_form(received)
            fields = read_form(received)
            back, key = fields.pop(LANDING, None), fields.pop("key", "").strip()
            if not key:
                raise InvalidRequest("Paste an API key.")
            opened = await self._gateway.call_public(
                "session.create", {**fields, **opening(received)}, received.source, presented=Bearer(key)
            )
        except HerodError as error:
            told = InvalidRequest(_TOKEN) if error.reason == "method_not_allowed" else error
            return await sign_in_page(error=told, by_key=True, back=back)
        return signed_in(self._gateway, opened.cookie, back=back)

    async def sign_out(self) -> Page:
        """End the session. The browser forgets it even if it had already ended, or the store could not be written."""
        try:
            visit, _ = await self._gateway.submitted()
            await self._gateway.call(visit, "session.delete")
        except (Unauthenticated, SignInNeeded):
            pass  # it has already ended
        except Unavailable as error:
            return forget_session(await sign_in_page(error=error))
        except HerodError as error:
            return await sign_in_page(error=error)
        return forget_session(see_other(url_for("signed_out")))

    async def signed_out(self) -> Page:
        """The sign-in page, with a notice that the visitor is signed out."""
        return await sign_in_page(notice="You are signed out.")


def forget_session(page: Page) -> Page:
    """Make the browser forget its session: the cookie, and pages that it may have kept.

    The cookies of others are left alone: they do not know ports, so a host's services share them.
    """
    received = asked()
    is_secure = received.is_https
    page.delete_cookie(cookie_name(received), path="/", httponly=True, samesite="Strict", secure=is_secure)
    page.headers["Clear-Site-Data"] = FORGET_ALL
    return page


async def framed_page(*, back: str | None) -> Page:
    """What a frame shows instead of a page to sign in on."""
    return await render("framed.html", is_entry=False, back=back)


async def sign_in_page(*, error: HerodError | None = None, **values: Any) -> Page:
    """The sign-in page, with the error, if there is one."""
    if error is None:
        return await render("sign_in.html", status=HTTPStatus.OK, error=None, **values)
    return await refused("sign_in.html", error, **values)
