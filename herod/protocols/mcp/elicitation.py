"""Sending a person to a page of herod's (URL elicitation): how a client declares it, and how it is asked. Pure.

Revision 2026-07-28 declares it in each request. For 2025-11-25 it is declared once, in `initialize`; herod keeps no
state of that, so it hands the client a session id that says so, and the client repeats it in each request. The id is no
secret and proves nothing: whoever makes one up gets the question in another form.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from herod.protocols.jsonrpc_messages import Call
from herod_client.core.errors import ApprovalRequired
from herod_client.core.key_format import new_opaque

__all__ = ["SESSION_HEADER", "can_open_urls", "elicitation", "has_answers", "input_required", "session_of"]

SESSION_HEADER: Final = "Mcp-Session-Id"
_CAPABILITIES: Final = "io.modelcontextprotocol/clientCapabilities"
_MARK: Final = ".url-elicitation"
_KEY: Final = "approval"


class _Elicitation(msgspec.Struct):
    url: Any = None


class _Capabilities(msgspec.Struct):
    elicitation: _Elicitation | None = None


class _Meta(msgspec.Struct):
    capabilities: _Capabilities | None = msgspec.field(name=_CAPABILITIES, default=None)


class _Params(msgspec.Struct):
    meta: _Meta | None = msgspec.field(name="_meta", default=None)
    capabilities: _Capabilities | None = None
    answers: Any = msgspec.field(name="inputResponses", default=None)


_decode: Final = msgspec.json.Decoder(_Params | None).decode


def can_open_urls(call: Call, headers: Mapping[str, str], *, is_modern: bool) -> bool:
    """Whether the client declared that it can send its person to a URL."""
    if not is_modern:
        return headers.get(SESSION_HEADER.lower(), "").endswith(_MARK)
    meta = _params(call).meta
    return meta is not None and _declares(meta.capabilities)


def session_of(call: Call) -> str | None:
    """The session id for a client that declares it in `initialize`; None for all others."""
    return new_opaque()[:22] + _MARK if _declares(_params(call).capabilities) else None


def has_answers(call: Call) -> bool:
    """Whether the client repeats a call with its person's answers (2026-07-28)."""
    return _params(call).answers is not None


def elicitation(error: ApprovalRequired) -> dict[str, Any]:
    """The data of the error that asks the client to send its person to the page (2025-11-25)."""
    asked = {"mode": "url", "elicitationId": error.id, "url": error.url, "message": error.message}
    return {"elicitations": [asked]}


def input_required(error: ApprovalRequired) -> dict[str, Any]:
    """The result that asks for the same (2026-07-28, "Multi Round-Trip Requests")."""
    params = {"mode": "url", "url": error.url, "message": error.message}
    return {
        "resultType": "input_required",
        "inputRequests": {_KEY: {"method": "elicitation/create", "params": params}},
    }


def _params(call: Call) -> _Params:
    """The params as far as they matter here; none if they are otherwise malformed, which others report."""
    try:
        return _decode(call.params) or _Params()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Params()


def _declares(capabilities: _Capabilities | None) -> bool:
    return (
        capabilities is not None
        and capabilities.elicitation is not None
        and isinstance(capabilities.elicitation.url, dict)
    )
