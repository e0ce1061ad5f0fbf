"""Signing in and out by browser, through the real doors, Hypercorn and Quart, without sockets."""

import re
from collections.abc import Mapping
from functools import partial
from importlib import resources
from urllib.parse import quote

import pytest
from house import LEGACY, PASSWORD, TCP, Answer, House

from herod.credentials.apikeys import new_opaque
from herod.dashboard.app import make_app
from herod.dashboard.signing_in import family
from herod.dashboard.tickets import cut
from herod.errors import Unavailable
from herod.operations.table import OPERATIONS
from herod.protocols.doors import Doors
from herod.protocols.guard import Guard
from herod.records import Session
from herod.scopes.principals import Source
from herod.server.browser import Browser

EMAIL = "ada@example.org"
OWN = {"origin": "http://localhost", "sec-fetch-site": "same-origin"}
GOOD = f"email={EMAIL}&password={PASSWORD.replace(' ', '+')}"


@pytest.fixture
async def dashboard(house: House) -> House:
    """A house with pages, and an account that may sign in."""
    pages = Browser(partial(make_app, house.pipeline, OPERATIONS))
    house.doors = Doors(house.pipeline, OPERATIONS, Guard(origins=frozenset({"http://friend.example"})), pages)
    await house.service_key("admin", "the admin")
    await house.user(scope="write", networks=["lab"], email=EMAIL, name="Ada <b>", password=PASSWORD)
    return house


def text(answer: Answer) -> str:
    """The page."""
    return answer.response.body.decode()


def cookie_of(answer: Answer) -> dict[str, str]:
    """The header by which a browser gives the answer's cookie back."""
    return {"cookie": answer.headers["set-cookie"].partition(";")[0]}


async def sign_in(house: House, *, form: str = GOOD, source: Source = TCP, **headers: str) -> Answer:
    """Send the form, as a browser does."""
    scheme = "https" if source.secure else "http"
    return await house.request(
        "POST", "/ui/sign-in", form=form, source=source, headers={**OWN, "origin": f"{scheme}://localhost", **headers}
    )


async def sign_in_by_key(house: House, key: str) -> Answer:
    """Send the form for keys, as a browser does."""
    return await house.request("POST", "/ui/sign-in/key", form=f"key={quote(key)}", headers=OWN)


async def open_session(house: House) -> tuple[dict[str, str], str]:
    """A browser's cookie, and the address of the page it is led to."""
    answer = await sign_in(house)
    assert answer.status == 303
    return cookie_of(answer), answer.headers["location"]


async def test_the_front_page(dashboard: House) -> None:
    """Says where to sign in, how the first account is made, and which version this is; nothing is inline."""
    for path in ("/", "/ui/sign-in"):
        answer = await dashboard.request("GET", path)
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store"
        page = text(answer)
        for word in ("0.0.test", "herod user add", '<html lang="en"', "<h1>Sign in</h1>", "<main"):
            assert word in page
        for name in ("email", "password"):
            assert f'<label for="{name}">' in page
            assert f'<input id="{name}" name="{name}" type="{name}"' in page
        assert not re.search(r"<script(?! src=)|<style|\sstyle=|\son[a-z]+=|javascript:", page)


async def test_headers(dashboard: House) -> None:
    """Every page may be framed, scripted and kept by nobody, errors and redirects included."""
    cookie, home = await open_session(dashboard)
    for method, target in (
        ("GET", "/"),
        ("GET", home),
        ("GET", "/ui/nothing"),
        ("POST", "/ui/home"),
        ("GET", "/ui/home"),
    ):
        headers = (await dashboard.request(method, target, headers=cookie)).headers
        policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
        assert policy == {
            "default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "img-src": "'self'",
            "connect-src": "'self'", "form-action": "'self'", "frame-ancestors": "'none'", "base-uri": "'none'",
        }  # fmt: skip
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"


