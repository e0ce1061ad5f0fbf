"""Hooks that schemathesis loads: they adjust requests to herod's rules, and never filter findings in responses."""

import re
from collections.abc import Mapping
from typing import Any, Final

import schemathesis
from hypothesis import strategies

# Schemathesis does not know this scheme: a wrong credential in its format.
schemathesis.openapi.format("_peer_auth", strategies.from_regex(r"\APeer [0-9a-f]{64}\Z"))

KEY: Final = re.compile(r"herod_[us]_(?P<id>[0-9A-Za-z]{12})_")
NOBODYS_KEY: Final = "000000000000"


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]) -> None:
    """Remove from a request what the schema cannot express, and what would break the test run."""
    if isinstance(case.query, Mapping):
        if "wait" in case.query:
            # The daemon would wait up to 30 s.
            case.query["wait"] = 0 if isinstance(case.query["wait"], int) else case.query["wait"]
        if _is_positive(case):
            case.query.pop("cursor", None)  # opaque: only a list issues one
    # Otherwise the run would continue without a valid credential.
    own = KEY.search(" ".join(str(value) for value in case.headers.values()))
    if own and own["id"] in case.path_parameters.values() and case.method != "GET":
        case.path_parameters["id"] = NOBODYS_KEY
    if isinstance(case.body, dict) and _is_positive(case):
        case.body.pop("expires_at", None)  # must be in the future, which a schema cannot express
        if "secret" in case.body:  # in the body or in the header, as the description says
            case.headers.pop("X-Resource-Secret", None)


def _is_positive(case: schemathesis.Case[Any]) -> bool:
    return case.meta is not None and case.meta.generation.mode.is_positive
