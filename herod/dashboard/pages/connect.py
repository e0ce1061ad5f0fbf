"""Connect: ready-made commands, programs and settings with this daemon's own addresses.

The template holds the texts. It must never show a real secret: where one is needed, it names the file that holds it.
"""

import re
from typing import Final

from quart import Response as Page
from quart_trio import QuartTrio

from herod.dashboard.pipeline_gateway import Gateway
from herod.dashboard.rendering import render
from herod.identity.config import Config
from herod.pipeline.process.deployment_info import Deployment

__all__ = ["add_routes", "find_addresses"]

_SOCKET: Final = re.compile(r"unix:(/[^)]+)")


def add_routes(app: QuartTrio, gateway: Gateway) -> None:
    """Add the pages of this area."""
    pages = ConnectPage(gateway)
    app.add_url_rule("/ui/connect", "connect", pages.show)


class ConnectPage:
    """One page."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def show(self) -> Page:
        """All ways to connect."""
        visit = await self._gateway.enter()
        runtime, deployment = self._gateway.pipeline.runtime, self._gateway.pipeline.process.deployment
        socket, url = find_addresses(deployment, runtime.config)
        return await render(
            "connect.html",
            visit,
            binds=deployment.binds,
            public_url=runtime.config.public_url if runtime.config.has_browser_origin else None,
            socket=socket,
            url=url,
            algorithm=runtime.signing.current.algorithm,
        )


def find_addresses(deployment: Deployment, config: Config) -> tuple[str | None, str | None]:
    """The socket's path and the URL that clients use; None where there is no address of that sort."""
    sockets = [match[1] for bind in deployment.binds if (match := _SOCKET.search(bind))]
    url: str | None = None
    if config.has_browser_origin:
        url = config.public_url
    elif not deployment.has_tls:
        tcp = (bind for bind in deployment.binds if not _SOCKET.search(bind))
        literal = next((bind for bind in tcp if bind[:1] in "[0123456789"), None)
        url = None if literal is None else f"http://{literal}"
    return (sockets[0] if sockets else None), url
