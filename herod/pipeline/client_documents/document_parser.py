"""What a client ID metadata document says (draft-ietf-oauth-client-id-metadata-document, section 4). Pure.

A document is an app's word about itself, from a host that it controls: it is judged like a registration, with what a
public place must not have in addition. Must never let it be more than a public app.
"""

import json
from typing import Any, Final

import msgspec

from herod.credentials.apps.redirect_uris import parse_redirect_uri, refuse_own_origin
from herod.identity.apps.grant_types import AUTHORIZATION_CODE, DEVICE_CODE, GRANT_TYPES
from herod.identity.client_documents import ClientDocument, ClientUrl
from herod.pipeline.parameters.app_names import parse_app_name
from herod_client.core.errors import InvalidClientMetadata, InvalidRequest
from herod_client.core.repeated_names import RepeatedNameError, check_names

__all__ = ["MAX_DOCUMENT_BYTES", "MAX_DOCUMENT_REDIRECTS", "parse_document"]

MAX_DOCUMENT_BYTES: Final = 5 * 1024
MAX_DOCUMENT_REDIRECTS: Final = 32
# A secret in public is none, and herod fetches no keys.
FORBIDDEN_NAMES: Final = ("jwks_uri",)
FORBIDDEN_PREFIX: Final = "client_secret"

_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


def parse_document(url: ClientUrl, body: bytes, *, own_origins: frozenset[str], now: int) -> ClientDocument:
    """Read a document.

    Args:
        url: where it was fetched, and the app's client id.
        own_origins: origins of herod's, where no redirect may lead.
        now: Unix seconds.

    Raises:
        InvalidClientMetadata: it is not this app's document, or says something that is not acceptable.
    """
    members = _members(body)
    if members.get("client_id") != url.text:
        raise _bad("its client_id is not the URL from which it comes")
    for name in members:
        if name.startswith(FORBIDDEN_PREFIX) or name in FORBIDDEN_NAMES:
            raise _bad(f"it has a {name!r}, which an app that is known by its document cannot have")
    if members.get("token_endpoint_auth_method", "none") != "none":
        raise _bad("herod supports only 'none' as its token_endpoint_auth_method")
    asked = _texts(members, "grant_types", default=[AUTHORIZATION_CODE])
    grants = tuple(grant for grant in GRANT_TYPES if grant in asked)
    if not {AUTHORIZATION_CODE, DEVICE_CODE} & set(grants):
        raise _bad(f"its grant_types include neither {AUTHORIZATION_CODE!r} nor {DEVICE_CODE!r}")
    if "code" not in _texts(members, "response_types", default=["code"]) and AUTHORIZATION_CODE in grants:
        raise _bad("its response_types do not include 'code'")
    redirects = _texts(members, "redirect_uris", default=[])
    return ClientDocument(
        name=_name(members.get("client_name", url.host)),
        redirect_uris=_redirects(redirects, own_origins) if AUTHORIZATION_CODE in grants else (),
        grants=grants,
        at=now,
    )


def _members(body: bytes) -> dict[str, Any]:
    if len(body) > MAX_DOCUMENT_BYTES:
        raise _bad(f"it has more than {MAX_DOCUMENT_BYTES} bytes")
    if body.count(b"[") + body.count(b"{") > MAX_DOCUMENT_BYTES // 8:
        raise _bad("it is not a JSON object")
    try:
        members = _decode(body)
        json.loads(body, object_pairs_hook=check_names)
    except RepeatedNameError:
        raise _bad("it has a name twice") from None
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise _bad("it is not a JSON object") from None
    return members


def _texts(members: dict[str, Any], name: str, *, default: list[str]) -> list[str]:
    value = members.get(name, default)
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise _bad(f"its {name} is not a list of texts")
    return value


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise _bad("its client_name is not a text")
    try:
        return parse_app_name(value)
    except InvalidRequest as error:
        raise _bad(f"its client_name is not acceptable ({error.message.rstrip('.')})") from None


def _redirects(texts: list[str], own_origins: frozenset[str]) -> tuple[str, ...]:
    """The redirects that will do, each once.

    Raises:
        InvalidClientMetadata: there is none.
    """
    taken: dict[str, None] = {}
    for text in texts[:MAX_DOCUMENT_REDIRECTS]:
        try:
            redirect = parse_redirect_uri(text)
            refuse_own_origin(redirect, own_origins)
        except InvalidRequest:
            continue
        if redirect.is_for_anybody:
            taken[redirect.text] = None
    if not taken:
        raise _bad("none of its redirect_uris is acceptable")
    return tuple(taken)


def _bad(why: str) -> InvalidClientMetadata:
    return InvalidClientMetadata(
        f"The document that describes the app cannot be used: {why}. Ask the app's makers, or an admin to register it.",
        reason="client_document",
    )
