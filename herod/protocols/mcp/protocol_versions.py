"""Which revision of MCP a message speaks, and whether its headers say the same as its body. Pure.

2026-07-28 tells with every request, in `params._meta` and in headers that must agree with it. The revisions before it
agree once, by `initialize`; herod keeps nothing of that, so each of their requests stands for itself as well.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from herod.protocols.error_codes import HEADER_MISMATCH, INVALID_PARAMS, UNSUPPORTED_VERSION
from herod.protocols.jsonrpc_messages import Call, RpcError

__all__ = ["HANDSHAKE", "MODERN", "SERVER_INFO", "SUPPORTED", "check_version", "protocol_version_of"]

MODERN: Final = "2026-07-28"
# By `initialize`, newest first; the older one differs in nothing that herod uses.
HANDSHAKE: Final = ("2025-11-25", "2025-06-18")
SUPPORTED: Final = (MODERN, *HANDSHAKE)

DISCOVER: Final = "server/discover"
SERVER_INFO: Final = "io.modelcontextprotocol/serverInfo"
PROTOCOL_VERSION: Final = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES: Final = "io.modelcontextprotocol/clientCapabilities"
# What a header cannot hold comes as base64 between these (MCP 2026-07-28, "Value Encoding").
ENCODED: Final = ("=?base64?", "?=")


class Meta(msgspec.Struct):
    """What a request says of itself."""

    version: Any = msgspec.field(name=PROTOCOL_VERSION, default=msgspec.UNSET)
    capabilities: Any = msgspec.field(name=CAPABILITIES, default=msgspec.UNSET)


class Envelope(msgspec.Struct):
    """What headers repeat of a request's params."""

    meta: Meta | None = msgspec.field(name="_meta", default=None)
    name: Any = None


decode_envelope: Final = msgspec.json.Decoder(Envelope | None).decode


def protocol_version_of(call: Call, headers: Mapping[str, str]) -> str:
    """The revision by which to answer a request: one of `SUPPORTED`.

    Raises:
        RpcError: herod does not speak it, the request does not say what it must, or headers and body differ.
    """
    try:
        envelope = decode_envelope(call.params) or Envelope()
        meta = envelope.meta or Meta()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RpcError(INVALID_PARAMS, "The params must be an object, and their _meta one as well.") from None
    sent = headers.get("mcp-protocol-version")
    declared = meta.version
    if declared is msgspec.UNSET and sent != MODERN and call.method != DISCOVER:
        check_version(headers)
        return HANDSHAKE[0] if sent is None else sent
    missing = [
        name
        for name, value in ((PROTOCOL_VERSION, declared), (CAPABILITIES, meta.capabilities))
        if value is msgspec.UNSET
    ]
    if missing:
        raise RpcError(INVALID_PARAMS, f"params._meta must say {' and '.join(missing)}.")
    _compare("MCP-Protocol-Version", sent, declared)
    _compare("Mcp-Method", headers.get("mcp-method"), call.method)
    if call.method == "tools/call":
        _compare("Mcp-Name", _decoded(headers.get("mcp-name")), envelope.name)
    if declared != MODERN:
        raise _unsupported(declared)
    return MODERN


def check_version(headers: Mapping[str, str]) -> None:
    """Refuse a message whose header names a revision that herod does not speak.

    A message without the header is taken: a client that spoke none but the newest would send it.

    Raises:
        RpcError: it does.
    """
    sent = headers.get("mcp-protocol-version")
    if sent is not None and sent not in SUPPORTED:
        raise _unsupported(sent)


def _unsupported(requested: str) -> RpcError:
    message = f"Unsupported protocol version: herod speaks {', '.join(SUPPORTED)}."
    return RpcError(UNSUPPORTED_VERSION, message, data={"supported": SUPPORTED, "requested": requested[:64]})


def _compare(header: str, sent: str | None, said: object) -> None:
    if sent is None:
        raise RpcError(HEADER_MISMATCH, f"The {header} header is missing.")
    if sent != said:
        raise RpcError(HEADER_MISMATCH, f"The {header} header says something else than the body.")


def _decoded(value: str | None) -> str | None:
    """A header's value out of its base64, if it is in one; broken base64 stays as it is and matches nothing."""
    start, end = ENCODED
    if value is None or not (value.startswith(start) and value.endswith(end)):
        return value
    try:
        return base64.b64decode(value[len(start) : -len(end)], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return value
