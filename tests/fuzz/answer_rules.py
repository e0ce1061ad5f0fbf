"""Rules for every answer, whatever the request: no internal error, its protocol's format, and no secret echoed.

Has the formats from the design, and the numbers from the one table of codes.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from fuzz.request_generator import Ask
from herod.protocols.error_codes import row_of
from herod.protocols.error_formats import without_final_slash
from herod_client.core import errors
from herod_client.core.errors import HerodError

__all__ = ["judge", "shown_once"]

# Secrets that an answer may contain because it has just created them.
ONCE: Final = ("client_secret", "key", "access_token")
PROTOCOL_CODES: Final = {-32700, -32600, -32601}
OAUTH_PATHS: Final = {"/token", "/introspect", "/revoke", "/oauth/register"}
# RFC 6749, section 5.2, and RFC 6750, section 3: every scheme has a parameter.
DESCRIPTION: Final = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]{1,1024}")
CHALLENGE: Final = re.compile(r'(?:Bearer|Basic) [a-z_]+="[\x20-\x21\x23-\x5b\x5d-\x7e]*"(?:, .*)?')


def _all(base: type[HerodError]) -> Iterable[type[HerodError]]:
    for child in base.__subclasses__():
        yield child
        yield from _all(child)


# code → HTTP status, JSON-RPC code, OAuth errors
KNOWN: Final[dict[str, set[tuple[int, int]]]] = {}
OAUTH: Final[dict[str, set[int]]] = {}
for _one in _all(errors.HerodError):
    _made = HerodError.__new__(_one)
    _row = row_of(_made)
    if hasattr(_one, "code"):
        KNOWN.setdefault(_one.code, set()).add((_row.http, _row.rpc))
    OAUTH.setdefault(_row.oauth, set()).add(_row.http)
OAUTH["unauthorized_client"].add(400)  # at the token endpoint (RFC 6749, section 5.2)


def judge(ask: Ask, status: int, headers: Mapping[str, str], body: bytes, *, secrets: Iterable[str]) -> None:
    """Check one answer against the rules.

    Args:
        ask: the request as sent.
        headers: lower-case name → value.
        secrets: the secrets in the request.

    Raises:
        AssertionError: the answer breaks a rule.
    """
    assert 200 <= status < 500, (status, body)
    path = without_final_slash(ask.target.partition("?")[0])
    if ask.method == "HEAD" or status == 204:
        assert body == b""
        value = None
    elif headers.get("content-type") == "application/octet-stream" or (path, status) == ("/metrics", 200):
        return
    else:
        assert headers["content-type"] == "application/json", headers
        value = json.loads(body, parse_constant=_refuse)
    assert (headers.get("cache-control"), headers.get("pragma")) == ("no-store", "no-cache") or status == 204
    is_rpc = ask.method == "POST" and path in {"/", "/rpc"}
    if is_rpc and status == 200:
        for one in value if isinstance(value, list) else [value]:
            _judge_rpc(one)
    elif status >= 400:
        _judge_error(ask.method, path, status, headers, value)
    elif value is not None and path.startswith("/api/v1/"):
        assert value.keys() == {"data", "meta"}
    _judge_echo(status, headers, value, secrets)


def shown_once(value: Any) -> Iterator[str]:
    """The new secrets that an answer shows, in the only fields where they may be."""
    if isinstance(value, list):
        for one in value:
            yield from shown_once(one)
    elif isinstance(value, dict):
        for name, one in value.items():
            if name in ONCE and isinstance(one, str):
                yield one
            else:
                yield from shown_once(one)


def _refuse(text: str) -> None:
    raise AssertionError(f"{text} is not JSON")


def _judge_rpc(answer: Any) -> None:
    assert isinstance(answer, dict), answer
    assert answer["jsonrpc"] == "2.0"
    assert "id" in answer
    if "error" not in answer:
        assert answer.keys() == {"jsonrpc", "result", "id"}
        return
    assert answer.keys() == {"jsonrpc", "error", "id"}
    error = answer["error"]
    assert error.keys() == {"code", "message", "data"}
    assert error["code"] != -32603
    assert error["message"]
    code = error["data"]["code"]
    codes = {rpc for _, rpc in KNOWN[code]}
    assert error["code"] in codes or (code == "invalid_request" and error["code"] in PROTOCOL_CODES)


def _judge_error(method: str, path: str, status: int, headers: Mapping[str, str], value: Any) -> None:
    if status == 401:
        assert CHALLENGE.fullmatch(headers["www-authenticate"]), headers
    elif status == 429:
        assert 0 < int(headers["retry-after"]) <= 3600
    elif status == 405:
        assert headers["allow"]
    if value is None:
        return
    if path == "/rpc" or (path == "/" and method == "POST"):
        _judge_rpc(value)
        return
    if path in OAUTH_PATHS:
        assert value.keys() == {"error", "error_description"}
        assert status in OAUTH[value["error"]]
        assert DESCRIPTION.fullmatch(value["error_description"])
        return
    is_enveloped = path.startswith(("/api/v1", "/api/auth"))
    assert value.keys() - {"meta"} == {"error"}
    assert not is_enveloped or "meta" in value
    error = value["error"]
    assert error.keys() - {"hint"} == {"code", "message"}
    assert status in {http for http, _ in KNOWN[error["code"]]}


def _judge_echo(status: int, headers: Mapping[str, str], value: Any, secrets: Iterable[str]) -> None:
    """No answer contains a secret of its request, and new secrets were not in the request."""
    text = json.dumps(value, ensure_ascii=False) + "".join(headers.values())
    for secret in secrets:
        assert secret not in text, (status, text)
