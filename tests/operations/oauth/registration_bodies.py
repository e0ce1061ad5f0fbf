"""What agents send to register themselves, from their sources and from the wire: their members, with other ports."""

from typing import Any, Final

# agent → its body, and the redirect URIs that herod takes of it
BODIES: Final[dict[str, tuple[dict[str, Any], list[str]]]] = {
    "VS Code": (
        {
            "client_name": "Visual Studio Code",
            "client_uri": "https://code.visualstudio.com",
            "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
            "response_types": ["code"],
            "redirect_uris": [
                "https://insiders.vscode.dev/redirect",
                "https://vscode.dev/redirect",
                "http://127.0.0.1/",
                "http://127.0.0.1:33418/",
            ],
            "scope": "read",
            "token_endpoint_auth_method": "none",
            "application_type": "native",
        },
        [
            "https://insiders.vscode.dev/redirect",
            "https://vscode.dev/redirect",
            "http://127.0.0.1/",
            "http://127.0.0.1:33418/",
        ],
    ),
    "Cursor": (
        {
            "client_name": "Cursor",
            "redirect_uris": [
                "cursor://anysphere.cursor-mcp/oauth/callback",
                "https://www.cursor.com/agents/mcp/oauth/callback",
                "http://localhost:8787/callback",
            ],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        },
        ["https://www.cursor.com/agents/mcp/oauth/callback", "http://localhost:8787/callback"],
    ),
    "Claude Code": (
        {
            "client_name": "Claude Code (herod)",
            "redirect_uris": ["http://localhost:54213/callback"],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        },
        ["http://localhost:54213/callback"],
    ),
    "Codex": (
        {
            "client_name": "Codex",
            "redirect_uris": ["http://127.0.0.1:43127/callback"],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none",
            "response_types": ["code"],
        },
        ["http://127.0.0.1:43127/callback"],
    ),
    "OpenCode": (
        {
            "redirect_uris": ["http://127.0.0.1:19876/mcp/oauth/callback"],
            "client_name": "OpenCode",
            "client_uri": "https://opencode.ai",
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        },
        ["http://127.0.0.1:19876/mcp/oauth/callback"],
    ),
    "mcp-remote": (
        {
            "redirect_uris": ["http://localhost:16334/oauth/callback"],
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "client_name": "MCP CLI Proxy",
            "client_uri": "https://github.com/modelcontextprotocol/mcp-cli",
            "software_id": "2e6dc280-f3c3-4e01-99a7-8181dbd1d23d",
            "software_version": "0.1.30",
            "scope": "openid email profile",
        },
        ["http://localhost:16334/oauth/callback"],
    ),
    "MCP Inspector": (
        {
            "redirect_uris": ["http://localhost:6274/oauth/callback"],
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "client_name": "MCP Inspector",
            "client_uri": "https://github.com/modelcontextprotocol/inspector",
            "scope": "",
        },
        ["http://localhost:6274/oauth/callback"],
    ),
    "Gemini CLI": (
        {
            "client_name": "Gemini CLI MCP Client",
            "redirect_uris": ["http://localhost:7777/oauth/callback"],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
            "scope": "read",
        },
        ["http://localhost:7777/oauth/callback"],
    ),
    "MCP Python SDK": (
        {
            "redirect_uris": ["http://localhost:3030/callback"],
            "token_endpoint_auth_method": "client_secret_post",
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "client_name": "Simple Auth Client",
            "scope": "read",
            "jwks": None,
            "jwks_uri": None,
        },
        ["http://localhost:3030/callback"],
    ),
    "MCP TypeScript SDK": (
        {
            "client_name": "Simple OAuth MCP Client",
            "redirect_uris": ["http://localhost:8090/callback"],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "client_secret_post",
        },
        ["http://localhost:8090/callback"],
    ),
}
