"""What all ways to sign in share: the browser's data, its new session, and the page for an error.

Must never store more about a browser than its family.
"""

import re
from typing import Any, Final
from urllib.parse import urlsplit

from quart import Response as Page
from quart import current_app, url_for

from herod.dashboard.csrf import TICKET, cookie_half, cookie_name, cut
from herod.dashboard.pipeline_gateway import asked
from herod.dashboard.rendering import render, see_other
from herod.protocols.challenges import challenges
from herod.protocols.error_codes import row_of
from herod.protocols.http import Request
from herod_client.core.errors import HerodError, RateLimited

__all__ = ["family", "opening", "page_to_return_to", "refused", "signed_in"]

# Text in a User-Agent → browser family; the first match counts, because most browsers name others as well.
FAMILIES: Final = (
    ("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("FxiOS/", "Firefox"), ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"), ("Safari/", "Safari"),
)  # fmt: skip

# A path below our own folder, on this host: nothing in it could lead elsewhere.
OWN_PATH: Final = re.compile(r"/ui(/[A-Za-z0-9_-]+)+\Z", re.ASCII)


def opening(received: Request) -> dict[str, str]:
    """The parameters of a new session: the browser's family, and its cookie of an earlier session."""
    former = cookie_half(received)
    return {"browser": family(received.headers.get("user-agent", "")), **({"former": former} if former else {})}


def family(user_agent: str) -> str:
    """The browser family of a User-Agent."""
    return next((name for mark, name in FAMILIES if mark in user_agent), "another")


def page_to_return_to(received: Request) -> str | None:
    """The path of our page that was asked for, or from which a form was sent, without its query with the old ticket."""
    path = received.path if received.method == "GET" else urlsplit(received.headers.get("referer", "")).path
    return path if _is_own_page(path) else None


def _is_own_page(path: str) -> bool:
    """Whether it is the path of a page of ours, and not only of a form."""
    return bool(OWN_PATH.match(path)) and current_app.url_map.bind("").test(path, "GET")


def signed_in(cookie: str, *, back: str | None = None) -> Page:
    """Give a browser its session, half as a cookie and half in the URL, and redirect it.

    Args:
        back: the path of our page to go to, if it is one; the first page by default.
    """
    received = asked()
    half, ticket = cut(cookie)
    path = back if back is not None and _is_own_page(back) else url_for("overview")
    page = see_other(f"{path}?{TICKET}={ticket}")
    page.set_cookie(
        cookie_name(received), half, path="/", httponly=True, samesite="Strict", secure=received.source.secure
    )
    return page


async def refused(template: str, error: HerodError, **values: Any) -> Page:
    """A form again, with its error."""
    page = await render(template, status=row_of(error).http, error=error, **values)
    page.headers.extend(challenges(error))
    if isinstance(error, RateLimited):
        page.headers["Retry-After"] = str(error.retry_after)
    return page
