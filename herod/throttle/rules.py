"""How often one may try what people choose: the limits, and the arithmetic of a count. Pure: no store, no clock.

A law counts tries within a window. Some laws lock: at their limit a try is refused until enough of the earlier ones
are older than the window. The others delay, at most 5 seconds: what many sources bring about together must not keep
anybody out. Only of one source no more than `MAX_DELAYED_PER_SOURCE` tries may sit out a delay at a time.

    law            counts tries                          window  at       what happens
    pair           at one account from one source           300  10       locked
    loopback       at one account from 127.0.0.0/8          300  50       locked
    account        at one account from anywhere             300  20 40 …  delayed
    source         at any account or code from one source   300  20 40 …  delayed
    legacy         of legacy secrets from one source        300  10       locked
    ownership      of one principal from one source         300  10       locked
    registration   to register from one source             3600  20       locked

A try is counted before it is judged, so that those at one time count too. A success clears its pair (NIST SP 800-63B,
section 5.2.2) and is taken back from the other counts, which stay: or else who owns one account could clear the way
to others with it. For the same reason a legacy secret that matches clears nothing: they share one count; nor does an
ownership secret, and of those only what finds nothing is counted: who never misses is never held back. Refused tries
are not counted: a lock ends by itself.

Every local user may send from any address of 127.0.0.0/8: only the law of pairs tells these addresses apart.
"""

from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from herod.scopes.principal import Source

__all__ = [
    "ACCOUNT",
    "DELAYS",
    "LEGACY",
    "LOOPBACK",
    "MAX_DELAYED_PER_SOURCE",
    "OWNERSHIP",
    "PAIR",
    "REGISTRATION",
    "SOURCE",
    "Attempt",
    "CountedAttempt",
    "Counter",
    "LimitRule",
    "Marks",
    "add",
    "code_guess",
    "delay",
    "exact_source",
    "guess_at",
    "legacy_counter",
    "live",
    "ownership_counter",
    "registration",
    "seconds_locked",
    "take_back",
    "wide_source",
]

Marks = tuple[tuple[int, int], ...]
"""(Unix seconds, how many tries), oldest first."""

# (tries in the window, at least; seconds)
DELAYS: Final = ((20, 0.5), (40, 1.0), (80, 2.0), (160, 5.0))
# One more try of a source than this is refused while so many wait out a delay: a delay that any number may sit out at
# once would be none. Other sources are not concerned.
MAX_DELAYED_PER_SOURCE: Final = 16
LOOPBACK_NETWORK: Final = ip_network("127.0.0.0/8")
IPV6_PREFIX: Final = 64  # what one subscriber is given at least


@dataclass(frozen=True, slots=True)
class LimitRule:
    """One way to count.

    Attributes:
        name: part of the counters' ids, and of the reason in the audit log.
        window: seconds.
        limit: how many tries lock; None for a law that delays.
        grain: seconds whose tries are kept as one number.
    """

    name: str
    window: int
    limit: int | None = None
    grain: int = 1


PAIR: Final = LimitRule("pair", window=300, limit=10)
LOOPBACK: Final = LimitRule("loopback", window=300, limit=50)
ACCOUNT: Final = LimitRule("account", window=300, grain=30)
SOURCE: Final = LimitRule("source", window=300, grain=30)
LEGACY: Final = LimitRule("legacy", window=300, limit=10)
OWNERSHIP: Final = LimitRule("ownership", window=300, limit=10)
REGISTRATION: Final = LimitRule("registration", window=3600, limit=20)


@dataclass(frozen=True, slots=True)
class Counter:
    """One law applied to somebody: the words tell the counters of a law apart."""

    law: LimitRule
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attempt:
    """A try that is about to be made.

    Attributes:
        source: from where, in its wide form.
        counters: all that it counts on.
        is_guess: a success is taken back; otherwise it stays counted.
    """

    source: str
    counters: tuple[Counter, ...]
    is_guess: bool


@dataclass(frozen=True, slots=True)
class CountedAttempt:
    """An attempt that stands in the store, and when it was counted."""

    attempt: Attempt
    at: int


def guess_at(subject: str, source: Source) -> Attempt:
    """A guess at what somebody has chosen.

    Args:
        subject: whose it is, in normal form: two spellings must be one subject, and one that nobody has is counted
            like any other.
    """
    exact, wide = exact_source(source), wide_source(source)
    counters = [Counter(PAIR, (subject, exact)), Counter(ACCOUNT, (subject,)), Counter(SOURCE, (wide,))]
    if wide != exact:
        counters.append(Counter(LOOPBACK, (subject, wide)))
    return Attempt(wide, tuple(counters), is_guess=True)


def code_guess(source: Source) -> Attempt:
    """A guess at a code that herod made: too long to be guessed, so it is slowed down and locks nobody out."""
    wide = wide_source(source)
    return Attempt(wide, (Counter(SOURCE, (wide,)),), is_guess=True)


def registration(source: Source) -> Attempt:
    """Somebody makes an account for themselves; that an address is taken is an answer too, and counts."""
    wide = wide_source(source)
    return Attempt(wide, (Counter(REGISTRATION, (wide,)),), is_guess=False)


def legacy_counter(source: Source) -> Counter:
    """What counts the legacy secrets that were none."""
    return Counter(LEGACY, (wide_source(source),))


def ownership_counter(principal_id: str, source: Source) -> Counter:
    """What counts the resources, and lists of them, that a secret did not find."""
    return Counter(OWNERSHIP, (principal_id, wide_source(source)))


def exact_source(source: Source) -> str:
    """From where: `uid:1000`, an IPv4 address, an IPv6 network of 64 bits."""
    if source.peer is not None:
        return source.label
    try:
        address = ip_address(source.address)
    except ValueError:  # a Unix socket that tells no peer
        return source.address
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Network((int(address), IPV6_PREFIX), strict=False))


def wide_source(source: Source) -> str:
    """As `exact_source`, with 127.0.0.0/8 as one."""
    exact = exact_source(source)
    return str(LOOPBACK_NETWORK) if exact.startswith("127.") else exact


def live(law: LimitRule, marks: Marks, now: int) -> Marks:
    """The tries that count now. Those of a clock that was far ahead do not: they would lock until it is caught up."""
    return tuple(mark for mark in marks if now - law.window < mark[0] <= now + law.window)


def add(law: LimitRule, marks: Marks, now: int) -> Marks:
    """One try more."""
    kept = dict(live(law, marks, now))
    at = now - now % law.grain
    kept[at] = kept.get(at, 0) + 1
    return tuple(sorted(kept.items()))


def take_back(law: LimitRule, marks: Marks, at: int) -> Marks:
    """One try less of those counted at a time."""
    at -= at % law.grain
    return tuple((when, count - (when == at)) for when, count in marks if count > (when == at))


def seconds_locked(law: LimitRule, marks: Marks, now: int) -> int:
    """How long a try is refused; 0 when it may be made."""
    if law.limit is None:
        return 0
    counted = live(law, marks, now)
    left, ends = sum(count for _, count in counted), now
    for at, count in counted:
        if left < law.limit:
            break
        left, ends = left - count, at + law.window
    return min(ends - now, law.window)


def delay(law: LimitRule, marks: Marks, now: int) -> float:
    """How many seconds a try has to wait."""
    counted = sum(count for _, count in live(law, marks, now))
    reached = [seconds for least, seconds in DELAYS if law.limit is None and counted >= least]
    return reached[-1] if reached else 0.0
