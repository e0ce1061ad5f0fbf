"""A person with second factors lets an app act for them: every secret on that way, for the search.

Must never record a secret in a place: what shows one goes past the vault's answers.
"""

import base64
import json
import re
import time
from collections.abc import Mapping
from hashlib import sha256
from html import unescape
from typing import Any, Protocol
from urllib.parse import parse_qs, urlencode, urlsplit

from canaries.operation_walk import FORM, JSON, Ask, Doorway
from support.totp_app import TotpApp

__all__ = ["Vault", "use_an_app"]

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
CALLBACK = "http://127.0.0.1:4711/callback"
OWN = {**FORM, "origin": "http://localhost", "sec-fetch-site": "same-origin"}
PERSON = "canary-person@example.org"


class Vault(Protocol):
    """What is searched for, and where."""

    secrets: dict[str, str]
    binary: dict[str, bytes]
    places: dict[str, bytes]

    def ask(self, door: Doorway, ask: Ask) -> tuple[int, Any]:
        """Send a request, and record the answer as a place."""


def use_an_app(vault: Vault, door: Doorway, admin: Mapping[str, str], resource: str) -> dict[str, str]:
    """Everything from the app's registration to a change that it makes with the person's approval.

    Args:
        vault: gets the secrets.
        door: a Unix socket, where registration, sign-in and pages are.
        admin: the header of somebody who may add a user.
        resource: the public URL.

    Returns:
        The header of the app's access token, which is valid.
    """
    secrets = vault.secrets
    person = {"email": PERSON, "name": "Canary Person", "password": secrets["person_password"], "scope": "user"}
    _, added = vault.ask(door, Ask("POST", "/rpc", {**JSON, **admin}, _call("users.add", person)))
    assert "result" in added, added
    session = _sign_in(vault, door)
    app = _connect(vault, door, session, resource)
    _change_with_approval(vault, door, session, app)
    _sign_in_on_a_terminal(vault, door, session, resource)
    _set_up_factors(vault, door, session)
    return app


def _sign_in(vault: Vault, door: Doorway, **more: str) -> dict[str, str]:
    """The cookie of a new session of the person's; its halves are secrets."""
    fields = urlencode({"email": PERSON, "password": vault.secrets["person_password"], **more})
    status, head, _ = door.send(Ask("POST", "/ui/sign-in", OWN, fields.encode()))
    assert status == 303, head
    half = _header(head, "set-cookie").split("=", 1)[1].split(";")[0]
    vault.secrets["person cookie"] = half
    vault.secrets["person ticket"] = _query_of(_header(head, "location"))["ticket"]
    return {"cookie": f"herod_session={half}"}


