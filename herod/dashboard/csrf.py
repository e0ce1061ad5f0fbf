"""The halves of a session's secret in a browser, and how herod knows that a form comes from its own page.

Cookies are scoped to hosts, not ports. Another local user who serves pages on another port of this host is the same
*site* for browsers: they send that server our cookie when its page is opened, despite SameSite and HttpOnly, and let it
set cookies that override ours. Therefore:

- The session's secret is cut in two. One half is the cookie. The other, the ticket, is in the query of our pages' links
  and in their forms, which no other origin can read: scheme, host *and port* make an origin. Referrers are not sent to
  other origins, and logs omit queries. A stolen cookie alone is useless, here and at the API.
- A form from another port has that port's `Origin` and `Sec-Fetch-Site: same-site`: the guard refuses the first before
  routing, both are refused here, and the form cannot know the ticket. Signing in, where there is no ticket yet, relies
  on the first two: the other port could plant a token that is tied to a cookie, cookie and all.
- A cookie that it sets over ours at worst signs the browser out. To put a browser into a session of its own, it would
  also have to lead the browser to our pages, and a request that does not come from one of them (`Sec-Fetch-Site` again)
  gets the sign-in page. So does a typed URL: typed at the other port, it could be redirected to ours, and browsers
  still send `none`.
- `SameSite=Strict` keeps other sites from sending the cookie at all.
- Where pages may be shown in a frame (`frame_origins`), the frame's origin is still ours: the embedding page reads and
  sends nothing, and only those origins may embed it. Pages to sign in on are never in a frame.

A new tab goes on with the session (`pages/resume.py`): the browser keeps a proof in our origin's storage, which no
other port can read, and a page of ours posts it back with the cookie's half. Without TLS, another local user may have
had our port, and so our origin, while herod was down. Sessions of before end with herod's start, and of what is left:

- A service worker would see the addresses of our pages. A sign-in clears them, and the scripts that the browser kept
  for new ones (`Clear-Site-Data`), so does the front page if nobody is signed in there, and so does the answer to the
  browser's own request for such a script. Storage goes with them, which is why the next page writes the proof anew.
- A page that is still open shares our storage and may send requests as ours. So the proof is not the ticket: it only
  leads a window to our page. The request of a script or a frame is refused (`Sec-Fetch-Mode`, `Sec-Fetch-Dest`), and a
  window loses whoever opened it on the way from an entry page to a page of the session (`page_security.py`).
- What it reads it can give to a process of its own user, together with the half. So a session that a local user opened
  is resumed by that user alone, as far as the kernel tells (`operations/sessions/resumption.py`).

A link of another site leads to the page that it names, once the browser has gone on with its session: pages change
nothing when they are shown.

A one-time code signs a browser in from a terminal (`herod ui`). It has to arrive in a URL, opened from a file on the
disk. Browsers call that `cross-site`, like a link that someone else made with a code of their own. The two cannot be
told apart, so a URL with a code signs nobody in:

- It shows a page that says whose session the code opens, by name, email or id, scope and networks, and asks. Only that
  page's form, which must have the same origin like any other, uses the code. No script submits it, and its button is
  not focused, so that an accidental key press does not confirm it.
- Viewing the page does not use the code, so prefetching is harmless. A code lasts a minute, works once, and opens no
  more than the credential that created it holds. It is not in the page that follows, nor in a referrer or a log.

Signing in ends the browser's earlier session, which is found by the cookie's half alone. Someone who stole that half
can therefore sign that browser out, as by setting a cookie over ours, and nothing more.

Must never send cookie and ticket together to anything but the browser.
"""

from typing import Final

from herod.credentials.keyring import Keyring
from herod.identity.credential_types import SessionCookie
from herod.identity.people.session_secrets import COOKIE_CHARACTERS, resumed_secret
from herod.protocols.credential_headers import SESSION_COOKIE, SESSION_COOKIE_TLS
from herod.protocols.http import Request
from herod_client.core.errors import InvalidRequest

__all__ = [
    "TICKET",
    "check_same_origin",
    "check_window",
    "cookie_half",
    "cookie_name",
    "cut",
    "is_from_own_page",
    "join",
    "resumed_session",
]

# The name of the query parameter and of the form field.
TICKET: Final = "ticket"
_FOREIGN: Final = "This form was not sent from herod's own page: open that page and try again."


def cut(secret: str) -> tuple[str, str]:
    """A session's secret as the cookie's half and the ticket."""
    return secret[:COOKIE_CHARACTERS], secret[COOKIE_CHARACTERS:]


def cookie_half(request: Request) -> str | None:
    """The half of a session's secret in the browser's cookie, if there is one."""
    # Ours has the widest path, so it comes last (RFC 6265, section 5.4), after cookies that another port may have set.
    halves = [value for name, value in _cookies(request) if name == cookie_name(request)]
    return halves[-1] if halves else None


def join(request: Request, ticket: str | None) -> SessionCookie | None:
    """The session of the request's cookie and this ticket; None if one of them is missing."""
    half = cookie_half(request)
    if not half or not ticket:
        return None
    # htmx does nothing on our pages but refresh them.
    return SessionCookie(half + ticket, is_automatic="hx-request" in request.headers)


def resumed_session(keyring: Keyring, request: Request, proof: str) -> SessionCookie | None:
    """The session of the request's cookie, for a browser that kept the proof; None without a cookie or its proof."""
    half = cookie_half(request)
    secret = None if not half else resumed_secret(keyring, half, proof)
    return None if secret is None else SessionCookie(secret)


def cookie_name(request: Request) -> str:
    """The cookie's name; with TLS, one that browsers accept only over TLS and only for this host."""
    return SESSION_COOKIE_TLS if request.is_https else SESSION_COOKIE


def check_same_origin(request: Request) -> None:
    """Refuse a form that was sent by another origin's page, or not by a current browser.

    Raises:
        InvalidRequest: `Origin` is missing or not ours, or `Sec-Fetch-Site` says otherwise.
    """
    site = request.headers.get("sec-fetch-site", "same-origin")
    if site != "same-origin" or not request.is_from_own_page:
        raise InvalidRequest(_FOREIGN, reason="foreign_form")


def check_window(request: Request) -> None:
    """Refuse what a window of its own does not show: the request of a script, or a frame. Browsers declare both.

    Raises:
        InvalidRequest: it is one of those, or its browser does not say.
    """
    kind = request.headers.get("sec-fetch-mode"), request.headers.get("sec-fetch-dest")
    if kind != ("navigate", "document"):
        raise InvalidRequest("Sign in: this browser cannot go on with a session in a new tab.", reason="not_a_window")


def is_from_own_page(request: Request) -> bool:
    """Whether the request comes from our own page. Browsers declare that on loopback and TLS; if not, it is assumed."""
    return request.headers.get("sec-fetch-site", "same-origin") == "same-origin"


def _cookies(request: Request) -> list[tuple[str, str]]:
    pairs = (part.strip().partition("=") for part in request.headers.get("cookie", "").split(";"))
    return [(name, value) for name, _, value in pairs]
