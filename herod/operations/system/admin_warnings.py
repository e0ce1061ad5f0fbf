"""Warnings for admins, derived from facts: what is wrong, why it matters, and how to fix it.

Pure: no store, no clock. Worst first; the same facts always give the same list.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from herod.pipeline.operation_definition import Time

__all__ = ["AccessFacts", "AdminWarning", "Facts", "KeyFacts", "WarningTopic", "find_warnings"]

DAY: Final = 86_400
# Certificates are usually renewed a month before they expire; half of that is late.
CERTIFICATE_SECONDS: Final = 14 * DAY
LEGACY_SECONDS: Final = 30 * DAY
BACKUP_SECONDS: Final = 7 * DAY
OK: Final = "ok"
# A quota that everybody shares is worth a warning before it is reached.
NEARLY_FULL: Final = 0.9


class WarningTopic(msgspec.Struct, frozen=True):
    """A key, app, account or legacy secret that a warning is about; `at` is when it expires or was last used."""

    id: str
    name: str
    at: Time | None = None


class AdminWarning(msgspec.Struct, frozen=True, kw_only=True):
    """A warning.

    `level` is `now`, `soon` or `consider`; `fix` says what to do, and `command` is the command for it, if there is one;
    `subjects` are some of those that it is about.
    """

    code: str
    level: str
    message: str
    fix: str
    command: str | None = None
    subjects: list[WarningTopic] = msgspec.field(default_factory=list)


class KeyFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Keys that expire within a week, and keys unused for 90 days: some of each, and how many (at least, or in all)."""

    expiring: tuple[WarningTopic, ...] = ()
    expiring_count: int = 0
    unused: tuple[WarningTopic, ...] = ()
    unused_count: int = 0
    are_all_expiring: bool = True
    are_all_unused: bool = True


class AccessFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Some of each, how many there are (at least, or in all), and whether that is all.

    Attributes:
        admin_apps: apps that may be given `admin`, besides those that are built in.
        admin_delegations: what people let apps do, where that includes `admin`; without the `herod` command's own.
        unused_delegations: what people let apps do, unused for 90 days.
        bare_admins: accounts with scope admin and a password, without a second factor.
        stranded_passkeys: accounts' passkeys that belong to another host than the public URL's.
    """

    admin_apps: tuple[WarningTopic, ...] = ()
    admin_apps_count: int = 0
    are_all_admin_apps: bool = True
    admin_delegations: tuple[WarningTopic, ...] = ()
    admin_delegations_count: int = 0
    are_all_admin_delegations: bool = True
    unused_delegations: tuple[WarningTopic, ...] = ()
    unused_delegations_count: int = 0
    are_all_unused_delegations: bool = True
    bare_admins: tuple[WarningTopic, ...] = ()
    bare_admins_count: int = 0
    are_all_bare_admins: bool = True
    stranded_passkeys: tuple[WarningTopic, ...] = ()
    stranded_passkeys_count: int = 0
    are_all_stranded_passkeys: bool = True


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known; times are Unix seconds.

    Attributes:
        legacy: id and last use of each legacy secret.
        missing: for each place where herod should listen and does not, its addresses and the reason.
        is_kept: whether the store is a file, which can be lost.
        audit_file_problem: what prevents audit rows from reaching the audit file.
        has_records: whether the store holds anything that would be missed.
        access: who has more access than they may need.
        second_factor: who must have one: off, admin or all.
        quotas: for the quotas that all share: what they count, their names, the numbers held and allowed.
    """

    health: str = OK
    reason: str | None = None
    missing: tuple[tuple[tuple[str, ...], str], ...] = ()
    weak_secrets: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    legacy: tuple[tuple[str, int | None], ...] = ()
    keys: KeyFacts = KeyFacts()
    signing: str = "EdDSA"
    registration: str = "closed"
    is_kept: bool = False
    backup_at: int | None = None
    certificate_ends: int | None = None
    audit_file_problem: str | None = None
    has_records: bool = False
    access: AccessFacts = AccessFacts()
    second_factor: str = "off"
    quotas: tuple[tuple[str, str, int, int], ...] = ()


def find_warnings(facts: Facts, *, now: int) -> list[AdminWarning]:
    """The warnings for these facts, worst first."""
    order = ("now", "soon", "consider")
    return sorted(_find(facts, now), key=lambda one: order.index(one.level))


