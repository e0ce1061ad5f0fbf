"""The cost of a JSON-RPC batch: no documents in it, a budget for its answers, and turns for other tasks.

Before, a batch of 50 `rpc.discover` (2.5 KB) was answered with 4.7 MiB, built in one piece without a pause.
"""

import json
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from herod.protocols import jsonrpc
from herod.protocols.responses import MAX_ANSWER_BYTES
from herod.records import ApiKey
from herod.scopes.principal import Peer, Source
from herod.server.connection_limits import Limits
from herod.store.store_interface import Writer
from store.samples import key
from support.herod_in_memory import ADMIN_SOURCE, COOKIE, TCP, Harness

ADMIN = {"authorization": f"Peer {COOKIE}"}


def call(method: str, number: int, **params: Any) -> dict[str, Any]:
    """One request object."""
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


async def batch(harness: Harness, items: list[Any], source: Source = TCP, **headers: str) -> Any:
    """Send a batch; return the answers."""
    return (await harness.request("POST", "/rpc", json=items, headers=headers or None, source=source)).json


def codes(answers: list[Any]) -> list[int | None]:
    """The error code of each answer, None for a result."""
    return [answer.get("error", {}).get("code") for answer in answers]


async def test_a_document_is_not_answered_in_a_batch(harness: Harness) -> None:
    """A batch of 50 document requests, the original attack, gets 50 short errors that explain what to do."""
    items = [call("rpc.discover", number) for number in range(50)]
    answer = await harness.request("POST", "/rpc", json=items)
    assert codes(answer.json) == [-32600] * 50
    assert [one["id"] for one in answer.json] == list(range(50))
    assert "cannot be part of a batch" in answer.json[0]["error"]["message"]
    assert len(answer.response.body) < 10 * len(json.dumps(items))
    silent = {"jsonrpc": "2.0", "method": "rpc.discover"}
    assert (await harness.request("POST", "/rpc", json=[silent] * 50)).status == 204


async def test_what_is_no_request_is_explained_once(harness: Harness) -> None:
    """A batch of single digits, one byte each, is answered with short errors after the first."""
    answer = await harness.request("POST", "/rpc", body=b"[" + b",".join([b"1"] * 50) + b"]")
    assert codes(answer.json) == [-32600] * 50
    assert "A request is an object" in answer.json[0]["error"]["message"]
    assert len(answer.response.body) < 20 * 190 + 2048


async def test_a_document_is_one_copy(harness: Harness) -> None:
    """All callers get the same bytes object of a document, so that clients that do not read cost no memory."""
    shared = {
        name: [(await harness.request(*request)).response.shared for _ in range(2)]
        for name, request in {
            "openapi": ("GET", "/openapi.json"),
            "openrpc": ("GET", "/rpc/discover"),
            "metadata": ("GET", "/.well-known/oauth-authorization-server"),
        }.items()
    }
    request = {"jsonrpc": "2.0", "id": 1, "method": "rpc.discover"}
    shared["rpc"] = [(await harness.request("POST", "/rpc", json=request)).response.shared for _ in range(2)]
    for first, second in shared.values():
        assert first is second
        assert len(first) > 500


async def test_the_answers_to_a_batch_have_a_budget(harness: Harness) -> None:
    """Items beyond the budget are refused and not run, and the whole answer stays below 1 MiB."""
    for number in range(150):
        await harness.admin(
            "users.add", email=f"{number}@{'long' * 15}.{'long' * 15}.example.org", name="n" * 128, scope="read"
        )
    items = [call("users.list", number) for number in range(49)]
    items.append(call("users.add", 49, email="late@example.org", scope="read"))
    answers = await batch(harness, items, ADMIN_SOURCE, **ADMIN)
    answered = [code for code in codes(answers) if code is None]
    assert 2 <= len(answered) < 49
    assert codes(answers)[len(answered) :] == [-32600] * (50 - len(answered))
    assert "another batch" in answers[-1]["error"]["message"]
    assert len(json.dumps(answers)) < jsonrpc.MAX_BATCH_BYTES
    with pytest.raises(Exception, match="no such account"):
        await harness.admin("users.get", email="late@example.org")


