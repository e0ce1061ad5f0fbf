"""Everything that can be refused, and why: the one tree of errors.

A `HerodError` answers a request. Its `code` is stable and public, its message says what happened and what to do, and
its `reason` is for the audit log alone: it must never reach the one who asked. A `StartupError` answers the operator
who starts a daemon or a command. Neither knows a status number: those stand in `protocols/error_codes.py`.
"""

from typing import ClassVar, Final

__all__ = [
    "BadCredentials",
    "BadToken",
    "CeilingExceeded",
    "Conflict",
    "Disabled",
    "ExpiredToken",
    "HerodError",
    "InvalidRequest",
    "InvalidScope",
    "InvalidTarget",
    "MissingScope",
    "MissingSecret",
    "NetworkDenied",
    "NotFound",
    "PermissionDenied",
    "RateLimited",
    "RevokedToken",
    "RuntimeFailure",
    "SettingsError",
    "StartupError",
    "TargetDenied",
    "TooLarge",
    "Unauthenticated",
    "Unavailable",
    "UnsupportedGrantType",
    "UnsupportedTokenType",
    "quoted",
]

# Longer than most words that people mistype, shorter than secrets are.
MAX_QUOTED: Final = 16


def quoted(text: str) -> str:
    """What somebody wrote, for a message: told by its length when it is long, for it may be a secret gone astray."""
    return repr(text) if len(text) <= MAX_QUOTED else f"({len(text)} characters)"


class HerodError(Exception):
    """Abstract: a request that cannot be granted.

    Attributes:
        code: stable public name of the error; clients may switch on it.
        message: public sentence: what happened and what to do.
        hint: public command or setting that would mend it, or None.
        reason: why, for the audit log only. Defaults to the code.
    """

    code: ClassVar[str]

    def __init__(self, message: str, *, reason: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.reason = reason if reason is not None else self.code


class InvalidRequest(HerodError):
    """The request does not say something herod can act on."""

    code = "invalid_request"


class InvalidScope(InvalidRequest):
    """A token was asked for with more than its account holds (RFC 6749, section 5.2)."""


class InvalidTarget(InvalidRequest):
    """A token was asked for a resource that is none (RFC 8707, section 2)."""


class UnsupportedGrantType(InvalidRequest):
    """A token was asked for in a way herod does not offer (RFC 6749, section 5.2)."""


class UnsupportedTokenType(InvalidRequest):
    """What should be revoked is nothing that revoking is for (RFC 7009, section 2.2.1)."""


class TooLarge(HerodError):
    """A head, body or batch is over its limit."""

    code = "too_large"


class Unauthenticated(HerodError):
    """Nobody herod knows is asking."""

    code = "bad_credentials"


class BadCredentials(Unauthenticated):
    """A name and secret, a key or a password do not match, or nothing was presented."""


class BadToken(Unauthenticated):
    """A token is malformed, has a bad signature or says something it may not."""

    code = "bad_token"


class ExpiredToken(Unauthenticated):
    """A token or session was good and its time is over."""

    code = "expired_token"


class RevokedToken(Unauthenticated):
    """A token was taken back, by itself or with everything its account held."""

    code = "revoked_token"


class Disabled(Unauthenticated):
    """The account or key exists and is switched off."""

    code = "disabled"


class PermissionDenied(HerodError):
    """Abstract: herod knows who asks, and they may not."""

    def __init__(
        self, message: str, *, missing: str | None = None, reason: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, reason=reason, hint=hint)
        self.missing = missing


class MissingScope(PermissionDenied):
    """The grant does not include the scope; `missing` names it."""

    code = "missing_scope"


class NetworkDenied(PermissionDenied):
    """The grant does not prove the network that was asked about."""

    code = "network_denied"


class CeilingExceeded(PermissionDenied):
    """What would be given is more than the giver holds."""

    code = "ceiling_exceeded"


class TargetDenied(PermissionDenied):
    """The account or key to be changed holds more than the one who would change it."""

    code = "target_denied"


class NotFound(HerodError):
    """There is no such thing, or none that the one who asks may see."""

    code = "not_found"


class Conflict(HerodError):
    """The name is taken, or the change would break a rule that holds for all."""

    code = "conflict"


class RateLimited(HerodError):
    """Too many tries; `retry_after` is in seconds."""

    code = "rate_limited"

    def __init__(self, message: str, *, retry_after: int, reason: str | None = None) -> None:
        super().__init__(message, reason=reason)
        self.retry_after = retry_after


class Unavailable(HerodError):
    """Herod cannot do it now: the store is read-only, a disk is full, a queue is at its limit."""

    code = "unavailable"


class StartupError(Exception):
    """Abstract: a daemon or a command cannot start. One line that says what to change.

    Attributes:
        exit_code: what the process ends with (sysexits are not used: INTERFACES pins 1 and 2).
    """

    exit_code: ClassVar[int]


class SettingsError(StartupError):
    """A setting is missing, unknown, ill-typed or unsafe."""

    exit_code = 2


class MissingSecret(SettingsError):
    """There is no HERO_SECRET."""


class RuntimeFailure(StartupError):
    """The settings are fine and the machine says no: a port taken, a folder not writable, a damaged store."""

    exit_code = 1
