"""An authenticator app, written from RFC 6238 and the format of `otpauth:` addresses, without herod's code."""

import base64
import hmac
from urllib.parse import parse_qs, urlsplit

__all__ = ["TotpApp"]


class TotpApp:
    """An app that has scanned an address."""

    def __init__(self, address: str) -> None:
        url = urlsplit(address)
        assert (url.scheme, url.netloc) == ("otpauth", "totp")
        fields = {name: values[0] for name, values in parse_qs(url.query).items()}
        assert fields.get("algorithm", "SHA1") == "SHA1"
        self.label = url.path.lstrip("/")
        self.issuer = fields["issuer"]
        self._digits, self._period = int(fields.get("digits", "6")), int(fields.get("period", "30"))
        secret = fields["secret"]
        self._secret = base64.b32decode(secret + "=" * (-len(secret) % 8))

    def code(self, now: int) -> str:
        """The code that it shows at a time (RFC 4226, section 5.3)."""
        mac = hmac.digest(self._secret, (now // self._period).to_bytes(8, "big"), "sha1")
        at = mac[-1] & 15
        number = int.from_bytes(mac[at : at + 4], "big") & 0x7FFFFFFF
        return str(number % 10**self._digits).zfill(self._digits)
