"""Authlib as an OpenID Connect client: its Flask integration, and its httpx client."""

import httpx2
import pytest
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client

from openid.conftest import Place
from openid.flask_wiki import SCOPE, flask_wiki
from support.person_at_forms import PersonAtForms, register_app

BASE = "http://localhost:5000"
CALLBACK = f"{BASE}/callback"


# joserfc, below Authlib, says that RFC 9864 renames EdDSA; few libraries know the new name.
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated:joserfc.errors.SecurityWarning")
@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_flask(place: Place, person: PersonAtForms, algorithm: str) -> None:
    """A Flask app signs a person in, reads who it is from id_token and /userinfo, and signs them out of herod."""
    browser = flask_wiki(place.daemon, BASE, algorithm).test_client()
    leaving = browser.get("/login")
    back = person.allow(leaving.location)
    assert back.startswith(CALLBACK)
    told = browser.get(back.removeprefix(BASE)).get_json()
    assert told["user"]["sub"] == place.person
    assert told["user"]["email"] == "ada@example.org"
    assert told["user"]["email_verified"] is True
    assert told["user"]["groups"] == ["write", "read"]
    assert (told["user"]["name"], told["user"]["amr"]) == ("Ada Lovelace", ["pwd"])
    claims = ("sub", "name", "preferred_username", "email", "email_verified", "groups")
    assert told["asked"] == {name: told["user"][name] for name in claims}
    out = browser.get("/logout")
    assert person.sign_out(out.location, is_asked=False) == f"{BASE}/bye?state=s1"


def test_httpx_refreshes_and_revokes(place: Place, person: PersonAtForms) -> None:
    """Authlib's httpx client refreshes, with a new id_token of the same sign-in each time, and revokes what it has."""
    client_id, secret = register_app(place.daemon, name="httpx", redirect_uris=[CALLBACK], pkce="optional")
    issuer = place.daemon.public_url
    metadata = httpx2.get(f"{issuer}/.well-known/openid-configuration", trust_env=False).json()
    with OAuth2Client(
        client_id,
        secret,
        scope=SCOPE,
        redirect_uri=CALLBACK,
        code_challenge_method="S256",
        trust_env=False,
        token_endpoint=metadata["token_endpoint"],
    ) as client:
        verifier = "v" * 48
        url, state = client.create_authorization_url(
            metadata["authorization_endpoint"], code_verifier=verifier, nonce="n-1"
        )
        back = person.allow(url)
        token = client.fetch_token(authorization_response=back, code_verifier=verifier, state=state)
        first = dict(token)
        assert set(first) >= {"access_token", "refresh_token", "id_token", "expires_in"}
        assert client.get(metadata["userinfo_endpoint"]).json()["sub"] == place.person
        second = client.refresh_token(metadata["token_endpoint"], refresh_token=first["refresh_token"])
        assert second["access_token"] != first["access_token"]
        assert second["id_token"] != first["id_token"]
        assert client.get(metadata["userinfo_endpoint"]).json()["sub"] == place.person
        assert client.revoke_token(metadata["revocation_endpoint"], second["refresh_token"]).status_code == 200
        assert client.get(metadata["userinfo_endpoint"]).status_code == 401
        with pytest.raises(OAuthError, match="invalid_grant"):
            client.refresh_token(metadata["token_endpoint"], refresh_token=second["refresh_token"])
