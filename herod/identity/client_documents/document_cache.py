"""Documents of apps that were fetched, for as long as they may be kept. Bounded, and empty after a restart.

Must never be needed to refresh or revoke a token: another daemon, or this one before its restart, may have fetched the
document (`oauth_apps.find_app`).
"""

from typing import Final

import msgspec

from herod_client.core.bounded_cache import BoundedCache

__all__ = ["MAX_DOCUMENTS", "MAX_DOCUMENT_CACHE_BYTES", "ClientDocument", "DocumentCache"]

MAX_DOCUMENTS: Final = 256
MAX_DOCUMENT_CACHE_BYTES: Final = 4 * 1024 * 1024
OVERHEAD: Final = 512  # bytes of an entry's objects, about


class ClientDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What a document says about its app, as far as herod uses it.

    Attributes:
        name: in normal form.
        redirect_uris: those that are acceptable.
        grants: grant types.
        at: when this copy was made, in Unix seconds.
    """

    name: str
    redirect_uris: tuple[str, ...]
    grants: tuple[str, ...]
    at: int


def _size(url: str, kept: tuple[ClientDocument, int]) -> int:
    document, _ = kept
    return OVERHEAD + len(url) + 4 * len(document.name) + sum(100 + len(uri) for uri in document.redirect_uris)


class DocumentCache:
    """The fetched documents by URL."""

    def __init__(self) -> None:
        self._kept: BoundedCache[str, tuple[ClientDocument, int]] = BoundedCache(
            entries=MAX_DOCUMENTS, total=MAX_DOCUMENT_CACHE_BYTES, size=_size
        )
        self._ends: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, url: str) -> ClientDocument | None:
        """The document of a URL, if it was fetched and may still be used."""
        kept = self._kept.get(url)
        return None if kept is None else kept[0]

    def keep(self, url: str, document: ClientDocument, until: int) -> None:
        """Use a document until that time, in Unix seconds."""
        self._kept.keep(url, (document, until))
        self._ends[url] = until

    def expire(self, now: int) -> None:
        """Drop what may not be used any more, and what the clock says was made in the future. Called every second."""
        if not self._ends:
            return
        for url, until in list(self._ends.items()):
            kept = self._kept.get(url)
            if kept is None or not kept[0].at <= now < until:
                self._kept.forget(url)
                del self._ends[url]
