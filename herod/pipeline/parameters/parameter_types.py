"""Parameter types for the documents: limits, formats and short descriptions, each written once.

They describe limits and do not enforce them: handlers do, with messages that help. The tests in
`tests/protocols/documents` keep the two consistent.
"""

from typing import Annotated, Final

import msgspec

from herod.credentials.passwords import MAX_CHARS, MIN_CHARS
from herod.pipeline.parameters.email_addresses import MAX_EMAIL, parse_email
from herod.pipeline.parameters.parameter_annotations import NormalForm
from herod.pipeline.parameters.text_normalization import MAX_NAME, parse_label, parse_name
from herod.store.store_interface import MAX_PAGE
from herod_client.core.grants import MAX_NETWORKS, NETWORK_NAME
from herod_client.core.resource_indicators import MAX_RESOURCE_CHARS, RESOURCE_PATTERN
from herod_client.core.scope_graph import MAX_SCOPE_CHARS, MAX_SCOPES
from herod_client.core.times import MAX_CHARS as MAX_TIME_CHARS

__all__ = [
    "AS_IT_IS",
    "CLIENT_IN_HEADER",
    "EXAMPLE_ID",
    "IN_ANY_SPELLING",
    "RESOURCE",
    "AccountEmail",
    "AccountName",
    "AppId",
    "AppName",
    "ClientId",
    "CurrentPassword",
    "Cursor",
    "Email",
    "ExpiresAt",
    "KeyId",
    "KeyLabel",
    "KnownScope",
    "Label",
    "Limit",
    "Network",
    "NetworkNames",
    "NewOwner",
    "NewPassword",
    "OperationName",
    "Owner",
    "Resource",
    "Scope",
    "Since",
    "Until",
    "Verbatim",
]

EXAMPLE_ID: Final = "5a5e7f52-5a3f-4a5e-9d0e-4a9f1f3c2b11"
# For ASCII; in Unicode, control and invisible characters are refused as well.
VISIBLE: Final = r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$"
_END: Final = r"\Z"  # which JSON Schema does not have
NETWORK: Final = rf"^(\*|{NETWORK_NAME.pattern.removesuffix(_END)})$"
NAME: Final = {"minLength": 1, "maxLength": MAX_NAME, "pattern": VISIBLE}
# The documents fill in the existing names (`protocols/documents/json_schemas.py`).
ENUMERATED: Final = "names"

