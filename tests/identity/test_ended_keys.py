"""Who is told why a key is refused: whoever shows its whole secret, in the same words everywhere; nobody else."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from herod.audit_event import AuditEvent
from herod_client.core.key_format import new_client_secret, new_key, parse_key
from support.ended_keys import disabled_key, expired_key, key_of_a_disabled_owner
from support.herod_in_memory import PASSWORD, Answer, Harness, bearer, open_harness
from support.mcp_agent import send

End = Callable[[Harness], Awaitable[str]]
# An answer's status, code and message.
Ask = Callable[[Harness, str], Awaitable[tuple[int, str, str]]]
TOLD = {
    "expired": ("expired_token", "This API key expired on 2027-01-15T08:00:10Z"),
    "disabled": ("disabled", "This API key is disabled"),
    "owner disabled": ("disabled", "The account of this API key's owner is disabled"),
}
REASONS = {"expired": "expired", "disabled": "disabled", "owner disabled": "owner_disabled"}


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    """A harness."""
    async with open_harness() as harness:
        yield harness


ENDS: dict[str, End] = {"expired": expired_key, "disabled": disabled_key, "owner disabled": key_of_a_disabled_owner}


async def _rest(harness: Harness, text: str) -> tuple[int, str, str]:
    answer = await harness.request("GET", "/api/v1/whoami", headers=bearer(text))
    return answer.status, answer.json["error"]["code"], answer.json["error"]["message"]


async def _header(harness: Harness, text: str) -> tuple[int, str, str]:
    answer = await harness.request("GET", "/api/v1/keys", headers={"x-api-key": text})
    return answer.status, answer.json["error"]["code"], answer.json["error"]["message"]


async def _jsonrpc(harness: Harness, text: str) -> tuple[int, str, str]:
    error = (await harness.rpc("whoami", headers=bearer(text)))["error"]
    assert error["code"] == 4001
    return 401, error["data"]["code"], error["message"]


async def _parameter(harness: Harness, text: str) -> tuple[int, str, str]:
    error = (await harness.rpc("auth.list_keys", {"admin_key": text}))["error"]
    return 401, error["data"]["code"], error["message"]


async def _mcp(harness: Harness, text: str) -> tuple[int, str, str]:
    answer = await send(harness, {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, text)
    return answer.status, answer.json["error"]["data"]["code"], answer.json["error"]["message"]


PROTOCOLS = [_rest, _header, _jsonrpc, _parameter, _mcp]


@pytest.mark.parametrize("ask", PROTOCOLS)
@pytest.mark.parametrize("end", ENDS)
async def test_the_whole_secret_is_told_which(harness: Harness, end: str, ask: Ask) -> None:
    """The whole secret of an ended key gets a 401 that names the cause, on every protocol and in the audit log."""
    text = await ENDS[end](harness)
    status, code, message = await ask(harness, text)
    assert (status, code) == (401, TOLD[end][0])
    assert message.startswith(TOLD[end][1])
    assert {event.reason for event in await _denials(harness)} == {REASONS[end]}


@pytest.mark.parametrize("end", [*ENDS, "good", "deleted"])
async def test_anything_else_is_told_nothing(harness: Harness, end: str) -> None:
    """The right id with a wrong secret gets the bytes of an unknown key, whatever became of that key."""
    text = await ENDS[end](harness) if end in ENDS else await harness.service_key("read", end)
    rotated = await harness.service_key("read", "rotated")
    await harness.admin("keys.rotate", id=rotated.split("_")[2], overlap=60)
    harness.clock.now += 60
    if end == "deleted":
        await harness.admin("keys.delete", id=text.split("_")[2])
    unknown = await harness.service_key("read", "unknown")
    await harness.admin("keys.delete", id=unknown.split("_")[2])
    answers = [await _whoami(harness, one) for one in (_other_secret(text), rotated, unknown)]
    assert {(answer.status, answer.response.body) for answer in answers} == {(401, answers[2].response.body)}
    assert answers[0].json["error"]["code"] == "bad_credentials"
    assert "hint" not in answers[0].json["error"]


async def test_the_former_secret_counts_while_it_works(harness: Harness) -> None:
    """In its overlap the former secret is a whole one, so who shows it learns that the key was disabled."""
    text = await harness.service_key("read")
    await harness.admin("keys.rotate", id=text.split("_")[2], overlap=60)
    await harness.admin("keys.disable", id=text.split("_")[2])
    assert (await _whoami(harness, text)).json["error"]["code"] == "disabled"
    harness.clock.now += 60
    assert (await _whoami(harness, text)).json["error"]["code"] == "bad_credentials"


async def test_a_disabled_account_is_told_by_its_own_secrets_alone(harness: Harness) -> None:
    """The right client secret or password of a disabled account is told so; a wrong one gets what a stranger's does."""
    user = await harness.user(email="ada@example.org", password=PASSWORD)
    await harness.admin("users.disable", client_id=user.client_id)

    async def token(client_id: str, secret: str) -> tuple[int, str]:
        form = f"grant_type=client_credentials&client_id={client_id}&client_secret={secret}"
        answer = await harness.request("POST", "/token", form=form)
        return answer.status, answer.json["error_description"]

    async def login(email: str, password: str) -> tuple[int, str]:
        answer = await harness.request("POST", "/login", json={"email": email, "password": password})
        return answer.status, answer.json["error"]["message"]

    told = "This account is disabled: ask an admin to enable it."
    assert await token(user.client_id, user.secret) == (401, told)
    assert await login("ada@example.org", PASSWORD) == (401, told)
    wrong = new_client_secret()
    assert await token(user.client_id, wrong) == await token("nobody", wrong)
    assert await login("ada@example.org", "a wrong password") == await login("eve@example.org", "a wrong password")


def _other_secret(text: str) -> str:
    """Another key with the same kind and id, and a right checksum."""
    parsed = parse_key(text)
    return new_key(parsed.kind, parsed.id)


async def _whoami(harness: Harness, text: str) -> Answer:
    return await harness.request("GET", "/api/v1/whoami", headers=bearer(text))


async def _denials(harness: Harness) -> list[AuditEvent]:
    await harness.pipeline.flush(is_last=True)
    return [row.event for row in harness.store.audit_rows() if row.event.outcome == "denied"]
