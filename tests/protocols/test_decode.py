"""Decoding parameters from bytes: malformed input is refused, in linear time."""

import json
import re
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from herod.operations.operation_table import OPERATIONS
from herod.pipeline.operation_definition import Operation, Params, query
from herod.protocols.decode import (
    MAX_DEPTH,
    MAX_LARGE_NUMBERS,
    STRING,
    check_json,
    convert_params,
    decode_params,
    read_form,
)
from herod.protocols.http import Request
from herod.scopes.decisions import Access
from herod.scopes.principal import Source
from herod_client.core.errors import InvalidRequest
from support.herod_in_memory import Harness, bearer


def nested(depth: int) -> bytes:
    """Lists in lists."""
    return b"[" * depth + b"]" * depth


@pytest.mark.parametrize(
    "body",
    [
        nested(MAX_DEPTH),
        b"[" + b"[]," * 100 + b"1]",
        b'["' + b"[" * 100 + b'"]',
        b'["\\"' + b"[" * 100 + b'"]',
        b"]" * 100 + nested(MAX_DEPTH),
    ],
)
def test_depth_that_is_allowed(body: bytes) -> None:
    """Width is not depth, and brackets in strings are text."""
    check_json(body)


@pytest.mark.parametrize(
    "body",
    [
        nested(MAX_DEPTH + 1),
        b'{"a":' * (MAX_DEPTH + 1),
        b"[" + b"[]," * 5 + nested(MAX_DEPTH) + b"]",
        b'["\\\\",' + nested(MAX_DEPTH) + b"]",
    ],
)
def test_depth_that_is_not(body: bytes) -> None:
    """Excessive depth is refused in any form, also after an escaped backslash before a quote."""
    with pytest.raises(InvalidRequest):
        check_json(body)


@pytest.mark.parametrize("number", [b"1e300", b"9E+290", b"1e-320", b"1.5e0000000300"])
def test_many_numbers_that_are_slow_to_parse_are_refused(number: bytes) -> None:
    """Numbers with large exponents are limited: 64 KiB of 1e300, from a stranger, held the event loop for 150 ms."""
    check_json(b"[" + number + (b"," + number) * (MAX_LARGE_NUMBERS - 1) + b"]")
    with pytest.raises(InvalidRequest, match="exponents"):
        check_json(b"[" + number + (b"," + number) * MAX_LARGE_NUMBERS + b"]")


def test_ordinary_numbers_and_texts_are_not_limited() -> None:
    """Other numbers are fast, and texts that look like numbers are texts."""
    check_json(b"[" + b"1.5e22," * 5000 + b"1]")
    check_json(b'["' + b"1e300" * 5000 + b'"]')


def depth(text: str) -> int:
    """Nesting depth, computed one character at a time, up to the first unmatched closing bracket."""
    open_ = most = position = 0
    while position < len(text) and open_ >= 0:
        if text[position] == '"':
            position += 1
            while position < len(text) and text[position] != '"':
                position += 2 if text[position] == "\\" else 1
        else:
            open_ += (text[position] in "[{") - (text[position] in "]}")
            most = max(most, open_)
        position += 1
    return most


def is_refused(text: str) -> bool:
    """Whether the text is refused as too deep."""
    try:
        check_json(text.encode())
    except InvalidRequest:
        return True
    return False


STRINGS = st.text('[]{}"\\,a', max_size=6)
VALUES = st.recursive(
    STRINGS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(STRINGS, inner, max_size=4),
    max_leaves=30,
)


@given(value=VALUES, around=st.integers(MAX_DEPTH - 6, MAX_DEPTH))
def test_depth_of_json(value: object, around: int) -> None:
    """JSON is refused exactly when it is too deep."""
    text = "[" * around + json.dumps(value) + "]" * around
    assert is_refused(text) == (depth(text) > MAX_DEPTH)


@given(text=st.text('[[{]}"\\,', max_size=60), around=st.integers(MAX_DEPTH - 6, MAX_DEPTH))
def test_depth_of_any_text(text: str, around: int) -> None:
    """No text that is too deep passes, valid JSON or not, because a parser recurses before it finds the error."""
    text = "[" * around + text
    assert is_refused(text) or depth(text) <= MAX_DEPTH


def test_a_string_without_an_end_is_read_once() -> None:
    """An unterminated string is scanned once; once per quote would let 64 KiB block the event loop for seconds."""
    body = b"[]" * 33 + b'"' + b'\\"' * 500
    assert len(STRING.findall(body)) == 1
    check_json(b"[]" * 33 + b'"' + b"[" * 100)  # not JSON: left to the parser


async def test_what_the_parser_refuses_is_a_bad_request(harness: Harness) -> None:
    """Whatever the parser refuses is a bad request."""
    for body in (b"{", b"\xff", b'{"token":"\xff"}', b"[" * 33):
        with pytest.raises(InvalidRequest):
            decode_params(OPERATIONS["token.validate"], body)


@pytest.mark.parametrize(
    ("content_type", "query", "body"),
    [
        ("application/json", "", b"a=b"),
        ("", "", b"a=b"),
        ("application/x-www-form-urlencoded", "a=b", b"c=d"),
        ("application/x-www-form-urlencoded", "", b"a=\xc3\xa9"),
        ("application/x-www-form-urlencoded", "", b"a=1&a=2"),
        ("application/x-www-form-urlencoded", "", b"&".join(b"f%d=1" % number for number in range(101))),
    ],
)
def test_forms_that_cannot_be_read(content_type: str, query: str, body: bytes) -> None:
    """Forms with another type, parameters in the URL, raw bytes, duplicates or too many fields are refused."""
    with pytest.raises(InvalidRequest):
        read_form(Request("POST", "/token", query, {"content-type": content_type}, body, Source()))


