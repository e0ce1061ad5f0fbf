"""OAuth 2.0: metadata, tokens for clients, validation, introspection and revocation."""

import base64
import json
from typing import Final

from herod_smoke.fixtures import Fixtures, expect
from herod_smoke.http_connection import basic

__all__ = ["metadata", "revoke", "token", "token_refused", "validate", "validate_tampered"]

GRANT: Final = {"grant_type": "client_credentials"}


def metadata(fixtures: Fixtures) -> None:
    """Clients can discover endpoints and keys (RFC 8414, RFC 9728, RFC 7517)."""
    answer = fixtures.connection.ask("GET", "/.well-known/oauth-authorization-server")
    expect(answer.status == 200, "the server's metadata is served", answer)
    found = answer.json
    expect(found["token_endpoint"].endswith("/token"), "the metadata names the token endpoint")
    expect("client_credentials" in found["grant_types_supported"], "the metadata names the grant type")
    for name in ("introspection_endpoint", "revocation_endpoint", "jwks_uri", "issuer"):
        expect(name in found, f"the metadata has {name}")
    keys = fixtures.connection.ask("GET", "/.well-known/jwks.json")
    expect(keys.status == 200 and isinstance(keys.json["keys"], list), "the public keys are served", keys)
    expect(not any("d" in key or "k" in key for key in keys.json["keys"]), "no private key is among them")
    for path in ("", "/mcp"):
        resource = fixtures.connection.ask("GET", f"/.well-known/oauth-protected-resource{path}")
        expect(resource.status == 200, "the protected resource's metadata is served", resource)
        expect(found["issuer"] in resource.json["authorization_servers"], "it names its authorization server")
    unknown = fixtures.connection.ask("GET", "/.well-known/no-such-thing")
    expect(unknown.status == 404 and unknown.json["error"]["code"] == "not_found", "an unknown one is a 404", unknown)


def token(fixtures: Fixtures) -> None:
    """A client gets a token by Basic and by form, as narrow as requested."""
    user = fixtures.user("write")
    credentials = basic(user.client_id, user.client_secret)
    whole = fixtures.connection.ask("POST", "/token", form=GRANT, headers=credentials)
    expect(whole.status == 200 and whole.json["token_type"].lower() == "bearer", "a client gets a token", whole)
    expect(whole.json["scope"] == "write", "without a requested scope it has the client's whole scope", whole)
    for header, value in (("cache-control", "no-store"), ("pragma", "no-cache")):
        expect(whole.headers.get(header) == value, "a token is never cached", whole)
    in_form = {"client_id": user.client_id, "client_secret": user.client_secret, "scope": "read"}
    narrow = fixtures.connection.ask("POST", "/token", form={**GRANT, **in_form})
    expect(narrow.status == 200 and narrow.json["scope"] == "read", "a narrower token can be requested", narrow)
    verdict = fixtures.validate(narrow.json["access_token"])
    expect(verdict["valid"] and verdict["scope"] == "read", "the narrower token has only its scope")
    expect(verdict["exp"] - verdict["iat"] == narrow.json["expires_in"], "its lifetime is expires_in")


def token_refused(fixtures: Fixtures) -> None:
    """Wrong secrets, too much scope and other grants are refused as RFC 6749 says."""
    user = fixtures.user()
    good, wrong = basic(user.client_id, user.client_secret), basic(user.client_id, user.client_secret[:-1] + "!")
    for form, headers, status, code in (
        (GRANT, wrong, 401, "invalid_client"),
        (GRANT, basic("no-such-client", "no-such-secret"), 401, "invalid_client"),
        ({**GRANT, "scope": "admin"}, good, 400, "invalid_scope"),
        ({**GRANT, "scope": "no-such-scope"}, good, 400, "invalid_scope"),
        ({"grant_type": "password"}, good, 400, "unsupported_grant_type"),
        ({}, good, 400, "invalid_request"),
    ):
        answer = fixtures.connection.ask("POST", "/token", form=form, headers=headers)
        expect(answer.status == status and answer.json["error"] == code, f"the refusal is {status} {code}", answer)
        said = answer.headers.get("www-authenticate", "")
        expect(status != 401 or said.startswith("Basic realm="), "401 says how clients authenticate", answer)


