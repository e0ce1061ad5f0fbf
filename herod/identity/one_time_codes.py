"""One-time codes: 256 random bits that refer to a value for a short time and a single use. Kept in memory only.

Only their HMACs are kept, in bounded number, until the process ends. A code is deleted before it is accepted: of two
concurrent uses, one fails. A code from the future is refused: if the clock was ahead when it was made and is corrected,
it would be valid for as long as the clock was wrong. Nothing here decides what a code is for.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Final, Generic, TypeVar

from herod.credentials.keyring import Keyring, Purpose
from herod_client.core.access_tokens import CLOCK_SKEW
from herod_client.core.key_format import new_opaque

__all__ = ["MAX_CODES", "MAX_CODES_OF_ONE", "MAX_CODE_BYTES", "OneTimeCodes"]

T = TypeVar("T")

MAX_CODES: Final = 1024
# Beyond this, a holder's own oldest code is evicted.
MAX_CODES_OF_ONE: Final = 8
# Approximate memory for the values of all codes of one kind.
MAX_CODE_BYTES: Final = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Kept(Generic[T]):
    value: T
    holder: str
    made_at: int
    expires_at: int
    size: int
    path: tuple[str, ...]

    def is_valid(self, now: int) -> bool:
        return self.made_at - CLOCK_SKEW <= now < self.expires_at


class OneTimeCodes(Generic[T]):
    """The codes of one kind with their values. Used by the event loop and by the store's writer thread.

    Args:
        keyring: has the key for the HMACs.
        label: distinguishes the kinds.
    """

    def __init__(self, keyring: Keyring, label: str) -> None:
        self._keyring = keyring
        self._label = label.encode()
        self._kept: dict[bytes, _Kept[T]] = {}  # oldest first
        self._lock = Lock()

    def make(
        self, value: T, *, holder: str, now: int, expires_at: int, size: int = 0, sources: tuple[str, ...] = ()
    ) -> str:
        """A new code for `value`; over a limit, the oldest code of the holder, or of all, is evicted.

        Args:
            size: approximate memory size of `value` in bytes.
            sources: where it was asked for, as limits name it, the widest first: a range of sources, the source. At a
                limit of all codes, a code of whoever has the most is evicted, and so on within it.
        """
        code = new_opaque()
        with self._lock:
            self._kept = {mac: one for mac, one in self._kept.items() if one.expires_at > now}
            own = [mac for mac, one in self._kept.items() if one.holder == holder]
            if len(own) >= MAX_CODES_OF_ONE:
                del self._kept[own[0]]
            elif len(self._kept) >= MAX_CODES:
                self._evict(lambda one: 1)
            while self._kept and size + sum(one.size for one in self._kept.values()) > MAX_CODE_BYTES:
                self._evict(lambda one: one.size)
            self._kept[self._mac(code)] = _Kept(value, holder, now, expires_at, size, (*sources, holder))
        return code

    def _evict(self, weight: Callable[[_Kept[T]], int]) -> None:
        """Delete the oldest code of the range, of its sources the one, and of their holders the one with the most."""
        held = Counter[tuple[str, ...]]()
        for one in self._kept.values():
            for depth in range(len(one.path)):
                held[one.path[: depth + 1]] += weight(one)

        def order(mac: bytes) -> list[int]:
            path = self._kept[mac].path
            return [held[path[: depth + 1]] for depth in range(len(path))]

        del self._kept[max(self._kept, key=order)]

    def look(self, code: str, *, now: int) -> T | None:
        """The value of a code, without using it up; None if it is unknown, used or expired."""
        kept = self._kept.get(self._mac(code))
        return kept.value if kept is not None and kept.is_valid(now) else None

    def take(self, code: str, *, now: int) -> T | None:
        """The value of a code, like `look`, and use it up."""
        with self._lock:
            kept = self._kept.pop(self._mac(code), None)
        return kept.value if kept is not None and kept.is_valid(now) else None

    def drop(self, holder: str) -> None:
        """Delete all codes of one holder."""
        with self._lock:
            self._kept = {mac: one for mac, one in self._kept.items() if one.holder != holder}

    def clear(self) -> None:
        """Delete all codes."""
        with self._lock:
            self._kept = {}

    def _mac(self, code: str) -> bytes:
        return self._keyring.mac(Purpose.SESSIONS, self._label, code.encode("utf-8", "surrogatepass"))
