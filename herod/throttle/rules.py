"""The rate limits of attempts, and the arithmetic of a counter. Pure: no store, no clock.

A rule counts attempts within a window. Some rules lock: at their limit an attempt is refused until enough of the
earlier ones are older than the window. The others delay, by at most 5 seconds: many sources together must not be able
to lock anyone out. At most `MAX_DELAYED_PER_SOURCE` attempts of one source may wait out a delay at a time, and
`MAX_DELAYED` in all: each holds a connection, which others need.

    rule           counts attempts                       window  at       effect
    pair           on one account from one source           300  10       locked
    loopback       on one account from 127.0.0.0/8, by      300  50       locked
                   users whom the kernel does not name
    range          on one account from a range of sources   300  30       locked
    account        on one account from anywhere             300  20 40 …  delayed
    source         on any account or code from one source   300  20 40 …  delayed
    factor         at the second factor of one account     3600  30       locked
                   from anywhere, with its password
    legacy         of legacy secrets from one source        300  10       locked
    legacy_range   the same from a range of sources         300  50       locked
    service        the same that a service was presented    300  100      locked
    client         of imported client secrets               300  10       locked
                   from one source
    client_range   the same from a range of sources         300  50       locked
    ownership      of one principal from one source         300  10       locked
    registration   to register from one source             3600  20       locked
    registration_range  the same from a range of sources   3600  100      locked
    app            of apps to register from one source     3600  60       locked
    app_range      the same from a range of sources        3600  300      locked
    device         device codes asked for by one source    3600  60       locked
    device_range   the same by a range of sources          3600  300      locked
    device_miss    wrong device codes from one source       300  30       locked
    user_code      wrong user codes typed by one account    300  10       locked
                   from one range of sources

An attempt is counted before it is judged, so that concurrent ones count too. A success clears its pair counter (NIST
SP 800-63B, section 5.2.2) and is uncounted from the others, which otherwise stay: or the owner of one account could
reset the limits of others with it. For the same reason a correct legacy secret clears nothing, since all share one
counter; nor does a correct ownership or client secret. Of those only misses are counted, so a caller that never misses
is never limited. Refused attempts are not counted: a lock ends by itself.

The codes of a second factor are counted by the same rules as passwords, with counters of their own. The factor rule is
the only one that locks an account for everybody. Strangers cannot make it do so: a code is tried, and counted, only
after the right password. Passkeys are not affected.

A legacy secret is counted wherever it can be tried: as a credential, and as a question to `token.validate`,
`token.introspect` and `auth.verify`. Who asks with a service key has a counter of its own there, or the users of a
service could lock its other requests (docs/decisions/0010-counted-questions.md).

A source is a share of `source_shares.py`. Any program can say that it is a page of any origin on loopback: where there
is no rule for a range, all pages in a source's browsers count as one, beside the source itself. Every local user may
send from any address of 127.0.0.0/8. Where the kernel does not name the user, the pair rule alone distinguishes these
addresses, so that strangers lock only the one they use; the loopback rule limits what one of them can try from all.
"""

from dataclasses import dataclass
from typing import Final

from herod.scopes.principal import Source
from herod.throttle.source_ranges import pages_together, range_of
from herod.throttle.source_shares import exact_share_of, share_of

__all__ = [
    "ACCOUNT",
    "APP",
    "APP_RANGE",
    "CLIENT",
    "CLIENT_RANGE",
    "DELAYS",
    "DEVICE",
    "DEVICE_MISS",
    "DEVICE_RANGE",
    "FACTOR",
    "LEGACY",
    "LEGACY_RANGE",
    "LOOPBACK",
    "MAX_DELAYED",
    "MAX_DELAYED_PER_SOURCE",
    "OWNERSHIP",
    "PAIR",
    "RANGE",
    "REGISTRATION",
    "REGISTRATION_RANGE",
    "SERVICE",
    "SOURCE",
    "USER_CODE",
    "Attempt",
    "CountedAttempt",
    "Counter",
    "LimitRule",
    "Marks",
    "add",
    "app_registration",
    "client_secret_counters",
    "code_guess",
    "delay",
    "device_authorization",
    "device_code_miss",
    "guess_at",
    "legacy_counters",
    "live",
    "ownership_counter",
    "registration",
    "second_factor_guess",
    "seconds_locked",
    "service_counter",
    "take_back",
    "user_code_counter",
]

