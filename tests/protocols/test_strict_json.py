"""JSON before it is parsed: depth, slow numbers, names that are given twice, other encodings; in linear time."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from herod.protocols.strict_json import MAX_DEPTH, MAX_LARGE_NUMBERS, STRING, read_json
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
    read_json(body)


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
        read_json(body)


@pytest.mark.parametrize("number", [b"1e300", b"9E+290", b"1e-320", b"1.5e0000000300"])
def test_many_numbers_that_are_slow_to_parse_are_refused(number: bytes) -> None:
    """Numbers with large exponents are limited: 64 KiB of 1e300, from a stranger, held the event loop for 150 ms."""
    read_json(b"[" + number + (b"," + number) * (MAX_LARGE_NUMBERS - 1) + b"]")
    with pytest.raises(InvalidRequest, match="exponents"):
        read_json(b"[" + number + (b"," + number) * MAX_LARGE_NUMBERS + b"]")


def test_ordinary_numbers_and_texts_are_not_limited() -> None:
    """Other numbers are fast, and texts that look like numbers are texts."""
    read_json(b"[" + b"1.5e22," * 5000 + b"1]")
    read_json(b'["' + b"1e300" * 5000 + b'"]')


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
        read_json(text.encode())
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
    read_json(b"[]" * 33 + b'"' + b"[" * 100)  # not JSON: left to the parser


def is_repeated(text: str) -> bool:
    """Whether an object in this JSON gives a name twice; False for what is not JSON."""
    found = []

    def see(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found.extend([name for name, _ in pairs if [other for other, _ in pairs].count(name) > 1])
        return dict(pairs)

    try:
        json.loads(text, object_pairs_hook=see)
    except ValueError:
        return False
    return bool(found)


def spelled(draw: st.DrawFn, text: str) -> str:
    """A JSON string for a text, some of its characters escaped."""
    return "".join(f"\\u{ord(one):04x}" if draw(st.booleans()) or one in '"\\' or one < " " else one for one in text)


@st.composite
def written(draw: st.DrawFn, left: int = 3) -> str:
    """JSON whose names and strings are few, so that they repeat, in many spellings."""
    blank = st.sampled_from(["", " ", "\n"])
    kind = draw(st.sampled_from(["string", "number", "object", "object", "list"] if left else ["string", "number"]))
    text = st.sampled_from(["a", "b", "ab", "", ":", '"', "\\", "a:b", "é"])
    match kind:
        case "string":
            return f'"{spelled(draw, draw(text))}"'
        case "number":
            return draw(st.sampled_from(["1", "-0.5e3", "true", "null"]))
        case "list":
            return "[" + ",".join(draw(st.lists(written(left - 1), max_size=3))) + "]"
        case _:
            members = draw(st.lists(st.tuples(text, written(left - 1)), max_size=4))
            inside = ",".join(
                f'{draw(blank)}"{spelled(draw, name)}"{draw(blank)}:{draw(blank)}{value}' for name, value in members
            )
            return f"{{{inside}}}"


@given(text=written())
@example(text='{"a":1,"\\u0061":2}')
@example(text='{"a":"a"}')
@example(text='[{"a":1},{"a":1}]')
def test_names_that_are_given_twice(text: str) -> None:
    """JSON is refused exactly when an object in it gives a name twice, by whatever spelling and at whatever depth."""
    if is_repeated(text):
        with pytest.raises(InvalidRequest, match=r"The JSON has the name '.*' twice: send it once\."):
            read_json(text.encode())
    else:
        assert read_json(text.encode()) == text.encode()


@given(text=st.text('{}[]:,"\\au0061 ', max_size=40))
def test_what_is_not_json_is_left_to_the_parser(text: str) -> None:
    """Of what is not JSON, only depth and numbers are said here."""
    if is_refused(text):
        assert is_repeated(text)


TWICE = {
    "plain": b'{"token":"a","token":"b"}',
    "the same value": b'{"token":"a","token":"a"}',
    "spelled otherwise": b'{"token":"a","\\u0074oken":"b"}',
    "blanks": b'{ "token" : "a" , "token" : "b" }',
    "a mark first": b'\xef\xbb\xbf{"token":"a","token":"b"}',
}


@pytest.mark.parametrize("body", TWICE.values(), ids=TWICE)
async def test_twice_on_every_door(harness: Harness, body: bytes) -> None:
    """A name that is given twice is refused in every protocol, in its format."""
    key = bearer(await harness.service_key("admin"))
    for path in ("/validate", "/login", "/users/add", "/api/v1/explain", "/api/v1/users/x/password"):
        answer = await harness.request("POST", path, body=body, headers=key)
        assert (answer.status, answer.json["error"]["message"]) == (
            400,
            "The JSON has the name 'token' twice: send it once.",
        )
    text = body.removeprefix(b"\xef\xbb\xbf")
    call = b'{"jsonrpc":"2.0","id":7,"method":"token.validate","params":%b}' % text
    for path in ("/rpc", "/"):
        answer = await harness.request("POST", path, body=call)
        assert (answer.status, answer.json["error"]["code"], answer.json["id"]) == (200, -32600, 7)
        answer = await harness.request("POST", path, body=b"[%b]" % call)
        assert (answer.status, answer.json["error"]["code"], answer.json["id"]) == (200, -32600, None)
    tool = b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"validate_token","arguments":%b}}' % text
    answer = await harness.request("POST", "/mcp", body=tool, headers=key)
    assert (answer.status, answer.json["error"]["code"], answer.json["id"]) == (400, -32600, 7)


@pytest.mark.parametrize(
    "call",
    [
        b'{"jsonrpc":"2.0","method":"health","method":"version","id":1}',
        b'{"jsonrpc":"2.0","method":"health","id":1,"id":2}',
        b'{"jsonrpc":"2.0","method":"health","id":1,"extra":{"a":1,"a":1}}',
        b'[{"jsonrpc":"2.0","method":"health","id":1},{"jsonrpc":"2.0","method":"health","params":{},"params":{}}]',
        b'{"jsonrpc":"2.0","method":"health","x":1e400,"method":"version","id":1}',
        b'{"jsonrpc":"2.0","method":"health","x":[%b],"method":"version","id":1}' % (b"9" * 5000),
    ],
)
async def test_twice_in_a_request_object(harness: Harness, call: bytes) -> None:
    """A request object gives each of its members once, too."""
    answer = await harness.request("POST", "/rpc", body=call)
    assert (answer.status, answer.json["error"]["code"]) == (200, -32600)
    assert "twice" in answer.json["error"]["message"]
    assert answer.json["id"] == (1 if call.count(b'"id"') == 1 and call[:1] == b"{" else None)


async def test_twice_in_attributes(harness: Harness) -> None:
    """The attributes of a resource are JSON of the caller's own, and give each name once."""
    key = bearer(await harness.service_key("user"))
    for inner, status in ((b'{"a":{"b":1,"b":2}}', 400), (b'{"a":[{"b":1},{"b":1}],"b":{"a":{}}}', 201)):
        body = b'{"kind":"vm","name":"x","secret":"tenant","attributes":%b}' % inner
        assert (await harness.request("POST", "/api/v1/resources", body=body, headers=key)).status == status


