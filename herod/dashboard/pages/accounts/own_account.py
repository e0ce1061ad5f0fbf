"""Your account: its password, client secret and second factors, and the apps that act for it."""

from quart import Response as Page
from quart_trio import QuartTrio

from herod.dashboard.apps.connected_apps import connected_apps
from herod.dashboard.page_security import never_framed
from herod.dashboard.pages.signing_in.sign_in import forget_session, sign_in_page
from herod.dashboard.pipeline_gateway import Gateway, Visit, asked
from herod.dashboard.rendering import render, say
from herod.dashboard.signing_in.sign_in_outcome import device_name
from herod.protocols.challenges import challenges
from herod.protocols.error_codes import row_of
from herod_client.core.errors import HerodError, InvalidRequest

__all__ = ["account_page", "add_routes", "signed_out_page"]


def add_routes(app: QuartTrio, gateway: Gateway) -> None:
    """Add the pages of this area."""
    pages = OwnAccountPage(gateway)
    app.add_url_rule("/ui/account", "account", pages.show)
    app.add_url_rule("/ui/account/password", "account_password", pages.password, methods=["POST"])
    app.add_url_rule("/ui/account/secret", "account_secret", pages.secret, methods=["POST"])
    app.add_url_rule("/ui/account/apps/<delegation>", "account_disconnect", pages.disconnect, methods=["POST"])


class OwnAccountPage:
    """One page."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def show(self) -> Page:
        """The visitor's identity, and the forms."""
        return await account_page(self._gateway, await self._gateway.enter())

    async def password(self) -> Page:
        """Set the visitor's password, given the current one."""
        visit, fields = await self._gateway.submitted()
        try:
            if not fields.get("current"):
                raise InvalidRequest("Give the current password too.")
            if fields.get("password") != fields.get("again"):
                raise InvalidRequest("The two new passwords differ: type them again.")
            await self._gateway.call(
                visit,
                "users.password",
                client_id=visit.who.sub,
                current=fields["current"],
                password=fields.get("password"),
            )
        except HerodError as error:
            return await account_page(self._gateway, visit, error)
        return await signed_out_page("Your password is set: sign in with it.")

    async def secret(self) -> Page:
        """Give the visitor a new client secret, and show it once."""
        visit, _ = await self._gateway.submitted()
        try:
            rotated = await self._gateway.call(visit, "users.rotate_secret", client_id=visit.who.sub)
        except HerodError as error:
            return await account_page(self._gateway, visit, error)
        return await render(
            "user_secret.html",
            visit,
            client_id=rotated.client_id,
            secret=rotated.client_secret,
            user=visit.who,
            is_new=False,
        )

    async def disconnect(self, delegation: str) -> Page:
        """End what one of the visitor's apps may do."""
        visit, _ = await self._gateway.submitted()
        try:
            await self._gateway.call(visit, "delegations.revoke", id=delegation)
        except HerodError as error:
            return await account_page(self._gateway, visit, error)
        return say(visit, "app-disconnected", "account")


async def account_page(gateway: Gateway, visit: Visit, error: HerodError | None = None) -> Page:
    """The page, with the error of one of its forms."""
    status = 200 if error is None else row_of(error).http
    factors, apps = None, []
    if visit.who.kind == "account":
        factors = await gateway.call(visit, "factors.get", client_id=visit.who.sub)
        apps = await connected_apps(gateway, visit, visit.who.sub)
    page = await render(
        "account.html", visit, status=status, error=error, factors=factors, apps=apps, device=device_name(asked())
    )
    page.headers.extend([] if error is None else challenges(error))
    return never_framed(page)


async def signed_out_page(notice: str) -> Page:
    """The sign-in page, after a change that ended the visitor's own session."""
    return forget_session(await sign_in_page(notice=notice))
