"""Decoding parameters from strict JSON, forms and queries. Everything unreadable raises `InvalidRequest`."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec

from herod.pipeline.operation_definition import Operation, Params
from herod.protocols.http import Request
from herod.protocols.parameter_faults import parameter_fault
from herod_client.core.errors import InvalidRequest, quoted

__all__ = [
    "MAX_DEPTH",
    "Pairs",
    "check_json",
    "convert_params",
    "decode_params",
    "fields_of",
    "form_pairs",
    "read_form",
    "read_query",
    "require_json",
    "unquote_segment",
]

Pairs = list[tuple[str, str]]

MAX_DEPTH: Final = 32
# The parser takes 15 microseconds for a number like 1e300: 64 KiB of them would hold the event loop for 150 ms.
MAX_LARGE_NUMBERS: Final = 64
_LARGE: Final = re.compile(rb"[0-9][eE][+-]?[0-9]{3}")
# An unterminated string matches as well; otherwise each quote in it would be tried again, in quadratic time.
STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_BRACKETS: Final = b"[]{}"
_NO_BRACKETS: Final = bytes(set(range(256)) - set(_BRACKETS))
_ALIKE: Final = bytes.maketrans(b"{}", b"[]")
_MAX_FIELDS: Final = 100


def check_json(body: bytes) -> None:
    """Refuse JSON that is slow to parse: nested deeper than `MAX_DEPTH`, or with many numbers with large exponents.

    Raises:
        InvalidRequest: it would be slow.
    """
    _check_depth(body)
    if body.count(b"e") + body.count(b"E") <= MAX_LARGE_NUMBERS:  # each exponent has one: no ordinary request goes on
        return
    if len(_LARGE.findall(body)) > MAX_LARGE_NUMBERS and len(_LARGE.findall(STRING.sub(b"", body))) > MAX_LARGE_NUMBERS:
        raise InvalidRequest(f"The JSON has more than {MAX_LARGE_NUMBERS} numbers with exponents of three digits.")


def _check_depth(body: bytes) -> None:
    """Refuse deep nesting before any parser recurses into it.

    Any client may send 64 KiB of brackets, so they are not walked one by one: strings are removed from the body, and
    then the innermost pairs, one level at a time.
    """
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return
    left = STRING.sub(b"", body).translate(_ALIKE, _NO_BRACKETS)
    if b"[" * (MAX_DEPTH + 1) not in left:
        left += b"]" * left.count(b"[")  # an unclosed level counts too
        for _ in range(MAX_DEPTH):
            left = left.replace(b"[]", b"")
            if b"[" not in left:
                return
    raise InvalidRequest(f"The JSON is nested deeper than {MAX_DEPTH} levels.")


def require_json(request: Request) -> None:
    """Refuse a body whose Content-Type is not JSON: a hostile page can send forms without a preflight.

    Raises:
        InvalidRequest: the Content-Type is another one, or missing.
    """
    content_type = request.headers.get("content-type", "")
    if content_type != "application/json" and content_type.partition(";")[0].strip().lower() != "application/json":
        raise InvalidRequest("Send the body as JSON, with Content-Type: application/json.")


def decode_params(operation: Operation, body: bytes, *, whole: str = "The body must be an object") -> Params:
    """A JSON object as the operation's parameters.

    Args:
        operation: whose parameters they are.
        body: the object.
        whole: for messages, what it is and must be.

    Raises:
        InvalidRequest: it is not JSON, or does not match the operation's parameters.
    """
    check_json(body)
    try:
        return operation.decode(body)
    except msgspec.ValidationError as error:
        raise InvalidRequest(parameter_fault(error, operation.params, whole=whole)) from None
    except UnicodeDecodeError:
        raise InvalidRequest("The body is not JSON: it is not UTF-8.") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidRequest(f"The body is not JSON: {str(error).removeprefix('JSON is malformed: ')}.") from None


def convert_params(operation: Operation, fields: Mapping[str, Any], *, is_text: bool) -> Params:
    """Named values as the operation's parameters.

    Args:
        is_text: the values come from a query or form, so numbers are written as text.

    Raises:
        InvalidRequest: they do not match the operation's parameters.
    """
    try:
        params = msgspec.convert(fields, operation.params, strict=not is_text)
    except msgspec.ValidationError as error:
        given = fields if is_text else None
        raise InvalidRequest(parameter_fault(error, operation.params, fields=given)) from None
    if is_text:
        for name, text in fields.items():
            _check_reading(name, text, getattr(params, name))
    return params


def _check_reading(name: str, text: str | None, value: object) -> None:
    """Refuse the word null, which msgspec takes for no value.

    Raises:
        InvalidRequest: it is given.
    """
    if text is None:
        return  # from a caller that can express null
    if value is None:
        raise InvalidRequest(f"The parameter {name!r} cannot be null: leave it out, or give a value.")


def read_query(query: str) -> dict[str, str]:
    """A query's fields, each of them once.

    Raises:
        InvalidRequest: a name is repeated, or the encoding is broken.
    """
    return fields_of(_pairs(query, "query"), "query") if query else {}


def read_form(request: Request) -> dict[str, str]:
    """A form's fields, each of them once.

    Raises:
        InvalidRequest: it is not a form, a name is repeated, or the encoding is broken.
    """
    return fields_of(form_pairs(request), "form")


def form_pairs(request: Request) -> Pairs:
    """A form's names and values, in order.

    Raises:
        InvalidRequest: it is not a form, or the encoding is broken.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/x-www-form-urlencoded":
        raise InvalidRequest("Send a form, with Content-Type: application/x-www-form-urlencoded.")
    if request.query:
        raise InvalidRequest("Parameters belong in the form, not in the URL, where logs would keep them.")
    try:
        return _pairs(request.body.decode("ascii"), "form")
    except UnicodeDecodeError:
        raise InvalidRequest("The form is not percent-encoded.") from None


def unquote_segment(segment: str) -> str:
    """A path segment without its percent-encoding.

    Raises:
        InvalidRequest: it is not UTF-8.
    """
    try:
        return unquote_to_bytes(segment).decode() if "%" in segment else segment
    except UnicodeDecodeError:
        raise InvalidRequest("The path is not UTF-8.") from None


def fields_of(pairs: Pairs, what: str) -> dict[str, str]:
    """The fields of a query or form, each of them once (RFC 6749, section 3.2).

    Args:
        what: `query` or `form`, for the message.

    Raises:
        InvalidRequest: a name is repeated.
    """
    fields = dict(pairs)
    if len(fields) != len(pairs):
        name = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise InvalidRequest(f"The {what} gives {quoted(name)} twice: send it once.")
    return fields


def _pairs(text: str, what: str) -> Pairs:
    try:
        return parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=_MAX_FIELDS)
    except ValueError:
        if not text:
            return []
        raise InvalidRequest(f"The {what} cannot be read: write name=value&name=value, percent-encoded.") from None
