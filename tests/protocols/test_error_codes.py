"""Every error has a row in the one table, and its documented form in every protocol."""

import json
from collections.abc import Iterator

import pytest

from herod.protocols.error_codes import INTERNAL, row_of
from herod.protocols.responses import envelope_error, oauth_error, plain_error
from herod.store.store_interface import NotWritten
from herod_client.core import errors
from herod_client.core.errors import HerodError

# class → (code, HTTP, JSON-RPC, OAuth): the published table, written out
PUBLISHED = {
    "InvalidRequest": ("invalid_request", 400, -32602, "invalid_request"),
    "InvalidScope": ("invalid_request", 400, -32602, "invalid_scope"),
    "InvalidTarget": ("invalid_request", 400, -32602, "invalid_target"),
    "InvalidRedirectUri": ("invalid_request", 400, -32602, "invalid_redirect_uri"),
    "InvalidClientMetadata": ("invalid_request", 400, -32602, "invalid_client_metadata"),
    "UnsupportedTokenType": ("invalid_request", 400, -32602, "unsupported_token_type"),
    "InvalidGrant": ("invalid_request", 400, -32602, "invalid_grant"),
    "AuthorizationPending": ("invalid_request", 400, -32602, "authorization_pending"),
    "SlowDown": ("invalid_request", 400, -32602, "slow_down"),
    "AccessDenied": ("invalid_request", 400, -32602, "access_denied"),
    "ExpiredDeviceCode": ("invalid_request", 400, -32602, "expired_token"),
    "UnsupportedGrantType": ("invalid_request", 400, -32602, "unsupported_grant_type"),
    "MalformedRequest": ("invalid_request", 400, -32600, "invalid_request"),
    "ForeignOrigin": ("invalid_request", 403, -32600, "invalid_request"),
    "MethodNotAllowed": ("invalid_request", 405, -32600, "invalid_request"),
    "UnsupportedEncoding": ("invalid_request", 415, -32600, "invalid_request"),
    "Misdirected": ("invalid_request", 421, -32600, "invalid_request"),
    "NotImplementedHere": ("invalid_request", 501, -32600, "invalid_request"),
    "InternalError": ("internal", 500, -32603, "server_error"),
    "TooLarge": ("too_large", 413, -32600, "invalid_request"),
    "Unauthenticated": ("bad_credentials", 401, 4001, "invalid_client"),
    "BadCredentials": ("bad_credentials", 401, 4001, "invalid_client"),
    "BadToken": ("bad_token", 401, 4001, "invalid_client"),
    "FutureToken": ("bad_token", 401, 4001, "invalid_client"),
    "ExpiredToken": ("expired_token", 401, 4001, "invalid_client"),
    "RevokedToken": ("revoked_token", 401, 4001, "invalid_client"),
    "Disabled": ("disabled", 401, 4001, "invalid_client"),
    "MissingScope": ("missing_scope", 403, 4003, "unauthorized_client"),
    "NetworkDenied": ("network_denied", 403, 4003, "unauthorized_client"),
    "CeilingExceeded": ("ceiling_exceeded", 403, 4003, "unauthorized_client"),
    "TargetDenied": ("target_denied", 403, 4003, "unauthorized_client"),
    "SecondFactorNeeded": ("second_factor_needed", 401, 4001, "invalid_client"),
    "SecondFactorMissing": ("second_factor_missing", 403, 4003, "unauthorized_client"),
    "ApprovalRequired": ("approval_required", 403, 4003, "unauthorized_client"),
    "PersonNeeded": ("person_needed", 403, 4003, "unauthorized_client"),
    "NotFound": ("not_found", 404, 4004, "invalid_request"),
    "Conflict": ("conflict", 409, 4009, "invalid_request"),
    "RateLimited": ("rate_limited", 429, 4029, "invalid_request"),
    "Unavailable": ("unavailable", 503, 5003, "temporarily_unavailable"),
    "NotWritten": ("unavailable", 503, 5003, "temporarily_unavailable"),
}
ABSTRACT = {"PermissionDenied"}


def walk(kind: type[HerodError]) -> Iterator[type[HerodError]]:
    """All subclasses."""
    for child in kind.__subclasses__():
        yield child
        yield from walk(child)


def make(kind: type[HerodError]) -> HerodError:
    """Create an error of this class."""
    if kind is errors.RateLimited:
        return errors.RateLimited("Slow down.", retry_after=7)
    if kind is errors.MethodNotAllowed:
        return errors.MethodNotAllowed("No.", allowed=("GET", "HEAD"))
    if kind is errors.ApprovalRequired:
        return errors.ApprovalRequired("No.", url="http://localhost/ui/approvals/x", id="x")
    if kind is errors.FutureToken:
        return errors.FutureToken("No.", begins=1_800_000_000)
    if kind is errors.MissingScope:
        return errors.MissingScope("No.", missing="admin", hint="herod user scope X admin")
    if kind is NotWritten:
        return NotWritten("The disk is full", "make room", reason="disk_full")
    return kind("No.")


def test_the_published_table_is_the_tree() -> None:
    """The published table contains exactly the error classes."""
    assert {kind.__name__ for kind in walk(HerodError)} - ABSTRACT == set(PUBLISHED)


@pytest.mark.parametrize("kind", [kind for kind in walk(HerodError) if kind.__name__ not in ABSTRACT])
def test_each_error_on_each_door(kind: type[HerodError]) -> None:
    """Code, statuses, headers and bodies are the published ones in each protocol."""
    error = make(kind)
    code, http, rpc, oauth = PUBLISHED[kind.__name__]
    row = row_of(error)
    assert (error.code, row.http, row.rpc, row.oauth) == (code, http, rpc, oauth)
    plain, wrapped, form = plain_error(error), envelope_error("9")(error), oauth_error(error)
    assert {answer.status for answer in (plain, wrapped, form)} == {http}
    body = json.loads(plain.body)
    assert body["error"]["code"] == code
    assert body["error"]["message"] == error.message
    assert body["error"].get("hint") == error.hint
    assert json.loads(wrapped.body) == {**body, "meta": {"api_version": "1", "server_version": "9"}}
    assert json.loads(form.body) == {"error": oauth, "error_description": error.message}
    headers = dict(plain.headers)
    if http == 401:
        assert headers["WWW-Authenticate"] == 'Bearer realm="herod"'
        assert dict(form.headers)["WWW-Authenticate"] == 'Basic realm="herod"'
    if kind is errors.MissingScope:
        assert headers["WWW-Authenticate"] == 'Bearer error="insufficient_scope", scope="admin"'
    if kind is errors.RateLimited:
        assert headers["Retry-After"] == "7"
    if kind is errors.MethodNotAllowed:
        assert headers["Allow"] == "GET, HEAD"
    if kind is errors.UnsupportedEncoding:
        assert headers["Accept-Encoding"] == "identity"


def test_an_error_without_a_row_is_internal() -> None:
    """The abstract base class has no row and is answered as an internal error without details."""
    assert row_of(HerodError.__new__(HerodError)) is INTERNAL
