"""What is kept of verified tokens and grants: bounded in number and bytes, and never another key's."""

import msgspec

from herod.identity.runtime_state import MAX_GRANT_BYTES, MAX_GRANTS
from herod.identity.verified_token_cache import MAX_VERIFIED_BYTES, VerifiedTokens
from herod_client.core.signing_keys import SigningKeys
from support.herod_in_memory import NOW, Harness


async def test_verified_tokens_are_bounded_and_belong_to_their_keys(harness: Harness) -> None:
    """The cache of verified tokens evicts the oldest and is emptied when the signing keys change."""
    claims = harness.runtime.claims(await (await harness.user()).token(), NOW)
    keys, others = harness.runtime.signing, SigningKeys(harness.runtime.signing.current)
    verified = VerifiedTokens(limit=2)
    for token in ("one", "two", "three"):
        verified.add(token, keys, claims)
    assert [verified.get(token, keys) is not None for token in ("one", "two", "three")] == [False, True, True]
    assert verified.get("three", others) is None
    verified.add("four", others, claims)
    assert verified.get("three", keys) is None


async def test_verified_tokens_are_bounded_in_bytes(harness: Harness) -> None:
    """The cache of verified tokens stays within its bytes with the longest tokens and many networks."""
    claims = harness.runtime.claims(await (await harness.user()).token(), NOW)
    long = msgspec.structs.replace(claims, networks=tuple(f"{number}" for number in range(1200)))
    verified = VerifiedTokens()
    tokens = [f"{number:08192}" for number in range(1000)]
    for token in tokens:
        verified.add(token, harness.runtime.signing, long)
        assert verified.get(token, harness.runtime.signing) is long
    kept = sum(verified.get(token, harness.runtime.signing) is not None for token in tokens)
    assert 0 < kept * (2 * 8192 + 1200 * 64) <= MAX_VERIFIED_BYTES


async def test_grants_are_bounded_in_bytes(harness: Harness) -> None:
    """The cache of grants stays within its bytes with as many networks as an earlier version allowed."""
    for number in range(100):
        networks = tuple(f"{number}.{index}" for index in range(5000))
        assert harness.runtime.grant(("read",), networks).proves(f"{number}.7")
    assert 0 < len(harness.runtime.grants) * 5000 * 128 <= MAX_GRANT_BYTES


async def test_grants_are_remembered_within_bounds(harness: Harness) -> None:
    """The cache of grants is bounded, and an evicted grant is built again identically."""
    for number in range(MAX_GRANTS + 5):
        assert harness.runtime.grant(("read",), (f"n{number}",)).proves(f"n{number}")
    assert len(harness.runtime.grants) <= MAX_GRANTS
