"""The tree of all errors.

A `HerodError` answers a request. Its `code` is stable and public, its message says what happened and what to do, and
its `reason` is only for the audit log: it must never reach the caller. A `StartupError` is for the operator who starts
a daemon or a command. Status codes are in `protocols/error_codes.py`, not here.
"""

from typing import ClassVar, Final

__all__ = [
    "AccessDenied",
    "ApprovalRequired",
    "AuthorizationPending",
    "BadCredentials",
    "BadToken",
    "CeilingExceeded",
    "Conflict",
    "Disabled",
    "ExpiredDeviceCode",
    "ExpiredToken",
    "ForeignOrigin",
    "FutureToken",
    "HerodError",
    "InternalError",
    "InvalidClientMetadata",
    "InvalidGrant",
    "InvalidRedirectUri",
    "InvalidRequest",
    "InvalidScope",
    "InvalidTarget",
    "MalformedRequest",
    "MethodNotAllowed",
    "Misdirected",
    "MissingScope",
    "MissingSecret",
    "NetworkDenied",
    "NotFound",
    "NotImplementedHere",
    "PermissionDenied",
    "PersonNeeded",
    "RateLimited",
    "RevokedToken",
    "RuntimeFailure",
    "SecondFactorMissing",
    "SecondFactorNeeded",
    "SettingsError",
    "SlowDown",
    "StartupError",
    "TargetDenied",
    "TooLarge",
    "Unauthenticated",
    "Unavailable",
    "UnsupportedEncoding",
    "UnsupportedGrantType",
    "UnsupportedTokenType",
    "quoted",
]

# Longer than most words that people mistype, shorter than secrets.
MAX_QUOTED: Final = 16


def quoted(text: str) -> str:
    """Quote input for a message: long input only by its length, since it may be a misplaced secret."""
    return repr(text) if len(text) <= MAX_QUOTED else f"({len(text)} characters)"


