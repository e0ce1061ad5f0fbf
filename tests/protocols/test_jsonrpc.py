"""JSON-RPC 2.0: the specification's own examples, and herod's additions."""

import json
from typing import Any

import pytest

from support.herod_in_memory import ADMIN_SOURCE, COOKIE, Harness

ADMIN = {"authorization": f"Peer {COOKIE}"}


async def post(harness: Harness, body: bytes | str, path: str = "/rpc") -> Any:
    """Send a body unchanged; return the parsed answer."""
    answer = await harness.request("POST", path, body=body if isinstance(body, bytes) else body.encode())
    assert answer.status == 200
    return answer.json


async def test_a_call_by_name_and_by_position(harness: Harness) -> None:
    """Parameters by name and by position are equivalent."""
    by_name = await harness.rpc("token.validate", {"token": "x"})
    by_position = await harness.rpc("token.validate", ["x"])
    assert by_name == by_position == {"jsonrpc": "2.0", "result": {"valid": False, "reason": "invalid"}, "id": 1}


@pytest.mark.parametrize("path", ["/", "/rpc"])
async def test_both_paths_answer(harness: Harness, path: str) -> None:
    """`/` answers as `/rpc` does, for Supervisor's clients."""
    answer = await post(harness, '{"jsonrpc":"2.0","method":"health","id":"a"}', path)
    assert answer["result"]["status"] == "ok"
    assert answer["id"] == "a"


@pytest.mark.parametrize("request_id", ["1", "-7", '"x"', "null", "1.5"])
async def test_ids_come_back_as_they_were(harness: Harness, request_id: str) -> None:
    """Number, string and null ids are returned unchanged."""
    answer = await harness.request(
        "POST", "/rpc", body=b'{"jsonrpc":"2.0","method":"version","id":%b}' % request_id.encode()
    )
    assert answer.response.body.endswith(b'"id":%b}' % request_id.encode())


@pytest.mark.parametrize(
    ("body", "code", "request_id"),
    [
        ('{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]', -32700, None),
        ("", -32700, None),
        (b'{"jsonrpc": "2.0", "method": "version", "id": 1, "more": "\xff"}', -32700, None),
        (b'[{"jsonrpc": "2.0", "method": "version", "id": 1, "more": "\xff"}]', -32700, None),
        ('{"jsonrpc": "2.0", "method": "users.update", "params": ["x", null, "new name"], "id": 1}', -32602, 1),
        ('{"jsonrpc": "2.0", "method": 1, "params": "bar"}', -32600, None),
        ('{"jsonrpc": "2.0", "id": 5}', -32600, 5),
        ('{"jsonrpc": "1.0", "method": "health", "id": 5}', -32600, 5),
        ('{"method": "health", "id": "z"}', -32600, "z"),
        ('{"jsonrpc": "2.0", "method": "health", "id": {}}', -32600, None),
        ('{"jsonrpc": "2.0", "method": "health", "id": true}', -32600, None),
        ("1", -32600, None),
        ("[]", -32600, None),
        ('{"jsonrpc": "2.0", "method": "foobar", "id": "1"}', -32601, "1"),
        ('{"jsonrpc": "2.0", "method": "rpc.nothing", "id": 1}', -32601, 1),
        ('{"jsonrpc": "2.0", "method": "token.validate", "id": 1}', -32602, 1),
        ('{"jsonrpc": "2.0", "method": "token.validate", "params": {"token": 1}, "id": 1}', -32602, 1),
        ('{"jsonrpc": "2.0", "method": "token.validate", "params": {"token": "", "x": 1}, "id": 1}', -32602, 1),
        ('{"jsonrpc": "2.0", "method": "token.validate", "params": ["a", "b", "c", "d"], "id": 1}', -32602, 1),
        ('{"jsonrpc": "2.0", "method": "token.validate", "params": "bar", "id": 1}', -32602, 1),
        ('{"jsonrpc": "2.0", "method": "whoami", "id": 1}', 4001, 1),
    ],
)
async def test_errors(harness: Harness, body: bytes | str, code: int, request_id: Any) -> None:
    """Errors have the specification's codes or herod's own."""
    answer = await post(harness, body)
    assert (answer["error"]["code"], answer["id"]) == (code, request_id)
    assert answer["error"]["message"]
    assert answer["error"]["data"]["code"]
    assert "result" not in answer


async def test_a_batch_answers_each_request_and_no_notification(harness: Harness) -> None:
    """A batch is answered in order, with errors in their place, and without notifications."""
    answer = await post(
        harness,
        """[{"jsonrpc":"2.0","method":"version","id":1},
            {"jsonrpc":"2.0","method":"version"},
            {"foo":"boo"}, 1,
            {"jsonrpc":"2.0","method":"nothing","id":2},
            {"jsonrpc":"2.0","method":"whoami","id":3}]""",
    )
    codes = [item.get("error", {}).get("code") for item in answer]
    assert codes == [None, -32600, -32600, -32601, 4001]


async def test_notifications_alone_answer_nothing(harness: Harness) -> None:
    """A batch of notifications gets 204, whatever their outcome."""
    for body in (
        b'{"jsonrpc":"2.0","method":"version"}',
        b'{"jsonrpc":"2.0","method":"nothing"}',
        b'{"jsonrpc":"2.0","method":"whoami"}',
        b'[{"jsonrpc":"2.0","method":"version"}]',
    ):
        answer = await harness.request("POST", "/rpc", body=body)
        assert (answer.status, answer.response.body) == (204, b"")


async def test_a_notification_is_carried_out(harness: Harness) -> None:
    """A notification is executed although it gets no answer."""
    body = json.dumps({"jsonrpc": "2.0", "method": "users.add", "params": {"email": "a@b.c"}}).encode()
    answer = await harness.request("POST", "/rpc", body=body, headers=ADMIN, source=ADMIN_SOURCE)
    assert answer.status == 204
    assert (await harness.admin("users.get", email="a@b.c")).email == "a@b.c"


