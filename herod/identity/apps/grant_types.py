"""The grant types by which apps get tokens, in the words of the RFCs."""

from typing import Final

__all__ = ["AUTHORIZATION_CODE", "DEVICE_CODE", "GRANT_TYPES", "REFRESH_TOKEN"]

AUTHORIZATION_CODE: Final = "authorization_code"
"""RFC 6749, section 4.1."""
REFRESH_TOKEN: Final = "refresh_token"  # noqa: S105 - a grant type
"""RFC 6749, section 6."""
DEVICE_CODE: Final = "urn:ietf:params:oauth:grant-type:device_code"
"""RFC 8628, section 3.4."""
GRANT_TYPES: Final = (AUTHORIZATION_CODE, REFRESH_TOKEN, DEVICE_CODE)
"""All that an app may register."""