def _connect(vault: Vault, door: Doorway, session: Mapping[str, str], resource: str) -> dict[str, str]:
    """Register, ask, consent, exchange, refresh; the header of the last access token."""
    secrets = vault.secrets
    metadata = {"client_name": "Canary App", "redirect_uris": [CALLBACK], "grant_types": ["authorization_code",
                "refresh_token"], "token_endpoint_auth_method": "client_secret_post"}  # fmt: skip
    _, _, body = door.send(Ask("POST", "/oauth/register", JSON, json.dumps(metadata).encode()))
    registered = json.loads(body)
    secrets["app secret"] = registered["client_secret"]
    secrets["state"] = "canary-state-" + secrets["person ticket"][::-1]
    secrets["verifier"] = ("canary-verifier-" + secrets["person cookie"][::-1] * 2)[:64]
    asking = {
        "client_id": registered["client_id"], "redirect_uri": CALLBACK, "response_type": "code",
        "scope": "user openid", "state": secrets["state"], "resource": resource, "nonce": "n",
        "code_challenge": _challenge(secrets["verifier"]), "code_challenge_method": "S256",
    }  # fmt: skip
    status, head, _ = door.send(Ask("GET", f"/authorize?{urlencode(asking)}", {"sec-fetch-site": "cross-site"}))
    assert status == 303, head
    secrets["sealed request"] = _query_of(_header(head, "location"))["request"]
    given = {"request": secrets["sealed request"], "ticket": secrets["person ticket"]}
    status, _, page = door.send(Ask("GET", f"/ui/consent?{urlencode(given)}", {**session, **_SAME}))
    assert b"Canary App" in page
    vault.places["consent page"] = page.replace(given["request"].encode(), b"").replace(given["ticket"].encode(), b"")
    allow = {**given, "decision": "allow", "scope:user": "on"}
    _, _, page = door.send(Ask("POST", "/ui/consent", {**OWN, **session}, urlencode(allow).encode()))
    (led_to,) = re.findall(r'content="0;url=([^"]*)"', page.decode())
    secrets["authorization code"] = _query_of(unescape(led_to))["code"]
    own = {"client_id": registered["client_id"], "client_secret": secrets["app secret"]}
    exchange = {
        **own, "grant_type": "authorization_code", "code": secrets["authorization code"], "redirect_uri": CALLBACK,
        "code_verifier": secrets["verifier"], "resource": resource,
    }  # fmt: skip
    for name, wrong in (("code", "authorization code"), ("code_verifier", "verifier"), ("client_secret", "app secret")):
        _send_form(vault, door, {**exchange, name: _tampered(vault, wrong)})
    token = {}
    for number, form in enumerate((exchange, {**own, "grant_type": "refresh_token"})):
        fields = {**form, **({"refresh_token": secrets["refresh token 0"]} if number else {})}
        status, head, body = door.send(Ask("POST", "/token", FORM, urlencode(fields).encode()))
        assert status == 200, body
        answer = json.loads(body)
        for name in ("access_token", "refresh_token", "id_token"):
            secrets[f"{name.replace('_', ' ')} {number}"] = answer[name]
        token = {"authorization": f"Bearer {answer['access_token']}"}
    refresh = {**own, "grant_type": "refresh_token", "refresh_token": _tampered(vault, "refresh token 0")}
    _send_form(vault, door, refresh)
    vault.ask(door, Ask("GET", "/userinfo", token))
    return token


def _change_with_approval(vault: Vault, door: Doorway, session: Mapping[str, str], app: Mapping[str, str]) -> None:
    """The app claims a resource, and asks for its release, which the person approves on the page."""
    claim = {"kind": "vm", "name": "canary vm", "secret": vault.secrets["tenant"]}
    _, claimed = vault.ask(door, Ask("POST", "/api/v1/resources", {**JSON, **app}, json.dumps(claim).encode()))
    release = {"sid": claimed["data"]["sid"], "secret": vault.secrets["tenant"]}
    asking = Ask("POST", "/rpc", {**JSON, **app}, _call("resources.release", release))
    _, refused = vault.ask(door, asking)
    path = urlsplit(refused["error"]["data"]["url"]).path
    ticket = {"ticket": vault.secrets["person ticket"]}
    _, _, page = door.send(Ask("GET", f"{path}?{urlencode(ticket)}", {**session, **_SAME}))
    assert b"Approve once" in page
    vault.places["approval page"] = page.replace(ticket["ticket"].encode(), b"")
    form = urlencode({**ticket, "approve": "true"}).encode()
    assert door.send(Ask("POST", f"{path}/decide", {**OWN, **session}, form))[0] == 303
    assert "result" in vault.ask(door, asking)[1]


