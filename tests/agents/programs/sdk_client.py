"""A client on the official Python SDK that signs in at an address, calls a tool, refreshes its token, calls again."""

import asyncio
import json
import sys
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken


class Kept:
    """What the SDK stores, in memory."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        """The tokens, if there are any."""
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """Keep the tokens."""
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        """The registration, if there is one."""
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """Keep the registration."""
        self.client = client_info


class Listener:
    """Waits for the browser at a loopback address."""

    def __init__(self) -> None:
        self.came: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take the browser's request."""
        line = (await reader.readline()).decode().split()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nSigned in.")
        await writer.drain()
        writer.close()
        if not self.came.done() and "code=" in line[1]:
            self.came.set_result(line[1])

    async def result(self) -> AuthorizationCodeResult:
        """What came back."""
        query = parse_qs(urlsplit(await self.came).query)
        return AuthorizationCodeResult(code=query["code"][0], state=query["state"][0], iss=query["iss"][0])


async def show(url: str) -> None:
    """Print the page that the person is to open."""
    print(url, flush=True)


async def whoami(url: str, auth: OAuthClientProvider) -> None:
    """Call the tool, and print what it answers."""
    async with (
        httpx2.AsyncClient(auth=auth, follow_redirects=True) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        answer = await client.call_tool("whoami", {})
        print(json.dumps(answer.structured_content), flush=True)


async def main(url: str) -> None:
    """Sign in, call, let the token look expired, and call again."""
    listener, kept = Listener(), Kept()
    server = await asyncio.start_server(listener.answer, "127.0.0.1", 0)
    redirect = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/callback"
    metadata = OAuthClientMetadata.model_validate(
        {"client_name": "SDK client", "redirect_uris": [redirect], "token_endpoint_auth_method": "none",
         "grant_types": ["authorization_code", "refresh_token"], "scope": "read"}
    )  # fmt: skip
    auth = OAuthClientProvider(url, metadata, kept, show, listener.result)
    await whoami(url, auth)
    first = kept.tokens
    assert first is not None
    auth.context.token_expiry_time = 1  # the SDK refreshes before its next request
    await whoami(url, auth)
    assert kept.tokens is not None
    assert kept.tokens.access_token != first.access_token
    server.close()


asyncio.run(main(sys.argv[1]))