async def test_signing_in_and_out(dashboard: House) -> None:
    """A session with what the account holds; the page says it; afterwards neither half opens anything."""
    answer = await sign_in(dashboard)
    assert answer.status == 303
    flags = {flag.strip() for flag in answer.headers["set-cookie"].split(";")[1:]}
    assert flags == {"HttpOnly", "SameSite=Strict", "Path=/"}
    cookie, home = cookie_of(answer), answer.headers["location"]
    assert cookie["cookie"].startswith("herod_session=")
    page = await dashboard.request("GET", home, headers=cookie)
    assert page.status == 200
    for word in ("Ada &lt;b&gt;", ">write<", ">lab<", "Sign out"):
        assert word in text(page)
    ticket = home.partition("ticket=")[2]
    assert f'name="ticket" value="{ticket}"' in text(page)
    out = await dashboard.request("POST", "/ui/sign-out", form=f"ticket={ticket}", headers={**OWN, **cookie})
    assert (out.status, out.headers["location"]) == (303, "/ui/signed-out")
    assert "Max-Age=0" in out.headers["set-cookie"]
    assert "You are signed out" in text(await dashboard.request("GET", "/ui/signed-out"))
    again = await dashboard.request("GET", home, headers=cookie)
    assert again.status == 401
    assert "session is over" in text(again)
    twice = await dashboard.request("POST", "/ui/sign-out", form=f"ticket={ticket}", headers={**OWN, **cookie})
    assert twice.status == 303


async def test_tls(dashboard: House) -> None:
    """There the cookie goes over TLS alone, under a name that nobody else can set."""
    tls = Source(address="127.0.0.1", secure=True)
    answer = await sign_in(dashboard, source=tls)
    name, *flags = (part.strip() for part in answer.headers["set-cookie"].split(";"))
    assert name.startswith("__Host-herod_session=")
    assert set(flags) == {"HttpOnly", "SameSite=Strict", "Path=/", "Secure"}
    home = answer.headers["location"]
    assert (await dashboard.request("GET", home, headers=cookie_of(answer), source=tls)).status == 200
    plain = {"cookie": name.removeprefix("__Host-")}
    assert (await dashboard.request("GET", home, headers=plain, source=tls)).status == 303


@pytest.mark.parametrize(
    ("form", "status"),
    [
        (f"email={EMAIL}&password=wrong+password", 401),
        (f"email=nobody@example.org&password={PASSWORD.replace(' ', '+')}", 401),
        ("email=%22%3E%3Cscript%3E&password=x", 401),
        (f"email={EMAIL}", 400),
        (f"{GOOD}&email=eve@example.org", 400),
        (f"{GOOD}&scope=admin", 400),
        ("%ff", 400),
        ("", 400),
    ],
)
async def test_what_does_not_sign_in(dashboard: House, form: str, status: int) -> None:
    """The form comes back with what was wrong, the email kept and the password not; no cookie is set."""
    answer = await sign_in(dashboard, form=form)
    assert answer.status == status
    assert "set-cookie" not in answer.headers
    assert 'role="alert"' in text(answer)
    assert "<title>Error: " in text(answer)
    assert "<script>" not in text(answer)
    assert "wrong password" not in re.sub("Unknown email or wrong password", "", text(answer))
    if status == 401:
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_unknown_and_known_emails_get_the_same_page(dashboard: House) -> None:
    """Byte for byte, but for the email that was typed."""
    pages = {
        text(await sign_in(dashboard, form=f"email={email}&password=wrong")).replace(email, "")
        for email in (EMAIL, "nobody@example.org")
    }
    assert len(pages) == 1


async def test_guessing_is_limited_here_too(dashboard: House) -> None:
    """The eleventh wrong password is told when to come back, and so is the right one; no session is made."""
    answers = [await sign_in(dashboard, form=f"email={EMAIL}&password=wrong+{number}") for number in range(11)]
    assert [answer.status for answer in answers] == [401] * 10 + [429]
    locked = await sign_in(dashboard)
    assert locked.status == 429
    assert int(locked.headers["retry-after"]) > 0
    assert "set-cookie" not in locked.headers
    assert 'role="alert"' in text(locked)


async def test_json_is_no_form(dashboard: House) -> None:
    """What a form cannot be sent as, is not taken."""
    answer = await dashboard.request("POST", "/ui/sign-in", json={"email": EMAIL, "password": PASSWORD}, headers=OWN)
    assert answer.status == 400


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://localhost:9999", "sec-fetch-site": "same-site"}, 403),
        ({"origin": "http://127.0.0.1"}, 403),
        ({"origin": "https://localhost"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://friend.example", "sec-fetch-site": "cross-site"}, 400),
        ({"origin": "http://friend.example"}, 400),
        ({"origin": "http://localhost", "sec-fetch-site": "same-site"}, 400),
        ({"origin": "http://localhost", "sec-fetch-site": "none"}, 400),
        ({"sec-fetch-site": "same-origin"}, 400),
        ({}, 400),
    ],
)
async def test_forms_of_other_origins(dashboard: House, headers: dict[str, str], status: int) -> None:
    """Another port is another origin; one that may call the API may still send no form; neither signs in or out."""
    answer = await dashboard.request("POST", "/ui/sign-in", form=GOOD, headers=headers)
    assert answer.status == status
    assert "set-cookie" not in answer.headers
    cookie, home = await open_session(dashboard)
    out = await dashboard.request("POST", "/ui/sign-out", form=home.partition("?")[2], headers={**headers, **cookie})
    assert out.status == status
    assert (await dashboard.request("GET", home, headers=cookie)).status == 200


