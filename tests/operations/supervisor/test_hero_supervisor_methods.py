"""Hero Supervisor's methods: the requests of its clients, and answers in its format."""

import pytest

from herod.identity.credential_types import Bearer
from herod_client.core.errors import CeilingExceeded, InvalidRequest, NotFound
from support.herod_in_memory import LEGACY, TCP, Harness, bearer


async def make(harness: Harness, name: str = "runner-1", scope: str = "registrar") -> str:
    """Create a key with the older system's admin secret, as its clients do."""
    answer = await harness.rpc("auth.create_key", {"admin_key": LEGACY["admin"], "name": name, "scope": scope})
    text: str = answer["result"]["key"]
    return text


async def test_create_and_verify(harness: Harness) -> None:
    """A new key is valid at once, with the requested name and scope."""
    key = await make(harness)
    said = await harness.rpc("auth.verify", {"key": key})
    assert said["result"] == {"valid": True, "name": "runner-1", "scope": "registrar"}


@pytest.mark.parametrize("text", ["", "no key", "herod_s_0kZ3vXq81LmT_" + "0" * 49])
async def test_verify_what_is_no_key(harness: Harness, text: str) -> None:
    """Verification of an unknown key answers only that it is invalid."""
    assert (await harness.rpc("auth.verify", {"key": text}))["result"] == {"valid": False}


async def test_verify_a_legacy_secret(harness: Harness) -> None:
    """Verification accepts a legacy secret, as the older system did."""
    said = await harness.rpc("auth.verify", {"key": LEGACY["registrar"]})
    assert (said["result"]["valid"], said["result"]["scope"]) == (True, "registrar")


async def test_list(harness: Harness) -> None:
    """Only service keys are listed, without their secrets."""
    key = await make(harness)
    await (await harness.user()).key()
    answer = await harness.rpc("auth.list_keys", {"admin_key": LEGACY["admin"]})
    [listed] = answer["result"]
    assert (listed["id"], listed["name"], listed["scope"]) == (key.split("_")[2], "runner-1", "registrar")
    assert key not in str(answer)


@pytest.mark.parametrize("by", ["key", "id", "id as key"])
async def test_remove(harness: Harness, by: str) -> None:
    """A key is removed by its text, by its id, and by its id in the key parameter, as older clients do."""
    key = await make(harness)
    id_ = key.split("_")[2]
    params = {"key": {"key": key}, "id": {"id": id_}, "id as key": {"key": id_}}[by]
    answer = await harness.rpc("auth.remove_key", {"admin_key": LEGACY["admin"], **params})
    assert answer["result"] is True
    assert (await harness.rpc("auth.verify", {"key": key}))["result"] == {"valid": False}


async def test_remove_what_is_not_there(harness: Harness) -> None:
    """A user key is not found, and the error names both accepted parameters."""
    user = await harness.user()
    key = await user.key()
    for params in ({"key": key}, {"id": key.split("_")[2]}, {"id": "0kZ3vXq81LmT"}):
        with pytest.raises(NotFound):
            await harness.admin("auth.remove_key", **params)
    for params in ({}, {"key": key, "id": key.split("_")[2]}):
        with pytest.raises(InvalidRequest, match="exactly one of key and id"):
            await harness.admin("auth.remove_key", **params)


async def test_who_may(harness: Harness) -> None:
    """Only admins may create keys, by `admin_key` or by header, and only within their own grant."""
    refused = await harness.rpc("auth.create_key", {"admin_key": LEGACY["user"], "name": "x", "scope": "read"})
    assert refused["error"]["data"]["code"] == "missing_scope"
    by_header = await harness.rpc("auth.create_key", {"name": "x", "scope": "read"}, headers=bearer(LEGACY["admin"]))
    assert by_header["result"]["name"] == "x"
    with pytest.raises(CeilingExceeded):
        await harness.call("auth.create_key", Bearer(LEGACY["admin"]), TCP, name="y", scope="owner")
