"""Who has a second factor, and who must have one."""

from dataclasses import replace
from typing import Literal

import pytest

from herod.identity.people.second_factors import has_second_factor, must_have_second_factor
from herod.records import Account, Passkey, RecoveryCodes, TotpFactor
from support.herod_in_memory import Harness


async def test_has(harness: Harness) -> None:
    """A passkey or an authenticator app is one; recovery codes alone are not."""
    user = await harness.user(scope="read")

    def has() -> bool:
        return has_second_factor(harness.store, user.client_id)

    async def put(record: Passkey | TotpFactor | RecoveryCodes) -> None:
        await harness.store.write(lambda tx: tx.put(record))

    await put(RecoveryCodes(id=user.client_id, created_at=1, hashes=(b"1",)))
    assert not has()
    await put(TotpFactor(id=user.client_id, created_at=1, secret=b"secret", used_step=0))
    assert has()
    await harness.store.write(lambda tx: tx.delete(TotpFactor, user.client_id))
    assert not has()
    await put(Passkey(id="p", created_at=1, account=user.client_id, name="phone", credential=b"c", public_key=b"k"))
    assert has()
    assert not has_second_factor(harness.store, "nobody")


@pytest.mark.parametrize(
    ("setting", "who"), [("off", set()), ("admin", {"admin", "owner"}), ("all", {"read", "write", "admin", "owner"})]
)
async def test_must_have(harness: Harness, setting: Literal["off", "admin", "all"], who: set[str]) -> None:
    """The setting decides by the scope of now."""
    config = replace(harness.runtime.config, second_factor=setting)
    for scope in ("read", "write", "admin", "owner"):
        account = Account(
            id="a", created_at=1, email=None, name="a", password=None, secret_hash=b"", scope=(scope,), networks=("*",)
        )
        assert must_have_second_factor(config, account) is (scope in who)
