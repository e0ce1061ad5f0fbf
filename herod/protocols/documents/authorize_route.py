"""`/authorize` in the OpenAPI document: where an app sends a browser, by a link or by a form.

No operation has this route, because its answers are pages and redirects; the parameters are those of the operation
`oauth.authorize`.
"""

from typing import Any, Final

from herod.protocols.documents.error_responses import failure
from herod_client.core.resource_indicators import MAX_RESOURCE_CHARS, RESOURCE_PATTERN

__all__ = ["AUTHORIZE_ITEM"]

Schema = dict[str, Any]

HTML: Final = "text/html; charset=utf-8"
FORM: Final = "application/x-www-form-urlencoded"
REQUIRED: Final = ("client_id", "response_type")
# Those without a value count as omitted (RFC 6749, section 3.1); others are ignored.
PARAMETERS: Final[Schema] = {
    "client_id": {"type": "string", "minLength": 1, "description": "the app"},
    "response_type": {"type": "string", "enum": ["code"], "description": "the one flow that herod supports"},
    "redirect_uri": {"type": "string", "description": "one of the app's; it may be omitted if there is only one"},
    "scope": {"type": "string", "description": "space-separated scopes; a person may allow fewer"},
    "state": {"type": "string", "description": "comes back with the answer"},
    "code_challenge": {
        "type": "string",
        "pattern": "^([A-Za-z0-9_-]{43})?$",
        "description": "the SHA-256 of the code verifier in base64url (RFC 7636)",
    },
    "code_challenge_method": {
        "type": "string",
        "enum": ["S256", ""],
        "description": "needed with a code_challenge",
    },
    "resource": {
        "type": "string",
        "pattern": f"^({RESOURCE_PATTERN})?$",
        "maxLength": MAX_RESOURCE_CHARS,
        "description": "the URI of the service that the token is for (RFC 8707)",
    },
    "nonce": {"type": "string", "description": "comes back in the id_token (OpenID Connect Core)"},
    "prompt": {"type": "string", "description": "none, login, consent or select_account"},
    "max_age": {"type": "string", "pattern": "^([0-9]{1,9})?$", "description": "seconds since the person signed in"},
}


def _operation(method: str) -> Schema:
    page = {"content": {HTML: {"schema": {"type": "string"}}}}
    return {
        "operationId": "authorize" if method == "get" else "authorize.2",
        "summary": "Ask a person to let an app act for them, for browsers (RFC 6749, section 4.1).",
        "description": "An app sends the person's browser here. The answer comes to the app's redirect URI, with `iss`"
        " (RFC 9207).",
        "tags": ["documents"],
        "security": [],
        "responses": {
            "200": {"description": "A page with a link to the app, which says what is wrong.", **page},
            "303": {"description": "To the consent page, or to the app with an error."},
            "400": {"description": "The app or the redirect is not known, or the request cannot be read.", **page},
            # A form may come from everybody's pages, a link's page sends no Origin.
            **{str(status): failure(status) for status in (*((403,) if method == "get" else ()), 413, 421, 500)},
            "503": {
                "description": "Too many pages are requested at once, or this one took too long.",
                "content": {"text/plain; charset=utf-8": {"schema": {"type": "string"}}},
            },
        },
    }


AUTHORIZE_ITEM: Final[Schema] = {
    "get": {
        **_operation("get"),
        "parameters": [
            {
                "name": name,
                "in": "query",
                "schema": {key: value for key, value in schema.items() if key != "description"},
                **({"description": schema["description"]} if "description" in schema else {}),
                **({"required": True} if name in REQUIRED else {}),
            }
            for name, schema in PARAMETERS.items()
        ],
    },
    "post": {
        **_operation("post"),
        "requestBody": {
            "required": True,
            "content": {FORM: {"schema": {"type": "object", "properties": PARAMETERS, "required": list(REQUIRED)}}},
        },
    },
}
"""The path item: a GET with a query, a POST with a form."""
