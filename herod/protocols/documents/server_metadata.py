"""What herod tells clients about itself as an authorization server (RFC 8414) and OpenID provider (Discovery 1.0).

One table, a row a member: whoever adds an endpoint adds its members here. All URLs begin with the public URL, byte for
byte, because clients compare `issuer` with the URL that they asked.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, get_args

from herod.identity.apps.oauth_apps import NO_SECRET
from herod.identity.apps.openid_scopes import OPENID_SCOPES
from herod.identity.config import Config
from herod.identity.own_resources import OwnResource
from herod.pipeline.operation_definition import Operation
from herod.protocols.documents.json_schemas import Schema
from herod_client.core.signing_keys import PublicAlgorithm

__all__ = [
    "AUTHORIZE_PATH",
    "CLIENT_METHODS",
    "JWKS_PATH",
    "LOGOUT_PATH",
    "MEMBERS",
    "ServerFacts",
    "server_metadata",
]

JWKS_PATH: Final = "/.well-known/jwks.json"
AUTHORIZE_PATH: Final = "/authorize"
LOGOUT_PATH: Final = "/logout"

# What id_tokens and `/userinfo` say (`operations/openid`).
CLAIMS: Final = (
    *("sub", "name", "preferred_username", "email", "email_verified", "groups"),
    *("iss", "aud", "exp", "iat", "auth_time", "sid", "at_hash", "nonce", "amr"),
)
CLIENT_METHODS: Final = ("client_secret_basic", "client_secret_post")


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What the members are made of: the settings in force, and the operation table."""

    config: Config
    operations: Sequence[Operation]


Member = Callable[[ServerFacts], object]


def _at(path: str) -> Member:
    return lambda facts: facts.config.public_url + path


def _always(value: object) -> Member:
    return lambda _: value


def _grant_types(facts: ServerFacts) -> tuple[str, ...]:
    return tuple(one.grant_type for one in facts.operations if one.grant_type is not None)


def _registration(facts: ServerFacts) -> str | None:
    return f"{facts.config.public_url}/oauth/register" if facts.config.takes_dynamic_apps else None


def _if_people_sign_in(member: Member) -> Member:
    """A member about `/authorize`, which is closed while another program may hold the public URL."""
    return lambda facts: member(facts) if facts.config.has_browser_origin else None


# A member whose value is None is left out.
MEMBERS: Final[Mapping[str, Member]] = {
    "issuer": _at(""),
    "authorization_endpoint": _if_people_sign_in(_at(AUTHORIZE_PATH)),
    "device_authorization_endpoint": _if_people_sign_in(_at("/device_authorization")),
    "token_endpoint": _at("/token"),
    "token_endpoint_auth_methods_supported": _always((*CLIENT_METHODS, NO_SECRET)),
    "introspection_endpoint": _at("/introspect"),
    # Any credential may ask; Bearer is the registered name for most of them (RFC 8414, section 2).
    "introspection_endpoint_auth_methods_supported": _always((*CLIENT_METHODS, "Bearer")),
    "revocation_endpoint": _at("/revoke"),
    "revocation_endpoint_auth_methods_supported": _always((*CLIENT_METHODS, NO_SECRET)),
    "userinfo_endpoint": _at("/userinfo"),
    "registration_endpoint": _registration,
    "end_session_endpoint": _at(LOGOUT_PATH),
    "client_id_metadata_document_supported": lambda facts: facts.config.fetches_documents,
    "jwks_uri": _at(JWKS_PATH),
    "grant_types_supported": _grant_types,
    "response_types_supported": lambda facts: ("code",) if facts.config.has_browser_origin else (),
    "code_challenge_methods_supported": _if_people_sign_in(_always(("S256",))),
    "authorization_response_iss_parameter_supported": _if_people_sign_in(_always(True)),  # noqa: FBT003 - as below
    "prompt_values_supported": _if_people_sign_in(_always(("none", "login", "consent"))),
    "response_modes_supported": _always(("query",)),
    "request_parameter_supported": _always(False),  # noqa: FBT003 - the value of a member
    "request_uri_parameter_supported": _always(False),  # noqa: FBT003 - the value of a member
    "claims_parameter_supported": _always(False),  # noqa: FBT003 - the value of a member
    "scopes_supported": lambda facts: (*OPENID_SCOPES, *facts.config.graph.scopes),
    "claims_supported": _always(CLAIMS),
    "subject_types_supported": _always(("public",)),
    "id_token_signing_alg_values_supported": _always(get_args(PublicAlgorithm)),
    "protected_resources": lambda facts: tuple(f"{facts.config.public_url}{own}" for own in OwnResource),
}


def server_metadata(facts: ServerFacts) -> Schema:
    """The document at `oauth-authorization-server` and `openid-configuration`."""
    made = {name: member(facts) for name, member in MEMBERS.items()}
    return {name: value for name, value in made.items() if value is not None}