Marks = tuple[tuple[int, int], ...]
"""(Unix seconds, number of attempts), oldest first."""

# (least attempts in the window, seconds)
DELAYS: Final = ((20, 0.5), (40, 1.0), (80, 2.0), (160, 5.0))
# While this many attempts of a source wait out a delay, more from it are refused: a delay that any number of attempts
# can wait out at once would limit nothing. Other sources are not affected.
MAX_DELAYED_PER_SOURCE: Final = 16
# Of all sources. A range of sources (`source_ranges.py`) loses its places to others, so that one person with many
# sources takes none from anybody.
MAX_DELAYED: Final = 256


@dataclass(frozen=True, slots=True)
class LimitRule:
    """One rule for counting attempts.

    Attributes:
        name: part of the counters' ids, and of the reason in the audit log.
        window: seconds.
        limit: the number of attempts that locks; None for a rule that delays.
        grain: attempts are counted per interval of this many seconds.
    """

    name: str
    window: int
    limit: int | None = None
    grain: int = 1


PAIR: Final = LimitRule("pair", window=300, limit=10)
LOOPBACK: Final = LimitRule("loopback", window=300, limit=50)
ACCOUNT: Final = LimitRule("account", window=300, grain=30)
SOURCE: Final = LimitRule("source", window=300, grain=30)
FACTOR: Final = LimitRule("factor", window=3600, limit=30)
LEGACY: Final = LimitRule("legacy", window=300, limit=10)
OWNERSHIP: Final = LimitRule("ownership", window=300, limit=10)
REGISTRATION: Final = LimitRule("registration", window=3600, limit=20)
# Of what one person can have many sources for (`source_ranges.py`).
RANGE: Final = LimitRule("range", window=300, limit=30)
LEGACY_RANGE: Final = LimitRule("legacy_range", window=300, limit=50)
REGISTRATION_RANGE: Final = LimitRule("registration_range", window=3600, limit=100)
APP: Final = LimitRule("app", window=3600, limit=60)
APP_RANGE: Final = LimitRule("app_range", window=3600, limit=300)
DEVICE: Final = LimitRule("device", window=3600, limit=60)
DEVICE_RANGE: Final = LimitRule("device_range", window=3600, limit=300)
DEVICE_MISS: Final = LimitRule("device_miss", window=300, limit=30)
USER_CODE: Final = LimitRule("user_code", window=300, limit=10)
SERVICE: Final = LimitRule("service", window=300, limit=100)
CLIENT: Final = LimitRule("client", window=300, limit=10)
CLIENT_RANGE: Final = LimitRule("client_range", window=300, limit=50)


