"""What a page needs to use passkeys: herod's own origin, or why there are none. The script compares it with the page's.

Must never decide whether a passkey is accepted: the operation does.
"""

from dataclasses import dataclass

from herod.identity.config import Config
from herod.identity.people.relying_party import relying_party, why_no_passkeys

__all__ = ["PasskeyPlace", "passkey_place"]


@dataclass(frozen=True, slots=True)
class PasskeyPlace:
    """Where passkeys work.

    Attributes:
        origin: of the pages that may use them; None if nobody can.
        url: the public URL: elsewhere, a page leads there.
        why_not: why nobody can.
    """

    origin: str | None
    url: str
    why_not: str | None


def passkey_place(config: Config) -> PasskeyPlace:
    """Where passkeys work, by the settings in force."""
    party = relying_party(config)
    return PasskeyPlace(None if party is None else party.origin, config.public_url, why_no_passkeys(config))
