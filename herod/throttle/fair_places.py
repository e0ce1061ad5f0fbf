"""A bounded number of places, held for a while and shared fairly: for requests that wait, delayed attempts, and pages.

A place is held by a path of names, the widest first: a range of sources, a source, a principal. At each step of the
path the number of places has a limit. A newcomer who meets a full step takes a place from whoever holds the most below
it, and is refused only if nobody there holds more than it would. So many sources, or many accounts of one source,
cannot hold all places.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import trio

__all__ = ["FairPlaces", "Place"]

Path = tuple[str, ...]


@dataclass(slots=True, eq=False)
class Place:
    """One place.

    Attributes:
        path: who holds it.
        scope: cancelled when somebody else gets the place; what is done in it ends at its next checkpoint.
    """

    path: Path
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)


class FairPlaces:
    """Places for holders with paths of one length.

    Args:
        limits: of all places, of those below the first name, below the first two, and so on.
    """

    def __init__(self, *limits: int) -> None:
        self._limits = limits
        self._held: dict[Path, dict[Place, None]] = {}  # the longest held first

    def __len__(self) -> int:
        return self._count(())

    def has_room(self, *path: str) -> bool:
        """Whether `hold` would give a place now."""
        return all(
            self._count(path[:depth]) < limit or self._heaviest(path, depth) is not None
            for depth, limit in enumerate(self._limits)
        )

    @contextmanager
    def hold(self, *path: str) -> Iterator[Place | None]:
        """Hold a place for the block; None if there is no room for one more of this holder."""
        place = self._take(path)
        if place is None:
            yield None
            return
        try:
            yield place
        finally:
            self._leave(place)

    def _take(self, path: Path) -> Place | None:
        for depth in reversed(range(len(self._limits))):
            if self._count(path[:depth]) >= self._limits[depth]:
                heaviest = self._heaviest(path, depth)
                if heaviest is None:
                    return None
                heaviest.scope.cancel()
                self._leave(heaviest)
        place = Place(path)
        self._held.setdefault(path, {})[place] = None
        return place

    def _leave(self, place: Place) -> None:
        held = self._held.get(place.path, {})
        held.pop(place, None)
        if not held:
            self._held.pop(place.path, None)

    def _heaviest(self, newcomer: Path, depth: int) -> Place | None:
        """The place to take below the newcomer's first `depth` names; None if nobody holds more than it would."""
        prefix, is_own = newcomer[:depth], True
        while len(prefix) < len(newcomer):
            counts: dict[str, int] = {}
            for path, held in self._held.items():
                if path[: len(prefix)] == prefix:
                    counts[path[len(prefix)]] = counts.get(path[len(prefix)], 0) + len(held)
            own = newcomer[len(prefix)] if is_own else None
            name = max(counts, key=lambda name: (counts[name], name == own))
            if is_own and name != own:
                if counts[name] <= counts.get(newcomer[len(prefix)], 0) + 1:
                    return None
                is_own = False
            prefix = (*prefix, name)
        return None if is_own else next(iter(self._held[prefix]))

    def _count(self, prefix: Path) -> int:
        return sum(len(held) for path, held in self._held.items() if path[: len(prefix)] == prefix)