@dataclass(frozen=True, slots=True)
class Counter:
    """The counter of one rule for one subject; the words distinguish the counters of a rule."""

    law: LimitRule
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that is about to be made.

    Attributes:
        source: where it comes from, as `share_of` gives it.
        counters: all counters that it increments.
        is_guess: a success is uncounted; otherwise it stays counted.
    """

    source: str
    counters: tuple[Counter, ...]
    is_guess: bool


@dataclass(frozen=True, slots=True)
class CountedAttempt:
    """An attempt that is counted in the store, and when it was counted."""

    attempt: Attempt
    at: int


def guess_at(subject: str, source: Source) -> Attempt:
    """A guess at a password or another secret that a person chose.

    Args:
        subject: the owner of the secret, in normal form: two spellings must be one subject, and an unknown subject is
            counted like any other.
    """
    exact, share = exact_share_of(source), share_of(source)
    counters = [
        Counter(PAIR, (subject, exact)),
        Counter(ACCOUNT, (subject,)),
        Counter(SOURCE, (pages_together(share),)),
    ]
    if share != exact:
        counters.append(Counter(LOOPBACK, (subject, share)))
    return Attempt(share, (*counters, *_of_range(RANGE, share, subject)), is_guess=True)


def second_factor_guess(account_id: str, source: Source) -> Attempt:
    """A guess at a code of an account's second factor, by who knows its password.

    Six digits are few, and three codes are valid at a time: 30 guesses an hour need more than a year, on average.
    """
    attempt = guess_at(f"second factor {account_id}", source)
    return Attempt(attempt.source, (*attempt.counters, Counter(FACTOR, (account_id,))), is_guess=True)


def code_guess(source: Source) -> Attempt:
    """A guess at a code that herod made: too long to be guessed, so guesses are only delayed and lock no one out."""
    share = share_of(source)
    return Attempt(share, (Counter(SOURCE, (pages_together(share),)),), is_guess=True)


def registration(source: Source) -> Attempt:
    """A self-registration; one that fails because the email is taken reveals something and counts too."""
    share = share_of(source)
    counters = (Counter(REGISTRATION, (share,)), *_of_range(REGISTRATION_RANGE, share))
    return Attempt(share, counters, is_guess=False)


def app_registration(source: Source) -> Attempt:
    """An app that registers itself; one that is refused counts too."""
    share = share_of(source)
    counters = (Counter(APP, (share,)), *_of_range(APP_RANGE, share))
    return Attempt(share, counters, is_guess=False)


def device_authorization(source: Source) -> Attempt:
    """An app that asks for a device code; one that is refused counts too."""
    share = share_of(source)
    counters = (Counter(DEVICE, (share,)), *_of_range(DEVICE_RANGE, share))
    return Attempt(share, counters, is_guess=False)


def device_code_miss(source: Source) -> Attempt:
    """A device code that herod does not know. Nobody guesses one, and nobody gets to try for long."""
    share = share_of(source)
    return Attempt(share, (Counter(DEVICE_MISS, (pages_together(share),)),), is_guess=False)


def user_code_counter(account_id: str, source: Source) -> Counter:
    """The counter of user codes that a person typed and that nobody waits with (RFC 8628, section 5.1).

    There are 20^8 codes, of which a thousand may be waiting: at this rate it takes over twenty years to meet one.
    """
    return Counter(USER_CODE, (account_id, range_of(share_of(source))))


def legacy_counters(source: Source) -> tuple[Counter, ...]:
    """The counters of wrong legacy secrets from a source."""
    share = share_of(source)
    return Counter(LEGACY, (share,)), *_of_range(LEGACY_RANGE, share)


def service_counter(principal_id: str, source: Source) -> Counter:
    """The counter of wrong legacy secrets about which a service asked, with its key."""
    return Counter(SERVICE, (principal_id, pages_together(share_of(source))))


def client_secret_counters(source: Source) -> tuple[Counter, ...]:
    """The counters of wrong secrets for accounts with an imported one, which a person may have chosen."""
    share = share_of(source)
    return Counter(CLIENT, (share,)), *_of_range(CLIENT_RANGE, share)


def ownership_counter(principal_id: str, source: Source) -> Counter:
    """The counter of resources and resource lists that a principal's secret did not open."""
    return Counter(OWNERSHIP, (principal_id, pages_together(share_of(source))))


def _of_range(law: LimitRule, share: str, *words: str) -> tuple[Counter, ...]:
    """The counter of the share's range, if it is a part of one."""
    range_ = range_of(share)
    return () if range_ == share else (Counter(law, (*words, range_)),)


def live(law: LimitRule, marks: Marks, now: int) -> Marks:
    """The attempts that count now. Those recorded while the clock was far ahead do not: they would lock until then."""
    return tuple(mark for mark in marks if now - law.window < mark[0] <= now + law.window)


def add(law: LimitRule, marks: Marks, now: int) -> Marks:
    """The marks with one more attempt."""
    kept = dict(live(law, marks, now))
    at = now - now % law.grain
    kept[at] = kept.get(at, 0) + 1
    return tuple(sorted(kept.items()))


def take_back(law: LimitRule, marks: Marks, at: int) -> Marks:
    """The marks with one attempt less at the given time."""
    at -= at % law.grain
    return tuple((when, count - (when == at)) for when, count in marks if count > (when == at))


def seconds_locked(law: LimitRule, marks: Marks, now: int) -> int:
    """For how many seconds attempts are refused; 0 when one may be made."""
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
    """How many seconds an attempt has to wait."""
    counted = sum(count for _, count in live(law, marks, now))
    reached = [seconds for least, seconds in DELAYS if law.limit is None and counted >= least]
    return reached[-1] if reached else 0.0
