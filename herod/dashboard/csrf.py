"""What a browser holds of a session, and how herod knows that a form comes from a page of its own.

Cookies know hosts, not ports. Whoever serves pages on another port of this host, another local user say, is the same
*site* for browsers: they send that server our cookie when its page is opened, whatever SameSite and HttpOnly say, and
let it set cookies over ours. So:

- The session's secret is cut in two. One half is the cookie. The other, the ticket, stands in the query of our pages'
  links and in their forms, which no other origin can read: scheme, host *and port* make an origin. Referrers are
  not sent to other origins, and logs leave queries out. A stolen cookie opens nothing, here or at the API.
- A form of another port brings that port's `Origin` and `Sec-Fetch-Site: same-site`: the first is refused by the guard
  before routing, both are refused here, and it cannot know the ticket. Signing in, where there is no ticket yet, rests
  on the first two: a token tied to a cookie could be put there, cookie and all, by the other port.
- A cookie it sets over ours signs the browser out at worst. To put a browser into a session of its own it would need
  to lead it to our pages besides, and whoever does not come from one of them (`Sec-Fetch-Site` again) gets the sign-in
  page. A typed address too: typed at the other port, it may be led on to ours, and browsers still say `none`.
- `SameSite=Strict` keeps other sites from sending the cookie at all.
- Where pages may be shown in a frame (`frame_origins`), the frame's origin is still ours: the page around it reads and
  sends nothing, and only those origins may be around it.

A one-time code signs a browser in from a terminal (`herod ui`). It has to come in by an address, from a file on the
disk, which browsers call `cross-site`, as they call a link that somebody else made with a code of their own. The two
cannot be told apart, so an address with a code signs nobody in:

- It shows a page that says whose session the code opens, by name, email, scope and how they were known, and asks. Only
  the form of that page, which is held to the same origin as any other, uses the code. No script sends it by itself,
  and its button does not have the focus: a key that somebody happens to press says nothing.
- Looking at the page uses nothing up: what fetches addresses ahead does no harm. A code lives a minute, works once, and
  opens no more than what asked for it holds. It does not stand in the page that follows, nor in a referrer or a log.

Signing in ends what the browser had before: the earlier session is found by the cookie's half alone. Who has stolen
that half can sign that browser out so, as by setting a cookie over ours, and nothing more.

Must never tell cookie and ticket to the same place but the browser.
"""

from typing import Final

from herod.identity.credential_types import SessionCookie
from herod.operations.sessions import COOKIE_CHARACTERS
from herod.protocols.credential_headers import SESSION_COOKIE, SESSION_COOKIE_TLS
from herod.protocols.host_and_origin_guard import is_own_origin
from herod.protocols.http import Request
from herod_client.core.errors import InvalidRequest

__all__ = ["TICKET", "check_same_origin", "cookie_half", "cookie_name", "cut", "is_from_own_page", "join"]

# The name of the query parameter and of the form's field.
TICKET: Final = "ticket"
_FOREIGN: Final = "This form was not sent by a page of herod's: open herod's own page and try again."


def cut(secret: str) -> tuple[str, str]:
    """A session's secret as the cookie's half and the ticket."""
    return secret[:COOKIE_CHARACTERS], secret[COOKIE_CHARACTERS:]


def cookie_half(request: Request) -> str | None:
    """What the browser's cookie holds of a session, if there is one."""
    # Ours has the widest path, so it stands last (RFC 6265, section 5.4), behind what another port may have set.
    halves = [value for name, value in _cookies(request) if name == cookie_name(request)]
    return halves[-1] if halves else None


def join(request: Request, ticket: str | None) -> SessionCookie | None:
    """The session that the request's cookie and this ticket make up; None when one is missing."""
    half = cookie_half(request)
    return SessionCookie(half + ticket) if half and ticket else None


def cookie_name(request: Request) -> str:
    """On TLS a name that browsers let nobody set without TLS, or for more than this host."""
    return SESSION_COOKIE_TLS if request.source.secure else SESSION_COOKIE


def check_same_origin(request: Request) -> None:
    """Refuse a form that another origin's page sent, or that no browser of today did.

    Raises:
        InvalidRequest: `Origin` is missing or not ours, or `Sec-Fetch-Site` says otherwise.
    """
    site = request.headers.get("sec-fetch-site", "same-origin")
    if site != "same-origin" or not is_own_origin(request.headers.get("origin", ""), request):
        raise InvalidRequest(_FOREIGN, reason="foreign_form")


def is_from_own_page(request: Request) -> bool:
    """Whether a page of ours led here. Browsers say that on loopback and TLS; where nothing is said, it is believed."""
    return request.headers.get("sec-fetch-site", "same-origin") == "same-origin"


def _cookies(request: Request) -> list[tuple[str, str]]:
    pairs = (part.strip().partition("=") for part in request.headers.get("cookie", "").split(";"))
    return [(name, value) for name, _, value in pairs]
