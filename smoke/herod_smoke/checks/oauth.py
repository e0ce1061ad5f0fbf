"""OAuth 2.0: metadata, tokens for clients, what herod says of a token, and taking one back."""

import base64
import json
from typing import Final

from herod_smoke.fixtures import Fixtures, expect
from herod_smoke.http_connection import basic

__all__ = ["metadata", "revoke", "token", "token_refused", "validate", "validate_tampered"]

GRANT: Final = {"grant_type": "client_credentials"}


def metadata(fixtures: Fixtures) -> None:
    """Clients can find out by themselves where and how (RFC 8414, RFC 9728, RFC 7517)."""
    answer = fixtures.connection.ask("GET", "/.well-known/oauth-authorization-server")
    expect(answer.status == 200, "the server's metadata is there", answer)
    found = answer.json
    expect(found["token_endpoint"].endswith("/token"), "the metadata names the token endpoint")
    expect("client_credentials" in found["grant_types_supported"], "the metadata names the grant type")
    for name in ("introspection_endpoint", "revocation_endpoint", "jwks_uri", "issuer"):
        expect(name in found, f"the metadata has {name}")
    keys = fixtures.connection.ask("GET", "/.well-known/jwks.json")
    expect(keys.status == 200 and isinstance(keys.json["keys"], list), "the public keys are there", keys)
    expect(not any("d" in key or "k" in key for key in keys.json["keys"]), "no private key is among them")
    for path in ("", "/mcp"):
        resource = fixtures.connection.ask("GET", f"/.well-known/oauth-protected-resource{path}")
        expect(resource.status == 200, "the protected resource's metadata is there", resource)
        expect(found["issuer"] in resource.json["authorization_servers"], "it names its authorization server")
    unknown = fixtures.connection.ask("GET", "/.well-known/no-such-thing")
    expect(unknown.status == 404 and unknown.json["error"]["code"] == "not_found", "an unknown one is a 404", unknown)


def token(fixtures: Fixtures) -> None:
    """A client gets a token by Basic and by form, as narrow as it asks."""
    user = fixtures.user("write")
    credentials = basic(user.client_id, user.client_secret)
    whole = fixtures.connection.ask("POST", "/token", form=GRANT, headers=credentials)
    expect(whole.status == 200 and whole.json["token_type"].lower() == "bearer", "a client gets a token", whole)
    expect(whole.json["scope"] == "write", "without a wish it is all that the client may", whole)
    expect(whole.headers.get("cache-control") == "no-store", "a token is never cached", whole)
    in_form = {"client_id": user.client_id, "client_secret": user.client_secret, "scope": "read"}
    narrow = fixtures.connection.ask("POST", "/token", form={**GRANT, **in_form})
    expect(narrow.status == 200 and narrow.json["scope"] == "read", "a narrower token is to be had", narrow)
    verdict = fixtures.validate(narrow.json["access_token"])
    expect(verdict["valid"] and verdict["scope"] == "read", "the narrow token is narrow")
    expect(verdict["exp"] - verdict["iat"] == narrow.json["expires_in"], "it lives as long as it says")


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


def validate(fixtures: Fixtures) -> None:
    """A service learns whose a token is and what it may, for a scope and a network too."""
    user = fixtures.user("write", networks=["smoke-net"]) if _takes_networks(fixtures) else fixtures.user("write")
    text = fixtures.token(user)
    verdict = fixtures.validate(text, scope="read")
    expect(verdict["valid"] and verdict["sub"] == user.client_id, "a good token is good")
    for name in ("name", "scope", "networks", "exp", "iat", "iss", "jti", "method"):
        expect(name in verdict, f"the verdict has {name}")
    lacking = fixtures.validate(text, scope="admin")
    expect(lacking == {"valid": False, "reason": "scope"}, "a scope it lacks makes it no good")
    if verdict["networks"] == ["smoke-net"]:
        expect(fixtures.validate(text, network="smoke-net")["valid"], "it is good in its network")
        other = fixtures.validate(text, network="smoke-other")
        expect(other == {"valid": False, "reason": "network"}, "it is no good in another network")
    seen = fixtures.connection.ask(
        "POST", "/introspect", form={"token": text}, headers=basic(user.client_id, user.client_secret)
    )
    expect(seen.status == 200 and seen.json["active"] is True, "introspection says the same (RFC 7662)", seen)


def validate_tampered(fixtures: Fixtures) -> None:
    """Nothing that was changed, or signed by nobody, is good."""
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
        expect(verdict["valid"] is False and "sub" not in verdict, "a changed token is no good")
    expect(fixtures.validate(text)["valid"], "the token itself still is")


def revoke(fixtures: Fixtures) -> None:
    """A token taken back is no good any more, and only its holder or an admin can take it back."""
    user, other = fixtures.user(), fixtures.user()
    text = fixtures.token(user)
    stranger = fixtures.connection.ask(
        "POST", "/revoke", form={"token": text}, headers=basic(other.client_id, other.client_secret)
    )
    expect(stranger.status in {401, 403}, "a stranger cannot take it back", stranger)
    expect(fixtures.validate(text)["valid"], "it is good until then")
    holder = basic(user.client_id, user.client_secret)
    answer = fixtures.connection.ask("POST", "/revoke", form={"token": text}, headers=holder)
    expect(answer.status == 200, "its holder can take it back", answer)
    expect(fixtures.validate(text) == {"valid": False, "reason": "revoked"}, "it is revoked at once")
    again = fixtures.connection.ask("POST", "/revoke", form={"token": text}, headers=holder)
    expect(again.status == 200, "taking back what is no good is no error (RFC 7009)", again)


def _takes_networks(fixtures: Fixtures) -> bool:
    """Whether the daemon lets any network be named."""
    answer = fixtures.api("POST", "/users/add", json={"scope": "read", "networks": ["smoke-net"]})
    if answer.status == 201:
        fixtures.adopt_user(answer.json)
    return answer.status == 201


def _quote(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _unquote(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
