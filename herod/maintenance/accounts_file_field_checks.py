"""Parses and checks the fields of a file of accounts and keys. No message quotes a field's value."""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any, Final

import msgspec

from herod.credentials.imported_secret_hashes import OWN_KEY, ImportedHash
from herod.credentials.passwords import check_hash
from herod_client.core.grants import list_networks, parse_networks
from herod_client.core.times import LATEST

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
"""The values of a row, by field."""

SHA256: Final = re.compile(r"(?:sha256[:$])?([0-9a-fA-F]{64})\Z")
MAC: Final = re.compile(r"hmac-sha256(-of-sha256)?:([0-9a-f]{16}):([0-9a-f]{64})\Z")
# Guesses at client secrets are not limited, so a short secret, which a person may have chosen, is not imported.
MIN_SECRET: Final = 16


class Problem(Exception):
    """An entry that may not be stored; the message quotes no secret."""


class SecretEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A client secret or key as the file has it: at most one of these is set."""

    carried: ImportedHash | None = None
    sha256: str | None = None
    plain: str | None = None

    def __repr__(self) -> str:
        return "SecretEntry()"

    def __bool__(self) -> bool:
        """Whether any of them is set."""
        return (self.carried or self.sha256 or self.plain) is not None


def hash_text(carried: ImportedHash) -> str:
    """The hash of a secret as written in a file."""
    return f"hmac-sha256{'-of-sha256' if carried.is_of_sha256 else ''}:{carried.key_id}:{carried.mac.hex()}"


def read_text(fields: Fields, name: str) -> str | None:
    """A string; an empty one counts as missing."""
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise Problem(f"its {name} is not a string")
    return value or None


def read_flag(fields: Fields, name: str, *, default: bool) -> bool:
    """True or false."""
    value = fields.get(name, default)
    if not isinstance(value, bool):
        raise Problem(f"its {name} is neither true nor false")
    return value


def read_words(fields: Fields, name: str, default: str | None) -> list[str]:
    """A list of strings, or one string separated by commas or spaces."""
    value = fields.get(name, default)
    words = re.split(r"[\s,]+", value.strip()) if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise Problem(f"its {name} is not a list of names")
    words = [word for word in words if word]
    if not words:
        raise Problem(f"its {name} is empty")
    return words


def read_networks(fields: Fields) -> tuple[str, ...]:
    """The networks; all networks if the field is missing, none if it is an empty list."""
    if fields.get("networks") == []:
        return ()
    return list_networks(parse_networks(read_words(fields, "networks", "*")))


def read_password(fields: Fields) -> tuple[str | None, str | None]:
    """A PHC string, or the SHA-256 of the password. A plain password is hashed as typed, as Hero Auth does."""
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
    """A time as Unix seconds, from a TOML or RFC 3339 time or date, or from Unix seconds.

    A date is the end of that day, in UTC, for what ends, and else its beginning.
    """
    value = fields.get(name)
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value) if ":" not in value else datetime.fromisoformat(value)
        except ValueError:
            raise Problem(f"its {name} is not a valid time") from None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time(23, 59, 59) if name == "expires_at" else time.min, UTC)
    if isinstance(value, datetime):
        value = int((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp())
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LATEST):
        raise Problem(f"its {name} is not a valid time")
    return value


def read_secret(fields: Fields, hash_keys: Mapping[str, bytes]) -> SecretEntry:
    """The secret of an entry; a hash takes precedence over a plain one. `hash_keys` are those of the file, by id."""
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
    raise Problem("the hash of its secret has an unknown format")
