"""Ending all tokens and sessions at once, as a restore and a compromised secret need."""

from itertools import pairwise

from herod.identity.credential_types import Bearer, PeerClaim
from herod.maintenance.restore_reconciliation import end_everything
from herod.records import Account, AuthorizationCode, PeerRule, TokenFamily
from store.samples import code, family
from support.herod_in_memory import STRANGER, TCP, Harness


async def test_every_token_ends(harness: Harness) -> None:
    """Tokens of accounts and of peer rules, which have no secret to change, end; new ones are valid."""
    user = await harness.user(scope="read")
    await harness.admin("peers.allow", uid=STRANGER.peer.uid if STRANGER.peer else 0, scope="read")

    async def tokens() -> list[str]:
        rule = await harness.call("token.create", PeerClaim(), STRANGER)
        return [rule.access_token, await user.token()]

    async def good(texts: list[str]) -> list[bool]:
        return [(await harness.call("token.validate", None, TCP, token=text)).valid for text in texts]

    before = await tokens()
    assert await good(before) == [True, True]
    await harness.store.write(end_everything)
    assert await good(before) == [False, False]
    after = await tokens()
    assert await good(after) == [True, True]
    assert (await harness.call("whoami", Bearer(after[0]), TCP)).scope == "read"


async def test_epochs_only_go_up(harness: Harness) -> None:
    """Epochs go beyond the highest known elsewhere, and never by the same amount twice."""
    user = await harness.user()
    await harness.admin("peers.allow", uid=5, scope="read")

    def epochs() -> list[int]:
        account = harness.store.get(Account, user.client_id)
        (rule,) = harness.store.scan(PeerRule)
        assert account is not None
        return [account.epoch, rule.epoch]

    seen = [epochs()]
    for _ in range(3):
        await harness.store.write(end_everything)
        seen.append(epochs())
    assert all(later[0] > sooner[0] and later[1] > sooner[1] for sooner, later in pairwise(seen))
    steps = {later[1] - sooner[1] for sooner, later in pairwise(seen)}
    assert len(steps) == 3


async def test_every_code_and_family_ends(harness: Harness) -> None:
    """No authorization code, and no refresh token, is left."""
    await harness.store.write(lambda tx: tx.put(code()))
    await harness.store.write(lambda tx: tx.put(family()))
    await harness.store.write(end_everything)
    assert (harness.store.count(AuthorizationCode), harness.store.count(TokenFamily)) == (0, 0)