class HerodError(Exception):
    """Abstract: a request that cannot be granted.

    Attributes:
        code: stable public name of the error; clients may switch on it.
        message: public sentence: what happened and what to do.
        hint: public command or setting that would fix it, or None.
        reason: why, for the audit log only. Defaults to the code.
    """

    code: ClassVar[str]

    def __init__(self, message: str, *, reason: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.reason = reason if reason is not None else self.code


class InvalidRequest(HerodError):
    """The request is malformed, or its parameters are invalid."""

    code = "invalid_request"


class InvalidScope(InvalidRequest):
    """A token was requested with more scope than its account holds (RFC 6749, section 5.2)."""


class InvalidTarget(InvalidRequest):
    """A token was requested for an invalid resource (RFC 8707, section 2)."""


class InvalidRedirectUri(InvalidRequest):
    """An app registers without a redirect URI that will do (RFC 7591, section 3.2.2)."""


class InvalidClientMetadata(InvalidRequest):
    """Something else that an app says about itself at its registration is invalid (RFC 7591, section 3.2.2)."""


class InvalidGrant(InvalidRequest):
    """An authorization code or refresh token is not valid, or was issued for another request (RFC 6749, section 5.2).

    Never an error of the client's own credentials: agents throw their registration away for those.
    """


class AuthorizationPending(InvalidRequest):
    """The person has not decided about a device code yet: ask again after the interval (RFC 8628, section 3.5)."""


class SlowDown(InvalidRequest):
    """The same, and the app asked too soon: it has to wait 5 seconds longer from now on (RFC 8628, section 3.5)."""


class AccessDenied(InvalidRequest):
    """The person refused a device code (RFC 8628, section 3.5)."""


class ExpiredDeviceCode(InvalidRequest):
    """Nobody decided about a device code in time (RFC 8628, section 3.5)."""


class UnsupportedGrantType(InvalidRequest):
    """A token was requested with a grant type that herod does not support (RFC 6749, section 5.2)."""


class UnsupportedTokenType(InvalidRequest):
    """The credential to revoke is of a type that cannot be revoked (RFC 7009, section 2.2.1)."""


class MalformedRequest(InvalidRequest):
    """The bytes are not an acceptable HTTP request (RFC 9112): it is answered 400 in every protocol."""


class MethodNotAllowed(InvalidRequest):
    """The path does not take this method; `allowed` are those that it takes (RFC 9110, section 15.5.6)."""

    def __init__(self, message: str, *, allowed: tuple[str, ...]) -> None:
        super().__init__(message)
        self.allowed = allowed


class NotImplementedHere(InvalidRequest):
    """Herod does not implement the method or the transfer coding (RFC 9110, section 15.6.2)."""


class UnsupportedEncoding(InvalidRequest):
    """The body is compressed, or encoded otherwise (RFC 9110, section 15.5.16)."""


class Misdirected(InvalidRequest):
    """The request's host is not one of herod's (RFC 9110, section 15.5.20)."""


class ForeignOrigin(InvalidRequest):
    """A page of an origin that may not call herod sent the request."""


class TooLarge(HerodError):
    """A head, body or batch is over its limit."""

    code = "too_large"


class Unauthenticated(HerodError):
    """The caller is not authenticated.

    Attributes:
        scheme: the HTTP authentication scheme of the request's own credential, if that was refused: `Bearer` for
            tokens, keys and legacy secrets, `Basic` for client secrets. None if the request presented none of those, or
            something else was refused, such as a password in its parameters.
    """

    code = "bad_credentials"
    scheme: str | None = None


class BadCredentials(Unauthenticated):
    """A name and secret, a key or a password do not match, or nothing was presented."""


class BadToken(Unauthenticated):
    """A token is malformed, has a bad signature or has claims that are not allowed."""

    code = "bad_token"


class FutureToken(BadToken):
    """A token was issued in the future: the clocks of two machines differ, or one was set back.

    Attributes:
        begins: Unix seconds from which it would be valid.
    """

    def __init__(self, message: str, *, begins: int) -> None:
        super().__init__(message, reason="clock")
        self.begins = begins


class ExpiredToken(Unauthenticated):
    """A token or session has expired."""

    code = "expired_token"


class RevokedToken(Unauthenticated):
    """A token was revoked, by itself or with all tokens of its account."""

    code = "revoked_token"


class Disabled(Unauthenticated):
    """The account or key exists and is disabled."""

    code = "disabled"


class SecondFactorNeeded(Unauthenticated):
    """The password is right, and its account has a second factor: its code is needed as well.

    Attributes:
        pending: herod's own page continues with it; it is never sent as a part of an error.
        has_app: the account has an authenticator app.
        has_passkey: the account has a passkey.
    """

    code = "second_factor_needed"

    def __init__(self, message: str, *, pending: str = "", has_app: bool = False, has_passkey: bool = False) -> None:
        super().__init__(message)
        self.pending = pending
        self.has_app = has_app
        self.has_passkey = has_passkey


class PermissionDenied(HerodError):
    """The caller is authenticated, but not allowed to do this.

    Abstract: a child says why.
    """

    def __init__(
        self, message: str, *, missing: str | None = None, reason: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, reason=reason, hint=hint)
        self.missing = missing


class MissingScope(PermissionDenied):
    """The grant does not include the scope; `missing` names it."""

    code = "missing_scope"


class NetworkDenied(PermissionDenied):
    """The grant does not include the requested network."""

    code = "network_denied"


class CeilingExceeded(PermissionDenied):
    """The caller would give more than it holds."""

    code = "ceiling_exceeded"


class TargetDenied(PermissionDenied):
    """The account or key to be changed holds more than the caller."""

    code = "target_denied"


class ApprovalRequired(PermissionDenied):
    """An app asked for what its person must approve first; once they have, the same call succeeds.

    Attributes:
        url: public: the page on which the person decides.
        id: the approval's, if there is one.
    """

    code = "approval_required"

    def __init__(self, message: str, *, url: str, id: str = "") -> None:
        super().__init__(message)
        self.url = url
        self.id = id


class PersonNeeded(PermissionDenied):
    """Only the session of a person who signed in with a passkey or a password may do this."""

    code = "person_needed"


class SecondFactorMissing(PermissionDenied):
    """The account must have a second factor and has none yet: it must set one up first."""

    code = "second_factor_missing"


class NotFound(HerodError):
    """The object does not exist, or the caller may not see it."""

    code = "not_found"


class Conflict(HerodError):
    """The name is taken, or the change would break an invariant."""

    code = "conflict"


class RateLimited(HerodError):
    """Too many attempts; `retry_after` is in seconds."""

    code = "rate_limited"

    def __init__(self, message: str, *, retry_after: int, reason: str | None = None) -> None:
        super().__init__(message, reason=reason)
        self.retry_after = retry_after


class Unavailable(HerodError):
    """Herod cannot do it now: the store is read-only, a disk is full, a queue is at its limit.

    Attributes:
        retry_after: in seconds, where it is known.
    """

    code = "unavailable"

    def __init__(
        self, message: str, *, reason: str | None = None, hint: str | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(message, reason=reason, hint=hint)
        self.retry_after = retry_after


class InternalError(HerodError):
    """A fault of herod's own, whose details are in its log and nowhere else."""

    code = "internal"


class StartupError(Exception):
    """Abstract: a daemon or a command cannot start. The message is one line that says what to change.

    Attributes:
        exit_code: the exit code of the process (sysexits are not used: INTERFACES pins 1 and 2).
    """

    exit_code: ClassVar[int]


class SettingsError(StartupError):
    """A setting is missing, unknown, ill-typed or unsafe."""

    exit_code = 2


class MissingSecret(SettingsError):
    """There is no HERO_SECRET."""


class RuntimeFailure(StartupError):
    """The settings are valid, but the system refuses: a port in use, a folder not writable, a damaged store."""

    exit_code = 1
