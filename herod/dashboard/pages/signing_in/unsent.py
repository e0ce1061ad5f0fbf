"""A form that was not sent because its sign-in was too old: what is in it, and the button that sends it now."""

from collections.abc import Mapping

from quart import Response as Page
from quart import url_for
from quart_trio import QuartTrio

from herod.dashboard.pipeline_gateway import Gateway
from herod.dashboard.rendering import render, see_other
from herod.dashboard.signing_in.landing import with_ticket
from herod.dashboard.signing_in.unsent_forms import kept_form

__all__ = ["add_routes"]


def add_routes(app: QuartTrio, gateway: Gateway) -> None:
    """Add the page."""
    app.add_url_rule("/ui/unsent", "unsent", UnsentPage(gateway).show)


class UnsentPage:
    """One page."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def show(self) -> Page:
        """The form, to be sent by who filled it in; for everybody else the first page."""
        visit = await self._gateway.enter()
        pipeline = self._gateway.pipeline
        form = kept_form(pipeline.runtime, visit.query.get("form", ""), sub=visit.who.sub, now=pipeline.now())
        if form is None:
            return see_other(with_ticket(url_for("overview"), visit.ticket))
        return await render("unsent.html", visit, form=form, shown=_shown(form.fields))


def _shown(fields: Mapping[str, str]) -> dict[str, str]:
    """The filled-in fields as people read them: the ticked boxes of a group in one line."""
    shown: dict[str, str] = {}
    for name, value in fields.items():
        group, colon, box = name.partition(":")
        text = box if colon else value
        if text:
            shown[group] = f"{shown[group]}, {text}" if group in shown else text
    return {name.replace("_", " ").capitalize(): text for name, text in shown.items()}
