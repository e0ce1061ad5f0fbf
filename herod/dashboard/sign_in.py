"""Signing in and out: by email and password or by API key. Each is an operation, by the one road of all."""

from http import HTTPStatus
from typing import Any

from quart import Response as Page
from quart import url_for
from quart_trio import QuartTrio

from herod.dashboard.door import Door, SignInNeeded, asked
from herod.dashboard.rendering import render, see_other
from herod.dashboard.tickets import TICKET, check_same_origin, cookie_name, cut
from herod.errors import HerodError, RateLimited, Unauthenticated
from herod.protocols.codes import row_of
from herod.protocols.reading import read_form

__all__ = ["add_routes", "sign_in_page", "signed_in"]


def add_routes(app: QuartTrio, door: Door) -> None:
    """Add the pages of this area."""
    pages = SignIn(door)
    app.add_url_rule("/", "front", pages.front)
    app.add_url_rule("/ui", "enter", pages.enter)
    app.add_url_rule("/ui/", "enter_folder", pages.enter)
    app.add_url_rule("/ui/sign-in", "sign_in", pages.front)
    app.add_url_rule("/ui/sign-in", "sign_in_post", pages.sign_in, methods=["POST"])
    app.add_url_rule("/ui/sign-out", "sign_out", pages.sign_out, methods=["POST"])
    app.add_url_rule("/ui/signed-out", "signed_out", pages.signed_out)


class SignIn:
    """The pages that anybody may see."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def front(self) -> Page:
        """The sign-in page."""
        return await sign_in_page()

    async def enter(self) -> Page:
        """Where people who type an address by heart are led on."""
        return see_other(url_for("front"))

    async def sign_in(self) -> Page:
        """Sign in by the form, and go to where one is signed in."""
        received = asked()
        fields: dict[str, str] = {}
        try:
            check_same_origin(received)
            fields = read_form(received)
            opened = await self._door.call_public("session.sign_in", fields, received.source)
        except HerodError as error:
            return await sign_in_page(error=error, email=fields.get("email", ""))
        return signed_in(opened.cookie)

    async def sign_out(self) -> Page:
        """End the session. The cookie goes even where there was none any more."""
        received = asked()
        try:
            visit, _ = await self._door.submitted()
            await self._door.call(visit, "session.delete")
        except (Unauthenticated, SignInNeeded):
            pass  # it is over already
        except HerodError as error:
            return await sign_in_page(error=error)
        page = see_other(url_for("signed_out"))
        name, is_secure = cookie_name(received), received.source.secure
        page.delete_cookie(name, path="/", httponly=True, samesite="Strict", secure=is_secure)
        return page

    async def signed_out(self) -> Page:
        """The sign-in page, saying that one is out."""
        return await sign_in_page(notice="You are signed out.")


def signed_in(cookie: str) -> Page:
    """Give a browser its session, one half as a cookie and one in the address, and lead it to the first page."""
    received = asked()
    half, ticket = cut(cookie)
    page = see_other(f"{url_for('overview')}?{TICKET}={ticket}")
    page.set_cookie(
        cookie_name(received), half, path="/", httponly=True, samesite="Strict", secure=received.source.secure
    )
    return page


async def sign_in_page(*, error: HerodError | None = None, **values: Any) -> Page:  # noqa: ANN401 - what the template shows
    """The page to sign in on, saying what went wrong, if something did."""
    status = HTTPStatus.OK if error is None else row_of(error).http
    page = await render("sign_in.html", status=status, error=error, **values)
    if isinstance(error, Unauthenticated):
        page.headers["WWW-Authenticate"] = "Bearer"  # which a 401 must have, and no browser asks about
    elif isinstance(error, RateLimited):
        page.headers["Retry-After"] = str(error.retry_after)
    return page
