"""A FastMCP client that is given an address and nothing else, and calls a tool."""

import asyncio
import json
import sys

from fastmcp import Client


async def main(url: str) -> None:
    """Sign in, and print what the tool answers."""
    async with Client(url, auth="oauth") as client:
        answer = await client.call_tool("whoami", {})
    print(json.dumps(answer.structured_content))


asyncio.run(main(sys.argv[1]))