async def test_a_page_on_another_port_gains_nothing(dashboard: House) -> None:
    """Browsers send our cookie to every port of this host: who has it there has half of a secret.

    Neither at the pages, with a ticket of its own or none, nor at the API, nor as any other credential does it open
    anything.
    """
    cookie, home = await open_session(dashboard)
    half = cookie["cookie"].partition("=")[2]
    await dashboard.user(scope="read", email="eve@example.org", name="Eve", password=PASSWORD)
    mine = (await sign_in(dashboard, form=GOOD.replace("ada", "eve"))).headers["location"]
    for target in ("/", "/ui/home", "/ui/home?ticket=", f"/ui/home?ticket={half}", mine):
        answer = await dashboard.request("GET", target, headers=cookie)
        assert "Ada" not in text(answer), target
    for headers in (cookie, {"authorization": f"Bearer {half}"}, {"x-api-key": half}):
        assert (await dashboard.request("GET", "/api/v1/whoami", headers=headers)).status == 401
    out = await dashboard.request("POST", "/ui/sign-out", form=mine.partition("?")[2], headers={**OWN, **cookie})
    assert out.status == 303
    assert "Ada" in text(await dashboard.request("GET", home, headers=cookie))


async def test_a_cookie_set_by_another_port(dashboard: House) -> None:
    """It stands before ours and does not matter; a link that would use a session of its own leads to the front page."""
    cookie, home = await open_session(dashboard)
    tossed = {"cookie": f"herod_session=tossed; {cookie['cookie']}"}
    assert (await dashboard.request("GET", home, headers=tossed)).status == 200
    # An address that is typed at the other port and redirected from there comes as `none`.
    for site, status in (("same-site", 303), ("cross-site", 303), ("none", 303), ("same-origin", 200)):
        answer = await dashboard.request("GET", home, headers={**cookie, "sec-fetch-site": site})
        assert answer.status == status, site
        assert answer.headers.get("location", "/") == "/"


def test_both_halves_are_too_long_to_guess() -> None:
    """At least 120 bits each, and together the secret."""
    secret = new_opaque()
    half, ticket = cut(secret)
    assert half + ticket == secret
    assert min(len(half), len(ticket)) * 5.95 > 120


async def test_a_session_shrinks_and_ends(dashboard: House) -> None:
    """With the account's scope, with the account, and after its time."""
    cookie, home = await open_session(dashboard)
    ada = next(user for user in (await dashboard.admin("users.list")).items if user.email == EMAIL)
    await dashboard.admin("users.scope", client_id=ada.client_id, scope="read")
    page = text(await dashboard.request("GET", home, headers=cookie))
    assert ">read<" in page
    assert ">write<" not in page
    dashboard.clock.now += 12 * 3600
    assert (await dashboard.request("GET", home, headers=cookie)).status == 401
    cookie, home = await open_session(dashboard)
    await dashboard.admin("users.disable", client_id=ada.client_id)
    assert (await dashboard.request("GET", home, headers=cookie)).status == 401