# A body → what is said of it. No decoder's words, and what to do.
FAULTS = {
    "empty": (b"", "The body is empty: send JSON."),
    "blank": (b" \r\n", "The body is empty: send JSON."),
    "cut off": (b'{"token":"a"', "The JSON is incomplete: send all of it."),
    "more behind it": (b'{"token":"a"}{}', "The JSON ends before byte 14, but more follows: send one value."),
    "a comma too many": (b'{"token":"a",}', "The body is not JSON, near byte 13: trailing comma."),
    "single quotes": (b"{'token':'a'}", "The body is not JSON, near byte 1: names need double quotes."),
    **{
        f"a raw {name}": (
            b'{"token":"a%bb"}' % raw,
            "The body is not JSON, near byte 11: a control character in a string needs an escape like \\n.",
        )
        for name, raw in {"tab": b"\t", "line end": b"\r\n", "escape": b"\x1b[0m", "unit separator": b"\x1f"}.items()
    },
    "out of range": (
        b'{"token":"a","x":1e999}',
        "The JSON contains a number that is out of range: write a smaller one.",
    ),
    "latin-1": ('{"token":"é"}'.encode("latin-1"), "The JSON is not valid UTF-8 at byte 10: send it in UTF-8."),
    "a lone surrogate, raw": (
        b'{"token":"\xed\xa0\x80"}',
        "The JSON is not valid UTF-8 at byte 10: send it in UTF-8.",
    ),
    **{
        f"a lone surrogate, {text}": (
            b'{"token":"%b"}' % text.encode(),
            "The JSON contains half of a surrogate pair: write the whole character.",
        )
        for text in ("\\ud800", "\\udc00", "\\uD83Dx", "\\ud83d\\u0041", "\\udc00\\ud800", "\\ud800" + "x" * 99)
    },
    **{
        encoding: ('{"token":"a"}'.encode(encoding), f"The JSON is in {encoding.upper()[:6]}: send it in UTF-8.")
        for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")
    },
    **{
        f"a NUL {where}": (body, "The JSON contains a NUL byte: remove it, or write \\u0000 in a string.")
        for where, body in (("inside", b'{"token":"a\0"}'), ("behind it", b'{"token":"a"}\0'))
    },
}


