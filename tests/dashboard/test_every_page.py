"""Properties of all pages: headers, files, URLs, errors and colors."""

import re
from collections.abc import Mapping
from importlib import resources

import pytest

from dashboard.browser_sign_in import EMAIL, OWN, open_session, sign_in, text
from herod.dashboard.quart_app import make_app
from herod.dashboard.rendering import compile_templates
from herod.operations.operation_table import OPERATIONS
from support.connected_apps import app_token, connect_app
from support.herod_in_memory import ADMIN_SOURCE, COOKIE, LEGACY, PASSWORD, TCP, Harness, bearer


async def test_the_front_page(dashboard: Harness) -> None:
    """The front page has the sign-in, how to create the first account and the version, without inline code."""
    for path in ("/", "/ui/sign-in"):
        answer = await dashboard.request("GET", path)
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store"
        page = text(answer)
        for word in ("0.0.test", "herod user add", '<html lang="en"', "<h1>Sign in</h1>", "<main"):
            assert word in page
        for name, kind in (("email", "text"), ("password", "password")):  # not "email": browsers refuse good ones
            assert f'<label for="{name}">' in page
            assert f'<input id="{name}" name="{name}" type="{kind}"' in page
        assert not re.search(r"<script(?! src=)|<style|\sstyle=|\son[a-z]+=|javascript:", page)


async def test_headers(dashboard: Harness) -> None:
    """No page may be framed, cached or run other scripts, including errors and redirects."""
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
        permissions = dict(part.split("=", 1) for part in headers["permissions-policy"].split(", "))
        passkeys = {"publickey-credentials-create", "publickey-credentials-get"}
        assert {name for name, origins in permissions.items() if origins == "(self)"} == passkeys
        assert {permissions[name] for name in set(permissions) - passkeys} == {"()"}
        assert {"camera", "geolocation", "microphone", "payment", "usb"} <= set(permissions)
        assert headers["cross-origin-resource-policy"] == "same-origin"
        # A window that somebody else opened is cut off from them on its way to the pages of a session.
        is_entry = target != home and (method, target) != ("GET", "/ui/home")
        assert headers["cross-origin-opener-policy"] == ("same-origin-allow-popups" if is_entry else "same-origin")


async def test_templates_are_compiled_before_they_are_needed(dashboard: Harness) -> None:
    """The daemon compiles each template while it loads the dashboard, off the event loop, and none later."""
    app = make_app(dashboard.pipeline, OPERATIONS)
    cache = app.jinja_env.cache
    assert cache is not None
    assert not len(cache)
    compile_templates(app)
    templates = [file.name for file in (resources.files("herod") / "dashboard" / "templates").iterdir()]
    assert len(templates) > 20
    assert {name for _, name in cache} == set(templates)


def _links(page: str) -> list[str]:
    return re.findall(r'(?:href|src)="(/ui/static/[^"]+)"', page)


async def test_static_files(dashboard: Harness) -> None:
    """Every link of the page resolves, with its media type, a year of caching, and a 304 for cached copies."""
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
async def test_no_other_file_is_served(dashboard: Harness, name: str) -> None:
    """A static file is in the table or does not exist, with an error page."""
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
        ("DELETE", "/", 405, "GET, HEAD, POST"),
    ],
)
async def test_what_is_no_page(dashboard: Harness, method: str, target: str, status: int, allow: str | None) -> None:
    """An unknown page gets herod's error page, and beside `/` the API's error."""
    answer = await dashboard.request(method, target)
    assert answer.status == status
    assert answer.headers.get("allow") == allow


@pytest.mark.parametrize("target", ["/ui", "/ui/"])
async def test_an_address_by_heart(dashboard: Harness, target: str) -> None:
    """Short URLs redirect to the front page."""
    answer = await dashboard.request("GET", target)
    assert (answer.status, answer.headers["location"]) == (303, "/")


