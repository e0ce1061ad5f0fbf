"""A person who signs in, consents and signs out at a real daemon, by its forms alone: no script runs."""

import base64
import hashlib
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Self
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import httpx2

from support.real_daemon import Daemon

__all__ = ["CALLBACK", "EMAIL", "PASSWORD", "PersonAtForms", "add_person", "register_app", "tokens_for"]

CALLBACK = "http://localhost:5003/callback"  # nobody listens there: the address is enough

EMAIL = "ada@example.org"
PASSWORD = "correct horse battery staple"


@dataclass
class Form:
    """A form of a page, as it would be sent: hidden fields and ticked boxes."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.refresh: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self.forms.append(Form(given.get("action") or ""))
        elif tag == "meta" and given.get("http-equiv") == "refresh":
            self.refresh = (given.get("content") or "").partition("url=")[2]
        elif tag == "input" and self.forms and given.get("name"):
            is_sent = given.get("type") == "hidden" or (given.get("type") == "checkbox" and "checked" in given)
            if is_sent and "disabled" not in given:
                self.forms[-1].fields[str(given["name"])] = given.get("value") or "on"


class PersonAtForms:
    """A browser without script, with the cookies of one person.

    Args:
        daemon: where they have an account.
    """

    def __init__(self, daemon: Daemon) -> None:
        self.base = daemon.public_url
        self.http = httpx2.Client(trust_env=False, timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def allow(self, url: str, *scopes: str) -> str:
        """Open an app's link to `/authorize`, sign in, tick these scopes and allow; the address back at the app."""
        page = self._until_page_or_app(url)
        if isinstance(page, str):
            return page
        page = self._signed_in(page)
        if isinstance(page, str):
            return page
        consent = self._form(page, "/ui/consent")
        ticked = {f"scope:{name}": "on" for name in scopes}
        return self._led_away(self._send("/ui/consent", {**consent.fields, **ticked, "decision": "allow"}))

    def sign_out(self, url: str, *, is_asked: bool) -> str | None:
        """Open an app's link to `/logout`, and agree if asked; the address back at the app, if there is one."""
        page = self._until_page_or_app(url)
        if isinstance(page, str):
            assert not is_asked
            return page
        if is_asked:
            page = self._send("/ui/logout", self._form(page, "/ui/logout").fields)
        assert "You are signed out" in page.text, page.text
        parsed = _Forms()
        parsed.feed(page.text)
        return parsed.refresh

    def _signed_in(self, page: httpx2.Response) -> httpx2.Response | str:
        form = self._form(page, "/ui/sign-in")
        sent = self._send("/ui/sign-in", {**form.fields, "email": EMAIL, "password": PASSWORD})
        return self._until_page_or_app(urljoin(self.base, sent.headers["location"]), site="same-origin")

    def _until_page_or_app(self, url: str, *, site: str = "cross-site") -> httpx2.Response | str:
        """Follow redirects within herod; the page that they lead to, or the address that is not herod's."""
        for _ in range(10):
            if not url.startswith(self.base + "/"):
                return url
            answer = self.http.get(url, headers={"sec-fetch-site": site})
            if answer.status_code != 303:
                assert answer.status_code == 200, answer.text
                parsed = _Forms()
                parsed.feed(answer.text)
                if parsed.refresh is None or "You are signed out" in answer.text:
                    return answer
                url, site = urljoin(url, parsed.refresh), "same-origin"
                continue
            url = urljoin(url, answer.headers["location"])
        raise AssertionError(url)

    def _send(self, path: str, fields: dict[str, str]) -> httpx2.Response:
        return self.http.post(
            self.base + path, data=fields, headers={"origin": self.base, "sec-fetch-site": "same-origin"}
        )

    def _led_away(self, answer: httpx2.Response) -> str:
        parsed = _Forms()
        parsed.feed(answer.text)
        assert parsed.refresh is not None, answer.text
        assert urlsplit(parsed.refresh).netloc != urlsplit(self.base).netloc
        return parsed.refresh

    def _form(self, page: httpx2.Response, action: str) -> Form:
        parsed = _Forms()
        parsed.feed(page.text)
        found = [form for form in parsed.forms if form.action == action]
        assert found, page.text
        return found[0]


def add_person(daemon: Daemon, *, scope: str = "write") -> str:
    """Give the person an account; its client_id."""
    params = {"email": EMAIL, "name": "Ada Lovelace", "password": PASSWORD, "scope": scope}
    answer = daemon.rpc("users.add", params, "-H", f"Authorization: Peer {daemon.cookie}")
    client_id: str = answer["result"]["client_id"]
    return client_id


def register_app(daemon: Daemon, **fields: object) -> tuple[str, str | None]:
    """Register an app as an admin does; its client_id and, unless it is public, its secret."""
    answer = daemon.rpc("apps.add", fields, "-H", f"Authorization: Peer {daemon.cookie}")
    assert "result" in answer, answer
    return answer["result"]["client_id"], answer["result"]["client_secret"]


def tokens_for(
    person: PersonAtForms, client_id: str, secret: str | None, *, resource: str, scope: str = "openid write"
) -> dict[str, str]:
    """The tokens of an app, whose redirect is `CALLBACK`, that a person lets act for them with all of that scope."""
    verifier = "v" * 48
    query = {
        "client_id": client_id,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": scope,
        "resource": resource,
        "code_challenge": base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    back = person.allow(f"{person.base}/authorize?{urlencode(query)}", *scope.split())
    form = {
        "grant_type": "authorization_code",
        "code": dict(parse_qsl(urlsplit(back).query))["code"],
        "redirect_uri": CALLBACK,
        "code_verifier": verifier,
        "client_id": client_id,
        "client_secret": secret or "",
        "resource": resource,
    }
    answer = httpx2.post(f"{person.base}/token", data=form, trust_env=False)
    assert answer.status_code == 200, answer.text
    found: dict[str, str] = answer.json()
    return found
