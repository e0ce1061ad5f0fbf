"""Requests at `/authorize`: what is a fault, and who is told about it."""

from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from herod.operations.oauth.authorization.authorization_requests import MAX_REQUEST_CHARS, REQUEST_SECONDS, open_request
from herod_client.core.errors import InvalidRequest
from support.herod_in_memory import Answer, Harness
from support.oauth_app import CALLBACK, ISSUER, MCP, AppOfTest, dynamic_app, registered_app
from support.page_visitor import open_pages, text, visit


@pytest.fixture
async def app(harness: Harness) -> AppOfTest:
    """An agent that registered itself, at a herod with pages."""
    open_pages(harness)
    return dynamic_app(harness)


def error_of(answer: Answer) -> tuple[str, str]:
    """The error in a redirect to the app, and its description."""
    assert answer.status == 303, text(answer)
    location = answer.headers["location"]
    assert location.startswith(CALLBACK)
    fields = dict(parse_qsl(urlsplit(location).query))
    assert fields["iss"] == ISSUER
    assert "code" not in fields
    return fields["error"], fields["error_description"]


FAULTS = [
    ({"response_type": None}, "invalid_request", "response_type=code"),
    ({"response_type": "token"}, "unsupported_response_type", "response_type=code"),
    ({"response_type": "code token"}, "unsupported_response_type", "response_type=code"),
    ({"response_mode": "fragment"}, "invalid_request", "response_mode"),
    ({"response_mode": "form_post"}, "invalid_request", "response_mode"),
    ({"request": "eyJ"}, "request_not_supported", "request"),
    ({"request_uri": "https://a.example/r"}, "request_uri_not_supported", "request_uri"),
    ({"registration": "{}"}, "registration_not_supported", "registration"),
    ({"code_challenge": None, "code_challenge_method": None}, "invalid_request", "PKCE"),
    ({"code_challenge": None}, "invalid_request", "code_challenge"),
    ({"code_challenge_method": None}, "invalid_request", "S256"),
    ({"code_challenge_method": "plain"}, "invalid_request", "S256"),
    ({"code_challenge_method": "s256"}, "invalid_request", "S256"),
    ({"code_challenge": "a" * 42}, "invalid_request", "43"),
    ({"code_challenge": "a" * 43}, "invalid_request", "43"),
    ({"code_challenge": "A" * 42 + "="}, "invalid_request", "43"),
    ({"code_challenge": "A" * 44}, "invalid_request", "43"),
    ({"prompt": "none login"}, "invalid_request", "cannot be combined"),
    ({"prompt": "now"}, "invalid_request", "prompt"),
    ({"max_age": "-1"}, "invalid_request", "max_age"),
    ({"max_age": "soon"}, "invalid_request", "max_age"),
    ({"resource": "https://elsewhere.example"}, "invalid_target", "resource"),
    ({"resource": "http://localhost/elsewhere"}, "invalid_target", "resource"),
    ({"resource": "http://LOCALHOST:9/x"}, "invalid_target", "resource"),
    ({"resource": "http://localhost:9/a/../b"}, "invalid_target", "resource"),
    ({"resource": "http://localhost:9/%2e%2e"}, "invalid_target", "resource"),
    ({"resource": "http://localhost:9/x?y"}, "invalid_target", "resource"),
    ({"resource": "http://localhost:9/x#y"}, "invalid_target", "resource"),
    ({"resource": "http://localhost@a.example/"}, "invalid_target", "resource"),
    ({"resource": "http://localhost.a.example/"}, "invalid_target", "resource"),
    ({"resource": "http://127.0.0.2:9/"}, "invalid_target", "resource"),
    ({"resource": "http://127.1:9/"}, "invalid_target", "resource"),
    ({"scope": "x " * 500}, "invalid_scope", "scope"),
    ({"state": "s" * 3000}, "invalid_request", "too long"),
]


@pytest.mark.parametrize(("changes", "error", "told"), FAULTS)
async def test_a_fault_goes_to_the_app(app: AppOfTest, changes: dict[str, str], error: str, told: str) -> None:
    """Once app and redirect are known, the app is told, with its state and the issuer (RFC 9207)."""
    answer = await app.ask(**changes)
    found, description = error_of(answer)
    assert (found, told in description) == (error, True), description
    state = changes.get("state", "s t/a+te")
    assert dict(parse_qsl(urlsplit(answer.headers["location"]).query))["state"] == state


