"""Accounts: created by an admin or by registration, signed in by password, deleted with their tokens and keys."""

import secrets

from herod_smoke.fixtures import Fixtures, expect
from herod_smoke.http_connection import basic, bearer

__all__ = ["login", "login_refused", "register", "user_add", "user_delete", "user_duplicate"]


def user_add(fixtures: Fixtures) -> None:
    """An admin adds a user and gets the client secret, once."""
    email = fixtures.email()
    answer = fixtures.api("POST", "/users/add", json={"email": email, "name": "Smoke", "scope": "read"})
    expect(answer.status == 201, "an admin can add a user", answer)
    added = fixtures.adopt_user(answer.json)
    expect(added["client_secret"], "the client secret is shown once")
    expect((added["email"], added["name"], added["scope"]) == (email, "Smoke", "read"), "the user is as requested")
    shown = fixtures.api("GET", f"/api/v1/users/{added['client_id']}")
    expect(shown.status == 200 and shown.json["data"]["email"] == email, "the user can be read", shown)
    expect(added["client_secret"] not in shown.text, "the secret is not shown again", shown)


def user_duplicate(fixtures: Fixtures) -> None:
    """An email address belongs to one account, whatever its case and white space."""
    user = fixtures.user()
    for spelled in (user.email, user.email.upper(), f" {user.email} "):
        answer = fixtures.api("POST", "/users/add", json={"email": spelled})
        if answer.status == 201:
            fixtures.adopt_user(answer.json)
        expect(answer.status == 409, "an address in use is refused", answer)


def register(fixtures: Fixtures) -> None:
    """Registering creates an account with scope read; closed registration is refused with a message."""
    email = fixtures.email()
    answer = fixtures.connection.ask("POST", "/register", json={"email": email, "password": secrets.token_urlsafe(12)})
    if answer.status == 403:
        expect(answer.json["error"]["message"], "a closed registration says so", answer)
        return
    expect(answer.status == 201, "registration is open, or refused as closed", answer)
    added = fixtures.adopt_user(answer.json)
    expect(
        added["client_secret"] and added["scope"] == "read", "a registered account has scope read and no more", answer
    )
    expect(fixtures.validate(added["access_token"])["sub"] == added["client_id"], "the token is the new account's")


def login(fixtures: Fixtures) -> None:
    """The right password gets a token for a day at most."""
    user = fixtures.user("write")
    answer = fixtures.connection.ask("POST", "/login", json={"email": user.email.upper(), "password": user.password})
    expect(answer.status == 200, "the right password signs in", answer)
    found = answer.json
    expect(
        found["client_id"] == user.client_id and found["token_type"].lower() == "bearer",
        "the token is the user's",
        answer,
    )
    expect(
        0 < found["expires_in"] <= 86_400 and found["scope"] == "write", "the answer has the token's lifetime and scope"
    )
    expect(answer.headers.get("cache-control") == "no-store", "a token is never cached", answer)
    expect(fixtures.whoami(bearer(found["access_token"]))["sub"] == user.client_id, "the token works")


def login_refused(fixtures: Fixtures) -> None:
    """A wrong password and an unknown user get identical answers."""
    user = fixtures.user()
    wrong = fixtures.connection.ask("POST", "/login", json={"email": user.email, "password": secrets.token_urlsafe(12)})
    unknown = fixtures.connection.ask(
        "POST", "/login", json={"email": fixtures.email(), "password": secrets.token_urlsafe(12)}
    )
    expect(wrong.status == 401, "a wrong password is refused", wrong)
    expect(unknown.status == 401, "an unknown user is refused", unknown)
    expect(wrong.body == unknown.body, "both refusals are identical")
    expect(wrong.json["error"]["code"] == "bad_credentials", "the refusal has its error code", wrong)


def user_delete(fixtures: Fixtures) -> None:
    """Deleting an account ends its tokens and keys at once."""
    user = fixtures.user()
    token = fixtures.token(user)
    who = fixtures.signed_in(user)
    key = fixtures.key(who=who)["key"]
    expect(fixtures.validate(token)["valid"] and fixtures.validate(key)["valid"], "token and key work before")
    answer = fixtures.api("POST", "/users/delete", json={"client_id": user.client_id})
    expect(answer.status == 200, "an admin can delete a user", answer)
    for what, text in (("token", token), ("key", key)):
        expect(not fixtures.validate(text)["valid"], f"the {what} is invalid once its account is deleted")
        refused = fixtures.api("GET", "/api/v1/whoami", who=bearer(text))
        expect(refused.status == 401, f"the {what} is refused", refused)
    again = fixtures.connection.ask("POST", "/login", json={"email": user.email, "password": user.password})
    expect(again.status == 401, "signing in to a deleted account is refused", again)
    form = {"grant_type": "client_credentials"}
    client = fixtures.connection.ask("POST", "/token", form=form, headers=basic(user.client_id, user.client_secret))
    expect(client.status == 401, "a deleted client gets no token", client)
