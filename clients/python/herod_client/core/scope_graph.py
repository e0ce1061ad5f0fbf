"""Scope names, and which scopes include which.

The table `BUILT_IN` defines them; settings may add to it. A graph is immutable, and turns a set of names into a bit
mask of everything they include. An unknown name grants nothing.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from herod_client.core.errors import InvalidRequest, SettingsError, quoted

__all__ = [
    "ADMIN",
    "BUILT_IN",
    "MAX_SCOPES",
    "MAX_SCOPE_CHARS",
    "OWNER",
    "READ",
    "REGISTRAR",
    "RESERVED",
    "USER",
    "WRITE",
    "ScopeGraph",
    "canonical_scope",
    "split_scope",
]

OWNER: Final = "owner"
ADMIN: Final = "admin"
WRITE: Final = "write"
READ: Final = "read"
REGISTRAR: Final = "registrar"
USER: Final = "user"

# scope → the scopes it includes
BUILT_IN: Final[Mapping[str, tuple[str, ...]]] = {
    OWNER: (ADMIN,),
    ADMIN: (WRITE, REGISTRAR, USER),
    WRITE: (READ,),
    READ: (),
    REGISTRAR: (),
    USER: (READ,),
}

# older systems' names → herod's names; Hero Supervisor's begin with a capital
ALIASES: Final[Mapping[str, str]] = {
    "register": REGISTRAR,
    "member": WRITE,
    "viewer": READ,
    "Admin": ADMIN,
    "Registrar": REGISTRAR,
    "User": USER,
}

# Scopes of OpenID Connect, which say what an app may learn about a person: as scopes of herod's they would give power
# to whoever was only to be told something.
RESERVED: Final = frozenset({"openid", "profile", "email", "groups", "offline_access"})

# RFC 6749, section 3.3 allows more; these survive shells, headers and TOML unquoted.
SCOPE_NAME: Final = re.compile(r"[a-z][a-z0-9_.:-]{0,63}\Z")
# Scopes of a graph, and names in one scope string as written: duplicates count.
MAX_SCOPES: Final = 64
MAX_SCOPE_CHARS: Final = MAX_SCOPES * 65  # that many names of 64 characters, and their separators
# Masks and names that are cached; others are computed again.
MAX_REMEMBERED: Final = 1024
MAX_REMEMBERED_CHARS: Final = 256


class ScopeGraph:
    """An immutable graph of scopes, closed once.

    Args:
        added: scope → the scopes it includes, from the settings. A built-in name gains includes; a new name becomes a
            scope. A new scope that `owner` would not include is put under `admin`, so that it can be granted; one
            that itself includes `admin` is put under `owner`; one that includes `owner` is above all.
        generation: part of the key of every cache of masks.

    Raises:
        SettingsError: a bad name, an unknown one, or a cycle, named with the path that closes it.
    """

    def __init__(self, added: Mapping[str, Iterable[str]] | None = None, *, generation: int = 0) -> None:
        self.generation = generation
        includes = _merge(added or {})
        order = _topological(includes)  # included scopes come before those that include them
        self._bits = {name: 1 << index for index, name in enumerate(order)}
        self._closures: dict[str, int] = {}
        for name in order:
            mask = self._bits[name]
            for included in includes[name]:
                mask |= self._closures[included]
            self._closures[name] = mask
        for alias, name in ALIASES.items():
            self._closures.setdefault(alias, self._closures[name])
        self._widest_first = tuple(reversed(order))
        self._masks: dict[tuple[str, ...], int] = {}
        self._required: dict[str, int] = {}
        self._names: dict[int, tuple[str, ...]] = {}

    @property
    def remembered(self) -> int:
        """How many results of `mask`, `names` and `required` are cached; never more than `MAX_REMEMBERED` of each."""
        return len(self._masks) + len(self._names) + len(self._required)

    @property
    def scopes(self) -> tuple[str, ...]:
        """Every scope's canonical name, a scope always before those it includes."""
        return self._widest_first

    def bit(self, name: str) -> int:
        """The one bit that a grant must hold to pass `name`; 0 for an unknown name."""
        return self._bits.get(ALIASES.get(name, name) if name not in self._bits else name, 0)

    def mask(self, names: tuple[str, ...]) -> int:
        """Everything that `names` include, as bits. Unknown names add nothing."""
        mask = self._masks.get(names)
        if mask is None:
            mask = 0
            is_known = True
            for name in names:
                closure = self._closures.get(name, 0)
                mask |= closure
                is_known = is_known and closure != 0
            # Unknown names are not cached: they can be long, and would displace frequent ones.
            if is_known and len(names) <= MAX_SCOPES and len(self._masks) < MAX_REMEMBERED:
                self._masks[names] = mask
        return mask

    def names(self, mask: int) -> tuple[str, ...]:
        """Return the fewest names whose closure is `mask`, widest first."""
        names = self._names.get(mask)
        if names is None:
            names = self._fewest_names(mask)
            if len(self._names) < MAX_REMEMBERED:
                self._names[mask] = names
        return names

    def required(self, text: str) -> int:
        """The bits that one grant must hold, all of them, to pass a required scope: one name or more, space-separated.

        Raises:
            InvalidRequest: it is empty or too long, or a name is unknown. An empty requirement never passes.
        """
        bits = self._required.get(text)
        if bits is None:
            bits = self._read_required(text)
            if len(text) <= MAX_REMEMBERED_CHARS and len(self._required) < MAX_REMEMBERED:
                self._required[text] = bits
        return bits

    def parse(self, text: str) -> tuple[str, ...]:
        """Read a space-separated scope string (RFC 6749, section 3.3) into canonical names.

        Names that another one includes are dropped, so that equal grants are written the same.

        Raises:
            InvalidRequest: it is empty or too long, or contains an unknown scope.
        """
        names = split_scope(text)
        if not names:
            raise InvalidRequest(f"No scope was given: give one or more of {', '.join(self._widest_first)}.")
        for name in names:
            self._check_known(name)
        return self.names(self.mask(names))

    def _read_required(self, text: str) -> int:
        names = split_scope(text)
        if not names:
            raise InvalidRequest(
                f"The required scope is empty: give one or more of {', '.join(self._widest_first)}, or leave it out."
            )
        bits = 0
        for name in names:
            self._check_known(name)
            bits |= self.bit(name)
        return bits

    def _check_known(self, name: str) -> None:
        if name not in self._closures:
            known = ", ".join(self._widest_first)
            raise InvalidRequest(f"Unknown scope {quoted(name)}: known scopes are {known}.")

    def _fewest_names(self, mask: int) -> tuple[str, ...]:
        found: list[str] = []
        rest = mask
        for name in self._widest_first:
            closure = self._closures[name]
            if rest & self._bits[name] and closure & mask == closure:
                found.append(name)
                rest &= ~closure
        return tuple(found)


