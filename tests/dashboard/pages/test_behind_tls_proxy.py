"""TLS ends at a proxy in front, which keeps Host: cookies and origins are those of the https public URL."""

import pytest

from dashboard.browser_sign_in import EMAIL, GOOD, cookie_of
from herod.protocols.host_and_origin_guard import Guard
from herod.scopes.principal import Source
from support.herod_in_memory import ADMIN_SOURCE, TCP, Answer, Harness

PROXIED = {"host": "auth.example.org", "origin": "https://auth.example.org", "sec-fetch-site": "same-origin"}


@pytest.fixture
def proxied(dashboard: Harness) -> Harness:
    """A harness with pages and an https public URL, whose Host the guard knows as it does from the settings."""
    dashboard.configure(public_url="https://auth.example.org")
    vars(dashboard.router)["_guard"] = Guard(frozenset({"auth.example.org"}))
    return dashboard


async def sign_in(proxied: Harness, source: Source = TCP, **headers: str) -> Answer:
    """Send the sign-in form as a browser behind the proxy does."""
    return await proxied.request("POST", "/ui/sign-in", form=GOOD, headers={**PROXIED, **headers}, source=source)


@pytest.mark.parametrize("host", ["auth.example.org", "Auth.Example.org", "auth.example.org:443"])
@pytest.mark.parametrize("source", [TCP, ADMIN_SOURCE])
async def test_the_cookie_is_for_tls_alone(proxied: Harness, host: str, source: Source) -> None:
    """Over TCP and the Unix socket the cookie is Secure and has the prefix, and signing out deletes that one."""
    answer = await sign_in(proxied, source, host=host)
    name, *flags = (part.strip() for part in answer.headers["set-cookie"].split(";"))
    assert name.startswith("__Host-herod_session=")
    assert set(flags) == {"HttpOnly", "SameSite=Strict", "Path=/", "Secure"}
    sent, home = {**PROXIED, **cookie_of(answer), "host": host}, answer.headers["location"]
    page = await proxied.request("GET", home, headers=sent, source=source)
    assert page.status == 200
    assert EMAIL in page.response.body.decode() or "Sign out" in page.response.body.decode()
    ticket = home.partition("ticket=")[2]
    out = await proxied.request("POST", "/ui/sign-out", form=f"ticket={ticket}", headers=sent, source=source)
    assert out.headers["set-cookie"].startswith("__Host-herod_session=;")
    assert "Secure" in out.headers["set-cookie"]


async def test_a_cookie_that_was_sent_in_the_clear(proxied: Harness) -> None:
    """At the https public URL a cookie without the prefix, which any http page of the host can set, is nobody's."""
    answer = await sign_in(proxied)
    plain = {"cookie": cookie_of(answer)["cookie"].removeprefix("__Host-")}
    assert (await proxied.request("GET", answer.headers["location"], headers={**PROXIED, **plain})).status == 303


async def test_a_page_of_the_same_host_over_http(proxied: Harness) -> None:
    """A page that somebody on the network put at http://auth.example.org cannot send forms."""
    answer = await sign_in(proxied, origin="http://auth.example.org")
    assert answer.status == 403
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("host", ["localhost", "localhost:3350", "auth.example.org:3350", "auth.example.org:80"])
async def test_other_hosts_are_plain_http(proxied: Harness, host: str) -> None:
    """Elsewhere than at the public URL nothing speaks TLS: the cookie is as without a proxy."""
    answer = await sign_in(proxied, host=host, origin=f"http://{host.removesuffix(':80')}")
    if host != "auth.example.org:80":
        assert answer.headers["set-cookie"].startswith("herod_session=")
        assert "Secure" not in answer.headers["set-cookie"]
    else:  # no browser writes the port of its scheme
        assert answer.status == 403