async def test_where_typing_goes_on(dashboard: Harness) -> None:
    """The focus is on the email, or on the password once the email is filled in."""

    def focused(page: str) -> list[str]:
        return re.findall(r'<input id="([a-z]+)"[^>]* autofocus', page)

    assert focused(text(await dashboard.request("GET", "/"))) == ["email"]
    assert focused(text(await sign_in(dashboard, form=f"email={EMAIL}&password=wrong"))) == ["password"]
    assert focused(text(await sign_in(dashboard, form=""))) == ["email"]


async def test_post_to_the_front_is_json_rpc(dashboard: Harness) -> None:
    """A POST to `/` is JSON-RPC, as it was before there were pages."""
    call: Mapping[str, object] = {"jsonrpc": "2.0", "id": 1, "method": "version"}
    assert (await dashboard.request("POST", "/", json=call)).json["result"]


async def test_without_pages_there_are_none(harness: Harness) -> None:
    """Without pages the router answers a JSON 404 or 405."""
    assert (await harness.request("GET", "/ui/sign-in")).status == 404
    assert (await harness.request("GET", "/")).status == 405


async def test_a_fault_of_ours_says_nothing(dashboard: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """An internal error is logged and answered without details."""

    async def call(*_: object) -> None:
        raise RuntimeError("the secret reason")

    monkeypatch.setattr(dashboard.pipeline, "call", call)
    answer = await sign_in(dashboard)
    assert answer.status == 500
    assert "see its log" in text(answer)
    assert "secret reason" not in text(answer)


def test_colours_can_be_read() -> None:
    """Text has a contrast of 4.5 to 1, edges of fields 3 to 1, in both themes (WCAG 2.2, 1.4.3 and 1.4.11)."""
    css = (resources.files("herod.dashboard") / "static" / "herod.css").read_text()
    blocks = re.findall(r":root[^{]*\{(.*?)\}", css, re.DOTALL)
    dark, *light = filter(None, (dict(re.findall(r"--([a-z-]+): (#[0-9a-f]+);", block)) for block in blocks))
    assert len(light) == 2
    assert light[0] == light[1] != dark  # set by the system or by the button: the same theme
    for colour in (dark, light[0]):
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


@pytest.mark.parametrize("kind", ["token", "a person's token", "key", "service key", "secret", "legacy", "peer", "app"])
async def test_a_header_is_no_session(dashboard: Harness, kind: str) -> None:
    """Whoever presents a credential in a header, with or without a ticket, gets what a stranger gets, at any page."""
    await open_session(dashboard)
    user = await dashboard.user("admin", email="eve@example.org", password=PASSWORD)
    login = await dashboard.call("login", None, TCP, email="eve@example.org", password=PASSWORD)
    headers, source = {
        "token": (bearer(await user.token()), TCP),
        "a person's token": (bearer(login.access_token), TCP),
        "key": ({"x-api-key": await user.key("admin")}, TCP),
        "service key": (bearer(await dashboard.service_key("admin")), TCP),
        "secret": (user.basic_header, TCP),
        "legacy": ({"x-herod-secret": LEGACY["admin"]}, TCP),
        "peer": ({"authorization": f"Peer {COOKIE}"}, ADMIN_SOURCE),
        "app": (bearer(app_token(dashboard, await connect_app(dashboard, user, "admin")).text), TCP),
    }[kind]
    before = dashboard.store.state.records
    for rule in make_app(dashboard.pipeline, OPERATIONS).url_map.iter_rules():
        path = rule.rule.replace("<id>", user.client_id).replace("<delegation>", "d").replace("<name>", "htmx.js")
        for method in sorted((rule.methods or set()) & {"GET", "POST"}):
            seen = []
            for sent in ({}, headers):
                form = "ticket=0123456789abcdef0123456789abcdef&decision=allow" if method == "POST" else None
                answer = await dashboard.request(method, path, form=form, headers={**OWN, **sent}, source=source)
                where = answer.headers.get("location", "").partition("?")[0]
                seen.append((answer.status, where, answer.headers.get("set-cookie")))
            assert seen[0] == seen[1], (method, path)
            assert not (seen[0][2] or "").partition(";")[0].removeprefix("herod_session="), (method, path)
    assert dashboard.store.state.records == before
