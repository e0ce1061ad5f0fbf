"""The Quart application with herod's pages, and the headers of every response.

Handlers must be `async` and must never block without a checkpoint: the server aborts a page by cancelling it.
"""

import json
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from shlex import quote
from typing import Final

from quart import Response as Page
from quart import g, url_for
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from herod.dashboard.page_security import FORGET_STORAGE, PageSecurity, is_framed
from herod.dashboard.pages import audit, connect, explain, legacy, overview, peers, resources, sessions
from herod.dashboard.pages.accounts import keys, own_account, own_factors, users
from herod.dashboard.pages.apps import app_consent, app_device, app_requests, app_sign_out, approvals, apps
from herod.dashboard.pages.signing_in import first_run, passkey_sign_in, resume, sign_in, terminal_sign_in, unsent
from herod.dashboard.pipeline_gateway import Gateway, SetUpNeeded, SignInAgain, SignInNeeded, asked
from herod.dashboard.rendering import render, see_other
from herod.dashboard.signing_in.landing import LANDING, leads_to_consent, page_to_return_to, seal_path, with_ticket
from herod.dashboard.signing_in.passkey_page import passkey_place
from herod.dashboard.static_files import Assets
from herod.pipeline.admission import SIGN_IN_AGAIN
from herod.pipeline.operation_definition import Operation
from herod.pipeline.pipeline import Pipeline
from herod.protocols.error_codes import row_of
from herod.protocols.http import MAX_BODY
from herod_client.core.errors import HerodError, Unauthenticated

__all__ = ["make_app"]

# The areas, in the order of the menu. A module has `add_routes(app, gateway)`, and its own entry in
# `pipeline_gateway.MENU`.
AREAS: Final = (
    overview,
    users,
    keys,
    apps,
    own_account,
    own_factors,
    peers,
    approvals,
    sessions,
    resources,
    legacy,
    audit,
    explain,
    connect,
)


def make_app(
    pipeline: Pipeline, operations: Mapping[str, Operation], *, frame_origins: frozenset[str] = frozenset()
) -> QuartTrio:
    """Build the application; it expects herod's own request in `scope["state"]["request"]`.

    Args:
        pipeline: runs every operation.
        operations: the operation table.
        frame_origins: origins that may show the pages in a frame, and tell them which theme to use.
    """
    app = QuartTrio("herod.dashboard", static_folder=None)
    app.debug = False  # even with QUART_DEBUG: tracebacks belong in the log
    app.config.update(MAX_CONTENT_LENGTH=MAX_BODY, PROVIDE_AUTOMATIC_OPTIONS=False)
    app.url_map.merge_slashes = False  # no redirects by Werkzeug
    app.url_map.strict_slashes = True
    assets = Assets()
    app.jinja_env.filters.update(shell_word=quote, python_text=json.dumps)
    app.jinja_env.globals.update(
        assets=assets.paths,
        version=pipeline.runtime.config.version,
        idle_seconds=pipeline.runtime.config.session_idle,
        frame_origins=" ".join(sorted(frame_origins)),
        passkeys=lambda: passkey_place(pipeline.runtime.config),
        leads_to_consent=lambda back: leads_to_consent(pipeline.runtime, back, pipeline.now()),
    )
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    gateway = Gateway(pipeline, operations)
    assets.add_routes(app)
    sign_in.add_routes(app, gateway)
    resume.add_routes(app, gateway)
    first_run.add_routes(app, gateway)
    terminal_sign_in.add_routes(app, gateway)
    app_requests.add_routes(app, gateway)
    app_consent.add_routes(app, gateway)
    app_device.add_routes(app, gateway)
    passkey_sign_in.add_routes(app, gateway)
    app_sign_out.add_routes(app, gateway)
    unsent.add_routes(app, gateway)
    for area in AREAS:
        area.add_routes(app, gateway)
    app.register_error_handler(HTTPException, _refuse)
    app.register_error_handler(SignInNeeded, partial(_lead_to_front, gateway))
    app.register_error_handler(SignInAgain, partial(_sign_in_again, gateway))
    app.register_error_handler(SetUpNeeded, partial(_set_up_first, gateway))
    app.register_error_handler(HerodError, partial(_say_problem, gateway))
    app.after_request(PageSecurity(frame_origins).protect)
    return app


async def _lead_to_front(gateway: Gateway, error: SignInNeeded) -> Page:
    """Lead a visitor without a session to the front page, which leads on to the page that they wanted."""
    wanted = _page_wanted(gateway)
    if is_framed(asked()):
        return await sign_in.framed_page(back=wanted)
    return see_other(url_for("front") if wanted is None else f"{url_for('front')}?{LANDING}={wanted}")


async def _sign_in_again(gateway: Gateway, again: SignInAgain) -> Page:
    """The sign-in page for a session that is too old; it leads back."""
    return await _sign_in_page_of_before(gateway, again.error)


async def _set_up_first(gateway: Gateway, needed: SetUpNeeded) -> Page:
    """Lead a visitor to the page that sets up a second factor, which leads on to the page that they wanted."""
    wanted = _page_wanted(gateway)
    return see_other(
        with_ticket(url_for("second_factor") + ("" if wanted is None else f"?{LANDING}={wanted}"), needed.ticket)
    )


async def _say_problem(gateway: Gateway, error: HerodError) -> Page:
    """The page for an operation's error that the page itself does not handle."""
    if isinstance(error, Unauthenticated):  # their session has ended
        return await _sign_in_page_of_before(gateway, error)
    return await render("problem.html", status=row_of(error).http, error=error)


async def _sign_in_page_of_before(gateway: Gateway, error: HerodError) -> Page:
    """The sign-in page for who was signed in until now: it leads to the page that they wanted, or were on."""
    page = await sign_in.sign_in_page(error=error, is_again=True, back=_page_wanted(gateway))
    if isinstance(error, Unauthenticated) and error.reason != SIGN_IN_AGAIN:  # the session has ended
        page.headers["Clear-Site-Data"] = FORGET_STORAGE
    return page


def _page_wanted(gateway: Gateway) -> str | None:
    """The page that this request asked for, or whose form it sent, sealed; None for the first page and for others."""
    unsent = g.get("unsent")
    target = page_to_return_to(asked()) if unsent is None else url_for("unsent", form=unsent)
    if target is None or target == url_for("overview"):
        return None
    return seal_path(gateway.pipeline.runtime, target, gateway.pipeline.now())


async def _refuse(error: HTTPException) -> Page:
    """The page for Quart's own errors; internal errors reveal no details."""
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    page = await render("refused.html", status=status, phrase=HTTPStatus(status))
    if isinstance(error, MethodNotAllowed):
        page.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
    return page
