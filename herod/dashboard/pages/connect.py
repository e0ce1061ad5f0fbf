"""Connect: ready-made commands, programs and settings with this daemon's own addresses.

Must never show a real secret: where one is needed, the file that holds it is named.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from shlex import quote
from typing import Final

from quart import Response as Page
from quart_trio import QuartTrio

from herod.dashboard.pipeline_gateway import Gateway
from herod.dashboard.rendering import render
from herod.pipeline.process.deployment_info import Deployment

__all__ = ["Section", "Snippet", "add_routes", "find_addresses", "make_sections"]

_SOCKET: Final = re.compile(r"unix:(/[^)]+)")
_EVERYWHERE: Final = ("0.0.0.0:", "[::]:")
# Written by the shell itself, so that the key never stands among a command's arguments, which all users can read.
_HEADER_FILE: Final = """(umask 077; printf 'Authorization: Bearer %s\\n' "$(cat herod.key)" > herod.header)"""


@dataclass(frozen=True, slots=True)
class Snippet:
    """Something to copy, and what it is for."""

    id: str
    caption: str
    text: str


@dataclass(frozen=True, slots=True)
class Section:
    """One way to connect."""

    id: str
    title: str
    lead: str
    snippets: tuple[Snippet, ...]


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
        sections = make_sections(socket, url, signing=runtime.signing.current.algorithm)
        return await render(
            "connect.html",
            visit,
            binds=deployment.binds,
            public_url=runtime.config.public_url,
            sections=sections,
            may_make_keys=self._gateway.may(visit, "keys.create"),
        )


def find_addresses(deployment: Deployment, *, public_url: str) -> tuple[str | None, str | None]:
    """(the socket's path, the URL): where clients are to go; None where there is none of its sort."""
    sockets = [match[1] for bind in deployment.binds if (match := _SOCKET.search(bind))]
    tcp = [bind for bind in deployment.binds if not _SOCKET.search(bind)]
    # A certificate is for a name, and some addresses nobody can dial.
    literal = next((bind for bind in tcp if not bind.startswith(_EVERYWHERE) and bind[:1] in "[0123456789"), None)
    url: str | None = None
    if public_url.startswith("https://") or (tcp and literal is None):
        url = public_url
    elif literal is not None:
        url = public_url if deployment.has_tls else f"http://{literal}"
    return (sockets[0] if sockets else None), url


def make_sections(socket: str | None, url: str | None, *, signing: str) -> tuple[Section, ...]:
    """Everything the page shows.

    Args:
        socket: the socket's path.
        url: where herod answers on TCP.
        signing: the algorithm that signs tokens.
    """
    address = f"unix:{socket}" if socket is not None else url or ""
    return (
        Section(
            "curl",
            "curl",
            "Each answer is JSON. The key goes into a file that only you can read, and never onto a command line.",
            tuple(_curl(socket, url)),
        ),
        Section(
            "python",
            "Python",
            "pip install 'herod-client[trio]' brings herod_client, without the daemon.",
            tuple(_python(address, is_safe=not address.startswith("http://"), signing=signing)),
        ),
        Section("agents", "Agents (MCP)", _AGENTS, tuple(_agents(url))),
        Section(
            "systemd",
            "systemd services",
            "Two ways: a key that systemd hands to the service alone, or a uid of its own and no key at all.",
            tuple(_systemd(address, has_socket=socket is not None)),
        ),
    )


_AGENTS: Final = (
    "Make a key for each agent, with the least it needs and an end, so that it can be taken back alone and the audit "
    "log tells them apart."
)


def _curl(socket: str | None, url: str | None) -> Iterator[Snippet]:
    yield Snippet("curl-header", "Once: a header file from a key in herod.key.", _HEADER_FILE)
    if socket is not None:
        dial = f"curl --unix-socket {quote(socket)}"
        yield Snippet(
            "curl-peer",
            "On the Unix socket, known by your uid; it needs a rule under Peers.",
            f"{dial} -H 'Authorization: Peer' http://localhost/api/v1/whoami",
        )
        yield Snippet(
            "curl-socket",
            "On the Unix socket, with the key.",
            f"{dial} -H @herod.header http://localhost/api/v1/whoami",
        )
    if url is not None:
        yield Snippet("curl-tcp", "On TCP, with the key.", f"curl -H @herod.header {quote(url)}/api/v1/whoami")
    dial, base = (
        (f"curl --unix-socket {quote(socket)}", "http://localhost")
        if socket is not None
        else ("curl", quote(url or ""))
    )
    yield Snippet(
        "curl-validate",
        "What a service asks: is this token good, and for what? It needs no credential.",
        f"""printf '{{"token":"%s","scope":"read"}}' "$TOKEN" | {dial} --json @- {base}/validate""",
    )


def _python(address: str, *, is_safe: bool, signing: str) -> Iterator[Snippet]:
    place = json.dumps(address)
    yield Snippet(
        "python-sync",
        "A client that waits.",
        f"""from pathlib import Path

from herod_client import Bearer, Client

key = Path("herod.key").read_text().strip()
with Client({place}, identity=Bearer(key)) as client:
    print(client.get("/api/v1/whoami"))
    print(client.post("/validate", {{"token": "the token to ask about", "scope": "read"}}))
""",
    )
    yield Snippet(
        "python-async",
        "A client for trio.",
        f"""from pathlib import Path

import trio

from herod_client import AsyncClient, Bearer


async def main() -> None:
    key = Path("herod.key").read_text().strip()
    async with AsyncClient({place}, identity=Bearer(key)) as client:
        print(await client.call("whoami"))


trio.run(main)
""",
    )
    if is_safe:
        proof = "jwks=True" if signing == "EdDSA" else "secret=secret"
        secret = "" if signing == "EdDSA" else 'secret = Path("hero_secret").read_text().rstrip("\\n")\n'
        yield Snippet(
            "python-verifier",
            "Verify tokens in the service itself, without asking each time, before any ASGI application.",
            f"""from pathlib import Path

from herod_client import ThreadedVerifier
from herod_client.asgi_middleware import HerodMiddleware

key = Path("herod.key").read_text().strip()
{secret}verifier = ThreadedVerifier({place}, {proof}, credential=key)
verifier.__enter__()  # after forking; __exit__ at the end


async def hello(scope, receive, send):
    name = scope["herod"].sub.encode()
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    await send({{"type": "http.response.body", "body": b"Hello, " + name}})


app = HerodMiddleware(hello, verifier, scope="read", public={{"/health"}})
""",
        )


def _agents(url: str | None) -> Iterator[Snippet]:
    yield Snippet(
        "agent-key", "A key for the agent alone.", "herod key create agent --scope read --expires 90d --save agent.key"
    )
    if url is None:
        return
    place = f"{url}/mcp"
    yield Snippet(
        "agent-add",
        "On the command line of most agents.",
        f'your-agent mcp add --transport http herod {quote(place)} --header "Authorization: Bearer $(cat agent.key)"',
    )
    server = {"type": "http", "url": place, "headers": {"Authorization": "Bearer ${HEROD_KEY}"}}
    yield Snippet(
        "agent-settings",
        "In the settings file of most agents; the key comes from the environment.",
        json.dumps({"mcpServers": {"herod": server}}, indent=2),
    )


def _systemd(address: str, *, has_socket: bool) -> Iterator[Snippet]:
    yield Snippet(
        "systemd-make",
        "A key for the service, in a file that only root can read.",
        "herod key create my-service --kind service --scope user --save /etc/my-service.key",
    )
    yield Snippet(
        "systemd-key",
        "Its unit; the service reads the key from $CREDENTIALS_DIRECTORY/herod.key.",
        f"[Service]\nLoadCredential=herod.key:/etc/my-service.key\nEnvironment=HEROD_URL={address}\n",
    )
    if has_socket:
        yield Snippet(
            "systemd-rule",
            "Or no key: let the user of the service in.",
            "herod peer allow --user my-service --scope user",
        )
        yield Snippet(
            "systemd-peer",
            "Then its unit names the user, and each request says Authorization: Peer.",
            f"[Service]\nUser=my-service\nEnvironment=HEROD_URL={address}\n",
        )