async def test_a_batch_is_never_longer_than_a_connection_may_hold(harness: Harness) -> None:
    """A batch of the longest answers and ids stays below the limit at which a connection is cut.

    A client whose connection is cut would not learn which items took effect. Before, these 50 items were answered with
    1,072 KiB, at which the connection was closed.
    """

    async def add_keys(count: int) -> int:
        """Add this many service keys; return the size of their list in bytes."""

        def fill(tx: Writer) -> None:
            for _ in range(count):
                number = tx.count(ApiKey)
                tx.put(key(f"{number:012}", owner=None, name=f"{number:0100}"))

        await harness.store.write(fill)
        (answer,) = await batch(harness, [call("auth.list_keys", 1)], ADMIN_SOURCE, **ADMIN)
        return len(msgspec.json.encode(answer["result"]))

    one, two = await add_keys(1), await add_keys(1)
    wanted = (jsonrpc.MAX_BATCH_BYTES - MAX_ANSWER_BYTES) // 3 - 4000  # three with their ids leave room for a fourth
    assert wanted - two < await add_keys((wanted - two) // (two - one)) <= wanted < MAX_ANSWER_BYTES
    items = [{**call("auth.list_keys", 1), "id": "x" * 1150} for _ in range(50)]
    answer = await harness.request("POST", "/rpc", json=items, headers=ADMIN, source=ADMIN_SOURCE)
    assert codes(answer.json) == [None] * 3 + [-32600] * 47
    longest_head = 1024
    assert len(answer.response.body) + longest_head < min(jsonrpc.MAX_BATCH_BYTES, Limits().unsent_bytes)


async def test_an_answer_that_is_too_long_is_refused(harness: Harness) -> None:
    """The answer of a list without pages is refused when too long, and the error names the paged operation."""

    def fill(tx: Writer) -> None:
        for number in range(1600):
            tx.put(key(f"{number:012}", owner=None, name=f"{number} {'n' * 120}"))

    await harness.store.write(fill)
    answers = await batch(harness, [call("auth.list_keys", 1), call("version", 2)], ADMIN_SOURCE, **ADMIN)
    assert codes(answers) == [-32602, None]
    assert "keys.list" in answers[0]["error"]["message"]


async def test_others_get_their_turn_between_two_items(harness: Harness) -> None:
    """Other tasks run between the items of a batch."""
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        await batch(harness, [call("version", number) for number in range(50)])
        nursery.cancel_scope.cancel()
    assert turns >= 40


async def test_unfinished_batches_of_one_source_have_a_bound(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """While batches of one source are unfinished, its further items are refused, and other sources are answered."""
    monkeypatch.setattr(jsonrpc, "MAX_UNFINISHED_BYTES_OF_SOURCE", 2000)
    waiting = [call("version", 1), call("version", 2), call("token.changes", 3, wait=30)] * 10
    ada = await harness.user(scope="read")
    uid = Source(peer=Peer(uid=1000, gid=1000))
    async with trio.open_nursery() as nursery:
        cursor = (await harness.call("token.changes", ada.basic)).cursor
        for item in waiting[2::3]:
            item["params"]["cursor"] = cursor
        for _ in range(6):
            nursery.start_soon(lambda: batch(harness, waiting, TCP, **ada.basic_header))
        await trio.testing.wait_all_tasks_blocked(0.01)
        refused = await batch(harness, [call("version", number) for number in range(50)])
        assert set(codes(refused)) >= {-32600}
        assert "have ended" in refused[-1]["error"]["message"]
        assert set(codes(await batch(harness, [call("version", n) for n in range(5)], uid))) == {None}
        nursery.cancel_scope.cancel()
    assert set(codes(await batch(harness, [call("version", number) for number in range(5)]))) == {None}


async def test_many_sources_of_a_range_share_the_bound_of_all(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One person with many sources has no batch's worth for each of them, and others are answered."""
    monkeypatch.setattr(jsonrpc, "MAX_UNFINISHED_BYTES", 600)
    monkeypatch.setattr(jsonrpc, "MAX_BATCH_BYTES", 500)
    monkeypatch.setattr(jsonrpc, "RESERVED_BATCH_BYTES", -MAX_ANSWER_BYTES - 100_000)  # batches are not bounded
    real, goes_on = harness.pipeline.call, trio.Event()

    async def parked(operation: Any, *others: Any) -> Any:
        if operation.name == "health":
            await goes_on.wait()
        return await real(operation, *others)

    monkeypatch.setattr(harness.pipeline, "call", parked)
    waiting = [*(call("version", number) for number in range(3)), call("health", 3)]
    *many, one_more, other = [Source(peer=Peer(uid=uid, gid=uid)) for uid in (*range(100_000, 100_016), 7)]
    async with trio.open_nursery() as nursery:
        for source in many:
            nursery.start_soon(batch, harness, waiting, source)
        await trio.testing.wait_all_tasks_blocked()
        eight = [call("version", number) for number in range(8)]
        assert codes(await batch(harness, eight, one_more))[-1] == -32600
        assert set(codes(await batch(harness, eight[:4], other))) == {None}
        goes_on.set()
    assert set(codes(await batch(harness, eight[:4], one_more))) == {None}
