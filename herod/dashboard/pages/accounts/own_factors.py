"""What a person signs in with: passkeys, an authenticator app, recovery codes. On their account page, and before it.

A person who must have a second factor and has none sees the page that sets one up, and no other.
"""

from typing import Any

from quart import Response as Page
from quart import url_for
from quart_trio import QuartTrio

from herod.dashboard.page_security import never_framed
from herod.dashboard.pages.accounts.own_account import account_page
from herod.dashboard.pages.signing_in.passkey_sign_in import json_page
from herod.dashboard.pipeline_gateway import Gateway, Visit, asked
from herod.dashboard.rendering import render, say
from herod.dashboard.signing_in.landing import LANDING, open_path, with_ticket
from herod.dashboard.signing_in.qr_codes import qr_code
from herod.dashboard.signing_in.sign_in_outcome import device_name
from herod.protocols.error_codes import row_of
from herod_client.core.errors import HerodError

__all__ = ["add_routes"]


def add_routes(app: QuartTrio, gateway: Gateway) -> None:
    """Add the pages of this area."""
    pages = OwnFactorPages(gateway)
    app.add_url_rule("/ui/account/second-factor", "second_factor", pages.set_up)
    app.add_url_rule("/ui/account/app", "account_app", pages.show_app)
    app.add_url_rule("/ui/account/app", "account_app_post", pages.enable_app, methods=["POST"])
    app.add_url_rule("/ui/account/app/remove", "account_app_remove", pages.disable_app, methods=["POST"])
    app.add_url_rule("/ui/account/recovery-codes", "recovery_codes", pages.renew_codes, methods=["POST"])
    app.add_url_rule("/ui/account/passkeys/options", "passkey_options", pages.options, methods=["POST"])
    app.add_url_rule("/ui/account/passkeys", "passkey_add", pages.enrol, methods=["POST"])
    for name in ("rename", "delete"):
        app.add_url_rule(f"/ui/account/passkeys/<id>/{name}", f"passkey_{name}", getattr(pages, name), methods=["POST"])


class OwnFactorPages:
    """Forms that the account page and the page to set up a second factor share."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def set_up(self) -> Page:
        """The page for who must have a second factor and has none; everybody else finds it on the account page."""
        return await self._set_up_page(await self._gateway.enter())

    async def show_app(self) -> Page:
        """The secret of a new authenticator app, as a code to scan and as text."""
        visit = await self._gateway.enter(leads_to="totp.begin")
        return await self._app_page(visit, {LANDING: visit.query.get(LANDING, "")})

    async def enable_app(self) -> Page:
        """Set the app up, if it shows a right code."""
        visit, fields = await self._gateway.submitted()
        try:
            made = await self._gateway.call(visit, "totp.enable", setup=fields.get("setup"), otp=fields.get("otp"))
        except HerodError as error:
            return await self._app_page(visit, fields, error)
        return await self._after(visit, fields, made.recovery_codes, "app-added")

    async def disable_app(self) -> Page:
        """Remove the app."""
        visit, _ = await self._gateway.submitted()
        try:
            await self._gateway.call(visit, "totp.disable")
        except HerodError as error:
            return await account_page(self._gateway, visit, error)
        return say(visit, "app-removed", "account")

    async def renew_codes(self) -> Page:
        """Show new recovery codes, once."""
        visit, fields = await self._gateway.submitted()
        try:
            made = await self._gateway.call(visit, "recovery.renew")
        except HerodError as error:
            return await account_page(self._gateway, visit, error)
        return await self._after(visit, fields, made.recovery_codes, "")

    async def options(self) -> Page:
        """What the script passes to the browser, as JSON. On an error it sends the form, and that page says why."""
        visit, _ = await self._gateway.submitted()
        return json_page(await self._gateway.call(visit, "passkeys.begin"))

    async def enrol(self) -> Page:
        """Enrol a passkey with what the browser answered."""
        visit, fields = await self._gateway.submitted()
        given = {name: fields.get(name, "") for name in ("name", "transports")}
        needed = {name: fields.get(name) or "-" for name in ("client_data", "attestation")}
        try:
            made = await self._gateway.call(visit, "passkeys.enrol", **given, **needed)
        except HerodError as error:
            if visit.who.needs_second_factor is True:
                return await self._set_up_page(visit, error)
            return await account_page(self._gateway, visit, error)
        return await self._after(visit, fields, made.recovery_codes, "passkey-added")

    async def rename(self, id: str) -> Page:
        """Give a passkey another name."""
        visit, fields = await self._gateway.submitted()
        try:
            await self._gateway.call(visit, "passkeys.rename", id=id, name=fields.get("name") or " ")
        except HerodError as error:
            return await account_page(self._gateway, visit, error)
        return say(visit, "passkey-renamed", "account")

    async def delete(self, id: str) -> Page:
        """Delete a passkey."""
        visit, _ = await self._gateway.submitted()
        try:
            await self._gateway.call(visit, "passkeys.delete", id=id)
        except HerodError as error:
            return await account_page(self._gateway, visit, error)
        return say(visit, "passkey-deleted", "account")

    async def _after(self, visit: Visit, fields: dict[str, str], codes: list[str] | None, word: str) -> Page:
        """The recovery codes that were made, to be kept; or the account page."""
        if codes is None:
            return say(visit, word, "account")
        runtime, now = self._gateway.pipeline.runtime, self._gateway.pipeline.now()
        usual = url_for("overview" if visit.who.needs_second_factor is True else "account")
        wanted = open_path(runtime, fields.get(LANDING), now) or usual
        page = await render("recovery_codes.html", visit, codes=codes, onward=with_ticket(wanted, visit.ticket))
        return never_framed(page)

    async def _set_up_page(self, visit: Visit, error: HerodError | None = None) -> Page:
        back = visit.query.get(LANDING, "")
        status = 200 if error is None else row_of(error).http
        values: dict[str, Any] = {"back": back, "device": device_name(asked()), "error": error}
        return never_framed(await render("second_factor.html", visit, status=status, **values))

    async def _app_page(self, visit: Visit, fields: dict[str, str], error: HerodError | None = None) -> Page:
        begun = await self._gateway.call(visit, "totp.begin", setup=fields.get("setup"))
        status = 200 if error is None else row_of(error).http
        page = await render(
            "authenticator_app.html",
            visit,
            status=status,
            error=error,
            begun=begun,
            qr=qr_code(begun.address),
            back=fields.get(LANDING, ""),
        )
        return never_framed(page)
