"""A local verifier of herod's tokens in tests: its clocks, what its feed told it, and tokens."""

from dataclasses import dataclass, field
from typing import Any

from herod_client.core.access_tokens import Claims, issue
from herod_client.core.scope_graph import BUILT_IN
from herod_client.core.signing_keys import SigningKeys, hs256_key
from herod_client.feed_mirror import FeedChanges, parse_changes
from herod_client.offline_token_verification import TokenChecker, WhenStale

__all__ = ["KEY", "NOW", "RULES", "Times", "everything", "subject", "token", "told"]

NOW = 1_800_000_000
KEY = hs256_key("a secret for tests that is long enough to sign")
RULES: dict[str, Any] = {
    "issuer": "hero_auth",
    "audience_issuer": "https://herod.example",
    "token_ttl": 3600,
    "scopes": {**{name: list(included) for name, included in BUILT_IN.items()}, "jobs": ["user"]},
}


def subject(sub: str = "ada", **more: Any) -> dict[str, Any]:
    """A subject as in the feed."""
    return {
        "sub": sub, "kind": "account", "epoch": 1, "scope": "write", "networks": ["*"], "enabled": True, **more,
    }  # fmt: skip


def told(*subjects: dict[str, Any], **more: Any) -> FeedChanges:
    """An answer of the feed."""
    body = {"cursor": "c", "reset": False, "has_more": False, "subjects": subjects, "gone": [], "revoked": [],
            "rules": None, **more}  # fmt: skip
    return parse_changes({"data": body})


def everything(*subjects: dict[str, Any], **more: Any) -> FeedChanges:
    """The feed's first answer."""
    return told(*subjects, **{"reset": True, "rules": RULES, **more})


def token(**more: Any) -> str:
    """A token of ada."""
    claims = {
        "sub": "ada", "iss": "hero_auth", "iat": NOW, "exp": NOW + 3600, "scope": "write", "jti": "j", "epoch": 1,
        "via": "client_secret", **more,
    }  # fmt: skip
    return issue(Claims(**claims), KEY)


@dataclass
class Times:
    """Clocks that tests set."""

    now: float = NOW
    monotonic: float = 0.0
    checkers: list[TokenChecker] = field(default_factory=list)

    def checker(self, *changes: FeedChanges, when_stale: WhenStale = "refuse", **more: Any) -> TokenChecker:
        """A checker that has received this answer."""
        made = TokenChecker(
            clock=lambda: self.now, stopwatch=lambda: self.monotonic, when_stale=when_stale, **more
        )  # fmt: skip
        made.keys = SigningKeys(KEY)
        for one in changes or (everything(subject()),):
            made.mirror.take(one, self.monotonic)
        made.touch()
        return made
