"""Device codes, with which an app waits, and user codes, which a person types (RFC 8628, section 3.2).

A device code is 256 random bits; a user code is short, so guesses at it are counted (section 5.1). Both are stored as
HMACs. Strangers can ask for codes, so there are so many at a time and no more: of the source with the most, the oldest
go. Must never let a code of another source go for one of theirs.
"""

import secrets
import unicodedata
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from operator import itemgetter
from typing import Final

from herod.credentials.keyring import Purpose
from herod.identity.apps.grant_types import DEVICE_CODE
from herod.identity.apps.oauth_apps import OAuthApp
from herod.identity.runtime_state import Runtime
from herod.pipeline.client_documents.learning_apps import may_say_more
from herod.records import DeviceCode
from herod.store.store_interface import Reader, Writer
from herod.throttle.source_ranges import range_of
from herod_client.core.access_tokens import CLOCK_SKEW
from herod_client.core.errors import CeilingExceeded

__all__ = [
    "DEVICE_CODE_SECONDS",
    "KEPT_SECONDS",
    "MAX_DEVICE_CODES",
    "USER_CODE_LETTERS",
    "check_device_grant",
    "device_code_id",
    "find_user_code",
    "has_passed",
    "make_room",
    "new_user_code",
    "shown_user_code",
    "user_code_id",
]

DEVICE_CODE_SECONDS: Final = 600
# For so long after its end the app is told why it gets nothing.
KEPT_SECONDS: Final = 600
MAX_DEVICE_CODES: Final = 1024
ROOM_PART: Final = 16  # one in so many is deleted at once, to make room
# No vowels, which could spell words, and no letter that looks like a digit (RFC 8628, section 6.1).
USER_CODE_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
HALF: Final = 4
MAX_TYPED: Final = 64


def device_code_id(runtime: Runtime, device_code: str) -> str:
    """The id of a device code's record."""
    return runtime.keyring.mac(Purpose.DEVICE_CODES, b"device", device_code.encode("utf-8", "surrogatepass")).hex()


def user_code_id(runtime: Runtime, typed: str) -> str:
    """What a device code's record has of its user code, however that was typed."""
    return runtime.keyring.mac(Purpose.DEVICE_CODES, b"user", _letters(typed).encode("utf-8", "surrogatepass")).hex()


def new_user_code() -> str:
    """A random user code, with its dash."""
    return shown_user_code("".join(secrets.choice(USER_CODE_LETTERS) for _ in range(2 * HALF)))


def shown_user_code(typed: str) -> str:
    """A user code as terminals show it: in capitals, with a dash in its middle."""
    letters = _letters(typed)
    return f"{letters[:HALF]}-{letters[HALF:]}" if len(letters) > HALF else letters


def find_user_code(reader: Reader, runtime: Runtime, typed: str, now: int) -> DeviceCode | None:
    """The device code whose user code was typed, if nobody has decided about it yet and it is in time."""
    for code in reader.find(DeviceCode, "user_code", user_code_id(runtime, typed)):
        if code.state == "waiting" and not has_passed(code, now):
            return code
    return None


def has_passed(code: DeviceCode, now: int) -> bool:
    """Whether the time is over in which it can be allowed and redeemed. One from the future is no good either."""
    return code.ends_at <= now or code.created_at - CLOCK_SKEW > now


def check_device_grant(runtime: Runtime, app: OAuthApp) -> None:
    """Refuse an app that did not register the grant. What only its document can say is checked on the page.

    Raises:
        CeilingExceeded: it did not.
    """
    if DEVICE_CODE not in app.grants and not may_say_more(runtime, app):
        raise CeilingExceeded(
            f"The app did not register the grant type {DEVICE_CODE}: register it with that.", reason="grant_type"
        )


def make_room(tx: Writer, now: int) -> None:
    """Delete device codes if there are as many as may be: what has passed, or the oldest of the busiest sources.

    Several at once, because all have to be read for that.
    """
    if tx.count(DeviceCode) < MAX_DEVICE_CODES:
        return
    codes = list(tx.scan(DeviceCode))
    passed = [code for code in codes if has_passed(code, now)]
    for code in passed or _excess(codes, max(1, MAX_DEVICE_CODES // ROOM_PART)):
        tx.delete(DeviceCode, code.id)


def _excess(codes: list[DeviceCode], number: int) -> Iterator[DeviceCode]:
    """So many codes, each the oldest of the source with the most, of the range of sources with the most."""
    held: dict[str, dict[str, deque[DeviceCode]]] = defaultdict(lambda: defaultdict(deque))
    for code in sorted(codes, key=lambda one: one.created_at):
        held[range_of(code.share)][code.share].append(code)
    counts = Counter(range_of(code.share) for code in codes)
    for _ in range(min(number, len(codes))):
        busiest, _ = max(counts.items(), key=itemgetter(1))
        yield max(held[busiest].values(), key=len).popleft()
        counts[busiest] -= 1


def _letters(typed: str) -> str:
    """A user code without what people put between its letters."""
    text = unicodedata.normalize("NFKC", typed[:MAX_TYPED]).upper()
    return "".join(letter for letter in text if letter.isalnum())
