"""What a browser carries between the steps of signing in, or of setting up an app: sealed, and for minutes.

Nothing is stored until the last step. An envelope is bound to what it is for, to the store and its generation, and to
its account in its epoch: a new password, or a restore, ends it.
"""

import base64
import binascii
from typing import Annotated, Final

import msgspec

from herod.credentials.keyring import Purpose
from herod.credentials.sealing import SealBroken, pack_fields, seal, unseal
from herod.identity.runtime_state import Runtime
from herod.pipeline.parameters.parameter_types import AS_IT_IS
from herod.records import Account
from herod.store.store_interface import Reader

__all__ = [
    "MAX_SEALED_CHARS",
    "SETUP_SECONDS",
    "SIGN_IN_SECONDS",
    "Sealed",
    "account_of_sign_in",
    "open_setup",
    "seal_setup",
    "seal_sign_in",
]

SIGN_IN_SECONDS: Final = 300
SETUP_SECONDS: Final = 600
MAX_SEALED_CHARS: Final = 1024
Sealed = Annotated[str, msgspec.Meta(extra_json_schema={"maxLength": MAX_SEALED_CHARS}), AS_IT_IS]
_SIGN_IN: Final = b"herod sign-in v1"
_SETUP: Final = b"herod authenticator app v1"


class _Unfinished(msgspec.Struct, frozen=True, array_like=True):
    account: str
    epoch: int
    ends: int
    secret: bytes = b""


def seal_sign_in(runtime: Runtime, account: Account, now: int) -> str:
    """The sign-in of an account whose password was right, and whose code is awaited."""
    return _seal(runtime, _SIGN_IN, _Unfinished(account.id, account.epoch, now + SIGN_IN_SECONDS))


def account_of_sign_in(reader: Reader, runtime: Runtime, sealed: str, now: int) -> Account | None:
    """The account of a sign-in that `seal_sign_in` sealed; None if it is too old or its account has changed since."""
    found = _open(runtime, _SIGN_IN, sealed, now)
    account = None if found is None else reader.get(Account, found.account)
    return account if account is not None and found is not None and account.epoch == found.epoch else None


def seal_setup(runtime: Runtime, account: Account, secret: bytes, now: int) -> str:
    """The secret of an authenticator app that is being set up."""
    return _seal(runtime, _SETUP, _Unfinished(account.id, account.epoch, now + SETUP_SECONDS, secret))


def open_setup(runtime: Runtime, account: Account, sealed: str, now: int) -> bytes | None:
    """The secret that `seal_setup` sealed for this account; None if it did not, or too long ago."""
    found = _open(runtime, _SETUP, sealed, now)
    if found is None or (found.account, found.epoch) != (account.id, account.epoch):
        return None
    return found.secret


def _seal(runtime: Runtime, label: bytes, unfinished: _Unfinished) -> str:
    sealed = seal(runtime.keyring.key(Purpose.SIGN_INS), msgspec.msgpack.encode(unfinished), _bound(runtime, label))
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def _open(runtime: Runtime, label: bytes, sealed: str, now: int) -> _Unfinished | None:
    if len(sealed) > MAX_SEALED_CHARS:
        return None
    try:
        raw = base64.b64decode(sealed + "=" * (-len(sealed) % 4), altchars=b"-_", validate=True)
        plain = unseal(runtime.keyring.key(Purpose.SIGN_INS), raw, _bound(runtime, label))
    except (SealBroken, binascii.Error, ValueError):
        return None
    found = msgspec.msgpack.decode(plain, type=_Unfinished)
    # One that ends later than it can was made while the clock was ahead.
    return found if now < found.ends <= now + max(SIGN_IN_SECONDS, SETUP_SECONDS) else None


def _bound(runtime: Runtime, label: bytes) -> bytes:
    return pack_fields(label, runtime.store_generation.encode())