def _find(facts: Facts, now: int) -> Iterator[AdminWarning]:
    if facts.health != OK:
        yield AdminWarning(
            code="store",
            level="now",
            message=f"The store is {facts.health}: {facts.reason or 'nothing can be changed'}",
            fix="Then repeat what was revoked, disabled or deleted meanwhile: the log names it; a restart undoes it.",
            command="herod doctor",
        )
    if facts.audit_file_problem is not None:
        yield AdminWarning(
            code="audit_file",
            level="now",
            message=f"Audit rows do not reach the audit file: {facts.audit_file_problem}",
            fix="Fix the cause: the rows wait in the store, and herod tries again every few seconds.",
            command="herod doctor",
        )
    for addresses, reason in facts.missing:
        yield AdminWarning(
            code="missing_address",
            level="now",
            message=f"herod does not listen on {' and '.join(addresses)}: {reason}.",
            fix="Whoever else listens there receives what clients send. herod tries again by itself, and at a reload.",
            command="herod doctor",
        )
    for name in facts.weak_secrets:
        which = "" if name == "HERO_SECRET" else " --store-secret"
        yield AdminWarning(
            code="weak_secret",
            level="now",
            message=f"{name} is too short: it can be guessed.",
            fix="Generate a longer one with herod secret generate, and switch to it while herod is stopped.",
            command=f"herod secret rotate{which} --new-secret-file new_secret",
        )
    for what, name, held, most in facts.quotas:
        if held >= most * NEARLY_FULL:
            yield AdminWarning(
                code="quota",
                level="now" if held >= most else "soon",
                message=f"There are {held} {what} of at most {most}: then no more can be made.",
                fix=f"Delete those that are not needed, or raise {name} under [quotas] and reload herod.",
            )
    yield from _certificate(facts, now)
    yield from _keys(facts.keys)
    yield from _legacy(facts, now)
    for warning in facts.warnings:
        yield AdminWarning(
            code="settings",
            level="soon",
            message=warning,
            fix="Change it in the settings and restart herod.",
        )
    yield from _backup(facts, now)
    yield from _access(facts.access, facts.second_factor)
    yield from _choices(facts)


def _access(access: AccessFacts, second_factor: str) -> Iterator[AdminWarning]:
    if access.stranded_passkeys_count:
        counted = _at_least(access.stranded_passkeys_count, "passkey", is_all=access.are_all_stranded_passkeys)
        yield AdminWarning(
            code="passkeys_stranded",
            level="soon",
            message=f"{counted} for another host than the public URL's: nobody can sign in with them now.",
            fix="Set public_url back, or let their owners sign in with a password and a code, and set up new ones.",
            subjects=list(access.stranded_passkeys),
        )
    if access.bare_admins_count:
        yield AdminWarning(
            code="admin_factor",
            level="soon",
            message=f"{_at_least(access.bare_admins_count, 'admin', is_all=access.are_all_bare_admins)} without a "
            "second factor: whoever learns the password is an admin.",
            fix="Each sets up a passkey or an authenticator app on the page Your account. "
            + (
                'With second_factor = "admin" in the settings, and a restart, they must.'
                if second_factor == "off"
                else "They must do so at the next sign-in; disable accounts that nobody uses."
            ),
            subjects=list(access.bare_admins),
        )
    if access.admin_apps_count:
        yield AdminWarning(
            code="app_admin",
            level="consider",
            message=f"{_at_least(access.admin_apps_count, 'app', is_all=access.are_all_admin_apps)} may be given "
            "admin, and can then do what an admin can.",
            fix="Lower what people may give to what the app needs.",
            command=f"herod app edit {access.admin_apps[0].id} --scope read" if access.admin_apps else None,
            subjects=list(access.admin_apps),
        )
    if access.admin_delegations_count:
        counted = _at_least(access.admin_delegations_count, "connected app", is_all=access.are_all_admin_delegations)
        yield AdminWarning(
            code="delegation_admin",
            level="consider",
            message=f"{counted} can do what an admin can.",
            fix="Disconnect those that need not: the person can connect them again with less.",
            command=f"herod app disconnect {access.admin_delegations[0].id}" if access.admin_delegations else None,
            subjects=list(access.admin_delegations),
        )
    if access.unused_delegations_count:
        counted = _at_least(access.unused_delegations_count, "connected app", is_all=access.are_all_unused_delegations)
        yield AdminWarning(
            code="delegation_unused",
            level="consider",
            message=f"{counted} not used for 90 days or more.",
            fix="Disconnect those that are not needed: the person can connect them again.",
            command=f"herod app disconnect {access.unused_delegations[0].id}" if access.unused_delegations else None,
            subjects=list(access.unused_delegations),
        )


