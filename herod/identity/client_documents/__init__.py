"""Apps whose client id is the URL of a document that describes them: what herod knows of them without asking anybody.

Fetching is in `herod/pipeline/client_documents`.
"""

from herod.identity.client_documents.client_urls import ClientUrl, parse_client_url
from herod.identity.client_documents.document_cache import ClientDocument, DocumentCache
from herod.identity.client_documents.shipped_documents import shipped_document

__all__ = ["ClientDocument", "ClientUrl", "DocumentCache", "parse_client_url", "shipped_document"]
