"""Browser sign-in for tests: sends the forms and returns the cookies."""

import re
from urllib.parse import quote

from herod.scopes.principal import Source
from support.herod_in_memory import PASSWORD, TCP, Answer, Harness

__all__ = ["EMAIL", "GOOD", "OWN", "cookie_of", "open_session", "page_after", "sign_in", "sign_in_by_key", "text"]

EMAIL = "ada@example.org"
OWN = {"origin": "http://localhost", "sec-fetch-site": "same-origin"}
GOOD = f"email={EMAIL}&password={PASSWORD.replace(' ', '+')}"


def text(answer: Answer) -> str:
    """The page's HTML."""
    return answer.response.body.decode()


def cookie_of(answer: Answer) -> dict[str, str]:
    """The Cookie header that returns the answer's cookie."""
    return {"cookie": answer.headers["set-cookie"].partition(";")[0]}


async def sign_in(harness: Harness, *, form: str = GOOD, source: Source = TCP, **headers: str) -> Answer:
    """Send the sign-in form, as a browser does."""
    scheme = "https" if source.secure else "http"
    return await harness.request(
        "POST", "/ui/sign-in", form=form, source=source, headers={**OWN, "origin": f"{scheme}://localhost", **headers}
    )


async def sign_in_by_key(harness: Harness, key: str) -> Answer:
    """Send the form for API keys, as a browser does."""
    return await harness.request("POST", "/ui/sign-in/key", form=f"key={quote(key)}", headers=OWN)


async def page_after(harness: Harness, shown: str) -> str:
    """Sign in with the form of a shown page, and return the page that this leads to, without its ticket."""
    backs = set(re.findall(r'<input type="hidden" name="back" value="([A-Za-z0-9_-]+)">', shown))
    assert len(backs) <= 1, "the ways to sign in on one page lead to the same page"
    answer = await sign_in(harness, form=GOOD + "".join(f"&back={back}" for back in backs))
    assert answer.status == 303
    location = answer.headers["location"]
    assert (await harness.request("GET", location, headers={**OWN, **cookie_of(answer)})).status == 200
    return re.sub(r"[?&]ticket=[0-9A-Za-z]+\Z", "", location)


async def open_session(harness: Harness) -> tuple[dict[str, str], str]:
    """The browser's cookie, and the address that the sign-in redirects to."""
    answer = await sign_in(harness)
    assert answer.status == 303
    return cookie_of(answer), answer.headers["location"]
