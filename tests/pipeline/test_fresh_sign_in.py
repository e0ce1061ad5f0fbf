"""What gives lasting access needs a recent sign-in when a browser asks for it."""

from typing import Any

import pytest

from herod.operations.operation_table import OPERATIONS
from herod.pipeline.admission import FRESH_SECONDS, SIGN_IN_AGAIN
from herod.pipeline.operation_definition import GivesNothing
from herod.protocols.decode import convert_params
from herod.records import Delegation, Session
from herod.scopes.decisions import Access
from herod.scopes.principal import AuthMethod
from herod_client.core.errors import ExpiredToken, HerodError
from support.herod_in_memory import TCP, Harness

GIVING = sorted(
    operation.name
    for operation in OPERATIONS.values()
    if operation.gives is not None
    and not isinstance(operation.gives, GivesNothing)
    and operation.gives not in (Session, Delegation)
    and operation.needs is not Access.PUBLIC
    and (operation.methods is None or AuthMethod.SESSION in operation.methods)
)


# seconds, where they are fewer than for others: how one signs in
SOONER = {"users.password": 300, "users.rotate_secret": 300}


def test_what_gives_secrets_is_among_them() -> None:
    """Each operation that makes a key or a secret, or sets a password, is one of those that are tested here."""
    assert {"keys.create", "keys.rotate", "users.add", "users.password", "users.rotate_secret"} <= set(GIVING)
    assert {"legacy.promote", "auth.create_key", "peers.allow"} <= set(GIVING)


@pytest.mark.parametrize("name", GIVING)
async def test_an_old_session_gives_nothing(harness: Harness, name: str) -> None:
    """After its time a session must sign in again; a new one, a token and an API key need not."""
    admin = await harness.user(scope="admin")
    session, operation = await admin.session(), OPERATIONS[name]
    harness.clock.now += SOONER.get(name, FRESH_SECONDS)
    assert await reason(harness, session, name, operation.example) != SIGN_IN_AGAIN
    harness.clock.now += 1
    assert await reason(harness, session, name, operation.example) == SIGN_IN_AGAIN
    for presented in (await admin.session(), await admin.bearer(), admin.basic):
        assert await reason(harness, presented, name, operation.example) != SIGN_IN_AGAIN


async def test_an_old_session_ends_what_it_likes(harness: Harness) -> None:
    """Reading, and whatever ends access, need no new sign-in."""
    admin, other = await harness.user(scope="admin"), await harness.user()
    session = await admin.session()
    harness.clock.now += FRESH_SECONDS + 1
    assert (await harness.call("users.list", session, TCP)).items
    assert not (await harness.call("users.disable", session, TCP, client_id=other.client_id)).enabled
    with pytest.raises(ExpiredToken):
        await harness.call("users.enable", session, TCP, client_id=other.client_id)


async def reason(harness: Harness, presented: Any, name: str, example: Any) -> str:
    """Why a call is refused, or nothing."""
    try:
        operation = OPERATIONS[name]
        await harness.pipeline.call(operation, convert_params(operation, example, is_text=False), presented, TCP)
    except HerodError as error:
        return error.reason
    return ""
