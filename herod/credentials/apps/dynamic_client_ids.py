"""Client ids that contain their app: dynamic registration without a record (RFC 7591, appendix A.5.2).

    client_id = herod_app_ ‖ base64url(envelope)           the envelope of `sealing.py`, around the app as msgpack
    secret    = herod_c_ ‖ HMAC-SHA256(client_id) ‖ checksum      for an app that is to have one

Only herod can make an envelope that opens, so nothing is kept, and nothing grows with the number of registrations. An
id says who registered what; it proves nothing, and a public app has nothing else.
"""

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

import msgspec

from herod.credentials.keyring import Keyring, Purpose
from herod.credentials.sealing import SealBroken, seal, unseal
from herod_client.core.key_format import client_secret_of

__all__ = [
    "MAX_CLIENT_ID_BYTES",
    "SHORT_CHARS",
    "DynamicApp",
    "client_id_prefix",
    "dynamic_secret",
    "looks_dynamic",
    "open_client_id",
    "seal_client_id",
]

MAX_CLIENT_ID_BYTES: Final = 1024
PREFIX: Final = "herod_app_"
# Enough of an id to tell it from all others: the version and 88 random bits.
SHORT_CHARS: Final = len(PREFIX) + 16
LABEL: Final = b"herod oauth client id v1"
_FORM: Final = re.compile(rf"{PREFIX}[A-Za-z0-9_-]+\Z")


class DynamicApp(msgspec.Struct, frozen=True, array_like=True):
    """What a dynamic client id says about its app; fields may be added at the end, with a default.

    Attributes:
        name: in normal form; empty if the app gave none.
        redirect_uris: as registered.
        grants: grant types (RFC 7591, section 2).
        auth_method: its `token_endpoint_auth_method`.
    """

    name: str
    redirect_uris: tuple[str, ...]
    grants: tuple[str, ...]
    auth_method: str


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(DynamicApp).decode


def seal_client_id(keyring: Keyring, app: DynamicApp) -> str:
    """A new client id that contains `app`.

    Raises:
        ValueError: it would be longer than `MAX_CLIENT_ID_BYTES`.
    """
    envelope = seal(keyring.key(Purpose.DYNAMIC_APPS), _encode(app), LABEL)
    client_id = PREFIX + urlsafe_b64encode(envelope).decode().rstrip("=")
    if len(client_id) > MAX_CLIENT_ID_BYTES:
        raise ValueError(f"a client id has at most {MAX_CLIENT_ID_BYTES} bytes, not {len(client_id)}")
    return client_id


def open_client_id(keyring: Keyring, client_id: str) -> DynamicApp | None:
    """The app that a client id contains; None if herod did not make the id, with the keys that it has now."""
    if len(client_id) > MAX_CLIENT_ID_BYTES or not _FORM.match(client_id):
        return None
    text = client_id.removeprefix(PREFIX)
    try:
        envelope = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        return None
    if urlsafe_b64encode(envelope).decode().rstrip("=") != text:  # another spelling would be another id for one app
        return None
    try:
        return _decode(unseal(keyring.key(Purpose.DYNAMIC_APPS), envelope, LABEL))
    except SealBroken:
        return None


def dynamic_secret(keyring: Keyring, client_id: str) -> str:
    """The client secret that belongs to a dynamic client id."""
    return client_secret_of(keyring.mac(Purpose.DYNAMIC_APP_SECRETS, client_id.encode("utf-8", "surrogatepass")))


def looks_dynamic(client_id: str) -> bool:
    """Whether a client id starts like one of these: it is then nothing else."""
    return client_id.startswith(PREFIX)


def client_id_prefix(client_id: str) -> str:
    """The first characters of a client id, by which logs and pages name its app."""
    return client_id[:SHORT_CHARS]
