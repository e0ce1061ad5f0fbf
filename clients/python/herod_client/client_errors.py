"""What can go wrong between a program and its daemon, as exceptions that say what to check.

`message` says what happened and `hint` what to do; neither ever holds a credential.
"""

__all__ = ["BadAnswer", "ClientError", "InvalidInput", "NotAuthenticated", "Refused", "Unreachable", "Untrusted"]


class ClientError(Exception):
    """Abstract: the call did not succeed."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InvalidInput(ClientError):
    """An address or a credential cannot be one: nothing was sent."""


class Unreachable(ClientError):
    """No daemon answered: no socket, a refused connection, no permission, a timeout, a line that broke.

    After a timeout or a broken line a command may still have been carried out.
    """


class Untrusted(ClientError):
    """Another user's process listens where herod should: nothing was sent to it."""


class BadAnswer(ClientError):
    """Something answered, and what it said is not herod's."""


class Refused(ClientError):
    """Herod answered no.

    Attributes:
        code: the stable name of the error, such as `missing_scope`, or OAuth's, such as `invalid_scope`.
        status: the HTTP status, or the one that a JSON-RPC error of herod's stands for; None for others.
    """

    def __init__(self, message: str, *, code: str, hint: str | None = None, status: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.status = status


class NotAuthenticated(Refused):
    """Herod does not know who asks, or no longer accepts what was presented."""
