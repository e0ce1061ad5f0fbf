"""Copies of the documents of well-known agents, so that they can be let in where herod reaches nobody.

Each is what the document said on its date, as others recorded it in public; herod's developers have not fetched them
from the hosts themselves. A copy is used as it is. If an agent asks for a redirect that its copy does not have, and
herod may fetch documents (`--client-documents on`), the document itself is fetched. To renew one: compare it with the
URL, and change its date.
"""

import re
from collections.abc import Mapping
from typing import Final

from herod.identity.apps.grant_types import AUTHORIZATION_CODE, DEVICE_CODE, REFRESH_TOKEN
from herod.identity.client_documents.document_cache import ClientDocument

__all__ = ["shipped_document"]

CODE_AND_REFRESH: Final = (AUTHORIZATION_CODE, REFRESH_TOKEN)
SEPTEMBER_8: Final = 1_788_825_600  # 2026-09-08
SEPTEMBER_7: Final = 1_788_739_200  # 2026-09-07

DOCUMENTS: Final[Mapping[str, ClientDocument]] = {
    "https://claude.ai/oauth/claude-code-client-metadata": ClientDocument(
        name="Claude Code",
        redirect_uris=("http://localhost/callback", "http://127.0.0.1/callback"),
        grants=CODE_AND_REFRESH,
        at=SEPTEMBER_8,
    ),
    "https://vscode.dev/oauth/client-metadata.json": ClientDocument(
        name="Visual Studio Code",
        redirect_uris=("http://127.0.0.1:33418/", "https://vscode.dev/redirect"),
        grants=(*CODE_AND_REFRESH, DEVICE_CODE),
        at=SEPTEMBER_8,
    ),
    # For authorization servers that send `iss` (RFC 9207).
    "https://chatgpt.com/oauth/codex/client.json": ClientDocument(
        name="Codex",
        redirect_uris=("http://127.0.0.1/callback", "http://localhost/callback"),
        grants=CODE_AND_REFRESH,
        at=SEPTEMBER_8,
    ),
    "https://opencode.ai/oauth/opencode/client.json": ClientDocument(
        name="opencode",
        redirect_uris=("http://127.0.0.1/callback", "http://localhost/callback"),
        grants=CODE_AND_REFRESH,
        at=SEPTEMBER_7,
    ),
}
# Codex has a document for each MCP server: the host makes one for any id. It differs in the id alone, which is nine
# bytes of a hash of the server's URL, and its redirect is on loopback.
CODEX: Final = re.compile(r"https://chatgpt\.com/oauth/codex/([A-Za-z0-9_-]{12})/client\.json\Z")


def shipped_document(url: str) -> ClientDocument | None:
    """The copy of a document that herod has with it; None if it has none."""
    document = DOCUMENTS.get(url)
    if document is not None:
        return document
    match = CODEX.match(url)
    if match is None:
        return None
    return ClientDocument(
        name="Codex",
        redirect_uris=(f"http://127.0.0.1/callback/{match[1]}",),
        grants=CODE_AND_REFRESH,
        at=SEPTEMBER_8,
    )
