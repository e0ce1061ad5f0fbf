"""Generated requests from the operation table: every route, every method, every kind of credential.

Pure: `@@name@@` in a request marks a credential or id that is filled in when the request is sent, because it is not
known before. Must never need an edit for a new operation.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from hypothesis import strategies as st

from herod.operations.operation_table import OPERATIONS
from herod.pipeline.operation_definition import Operation, Route, Surface

__all__ = ["CANARY", "SECRET_NAMES", "Ask", "Pairs", "Raw", "asks", "write_json"]

# Only in requests generated here, and in no answer.
CANARY: Final = "canary-5Jq0bW8hZr3Lk7Tz"
# In requests, but never in their answers.
SECRET_NAMES: Final = (
    "admin_token", "user_token", "old_token", "user_key", "service_key", "admin_key", "low_key", "user_secret",
    "password", "legacy_admin", "legacy_user", "session", "cookie", "tampered_token", "tampered_key", "canary",
)  # fmt: skip
ID_NAMES: Final = ("user_id", "admin_id", "user_key_id", "service_key_id", "rule_id", "nobody_id")
MARK: Final = re.compile(rb"@@([a-z_]+)@@")


@dataclass(frozen=True)
class Ask:
    """One request, its marks not yet filled in; `is_unix` selects the kind of socket."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    is_unix: bool = False

    def filled(self, values: Mapping[str, str]) -> "Ask":
        """Fill in the values of the marks; a damaged mark stays as it is."""

        def fill(text: bytes) -> bytes:
            return MARK.sub(lambda match: values.get(match[1].decode(), "").encode(), text)

        return Ask(
            self.method,
            fill(self.target.encode()).decode(),
            {name: fill(value.encode("latin-1")).decode("latin-1") for name, value in self.headers.items()},
            fill(self.body),
            self.is_unix,
        )

    def marks(self) -> set[str]:
        """The names of the secrets that it contains."""
        text = " ".join((self.target, *self.headers.values())).encode("latin-1") + self.body
        found = {match[1].decode() for match in MARK.finditer(text)}
        return {name for name in found if name in SECRET_NAMES}


@dataclass(frozen=True)
class Raw:
    """JSON text as it is, valid or not."""

    text: str


@dataclass(frozen=True)
class Pairs:
    """An object that may have duplicate names."""

    items: tuple[tuple[str, Any], ...]


def write_json(value: Any) -> str:
    """Write JSON, including invalid JSON."""
    match value:
        case Raw(text):
            return text
        case Pairs(items):
            return "{" + ",".join(f"{json.dumps(name)}:{write_json(one)}" for name, one in items) + "}"
        case list():
            return "[" + ",".join(map(write_json, value)) + "]"
        case _:
            return json.dumps(value)


def mark(name: str) -> str:
    """A mark where a value is filled in later."""
    return f"@@{name}@@"


secrets = st.sampled_from([mark(name) for name in SECRET_NAMES])
ids = st.sampled_from([mark(name) for name in ID_NAMES])
odd_text = st.one_of(
    st.sampled_from(["", " ", "\0", "a" * 300, "\u202e", "Ａdmin", "é", "../..", "%00", "*", "null", "@@", "\ud800"]),
    st.text(max_size=12),
)
oddities = st.sampled_from(
    [Raw(text) for text in (
        "NaN", "Infinity", "-Infinity", "1e999", "-0", "1" * 400, "18446744073709551616", "-9223372036854775809",
        "1.5", "1e2", '"\\ud800"', '"\\udc00\\ud800"', "[" * 40 + "]" * 40, '{"a":' * 40 + "1" + "}" * 40, "tru", "",
        "'a'", '"\x01"', "\ufeff{}", '{"a":1,"a":2}', "[1,]", "// c", '"\\u0000"', "{}{}",
    )]
)  # fmt: skip
plain = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), odd_text, secrets, ids)
values = st.recursive(
    st.one_of(plain, oddities),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(st.tuples(odd_text, inner), max_size=3).map(lambda items: Pairs(tuple(items))),
    ),
    max_leaves=5,
)

