"""What is visibly wrong with a refused secret is said, however it was presented."""

import base64
from urllib.parse import quote_plus

import pytest

from support.herod_in_memory import LEGACY, PASSWORD, Harness, bearer

AROUND = "begins or ends with a space or a line end: send it without."
LINE_END = " It ends with a line end: send it without."
GRANT = "grant_type=client_credentials"


def basic(pair: str) -> dict[str, str]:
    """A Basic header."""
    return {"authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("", "\n", AROUND),
        ("", "\r\n", AROUND),
        (" ", "", AROUND),
        ("", "\u00a0", AROUND),
        ("", "x", "is incomplete or mistyped: copy it whole."),
    ],
)
async def test_client_secrets(harness: Harness, before: str, after: str, said: str) -> None:
    """A client secret with more than itself is told so: by header and form, on OAuth's routes and others."""
    user = await harness.user()
    secret = before + user.secret + after
    header = basic(f"{user.client_id}:{secret}")
    wanted = f"The client secret {said}"
    form = f"{GRANT}&client_id={user.client_id}&client_secret={quote_plus(secret)}"
    by_form = await harness.request("POST", "/token", form=form)
    by_header = await harness.request("POST", "/token", form=GRANT, headers=header)
    assert (by_form.status, by_form.json["error_description"]) == (401, wanted)
    assert (by_header.status, by_header.json["error_description"]) == (401, wanted)
    plain = await harness.request("GET", "/api/v1/whoami", headers=header)
    assert (plain.status, plain.json["error"]["message"]) == (401, wanted)
    assert (await harness.rpc("whoami", headers=header))["error"]["message"] == wanted


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        (lambda secret: secret[:-1], "is incomplete or mistyped: copy it whole."),
        (lambda secret: f"{secret[:-1]}{'A' if secret[-1] != 'A' else 'B'}", "has a typing error: copy it again."),
    ],
)
async def test_mistyped_client_secrets(harness: Harness, mistake: object, said: str) -> None:
    """A client secret of herod's with a typing error is told so, and so is one of a client that does not exist."""
    assert callable(mistake)
    user = await harness.user()
    for client_id in (user.client_id, "nobody"):
        header = basic(f"{client_id}:{mistake(user.secret)}")
        answer = await harness.request("POST", "/token", form=GRANT, headers=header)
        assert (answer.status, answer.json["error_description"]) == (401, f"The client secret {said}")


async def test_a_wrong_client_secret_is_only_wrong(harness: Harness) -> None:
    """Another client's secret, and any other text, say nothing more."""
    user, other = await harness.user(), await harness.user()
    for secret in (other.secret, "anything"):
        answer = await harness.request("POST", "/token", form=GRANT, headers=basic(f"{user.client_id}:{secret}"))
        assert answer.json["error_description"] == "Unknown client_id or wrong client secret."


async def test_keys_and_legacy_secrets_in_the_parameters(harness: Harness) -> None:
    """In a parameter, where blanks count, a key or legacy secret with a line end is told so."""
    key = await harness.service_key("admin")
    for text, noun in ((f"{key}\n", "API key"), (f"{LEGACY['admin']}\n", "secret, key or token")):
        answer = await harness.rpc("auth.list_keys", {"admin_key": text})
        assert answer["error"]["message"] == f"The {noun} {AROUND}"
    answer = await harness.request("GET", "/api/v1/whoami", headers=bearer(key[:-1]))
    assert answer.json["error"]["message"] == "The API key is incomplete or mistyped: copy it whole."


@pytest.mark.parametrize(("after", "note"), [("\n", LINE_END), ("\r\n", LINE_END), (" ", ""), ("x", "")])
async def test_passwords(harness: Harness, after: str, note: str) -> None:
    """A wrong password that ends with a line end is told so, and so is one of an unknown email."""
    user = await harness.user(email="ada@example.org", password=PASSWORD)
    for email in ("ada@example.org", "nobody@example.org"):
        answer = await harness.request("POST", "/login", json={"email": email, "password": PASSWORD + after})
        assert (answer.status, answer.json["error"]["message"]) == (401, f"Unknown email or wrong password.{note}")
    change = {"client_id": user.client_id, "current": PASSWORD + after, "password": "quite another password"}
    answer = await harness.rpc("users.password", change, headers=user.basic_header)
    assert answer["error"]["message"] == f"The current password is wrong.{note}"


@pytest.mark.parametrize("method", ["token.create", "token.introspect", "token.revoke"])
@pytest.mark.parametrize("names", [("client_id",), ("client_secret",), ("client_id", "client_secret")])
async def test_a_client_among_the_parameters(harness: Harness, method: str, names: tuple[str, ...]) -> None:
    """JSON-RPC has no client_id and client_secret as OAuth's forms do, and says where they belong."""
    user = await harness.user()
    params = dict.fromkeys(names, "x") | ({} if method == "token.create" else {"token": "x"})
    answer = await harness.rpc(method, params, headers=user.basic_header)
    assert answer["error"]["code"] == -32602
    assert answer["error"]["message"] == (
        f"Unknown parameter '{names[0]}'. Send the client id and secret as Authorization: Basic, or both in a form, at "
        "the operation's own route."
    )
