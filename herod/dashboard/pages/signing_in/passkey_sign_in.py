"""Signing in with a passkey, or with a code after the password. The script `passkeys.js` fills the passkey's form."""

from typing import Final

import msgspec
from quart import Response as Page
from quart_trio import QuartTrio

from herod.dashboard.pages.signing_in.second_step import second_step_again
from herod.dashboard.pages.signing_in.sign_in import sign_in_page
from herod.dashboard.pipeline_gateway import Gateway, asked
from herod.dashboard.signing_in.landing import LANDING
from herod.dashboard.signing_in.sign_in_outcome import opening, signed_in
from herod.protocols.decode import read_form
from herod_client.core.errors import HerodError

__all__ = ["PASSKEY_FIELDS", "add_routes", "json_page"]

PASSKEY_FIELDS: Final = ("credential", "client_data", "authenticator_data", "signature", "user_handle")


def add_routes(app: QuartTrio, gateway: Gateway) -> None:
    """Add the addresses of the forms."""
    pages = PasskeySignIn(gateway)
    app.add_url_rule("/ui/sign-in/passkey/options", "sign_in_passkey_options", pages.options, methods=["POST"])
    app.add_url_rule("/ui/sign-in/passkey", "sign_in_passkey", pages.sign_in, methods=["POST"])
    app.add_url_rule("/ui/sign-in/code", "sign_in_code", pages.confirm, methods=["POST"])


class PasskeySignIn:
    """What the forms do."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def options(self) -> Page:
        """What the script passes to the browser, as JSON. On an error it sends the form, and that page says why."""
        received = asked()
        self._gateway.check_form(received)
        options = await self._gateway.call_public("session.passkey_begin", {}, received.source)
        return json_page(options)

    async def sign_in(self) -> Page:
        """Sign in with what the passkey answered."""
        received = asked()
        back, credential = None, ""
        try:
            self._gateway.check_form(received)
            fields = read_form(received)
            back, credential = fields.get(LANDING), fields.get("credential", "")
            given = {name: fields.get(name, "") for name in PASSKEY_FIELDS}
            opened = await self._gateway.call_public("session.passkey", {**given, **opening(received)}, received.source)
        except HerodError as error:
            unknown = credential if error.reason == "unknown_passkey" else None
            return await sign_in_page(error=error, back=back, unknown_passkey=unknown)
        return signed_in(self._gateway, opened.cookie, back=back)

    async def confirm(self) -> Page:
        """Sign in with a code, after the right password."""
        received = asked()
        fields: dict[str, str] = {}
        try:
            self._gateway.check_form(received)
            fields = read_form(received)
            given = {"pending": fields.get("pending", ""), "otp": fields.get("otp", "")}
            opened = await self._gateway.call_public("session.confirm", {**given, **opening(received)}, received.source)
        except HerodError as error:
            if error.reason == "sign_in_over" or not fields.get("pending"):
                return await sign_in_page(error=error, back=fields.get(LANDING))
            return await second_step_again(error, fields)
        return signed_in(self._gateway, opened.cookie, back=fields.get(LANDING))


def json_page(answer: msgspec.Struct) -> Page:
    """An answer for a script of our own page."""
    return Page(msgspec.json.encode(answer), 200, content_type="application/json")