emails = st.sampled_from([
    "ada@example.org", "ADA@example.org", "admin@example.org", "new1@example.org", "new2@example.org",
    "ａda@example.org", "nobody", "a@b@c", " ", "x" * 300 + "@example.org",
])  # fmt: skip
scopes = st.sampled_from([
    "read", "write", "admin", "owner", "user", "registrar", "read write", "owner read", "register", "member", "", " ",
    "ADMIN", "admin\u200b", mark("canary"), mark("user_key"),
])  # fmt: skip
# Names are shown again on purpose, so no secret is used as one.
names = st.sampled_from(["Ada", "n1", "n2", "n3", "local admin", "\u202ebob", "", "x" * 200, "a\nb", "Ⓐ"])
passwords = st.sampled_from([mark("password"), "another long password", "short", "x" * 129, "", "é" * 64])
FIELDS: Final[Mapping[str, st.SearchStrategy[Any]]] = {
    "email": emails,
    "scope": scopes,
    "name": names,
    "networks": st.sampled_from([None, ["*"], ["lab"], [], ["lab", "*"], ["a b"], [1], "*"]),
    "network": st.sampled_from([None, "lab", "*", "a b"]),
    "password": passwords,
    "current": passwords,
    "client_id": ids,
    "id": ids,
    "owner": st.one_of(st.none(), ids, emails),
    "kind": st.sampled_from([None, "user", "service", "admin", "volume"]),
    "expires_at": st.sampled_from(
        [
            None,
            "2099-01-31T12:00:00Z",
            "1999-01-31T12:00:00Z",
            "2099-01-31T12:00:00",
            "9999-12-31T23:59:59-23:59",
            "0001-01-01T00:00:00+23:59",
            5,
        ]
    ),
    "token": secrets,
    "key": st.one_of(secrets, st.none()),
    "admin_key": st.one_of(secrets, st.none()),
    "grant_type": st.sampled_from(["client_credentials", "password", mark("canary")]),
    "resource": st.sampled_from(["https://rs.example.org", "", "x", mark("canary")]),
    "token_type_hint": st.sampled_from(["access_token", "x", mark("canary")]),
    "limit": st.sampled_from([1, 50, 200, 0, -1, 10**30]),
    "cursor": st.one_of(st.none(), odd_text, secrets),
    "uid": st.sampled_from([None, 0, 1000, 4242, -1, 65534, 2**32, 2**70]),
    "gid": st.sampled_from([None, 0, 1000, 65534, -1]),
    "user": st.sampled_from([None, "root", "nobody-here", "\0"]),
    "group": st.sampled_from([None, "root", "nobody-here"]),
    "principal": st.one_of(st.none(), ids, emails),
    "operation": st.sampled_from([None, "users.add", "x", mark("canary")]),
}
# Networks, names and kinds of resources are echoed, so they contain no secrets.
SHOWN_AGAIN: Final = frozenset({"name", "networks", "email", "kind"})

CREDENTIALS: Final[tuple[Mapping[str, str], ...]] = (
    *({"authorization": f"Bearer {mark(name)}"} for name in SECRET_NAMES),
    *({"x-api-key": mark(name)} for name in ("user_key", "service_key", "tampered_key", "admin_token", "legacy_user")),
    *({"x-herod-secret": mark(name)} for name in ("legacy_admin", "legacy_user", "canary", "user_key")),
    {"authorization": "Basic @@basic@@"},
    {"authorization": "Basic @@basic_wrong@@"},
    {"authorization": "Basic @@user_secret@@"},
    {"authorization": "Peer"},
    {"authorization": "Peer @@cookie@@"},
    {"authorization": "Peer @@canary@@"},
    {"authorization": "@@user_token@@"},
    {"authorization": "Digest @@canary@@"},
    {"authorization": ""},
    {"cookie": "herod_session=@@session@@"},
    {"cookie": "herod_session=@@user_token@@; a=@@canary@@"},
    {"authorization": "Bearer @@user_token@@", "x-api-key": "@@user_key@@"},
    {"authorization": "Bearer \xff\xfe"},
    {},
)
ADMIN_MARKS: Final = ("admin_", "legacy_admin", "service_key", "cookie")
EXTRA: Final[tuple[Mapping[str, str], ...]] = (
    *({},) * 60,
    {"origin": "http://localhost"}, {"origin": "null"}, {"origin": "http://@@canary@@"}, {"host": "@@canary@@"},
    {"referer": "http://localhost/?token=@@user_token@@"}, {"x-forwarded-for": "@@canary@@"}, {"via": "1.1 x"},
    {"host": "127.0.0.1:1"}, {"host": "[::1]"}, {"accept": "text/html"}, {"user-agent": "@@user_key@@"},
)  # fmt: skip
TYPES: Final = ("application/json",) * 60 + (
    "application/json; charset=utf-16", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "",
)  # fmt: skip


