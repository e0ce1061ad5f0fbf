"""Sign-in from a terminal (`herod ui`): a page that says whose session a code opens, and the form that opens it.

Must never open a session by the URL alone: `csrf.py` says why.
"""

from http import HTTPStatus

from quart import Response as Page
from quart_trio import QuartTrio

from herod.dashboard.pages.signing_in.sign_in import sign_in_page
from herod.dashboard.pipeline_gateway import Gateway, asked
from herod.dashboard.rendering import render
from herod.dashboard.signing_in.sign_in_outcome import opening, signed_in
from herod.protocols.decode import read_form, read_query
from herod_client.core.errors import HerodError

__all__ = ["add_routes"]


def add_routes(app: QuartTrio, gateway: Gateway) -> None:
    """Add the pages of this area."""
    pages = TerminalSignInPage(gateway)
    app.add_url_rule("/ui/code", "code", pages.show)
    app.add_url_rule("/ui/code", "code_post", pages.redeem, methods=["POST"])


class TerminalSignInPage:
    """The question, and what confirming it does."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def show(self) -> Page:
        """Say whose session the code opens, and ask."""
        received = asked()
        try:
            code = read_query(received.query).get("code", "")
            offer = await self._gateway.call_public("session.offer", {"code": code}, received.source)
        except HerodError as error:
            return await sign_in_page(error=error)
        return await render("code.html", status=HTTPStatus.OK, offer=offer, code=code)

    async def redeem(self) -> Page:
        """Open the session."""
        received = asked()
        try:
            self._gateway.check_form(received)
            fields = {**read_form(received), **opening(received)}
            opened = await self._gateway.call_public("session.redeem", fields, received.source)
        except HerodError as error:
            return await sign_in_page(error=error)
        return signed_in(self._gateway, opened.cookie)
