"""The headers that protect pages: what a page may load, who may show it in a frame, and which windows may touch it.

- Pages on which somebody signs in, consents, approves or enrols are never in a frame, whatever `frame_origins` says: a
  listed origin may be another local user's for as long as its own server is down.
- Entry pages (before a sign-in) and pages of a session have different opener policies. A window that another page
  opened, even one of our own origin from while herod was down, loses it on the way from the one to the other, so no
  page that was open before a sign-in can look into the pages after it.

Must never let a page weaken these: it can only ask for less.
"""

from typing import Final

from quart import Response as Page

from herod.protocols.http import NO_STORE, Request

__all__ = [
    "FORGET_ALL",
    "FORGET_STORAGE",
    "PageSecurity",
    "as_entry",
    "is_framed",
    "never_framed",
]

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors "
)
# Passkeys are for our own pages, also where one is in a frame of ours; nothing else that a browser asks people about is
# used. Names that Chromium knows: it would complain of others.
_PERMISSIONS: Final = "publickey-credentials-create=(self), publickey-credentials-get=(self), " + ", ".join(
    f"{name}=()"
    for name in (
        "accelerometer", "camera", "display-capture", "geolocation", "gyroscope", "hid", "magnetometer", "microphone",
        "midi", "payment", "screen-wake-lock", "serial", "usb", "xr-spatial-tracking",
    )
)  # fmt: skip
_HEADERS: Final = {
    # Other origins get no referrer, and forms still get their Origin, which `no-referrer` would make "null".
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": _PERMISSIONS,
}
_OPENER: Final = "Cross-Origin-Opener-Policy"
# Neither lets pages of other origins in; what matters is that the two differ.
_ENTRY_OPENER: Final = "same-origin-allow-popups"
_SESSION_OPENER: Final = "same-origin"
_FRAMES: Final = "X-Frame-Options"

# Values of Clear-Site-Data: service workers and what resumes a session; and, at a sign-in, scripts that were kept, too.
FORGET_STORAGE: Final = '"storage"'
FORGET_ALL: Final = '"cache", "storage"'


class PageSecurity:
    """Sets the headers of every page.

    Args:
        frame_origins: the origins that may show pages in a frame.
    """

    def __init__(self, frame_origins: frozenset[str]) -> None:
        self._policy = _POLICY + (" ".join(sorted(frame_origins)) or "'none'")
        self._may_frame = bool(frame_origins)

    async def protect(self, page: Page) -> Page:
        """Add the headers that the page has not set itself."""
        page.headers.update(_HEADERS)
        page.headers.setdefault(_OPENER, _SESSION_OPENER)
        if not self._may_frame:
            page.headers[_FRAMES] = "DENY"
        is_alone = _FRAMES in page.headers
        page.headers.setdefault("Content-Security-Policy", f"{_POLICY}'none'" if is_alone else self._policy)
        if "Cache-Control" not in page.headers:
            page.headers.update(NO_STORE)
        return page


def never_framed(page: Page) -> Page:
    """Let nobody show this page in a frame."""
    page.headers[_FRAMES] = "DENY"
    return page


def as_entry(page: Page) -> Page:
    """Treat the page as one before a sign-in, or as the redirect from there to the pages of a session."""
    page.headers[_OPENER] = _ENTRY_OPENER
    return never_framed(page)


def is_framed(request: Request) -> bool:
    """Whether the answer would be shown in a frame. Browsers declare that on loopback and TLS."""
    return request.headers.get("sec-fetch-dest", "document") in ("iframe", "frame", "embed", "object", "fencedframe")
