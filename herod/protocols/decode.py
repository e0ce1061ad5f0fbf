"""Decoding parameters from strict JSON, forms and queries. Everything unreadable raises `InvalidRequest`."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec

from herod.pipeline.operation_definition import Operation, Params
from herod.protocols.http import Request
from herod.protocols.parameter_faults import parameter_fault
from herod.protocols.strict_json import is_gzip, json_fault
from herod_client.core.errors import InvalidRequest, UnsupportedEncoding, quoted
from herod_client.core.repeated_names import repeated_name

__all__ = [
    "JSON_TYPES",
    "Pairs",
    "convert_params",
    "decode_params",
    "fields_of",
    "form_pairs",
    "query_pairs",
    "read_form",
    "read_query",
    "require_json",
    "unquote_segment",
]

Pairs = list[tuple[str, str]]

JSON_TYPES: Final = frozenset({"application/json"})
_MAX_FIELDS: Final = 100


def require_json(request: Request, types: frozenset[str] = JSON_TYPES) -> None:
    """Refuse a body whose Content-Type is not JSON: a hostile page can send forms without a preflight.

    Args:
        request: the request.
        types: the Content-Types that are taken; `application/json` is one of them.

    Raises:
        InvalidRequest: the Content-Type is another one, or missing.
    """
    content_type = request.headers.get("content-type", "")
    if content_type != "application/json" and content_type.partition(";")[0].strip().lower() not in types:
        raise InvalidRequest("Send the body as JSON, with Content-Type: application/json.")


def decode_params(operation: Operation, text: bytes, *, whole: str = "The body must be an object") -> Params:
    """A JSON object as the operation's parameters.

    Args:
        operation: whose parameters they are.
        text: the object, from `read_json` or a part of it.
        whole: for messages, what it is and must be.

    Raises:
        InvalidRequest: it is not JSON, or does not match the operation's parameters.
    """
    try:
        return operation.decode(text)
    except msgspec.ValidationError as error:
        raise InvalidRequest(parameter_fault(error, operation.params, whole=whole)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise json_fault(text, error) from None


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
    return fields_of(query_pairs(query), "query")


def query_pairs(query: str) -> Pairs:
    """A query's names and values, in order.

    Raises:
        InvalidRequest: the encoding is broken.
    """
    return _pairs(query, "query") if query else []


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
        UnsupportedEncoding: it is compressed.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/x-www-form-urlencoded":
        raise InvalidRequest("Send a form, with Content-Type: application/x-www-form-urlencoded.")
    if request.query:
        raise InvalidRequest("Parameters belong in the form, not in the URL, where logs would keep them.")
    try:
        return _pairs(request.body.decode("ascii"), "form")
    except UnicodeDecodeError:
        if is_gzip(request.body):
            raise UnsupportedEncoding("The body is compressed: send the form itself.") from None
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
        raise InvalidRequest(f"The {what} has the name {quoted(repeated_name(pairs))} twice: send it once.")
    return fields


def _pairs(text: str, what: str) -> Pairs:
    if "&&" in text or text[:1] == "&" or text[-1:] == "&":
        text = "&".join(pair for pair in text.split("&") if pair)  # empty pairs are skipped, as by browsers
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise InvalidRequest(f"The {what} cannot be read: write name=value&name=value, percent-encoded.") from None
