"""One-time codes: 256 random bits that stand for something for a short while, and for one use. Kept in memory alone.

Only their HMACs are kept, bounded, and gone with the process. A code that is taken is deleted first and believed
afterwards: of two who bring it at once, one finds nothing. Nothing here decides what a code is good for.
"""

from dataclasses import dataclass
from threading import Lock
from typing import Final, Generic, TypeVar

from herod.credentials.keyring import Keyring, Purpose
from herod_client.core.key_format import new_opaque

__all__ = ["MAX_CODES", "MAX_CODES_OF_ONE", "MAX_CODE_BYTES", "OneTimeCodes"]

T = TypeVar("T")

MAX_CODES: Final = 1024
# Of one holder the oldest go first, so that nobody's codes are pushed out by another's.
MAX_CODES_OF_ONE: Final = 8
# Of what all codes of one kind stand for, about as memory holds it.
MAX_CODE_BYTES: Final = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Kept(Generic[T]):
    value: T
    holder: str
    expires_at: int
    size: int


class OneTimeCodes(Generic[T]):
    """The codes of one kind, each with what it stands for. The event loop and the store's writer both use it.

    Args:
        keyring: whose key the HMACs are made with.
        label: tells the kinds apart.
    """

    def __init__(self, keyring: Keyring, label: str) -> None:
        self._keyring = keyring
        self._label = label.encode()
        self._kept: dict[bytes, _Kept[T]] = {}  # oldest first
        self._lock = Lock()

    def make(self, value: T, *, holder: str, now: int, expires_at: int, size: int = 0) -> str:
        """A new code for `value`; too many of one holder, or in all, end the oldest of theirs, or of all.

        Args:
            size: about how many bytes of memory `value` takes.
        """
        code = new_opaque()
        with self._lock:
            self._kept = {mac: one for mac, one in self._kept.items() if one.expires_at > now}
            own = [mac for mac, one in self._kept.items() if one.holder == holder]
            if len(own) >= MAX_CODES_OF_ONE:
                del self._kept[own[0]]
            elif len(self._kept) >= MAX_CODES:
                del self._kept[next(iter(self._kept))]
            while self._kept and size + sum(one.size for one in self._kept.values()) > MAX_CODE_BYTES:
                del self._kept[next(iter(self._kept))]
            self._kept[self._mac(code)] = _Kept(value, holder, expires_at, size)
        return code

    def look(self, code: str, *, now: int) -> T | None:
        """What a code stands for, without using it; None when it is none, was used, or is over."""
        kept = self._kept.get(self._mac(code))
        return kept.value if kept is not None and kept.expires_at > now else None

    def take(self, code: str, *, now: int) -> T | None:
        """As `look`, and the code is used."""
        with self._lock:
            kept = self._kept.pop(self._mac(code), None)
        return kept.value if kept is not None and kept.expires_at > now else None

    def clear(self) -> None:
        """End all."""
        with self._lock:
            self._kept = {}

    def _mac(self, code: str) -> bytes:
        return self._keyring.mac(Purpose.SESSIONS, self._label, code.encode("utf-8", "surrogatepass"))
