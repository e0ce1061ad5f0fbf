"""Errors of calls to the daemon, as exceptions that say what to check.

`message` says what happened and `hint` what to do; neither ever contains a credential.
"""

__all__ = ["BadAnswer", "ClientError", "InvalidInput", "NotAuthenticated", "Refused", "Unreachable", "Untrusted"]


class ClientError(Exception):
    """Abstract: the call did not succeed."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InvalidInput(ClientError, ValueError):
    """An argument is invalid: an address, a credential, a required scope. Nothing was sent, and nothing is accepted."""


class Unreachable(ClientError):
    """No daemon answered: no socket, a refused connection, no permission, a timeout, a broken connection.

    After a timeout or a broken connection a command may still have been executed.
    """


class Untrusted(ClientError):
    """Another user's process listens where herod should: nothing was sent to it."""


class BadAnswer(ClientError):
    """The answer is not one of herod's."""


class Refused(ClientError):
    """Herod answered with an error.

    Attributes:
        code: the stable name of the error, such as `missing_scope`, or OAuth's, such as `invalid_scope`.
        status: the HTTP status, or the one that corresponds to herod's JSON-RPC error; None for others.
        retry_after: for a limit that was reached, the seconds after which to try again, if the answer says so.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        hint: str | None = None,
        status: int | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.status = status
        self.retry_after = retry_after


class NotAuthenticated(Refused):
    """No credential was presented, or herod does not accept it."""