def one_in(draw: st.DrawFn, number: int) -> bool:
    """True once in `number` draws; a drawn integer would tend to be small."""
    return draw(st.sampled_from([False] * (number - 1) + [True]))


@st.composite
def fields_of(draw: st.DrawFn, operation: Operation, *, least: int = 0) -> dict[str, Any]:
    """An operation's fields: mostly valid, some missing, some malformed, some unknown."""
    found: dict[str, Any] = {}
    required = operation.params.__struct_fields__[:least] or operation.params.__struct_fields__
    for name in required:
        if one_in(draw, 30 if name in operation.example else 2):
            continue
        if name in operation.example and name not in SHOWN_AGAIN | FIELDS.keys():
            found[name] = operation.example[name]
        elif one_in(draw, 15) and name not in SHOWN_AGAIN:
            found[name] = draw(values)
        else:
            found[name] = draw(FIELDS.get(name, values))
    if one_in(draw, 20):
        found[draw(st.one_of(odd_text, secrets))] = draw(values)
    return found


def as_text(value: Any) -> str:
    """A value as a form or query encodes it."""
    text = value if isinstance(value, str) else write_json(value)
    return text.encode("utf-8", "replace").decode()


def urlencoded(fields: Mapping[str, Any]) -> str:
    """A form or a query, with marks intact."""
    return urlencode({as_text(name): as_text(value) for name, value in fields.items()}, safe="@")


@st.composite
def bent(draw: st.DrawFn, body: bytes) -> bytes:
    """A body, in one case of eight truncated, doubled or with a byte changed."""
    match draw(st.sampled_from([3] * 21 + [0, 1, 2])):
        case 0:
            return body[: draw(st.integers(0, max(0, len(body) - 1)))]
        case 1 if body:
            at = draw(st.integers(0, len(body) - 1))
            return body[:at] + bytes([draw(st.integers(0, 255))]) + body[at + 1 :]
        case 2:
            return draw(st.binary(max_size=40))
        case _:
            return body


ROUTES: Final = [(operation, route) for operation in OPERATIONS.values() for route in operation.routes]
METHODS: Final = [name for name, operation in OPERATIONS.items() if Surface.RPC in operation.surfaces]


@st.composite
def rest_asks(draw: st.DrawFn, routes: list[tuple[Operation, Route]]) -> tuple[str, str, dict[str, str], bytes]:
    """One request to a route of the table, or similar to one."""
    operation, route = draw(st.sampled_from(routes))
    path = re.sub(
        r"\{[a-z_]+\}",
        lambda _: draw(st.sampled_from([ids] * 6 + [secrets, odd_text.map(_segment)]).flatmap(lambda one: one)),
        route.path,
    )
    fields = draw(fields_of(operation))
    for name in re.findall(r"\{([a-z_]+)\}", route.path):
        if not one_in(draw, 15):
            fields.pop(name, None)
    method = draw(st.sampled_from([route.method] * 60 + ["GET", "POST", "DELETE", "HEAD", "PUT", "PATCH", "OPTIONS"]))
    if one_in(draw, 25):
        path += draw(st.sampled_from(["/", "/x", "//", "/@@user_key@@", "/%ff"]))
    is_query = method in {"GET", "DELETE"} if not one_in(draw, 20) else draw(st.booleans())
    if is_query:
        return method, path + ("?" + urlencoded(fields) if fields else ""), {}, b""
    is_form = operation.form and not one_in(draw, 10)
    if is_form:
        if one_in(draw, 3):
            fields |= {"client_id": mark("user_id"), "client_secret": draw(secrets)}
        body = urlencoded(fields).encode()
        return method, path, {"content-type": "application/x-www-form-urlencoded"}, draw(bent(body))
    body = write_json(Pairs(tuple(fields.items()))).encode("utf-8", "surrogatepass")
    return method, path, {"content-type": draw(st.sampled_from(TYPES))}, draw(bent(body))


