"""How each protocol reports too many attempts."""

from support.herod_in_memory import LEGACY, TCP, Harness, bearer

LOGIN = {"email": "nobody@example.org", "password": "a wrong password"}


async def lock_legacy(harness: Harness) -> None:
    """Lock legacy secrets with too many guesses over TCP."""
    for _ in range(10):
        assert (await harness.request("GET", "/api/v1/whoami", headers=bearer("guess"))).status == 401


async def test_rest(harness: Harness) -> None:
    """REST answers 429 with Retry-After, in the envelope where there is one."""
    await lock_legacy(harness)
    harness.clock.now += 60
    answer = await harness.request("GET", "/api/v1/whoami", headers=bearer(LEGACY["admin"]))
    assert (answer.status, answer.headers["retry-after"]) == (429, "240")
    assert answer.json["error"] == {
        "code": "rate_limited",
        "message": "Too many attempts: try again in 240 seconds.",
    }
    assert "meta" in answer.json


async def test_rpc(harness: Harness) -> None:
    """JSON-RPC answers 4029 under HTTP 200, for each batch item, with the seconds in the message."""
    await lock_legacy(harness)
    error = (await harness.rpc("whoami", headers=bearer(LEGACY["admin"])))["error"]
    assert (error["code"], error["data"]["code"]) == (4029, "rate_limited")
    assert "300 seconds" in error["message"]
    calls = [
        {"jsonrpc": "2.0", "id": 1, "method": "auth.list_keys", "params": {"admin_key": LEGACY["admin"]}},
        {"jsonrpc": "2.0", "id": 2, "method": "health"},
    ]
    limited, healthy = (await harness.request("POST", "/rpc", json=calls)).json
    assert limited["error"]["code"] == 4029
    assert healthy["result"]["status"] == "ok"


async def test_a_batch_is_no_way_around(harness: Harness) -> None:
    """Fifty guesses in one batch count as fifty guesses."""
    calls = [{"jsonrpc": "2.0", "id": number, "method": "login", "params": LOGIN} for number in range(12)]
    answers = (await harness.request("POST", "/rpc", json=calls)).json
    assert [answer["error"]["code"] for answer in answers] == [4001] * 10 + [4029] * 2
    assert (await harness.request("POST", "/login", json=LOGIN, source=TCP)).status == 429


async def test_oauth(harness: Harness) -> None:
    """OAuth routes answer 429 with Retry-After, in OAuth's format."""
    await lock_legacy(harness)
    form = "grant_type=client_credentials"
    answer = await harness.request("POST", "/token", form=form, headers=bearer(LEGACY["admin"]))
    assert (answer.status, answer.headers["retry-after"]) == (429, "300")
    assert set(answer.json) == {"error", "error_description"}
