"""Single fields of a file of accounts and keys, each checked by itself. No message holds what a field held."""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from herod.credentials.imported_secret_hashes import OWN_KEY, ImportedHash
from herod.credentials.passwords import check_hash
from herod.pipeline.text_normalization import LATEST
from herod_client.core.grants import list_networks, parse_networks

__all__ = [
    "Fields",
    "Problem",
    "SecretEntry",
    "hash_text",
    "read_flag",
    "read_networks",
    "read_password",
    "read_secret",
    "read_text",
    "read_time",
    "read_words",
]

Fields = Mapping[str, Any]
"""What a row says, by meaning."""

SHA256: Final = re.compile(r"(?:sha256[:$])?([0-9a-fA-F]{64})\Z")
MAC: Final = re.compile(r"hmac-sha256(-of-sha256)?:([0-9a-f]{16}):([0-9a-f]{64})\Z")
# Client secrets are not counted when guessed, so one that people chose is not carried over.
MIN_SECRET: Final = 16


class Problem(Exception):
    """Something about one entry that may not be stored; the message names no secret."""


class SecretEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What a file knows of a client secret or key: one of them, or nothing."""

    carried: ImportedHash | None = None
    sha256: str | None = None
    plain: str | None = None

    def __repr__(self) -> str:
        return "SecretEntry()"

    def __bool__(self) -> bool:
        """Whether there is one."""
        return (self.carried or self.sha256 or self.plain) is not None


def hash_text(carried: ImportedHash) -> str:
    """How a file writes the hash of a secret."""
    return f"hmac-sha256{'-of-sha256' if carried.is_of_sha256 else ''}:{carried.key_id}:{carried.mac.hex()}"


def read_text(fields: Fields, name: str) -> str | None:
    """A text; one that is empty says nothing."""
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise Problem(f"its {name} is not a text")
    return value or None


def read_flag(fields: Fields, name: str, *, default: bool) -> bool:
    """True or false."""
    value = fields.get(name, default)
    if not isinstance(value, bool):
        raise Problem(f"its {name} is neither true nor false")
    return value


def read_words(fields: Fields, name: str, default: str | None) -> list[str]:
    """A list of texts, or one text with commas or spaces."""
    value = fields.get(name, default)
    words = re.split(r"[\s,]+", value.strip()) if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise Problem(f"its {name} is not a list of names")
    words = [word for word in words if word]
    if not words:
        raise Problem(f"its {name} is empty")
    return words


def read_networks(fields: Fields) -> tuple[str, ...]:
    """All networks where nothing is said; an empty list is none at all."""
    if fields.get("networks") == []:
        return ()
    return list_networks(parse_networks(read_words(fields, "networks", "*")))


def read_password(fields: Fields) -> tuple[str | None, str | None]:
    """A PHC string, or the SHA-256 of the password. A plain one counts as typed, as Hero Auth took it."""
    text = read_text(fields, "password_hash")
    if text is None:
        text = read_text(fields, "password")
        if text is None:
            return None, None
        if not SHA256.match(text) and not text.startswith("$"):
            return None, hashlib.sha256(text.encode()).hexdigest()
    if match := SHA256.match(text):
        return None, match[1].lower()
    check_hash(text)
    return text, None


def read_time(fields: Fields, name: str) -> int | None:
    """A time of TOML, RFC 3339 or Unix seconds, as the last."""
    value = fields.get(name)
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise Problem(f"its {name} is not a time") from None
    if isinstance(value, datetime):
        value = int((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp())
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LATEST):
        raise Problem(f"its {name} is not a time")
    return value


def read_secret(fields: Fields, hash_keys: Mapping[str, bytes]) -> SecretEntry:
    """What is known of a secret: a hash counts before a plain one. `hash_keys` came with the file, by their ids."""
    text = read_text(fields, "secret_hash")
    if text is None:
        plain = read_text(fields, "secret")
        return SecretEntry(plain=plain if plain is not None and len(plain) >= MIN_SECRET else None)
    if match := SHA256.match(text):
        return SecretEntry(sha256=match[1].lower())
    if match := MAC.match(text):
        carried = ImportedHash(match[2], bytes.fromhex(match[3]), is_of_sha256=match[1] is not None)
        if carried.key_id == OWN_KEY or carried.key_id not in hash_keys:
            raise Problem("the key of its secret's hash is not in the file")
        return SecretEntry(carried=carried)
    raise Problem("the hash of its secret is of no known form")
