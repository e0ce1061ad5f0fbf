"""What all ways to sign in share: the browser's data, its new session, and the page for an error.

Must never store more about a browser than its family.
"""

from typing import Any, Final

from quart import Response as Page
from quart import url_for

from herod.dashboard.csrf import cookie_half, cookie_name, cut
from herod.dashboard.page_security import FORGET_ALL, as_entry
from herod.dashboard.pipeline_gateway import Gateway, asked
from herod.dashboard.rendering import render, see_other
from herod.dashboard.signing_in.landing import open_path, with_ticket
from herod.protocols.challenges import challenges
from herod.protocols.error_codes import row_of
from herod.protocols.http import Request
from herod_client.core.errors import HerodError, RateLimited

__all__ = ["device_name", "family", "opening", "refused", "signed_in"]

# Text in a User-Agent → browser family; the first match counts, because most browsers name others as well.
FAMILIES: Final = (
    ("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("FxiOS/", "Firefox"), ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"), ("Safari/", "Safari"),
)  # fmt: skip


# Text in a User-Agent → what people call the device; the first match counts.
DEVICES: Final = (
    ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("CrOS", "Chromebook"), ("Mac OS X", "Mac"),
    ("Windows", "Windows"), ("Linux", "Linux"),
)  # fmt: skip


def opening(received: Request) -> dict[str, str]:
    """The parameters of a new session: the browser's family, and its cookie of an earlier session."""
    former = cookie_half(received)
    return {"browser": family(received.headers.get("user-agent", "")), **({"former": former} if former else {})}


def family(user_agent: str) -> str:
    """The browser family of a User-Agent."""
    return next((name for mark, name in FAMILIES if mark in user_agent), "another")


def device_name(received: Request) -> str:
    """A name for the browser that asks, to be changed by its person: "Chrome on Linux"."""
    user_agent = received.headers.get("user-agent", "")
    browser = family(user_agent)
    device = next((name for mark, name in DEVICES if mark in user_agent), "")
    return " on ".join(one for one in ("" if browser == "another" else browser, device) if one)


def signed_in(gateway: Gateway, cookie: str, *, back: str | None = None) -> Page:
    """Give a browser its session, half as a cookie and half in the URL, and redirect it.

    Args:
        gateway: knows the keys that open `back`.
        back: the sealed path of our page to go to (`landing.py`); the first page by default.
    """
    received = asked()
    half, ticket = cut(cookie)
    path = open_path(gateway.pipeline.runtime, back, gateway.pipeline.now()) or url_for("overview")
    page = as_entry(see_other(with_ticket(path, ticket)))
    # Service workers, and scripts for new ones, that another local user left here while herod was down.
    page.headers["Clear-Site-Data"] = FORGET_ALL
    page.set_cookie(cookie_name(received), half, path="/", httponly=True, samesite="Strict", secure=received.is_https)
    return page


async def refused(template: str, error: HerodError, **values: Any) -> Page:
    """A form again, with its error."""
    page = await render(template, status=row_of(error).http, error=error, **values)
    page.headers.extend(challenges(error))
    if isinstance(error, RateLimited):
        page.headers["Retry-After"] = str(error.retry_after)
    return page
