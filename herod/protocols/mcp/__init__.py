"""MCP: tools for AI agents, over streamable HTTP at `/mcp`."""
