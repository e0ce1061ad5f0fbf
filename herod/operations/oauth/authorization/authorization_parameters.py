"""The parameters of a request at `/authorize`, and what may be wrong with them whatever app sends them.

(RFC 6749, section 4.1.1; RFC 7636, section 4.3; RFC 8707, section 2; OpenID Connect Core, section 3.1.2.1.)
"""

import re
from typing import Final

from herod.identity.apps.grant_types import AUTHORIZATION_CODE
from herod.identity.apps.oauth_apps import OAuthApp
from herod.operations.oauth.authorization.code_challenges import is_challenge
from herod.pipeline.operation_definition import Params

__all__ = ["NO_GRANT", "PROMPTS", "Authorize", "parameter_fault", "proof_fault"]

NO_GRANT: Final = "The app did not register the grant type authorization_code."
PROMPTS: Final = frozenset({"none", "login", "consent"})
IGNORED_PROMPTS: Final = frozenset({"select_account", "create"})
_SECONDS: Final = re.compile(r"[0-9]{1,9}\Z")


class Authorize(Params, frozen=True, kw_only=True):
    """RFC 6749, section 4.1.1; RFC 7636, section 4.3; RFC 8707, section 2; OpenID Connect Core, section 3.1.2.1.

    `repeated` are the names that the request has more than once. Other parameters are ignored.
    """

    client_id: str | None = None
    redirect_uri: str | None = None
    response_type: str | None = None
    response_mode: str | None = None
    scope: str | None = None
    state: str | None = None
    resource: str | None = None
    code_challenge: str | None = None
    code_challenge_method: str | None = None
    nonce: str | None = None
    prompt: str | None = None
    max_age: str | None = None
    request: str | None = None
    request_uri: str | None = None
    registration: str | None = None
    repeated: tuple[str, ...] = ()


def parameter_fault(app: OAuthApp, asked: Authorize) -> tuple[str, str] | None:
    """What is wrong with a request's parameters: OAuth's error code and a description; None if nothing is."""
    for name in ("request", "request_uri", "registration"):
        if getattr(asked, name) is not None or name in asked.repeated:
            return f"{name}_not_supported", f"Herod does not support the parameter '{name}': send the others by name."
    if "resource" in asked.repeated:
        return "invalid_target", "A token is for one resource: send resource once, and ask for a token for each."
    if asked.repeated:
        return "invalid_request", f"The parameter '{asked.repeated[0]}' was sent twice: send it once."
    if asked.response_type is None:
        return "invalid_request", "The parameter 'response_type' is missing: send response_type=code."
    if asked.response_type != "code":
        return "unsupported_response_type", "Herod supports the code flow alone: send response_type=code."
    if asked.response_mode not in (None, "query"):
        return "invalid_request", "Herod answers in the query of the redirect alone: leave out 'response_mode'."
    if AUTHORIZATION_CODE not in app.grants:
        return "unauthorized_client", NO_GRANT
    return _pkce_fault(app, asked) or _prompt_fault(asked)


def proof_fault(app: OAuthApp, challenge: str | None, nonce: str | None) -> tuple[str, str] | None:
    """What the app must send to show that a code is the answer to its own request, and has not (RFC 9700, 2.1.1)."""
    if challenge is not None:
        return None
    if app.needs_pkce:
        return "invalid_request", "PKCE is required: send code_challenge and code_challenge_method=S256."
    if app.needs_nonce and not nonce:
        return "invalid_request", "An app without PKCE must send 'nonce': send it, or code_challenge with S256."
    return None


def _pkce_fault(app: OAuthApp, asked: Authorize) -> tuple[str, str] | None:
    """What is wrong with the code challenge (RFC 7636, section 4.4.1), or with an app's doing without."""
    if asked.code_challenge is None:
        if asked.code_challenge_method is not None:
            return "invalid_request", "The parameter 'code_challenge' is missing: send it with its method, S256."
        return proof_fault(app, None, asked.nonce)
    if asked.code_challenge_method != "S256":
        return "invalid_request", "The only code challenge method here is S256: send code_challenge_method=S256."
    if not is_challenge(asked.code_challenge):
        return "invalid_request", "The code challenge is not a SHA-256 hash in base64url, which has 43 characters."
    return None


def _prompt_fault(asked: Authorize) -> tuple[str, str] | None:
    """What is wrong with the wishes for sign-in and consent (OpenID Connect Core, section 3.1.2.1)."""
    wishes = set((asked.prompt or "").split())
    if wishes - PROMPTS - IGNORED_PROMPTS:
        return "invalid_request", "The parameter 'prompt' takes none, login, consent and select_account."
    if "none" in wishes and len(wishes) > 1:
        return "invalid_request", "The prompt 'none' cannot be combined with others: leave those out."
    if asked.max_age is not None and not _SECONDS.match(asked.max_age):
        return "invalid_request", "The parameter 'max_age' is a number of seconds."
    return None
