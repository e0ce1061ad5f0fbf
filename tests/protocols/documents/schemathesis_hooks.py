"""Loaded by schemathesis itself: what it cannot know of herod. It changes requests, never what is found in answers."""

import os
from collections.abc import Mapping
from typing import Any

import schemathesis
from hypothesis import strategies

# Not a scheme that schemathesis knows: a wrong credential of this kind.
schemathesis.openapi.format("_peer_auth", strategies.from_regex(r"\APeer [0-9a-f]{64}\Z"))

OWN_KEY = os.environ["HEROD_CHECKED_KEY"]
NOBODYS_KEY = "000000000000"


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]) -> None:
    """Take out of a request what a schema cannot say, or what would end the run rather than find something."""
    if isinstance(case.query, Mapping):
        if "wait" in case.query:
            case.query["wait"] = 0 if isinstance(case.query["wait"], int) else case.query["wait"]  # else: up to 30 s
        if _is_positive(case):
            case.query.pop("cursor", None)  # opaque: only a list makes one
    # The run would go on without a credential.
    if OWN_KEY in case.path_parameters.values() and case.method != "GET":
        case.path_parameters["id"] = NOBODYS_KEY
    if isinstance(case.body, dict) and _is_positive(case):
        case.body.pop("expires_at", None)  # a time to come; a schema knows no clock
        if "secret" in case.body:  # there or in the header, as the description says
            case.headers.pop("X-Resource-Secret", None)


def _is_positive(case: schemathesis.Case[Any]) -> bool:
    return case.meta is not None and case.meta.generation.mode.is_positive
