"""Where a browser may be sent with a code."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credentials.hostile_redirects import FOREIGN, GOOD, MALFORMED, OWN_ORIGINS, REGISTERED
from herod.credentials.apps.redirect_uris import (
    MAX_REDIRECT_CHARS,
    RedirectKind,
    asked_redirect,
    matches,
    parse_redirect_uri,
    refuse_own_origin,
    with_parameters,
)
from herod.web_origins import LOOPBACK_NAMES
from herod_client.core.errors import InvalidRequest

# text, kind, shown host, origin
GOOD_ONES = [
    ("https://vscode.dev/redirect", "https", "vscode.dev", "https://vscode.dev"),
    ("https://vscode.dev", "https", "vscode.dev", "https://vscode.dev"),
    ("https://x.example:8443/a/b?c=d", "https", "x.example", "https://x.example:8443"),
    ("https://x.example:443/", "https", "x.example", "https://x.example"),
    ("https://localhost:8443/cb", "https", "localhost", "https://localhost:8443"),
    ("https://xn--bcher-kva.example/", "https", "xn--bcher-kva.example", "https://xn--bcher-kva.example"),
    ("https://192.0.2.7/", "https", "192.0.2.7", "https://192.0.2.7"),
    ("https://[2001:db8::7]/", "https", "[2001:db8::7]", "https://[2001:db8::7]"),
    ("http://localhost/callback", "loopback", "localhost", "http://localhost"),
    ("http://127.0.0.1:33418/", "loopback", "127.0.0.1", "http://127.0.0.1:33418"),
    ("http://[::1]:80/x", "loopback", "[::1]", "http://[::1]"),
    ("http://127.0.0.2/x", "http", "127.0.0.2", "http://127.0.0.2"),
    ("http://app.localhost:3000/x", "http", "app.localhost", "http://app.localhost:3000"),
    ("http://grafana.lan:3000/login/generic_oauth", "http", "grafana.lan", "http://grafana.lan:3000"),
    ("http://my_app/cb", "http", "my_app", "http://my_app"),
    ("cursor://anysphere.cursor-retrieval/oauth/callback", "private_use", "cursor:", ""),
    ("com.example.app:/oauth", "private_use", "com.example.app:", ""),
    ("com.example.app:oauth", "private_use", "com.example.app:", ""),
]


@pytest.mark.parametrize(("text", "kind", "shown", "origin"), GOOD_ONES, ids=[one[0] for one in GOOD_ONES])
def test_what_is_read(text: str, kind: str, shown: str, origin: str) -> None:
    """A proper URI is read, and says what a page must show."""
    redirect = parse_redirect_uri(text)
    assert (redirect.text, redirect.kind, redirect.shown_host) == (text, RedirectKind(kind), shown)
    assert redirect.origin == origin
    assert redirect.is_private_use is (kind == "private_use")
    assert matches(redirect, redirect)


@pytest.mark.parametrize(
    ("text", "is_loopback"),
    [
        ("http://localhost/", True),
        ("https://localhost:1/", True),
        ("http://127.0.0.1/", True),
        ("http://[::1]/", True),
        ("http://127.0.0.2/", True),
        ("http://app.localhost/", True),
        ("https://localhost.example/", False),
        ("https://128.0.0.1/", False),
        ("x.y:/", False),
    ],
)
def test_is_loopback(text: str, is_loopback: bool) -> None:
    """A page warns of every redirect that a program on this machine answers."""
    assert parse_redirect_uri(text).is_loopback is is_loopback


def test_there_are_a_thousand() -> None:
    """The lists have not shrunk."""
    assert len(MALFORMED) > 1500
    assert len(set(FOREIGN)) == len(FOREIGN) > 50


@pytest.mark.parametrize("part", range(10))
def test_malformed_ones_are_never_read(part: int) -> None:
    """No trick of the lists is registered or matched, for an app with every kind of redirect."""
    for text in MALFORMED[part::10]:
        with pytest.raises(InvalidRequest):
            parse_redirect_uri(text)
        with pytest.raises(InvalidRequest):
            asked_redirect(REGISTERED, text, OWN_ORIGINS)
        with pytest.raises(InvalidRequest):
            asked_redirect([text], text, OWN_ORIGINS)


@pytest.mark.parametrize("text", FOREIGN)
def test_foreign_ones_never_match(text: str) -> None:
    """A URI that an app did not register, or that leads to herod, is not one of its redirects."""
    assert parse_redirect_uri(text).text == text
    with pytest.raises(InvalidRequest):
        asked_redirect(REGISTERED, text, OWN_ORIGINS)


@pytest.mark.parametrize("text", REGISTERED)
def test_registered_ones_match(text: str) -> None:
    """An app is sent where it registered."""
    assert asked_redirect(REGISTERED, text, OWN_ORIGINS).text == text


@pytest.mark.parametrize("host", sorted(LOOPBACK_NAMES))
def test_the_port_of_loopback_is_ignored(host: str) -> None:
    """On loopback any port may be asked for, also if none was registered; the path and the host must be the same."""
    for registered, asked in [
        ("/callback", ":1/callback"),
        (":4711/callback", ":65535/callback"),
        (":4711/callback", "/callback"),
        ("", ":5/"),
        (":5/", ""),
    ]:
        text = f"http://{host}{asked}"
        assert asked_redirect([f"http://{host}{registered}"], text, OWN_ORIGINS).text == text
    others = [other for other in LOOPBACK_NAMES if other != host]
    for text in [
        f"http://{host}:4711/other",
        f"https://{host}/callback",
        *(f"http://{one}/callback" for one in others),
    ]:
        with pytest.raises(InvalidRequest, match="has not registered"):
            asked_redirect([f"http://{host}/callback"], text, OWN_ORIGINS)


@pytest.mark.parametrize("origin", sorted(OWN_ORIGINS))
def test_herod_itself_is_no_redirect(origin: str) -> None:
    """A loopback redirect without a port does not open herod's own port."""
    host = origin.removesuffix(":3350")
    with pytest.raises(InvalidRequest, match="herod itself"):
        asked_redirect([f"{host}/ui/consent"], f"{origin}/ui/consent", OWN_ORIGINS)
    with pytest.raises(InvalidRequest, match="herod itself"):
        refuse_own_origin(parse_redirect_uri(f"{origin}/callback"), OWN_ORIGINS)
    refuse_own_origin(parse_redirect_uri(f"{host}:3351/callback"), OWN_ORIGINS)


