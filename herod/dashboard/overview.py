"""The first page: how the daemon is, what it counts, and what needs attention."""

from quart import Response as Page
from quart_trio import QuartTrio

from herod.dashboard.door import Door
from herod.dashboard.rendering import render

__all__ = ["add_routes"]


def add_routes(app: QuartTrio, door: Door) -> None:
    """Add the pages of this area."""
    pages = Overview(door)
    app.add_url_rule("/ui/home", "overview", pages.show)


class Overview:
    """One page."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def show(self) -> Page:
        """The first page."""
        visit = await self._door.enter()
        return await render("overview.html", visit)