def validate(fixtures: Fixtures) -> None:
    """A service gets a token's subject and grants, and can require a scope and a network."""
    user = fixtures.user("write", networks=["smoke-net"]) if _takes_networks(fixtures) else fixtures.user("write")
    text = fixtures.token(user)
    verdict = fixtures.validate(text, scope="read")
    expect(verdict["valid"] and verdict["sub"] == user.client_id, "a valid token is accepted")
    for name in ("name", "scope", "networks", "exp", "iat", "iss", "jti", "method"):
        expect(name in verdict, f"the verdict has {name}")
    lacking = fixtures.validate(text, scope="admin")
    expect(lacking == {"valid": False, "reason": "scope"}, "a scope that it lacks is refused")
    if verdict["networks"] == ["smoke-net"]:
        expect(fixtures.validate(text, network="smoke-net")["valid"], "it is valid in its network")
        other = fixtures.validate(text, network="smoke-other")
        expect(other == {"valid": False, "reason": "network"}, "it is refused in another network")
    seen = fixtures.connection.ask(
        "POST", "/introspect", form={"token": text}, headers=basic(user.client_id, user.client_secret)
    )
    expect(seen.status == 200 and seen.json["active"] is True, "introspection says the same (RFC 7662)", seen)


def validate_tampered(fixtures: Fixtures) -> None:
    """Changed and unsigned tokens are refused."""
    text = fixtures.token(fixtures.user())
    header, payload, signature = text.split(".")
    claims = json.loads(_unquote(payload))
    more = _quote({**claims, "scope": "admin"})
    unsigned = _quote({"alg": "none", "typ": "JWT"})
    swapped = signature[:-2] + ("AA" if signature[-2:] != "AA" else "BB")
    for changed in (
        f"{header}.{more}.{signature}",
        f"{header}.{payload}.{swapped}",
        f"{header}.{payload}.",
        f"{unsigned}.{payload}.",
        f"{unsigned}.{payload}.{signature}",
        f"{text}=",
        f"{text}.",
        f" {text}",
        text[:-1],
        "",
    ):
        verdict = fixtures.validate(changed)
        expect(verdict["valid"] is False and "sub" not in verdict, "a changed token is refused")
    expect(fixtures.validate(text)["valid"], "the token itself is still valid")


def revoke(fixtures: Fixtures) -> None:
    """A revoked token is refused, and only its owner or an admin can revoke it."""
    user, other = fixtures.user(), fixtures.user()
    text = fixtures.token(user)
    stranger = fixtures.connection.ask(
        "POST", "/revoke", form={"token": text}, headers=basic(other.client_id, other.client_secret)
    )
    expect(stranger.status in {401, 403}, "another client cannot revoke it", stranger)
    expect(fixtures.validate(text)["valid"], "it is valid until then")
    holder = basic(user.client_id, user.client_secret)
    answer = fixtures.connection.ask("POST", "/revoke", form={"token": text}, headers=holder)
    expect(answer.status == 200, "its owner can revoke it", answer)
    expect(fixtures.validate(text) == {"valid": False, "reason": "revoked"}, "it is revoked at once")
    again = fixtures.connection.ask("POST", "/revoke", form={"token": text}, headers=holder)
    expect(again.status == 200, "revoking an invalid token is not an error (RFC 7009)", again)


def _takes_networks(fixtures: Fixtures) -> bool:
    """Whether the daemon accepts any network name."""
    answer = fixtures.api("POST", "/users/add", json={"scope": "read", "networks": ["smoke-net"]})
    if answer.status == 201:
        fixtures.adopt_user(answer.json)
    return answer.status == 201


def _quote(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _unquote(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
