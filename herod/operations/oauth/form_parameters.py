"""Parameters that the grants of apps share in their forms."""

from typing import Annotated

import msgspec

from herod.identity.apps.app_resources import app_resource
from herod.identity.config import Config
from herod.pipeline.parameters.parameter_types import AS_IT_IS
from herod_client.core.errors import InvalidTarget
from herod_client.core.resource_indicators import MAX_RESOURCE_CHARS

__all__ = ["AppResource", "FormSecret", "check_resource"]

# A secret of the app's own, as herod issued it.
FormSecret = Annotated[str, msgspec.Meta(extra_json_schema={"format": "password"}), AS_IT_IS]
AppResource = Annotated[
    str,
    msgspec.Meta(
        description="the resource of the request at `/authorize`",
        extra_json_schema={"format": "uri", "maxLength": MAX_RESOURCE_CHARS},
    ),
    AS_IT_IS,
]


def check_resource(config: Config, asked: str | None, granted: str | None) -> None:
    """Refuse another resource than that of the request at `/authorize` (RFC 8707, section 2.2).

    Args:
        asked: None if the app names none: it is that of the request.
        granted: in canonical form; None if the request named none.

    Raises:
        InvalidTarget: they differ.
    """
    if asked is not None and app_resource(config, asked) != granted:
        raise InvalidTarget(
            "The person was not asked about this resource: "
            + (f"send resource={granted}, or leave it out." if granted else "leave it out, or connect again with it.")
        )