@pytest.mark.parametrize(
    ("changes", "resource"),
    [
        ({}, MCP),
        ({"resource": "http://127.0.0.1/mcp/"}, MCP),
        ({"resource": "http://localhost/"}, ISSUER),
        ({"resource": "http://localhost:8000/"}, "http://localhost:8000"),
        ({"resource": "https://[::1]:8000/mcp"}, "https://[::1]:8000/mcp"),
        ({"resource": "http://127.0.0.1:9/a/.hidden/b"}, "http://127.0.0.1:9/a/.hidden/b"),
        ({"resource": None, "scope": "openid email"}, None),
        ({"scope": None}, MCP),
        ({"scope": "read mcp:tools claudeai"}, MCP),
        ({"prompt": "consent"}, MCP),
        ({"prompt": "select_account login"}, MCP),
        ({"max_age": "0"}, MCP),
        ({"response_mode": "query"}, MCP),
        ({"login_hint": "ada@example.org", "ui_locales": "de", "display": "popup"}, MCP),
        ({"state": None}, MCP),
    ],
)
async def test_good_requests(app: AppOfTest, changes: dict[str, str], resource: str | None) -> None:
    """Everything else leads to the consent page, and unknown parameters are ignored."""
    request = await app.request_for(**changes)
    ada = await visit(app.harness)
    page = await ada.read("/ui/consent", request=request) if "login" not in changes.get("prompt", "") else ""
    assert (resource or "Nothing but your sign-in") in page or "prompt" in changes or "max_age" in changes


@pytest.mark.parametrize("name", ["state", "scope", "code_challenge", "nonce", "response_type"])
async def test_nothing_is_sent_twice(app: AppOfTest, name: str) -> None:
    """A repeated parameter is refused (RFC 6749, section 3.1); a repeated state is not echoed."""
    query = _query(app) + f"&{name}=x&{name}=x"
    answer = await app.harness.request("GET", f"/authorize?{query}")
    assert error_of(answer)[0] == "invalid_request"
    assert ("state=" in answer.headers["location"]) == (name != "state")


async def test_several_resources(app: AppOfTest) -> None:
    """A token is for one resource, and who sends two is told so (RFC 8707, section 2)."""
    answer = await app.harness.request("GET", f"/authorize?{_query(app)}&resource=http://localhost")
    error, told = error_of(answer)
    assert (error, "once" in told) == ("invalid_target", True)


async def test_an_empty_parameter_counts_as_omitted(app: AppOfTest) -> None:
    """`state=` is no state, and two empty ones are no repetition."""
    answer = await app.harness.request("GET", f"/authorize?{_query(app, state=None)}&state=&state=&nonce=")
    assert answer.status == 303
    assert answer.headers["location"].startswith("/ui/consent?")


async def test_a_form_is_a_request_too(app: AppOfTest) -> None:
    """A POST from any origin, `null` included, is what the same query would be."""
    for origin in ("https://evil.example", "null", "http://localhost:6274", "http://localhost"):
        answer = await app.harness.request(
            "POST",
            "/authorize",
            form=_query(app),
            headers={"origin": origin, "sec-fetch-site": "cross-site", "cookie": "herod_session=x"},
        )
        assert answer.status == 303, text(answer)
        assert answer.headers["location"].startswith("/ui/consent?request=")
        assert "access-control-allow-origin" not in answer.headers
    assert (await app.harness.request("POST", "/authorize?x=1", form=_query(app))).status == 400


async def test_the_request_is_sealed(app: AppOfTest) -> None:
    """What the browser carries says nothing and cannot be made, changed, or kept for longer than ten minutes."""
    keyring, now = app.harness.runtime.keyring, app.harness.clock.now
    request = await app.request_for(state="secret-state")
    assert "secret" not in request
    assert len(request) <= MAX_REQUEST_CHARS
    assert open_request(keyring, request, now + REQUEST_SECONDS - 1).state == "secret-state"
    changed = request[:-2] + ("A" if request[-2] != "A" else "B") + request[-1]  # the last one may have spare bits
    for bad, at in ((request, now + REQUEST_SECONDS), (request, now - 1), (changed, now), ("", now), ("a" * 5000, now)):
        with pytest.raises(InvalidRequest):
            open_request(keyring, bad, at)


async def test_where_another_program_may_hold_the_address(app: AppOfTest) -> None:
    """Nobody signs in at an origin that may be somebody else's."""
    app.harness.configure(has_browser_origin=False)
    answer = await app.ask()
    assert (answer.status, "location" in answer.headers) == (400, False)


async def test_what_an_app_registered(harness: Harness) -> None:
    """An app that did not register for codes gets none."""
    open_pages(harness)
    app = dynamic_app(harness, grants=("client_credentials",))
    assert error_of(await app.ask())[0] == "unauthorized_client"


async def test_an_app_that_cannot_do_pkce(harness: Harness) -> None:
    """A confidential app that an admin allowed to leave PKCE out sends a nonce instead."""
    open_pages(harness)
    app = await registered_app(harness, needs_pkce=False, redirect_uris=(CALLBACK,))
    without: dict[str, str | None] = {"code_challenge": None, "code_challenge_method": None}
    assert error_of(await app.ask(**without))[0] == "invalid_request"
    assert await app.request_for(**without, nonce="n")
    assert error_of(await app.ask(code_challenge=None, nonce="n"))[0] == "invalid_request"


def _query(app: AppOfTest, **changes: str | None) -> str:
    return urlencode(app.asking(**changes))
