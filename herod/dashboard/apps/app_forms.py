"""The form for an app: what its fields mean. The operations decide what is acceptable."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from herod.dashboard.grant_forms import given_networks, given_scope, scopes_to_give
from herod.dashboard.pipeline_gateway import Gateway, Visit
from herod.identity.apps.grant_types import AUTHORIZATION_CODE, DEVICE_CODE, REFRESH_TOKEN
from herod.pipeline.result_views import AppView
from herod_client.core.errors import InvalidRequest
from herod_client.core.scope_graph import OWNER

__all__ = ["ALGORITHMS", "CONSENTS", "NEW_CONSENTS", "PKCE", "TYPES", "app_scopes", "fields_of", "given_app", "lines"]

TYPES: Final = (
    ("confidential", "A server, which can keep a secret"),
    ("public", "A program on people's machines, which cannot"),
)
PKCE: Final = (
    ("required", "Required"),
    ("optional", "Optional: without it, it must send a nonce"),
    ("off", "Off: it does neither, and a stolen code is a sign-in"),
)
ALGORITHMS: Final = (("RS256", "RS256: every library reads it"), ("ES256", "ES256"), ("EdDSA", "EdDSA"))
CONSENTS: Final = (("yes", "Only once for the same"), ("no", "Each time"))
NEW_CONSENTS: Final = (("", "Only once for the same, where that is safe"), *CONSENTS)
CODE_GRANTS: Final = (AUTHORIZATION_CODE, REFRESH_TOKEN)
MAX_LINES: Final = 100


def app_scopes(gateway: Gateway, visit: Visit, *, held: str = "") -> list[str]:
    """The scopes that the form offers: those that the visitor may give, and those that the app has; never `owner`."""
    return [name for name in scopes_to_give(gateway, f"{visit.who.scope} {held}") if name != OWNER]


def lines(text: str) -> list[str]:
    """The lines of a field that takes several values, without empty ones.

    Raises:
        InvalidRequest: there are too many.
    """
    found = [line.strip() for line in text.splitlines() if line.strip()]
    if len(found) > MAX_LINES:
        raise InvalidRequest(f"Give at most {MAX_LINES} lines.")
    return found


def given_app(fields: Mapping[str, str], grants: Sequence[str] = CODE_GRANTS) -> dict[str, Any]:
    """The parameters of `apps.add` and `apps.update` that the form has, as their types.

    Args:
        fields: the form.
        grants: what the app has; the form only says whether codes that it shows are among them.

    Raises:
        InvalidRequest: no scope is ticked, or there are too many lines.
    """
    redirects = lines(fields.get("redirects", ""))
    kept = [name for name in grants if name not in (AUTHORIZATION_CODE, DEVICE_CODE)]
    consent = fields.get("consent", "")
    return {
        "name": fields.get("name") or " ",  # refused by the operation, with the reason
        "redirect_uris": redirects,
        "post_logout_uris": lines(fields.get("post_logouts", "")),
        "scope": given_scope(fields),
        "networks": given_networks(fields),
        "grants": [
            *([AUTHORIZATION_CODE] if redirects or "device" not in fields else []),
            *kept,
            *([DEVICE_CODE] if "device" in fields else []),
        ],
        "pkce": fields.get("pkce"),
        "id_token_algorithm": fields.get("algorithm"),
        "remember_consent": None if not consent else consent == "yes",
        "admit_unconfirmed": "admit" in fields,
        "send_unconfirmed_email": "emails" in fields,
        "expand_scope": "expand" in fields,
    }


def fields_of(app: AppView) -> dict[str, str]:
    """The form as it shows an app."""
    ticked = {
        "device": DEVICE_CODE in app.grants,
        "admit": app.admit_unconfirmed,
        "emails": app.send_unconfirmed_email,
        "expand": app.expand_scope,
        **{f"scope:{name}": True for name in app.scope.split()},
    }
    return {
        "name": app.name,
        "redirects": "\n".join(app.redirect_uris),
        "post_logouts": "\n".join(app.post_logout_uris),
        "networks": " ".join(app.networks),
        "pkce": app.pkce,
        "algorithm": app.id_token_algorithm,
        "consent": "yes" if app.remember_consent else "no",
        **{name: "on" for name, is_on in ticked.items() if is_on},
    }