def _sign_in_on_a_terminal(vault: Vault, door: Doorway, session: Mapping[str, str], resource: str) -> None:
    """An app without a browser shows a code, which the person enters and allows (RFC 8628)."""
    secrets = vault.secrets
    asking = {"client_id": "herod-cli", "scope": "read", "resource": resource}
    _, _, body = door.send(Ask("POST", "/device_authorization", FORM, urlencode(asking).encode()))
    codes = json.loads(body)
    secrets["device code"] = codes["device_code"]
    vault.binary["user code"] = codes["user_code"].encode()  # not sent elsewhere: a log cannot tell it from a name
    ticket = {"ticket": secrets["person ticket"]}
    _send_form(
        vault, door, {"grant_type": DEVICE, "client_id": "herod-cli", "device_code": _tampered(vault, "device code")}
    )
    entered = urlencode({**ticket, "user_code": codes["user_code"]}).encode()
    _, head, _ = door.send(Ask("POST", "/ui/device", {**OWN, **session}, entered))
    secrets["device request"] = _query_of(_header(head, "location"))["request"]
    allow = {**ticket, "request": secrets["device request"], "decision": "allow", "is_mine": "on", "scope:read": "on"}
    assert door.send(Ask("POST", "/ui/device", {**OWN, **session}, urlencode(allow).encode()))[0] == 200
    redeem = urlencode({"grant_type": DEVICE, "client_id": "herod-cli", "device_code": codes["device_code"]}).encode()
    status, _, body = door.send(Ask("POST", "/token", FORM, redeem))
    assert status == 200, body
    secrets["device refresh token"] = json.loads(body)["refresh_token"]


def _set_up_factors(vault: Vault, door: Doorway, session: Mapping[str, str]) -> None:
    """An authenticator app and recovery codes, one of which signs the person in; a wrong one does not."""
    secrets = vault.secrets
    whole = {"cookie": session["cookie"] + secrets["person ticket"]}

    def call(name: str, **params: str) -> Any:
        _, _, body = door.send(
            Ask("POST", "/rpc", {**JSON, **whole, "origin": "http://localhost"}, _call(name, params))
        )
        return json.loads(body)["result"]

    begun = call("totp.begin")
    secrets["TOTP secret"], secrets["TOTP setup"] = begun["secret"].replace(" ", ""), begun["setup"]
    vault.binary["TOTP secret"] = base64.b32decode(secrets["TOTP secret"] + "=" * (-len(secrets["TOTP secret"]) % 8))
    enabled = call("totp.enable", setup=begun["setup"], otp=TotpApp(begun["address"]).code(int(time.time())))
    for number, code in enumerate(enabled["recovery_codes"]):
        secrets[f"recovery code {number}"] = code
    login = {"email": PERSON, "password": secrets["person_password"]}
    for otp in (_tampered(vault, "recovery code 9"), secrets["recovery code 0"], secrets["recovery code 0"]):
        vault.ask(door, Ask("POST", "/login", JSON, json.dumps({**login, "otp": otp}).encode()))
    page = urlencode(login).encode()
    _, _, shown = door.send(Ask("POST", "/ui/sign-in", OWN, page))
    secrets["pending sign-in"] = re.findall(r'name="pending" value="([^"]+)"', shown.decode())[0]
    form = {"pending": secrets["pending sign-in"], "otp": secrets["recovery code 1"]}
    assert door.send(Ask("POST", "/ui/sign-in/code", OWN, urlencode(form).encode()))[0] == 303


_SAME = {"sec-fetch-site": "same-origin"}


def _send_form(vault: Vault, door: Doorway, fields: Mapping[str, str]) -> None:
    status, _ = vault.ask(door, Ask("POST", "/token", FORM, urlencode(fields).encode()))
    assert status in {400, 401}


def _tampered(vault: Vault, name: str) -> str:
    """The secret with one character changed, which is a secret, too."""
    text = vault.secrets[name]
    vault.secrets[f"tampered {name}"] = text[:-5] + ("7" if text[-5] != "7" else "8") + text[-4:]
    return vault.secrets[f"tampered {name}"]


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _call(method: str, params: Mapping[str, Any]) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()


def _header(head: bytes, name: str) -> str:
    found = [line.partition(": ")[2] for line in head.decode().splitlines() if line.lower().startswith(f"{name}: ")]
    return found[0]


def _query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
