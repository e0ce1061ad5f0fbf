"""Going on with a session in a new tab: a page of ours proves, with what our origin's storage holds, that it may.

The front page has the form, and a script fills it in if the storage holds a proof; without script one signs in.
`resume_or` is such a page for somebody who is waiting elsewhere (`prompt=none`): without a session it leads on at once.

Must never resume in a frame or for a script's own request: only a window that goes on to our page gets a ticket, and no
other page can look into that (`csrf.py`, `page_security.py`).
"""

from http import HTTPStatus
from typing import Final

from quart import Response as Page
from quart import url_for
from quart_trio import QuartTrio

from herod.dashboard.csrf import check_window, resumed_session
from herod.dashboard.page_security import FORGET_STORAGE, as_entry
from herod.dashboard.pages.signing_in.sign_in import sign_in_page
from herod.dashboard.pipeline_gateway import Gateway, asked
from herod.dashboard.rendering import render, see_other
from herod.dashboard.signing_in.landing import LANDING, open_path, seal_path, with_ticket
from herod.identity.people.session_secrets import COOKIE_CHARACTERS
from herod.protocols.decode import read_form
from herod_client.core.errors import ExpiredToken, HerodError, Unauthenticated

__all__ = ["add_routes", "resume_or"]

PROOF: Final = "proof"
OTHERWISE: Final = "otherwise"


def add_routes(app: QuartTrio, gateway: Gateway) -> None:
    """Add the form's address."""
    pages = ResumePage(gateway)
    app.add_url_rule("/ui/resume", "resume", pages.resume, methods=["POST"])


class ResumePage:
    """What the form does."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def resume(self) -> Page:
        """Lead a browser that has shown both halves to the page that it wanted, signed in as before."""
        received = asked()
        fields: dict[str, str] = {}
        try:
            self._gateway.check_form(received)
            fields = read_form(received)
            self._gateway.check_form(received, check_window)
            session = resumed_session(self._gateway.pipeline.runtime.keyring, received, fields.get(PROOF, ""))
            if session is None:
                return await self._without(fields, None)
            await self._gateway.call_public("session.resume", {}, received.source, presented=session)
        except HerodError as error:
            return await self._without(fields, error)
        path = self._path(fields, LANDING) or url_for("overview")
        return as_entry(see_other(with_ticket(path, session.text[COOKIE_CHARACTERS:])))

    async def _without(self, fields: dict[str, str], error: HerodError | None) -> Page:
        """The sign-in page, or where somebody without a session is to go; the browser forgets a proof that is void."""
        otherwise = self._path(fields, OTHERWISE)
        if otherwise is not None:
            page = as_entry(see_other(otherwise))
        else:
            # Whose session has ended reads that; who never had one, or whose browser is odd, just signs in.
            told = error if isinstance(error, ExpiredToken) else None
            page = await sign_in_page(error=told, is_again=told is not None, back=fields.get(LANDING))
        if error is None or isinstance(error, Unauthenticated):
            page.headers["Clear-Site-Data"] = FORGET_STORAGE
        return page

    def _path(self, fields: dict[str, str], name: str) -> str | None:
        return open_path(self._gateway.pipeline.runtime, fields.get(name), self._gateway.pipeline.now())


async def resume_or(gateway: Gateway, *, back: str, otherwise: str) -> Page:
    """A page that leads a browser with a session to one page of ours, and every other browser to another one.

    Nobody is asked anything; without script the page has a link to the second page.

    Args:
        gateway: knows the keys.
        back: `/ui/…`, with its query: the page for who is signed in; it gets a ticket.
        otherwise: `/ui/…`, with its query: the page for who is not, which must need no ticket.
    """
    runtime, now = gateway.pipeline.runtime, gateway.pipeline.now()
    return await render(
        "resuming.html",
        status=HTTPStatus.OK,
        back=seal_path(runtime, back, now),
        otherwise=seal_path(runtime, otherwise, now),
        otherwise_path=otherwise,
    )
