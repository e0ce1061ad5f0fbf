"""What every way to sign in shares: what is known of the browser, its new session, and the page that refuses it.

Must never keep more of a browser than its family.
"""

from typing import Any, Final

from quart import Response as Page
from quart import url_for

from herod.dashboard.csrf import TICKET, cookie_half, cookie_name, cut
from herod.dashboard.pipeline_gateway import asked
from herod.dashboard.rendering import render, see_other
from herod.protocols.error_codes import row_of
from herod.protocols.http import Request
from herod_client.core.errors import HerodError, RateLimited, Unauthenticated

__all__ = ["family", "opening", "refused", "signed_in"]

# What stands in a User-Agent → whose browser that is; the first that does counts, as most name others besides.
FAMILIES: Final = (
    ("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("FxiOS/", "Firefox"), ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"), ("Safari/", "Safari"),
)  # fmt: skip


def opening(received: Request) -> dict[str, str]:
    """What a session that is made now should know: the browser's family, and what it holds of an earlier one."""
    former = cookie_half(received)
    return {"browser": family(received.headers.get("user-agent", "")), **({"former": former} if former else {})}


def family(user_agent: str) -> str:
    """Which browser says this of itself."""
    return next((name for mark, name in FAMILIES if mark in user_agent), "another")


def signed_in(cookie: str) -> Page:
    """Give a browser its session, one half as a cookie and one in the address, and lead it to the first page."""
    received = asked()
    half, ticket = cut(cookie)
    page = see_other(f"{url_for('overview')}?{TICKET}={ticket}")
    page.set_cookie(
        cookie_name(received), half, path="/", httponly=True, samesite="Strict", secure=received.source.secure
    )
    return page


async def refused(template: str, error: HerodError, **values: Any) -> Page:
    """A form once more, with what was wrong with it."""
    page = await render(template, status=row_of(error).http, error=error, **values)
    if isinstance(error, Unauthenticated):
        page.headers["WWW-Authenticate"] = "Bearer"  # which a 401 must have, and no browser asks about
    elif isinstance(error, RateLimited):
        page.headers["Retry-After"] = str(error.retry_after)
    return page
