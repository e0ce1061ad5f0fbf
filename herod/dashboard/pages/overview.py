"""The first page: the daemon's state, counts and warnings for admins; own keys and identity for others."""

from datetime import UTC, datetime
from typing import Final

from quart import Response as Page
from quart import current_app
from quart_trio import QuartTrio

from herod.dashboard.bar_charts import draw_bars
from herod.dashboard.pipeline_gateway import Gateway, Visit
from herod.dashboard.rendering import render

__all__ = ["add_routes", "show_bytes", "show_span"]

# The page that each warning links to.
AREAS: Final[dict[str, tuple[str, str, dict[str, str]]]] = {
    "expiring": ("keys", "Keys", {"order": "expires"}),
    "unused": ("keys", "Keys", {"state": "unused"}),
    "app_admin": ("apps", "Apps", {}),
    "admin_factor": ("account", "Your account", {}),
    "legacy_used": ("legacy", "Legacy secrets", {}),
    "legacy_idle": ("legacy", "Legacy secrets", {}),
}
# The page that shows a subject of a warning.
SUBJECTS: Final = {
    "expiring": "key",
    "unused": "key",
    "app_admin": "app",
    "admin_factor": "user",
    "passkeys_stranded": "user",
}
TILES: Final = ("users", "keys", "apps", "sessions", "resources", "peers")
OWN_KEYS: Final = 20


def add_routes(app: QuartTrio, gateway: Gateway) -> None:
    """Add the pages of this area."""
    pages = OverviewPage(gateway)
    app.add_url_rule("/ui/home", "overview", pages.show)


class OverviewPage:
    """One page."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def show(self) -> Page:
        """The first page."""
        visit = await self._gateway.enter()
        if not self._gateway.may(visit, "overview"):
            return await self._show_own(visit)
        seen = await self._gateway.call(visit, "overview")
        return await render(
            "overview.html",
            visit,
            seen=seen,
            charts=[
                draw_bars("good", "Sign-ins", "sign-ins", [(hour.at, hour.sign_ins) for hour in seen.hours]),
                draw_bars("bad", "Denials", "denials", [(hour.at, hour.denials) for hour in seen.hours]),
            ],
            tiles=[(name, name.capitalize(), getattr(seen, name)) for name in TILES],
            areas=AREAS,
            subject_pages=SUBJECTS,
            uptime=show_span(seen.uptime),
            size=None if seen.store_bytes is None else show_bytes(seen.store_bytes),
            pages=current_app.view_functions,
        )

    async def _show_own(self, visit: Visit) -> Page:
        keys = None
        if self._gateway.may(visit, "keys.list"):
            keys = (await self._gateway.call(visit, "keys.list", limit=OWN_KEYS)).items
        health = await self._gateway.call(visit, "health")
        return await render(
            "overview_own.html",
            visit,
            keys=keys,
            health=health,
            now=datetime.fromtimestamp(self._gateway.pipeline.now(), UTC),
            pages=current_app.view_functions,
        )


def show_span(seconds: int) -> str:
    """A duration for people, in its two largest units."""
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if days:
        return f"{days:,} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{seconds} s"


def show_bytes(number: int) -> str:
    """A size for people, in decimal units."""
    size = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