def canonical_scope(names: Iterable[str]) -> str:
    """Names as a scope string with herod's own names, each once, known or not; none is dropped for a wider one."""
    return " ".join(dict.fromkeys(ALIASES.get(name, name) for name in names))


def split_scope(text: str) -> tuple[str, ...]:
    """Split the names of a space-separated scope string (RFC 6749, section 3.3), known or not.

    Raises:
        InvalidRequest: there are too many names, or the text is too long.
    """
    names = text[: MAX_SCOPE_CHARS + 1].split()
    if len(text) > MAX_SCOPE_CHARS or len(names) > MAX_SCOPES:
        raise InvalidRequest(
            f"A scope has at most {MAX_SCOPES} names, in {MAX_SCOPE_CHARS} characters: give fewer; "
            "scopes that a wider one includes can be left out."
        )
    return tuple(names)


def _merge(added: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    includes = dict(BUILT_IN)
    for name, more in added.items():
        if name in ALIASES:
            raise SettingsError(f"scopes: {name!r} is another name of {ALIASES[name]!r}: define that one.")
        if not SCOPE_NAME.match(name):
            raise SettingsError(
                f"scopes: {name!r} is not a scope name: use a-z, 0-9 and _ . : -, starting with a letter."
            )
        resolved = tuple(ALIASES.get(scope, scope) for scope in more)
        if len(resolved) > MAX_SCOPES:
            raise SettingsError(f"scopes: {name!r} includes {len(resolved)} scopes: at most {MAX_SCOPES} are possible.")
        includes[name] = tuple(dict.fromkeys((*includes.get(name, ()), *resolved)))
    if len(includes) > MAX_SCOPES:
        raise SettingsError(f"scopes: at most {MAX_SCOPES} scopes are possible, and {len(includes)} are defined.")
    for name, included in includes.items():
        for scope in included:
            if scope not in includes:
                raise SettingsError(f"scopes: {name!r} includes {scope!r}, which is not defined: define or drop it.")
    _adopt(includes, widest_first=tuple(reversed(_topological(includes))))
    return includes


def _adopt(includes: dict[str, tuple[str, ...]], *, widest_first: tuple[str, ...]) -> None:
    """Put every scope that `owner` does not include under `admin`, or under `owner` if it includes `admin` itself."""
    for name in widest_first:
        if not _reaches(includes, OWNER, name) and not _reaches(includes, name, OWNER):
            parent = OWNER if _reaches(includes, name, ADMIN) else ADMIN
            includes[parent] = (*includes[parent], name)


def _reaches(includes: Mapping[str, tuple[str, ...]], start: str, goal: str) -> bool:
    # Visit each scope once: the number of paths can grow exponentially.
    seen = {start}
    waiting = [start]
    while waiting:
        new = set(includes[waiting.pop()]) - seen
        seen |= new
        waiting += new
    return goal in seen


def _topological(includes: Mapping[str, tuple[str, ...]]) -> list[str]:
    done: dict[str, None] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            circle = " → ".join((*path[path.index(name) :], name))
            raise SettingsError(f"scopes: {circle} is a cycle: remove one of these includes.")
        if name in done:
            return
        for scope in includes[name]:
            visit(scope, (*path, name))
        done[name] = None

    for name in includes:
        visit(name, ())
    return list(done)
