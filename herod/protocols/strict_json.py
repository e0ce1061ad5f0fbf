"""What a body must be before it is parsed as JSON, and what is said of one that cannot be parsed.

Any client may send any 64 KiB: deep nesting, and numbers that are slow to parse, are found before the parser sees them.
A name that is given twice is refused, because two readers may take two values (RFC 8259, section 4).
"""

import json
import re
from array import array
from itertools import accumulate
from typing import Final

import msgspec

from herod_client.core.errors import InvalidRequest, UnsupportedEncoding, quoted
from herod_client.core.repeated_names import RepeatedNameError, check_names

__all__ = ["MAX_DEPTH", "MAX_LARGE_NUMBERS", "STRING", "is_gzip", "json_fault", "read_json"]

MAX_DEPTH: Final = 32
# The parser takes 15 microseconds for a number like 1e300: 64 KiB of them would hold the event loop for 150 ms.
MAX_LARGE_NUMBERS: Final = 64
_LARGE: Final = re.compile(rb"[0-9][eE][+-]?[0-9]{3}")
# An unterminated string matches as well; otherwise each quote in it would be tried again, in quadratic time.
STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_BRACKETS: Final = b"[]{}"
_NO_BRACKETS: Final = bytes(set(range(256)) - set(_BRACKETS))
_STEPS: Final = bytes.maketrans(_BRACKETS, b"\x01\xff\x01\xff")  # one level down, and -1: one up
_MARK: Final = b"\xef\xbb\xbf"  # the byte order mark, which many editors write
_GZIP: Final = b"\x1f\x8b"
# The first bytes of `{`, `[` or a mark in other encodings (RFC 4627, section 3).
_UTF_32: Final = re.compile(rb"\xff\xfe\0\0|\0\0\xfe\xff|\0\0\0[^\0]|[^\0]\0\0\0", re.DOTALL)
_UTF_16: Final = re.compile(rb"\xff\xfe|\xfe\xff|\0[^\0]|[^\0]\0", re.DOTALL)
# The first half of a pair of surrogates, so near the end that the parser misses bytes of the second.
_HALF: Final = re.compile(rb"\\u[dD][89abAB].{0,10}\Z", re.DOTALL)
_OUT_OF_RANGE: Final = "out of range"  # in what msgspec says of a number
_PLACE: Final = re.compile(r" \(byte (\d+)\)\Z")
# What msgspec says, in words that help.
_WORDS: Final = {
    "invalid character": "unexpected character",
    "object keys must be strings": "names need double quotes",
    "trailing comma in array": "trailing comma",
    "trailing comma in object": "trailing comma",
    "invalid escape character in string": "unknown escape",
    "invalid character in unicode escape": "an escape like \\u00e9 needs four digits",
    "invalid number": "invalid number",
}


def read_json(body: bytes) -> bytes:
    """The JSON in a body, which a parser may have. It may still not be JSON.

    Strings that are all different are names that are all different: so most bodies are not looked at any closer.

    Raises:
        InvalidRequest: it is nested deeper than `MAX_DEPTH`, has many numbers with large exponents, or gives a name
            twice.
    """
    if body.startswith(_MARK):
        body = body.removeprefix(_MARK)
    are_distinct = False
    if body.find(b"\\") < 0:  # then every quote begins or ends a string
        parts = body.split(b'"')
        strings, structure = parts[1::2], b"".join(parts[::2])
        are_distinct = len({*strings}) == len(strings)
    else:
        structure = STRING.sub(b"", body)
    if len(structure) > MAX_DEPTH:
        _check_depth(structure)
        if len(_LARGE.findall(structure)) > MAX_LARGE_NUMBERS:
            raise InvalidRequest(f"The JSON has more than {MAX_LARGE_NUMBERS} numbers with exponents of three digits.")
    if not are_distinct:
        _check_names(body)
    return body


def _check_depth(structure: bytes) -> None:
    """Refuse deep nesting before any parser recurses into it."""
    if structure.count(b"[") + structure.count(b"{") <= MAX_DEPTH:
        return
    steps = array("b", structure.translate(_STEPS, _NO_BRACKETS))
    if max(accumulate(steps)) > MAX_DEPTH:
        raise InvalidRequest(f"The JSON is nested deeper than {MAX_DEPTH} levels.")


def _check_names(body: bytes) -> None:
    """Refuse an object that gives a name twice, however it is spelled; what is not JSON is left to the parser.

    Raises:
        InvalidRequest: there is one.
    """
    try:
        _names.decode(body.decode())
    except RepeatedNameError as repeated:
        try:
            _decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            if _OUT_OF_RANGE not in str(error):  # which is JSON, and passes where it is skipped
                return
        raise InvalidRequest(f"The JSON has the name {quoted(str(repeated))} twice: send it once.") from None
    except ValueError:
        return


def _skip(text: str) -> None:
    return None


_decode: Final = msgspec.json.Decoder().decode
_names: Final = json.JSONDecoder(
    object_pairs_hook=check_names, parse_int=_skip, parse_float=_skip, parse_constant=_skip, strict=False
)


def is_gzip(body: bytes) -> bool:
    """Whether this is compressed, whatever its header says (RFC 1952, section 2.3.1)."""
    return body.startswith(_GZIP)


def json_fault(body: bytes, error: Exception) -> InvalidRequest:
    """What is wrong with a body that the parser refused, in words for whoever sent it.

    Args:
        body: as `read_json` returned it.
        error: the parser's.
    """
    if not body.strip():
        return InvalidRequest("The body is empty: send JSON.")
    if is_gzip(body):
        return UnsupportedEncoding("The body is compressed: send the JSON itself.")
    for name, signs in (("UTF-32", _UTF_32), ("UTF-16", _UTF_16)):
        if signs.match(body):
            return InvalidRequest(f"The JSON is in {name}: send it in UTF-8.")
    if b"\0" in body:
        return InvalidRequest("The JSON contains a NUL byte: remove it, or write \\u0000 in a string.")
    try:
        body.decode()
    except UnicodeDecodeError as wrong:
        return InvalidRequest(f"The JSON is not valid UTF-8 at byte {wrong.start}: send it in UTF-8.")
    said = str(error)
    if "surrogate" in said or ("truncated" in said and _HALF.search(body)):
        return InvalidRequest("The JSON contains half of a surrogate pair: write the whole character.")
    return InvalidRequest(_words_for(said.removeprefix("JSON is malformed: "), body))


def _words_for(text: str, body: bytes) -> str:
    if _OUT_OF_RANGE in text:
        return "The JSON contains a number that is out of range: write a smaller one."
    place = _PLACE.search(text)
    if place is None:
        return "The JSON is incomplete: send all of it." if "truncated" in text else f"The body is not JSON: {text}."
    said = text[: place.start()]
    if said == "trailing characters":
        return f"The JSON ends before byte {place[1]}, but more follows: send one value."
    is_control = b"" < body[int(place[1]) : int(place[1]) + 1] < b" "  # between values, the parser takes those of JSON
    said = "a control character in a string needs an escape like \\n" if is_control else _WORDS.get(said, said)
    return f"The body is not JSON, near byte {place[1]}: {said}."