@pytest.mark.parametrize("what", FAULTS)
async def test_what_is_said_of_a_body(harness: Harness, what: str) -> None:
    """A body that is not JSON gets one plain sentence with what to do, the same in every protocol."""
    body, said = FAULTS[what]
    key = bearer(await harness.service_key("admin"))
    if body:  # REST takes no body for no parameters
        for path in ("/validate", "/api/v1/users/x/password")[what == "out of range" :]:  # or x is unknown
            answer = await harness.request("POST", path, body=body, headers=key)
            assert (answer.status, answer.json["error"]["message"]) == (400, said)
    for path, status in (("/rpc", 200), ("/", 200), ("/mcp", 400)):
        answer = await harness.request("POST", path, body=body, headers=key)
        assert (answer.status, answer.json["error"]["code"]) == (status, -32700)
        assert answer.json["error"]["message"] == said


@pytest.mark.parametrize(
    "path", ["/validate", "/rpc", "/", "/mcp", "/api/v1/explain", "/introspect", "/api/v1/keys/x/rotate"]
)
async def test_gzip(harness: Harness, path: str) -> None:
    """A compressed body is a 415, whether its header says so or not."""
    key = bearer(await harness.service_key("admin"))
    body = bytes.fromhex("1f8b08000000000002ffabae05004321bfa302000000")
    kind = "application/x-www-form-urlencoded" if path == "/introspect" else "application/json"
    for headers in [dict[str, str](), {"content-encoding": "gzip"}]:
        answer = await harness.request("POST", path, body=body, headers={**key, "content-type": kind, **headers})
        assert (answer.status, answer.headers["accept-encoding"]) == (415, "identity")


async def test_a_mark_is_skipped(harness: Harness) -> None:
    """A byte order mark before the JSON means nothing, in every protocol; a second one is no JSON."""
    mark = b"\xef\xbb\xbf"
    key = bearer(await harness.service_key("admin"))
    assert (await harness.request("POST", "/validate", body=mark + b'{"token":"a"}')).json["valid"] is False
    call = b'{"jsonrpc":"2.0","id":1,"method":"health"}'
    assert (await harness.request("POST", "/rpc", body=mark + call)).json["result"]["status"] == "ok"
    assert (await harness.request("POST", "/rpc", body=mark + b"[%b]" % call)).json[0]["result"]["status"] == "ok"
    ping = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
    assert (await harness.request("POST", "/mcp", body=mark + ping, headers=key)).json["result"] == {}
    answer = await harness.request("PATCH", "/api/v1/users/x", body=mark + b'{"name":"a"}', headers=key)
    assert answer.status == 404
    assert (await harness.request("POST", "/validate", body=mark + mark + b'{"token":"a"}')).status == 400


@pytest.mark.parametrize("path", ["/rpc", "/"])
@pytest.mark.parametrize(
    "content_type",
    [
        "application/json-rpc", "application/jsonrequest", "application/json-rpc; charset=utf-8",
        "Application/JSON-RPC", "application/jsonrequest;charset=UTF-8", "application/json",
    ],
)  # fmt: skip
async def test_types_of_json_rpc(harness: Harness, path: str, content_type: str) -> None:
    """JSON-RPC takes the Content-Types that its clients send; other routes and other types are refused."""
    call = b'{"jsonrpc":"2.0","id":1,"method":"health"}'
    headers = {"content-type": content_type}
    assert (await harness.request("POST", path, body=call, headers=headers)).json["result"]["status"] == "ok"
    if content_type != "application/json":
        answer = await harness.request("POST", "/validate", body=b'{"token":"a"}', headers=headers)
        assert answer.status == 400
        for other in (
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            "application/jsonx",
            "",
        ):
            answer = await harness.request("POST", path, body=call, headers={"content-type": other})
            assert answer.json["error"]["code"] == -32600


@pytest.mark.parametrize("text", ["\\ud800", "\\udc00"])
async def test_what_is_said_of_params(harness: Harness, text: str) -> None:
    """What is wrong in the params is wrong with the body."""
    key = bearer(await harness.service_key("admin"))
    said = "The JSON contains half of a surrogate pair: write the whole character."
    for params in (f'{{"token":"{text}"}}', f'["{text}"]'):
        call = f'{{"jsonrpc":"2.0","id":1,"method":"token.validate","params":{params}}}'
        answer = await harness.request("POST", "/rpc", body=call.encode())
        assert (answer.json["error"]["code"], answer.json["error"]["message"]) == (-32700, said)
    call = f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{text}"}}}}'
    answer = await harness.request("POST", "/mcp", body=call.encode(), headers=key)
    assert (answer.json["error"]["code"], answer.json["error"]["message"]) == (-32700, said)
