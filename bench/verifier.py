"""The cost of local verification: the verifier with a cached token, and with a new one, compared with PyJWT's decode.

It runs without a daemon, with prepared feed data. Run it alone: `python bench/verifier.py [rounds]`.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import jwt

from herod_client.core.access_tokens import Claims, issue
from herod_client.core.scope_graph import BUILT_IN
from herod_client.core.signing_keys import SigningKey, SigningKeys, ed25519_key, hs256_key
from herod_client.feed_mirror import parse_changes
from herod_client.offline_token_verification import TokenChecker

SECRET: Final = "a secret for the bench, long enough for HS256"  # noqa: S105 - made up
TOKENS: Final = 2000
SUBJECTS: Final = 1000
Work = Callable[[list[str]], None]


def make_checker(key: SigningKey) -> TokenChecker:
    """Build a checker whose state has all subjects."""
    checker = TokenChecker()
    checker.keys = SigningKeys(key)
    subjects = [
        {"sub": f"client-{number}", "kind": "account", "epoch": 1, "scope": "write", "networks": ["*"], "enabled": True}
        for number in range(SUBJECTS)
    ]
    rules = {
        "issuer": "hero_auth", "audience_issuer": "http://localhost", "token_ttl": 3600,
        "scopes": {name: list(included) for name, included in BUILT_IN.items()},
    }  # fmt: skip
    body = {"cursor": "c", "reset": True, "has_more": False, "subjects": subjects, "rules": rules}
    checker.mirror.take(parse_changes({"data": body}), int(time.time()))
    checker.touch()
    return checker


def make_tokens(key: SigningKey, start: int) -> list[str]:
    """Sign new tokens."""
    now = int(time.time())
    return [
        issue(
            Claims(
                f"client-{number % SUBJECTS}", "hero_auth", now, now + 3600, "write", f"jti-{number}", 1, "password"
            ),
            key,
        )
        for number in range(start, start + TOKENS)
    ]


def microseconds(work: Work, tokens: list[str]) -> float:
    """Measure the cost of one token."""
    started = time.perf_counter()
    work(tokens)
    return (time.perf_counter() - started) / len(tokens) * 1e6


def measure(key: SigningKey, rounds: int) -> dict[str, list[float]]:
    """Measure interleaved rounds: bare decode, new tokens, the same tokens again, and again with a scope."""
    checker = make_checker(key)
    algorithm = key.algorithm
    verifying = SECRET if isinstance(key.verifier, bytes) else key.verifier

    def bare(tokens: list[str]) -> None:
        for token in tokens:
            jwt.decode(token, verifying, algorithms=[algorithm])

    def verify(tokens: list[str]) -> None:
        for token in tokens:
            checker.verify(token)

    def verify_scope(tokens: list[str]) -> None:
        for token in tokens:
            checker.verify(token, scope="read")

    found: dict[str, list[float]] = {"bare PyJWT decode": [], "new token": [], "seen token": [], "seen, with scope": []}
    for number in range(rounds):
        tokens = make_tokens(key, number * TOKENS)
        for name, work in zip(found, (bare, verify, verify, verify_scope), strict=True):
            found[name].append(microseconds(work, tokens))
    return found


def main() -> None:
    """Measure, print the table, write the JSON."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    results = {}
    print(f"{'µs a token, median (min to max)':36}{'HS256':>28}{'EdDSA':>28}")
    for name, key in (("HS256", hs256_key(SECRET)), ("EdDSA", ed25519_key(bytes(range(32))))):
        results[name] = measure(key, rounds)
    for row in results["HS256"]:
        cells = [results[name][row] for name in results]
        shown = (f"{statistics.median(cell):.2f} ({min(cell):.2f} to {max(cell):.2f})" for cell in cells)
        print(f"{row:36}" + "".join(f"{cell:>28}" for cell in shown))
    for name, found in results.items():
        bare = statistics.median(found["bare PyJWT decode"])
        print(f"{name}: a new token costs {statistics.median(found['new token']) / bare:.2f} of PyJWT's bare decode")
    target = Path(__file__).parents[1] / "build" / "bench" / "verifier.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
