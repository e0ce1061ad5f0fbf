"""The page between a right password and the second factor."""

from collections.abc import Mapping

from quart import Response as Page

from herod.dashboard.page_security import as_entry
from herod.dashboard.rendering import render
from herod.dashboard.signing_in.landing import LANDING
from herod.dashboard.signing_in.sign_in_outcome import refused
from herod_client.core.errors import HerodError, SecondFactorNeeded

__all__ = ["second_step_again", "second_step_page"]


async def second_step_page(needed: SecondFactorNeeded, *, back: str | None) -> Page:
    """The page that asks for the second factor."""
    page = await render(
        "second_step.html",
        error=None,
        pending=needed.pending,
        has_app=needed.has_app,
        has_passkey=needed.has_passkey,
        back=back,
    )
    return as_entry(page)


async def second_step_again(error: HerodError, fields: Mapping[str, str]) -> Page:
    """The same page, after a code that was refused; `fields` are those of its form."""
    page = await refused(
        "second_step.html",
        error,
        pending=fields["pending"],
        has_app="has_app" in fields,
        has_passkey="has_passkey" in fields,
        back=fields.get(LANDING),
    )
    return as_entry(page)
