"""The first page of a new installation: how to create the first admin, and a form for it with a code from a file.

Must never help a visitor who merely comes first: the page says where the code is, not what it is.
"""

from http import HTTPStatus

from quart import Response as Page
from quart import url_for
from quart_trio import QuartTrio

from herod.dashboard.pipeline_gateway import Gateway, asked
from herod.dashboard.rendering import render, see_other
from herod.dashboard.signing_in.landing import LANDING, landing_of
from herod.dashboard.signing_in.sign_in_outcome import opening, refused, signed_in
from herod.protocols.decode import read_form
from herod.protocols.http import Request
from herod_client.core.errors import HerodError, InvalidRequest, Unavailable

__all__ = ["add_routes", "first_run_page"]


def add_routes(app: QuartTrio, gateway: Gateway) -> None:
    """Add the pages of this area."""
    pages = FirstRunPage(gateway)
    app.add_url_rule("/ui/first-run", "first_run", pages.show)
    app.add_url_rule("/ui/first-run", "first_run_post", pages.create, methods=["POST"])


class FirstRunPage:
    """One form."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def show(self) -> Page:
        """The form, while there is no admin; a redirect to the first page otherwise."""
        received = asked()
        try:
            status = await self._gateway.call_public("first_admin.status", {}, received.source)
        except Unavailable:  # creating one would say why
            return see_other(url_for("front"))
        return await first_run_page(back=landing_of(received)) if status.is_needed else see_other(url_for("front"))

    async def create(self) -> Page:
        """Create the first admin, and sign them in."""
        received = asked()
        fields: dict[str, str] = {}
        back = None
        try:
            self._gateway.check_form(received)
            fields = read_form(received)
            back = fields.pop(LANDING, None)
            opened = await self._create(received, fields)
        except HerodError as error:
            kept = {name: fields.get(name, "") for name in ("email", "name")}
            template = "sign_in.html" if error.reason == "admin_exists" else "first_run.html"
            return await refused(template, error, back=back, **kept)
        return signed_in(self._gateway, opened, back=back)

    async def _create(self, received: Request, fields: dict[str, str]) -> str:
        given = {name: text for name, text in fields.items() if name not in ("again", "name", "code")}
        if fields.get("again", "") != fields.get("password", ""):
            raise InvalidRequest("The two passwords differ: type them again.")
        given["code"] = fields.get("code", "").strip()
        if fields.get("name", "").strip():
            given["name"] = fields["name"]
        opened = await self._gateway.call_public("first_admin.create", {**given, **opening(received)}, received.source)
        cookie: str = opened.cookie
        return cookie


async def first_run_page(*, back: str | None) -> Page:
    """The page that says how to create the first admin; then one goes on to `back`, if that is given."""
    return await render("first_run.html", status=HTTPStatus.OK, error=None, email="", name="", back=back)
