"""Every encoding in which a secret could be left somewhere, and a search for all of them.

Pure. Must never report that a secret is absent because the search failed: callers prove with a planted leak that the
search works.
"""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, quote_plus

__all__ = ["Leak", "forms", "search"]

# Shorter secrets would be found by accident.
LEAST: Final = 8


@dataclass(frozen=True)
class Leak:
    """A leaked secret, by name rather than by value."""

    secret: str
    form: str
    place: str
    around: str

    def __str__(self) -> str:
        return f"{self.secret} ({self.form}) in {self.place}: {self.around}"


def forms(secret: bytes) -> dict[str, bytes]:
    """Name → bytes to search for."""
    found = {
        "raw": secret,
        "reversed": secret[::-1],
        "hex": secret.hex().encode(),
        "HEX": secret.hex().upper().encode(),
        "percent": quote(secret, safe="").encode(),
        "form": quote_plus(secret).encode(),
        "all percent": "".join(f"%{byte:02X}" for byte in secret).encode(),
        "SHA-256": hashlib.sha256(secret).digest(),
        "SHA-256 hex": hashlib.sha256(secret).hexdigest().encode(),
        "SHA-256 base64": base64.b64encode(hashlib.sha256(secret).digest()).rstrip(b"="),
    }
    # Base64 of a longer text that contains it: for each offset, the characters that depend on the secret alone.
    for offset in range(3):
        encoded = base64.b64encode(bytes(offset) + secret)
        whole = encoded[(0, 2, 3)[offset] : len(encoded) - (0, 3, 2)[(offset + len(secret)) % 3]]
        found[f"base64 +{offset}"] = whole
        found[f"base64url +{offset}"] = whole.translate(bytes.maketrans(b"+/", b"-_"))
    try:
        text = secret.decode()
    except UnicodeDecodeError:
        return found
    found["UTF-16LE"] = text.encode("utf-16-le")
    found["UTF-16BE"] = text.encode("utf-16-be")
    found["JSON"] = json.dumps(text)[1:-1].encode()
    found["repr"] = repr(text)[1:-1].encode()
    return found


def search(secrets: Mapping[str, bytes], places: Mapping[str, bytes]) -> Iterator[Leak]:
    """Search for every form of every secret in every place."""
    for name, secret in secrets.items():
        assert len(secret) >= LEAST, name
        for form, wanted in forms(secret).items():
            for place, content in places.items():
                at = content.find(wanted)
                if at >= 0:
                    yield Leak(name, form, place, repr(content[max(0, at - 60) : at + 20]))