def test_a_loopback_redirect_without_a_port_may_be_registered() -> None:
    """Where herod has port 80, an app may still register a redirect without a port, and is never sent to that one."""
    own, text = {"http://localhost"}, "http://localhost/callback"
    refuse_own_origin(parse_redirect_uri(text), own)
    assert asked_redirect([text], "http://localhost:4711/callback", own).port == 4711
    for asked in (text, "http://localhost:80/callback", None):
        with pytest.raises(InvalidRequest, match="herod itself"):
            asked_redirect([text], asked, own)
    with pytest.raises(InvalidRequest, match="herod itself"):
        refuse_own_origin(parse_redirect_uri("http://localhost:80/callback"), own)


def test_a_default_port_is_the_same_origin() -> None:
    """Herod behind a proxy is itself with and without the scheme's own port."""
    for text in ("https://auth.example.org/", "https://auth.example.org:443/x"):
        with pytest.raises(InvalidRequest, match="herod itself"):
            refuse_own_origin(parse_redirect_uri(text), {"https://auth.example.org"})


def test_a_missing_redirect_is_the_only_one() -> None:
    """Without `redirect_uri` an app with one redirect gets that, and one with several is refused."""
    assert asked_redirect([REGISTERED[0]], None, OWN_ORIGINS).text == REGISTERED[0]
    for registered in (REGISTERED[:2], ()):
        with pytest.raises(InvalidRequest, match="'redirect_uri' is missing"):
            asked_redirect(registered, None, OWN_ORIGINS)


def test_what_an_earlier_version_took_does_no_harm() -> None:
    """A registered redirect that is refused today matches nothing, and the app's others still do."""
    registered = ["https://app.example.org/*", *REGISTERED]
    assert asked_redirect(registered, REGISTERED[0], OWN_ORIGINS).text == REGISTERED[0]
    with pytest.raises(InvalidRequest):
        asked_redirect(registered, "https://app.example.org/*", OWN_ORIGINS)


@given(text=st.text(max_size=80) | st.text(alphabet="htps:/.@#?%[]0127locaexmpr-\\", max_size=40))
def test_any_text(text: str) -> None:
    """Whatever is given is read or refused, and what is read is ASCII without fragment, user info or backslash."""
    for one in (text, f"https://{text}", f"https://{GOOD}/{text}", f"http://localhost:{text}"):
        try:
            redirect = parse_redirect_uri(one)
        except InvalidRequest:
            continue
        assert redirect.text.isascii()
        assert redirect.text.isprintable()
        assert not set(redirect.text) & set("#*\\ <>\"'") - {"'"}
        assert "@" not in redirect.host
        assert len(redirect.text) <= MAX_REDIRECT_CHARS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://x.example/cb", "https://x.example/cb?code=a%26b&state=%3D"),
        ("https://x.example/cb?t=1", "https://x.example/cb?t=1&code=a%26b&state=%3D"),
        ("https://x.example/cb?", "https://x.example/cb?code=a%26b&state=%3D"),
        ("https://x.example/cb?t=1&", "https://x.example/cb?t=1&code=a%26b&state=%3D"),
        ("x.y:/cb", "x.y:/cb?code=a%26b&state=%3D"),
    ],
)
def test_with_parameters(text: str, expected: str) -> None:
    """The response's parameters follow those of the redirect, percent-encoded."""
    assert with_parameters(parse_redirect_uri(text), [("code", "a&b"), ("state", "=")]) == expected