def _choices(facts: Facts) -> Iterator[AdminWarning]:
    """Settings that are safe, but not for everybody."""
    if facts.registration == "open":
        yield AdminWarning(
            code="registration",
            level="consider",
            message="Registration is open: anyone who can reach herod can create an account with scope read.",
            fix='Unless you want that, set registration = "closed" in the settings and restart herod.',
        )
    if facts.signing == "HS256":
        yield AdminWarning(
            code="signing",
            level="consider",
            message="Tokens are signed with HERO_SECRET (HS256): every service that holds it can issue tokens too.",
            fix='When all services support public keys, set signing = "EdDSA" in the settings and restart herod.',
        )


def _certificate(facts: Facts, now: int) -> Iterator[AdminWarning]:
    ends = facts.certificate_ends
    if ends is None or ends > now + CERTIFICATE_SECONDS:
        return
    is_over = ends <= now
    days = max(1, (ends - now) // DAY)
    yield AdminWarning(
        code="certificate",
        level="now" if is_over else "soon",
        message="The TLS certificate has expired: clients refuse to connect."
        if is_over
        else f"The TLS certificate expires in {_count(days, 'day')}.",
        fix="Renew it, then reload herod.",
        command="systemctl reload herod",
    )


def _keys(keys: KeyFacts) -> Iterator[AdminWarning]:
    if keys.expiring_count:
        yield AdminWarning(
            code="expiring",
            level="soon",
            message=f"{_at_least(keys.expiring_count, 'key', is_all=keys.are_all_expiring)} will expire within a week.",
            fix="Extend those that are still needed, or create new ones.",
            command=f"herod key edit {keys.expiring[0].id} --expires 90d",
            subjects=list(keys.expiring),
        )
    if keys.unused_count:
        yield AdminWarning(
            code="unused",
            level="consider",
            message=f"{_at_least(keys.unused_count, 'key', is_all=keys.are_all_unused)} not used for 90 days or more.",
            fix="Disable those that are not needed, and delete them later.",
            command=f"herod key disable {keys.unused[0].id}" if keys.unused else None,
            subjects=list(keys.unused),
        )


def _legacy(facts: Facts, now: int) -> Iterator[AdminWarning]:
    used = [WarningTopic(id=id_, name=id_) for id_, at in facts.legacy if at is not None and at > now - LEGACY_SECONDS]
    idle = [WarningTopic(id=id_, name=id_) for id_, at in facts.legacy if at is None or at <= now - LEGACY_SECONDS]
    if used:
        yield AdminWarning(
            code="legacy_used",
            level="soon",
            message=f"{_count(len(used), 'legacy secret')} used within the last 30 days.",
            fix="Create a service key to replace it, and give that key to the clients that still use the secret.",
            command=f"herod legacy promote {used[0].id}",
            subjects=used,
        )
    if idle:
        yield AdminWarning(
            code="legacy_idle",
            level="consider",
            message=f"{_count(len(idle), 'legacy secret')} in the settings, not used for 30 days.",
            fix="Remove it from the settings, then reload herod.",
            command="systemctl reload herod",
            subjects=idle,
        )


def _backup(facts: Facts, now: int) -> Iterator[AdminWarning]:
    if not facts.is_kept or not facts.has_records:
        return
    if facts.backup_at is not None and facts.backup_at > now - BACKUP_SECONDS:
        return
    age = None if facts.backup_at is None else (now - facts.backup_at) // DAY
    yield AdminWarning(
        code="backup",
        level="soon",
        message="No backup has been made yet." if age is None else f"The last backup is {age} days old.",
        fix="Make one, and keep it and the secret in different places.",
        command="herod backup",
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _at_least(number: int, noun: str, *, is_all: bool) -> str:
    return _count(number, noun) if is_all else f"At least {_count(number, noun)}"
