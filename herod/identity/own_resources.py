"""What a `resource` (RFC 8707) or an audience means: herod itself, its `/mcp`, or something that is not herod's.

The one answer for tokens that are presented, asked for, validated and introspected. It compares whole texts, without a
final slash, with a closed list: the public URL and its aliases on loopback. Must never parse a URL: two parsers may
disagree about where it leads.
"""

from enum import StrEnum

from herod.identity.config import Config

__all__ = ["OwnResource", "canonical_resource", "own_resource"]


class OwnResource(StrEnum):
    """A resource of herod's own; the value is its path below the public URL.

    A token for `ROOT` is accepted at every endpoint, `/mcp` included; one for `MCP` at `/mcp` alone.
    """

    ROOT = ""
    MCP = "/mcp"


def own_resource(config: Config, text: str) -> OwnResource | None:
    """Which of herod's resources a text names, under the public URL or any alias; None if it is not herod's."""
    text = text.removesuffix("/")
    if _is_root(config, text):
        return OwnResource.ROOT
    root = text.removesuffix(OwnResource.MCP)
    return OwnResource.MCP if root != text and _is_root(config, root) else None


def canonical_resource(config: Config, text: str) -> str:
    """The one spelling of a resource: below the public URL if it is herod's, and never with a final slash."""
    own = own_resource(config, text)
    return text.removesuffix("/") if own is None else f"{config.public_url}{own}"


def _is_root(config: Config, text: str) -> bool:
    """Whether a text is herod as a whole: the public URL or an alias."""
    return text == config.public_url or text in config.aliases
