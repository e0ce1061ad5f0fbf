"""Decoding parameters from JSON, forms and queries: malformed input is refused, in words that help."""

import re
from typing import Annotated, Any, Literal

import msgspec
import pytest

from herod.operations.operation_table import OPERATIONS
from herod.pipeline.operation_definition import Operation, Params, query
from herod.protocols.decode import (
    convert_params,
    decode_params,
    read_form,
    read_query,
)
from herod.protocols.http import Request
from herod.scopes.decisions import Access
from herod.scopes.principal import Source
from herod_client.core.errors import InvalidRequest
from support.herod_in_memory import Harness, bearer


async def test_what_the_parser_refuses_is_a_bad_request(harness: Harness) -> None:
    """Whatever the parser refuses is a bad request."""
    for body in (b"{", b"\xff", b'{"token":"\xff"}', b"[" * 32):
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


@pytest.mark.parametrize(
    ("form", "fields"),
    [
        (b"", {}),
        (b"&", {}),
        (b"a=b&", {"a": "b"}),
        (b"&a=b", {"a": "b"}),
        (b"a=b&&c=d&&&", {"a": "b", "c": "d"}),
        (b"a=b&c=&", {"a": "b", "c": ""}),
        (b"a=b&c", {"a": "b", "c": ""}),
        (b"&" * 60000 + b"a=b", {"a": "b"}),
    ],
)
def test_empty_pairs_are_skipped(form: bytes, fields: dict[str, str]) -> None:
    """Empty pairs of a form or a query mean nothing, as for browsers (URL Standard, section 5.1)."""
    content_type = {"content-type": "application/x-www-form-urlencoded"}
    assert read_form(Request("POST", "/token", "", content_type, form, Source())) == fields
    assert read_query(form.decode()) == fields


async def test_empty_pairs_of_requests(harness: Harness) -> None:
    """Forms and queries with empty pairs are answered like those without."""
    user = await harness.user("admin")
    for form in ("grant_type=client_credentials&", "&grant_type=client_credentials", "&&grant_type=client_credentials"):
        assert (await harness.request("POST", "/token", form=form, headers=user.basic_header)).status == 200
    for path in ("/introspect", "/revoke"):
        form = f"token={await user.token()}&&"
        assert (await harness.request("POST", path, form=form, headers=user.basic_header)).status == 200
    for asked in ("limit=1&", "&limit=1", "&", "limit=1&&cursor="):
        answer = await harness.request("GET", f"/api/v1/keys?{asked}", headers=user.basic_header)
        assert answer.status == (400 if "cursor" in asked else 200)


@pytest.mark.parametrize(
    "more",
    [
        "client_id=&client_secret=",
        "client_id=",
        "client_secret",
        "scope=",
        "scope",
        "resource=",
        "resource=&resource=",
        "resource=&resource=https://jobs.example.org",
        "scope=&scope=read",
        "grant_type=",
    ],
)
async def test_parameters_without_a_value_count_as_omitted(harness: Harness, more: str) -> None:
    """A form's parameter without a value is not there (RFC 6749, section 3.2), whichever it is."""
    user = await harness.user("admin")
    form = f"grant_type=client_credentials&{more}"
    assert (await harness.request("POST", "/token", form=form, headers=user.basic_header)).status == 200
    for path in ("/introspect", "/revoke"):
        form = f"token={await user.token()}&token_type_hint=&{more}"
        assert (await harness.request("POST", path, form=form, headers=user.basic_header)).status == 200


async def test_a_client_secret_without_a_value_is_none(harness: Harness) -> None:
    """A client without its secret has presented nothing."""
    form = f"grant_type=client_credentials&client_id={(await harness.user()).client_id}&client_secret="
    answer = await harness.request("POST", "/token", form=form)
    assert (answer.status, answer.json["error"]) == (401, "invalid_client")
    assert "needs a credential" in answer.json["error_description"]


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
        (
            b'{"name":1e999,"count":1}',
            "The parameter 'name' contains a number that is out of range: write a smaller one.",
        ),
        (b'{"name":"a","count":9}', "The parameter 'count' must be an integer of at most 5."),
        (b'{"name":"a","note":"long"}', "The parameter 'note' must be a string of length at most 3."),
        (b'{"name":"a","kind":"z"}', "The parameter 'kind' cannot be 'z': choose x or y."),
        (b'{"name":"\xff"}', "The JSON is not valid UTF-8 at byte 9: send it in UTF-8."),
        (b"[]", "The body must be an object, not a list."),
        (b'{"name"', "The JSON is incomplete: send all of it."),
        (b"{name:1}", "The body is not JSON, near byte 1: names need double quotes."),
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
        ("count", "9", "The parameter 'count' must be an integer of at most 5, not '9'."),
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
