"""Connect: ready-made commands, programs and settings with this daemon's own addresses.

The template holds the texts. It must never show a real secret: where one is needed, it names the file that holds it.
"""

import re
from typing import Final

from quart import Response as Page
from quart_trio import QuartTrio

from herod.dashboard.pipeline_gateway import Gateway
from herod.dashboard.rendering import render
from herod.pipeline.process.deployment_info import Deployment

__all__ = ["add_routes", "find_addresses"]

_SOCKET: Final = re.compile(r"unix:(/[^)]+)")
_EVERYWHERE: Final = ("0.0.0.0:", "[::]:")


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
        socket, url = find_addresses(deployment, public_url=runtime.config.public_url)
        return await render(
            "connect.html",
            visit,
            binds=deployment.binds,
            public_url=runtime.config.public_url,
            socket=socket,
            url=url,
            algorithm=runtime.signing.current.algorithm,
        )


def find_addresses(deployment: Deployment, *, public_url: str) -> tuple[str | None, str | None]:
    """The socket's path and the URL that clients use; None where there is no address of that sort."""
    sockets = [match[1] for bind in deployment.binds if (match := _SOCKET.search(bind))]
    tcp = [bind for bind in deployment.binds if not _SOCKET.search(bind)]
    # A certificate is for a name, and no client can connect to a wildcard address.
    literal = next((bind for bind in tcp if not bind.startswith(_EVERYWHERE) and bind[:1] in "[0123456789"), None)
    url: str | None = None
    if public_url.startswith("https://") or (tcp and literal is None):
        url = public_url
    elif literal is not None:
        url = public_url if deployment.has_tls else f"http://{literal}"
    return (sockets[0] if sockets else None), url
