"""Signed-in browsers."""

from typing import ClassVar

from herod.records.record import Record

__all__ = ["Session", "SessionEpoch"]


class Session(Record, frozen=True, kw_only=True):
    """A signed-in browser. `id` is the HMAC, in hex, of the cookie's value; `created_at` is the sign-in's time.

    Attributes:
        subject: the `sub` of the principal that signed in.
        via: the credential that signed in, as `identity/parent_credential.py` writes it; the session never exceeds it.
        epoch: the subject's epoch when the session began.
        source: where it began, as in the audit log; empty if unknown.
        user: the local user whose browser it is, by the kernel; None if unknown. A hint, which only takes away.
        browser: the browser's family, without its version.
        half: HMAC, in hex, of the secret's part in the browser's cookie: its next sign-in ends this session.
        boot: the run of the daemon that it ends with; None for a session over TLS, which outlasts it.
        epochs: the session epochs of its subject and of everyone when it began (`SessionEpoch`).
        amr: how the person who signed in proved who they are (RFC 8176): `pwd`, `otp`, `hwk` or `swk`, `user`, `mfa`;
            empty for sessions opened by a key, a secret, a rule or the local admin.
        maker: whose share of the limits it uses, if several local users sign in as its subject; else empty.
    """

    kind: ClassVar[str] = "session"

    subject: str
    via: str
    epoch: int
    scope: tuple[str, ...]
    networks: tuple[str, ...]
    source: str = ""
    browser: str = ""
    half: str = ""
    boot: int | None = None
    epochs: tuple[int, int] = (0, 0)
    maker: str = ""
    amr: tuple[str, ...] = ()
    user: int | None = None

    @property
    def lookup(self) -> tuple[str, ...] | None:
        """By the browser's cookie."""
        return ("half", self.half) if self.half else None

    @property
    def owner_id(self) -> str:
        """Who signed in."""
        return self.subject


class SessionEpoch(Record, frozen=True, kw_only=True):
    """Ends all earlier sessions of a subject at once, however many. `id` is the subject, or `*` for everyone."""

    kind: ClassVar[str] = "session_epoch"
    is_followed: ClassVar[bool] = False

    epoch: int
