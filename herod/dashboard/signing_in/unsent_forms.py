"""A form that needed a new sign-in first: kept, sealed, in the browser until its sender has signed in again.

A page says which of its forms are kept, by the label of their button (`Gateway.submitted`). It is sent only when the
same principal then presses that button again, so a form that somebody else sealed for themselves does nothing here.
Must never keep a secret: a form with a filled-in secret is typed again.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Final

import msgspec

from herod.credentials.keyring import Purpose
from herod.credentials.sealing import SealBroken, seal, unseal
from herod.identity.runtime_state import Runtime

__all__ = ["MAX_KEPT_BYTES", "UNSENT_SECONDS", "UnsentForm", "keep_form", "kept_form"]

UNSENT_SECONDS: Final = 600
# Of the fields, as JSON: sealed, it is part of the address of a page (`landing.py`).
MAX_KEPT_BYTES: Final = 2500
_LABEL: Final = b"herod unsent form v1"
_SECRETS: Final = frozenset({"again", "code", "current", "key", "otp", "password", "secret", "token"})


class UnsentForm(msgspec.Struct, frozen=True, kw_only=True):
    """A form of one of our pages.

    Attributes:
        sub: who sent it.
        ends: Unix seconds.
        path: where it is sent to.
        label: its button's.
        fields: without the ticket.
    """

    sub: str
    ends: int
    path: str
    label: str
    fields: dict[str, str]


def keep_form(runtime: Runtime, *, sub: str, path: str, label: str, fields: Mapping[str, str], now: int) -> str | None:
    """Seal a form; None if it is too long or has a secret in it.

    Args:
        sub: who sent it.
        path: where it is sent to.
        label: its button's.
        fields: without the ticket.
        now: Unix seconds.
    """
    if any(fields.get(name) for name in _SECRETS):
        return None
    form = UnsentForm(sub=sub, ends=now + UNSENT_SECONDS, path=path, label=label, fields=dict(fields))
    plain = msgspec.json.encode(form)
    if len(plain) > MAX_KEPT_BYTES:
        return None
    sealed = seal(runtime.keyring.key(Purpose.LANDINGS), plain, _LABEL)
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def kept_form(runtime: Runtime, sealed: str, *, sub: str, now: int) -> UnsentForm | None:
    """The form that `keep_form` sealed for this principal; None if it is somebody else's, or too old."""
    try:
        raw = base64.b64decode(sealed + "=" * (-len(sealed) % 4), altchars=b"-_", validate=True)
        plain = unseal(runtime.keyring.key(Purpose.LANDINGS), raw, _LABEL)
    except (SealBroken, binascii.Error, ValueError):
        return None
    form = msgspec.json.decode(plain, type=UnsentForm)
    return form if form.sub == sub and now < form.ends <= now + UNSENT_SECONDS else None
