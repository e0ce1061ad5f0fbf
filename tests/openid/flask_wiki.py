"""A Flask app that signs people in by Authlib, as its documentation writes one."""

from typing import Any
from urllib.parse import urlencode

from authlib.integrations.flask_client import OAuth
from flask import Flask, session, url_for
from flask.typing import ResponseReturnValue

from support.person_at_forms import register_app
from support.real_daemon import Daemon

__all__ = ["SCOPE", "flask_wiki"]

SCOPE = "openid profile email groups offline_access"


def flask_wiki(daemon: Daemon, base: str, algorithm: str = "RS256") -> Flask:
    """The app: discovery, login, callback, logout.

    Args:
        daemon: where the app is registered and people sign in.
        base: its own origin.
        algorithm: of its id_tokens.
    """
    client_id, secret = register_app(
        daemon,
        name=f"Flask {base} {algorithm}",
        redirect_uris=[f"{base}/callback"],
        post_logout_uris=[f"{base}/bye"],
        id_token_algorithm=algorithm,
    )
    app = Flask("wiki")
    app.secret_key = "of the test"
    app.config["SERVER_NAME"] = base.removeprefix("http://")
    oauth = OAuth(app)
    herod: Any = oauth.register(
        "herod",
        client_id=client_id,
        client_secret=secret,
        server_metadata_url=f"{daemon.public_url}/.well-known/openid-configuration",
        client_kwargs={"scope": SCOPE, "code_challenge_method": "S256"},
    )

    @app.get("/login")
    def login() -> ResponseReturnValue:
        answer: ResponseReturnValue = herod.authorize_redirect(url_for("callback", _external=True))
        return answer

    @app.get("/callback")
    def callback() -> ResponseReturnValue:
        token = herod.authorize_access_token()
        session["id_token"] = token["id_token"]
        session["user"] = token["userinfo"]["preferred_username"]
        return {"user": token["userinfo"], "asked": herod.userinfo(token=token)}

    @app.get("/me")
    def me() -> ResponseReturnValue:
        return str(session.get("user", "nobody"))

    @app.get("/logout")
    def logout() -> ResponseReturnValue:
        hint = session.pop("id_token")
        session.clear()
        query = {"id_token_hint": hint, "post_logout_redirect_uri": f"{base}/bye", "state": "s1"}
        end = herod.load_server_metadata()["end_session_endpoint"]
        return "", 302, {"Location": f"{end}?{urlencode(query)}"}

    @app.get("/bye")
    def bye() -> ResponseReturnValue:
        return "signed out"

    @app.get("/favicon.ico")
    def icon() -> ResponseReturnValue:
        return "", 204

    return app
