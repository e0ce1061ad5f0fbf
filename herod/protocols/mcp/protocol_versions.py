"""Which MCP revision a message uses, and whether its headers match its body. Pure.

Revision 2026-07-28 declares itself in every request, in `params._meta` and in headers that must match it. Earlier
revisions are negotiated once, by `initialize`; herod keeps no state of that, so each of their requests is independent
too.
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
# Negotiated by `initialize`, newest first; the older one differs in nothing that herod uses.
HANDSHAKE: Final = ("2025-11-25", "2025-06-18")
SUPPORTED: Final = (MODERN, *HANDSHAKE)

DISCOVER: Final = "server/discover"
SERVER_INFO: Final = "io.modelcontextprotocol/serverInfo"
PROTOCOL_VERSION: Final = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES: Final = "io.modelcontextprotocol/clientCapabilities"
# Values that a header cannot hold are base64 between these (MCP 2026-07-28, "Value Encoding").
ENCODED: Final = ("=?base64?", "?=")


class Meta(msgspec.Struct):
    """A request's metadata."""

    version: Any = msgspec.field(name=PROTOCOL_VERSION, default=msgspec.UNSET)
    capabilities: Any = msgspec.field(name=CAPABILITIES, default=msgspec.UNSET)


class Envelope(msgspec.Struct):
    """The part of a request's params that headers repeat."""

    meta: Meta | None = msgspec.field(name="_meta", default=None)
    name: Any = None


decode_envelope: Final = msgspec.json.Decoder(Envelope | None).decode


def protocol_version_of(call: Call, headers: Mapping[str, str]) -> str:
    """The revision to use for a request: one of `SUPPORTED`.

    Raises:
        RpcError: herod does not support it, required metadata is missing, or headers and body differ.
    """
    try:
        envelope = decode_envelope(call.params) or Envelope()
        meta = envelope.meta or Meta()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RpcError(INVALID_PARAMS, "The params must be an object, and so must their `_meta`.") from None
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
        raise RpcError(INVALID_PARAMS, f"The params must have a `_meta` with {' and '.join(missing)}.")
    _compare("MCP-Protocol-Version", sent, declared)
    _compare("Mcp-Method", headers.get("mcp-method"), call.method)
    if call.method == "tools/call":
        _compare("Mcp-Name", _decoded(headers.get("mcp-name")), envelope.name)
    if declared != MODERN:
        raise _unsupported(declared)
    return MODERN


def check_version(headers: Mapping[str, str]) -> None:
    """Refuse a message whose header names a revision that herod does not support.

    A message without the header is accepted: a client that supports only the newest revision would send it.

    Raises:
        RpcError: it names such a revision.
    """
    sent = headers.get("mcp-protocol-version")
    if sent is not None and sent not in SUPPORTED:
        raise _unsupported(sent)


def _unsupported(requested: str) -> RpcError:
    message = f"Unsupported protocol version: herod supports {', '.join(SUPPORTED)}."
    return RpcError(UNSUPPORTED_VERSION, message, data={"supported": SUPPORTED, "requested": requested[:64]})


def _compare(header: str, sent: str | None, said: object) -> None:
    if sent is None:
        raise RpcError(HEADER_MISMATCH, f"The {header} header is missing.")
    if sent != said:
        raise RpcError(HEADER_MISMATCH, f"The {header} header does not match the body.")


def _decoded(value: str | None) -> str | None:
    """A header's value, decoded if it is base64; broken base64 stays as it is and matches nothing."""
    start, end = ENCODED
    if value is None or not (value.startswith(start) and value.endswith(end)):
        return value
    try:
        return base64.b64decode(value[len(start) : -len(end)], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return value