async def test_a_batch_has_an_end(harness: Harness) -> None:
    """A batch of 51 items is one error, and nothing is run."""
    item = {"jsonrpc": "2.0", "method": "users.add", "id": 1}
    answer = await harness.request("POST", "/rpc", json=[item] * 51, headers=ADMIN, source=ADMIN_SOURCE)
    assert (answer.json["error"]["code"], answer.json["error"]["data"]["code"]) == (-32600, "too_large")
    assert (await harness.admin("users.list")).items == []
    assert len((await harness.request("POST", "/rpc", json=[item] * 50)).json) == 50


async def test_each_item_of_a_batch_is_authorized_by_itself(harness: Harness) -> None:
    """Each batch item is authorized separately, and `admin_key` counts for its item alone."""
    key = await harness.service_key("admin")
    batch = [
        {"jsonrpc": "2.0", "method": "auth.list_keys", "params": {"admin_key": key}, "id": 1},
        {"jsonrpc": "2.0", "method": "auth.list_keys", "id": 2},
        {"jsonrpc": "2.0", "method": "auth.list_keys", "params": [key], "id": 3},
        {"jsonrpc": "2.0", "method": "auth.list_keys", "params": ["nonsense"], "id": 4},
    ]
    answer = (await harness.request("POST", "/rpc", json=batch)).json
    assert [item.get("error", {}).get("code") for item in answer] == [None, 4001, None, 4001]


async def test_admin_key_overrides_the_header(harness: Harness) -> None:
    """`admin_key` overrides the header for its item, upward and downward."""
    admin, low = await harness.service_key("admin", "a"), await harness.service_key("registrar", "b")
    raised = await harness.rpc("auth.list_keys", {"admin_key": admin}, headers={"x-api-key": low})
    lowered = await harness.rpc("auth.list_keys", {"admin_key": low}, headers={"x-api-key": admin})
    assert len(raised["result"]) == 2
    assert lowered["error"]["code"] == 4003


async def test_another_content_type_is_refused(harness: Harness) -> None:
    """Forms and plain text, which a hostile page can post without a preflight, are refused."""
    for content_type in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = await harness.request(
            "POST", "/rpc", body=b'{"jsonrpc":"2.0","method":"version","id":1}', headers={"content-type": content_type}
        )
        assert answer.json["error"]["code"] == -32600


async def test_a_failing_handler_says_nothing_and_the_batch_goes_on(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    """A failing handler is -32603 for its item alone, with the traceback in the log only."""

    def fail() -> Any:
        raise RuntimeError("a secret detail")

    harness.store.count = lambda record_type: fail()  # type: ignore[method-assign]
    batch = [
        {"jsonrpc": "2.0", "method": "stats", "id": 1},
        {"jsonrpc": "2.0", "method": "version", "id": 2},
    ]
    answer = await harness.request("POST", "/rpc", json=batch, headers=ADMIN, source=ADMIN_SOURCE)
    assert [item.get("error", {}).get("code") for item in answer.json] == [-32603, None]
    assert b"secret detail" not in answer.response.body
    assert "a secret detail" in caplog.text


async def test_supervisors_flow(harness: Harness) -> None:
    """verify, create, list and remove work in Hero Supervisor's format."""
    admin = await harness.service_key("admin", "my-admin")
    verified = await harness.rpc("auth.verify", {"key": admin})
    assert verified["result"] == {"valid": True, "name": "my-admin", "scope": "admin"}
    assert (await harness.rpc("auth.verify", {"key": "wrong"}))["result"] == {"valid": False}
    created = await harness.rpc("auth.create_key", {"admin_key": admin, "name": "r1", "scope": "registrar"})
    assert set(created["result"]) == {"key", "name", "scope", "created_at", "expires_at"}
    assert created["result"]["created_at"].endswith("Z")
    listed = (await harness.rpc("auth.list_keys", {"admin_key": admin}))["result"]
    assert [set(key) for key in listed] == [{"id", "name", "scope", "created_at", "expires_at", "last_used_at"}] * 2
    text = created["result"]["key"]
    assert (await harness.rpc("auth.verify", [text]))["result"]["scope"] == "registrar"
    assert (await harness.rpc("auth.remove_key", {"admin_key": admin, "key": text}))["result"] is True
    assert (await harness.rpc("auth.verify", [text]))["result"] == {"valid": False}
    assert (await harness.rpc("auth.remove_key", {"admin_key": admin, "key": text}))["error"]["code"] == 4004


async def test_supervisors_mistakes(harness: Harness) -> None:
    """Removal by neither key nor id, by both, or of a user key fails; an id in `key` works, and lists are not paged."""
    admin = await harness.service_key("admin", "my-admin")
    for params in ({}, {"key": "a", "id": "b"}):
        answer = await harness.rpc("auth.remove_key", {"admin_key": admin, **params})
        assert answer["error"]["code"] == -32602
    user = await harness.user()
    text = await user.key()
    answer = await harness.rpc("auth.remove_key", {"admin_key": admin, "key": text})
    assert answer["error"]["code"] == 4004
    for number in range(205):
        await harness.service_key("read", f"s{number}")
    listed = (await harness.rpc("auth.list_keys", {"admin_key": admin}))["result"]
    assert len(listed) == 206
    by_id = {"admin_key": admin, "key": listed[-1]["id"]}
    assert (await harness.rpc("auth.remove_key", by_id))["result"] is True
    token = await user.token()
    assert (await harness.rpc("auth.verify", {"key": token}))["result"]["scope"] == "read"
