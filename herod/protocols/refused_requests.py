"""Requests that are refused before any operation is called: which of them are evidence of an attack.

A foreign Host or Origin, a form from another site's page and a second credential do not happen by mistake of a program
that used to work, and somebody else's browser or proxy may have been led to send them. So each leaves a row in the
audit log. Malformed requests are noise: they reach nothing, and only the access log has them. A row must never contain
a text that the client chose.
"""

from typing import Final

from herod.pipeline.pipeline import Pipeline
from herod.protocols.http import TWO_CREDENTIALS
from herod.scopes.principal import Source
from herod_client.core.errors import HerodError

__all__ = ["note_refusal"]

# The reasons that are evidence. Those of operations, which the pipeline notes itself, are others.
EVIDENCE: Final = frozenset({"host", "origin", TWO_CREDENTIALS})


def note_refusal(pipeline: Pipeline, source: Source, error: HerodError) -> None:
    """Note for the audit log that a request was refused before any operation was called, if that is evidence."""
    if error.reason in EVIDENCE:
        pipeline.note_refused_request(source, error.reason)