async def test_what_the_store_cannot_take_is_said(dashboard: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signing out that did not happen does not look as if it had."""
    cookie, home = await open_session(dashboard)

    async def write(change: object) -> None:
        raise Unavailable("The store is read-only.")

    monkeypatch.setattr(dashboard.store, "write", write)
    answer = await dashboard.request("POST", "/ui/sign-out", form=home.partition("?")[2], headers={**OWN, **cookie})
    assert answer.status == 503
    assert "The store is read-only." in text(answer)
    assert "set-cookie" not in answer.headers


def _links(page: str) -> list[str]:
    return re.findall(r'(?:href|src)="(/ui/static/[^"]+)"', page)


async def test_static_files(dashboard: House) -> None:
    """Every link of the page leads somewhere, typed, kept for a year, and 304 to who has it."""
    links = set(_links(text(await dashboard.request("GET", "/"))))
    assert {link.rpartition(".")[2] for link in links} == {"css", "svg", "js"}
    for link in links:
        answer = await dashboard.request("GET", link)
        assert answer.status == 200
        kind = {"css": "text/css; charset=utf-8", "svg": "image/svg+xml", "js": "text/javascript; charset=utf-8"}
        assert answer.headers["content-type"] == kind[link.rpartition(".")[2]]
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        etag = answer.headers["etag"]
        assert etag.strip('"') in link
        unchanged = await dashboard.request("GET", link, headers={"if-none-match": f'"other", {etag}'})
        assert (unchanged.status, unchanged.response.body) == (304, b"")
        assert (await dashboard.request("GET", link, headers={"if-none-match": '"other"'})).status == 200


@pytest.mark.parametrize(
    "name",
    [
        "herod.css", "../pages.py", "..%2Fpages.py", "%2e%2e/templates/base.html", "%2e%2e%2f%2e%2e%2fapp.py",
        "/etc/passwd", "%2Fetc%2Fpasswd", "..", ".", "", "herod.css%00", "..%5cpages.py", "%ff",
    ],
)  # fmt: skip
async def test_no_other_file_is_served(dashboard: House, name: str) -> None:
    """A name is in the table or there is nothing, with a page that says so."""
    answer = await dashboard.request("GET", f"/ui/static/{name}")
    assert answer.status == 404
    assert "Not Found" in text(answer)


@pytest.mark.parametrize(
    ("method", "target", "status", "allow"),
    [
        ("GET", "/ui//", 404, None),
        ("GET", "/uix", 404, None),
        ("DELETE", "/ui", 405, "GET, HEAD, POST"),
        ("GET", "/ui/nothing", 404, None),
        ("GET", "/ui//home", 404, None),
        ("GET", "/ui/sign-out", 405, "POST"),
        ("POST", "/ui/home", 405, "GET, HEAD"),
        ("DELETE", "/ui/home", 405, "GET, HEAD, POST"),
        ("OPTIONS", "/ui/home", 405, "GET, HEAD, POST"),
        ("DELETE", "/", 405, "GET, POST"),
    ],
)
async def test_what_is_no_page(dashboard: House, method: str, target: str, status: int, allow: str | None) -> None:
    """Is refused in a page of our own, and by the API's own words beside `/`."""
    answer = await dashboard.request(method, target)
    assert answer.status == status
    assert answer.headers.get("allow") == allow


@pytest.mark.parametrize("target", ["/ui", "/ui/"])
async def test_an_address_by_heart(dashboard: House, target: str) -> None:
    """Leads to the front page."""
    answer = await dashboard.request("GET", target)
    assert (answer.status, answer.headers["location"]) == (303, "/")


async def test_where_typing_goes_on(dashboard: House) -> None:
    """At the email first, and at the password once the email is there."""

    def focused(page: str) -> list[str]:
        return re.findall(r'<input id="([a-z]+)"[^>]* autofocus', page)

    assert focused(text(await dashboard.request("GET", "/"))) == ["email"]
    assert focused(text(await sign_in(dashboard, form=f"email={EMAIL}&password=wrong"))) == ["password"]
    assert focused(text(await sign_in(dashboard, form=""))) == ["email"]


async def test_post_to_the_front_is_json_rpc(dashboard: House) -> None:
    """As before there were pages."""
    call: Mapping[str, object] = {"jsonrpc": "2.0", "id": 1, "method": "version"}
    assert (await dashboard.request("POST", "/", json=call)).json["result"]


async def test_without_pages_there_are_none(house: House) -> None:
    """Doors alone answer a JSON 404 or 405."""
    assert (await house.request("GET", "/ui/sign-in")).status == 404
    assert (await house.request("GET", "/")).status == 405


async def test_a_fault_of_ours_says_nothing(dashboard: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log has it."""

    async def call(*_: object) -> None:
        raise RuntimeError("the secret reason")

    monkeypatch.setattr(dashboard.pipeline, "call", call)
    answer = await sign_in(dashboard)
    assert answer.status == 500
    assert "its log says why" in text(answer)
    assert "secret reason" not in text(answer)


def test_colours_can_be_read() -> None:
    """Text has a contrast of 4.5 to 1, edges of fields 3 to 1, in both themes (WCAG 2.2, 1.4.3 and 1.4.11)."""
    css = (resources.files("herod.dashboard") / "static" / "herod.css").read_text()
    for block in re.findall(r":root \{(.*?)\}", css, re.DOTALL):
        colour = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]+);", block))
        for ink, ground, least in (
            ("text", "card", 4.5), ("soft", "card", 4.5), ("soft", "ground", 4.5), ("soft", "glow", 4.5),
            ("text", "ground", 4.5), ("text", "field", 4.5), ("on-accent", "accent", 4.5), ("accent", "card", 4.5),
            ("on-accent", "accent-strong", 4.5), ("accent", "ground", 4.5), ("bad", "bad-ground", 4.5),
            ("good", "good-ground", 4.5), ("field-edge", "card", 3),
        ):  # fmt: skip
            assert _contrast(colour[ink], colour[ground]) >= least, (ink, ground)


def _contrast(one: str, other: str) -> float:
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    parts = [int(digits[start : start + 2], 16) / 255 for start in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


async def test_an_api_key_signs_in(dashboard: House) -> None:
    """With what the key holds, which the page says; the key stands on no page, and the menu has what it may look at."""
    key = await dashboard.service_key("read", "a reader")
    answer = await sign_in_by_key(dashboard, f"  {key} ")
    assert answer.status == 303
    page = text(await dashboard.request("GET", answer.headers["location"], headers=cookie_of(answer)))
    assert "a reader" in page
    assert ">read<" in page
    assert ">admin<" not in page
    assert ">Users<" not in page
    assert key not in page


@pytest.mark.parametrize(
    ("key", "status"),
    [("", 400), ("herod_s_nothing", 401), (f"herod_s_{'0' * 12}_{'0' * 49}", 401), ("any words", 401), ("é" * 9, 401)],
)
async def test_what_is_no_key(dashboard: House, key: str, status: int) -> None:
    """The form comes back open with what was wrong, and without what was typed."""
    answer = await sign_in_by_key(dashboard, key)
    assert answer.status == status
    assert "set-cookie" not in answer.headers
    page = text(answer)
    assert 'role="alert"' in page
    assert '<details class="aside" open>' in page
    assert not key or quote(key) not in page
    assert re.findall(r'<input id="([a-z]+)"[^>]* autofocus', page) == ["key"]


async def test_a_token_opens_no_session(dashboard: House) -> None:
    """It would live on in the session."""
    user = await dashboard.user(scope="write")
    answer = await sign_in_by_key(dashboard, await user.token())
    assert answer.status == 400
    assert "paste an API key" in text(answer)


async def test_legacy_secrets_are_guessed_at_no_more_often_here(dashboard: House) -> None:
    """Ten, then the source waits, also with the right one."""
    answers = [await sign_in_by_key(dashboard, f"guess {number}") for number in range(11)]
    assert [answer.status for answer in answers] == [401] * 10 + [429]
    assert (await sign_in_by_key(dashboard, LEGACY["user"])).status == 429


async def test_forms_with_keys_of_other_origins(dashboard: House) -> None:
    """Another origin's page signs nobody in with a key of its own."""
    key = await dashboard.service_key("read", "a reader")
    for headers in ({}, {"origin": "http://localhost", "sec-fetch-site": "same-site"}):
        answer = await dashboard.request("POST", "/ui/sign-in/key", form=f"key={key}", headers=headers)
        assert answer.status == 400
        assert "set-cookie" not in answer.headers


async def test_signing_in_again_ends_the_session_before(dashboard: House) -> None:
    """Of this browser, whoever signs in; another browser's stays."""
    cookie, home = await open_session(dashboard)
    other, elsewhere = await open_session(dashboard)
    again = await sign_in(dashboard, cookie=cookie["cookie"])
    assert again.status == 303
    assert (await dashboard.request("GET", home, headers=cookie)).status == 401
    assert (await dashboard.request("GET", elsewhere, headers=other)).status == 200
    assert (await dashboard.request("GET", again.headers["location"], headers=cookie_of(again))).status == 200
    assert dashboard.store.count(Session) == 2


async def test_a_wrong_password_ends_nothing(dashboard: House) -> None:
    """Only who is signed in takes the place of who was."""
    cookie, home = await open_session(dashboard)
    assert (await sign_in(dashboard, form=f"email={EMAIL}&password=wrong", cookie=cookie["cookie"])).status == 401
    assert (await dashboard.request("GET", home, headers=cookie)).status == 200


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox"),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36", "Chrome"),
        ("Mozilla/5.0 (X11) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge"),
        ("Mozilla/5.0 (X11) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 OPR/120.0", "Opera"),
        ("Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15", "Safari"),
        ("curl/8.0", "another"),
        ("", "another"),
    ],
)
def test_the_browsers_family(user_agent: str, name: str) -> None:
    """And no more than that is kept of what browsers say of themselves."""
    assert family(user_agent) == name