async def test_a_path_and_a_body_that_is_no_object(harness: Harness) -> None:
    """An invalid body is refused also when the path gives parameters."""
    for body in (b"[]", b"{", b'{"name":"\xff"}', b"[" * 33):
        answer = await harness.request("PATCH", "/api/v1/users/x", body=body)
        assert (answer.status, answer.json["error"]["code"]) == (400, "invalid_request")


async def test_a_client_id_that_contradicts_the_header(harness: Harness) -> None:
    """A form may repeat the client_id of the header, but not contradict it."""
    user = await harness.user()
    for client_id, status in ((user.client_id, 200), ("another", 400)):
        form = f"grant_type=client_credentials&client_id={client_id}"
        assert (await harness.request("POST", "/token", form=form, headers=user.basic_header)).status == status


@pytest.mark.parametrize("query", ["since=null", "since=0.5", "since=1800000000", "after=null", "since=20270115"])
async def test_a_query_says_what_it_means(harness: Harness, query: str) -> None:
    """In a query, the word null does not mean an omitted value, and a number is not a time."""
    token = await (await harness.user("admin")).token()
    answer = await harness.request("GET", f"/api/v1/audit?{query}", headers=bearer(token))
    assert answer.status == 400
    assert query.partition("=")[0] in answer.json["error"]["message"]


async def test_a_text_may_be_the_word_null(harness: Harness) -> None:
    """In a string parameter of a query, null is an ordinary word."""
    token = await (await harness.user("admin")).token()
    answer = await harness.request("GET", "/api/v1/audit?reason=null", headers=bearer(token))
    assert answer.json["data"] == []


class Sample(Params, frozen=True, kw_only=True):
    """Parameters of every sort."""

    name: str
    count: Annotated[int, msgspec.Meta(ge=1, le=5)] = 1
    note: Annotated[str, msgspec.Meta(max_length=3)] | None = None
    kind: Literal["x", "y"] = "x"
    networks: tuple[str, ...] = ()


def sample() -> Operation:
    """An operation with these parameters."""

    def handler(reader: Any, context: Any, params: Sample) -> None:
        """Do nothing."""

    return query("made.up", needs=Access.PUBLIC, example={})(handler)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{}", "The parameter 'name' is missing."),
        (b'{"name":"a","x`y":1}', "Unknown parameter 'x`y': known are name, count, note, kind, networks."),
        (b'{"name":1}', "The parameter 'name' must be a string, not an integer."),
        (b'{"name":null}', "The parameter 'name' must be a string, not null."),
        (b'{"name":"a","note":[]}', "The parameter 'note' must be a string or null, not a list."),
        (b'{"name":"a","networks":[true]}', "The parameter 'networks[0]' must be a string, not true or false."),
        (b'{"name":"a","count":9}', "The parameter 'count' must be an integer <= 5."),
        (b'{"name":"a","note":"long"}', "The parameter 'note' must be a string of length <= 3."),
        (b'{"name":"a","kind":"z"}', "The parameter 'kind' cannot be 'z': choose x or y."),
        (b'{"name":"\xff"}', "The body is not JSON: it is not UTF-8."),
        (b"[]", "The body must be an object, not a list."),
        (b'{"name"', "The body is not JSON: Input data was truncated."),
        (b"{name:1}", "The body is not JSON: object keys must be strings (byte 1)."),
    ],
)
def test_messages(body: bytes, message: str) -> None:
    """What is wrong with a body is said in the words of JSON."""
    with pytest.raises(InvalidRequest) as refused:
        decode_params(sample(), body)
    assert refused.value.message == message


@pytest.mark.parametrize(
    ("field", "text", "message"),
    [
        ("count", "abc", "The parameter 'count' must be an integer, not 'abc'."),
        ("count", "9", "The parameter 'count' must be an integer <= 5, not '9'."),
        ("count", "", "The parameter 'count' must be an integer, not ''."),
        ("count", "x" * 5000, "The parameter 'count' must be an integer, not (5000 characters)."),
        ("other", "1", "Unknown parameter 'other': known are name, count, note, kind, networks."),
    ],
)
def test_messages_about_queries(field: str, text: str, message: str) -> None:
    """A query has strings alone, and no null: its messages quote what was given."""
    with pytest.raises(InvalidRequest) as refused:
        convert_params(sample(), {"name": "a", field: text}, is_text=True)
    assert refused.value.message == message


@pytest.mark.parametrize("name", OPERATIONS)
def test_no_message_names_a_type_of_python(name: str) -> None:
    """Whatever is given in place of a parameter, the message has JSON's words for it."""
    operation = OPERATIONS[name]
    messages = []
    given: tuple[object, ...] = (1.5, True, [], {}, "x", None)
    for field in operation.params.__struct_fields__:
        for value in given:
            try:
                convert_params(operation, {field: value}, is_text=False)
            except InvalidRequest as error:
                messages.append(error.message)
    assert [one for one in messages if re.search(r"`|\b(str|int|float|bool|datetime|array)\b", one)] == []
