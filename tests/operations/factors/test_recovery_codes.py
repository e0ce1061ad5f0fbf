"""Recovery codes: each takes the place of a second factor once."""

from typing import Any

import pytest

from herod.records import RecoveryCodes
from herod_client.core.errors import HerodError
from support.herod_in_memory import PASSWORD, TCP, Harness
from support.persons import Person, new_person


async def login(person: Person, otp: str) -> Any:
    """Sign in as a program does."""
    return await person.harness.call("login", None, TCP, email=person.email, password=PASSWORD, otp=otp)


async def reason(call: Any) -> str:
    """Why a call is refused."""
    with pytest.raises(HerodError) as error:
        await call
    return error.value.reason


async def left(person: Person) -> int:
    """How many codes are left."""
    count: int = (await person.call("factors.get", client_id=person.id)).recovery_codes
    return count


async def test_each_works_once(harness: Harness) -> None:
    """All ten sign in, however they are typed, and none a second time."""
    ada = await new_person(harness)
    await ada.set_up_app()
    for number, code in enumerate(ada.codes):
        typed = code.upper().replace("-", " ") if number % 2 else code.replace("-", "")
        assert (await login(ada, typed)).access_token
        assert await left(ada) == 9 - number
    for code in ada.codes[:5]:
        assert await reason(login(ada, code)) == "wrong_code"


async def test_the_audit_log_says_so(harness: Harness) -> None:
    """The use of a recovery code has a row, without the code; that of an app has none of its own."""
    ada = await new_person(harness)
    await ada.set_up_app()
    await login(ada, ada.otp())
    await login(ada, ada.codes[0])
    await harness.pipeline.flush(is_last=True)
    rows = [row.event for row in harness.store.audit_rows() if row.event.operation == "recovery.use"]
    assert [(row.actor, row.target, row.outcome) for row in rows] == [(ada.id, ada.id, "ok")]
    assert not any(code in repr(rows) for code in ada.codes)


async def test_new_ones(harness: Harness) -> None:
    """New codes end the earlier ones."""
    ada = await new_person(harness)
    await ada.set_up_app()
    former = ada.codes
    renewed = (await ada.call("recovery.renew")).recovery_codes
    assert len(renewed) == 10
    assert not set(former) & set(renewed)
    assert await reason(login(ada, former[0])) == "wrong_code"
    assert (await login(ada, renewed[0])).access_token


async def test_not_without_a_factor(harness: Harness) -> None:
    """Without a second factor there is nothing to recover."""
    ada = await new_person(harness)
    assert await reason(ada.call("recovery.renew")) == "no_second_factor"


async def test_of_another_account(harness: Harness) -> None:
    """A code is its account's alone."""
    ada, bob = await new_person(harness), await new_person(harness, "bob@example.org")
    await ada.set_up_app()
    await bob.set_up_app()
    assert await reason(login(bob, ada.codes[0])) == "wrong_code"
    assert (await login(ada, ada.codes[0])).access_token


async def test_only_hashes_are_kept(harness: Harness) -> None:
    """The store has nothing from which a code could be read."""
    ada = await new_person(harness)
    await ada.set_up_app()
    record = harness.store.get(RecoveryCodes, ada.id)
    assert record is not None
    assert {len(one) for one in record.hashes} == {32}
    assert not any(code.encode() in one for one in record.hashes for code in ada.codes)
