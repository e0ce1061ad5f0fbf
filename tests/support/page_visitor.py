"""A user at the pages of a harness: signs in, follows links and sends forms, as a browser without scripts does."""

import html
import re
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlencode

from herod.dashboard.quart_app import make_app
from herod.operations.operation_table import OPERATIONS
from herod.protocols.host_and_origin_guard import Guard
from herod.protocols.router import Router
from herod.server.dashboard_requests import PageRequests
from support.herod_in_memory import PASSWORD, Answer, Harness

OWN = {"origin": "http://localhost", "sec-fetch-site": "same-origin"}


def open_pages(harness: Harness) -> None:
    """Enable the dashboard of a harness."""
    pages = PageRequests(partial(make_app, harness.pipeline, OPERATIONS))
    harness.router = Router(harness.pipeline, OPERATIONS, Guard(), pages)


@dataclass
class Visitor:
    """A signed-in browser."""

    harness: Harness
    client_id: str
    cookie: dict[str, str]
    ticket: str

    async def get(self, path: str, **query: str) -> Answer:
        """Get a page."""
        target = f"{path}?{urlencode({**query, 'ticket': self.ticket})}"
        return await self.harness.request("GET", target, headers={**self.cookie, "sec-fetch-site": "same-origin"})

    async def read(self, path: str, *, status: int = 200, **query: str) -> str:
        """Get a page's HTML."""
        answer = await self.get(path, **query)
        assert answer.status == status, text(answer)
        return text(answer)

    async def send(self, path: str, **fields: str) -> Answer:
        """Send a form; `scope_read` is the checkbox `scope:read`."""
        given = {re.sub("^scope_", "scope:", name).rstrip("_"): value for name, value in fields.items()}
        form = urlencode({**given, "ticket": self.ticket}, errors="surrogatepass")
        return await self.harness.request("POST", path, form=form, headers={**OWN, **self.cookie})

    async def do(self, path: str, **fields: str) -> str:
        """Send a form that redirects, and read the page it redirects to."""
        answer = await self.send(path, **fields)
        assert answer.status == 303, text(answer)
        target = answer.headers["location"]
        return text(await self.harness.request("GET", target, headers={**OWN, **self.cookie}))


async def visit(harness: Harness, email: str = "ada@example.org", scope: str = "admin", name: str = "Ada") -> Visitor:
    """Sign in as a new user."""
    user = await harness.user(scope=scope, email=email, name=name, password=PASSWORD)
    return await sign_in(harness, email, user.client_id)


async def sign_in(harness: Harness, email: str, client_id: str, password: str = PASSWORD) -> Visitor:
    """Sign in with the form."""
    form = urlencode({"email": email, "password": password})
    answer = await harness.request("POST", "/ui/sign-in", form=form, headers=OWN)
    assert answer.status == 303, text(answer)
    cookie = {"cookie": answer.headers["set-cookie"].partition(";")[0]}
    return Visitor(harness, client_id, cookie, answer.headers["location"].partition("ticket=")[2])


def text(answer: Answer) -> str:
    """The page's HTML."""
    return answer.response.body.decode()


def secret_of(page: str) -> str:
    """The secret that a page shows."""
    (found,) = re.findall(r'<output id="secret"[^>]*>([^<]+)</output>', page)
    return html.unescape(found)


def rows(page: str) -> list[str]:
    """The names in a page's table, in order."""
    return [html.unescape(name) for name in re.findall(r'<th scope="row"><a [^>]*>(.*?)</a></th>', page, re.DOTALL)]


def said(page: str) -> str:
    """The message that a page shows about the form that was sent."""
    found = re.findall(r'role="alert"[^>]*>(.*?)</p>', page, re.DOTALL) or re.findall(
        r'<p class="toast good">(.*?)</p>', page
    )
    return html.unescape(re.sub("<[^>]+>", "", found[0])) if found else ""
