"""Static files: read once, served under a name that changes with their content.

Must never build a file path from a request: only names in the table are served.
"""

import hashlib
from http import HTTPStatus
from importlib import resources
from typing import Final

import msgspec
from quart import Response as Page
from quart import abort
from quart_trio import QuartTrio

from herod.dashboard.pipeline_gateway import asked

__all__ = ["Asset", "Assets"]

TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
FOLDER: Final = "/ui/static"
IMMUTABLE: Final = "public, max-age=31536000, immutable"
_HASH_CHARACTERS: Final = 16


class Asset(msgspec.Struct, frozen=True):
    """One file; `etag` is quoted, as the header requires (RFC 9110, section 8.8.3)."""

    data: bytes
    media_type: str
    etag: str


class Assets:
    """The package's static files.

    Attributes:
        paths: a file's name → the path under which it is served.
    """

    def __init__(self) -> None:
        self.paths: dict[str, str] = {}
        self._assets: dict[str, Asset] = {}
        for file in (resources.files("herod.dashboard") / "static").iterdir():
            stem, _, kind = file.name.rpartition(".")
            if kind in TYPES:
                data = file.read_bytes()
                digest = hashlib.sha256(data).hexdigest()[:_HASH_CHARACTERS]
                served = f"{stem}-{digest}.{kind}"
                self.paths[file.name] = f"{FOLDER}/{served}"
                self._assets[served] = Asset(data, TYPES[kind], f'"{digest}"')

    def find(self, served_name: str) -> Asset | None:
        """The file that is served under a name, if there is one."""
        return self._assets.get(served_name)

    def add_routes(self, app: QuartTrio) -> None:
        """Serve the files."""
        app.add_url_rule(f"{FOLDER}/<name>", "static_file", self.serve)

    async def serve(self, name: str) -> Page:
        """A static file."""
        asset = self.find(name)
        if asset is None:
            abort(HTTPStatus.NOT_FOUND)
        headers = {"ETag": asset.etag, "Cache-Control": IMMUTABLE}
        if asset.etag in asked().headers.get("if-none-match", ""):
            return Page(b"", HTTPStatus.NOT_MODIFIED, headers)
        return Page(asset.data, HTTPStatus.OK, headers, content_type=asset.media_type)
