"""Where somebody wanted to go before they had to sign in: a path of our own pages, sealed while a browser carries it.

A browser carries it in a hidden field of the sign-in page, through every way to sign in. Sealed, it cannot be replaced
by another path; open, it would still lead to our own pages alone, since it is checked at both ends.
Must never carry a ticket: the one in an earlier address belongs to a session that has ended.
"""

import base64
import binascii
import re
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from quart import current_app, url_for

from herod.credentials.keyring import Purpose
from herod.credentials.sealing import SealBroken, seal, unseal
from herod.dashboard.csrf import TICKET
from herod.identity.runtime_state import Runtime
from herod.protocols.decode import read_query
from herod.protocols.http import Request
from herod_client.core.errors import HerodError

__all__ = [
    "LANDING",
    "LANDING_SECONDS",
    "MAX_LANDING_CHARACTERS",
    "landing_of",
    "leads_to_consent",
    "open_path",
    "page_to_return_to",
    "seal_path",
    "with_ticket",
]

# The name of the query parameter of the front page, and of the form field.
LANDING: Final = "back"
# A sign-in page that was open for longer leads to the first page.
LANDING_SECONDS: Final = 3600
# A path with its query: an app's sealed request has at most 4 KiB.
MAX_LANDING_CHARACTERS: Final = 5120
_LABEL: Final = b"herod landing path v1"
_TIME_BYTES: Final = 8
# A path below our own folder, on this host: nothing in it could lead elsewhere.
_OWN_PATH: Final = re.compile(r"/ui(/[A-Za-z0-9_-]+)+\Z", re.ASCII)
# Not carried: the former ticket, and the notice of a change that was made before.
_DROPPED: Final = frozenset({TICKET, "said"})


def seal_path(runtime: Runtime, target: str, now: int) -> str | None:
    """Seal the path, with its query, of one of our pages; None if it is not one.

    Args:
        target: `/ui/…`, with a query if there is one; a ticket in it is left out.
        now: Unix seconds.
    """
    path = _own_target(target)
    if path is None:
        return None
    plain = (now + LANDING_SECONDS).to_bytes(_TIME_BYTES, "big") + path.encode()
    sealed = seal(runtime.keyring.key(Purpose.LANDINGS), plain, _LABEL)
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def open_path(runtime: Runtime, sealed: str | None, now: int) -> str | None:
    """The path that `seal_path` sealed; None if it did not, if it is too old, or if it is not a page any more."""
    if not sealed or len(sealed) > 2 * MAX_LANDING_CHARACTERS:
        return None
    try:
        raw = base64.b64decode(sealed + "=" * (-len(sealed) % 4), altchars=b"-_", validate=True)
        plain = unseal(runtime.keyring.key(Purpose.LANDINGS), raw, _LABEL)
    except (SealBroken, binascii.Error, ValueError):
        return None
    ends, path = int.from_bytes(plain[:_TIME_BYTES], "big"), plain[_TIME_BYTES:].decode()
    return _own_target(path) if now < ends <= now + LANDING_SECONDS else None


def leads_to_consent(runtime: Runtime, sealed: str | None, now: int) -> bool:
    """Whether the sealed path is that of a page where a person lets an app do something: only persons get there."""
    path = (open_path(runtime, sealed, now) or "").partition("?")[0]
    return path in (url_for("consent"), url_for("device")) or path.startswith(f"{url_for('approvals')}/")


def landing_of(received: Request) -> str | None:
    """The sealed path in the address of the front page: where the visitor wanted to go."""
    try:
        return read_query(received.query).get(LANDING)
    except HerodError:
        return None


def page_to_return_to(received: Request) -> str | None:
    """The page of ours that was asked for, or from which a form was sent, with its query; None if it is not one."""
    if received.method == "GET":
        target = received.path + (f"?{received.query}" if received.query else "")
    else:
        sent_from = urlsplit(received.headers.get("referer", ""))
        target = sent_from.path + (f"?{sent_from.query}" if sent_from.query else "")
    return _own_target(target)


def with_ticket(target: str, ticket: str) -> str:
    """The path of one of our pages with the ticket added to its query."""
    return f"{target}{'&' if '?' in target else '?'}{TICKET}={ticket}"


def _own_target(target: str) -> str | None:
    """A page of ours with its query, without what must not be carried; None if it is only a form's, or not ours."""
    path, _, query = target.partition("?")
    if len(target) > MAX_LANDING_CHARACTERS or not _OWN_PATH.match(path):
        return None
    if not current_app.url_map.bind("").test(path, "GET"):
        return None
    try:
        fields = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError:
        return path
    kept = urlencode([(name, value) for name, value in fields if name not in _DROPPED])
    return f"{path}?{kept}" if kept else path
