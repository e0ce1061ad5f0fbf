"""`/logout`: where apps send a browser to sign a person out, and the page of ours that does it or asks.

`/logout` takes requests from anywhere, so no session is looked at there and nothing changes. What follows has our own
origin: a browser that comes from another site sends our cookie only then.
"""

from collections.abc import Mapping
from typing import Final

from quart import Response as Page
from quart import url_for
from quart_trio import QuartTrio

from herod.dashboard.csrf import cookie_half
from herod.dashboard.pages.signing_in.sign_in import forget_session
from herod.dashboard.pipeline_gateway import Gateway, asked
from herod.dashboard.rendering import render, see_other
from herod.operations.openid import SignOutAnswer
from herod.protocols.decode import read_form, read_query

__all__ = ["add_routes"]

REQUEST: Final = "request"
# Of a request, what herod reads; other parameters, such as `ui_locales`, are ignored (section 2).
PARAMETERS: Final = ("id_token_hint", "client_id", "post_logout_redirect_uri", "state")


def add_routes(app: QuartTrio, gateway: Gateway) -> None:
    """Add the pages of this area."""
    pages = AppSignOutPages(gateway)
    app.add_url_rule("/logout", "logout", pages.by_query)
    app.add_url_rule("/logout", "logout_post", pages.by_form, methods=["POST"])
    app.add_url_rule("/ui/logout", "sign_out_for_app", pages.show)
    app.add_url_rule("/ui/logout", "sign_out_for_app_post", pages.confirm, methods=["POST"])


class AppSignOutPages:
    """An app's request, and the answer to it."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def by_query(self) -> Page:
        """A request in the address."""
        return await self._lead_on(read_query(asked().query))

    async def by_form(self) -> Page:
        """A request in a form."""
        return await self._lead_on(read_form(asked()))

    async def show(self) -> Page:
        """Sign out if the app has shown that it means this session; else ask."""
        received = asked()
        request = read_query(received.query).get(REQUEST, "")
        answer = await self._answer({REQUEST: request})
        if answer.asks:
            return await render("app_sign_out.html", answer=answer, request=request)
        if answer.location is not None:
            page = see_other(answer.location)
            return forget_session(page) if answer.signed_out else page
        return await self._signed_out(answer)

    async def confirm(self) -> Page:
        """Sign out, since the person says so."""
        self._gateway.check_form(asked())
        fields = read_form(asked())
        return await self._signed_out(await self._answer({REQUEST: fields.get(REQUEST, ""), "is_confirmed": "true"}))

    async def _lead_on(self, fields: Mapping[str, str]) -> Page:
        received = asked()
        given = {name: fields[name] for name in PARAMETERS if fields.get(name)}
        found = await self._gateway.call_public("openid.logout", given, received.source)
        target = url_for("sign_out_for_app", request=found.request)
        # A redirect would count as coming from the other site too, and go without our cookie (SameSite=Strict).
        site = received.headers.get("sec-fetch-site", "cross-site" if cookie_half(received) is None else "same-origin")
        if site == "cross-site":
            return await render("leading_on.html", target=target)
        return see_other(target)

    async def _answer(self, fields: Mapping[str, str]) -> SignOutAnswer:
        received = asked()
        given = {**fields, "half": cookie_half(received) or ""}
        answer: SignOutAnswer = await self._gateway.call_public("openid.sign_out", given, received.source)
        return answer

    async def _signed_out(self, answer: SignOutAnswer) -> Page:
        return forget_session(await render("app_signed_out.html", answer=answer))
