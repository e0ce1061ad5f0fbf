"""A passkey authenticator in software: what a browser sends for it, whole or wrong in one respect."""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from fido2 import cbor
from fido2.cose import ES256, RS256, CoseKey, EdDSA
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData

__all__ = ["BE", "BS", "UP", "UV", "SoftAuthenticator", "b64"]

UP, UV, BE, BS, AT = 0x01, 0x04, 0x08, 0x10, 0x40
PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


def b64(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def client_data(type: str, challenge: str, origin: str, **more: Any) -> bytes:
    """What a browser says about the page."""
    return json.dumps({"type": type, "challenge": challenge, "origin": origin, "crossOrigin": False, **more}).encode()


@dataclass
class SoftAuthenticator:
    """One authenticator with one passkey.

    Attributes:
        algorithm: -7 (ES256), -8 (EdDSA) or -257 (RS256).
        counter: of the next answer; 0 for an authenticator that does not count.
        flags: of its answers.
        said_algorithm: what its public key says, if that is not so.
    """

    origin: str = "http://localhost:3350"
    rp_id: str = "localhost"
    algorithm: int = ES256.ALGORITHM
    counter: int = 0
    flags: int = UP | UV
    credential: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    user_handle: bytes = b""
    said_algorithm: int | None = None
    key: PrivateKey = field(init=False)

    def __post_init__(self) -> None:
        match self.algorithm:
            case EdDSA.ALGORITHM:
                self.key = ed25519.Ed25519PrivateKey.generate()
            case RS256.ALGORITHM:
                self.key = rsa.generate_private_key(65537, 2048)
            case _:
                self.key = ec.generate_private_key(ec.SECP256R1())

    @property
    def public(self) -> CoseKey:
        """Its COSE key."""
        key = CoseKey.for_alg(self.algorithm).from_cryptography_key(self.key.public_key())
        return key if self.said_algorithm is None else CoseKey.parse({**key, 3: self.said_algorithm})

    def enrol(self, challenge: str, *, said_type: str = "webauthn.create", **more: Any) -> dict[str, str]:
        """The fields of `passkeys.enrol`, but the name."""
        made = AttestedCredentialData.create(bytes(16), self.credential, self.public)
        said = client_data(said_type, challenge, self.origin, **more)
        return {
            "client_data": b64(said),
            "attestation": b64(AttestationObject.create("none", self._data(AT, bytes(made)), {})),
        }

    def sign_in(self, challenge: str, *, said_type: str = "webauthn.get", **more: Any) -> dict[str, str]:
        """The fields of `session.passkey`."""
        said = client_data(said_type, challenge, self.origin, **more)
        data = self._data()
        return {
            "credential": b64(self.credential),
            "client_data": b64(said),
            "authenticator_data": b64(data),
            "signature": b64(self._sign(bytes(data) + hashlib.sha256(said).digest())),
            "user_handle": b64(self.user_handle),
        }

    def _data(self, flags: int = 0, made: bytes = b"") -> AuthenticatorData:
        if self.counter:
            self.counter += 1
        rp_hash = hashlib.sha256(self.rp_id.encode()).digest()
        return AuthenticatorData(
            rp_hash + bytes([self.flags | flags]) + self.counter.to_bytes(4, "big") + made,
        )

    def _sign(self, data: bytes) -> bytes:
        match self.key:
            case ec.EllipticCurvePrivateKey():
                return self.key.sign(data, ec.ECDSA(SHA256()))
            case ed25519.Ed25519PrivateKey():
                return self.key.sign(data)
            case _:
                return self.key.sign(data, padding.PKCS1v15(), SHA256())

    def learn_handle(self, text: str) -> None:
        """Keep the user handle that it was given to enrol."""
        self.user_handle = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

    def packed_key(self) -> bytes:
        """Its public key, in CBOR."""
        return cbor.encode(dict(self.public))
