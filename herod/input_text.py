"""Text that a person keeps in a file, a variable or a pipe: its encoding, and the one line of a secret.

Editors and shells add what nobody sees: a byte order mark, UTF-16, a NUL, another line. Pure; no message quotes the
text, which may be a secret.
"""

import json
import unicodedata
from typing import Any, Final

from herod_client.core.errors import SettingsError
from herod_client.core.repeated_names import RepeatedNameError, check_names

__all__ = ["MARK", "decode_text", "is_text", "parse_json", "parse_secret"]

MARK: Final = "\ufeff"
# Byte order marks (Unicode 15.0, section 23.8) of other encodings; the longer first.
_OTHER_MARKS: Final = (
    (b"\xff\xfe\0\0", "UTF-32"),
    (b"\0\0\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
_SAMPLE: Final = 256
_TEXT_BYTES: Final = frozenset(range(0x20, 0x7F)) | frozenset(range(0x80, 0x100)) | frozenset(b"\t\n\f\r")
# Controls, surrogates, line and paragraph separators.
_UNSEEN: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})


def decode_text(content: bytes, name: str, *, otherwise: str = "is it the right file?") -> str:
    """Decode UTF-8, without byte order marks at its beginning: text that was saved twice has two.

    Args:
        content: all of it.
        name: the file or pipe, for messages.
        otherwise: what to do if the content is not text at all.

    Raises:
        SettingsError: it is not UTF-8.
    """
    if encoding := _other_encoding(content):
        raise SettingsError(f"{name} is {encoding}: save it as UTF-8.")
    try:
        return content.decode().lstrip(MARK)
    except UnicodeDecodeError:
        if _TEXT_BYTES.issuperset(content[:_SAMPLE]):  # such as Latin-1
            raise SettingsError(f"{name} is not UTF-8: save it as UTF-8.") from None
        raise SettingsError(f"{name} is not text (UTF-8): {otherwise}") from None


def is_text(content: bytes) -> bool:
    """Whether it is text in UTF-8, UTF-16 or UTF-32."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return _other_encoding(content) is not None
    return True


def parse_secret(text: str, name: str, *, otherwise: str = "keep only the secret in it.") -> str:
    """The secret in a text: its only line, without byte order marks before it and line ends after it.

    Args:
        text: as decoded, or as a variable has it.
        name: the file, pipe or variable, for messages.
        otherwise: what to do if the text contains more than a secret.

    Raises:
        SettingsError: it is empty, or contains what no secret does.
    """
    value = text.lstrip(MARK).rstrip("\r\n")
    if not value.strip():
        raise SettingsError(f"{name} {'has only white space' if value else 'is empty'}: put the secret in it.")
    if not value.isprintable() and (found := next(filter(_is_unseen, value), None)) is not None:
        raise SettingsError(f"{name} {_describe(found)}: {otherwise}")
    return value


def parse_json(text: str, name: str) -> Any:
    """The value of a JSON text (RFC 8259) in which no object has a name twice.

    Raises:
        SettingsError: it is not JSON, or has a name twice.
    """
    try:
        return json.loads(text, object_pairs_hook=check_names)
    except RepeatedNameError:
        raise SettingsError(f"{name} has a name twice in one JSON object: keep one of them.") from None
    except (ValueError, RecursionError):
        raise SettingsError(f"{name} is not JSON: is it the right file?") from None


def _is_unseen(character: str) -> bool:
    return character == MARK or unicodedata.category(character) in _UNSEEN


def _describe(character: str) -> str:
    if character in "\r\n":
        return "has more than one line"
    if unicodedata.category(character) == "Cs":
        return "is not text (UTF-8)"
    name = "a NUL character" if character == "\0" else f"the invisible character U+{ord(character):04X}"
    return f"contains {name}"


def _other_encoding(content: bytes) -> str | None:
    """The encoding that this text has instead of UTF-8, by its byte order mark or its NULs; None if unknown."""
    for mark, name in _OTHER_MARKS:
        if content.startswith(mark) and len(content) >= 4 and _decodes(content, name):
            return name
    sample = content[:_SAMPLE]
    even, odd = sample[0::2], sample[1::2]
    # Without a mark, ASCII in UTF-16 has a NUL in every other byte.
    if len(sample) >= 4 and ((all(even) and not any(odd)) or (all(odd) and not any(even))):
        return "UTF-16"
    return None


def _decodes(content: bytes, encoding: str) -> bool:
    try:
        content[: len(content) // 4 * 4].decode(encoding)  # it may be cut
    except UnicodeDecodeError:
        return False
    return True
