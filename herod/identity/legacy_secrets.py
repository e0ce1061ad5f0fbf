"""Secrets of older systems from the settings: each grants one scope."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from herod.credentials.keyring import Keyring, Purpose
from herod.credentials.secret_normal_form import normal_secret
from herod_client.core.access_tokens import looks_like_token
from herod_client.core.key_format import looks_like_key

__all__ = ["LegacySecret", "LegacySecrets"]

JWT_BEGIN: Final = "eyJ"  # `{"` in base64url


@dataclass(frozen=True, slots=True)
class LegacySecret:
    """A secret from an older system that grants one scope. `id` is derived from it and does not reveal it."""

    id: str
    scope: str


class LegacySecrets:
    """The legacy secrets of the settings, looked up by HMAC so that the timing reveals nothing about a secret."""

    def __init__(self, keyring: Keyring, secrets: Sequence[tuple[str, str]]) -> None:
        """Take (scope, secret) pairs."""
        self._keyring = keyring
        self._by_mac: dict[bytes, LegacySecret] = {}
        for scope, secret in secrets:
            mac = self._mac(secret)
            self._by_mac.setdefault(mac, LegacySecret(id=f"legacy-{scope}-{mac[:4].hex()}", scope=scope))
        self._by_normal_mac = self._normal_macs([secret for _, secret in secrets])
        self._by_id = {secret.id: secret for secret in self._by_mac.values()}
        self._like_tokens = any(looks_like_token(secret) for _, secret in secrets)

    def match(self, text: str) -> LegacySecret | None:
        """The configured secret equal to `text`, or to it in normal form, if any."""
        if not self._by_mac:
            return None
        normal, mac = normal_secret(text), self._mac(text)
        return self._by_mac.get(mac) or self._by_normal_mac.get(mac if normal == text else self._mac(normal))

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._by_mac)

    def could_be(self, text: str) -> bool:
        """Whether a wrong bearer text may be a guess at a legacy secret: a bad token or a mistyped key is not.

        If a legacy secret has three parts like a token, texts with three parts may be guesses too, unless they begin
        like the JSON header of a token.
        """
        if not self._by_mac or not text or looks_like_key(text):
            return False
        return not looks_like_token(text) or (self._like_tokens and not text.startswith(JWT_BEGIN))

    def all(self) -> list[LegacySecret]:
        """All legacy secrets, sorted by id."""
        return sorted(self._by_id.values(), key=lambda secret: secret.id)

    def get(self, id: str) -> LegacySecret | None:
        """The configured secret of that id."""
        return self._by_id.get(id)

    def _normal_macs(self, secrets: Sequence[str]) -> dict[bytes, LegacySecret]:
        """The secrets by normal form. If several scopes have one of the same, only the exact texts tell them apart."""
        found: dict[bytes, list[LegacySecret]] = {}
        for secret in secrets:
            found.setdefault(self._mac(normal_secret(secret)), []).append(self._by_mac[self._mac(secret)])
        return {mac: alike[0] for mac, alike in found.items() if len({secret.scope for secret in alike}) == 1}

    def _mac(self, text: str) -> bytes:
        # Not the key for hashes: that one is exported with the accounts, and people choose these secrets.
        return self._keyring.mac(Purpose.LEGACY, text.encode("utf-8", "surrogatepass"))