# `elsewhere` of the operations that take these in a form: without one they are a header.
CLIENT_IN_HEADER: Final = dict.fromkeys(
    ("client_id", "client_secret"),
    "Send the client id and secret as Authorization: Basic, or both in a form, at the operation's own route.",
)
# Compared, looked up, or read by a separate parser: another spelling is another value.
AS_IT_IS: Final = NormalForm(None, "another spelling is another value")
Verbatim = Annotated[str, AS_IT_IS]
Cursor = Annotated[
    str,
    msgspec.Meta(description="`next_cursor` of the previous page; omitted for the first page"),
]
Limit = Annotated[
    int,
    msgspec.Meta(description="the most items on a page", extra_json_schema={"minimum": 1, "maximum": MAX_PAGE}),
]
KeyName = Annotated[str, msgspec.Meta(description="the exact name", extra_json_schema=NAME)]
# `parse_time` reads it: its messages say what is taken.
_TIME: Final = {
    "anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}],
    "maxLength": MAX_TIME_CHARS,
}
ExpiresAt = Annotated[
    str,
    msgspec.Meta(
        description="a time in the future, or a date: the end of that day in UTC; null for never",
        extra_json_schema=_TIME,
    ),
    NormalForm(None, "read as a time"),
]
Since = Annotated[
    str,
    msgspec.Meta(
        description="at this time or later; a date is the beginning of that day in UTC", extra_json_schema=_TIME
    ),
]
Until = Annotated[
    str, msgspec.Meta(description="before this time; a date includes that day in UTC", extra_json_schema=_TIME)
]
ClientId = Annotated[str, msgspec.Meta(description="the account's id, email or unique name"), AS_IT_IS]
EMAIL: Final = msgspec.Meta(
    description="the account's email address; neither case nor the form of its domain matters",
    extra_json_schema={"format": "idn-email", "maxLength": MAX_EMAIL},
)
# The email of a new account.
Email = Annotated[str, EMAIL, NormalForm(parse_email)]
# The email of an existing account, which may be stored in a former normal form.
IN_ANY_SPELLING: Final = NormalForm(None, "every spelling is looked up, the given one first")
AccountEmail = Annotated[str, EMAIL, IN_ANY_SPELLING]
KeyId = Annotated[
    str, msgspec.Meta(description="the key's id, the 12 characters after its prefix, or its unique name"), AS_IT_IS
]
AppId = Annotated[str, msgspec.Meta(description="the app's client_id or name"), AS_IT_IS]
AppName = Annotated[
    str,
    msgspec.Meta(description="what people are asked to sign in to; no other app has it", extra_json_schema=NAME),
    NormalForm(parse_name),
]
AccountName = Annotated[
    str, msgspec.Meta(description="a name for people to read", extra_json_schema=NAME), NormalForm(parse_name)
]
KeyLabel = Annotated[
    str, msgspec.Meta(description="a name to recognize it by", extra_json_schema=NAME), NormalForm(parse_name)
]
Label = Annotated[
    str, msgspec.Meta(description="a name to recognize it by", extra_json_schema=NAME), NormalForm(parse_label)
]
Scope = Annotated[
    str,
    msgspec.Meta(
        description=f"space-separated scopes, at most {MAX_SCOPES}",
        extra={ENUMERATED: "scopes"},
        extra_json_schema={"maxLength": MAX_SCOPE_CHARS},
    ),
    AS_IT_IS,
]
RESOURCE: Final = {"format": "uri", "pattern": f"^{RESOURCE_PATTERN}$", "maxLength": MAX_RESOURCE_CHARS}
Resource = Annotated[
    str,
    msgspec.Meta(
        description="your own URI: tokens for it, or for what lies below it, are taken too", extra_json_schema=RESOURCE
    ),
    AS_IT_IS,
]
KnownScope = Annotated[str, msgspec.Meta(description="one scope", extra={ENUMERATED: "scope"}), AS_IT_IS]
OperationName = Annotated[str, msgspec.Meta(description="an operation's name", extra={ENUMERATED: "operations"})]
Network = Annotated[str, msgspec.Meta(description="a network's name", extra_json_schema={"pattern": NETWORK})]
NetworkNames = Annotated[
    list[Annotated[str, msgspec.Meta(extra_json_schema={"pattern": NETWORK})]],
    msgspec.Meta(
        description=f'network names, at most {MAX_NETWORKS}, or ["*"] for all',
        extra_json_schema={"minItems": 1, "maxItems": MAX_NETWORKS},
    ),
]
Owner = Annotated[
    str, msgspec.Meta(description="only keys of the account with this client_id, email or unique name; for admins")
]
NewOwner = Annotated[
    str,
    msgspec.Meta(
        description="the client_id, email or unique name of the account that a user key is for; for admins",
        extra_json_schema={"minLength": 1},
    ),
    AS_IT_IS,
]
CurrentPassword = Annotated[
    str, msgspec.Meta(description="the current password", extra_json_schema={"format": "password"}), AS_IT_IS
]
NewPassword = Annotated[
    str,
    msgspec.Meta(
        description=f"{MIN_CHARS} to {MAX_CHARS} characters",
        extra_json_schema={
            "format": "password",
            "minLength": MIN_CHARS,
            "maxLength": MAX_CHARS,
            "pattern": r"^[^\x00-\x1f\x7f]*$",
        },
    ),
    AS_IT_IS,
]