def _segment(text: str) -> str:
    return quote(text.encode("utf-8", "replace"), safe="")


@st.composite
def calls(draw: st.DrawFn, methods: list[str]) -> Any:
    """One JSON-RPC request object, or nearly one. Its id is echoed, so it is no secret."""
    name = draw(st.sampled_from(methods))
    operation = OPERATIONS[name]
    fields = draw(fields_of(operation))
    match draw(st.sampled_from([4] * 12 + [1] * 5 + [0])):
        case 0:
            params: Any = draw(values)
        case 1:
            order = operation.params.__struct_fields__
            params = [fields.get(one) for one in order][: draw(st.sampled_from([len(order)] * 4 + [1, len(order) + 1]))]
            params += [draw(values)] if one_in(draw, 10) else []
        case _:
            params = Pairs(tuple(fields.items()))
    shown = draw(st.sampled_from([name] * 60 + ["rpc.nothing", "", "users", mark("user_key"), name.upper()]))
    members: list[tuple[str, Any]] = [
        ("jsonrpc", draw(st.sampled_from(["2.0"] * 60 + ["1.0", 2, None]))),
        ("method", draw(values) if one_in(draw, 25) else shown),
        ("params", params),
        (
            "id",
            draw(
                st.sampled_from(
                    [1, 2, "a", None, 1.5, -1, 7, 8, 9, 10, 11, Raw("1e999"), Raw("[]"), Raw("true"), Raw('"\\ud800"')]
                )
            ),
        ),
    ]
    for _ in range(draw(st.sampled_from([0] * 15 + [1]))):
        members.pop(draw(st.integers(0, len(members) - 1)))
    if one_in(draw, 20):
        members.append(draw(st.sampled_from(members or [("id", 1)])))
    return Pairs(tuple(members))


@st.composite
def rpc_asks(draw: st.DrawFn, methods: list[str]) -> tuple[str, str, dict[str, str], bytes]:
    """One JSON-RPC body."""
    match draw(st.sampled_from([3] * 14 + [0] * 4 + [2])):
        case 0:
            value: Any = draw(st.lists(st.one_of(calls(methods), calls(methods), values), max_size=4))
        case 2:
            value = draw(values)
        case _:
            value = draw(calls(methods))
    body = draw(bent(write_json(value).encode("utf-8", "surrogatepass")))
    return "POST", draw(st.sampled_from(["/rpc", "/"])), {"content-type": draw(st.sampled_from(TYPES))}, body


@st.composite
def asks(draw: st.DrawFn, *, is_admin: bool, is_slow: bool = True) -> Ask:
    """One request.

    Args:
        is_admin: whether it may use admin credentials.
        is_slow: whether it may call rate-limited operations, which are delayed on purpose.
    """
    routes = [(one, route) for one, route in ROUTES if is_slow or one.limit is None]
    methods = [name for name in METHODS if is_slow or OPERATIONS[name].limit is None]
    method, target, headers, body = draw(st.one_of(rest_asks(routes), rpc_asks(methods)))
    headers = {"host": "localhost", **headers, **draw(st.sampled_from(EXTRA)), **draw(st.sampled_from(CREDENTIALS))}
    made = Ask(method, target, headers, body, draw(st.booleans()))
    if is_admin:
        return made

    def tame(text: str) -> str:
        return re.sub(r"@@(admin_token|admin_key|legacy_admin|service_key|cookie)@@", "@@user_token@@", text)

    return Ask(
        method,
        tame(target),
        {name: tame(value) for name, value in headers.items()},
        re.sub(rb"@@(admin_token|admin_key|legacy_admin|service_key|cookie)@@", b"@@user_token@@", body),
        made.is_unix,
    )
